/** The agent's stores: opens them by the agent's configuration, and records each access with the client that asked. */
import { descriptorOf } from '../config/kinds.ts';
import { recorded } from '../audit/recording/recorded.ts';
import type { Access, AccessRecorder } from '../audit/recording/recorder.ts';
import type { AuditAction } from '../core/audit/record.ts';
import type { StoreConfig } from '../config/config.ts';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import type { CallKind } from '../core/policy/actions.ts';
import type { SecretInfo, SecretVersion, VersionInfo } from '../core/secret.ts';
import { forgetValues } from '../output/confidential.ts';
import { MOST_ANSWER_BYTES } from '../platform/agent/frames.ts';
import type { CallOptions } from '../providers/call.ts';
import { requireMethod } from '../providers/capabilities/require.ts';
import type { Provider, SecretRequest, SecretWrite } from '../providers/provider.ts';
import { credentialState } from '../session/agent-identity.ts';
import { guard } from '../session/guard.ts';
import type { Session } from '../session/session.ts';
import { ValueCache } from './cache.ts';
import { byOf, isSameForClient, readsOf, sizeOf } from './client-answers.ts';
import { AgentPolicies } from './policies.ts';
import { Reading } from './reading.ts';
import type { ServingSettings } from './serving-settings.ts';
import { type OpenStore, StorePool, type StoreSpec } from './pool.ts';
import type {
  AgentClient,
  AgentStore,
  AgentStores,
  CacheStatus,
  Refused,
  Served,
  ServedResult,
} from './stores.ts';

/** No value stays much longer in memory than it may be used. */
const SWEEP_MS = 5000;
/** The values of one answer. In base64, and with what is said about them, they fit in a message. */
const MOST_BYTES = MOST_ANSWER_BYTES / 2;

export class Serving implements AgentStores {
  readonly #session: Session;
  readonly #settings: ServingSettings;
  readonly #pool: StorePool;
  readonly #cache: ValueCache;
  readonly #reading: Reading;
  readonly #policies: AgentPolicies;
  readonly #sweeper: NodeJS.Timeout;
  readonly #specs = new Map<string, { readonly spec: StoreSpec; readonly isOfThisTurn: boolean }>();
  #list: readonly AgentStore[] | undefined;
  /** Stores that have answered. */
  readonly #known = new WeakSet<OpenStore>();

  constructor(session: Session, settings: ServingSettings) {
    this.#session = session;
    this.#settings = settings;
    const context = (spec: StoreSpec): ReturnType<Session['stores']['providerContext']> => ({
      ...session.stores.providerContext(spec.name),
      cwd: spec.cwd,
      rereadsFiles: true,
      // The person at the agent's terminal isn't the one who waits.
      askHidden: undefined,
    });
    this.#pool = new StorePool(session.world, context, (key) => this.#reading.dropStore(key));
    this.#policies = new AgentPolicies(session);
    this.#cache = new ValueCache(settings.bounds);
    this.#reading = new Reading(this.#cache, settings.reading, session.world.now);
    const everyMs = Math.min(Math.max(settings.bounds.ttlMs / 2, 100), SWEEP_MS);
    this.#sweeper = setInterval(() => this.#sweep(), everyMs).unref();
  }

  #sweep(): void {
    const before = this.#cache.size;
    this.#cache.sweep();
    // Nothing that is still held can appear in a message.
    if (before > 0 && this.#cache.size === 0) forgetValues();
  }

  /** The same array each time: the configuration is read once. */
  async list(): Promise<readonly AgentStore[]> {
    this.#list ??= await this.#listed();
    return this.#list;
  }

