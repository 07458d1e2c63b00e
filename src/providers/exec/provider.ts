/** A store that a plugin serves: translates the provider's methods into requests of the protocol. */
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type { CallOptions } from '../call.ts';
import type {
  Capability,
  DeleteQuery,
  Deletion,
  Finding,
  GetResult,
  Identity,
  ListQuery,
  Provider,
  ProviderRules,
  SecretRequest,
  SecretWrite,
} from '../provider.ts';
import type { SecretInfo, SecretVersion, VersionInfo } from '../../core/secret.ts';
import type { Connection } from './connection.ts';
import { CAPABILITIES, type Item, LIMITS, type Method, type Result } from './protocol.ts';

/** What a plugin declared about itself in the handshake. */
export type Hello = Result<'hello'>;

export class ExecProvider implements Provider {
  readonly capabilities: ReadonlySet<Capability>;
  readonly rules: ProviderRules;
  readonly hello: Hello;
  readonly connection: Connection;
  readonly #plugin: string;
  readonly #debug: (message: string) => void;
  readonly history?: NonNullable<Provider['history']>;
  readonly makeCurrent?: NonNullable<Provider['makeCurrent']>;
  readonly restore?: NonNullable<Provider['restore']>;
  readonly purge?: NonNullable<Provider['purge']>;

  constructor(plugin: string, connection: Connection, hello: Hello, debug: (message: string) => void) {
    this.#plugin = plugin;
    this.connection = connection;
    this.hello = hello;
    this.#debug = debug;
    // Ignores capabilities that a later version of the protocol may add.
    this.capabilities = new Set(CAPABILITIES.filter((capability) => hello.capabilities.includes(capability)));
    const { nameUnit, blankValue, ...rules } = hello.rules;
    this.rules = {
      ...rules,
      ...(typeof nameUnit === 'string' && { nameUnit }),
      ...(typeof blankValue === 'boolean' && { blankValue }),
    };
    const can = (capability: Capability): boolean => this.capabilities.has(capability);
    if (can('versions')) {
      this.history = (name, options) => this.#history(name, options);
      this.makeCurrent = (name, version, options) => this.#makeCurrent(name, version, options);
    }
    if (can('soft-delete')) this.restore = (name, options) => this.#restore(name, options);
    if (can('versions') || can('soft-delete') || can('stages'))
      this.purge = (name, version, options) => this.#purge(name, version, options);
  }

  checkName(name: string): void {
    const { maxNameLength, nameUnit, nameRule } = this.rules;
    const length = nameUnit === 'bytes' ? Buffer.byteLength(name) : [...name].length;
    // A plugin may build paths from names, and its author may not have considered names that lead elsewhere.
    const climbs = name.split('/').some((segment) => segment === '' || segment === '.' || segment === '..');
    if (length <= maxNameLength && !climbs && !/[\u0000-\u001f\u007f]/.test(name)) return;
    throw new SecretsError('Invalid', `${this.#plugin} allows as a name: ${nameRule}`);
  }

