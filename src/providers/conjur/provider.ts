/**
 * Conjur's variables behind the provider interface.
 *
 * A secret is a variable; its name is the variable's whole path in the account. Values are bytes. A policy has to
 * declare a variable before it can have a value: `put` declares a missing one, and labels are annotations of that
 * declaration.
 */
// Over 400 lines because a single class implements every method of the interface.
/* oxlint-disable max-lines */
import type { AuditEvent } from '../../core/audit/record.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { pool } from '../../core/waiting.ts';
import type { AccessControl } from '../capabilities/grants.ts';
import type { Action, Right } from '../capabilities/rights.ts';
import type { CallOptions } from '../call.ts';
import type {
  Capability,
  Deletion,
  Finding,
  GetResult,
  Identity,
  KnownIdentity,
  ListQuery,
  Provider,
  ProviderRules,
  SecretRequest,
  SecretWrite,
} from '../provider.ts';
import type { LabelChanges } from '../capabilities/labels.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { SecretInfo, SecretVersion, VersionInfo } from '../../core/secret.ts';
import type { TrailQuery } from '../capabilities/trail.ts';
import { noValueYet } from '../errors.ts';
import { checkSignal, settle } from '../reading.ts';
import { LATEST, readMany } from './batch.ts';
import type { ConjurClient } from './client.ts';
import { diagnose } from './diagnose.ts';
import { searchFor } from './search.ts';
import { Pending, PENDING_ID, PENDING_SUFFIX, pendingInfo, siblingOf } from './pending.ts';
import { checkRights } from './rights.ts';
import type { ConjurSettings } from './settings.ts';
import {
  annotationsOf,
  checkAnnotations,
  describeVariable,
  type Variable,
  versionInfos,
} from './variable.ts';

const PARALLEL = 16;
/** Variables on one page; the maximum of CyberArk's SaaS. */
const PAGE = 1000;
/**
 * Conjur documents no limit for values or names. A value is sent as a request body, which nginx, in front of most
 * servers, limits to 1 MiB by default; a name is part of the request line. White space alone counts as "blank" in
 * Conjur and is rejected.
 */
const RULES: ProviderRules = {
  maxNameLength: 1024,
  nameUnit: 'bytes',
  nameRule: `1 to 1024 bytes, no control characters, no empty, . or .. segments, not ending in ${PENDING_SUFFIX}`,
  maxValueBytes: 1024 * 1024,
  emptyValue: false,
  blankValue: false,
};

export class ConjurProvider implements Provider {
  readonly capabilities: ReadonlySet<Capability> = new Set([
    'versions',
    'stages',
    'labels',
    'batch-get',
    'trail',
  ]);
  readonly rules = RULES;
  readonly #client: ConjurClient;
  readonly #branch: string;
  readonly #pending: Pending;

  readonly #settings: ConjurSettings;
  readonly #context: ProviderContext;

  constructor(client: ConjurClient, settings: ConjurSettings, context: ProviderContext) {
    this.#client = client;
    this.#settings = settings;
    this.#context = context;
    this.#branch = (settings.policy ?? 'root').replaceAll(/^\/+|\/+$/g, '') || 'root';
    this.#pending = new Pending(client, (name, main) => this.#place(name, main));
  }

  checkName(name: string): void {
    const bad =
      name.length === 0 ||
      Buffer.byteLength(name) > RULES.maxNameLength ||
      /[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}/u.test(name) ||
      name.split('/').some((part) => part === '' || part === '.' || part === '..') ||
      name.endsWith(PENDING_SUFFIX);
    if (bad) throw new SecretsError('Invalid', `conjur allows names of ${RULES.nameRule}`);
  }