  async #listed(): Promise<readonly AgentStore[]> {
    const { stores, defaultStore, untrustedDefault } = await this.#session.config();
    const isDefault = (name: string): boolean => untrustedDefault === undefined && name === defaultStore;
    return [...stores.values()]
      .filter(({ untrusted }) => untrusted === undefined)
      .map(({ name, provider }) => ({ name, provider, isDefault: isDefault(name) }))
      .sort((one, other) => Number(other.isDefault) - Number(one.isDefault));
  }

  async get(client: AgentClient, store: string, request: SecretRequest, call: CallOptions): Promise<Served> {
    const recorder = await this.#session.stores.records.recorder();
    let record: readonly Access[] = [];
    try {
      return await this.#signedIn(
        () => this.#opened(client, 'read', store, request.name, call),
        async (open) => {
          const policies = await this.#allowed(client, open, request.name, call);
          const read = await this.#read(client, open, [request], call, () => policies);
          record = read.record;
          const [result] = read.results;
          if (result === undefined) throw new TypeError('one was asked for');
          if (!result.ok) throw result.error.forReference(`${store}://${request.name}`);
          return result;
        },
      );
    } finally {
      await recorder.record(record);
    }
  }

  /**
   * Reads secrets for the command line, which names the store by its settings. What the agent can't answer as the
   * command itself would isn't recorded, because the command does that.
   * @param mode how the client records
   * @returns why the client must ask the store itself, if it must
   * @throws SecretsError if the store can't be opened, or the access can't be recorded
   */
  async readFor(
    client: AgentClient,
    spec: StoreSpec,
    requests: readonly SecretRequest[],
    mode: 'required' | 'best-effort',
    call: CallOptions,
  ): Promise<readonly ServedResult[] | string> {
    // The client then decides and records it as itself.
    const permits = await this.#policies.permitsFor(client, spec, requests);
    if (permits === undefined) return 'a policy keeps it from answering';
    const open = await this.#pool.open(spec, call);
    const recorder = await this.#session.stores.records.strictRecorder(mode);
    const { results, record } = await this.#read(client, open, requests, call, (name) => permits.get(name));
    if (!results.every(isSameForClient)) return 'the store wants to know who asks';
    if (sizeOf(results) > MOST_BYTES) return 'the values are too large';
    await recorder.record(record);
    return results;
  }

  /**
   * What a plain `get` prints, if it is in memory: recorded as the command's own read.
   * @param select the part of it that is wanted, if the agent may answer with it
   * @returns undefined if the client must ask in full; nothing is recorded then
   * @throws SecretsError if the access can't be recorded, or as `select` has them
   */
  async readHeld(
    client: AgentClient,
    spec: StoreSpec,
    request: SecretRequest,
    mode: 'required' | 'best-effort',
    select: (secret: SecretVersion) => Promise<Uint8Array | undefined>,
  ): Promise<Uint8Array | undefined> {
    const open = this.#pool.ready(spec);
    const permits = await this.#policies.permitsFor(client, spec, [request]);
    if (permits === undefined || open === undefined || !this.#reading.holds(open, request)) return undefined;
    const { signal } = new AbortController();
    const read = await this.#read(client, open, [request], { signal }, (name) => permits.get(name));
    const [result] = read.results;
    const isHeld = result?.ok === true && result.from === 'cache';
    if (isHeld && sizeOf(read.results) > MOST_BYTES) return undefined;
    const value = isHeld ? await select(result.secret) : undefined;
    // Out of date since `holds`: the store was asked after all, which is an access.
    if (isHeld && value === undefined) return undefined;
    await (await this.#session.stores.records.strictRecorder(mode)).record(read.record);
    return value;
  }

  /** Reads secrets of one store. @returns the results, and what to record before any of them is handed out */
  async #read(
    client: AgentClient,
    open: OpenStore,
    requests: readonly SecretRequest[],
    call: CallOptions,
    permits: (name: string) => readonly string[] | undefined,
  ): Promise<{ readonly results: readonly ServedResult[]; readonly record: readonly Access[] }> {
    const started = Date.now();
    const results = await this.#reading.read(open, requests, call);
    const { provider, spec } = open;
    // Its credential may be the reason: the next one signs in anew.
    if (results.some((result) => !result.ok && isAboutSignIn(result.error))) this.#pool.forget(open);
    const identity = provider.knownIdentity?.();
    const durationMs = Date.now() - started;
    const by = byOf(client);
    const common = { store: spec.name, provider: spec.provider, identity, durationMs, by };
    const record = readsOf(requests, results).map((one) => ({
      ...one,
      ...common,
      policies: permits(one.secret),
    }));
    return { results, record };
  }

  describe(client: AgentClient, store: string, name: string, call: CallOptions): Promise<SecretInfo> {
    return this.#inStore(client, 'describe', store, name, call, (provider) => provider.describe(name, call));
  }

  versions(
    client: AgentClient,
    store: string,
    name: string,
    call: CallOptions,
  ): Promise<readonly VersionInfo[]> {
    return this.#inStore(client, 'describe', store, name, call, async (provider) => {
      const history = requireMethod(provider, 'history', `${store} keeps no versions`);
      const versions: VersionInfo[] = [];
      for await (const version of history(name, call)) versions.push(version);
      return versions;
    });
  }

  async *names(
    client: AgentClient,
    store: string,
    prefix: string,
    call: CallOptions,
  ): AsyncIterable<SecretInfo> {
    // The first name shows whether the sign-in is good.
    const { all, first } = await this.#inStore(client, 'list', store, prefix, call, async (provider) => {
      const iterator = provider.list({ prefix }, call)[Symbol.asyncIterator]();
      return { all: iterator, first: await iterator.next() };
    });
    try {
      for (let next = first; next.done !== true; next = await all.next()) yield next.value;
    } finally {
      await all.return?.();
    }
  }

  mayWrite(store: string, name: string): boolean {
    return this.#settings.write.some(
      (allowed) =>
        allowed.store === store &&
        (allowed.prefix === '' || allowed.prefix.endsWith('/')
          ? name.startsWith(allowed.prefix)
          : name === allowed.prefix),
    );
  }

  async put(
    client: AgentClient,
    store: string,
    name: string,
    write: SecretWrite,
    call: CallOptions,
  ): Promise<VersionInfo> {
    if (!this.mayWrite(store, name)) {
      const error = new SecretsError('Policy', 'the agent may not write this secret', {
        reference: `${store}://${name}`,
        hint: 'start it with --write STORE://PREFIX/',
      });
      await this.#refused(client, { action: 'write', store, secret: name, error });
      throw error;
    }
    return this.#inStore(client, 'write', store, name, call, (provider) => provider.put(name, write, call));
  }

  async refused(client: AgentClient, { action, store, name }: Refused): Promise<void> {
    const error =
      store === undefined
        ? new SecretsError('Unauthenticated', 'the token is not known')
        : new SecretsError('Policy', 'the token is not for this secret');
    await this.#refused(client, { action, store: store ?? '', secret: name || undefined, error });
  }

  /** A secret in a store of this kind was changed. */
  dropKind(provider: string): void {
    this.#reading.dropKind(provider);
  }

  clear(): number {
    forgetValues();
    return this.#reading.clear();
  }

  status(): CacheStatus {
    const { size: values, bytes, oldestMs } = this.#cache;
    const { hits, misses } = this.#reading;
    return { values, bytes, oldestMs, hits, misses, stores: this.#pool.size };
  }

  /** Forgets every value and closes every store. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    this.clear();
    await this.#pool.closeAll();
  }

  /** Calls a store of the agent's configuration, which records it. */
  #inStore<T>(
    client: AgentClient,
    kind: CallKind,
    store: string,
    secret: string,
    call: CallOptions,
    work: (provider: Provider) => Promise<T>,
  ): Promise<T> {
    return this.#signedIn(
      () => this.#opened(client, kind, store, secret, call),
      async (open) => work(await this.#recorded(client, open)),
    );
  }

  /**
   * Calls a store. If it no longer knows the agent, although it did before, it is opened anew once: the sign-in may have
   * ended. A sign-in that never worked isn't repeated, because that may lock an account.
   */
  async #signedIn<T>(open: () => Promise<OpenStore>, work: (open: OpenStore) => Promise<T>): Promise<T> {
    for (let isSecond = false; ; isSecond = true) {
      const store = await open();
      try {
        const done = await work(store);
        this.#known.add(store);
        return done;
      } catch (thrown) {
        if (!isAboutSignIn(toSecretsError(thrown))) throw thrown;
        this.#pool.forget(store);
        if (isSecond || !this.#known.has(store)) throw thrown;
      }
    }
  }

  async #recorded(client: AgentClient, { provider, spec }: OpenStore): Promise<Provider> {
    const all = await this.#session.stores.records.recorder();
    const by = byOf(client);
    const recorder: AccessRecorder = {
      intend: (access) => all.intend({ ...access, by }),
      record: (accesses) => all.record(accesses.map((access) => ({ ...access, by }))),
    };
    const changed = (): Promise<void> => Promise.resolve(this.dropKind(spec.provider));
    const recordedStore = { recorder, store: spec.name, kind: spec.provider, changed };
    return recorded({ ...recordedStore, ...(await this.#policies.around(client, { provider, spec })) });
  }

  /** Decides a read that memory may answer. @returns the policies that permit it @throws SecretsError Policy */
  async #allowed(
    client: AgentClient,
    open: OpenStore,
    secret: string,
    call: CallOptions,
  ): Promise<readonly string[] | undefined> {
    try {
      return await this.#policies.checkRead(client, open, secret, call);
    } catch (thrown) {
      const { name: store, provider } = open.spec;
      await this.#refused(client, { action: 'read', store, provider, secret, error: toSecretsError(thrown) });
      throw thrown;
    }
  }

  /** A store of the agent's configuration. A failure to open it is recorded, and so is a denial. */
  async #opened(
    client: AgentClient,
    kind: CallKind,
    store: string,
    secret: string,
    call: CallOptions,
  ): Promise<OpenStore> {
    let action: AuditAction = 'other';
    try {
      const config = await this.#session.storeConfig(store);
      await guard(config, (await this.#session.config()).file);
      action = kind === 'read' || kind === 'list' || kind === 'describe' || kind === 'write' ? kind : 'other';
      await this.#policies.checkBefore(client, kind, config, secret);
      action = 'other';
      return await this.#pool.open(this.#spec(config), call);
    } catch (thrown) {
      const error = toSecretsError(thrown);
      await this.#refused(client, { action, store, secret: secret || undefined, error });
      throw thrown;
    }
  }

  /**
   * What a store is opened with. The files with credentials are looked at once for all requests that have come in this
   * turn of the event loop.
   */
  #spec({ name, provider, settings }: StoreConfig): StoreSpec {
    const known = this.#specs.get(name);
    if (known?.isOfThisTurn === true) return known.spec;
    const { world } = this.#session;
    const descriptor = descriptorOf(world, provider);
    const credentials = credentialState({ world, descriptor, settings });
    const isSame = known?.spec.credentials === credentials;
    const spec = isSame ? known.spec : { name, provider, settings, cwd: world.cwd, credentials };
    const own = { spec, isOfThisTurn: true };
    this.#specs.set(name, own);
    setImmediate(() => {
      own.isOfThisTurn = false;
    });
    return spec;
  }

  async #refused(client: AgentClient, access: Access): Promise<void> {
    const recorder = await this.#session.stores.records.recorder();
    await recorder.record([{ ...access, by: byOf(client) }]);
  }
}

function isAboutSignIn({ kind }: SecretsError): boolean {
  return kind === 'Unauthenticated';
}