  async get(requests: readonly SecretRequest[], options: CallOptions): Promise<readonly GetResult[]> {
    this.#checkTime(options);
    const results: (GetResult | undefined)[] = requests.map(() => undefined);
    const places = new Map<string, number[]>();
    requests.forEach((request, place) => {
      try {
        this.checkName(request.name);
        const key = JSON.stringify([request.name, request.version, request.stage]);
        const same = places.get(key);
        if (same === undefined) places.set(key, [place]);
        else same.push(place);
      } catch (thrown) {
        results[place] = { ok: false, error: toSecretsError(thrown) };
      }
    });
    const groups = [...places.values()];
    const batches: number[][][] = [];
    for (let start = 0; start < groups.length; start += LIMITS.batch)
      batches.push(groups.slice(start, start + LIMITS.batch));
    await Promise.all(batches.map((batch) => this.#getBatch(requests, batch, results, options)));
    return results as readonly GetResult[];
  }

  async #getBatch(
    requests: readonly SecretRequest[],
    batch: readonly (readonly number[])[],
    results: (GetResult | undefined)[],
    options: CallOptions,
  ): Promise<void> {
    const fill = (places: readonly number[], result: GetResult): void => {
      for (const place of places) results[place] = result;
    };
    const asked = batch.map(([place = 0]) => requests[place] as SecretRequest);
    const seen = new Set<number>();
    let believed = true;
    const wrong = (): SecretsError => {
      believed = false;
      return this.#wrong('get');
    };
    try {
      await this.connection.request(
        'get',
        { requests: asked },
        {
          ...options,
          onItem: ({ index, secret, error }) => {
            const places = batch[index];
            if (places === undefined || seen.has(index) || (secret === undefined) === (error === undefined))
              throw wrong();
            seen.add(index);
            const { name } = asked[index] as SecretRequest;
            if (error !== undefined)
              fill(places, {
                ok: false,
                error: this.connection.toError(error, { method: 'get', value: undefined }),
              });
            else if (secret !== undefined) fill(places, this.#secret(name, secret));
          },
        },
      );
      if (seen.size < batch.length) throw this.#wrong('get');
    } catch (thrown) {
      const error = toSecretsError(thrown);
      batch.forEach((places, index) => {
        if (!believed || !seen.has(index)) fill(places, { ok: false, error });
      });
    }
  }

  #secret(name: string, wire: NonNullable<Item<'get'>['secret']>): GetResult {
    const value = Buffer.from(wire.value, 'base64');
    if (value.toString('base64') !== wire.value || value.length > this.rules.maxValueBytes)
      return { ok: false, error: this.#wrong('get') };
    const secret: SecretVersion = { ...versionOf(wire), name, value };
    return { ok: true, secret };
  }

  async put(name: string, write: SecretWrite, options: CallOptions): Promise<VersionInfo> {
    this.checkName(name);
    this.#checkWrite(write);
    this.#checkTime(options);
    const { value, ifVersion, ifAbsent, ifPending, stage, labels, description, expiresAt } = write;
    const params = {
      name,
      value: Buffer.from(value).toString('base64'),
      ...(ifVersion !== undefined && { ifVersion }),
      ...(ifAbsent === true && { ifAbsent }),
      ...(ifPending !== undefined && { ifPending }),
      ...(stage === 'pending' && { stage }),
      ...(labels !== undefined && { labels }),
      ...(description !== undefined && { description }),
      ...(expiresAt !== undefined && { expiresAt: expiresAt.toISOString() }),
    };
    return versionOf(await this.connection.request('put', params, { ...options, value }));
  }

  #checkWrite({ value, ifVersion, ifAbsent, ifPending, stage, labels }: SecretWrite): void {
    const { maxValueBytes, emptyValue, blankValue } = this.rules;
    const lacks = (capability: Capability, what: string): void => {
      if (!this.capabilities.has(capability))
        throw new SecretsError('Unsupported', `the plugin ${this.#plugin} has no ${what}`);
    };
    if (ifVersion !== undefined || ifAbsent === true || ifPending !== undefined)
      lacks('cas', 'conditional writes');
    if (stage === 'pending') lacks('stages', 'stages');
    if (labels !== undefined && Object.keys(labels).length > 0) lacks('labels', 'labels');
    if (value.length > maxValueBytes)
      throw new SecretsError(
        'Invalid',
        `the value has ${value.length} bytes; ${this.#plugin} allows at most ${maxValueBytes}`,
      );
    if (value.length === 0 && !emptyValue)
      throw new SecretsError('Invalid', `${this.#plugin} accepts no empty value`);
    if (value.length > 0 && blankValue === false && Buffer.from(value).toString().trim() === '')
      throw new SecretsError('Invalid', `${this.#plugin} accepts no value of only white space`);
  }

  async *list(query: ListQuery, options: CallOptions): AsyncGenerator<SecretInfo> {
    this.#checkTime(options);
    const { prefix, deleted, details } = query;
    const params = {
      ...(prefix !== undefined && { prefix }),
      ...(deleted === true && this.capabilities.has('soft-delete') && { deleted }),
      ...(details === true && { details }),
    };
    const seen = new Set<string>();
    let next: string | undefined;
    do {
      const page = this.#stream('list', { ...params, ...(next !== undefined && { next }) }, options);
      for await (const item of page.items) {
        const info = infoOf(item);
        if (prefix !== undefined && !info.name.startsWith(prefix)) throw this.#wrong('list');
        yield info;
      }
      next = (await page.result).next ?? undefined;
      if (next === undefined) return;
      // A repeated cursor would never end.
      if (seen.has(next) || seen.size >= LIMITS.pages) throw this.#wrong('list');
      seen.add(next);
    } while (true);
  }

  async delete(name: string, { windowDays }: DeleteQuery, options: CallOptions): Promise<Deletion> {
    this.checkName(name);
    this.#checkTime(options);
    const params = { name, ...(windowDays !== undefined && { windowDays }) };
    const { recoverableUntil } = await this.connection.request('delete', params, options);
    return typeof recoverableUntil === 'string' ? { recoverableUntil: new Date(recoverableUntil) } : {};
  }

  async describe(name: string, options: CallOptions): Promise<SecretInfo> {
    this.checkName(name);
    this.#checkTime(options);
    return infoOf(await this.connection.request('describe', { name }, options));
  }

  async identity(options: CallOptions): Promise<Identity> {
    this.#checkTime(options);
    const { principal, source, details } = await this.connection.request('identity', {}, options);
    return { principal, source, ...(details !== null && details !== undefined && { details }) };
  }

  async diagnose(options: CallOptions): Promise<readonly Finding[]> {
    const { name, version, protocol } = this.hello;
    const own: Finding = {
      check: 'plugin',
      status: 'ok',
      detail: `${this.#plugin}: ${name} ${version}, protocol ${protocol}`,
    };
    try {
      const { findings } = await this.connection.request('diagnose', {}, options);
      return [own, ...findings.map(({ hint, ...rest }) => ({ ...rest, hint: hint ?? undefined }))];
    } catch (thrown) {
      const { message, hint } = toSecretsError(thrown);
      return [own, { check: 'diagnosis', status: 'fail', detail: message, hint }];
    }
  }

  async *#history(name: string, options: CallOptions): AsyncGenerator<VersionInfo> {
    this.checkName(name);
    this.#checkTime(options);
    const { items, result } = this.#stream('history', { name }, options);
    for await (const item of items) yield versionOf(item);
    await result;
  }