  async get(requests: readonly SecretRequest[], options: CallOptions): Promise<readonly GetResult[]> {
    checkSignal(options.signal);
    const known = new Map<string, Promise<GetResult>>();
    const limit = pool(PARALLEL);
    const keyOf = ({ name, version, stage }: SecretRequest): string => JSON.stringify([name, version, stage]);
    const one = (request: SecretRequest): Promise<GetResult> =>
      settle(limit(() => this.#getOne(request, options)));
    const plain = [
      ...new Set(requests.filter((request) => this.#fitsBatch(request)).map(({ name }) => name)),
    ];
    if (plain.length > 1) {
      const found = readMany(this.#client, plain, (name) => one({ name }), options.signal);
      for (const name of plain) {
        const result = found.then((all) => all.get(name) as GetResult);
        for (const stage of [undefined, 'current']) known.set(keyOf({ name, stage }), result);
      }
    }
    return Promise.all(
      requests.map((request) => {
        const key = keyOf(request);
        let result = known.get(key);
        if (result === undefined) known.set(key, (result = one(request)));
        return result;
      }),
    );
  }

  #fitsBatch({ name, version, stage }: SecretRequest): boolean {
    if (version !== undefined || (stage !== undefined && stage !== 'current')) return false;
    // The batch call separates ids with commas.
    return !name.includes(',') && kindOf(() => this.checkName(name)) === undefined;
  }

  async #getOne({ name, version, stage }: SecretRequest, { signal }: CallOptions): Promise<SecretVersion> {
    this.checkName(name);
    if (version?.startsWith(PENDING_ID) === true || stage === 'pending') {
      const sibling = await this.#pending.find(name, version, signal);
      const value = await this.#pending.read(sibling, signal);
      return { ...(pendingInfo(sibling) as VersionInfo), name, value };
    }
    if (version !== undefined && version !== LATEST && !/^[1-9]\d{0,9}$/.test(version))
      throw new SecretsError('NotFound', `has no version ${version}`, {
        hint: 'versions are numbers: secrets history',
      });
    const infos = versionInfos(await this.#found(name, signal));
    const current = version === undefined || version === LATEST;
    const wanted = current ? (stage ?? 'current') : version;
    const info = infos.find(({ id, stages }) => (current ? stages.includes(wanted) : id === wanted));
    if (info === undefined) {
      if (infos.length === 0) throw noValueYet();
      throw new SecretsError('NotFound', `has no ${current ? `${wanted} version` : `version ${wanted}`}`, {
        hint: 'Conjur keeps the last twenty versions: secrets history',
      });
    }
    const value = await this.#client.value(name, Number(info.id), signal);
    if (value === undefined) throw new SecretsError('NotFound', `has no version ${info.id} any more`);
    return { ...info, name, value };
  }

  async put(name: string, write: SecretWrite, { signal }: CallOptions): Promise<VersionInfo> {
    this.checkName(name);
    checkValue(write.value);
    if (write.ifVersion !== undefined || write.ifAbsent === true)
      throw new SecretsError('Unsupported', 'conjur has no conditional write', {
        hint: 'write without --if-version and --if-absent',
      });
    if (write.stage === 'pending') {
      if (annotationsOf(write) !== undefined)
        throw new SecretsError(
          'Unsupported',
          'conjur’s labels belong to the secret, not to a pending version',
        );
      checkSignal(signal);
      return this.#pending.put(name, write.value, signal);
    }
    annotationsOf(write);
    checkSignal(signal);
    return this.#write(name, write, signal);
  }

  async #write(name: string, write: SecretWrite, signal: AbortSignal): Promise<VersionInfo> {
    const before = await this.#client.variable(name, signal);
    const annotations = annotationsOf(write, before?.annotations);
    const { branch, id } = this.#place(name, before);
    if (before === undefined) {
      await this.#client.load(branch, [{ declare: id(name), annotations }], signal);
      await this.#client.add(name, write.value, signal).catch((thrown: unknown) => {
        throw besides(thrown, 'the variable is declared, but has no value');
      });
    } else {
      await this.#client.add(name, write.value, signal);
      if (annotations !== undefined)
        await this.#client
          .load(branch, [{ declare: id(name), annotations }], signal)
          .catch((thrown: unknown) => {
            throw besides(thrown, 'the value is written, its labels are not');
          });
    }
    const after = await this.#client.variable(name, signal).catch((thrown: unknown) => {
      throw besides(thrown, 'the value is written; its version is not known');
    });
    if (after === undefined)
      throw new SecretsError('Failed', 'the value was written, but the variable has been deleted since');
    checkAnnotations(after, annotations, 'the value is written; ');
    return this.#written(name, write.value, before?.versions[0]?.number ?? 0, after, signal);
  }

  /** Labels are annotations in the variable's declaration, which is loaded again; a removed label becomes empty. */
  async setLabels(name: string, labels: LabelChanges, { signal }: CallOptions): Promise<void> {
    this.checkName(name);
    const before = await this.#found(name, signal);
    const annotations = annotationsOf({ labels }, before.annotations);
    if (annotations === undefined) return;
    const { branch, id } = this.#place(name, before);
    await this.#client.load(branch, [{ declare: id(name), annotations }], signal);
    checkAnnotations(await this.#found(name, signal), annotations, '');
  }

  /** Finds the version that was just written among those after `last`: the response to a write doesn't contain it. */
  async #written(
    name: string,
    value: Uint8Array,
    last: number,
    after: Variable,
    signal: AbortSignal,
  ): Promise<VersionInfo> {
    const infos = versionInfos(after);
    const [newest] = infos;
    if (newest === undefined)
      throw new SecretsError('Failed', 'the value was written, but has been deleted since');
    // Conjur creates no new version if the value is already the newest one.
    if (Number(newest.id) <= last) return { ...newest, note: 'Conjur keeps an unchanged value as it is' };
    if (Number(newest.id) === last + 1) return newest;
    // Other writers have written in the meantime.
    for (const info of infos.filter(({ id }) => Number(id) > last)) {
      const found = await this.#client.value(name, Number(info.id), signal).catch(() => undefined);
      if (found?.equals(value) === true) return info;
    }
    return { ...newest, note: 'others wrote at the same time; which version is whose is not known' };
  }

  /** The policy that declares a variable or will declare it, and the form of an id in that policy. */
  #place(name: string, there: Variable | undefined): { branch: string; id: (name: string) => string } {
    const branch = there?.policy ?? this.#branch;
    const prefix = branch === 'root' ? '' : `${branch}/`;
    if (!name.startsWith(prefix) || name.length === prefix.length)
      throw new SecretsError('Invalid', `this store creates variables only in the policy ${branch}`, {
        hint: `use a name that begins with ${prefix}, or declare the variable in a policy`,
      });
    return { branch, id: (full) => full.slice(prefix.length) };
  }

  async *list(query: ListQuery, { signal }: CallOptions): AsyncIterable<SecretInfo> {
    checkSignal(signal);
    const prefix = query.prefix ?? '';
    const account = await this.#client.account();
    const seen = new Set<string>();
    const search = searchFor(prefix);
    let last: string | undefined;
    for (let offset = 0; ;) {
      // Each page starts with the last item of the previous one: if that has moved, earlier names were deleted and some
      // were skipped.
      const page = await this.#client.page({ search, offset, limit: PAGE }, signal);
      if (last !== undefined && page[0]?.name !== last) {
        last = undefined;
        offset = 0;
        continue;
      }
      for (const variable of page) {
        if (seen.has(variable.name)) continue;
        seen.add(variable.name);
        if (!variable.name.startsWith(prefix) || variable.name.endsWith(PENDING_SUFFIX)) continue;
        yield describeVariable(variable, `${account}:variable:${variable.name}`);
      }
      if (page.length < PAGE) return;
      last = page.at(-1)?.name;
      offset += page.length - 1;
    }
  }

  async delete(name: string, _query: object, { signal }: CallOptions): Promise<Deletion> {
    this.checkName(name);
    const [main, sibling] = await Promise.all(
      [name, siblingOf(name)].map((one) => this.#client.variable(one, signal)),
    );
    const found = [sibling, main].filter((one) => one !== undefined);
    if (found.length === 0) throw await this.#notFound(signal);
    const places = found.map((one) => ({ ...this.#place(one.name, one), name: one.name }));
    const [first] = places;
    // A document is loaded completely or not at all.
    if (places.every(({ branch }) => branch === first?.branch))
      await this.#client.load(
        first?.branch ?? '',
        places.map(({ id, name: one }) => ({ remove: id(one) })),
        signal,
      );
    else
      for (const { branch, id, name: one } of places)
        await this.#client.load(branch, [{ remove: id(one) }], signal);
    return {};
  }

  async purge(name: string, version: string | undefined, options: CallOptions): Promise<void> {
    this.checkName(name);
    if (version === undefined) {
      await this.delete(name, {}, options);
      return;
    }
    if (version.startsWith(PENDING_ID)) {
      const { signal } = options;
      await this.#pending.discard(await this.#pending.find(name, version, signal), signal);
      return;
    }
    throw new SecretsError(
      'Unsupported',
      'conjur deletes a variable with all its versions, not one of them',
      {
        hint: 'old versions are removed after twenty newer ones',
      },
    );
  }

  async describe(name: string, { signal }: CallOptions): Promise<SecretInfo> {
    this.checkName(name);
    return describeVariable(await this.#found(name, signal), await this.nativeId(name));
  }

  async *history(name: string, { signal }: CallOptions): AsyncIterable<VersionInfo> {
    this.checkName(name);
    const [main, sibling] = await Promise.all(
      [name, siblingOf(name)].map((one) => this.#client.variable(one, signal)),
    );
    const pending = sibling === undefined ? undefined : pendingInfo(sibling);
    if (main === undefined && pending === undefined) throw await this.#notFound(signal);
    if (pending !== undefined) yield pending;
    if (main !== undefined) yield* versionInfos(main);
  }

  async makeCurrent(name: string, version: string, options: CallOptions): Promise<VersionInfo> {
    this.checkName(name);
    const { signal } = options;
    if (version.startsWith(PENDING_ID))
      return this.#pending.promote(name, version, (value) => this.#write(name, { value }, signal), signal);
    const { value, ...info } = await this.#getOne({ name, version }, options);
    if (info.stages.includes('current')) return { id: info.id, state: info.state, stages: info.stages };
    return this.#write(name, { value }, signal);
  }

  async checkRights(
    name: string,
    actions: readonly Action[],
    { signal }: CallOptions,
  ): Promise<readonly Right[]> {
    this.checkName(name);
    const { branch } = this.#place(name, await this.#client.variable(name, signal));
    return checkRights(this.#client, { name, branch }, actions, signal);
  }

  async accessControl(): Promise<AccessControl> {
    const { ConjurAccess } = await import('./access.ts');
    return new ConjurAccess(this.#client, (name) => this.checkName(name));
  }

  async nativeId(name: string): Promise<string> {
    return `${await this.#client.account()}:variable:${name}`;
  }

  async identity({ signal }: CallOptions): Promise<Identity> {
    const { principal, source, details } = await this.#client.identity(signal);
    return { principal, source, details };
  }

  knownIdentity(): KnownIdentity | undefined {
    return this.#client.knownIdentity();
  }

  diagnose({ signal }: CallOptions): Promise<readonly Finding[]> {
    return diagnose(this.#client, this.#branch, signal);
  }

  async *trail(query: TrailQuery, options: CallOptions): AsyncIterable<AuditEvent> {
    if (query.name !== undefined) this.checkName(query.name);
    const { readTrail } = await import('./trail.ts');
    const account = await this.#client.account();
    yield* readTrail({ account, file: this.#settings.trail?.file, context: this.#context }, query, options);
  }

  close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }

  async #found(name: string, signal: AbortSignal): Promise<Variable> {
    const variable = await this.#client.variable(name, signal);
    if (variable === undefined) throw await this.#notFound(signal);
    return variable;
  }

  async #notFound(signal: AbortSignal): Promise<SecretsError> {
    const role = await this.#client.role(signal);
    return new SecretsError('NotFound', `not found, or ${role} may not see it (Conjur doesn’t say which)`, {
      hint: 'secrets list shows what that role may see',
    });
  }
}

function checkValue(value: Uint8Array): void {
  if (value.length > RULES.maxValueBytes)
    throw new SecretsError(
      'Invalid',
      `the value has ${value.length} bytes; Conjur servers allow ${RULES.maxValueBytes}`,
    );
  if (value.every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)))
    throw new SecretsError('Invalid', `conjur rejects a value that is empty or only white space`);
}

function kindOf(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (thrown) {
    return toSecretsError(thrown).kind;
  }
}

/** The error for a failure after a part was done; says what was done. */
function besides(thrown: unknown, done: string): SecretsError {
  const error = toSecretsError(thrown);
  return new SecretsError(error.kind, `${done}: ${error.message}`, { hint: error.hint, cause: thrown });
}