  async #makeCurrent(name: string, version: string, options: CallOptions): Promise<VersionInfo> {
    this.checkName(name);
    this.#checkTime(options);
    return versionOf(await this.connection.request('makeCurrent', { name, version }, options));
  }

  async #restore(name: string, options: CallOptions): Promise<void> {
    this.checkName(name);
    this.#checkTime(options);
    await this.connection.request('restore', { name }, options);
  }

  async #purge(name: string, version: string | undefined, options: CallOptions): Promise<void> {
    this.checkName(name);
    this.#checkTime(options);
    const params = { name, ...(version !== undefined && { version }) };
    await this.connection.request('purge', params, options);
  }

  /**
   * One page: its items as they arrive, and its end. Items that haven't been consumed yet are buffered, up to the limit
   * of a page: all requests share the pipe, so blocking it would also block what the caller requests in the meantime.
   */
  #stream<M extends 'list' | 'history'>(
    method: M,
    params: Readonly<Record<string, unknown>>,
    options: CallOptions,
  ): { readonly items: AsyncGenerator<Item<M>>; readonly result: Promise<Result<M>> } {
    const waiting: Item<M>[] = [];
    const ended = new AbortController();
    let wake: () => void = () => undefined;
    let done = false;
    const result = this.connection
      .request(method, params, {
        ...options,
        signal: AbortSignal.any([options.signal, ended.signal]),
        onItem: (item) => {
          waiting.push(item as Item<M>);
          wake();
        },
      })
      .finally(() => {
        done = true;
        wake();
      });
    // The failure is reported to the caller that awaits it after the items.
    result.catch(() => undefined);
    const items = async function* (): AsyncGenerator<Item<M>> {
      try {
        for (;;) {
          const taken = waiting.splice(0);
          yield* taken;
          if (taken.length > 0) continue;
          if (done) break;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        await result;
      } finally {
        if (!done) ended.abort();
      }
    };
    return { items: items(), result };
  }

  async close(): Promise<void> {
    await this.connection.close();
    const { errorBytes } = this.connection;
    if (errorBytes > 0)
      this.#debug(`the plugin ${this.#plugin} wrote ${errorBytes} bytes to stderr, which are not shown`);
  }

  #checkTime({ signal }: CallOptions): void {
    if (signal.aborted)
      throw new SecretsError(
        'Unavailable',
        `the deadline passed before the plugin ${this.#plugin} was asked`,
      );
  }

  #wrong(method: Method): SecretsError {
    return new SecretsError(
      'Unavailable',
      `the plugin ${this.#plugin} sent an unexpected response to ${method}`,
      { hint: `secrets doctor --plugin ${this.#plugin} tests the plugin` },
    );
  }
}

/** Removes missing fields, and converts texts to dates. */
function filled(wire: Readonly<Record<string, unknown>>): unknown {
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(wire)) {
    if (value === null || value === undefined) continue;
    kept[key] = /(At)$/.test(key) && typeof value === 'string' ? new Date(value) : value;
  }
  return kept;
}

function versionOf(wire: Result<'put'>): VersionInfo {
  const { id, state, stages, createdAt, createdBy, expiresAt, note } = wire;
  return filled({ id, state, stages: stages ?? [], createdAt, createdBy, expiresAt, note }) as VersionInfo;
}

function infoOf(wire: Result<'describe'>): SecretInfo {
  return filled(wire) as SecretInfo;
}
