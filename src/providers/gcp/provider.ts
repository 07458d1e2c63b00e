/** Google Secret Manager behind the provider interface. docs/gcp.md documents its guarantees. */
// Over 400 lines because a single class implements every method of the interface, each with only a few calls.
/* oxlint-disable max-lines */
import type { AuditEvent } from '../../core/audit/record.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { pool } from '../../core/waiting.ts';
import type { AccessControl } from '../capabilities/grants.ts';
import type { Action, Right } from '../capabilities/rights.ts';
import type { CallOptions } from '../call.ts';
import type {
  Capability,
  DeleteQuery,
  Deletion,
  Finding,
  GetResult,
  Identity,
  KnownIdentity,
  ListQuery,
  Provider,
  SecretRequest,
  SecretWrite,
} from '../provider.ts';
import type { Grant, SecretInfo, SecretVersion, VersionInfo } from '../../core/secret.ts';
import type { LabelChanges } from '../capabilities/labels.ts';
import type { NativeRotations } from '../capabilities/rotation.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { TrailQuery } from '../capabilities/trail.ts';
import { deletedInTheWay, noValueYet, softDeleted } from '../errors.ts';
import { checkSignal, readEach } from '../reading.ts';
import { CODE, codeUnder } from './errors.ts';
import { grantsOf, type RawPolicy } from './grants.ts';
import { checkId, isAlias, isNumber, lastPart, PENDING_SUFFIX, RULES } from './names.ts';
import { isPendingId, PendingVersions } from './pending.ts';
import {
  applyWrite,
  changes,
  dateOf,
  expiryOf,
  formatDeletion,
  infoOf,
  NOTE,
  parseDeletion,
  type RawSecret,
  type RawVersion,
  versionOf,
} from './resources.ts';
import { checkRights } from './rights.ts';
import type { GcpSettings } from './settings.ts';
import type { Accessed, GcpStore } from './store.ts';

const PARALLEL = 16;
const DAY_MS = 86_400_000;
/** How many versions are tried one by one to find the previous one, before they are listed. */
const PREVIOUS_TRIES = 8;

const CAPABILITIES: ReadonlySet<Capability> = new Set<Capability>([
  'versions',
  'stages',
  'soft-delete',
  'labels',
  'cas',
  'trail',
  'native-rotation',
]);
const WITHOUT_ETAGS: ReadonlySet<Capability> = new Set([...CAPABILITIES].filter((one) => one !== 'cas'));

export class GcpProvider implements Provider {
  readonly rules = RULES;
  readonly #store: GcpStore;
  readonly #pending: PendingVersions;
  readonly #prefix: string;
  readonly #location: string | undefined;
  readonly #context: ProviderContext;

  constructor(store: GcpStore, settings: GcpSettings, context: ProviderContext) {
    this.#store = store;
    this.#pending = new PendingVersions(store);
    this.#prefix = settings.prefix ?? '';
    this.#location = settings.location ?? undefined;
    this.#context = context;
  }

  /** Without etags, as in some emulators, the capabilities that depend on them are missing. */
  get capabilities(): ReadonlySet<Capability> {
    return this.#store.lacksEtags ? WITHOUT_ETAGS : CAPABILITIES;
  }

  checkName(name: string): void {
    if (name === '') throw new SecretsError('Invalid', `gcp allows names of ${RULES.nameRule}`);
    checkId(this.#prefix + name);
  }

  #id(name: string): string {
    this.checkName(name);
    return this.#prefix + name;
  }

  async checkRights(
    name: string,
    actions: readonly Action[],
    { signal }: CallOptions,
  ): Promise<readonly Right[]> {
    return checkRights(this.#store, this.#id(name), actions, signal);
  }

  async get(requests: readonly SecretRequest[], { signal }: CallOptions): Promise<readonly GetResult[]> {
    checkSignal(signal);
    return readEach(requests, PARALLEL, (request) => this.#getOne(request, signal));
  }

  async #getOne({ name, version, stage }: SecretRequest, signal: AbortSignal): Promise<SecretVersion> {
    const id = this.#id(name);
    if (stage === 'pending' || (version !== undefined && isPendingId(version)))
      return { name, ...(await this.#pending.get(id, version, signal)) };
    if (stage === 'previous') return { name, ...(await this.#previous(id, signal)) };
    const current =
      version === undefined && (stage === undefined || stage === 'current' || stage === 'latest');
    if (version !== undefined ? !isNumber(version) : !current && !isAlias(stage ?? ''))
      throw new SecretsError('NotFound', `has no version ${version ?? stage}`, {
        hint: 'versions are numbers: secrets history',
      });
    const asked = current ? 'latest' : (version ?? stage ?? '');
    const found = await this.#access(id, asked, signal);
    return { name, ...readable(found, current ? ['current'] : stage === undefined ? [] : [stage]) };
  }

  async #access(id: string, version: string, signal: AbortSignal): Promise<Accessed> {
    try {
      return await this.#store.access(id, version, signal);
    } catch (thrown) {
      const error = toSecretsError(thrown);
      if (codeUnder(error) === CODE.FAILED_PRECONDITION)
        throw await this.#explain(id, version, error, signal);
      if (error.kind === 'NotFound' && version === 'latest') throw await this.#missing(id, error, signal);
      if (error.kind === 'NotFound')
        throw new SecretsError('NotFound', `not found, or has no version ${version}`, {
          hint: 'secrets history shows its versions',
          cause: error,
        });
      throw error;
    }
  }

  /** Google has the same message for a missing secret and for one without versions. */
  async #missing(id: string, error: SecretsError, signal: AbortSignal): Promise<SecretsError> {
    const secret = await this.#store.find(id, signal).catch(() => undefined);
    if (secret === undefined) return error;
    return secret.annotations?.[NOTE.deleted] === undefined ? noValueYet(error) : softDeleted(error);
  }

  /**
   * Explains FAILED_PRECONDITION: the secret is soft-deleted, or the version is disabled or destroyed. `latest` never
   * moves back to an older version by itself.
   */
  async #explain(
    id: string,
    version: string,
    error: SecretsError,
    signal: AbortSignal,
  ): Promise<SecretsError> {
    const secret = await this.#store.find(id, signal).catch(() => undefined);
    if (secret?.annotations?.[NOTE.deleted] !== undefined) return softDeleted(error);
    const destroyed = /DESTROYED/.test(error.message);
    const state = destroyed ? 'destroyed' : 'disabled';
    const [, number = version] = /versions\/(\d+)\]/.exec(error.message) ?? [];
    if (version !== 'latest')
      return new SecretsError(destroyed ? 'NotFound' : 'Invalid', `version ${number} is ${state}`, {
        hint: destroyed
          ? 'secrets history shows what is left'
          : `gcloud secrets versions enable ${number} enables it`,
        cause: error,
      });
    return new SecretsError(
      destroyed ? 'NotFound' : 'Invalid',
      `its newest version (${number}) is ${state}, and Google’s latest is always the newest`,
      {
        hint: 'secrets restore --version N makes an older one current; ?stage=previous reads the last enabled one',
        cause: error,
      },
    );
  }

  /** The newest enabled version before the newest one. Usually needs only the right to read values. */
  async #previous(id: string, signal: AbortSignal): Promise<Omit<SecretVersion, 'name'>> {
    let number: number;
    try {
      number = Number((await this.#store.access(id, 'latest', signal)).number);
    } catch (thrown) {
      const error = toSecretsError(thrown);
      if (error.kind === 'NotFound') throw await this.#missing(id, error, signal);
      if (codeUnder(error) !== CODE.FAILED_PRECONDITION) throw error;
      number = await this.#store.newest(id, signal);
    }
    for (let tries = 1; number > 1; tries += 1) {
      number -= 1;
      if (tries > PREVIOUS_TRIES) number = await this.#enabledBefore(id, number + 1, signal);
      if (number === 0) break;
      try {
        return readable(await this.#store.access(id, String(number), signal), ['previous']);
      } catch (thrown) {
        const code = codeUnder(thrown);
        if (code !== CODE.FAILED_PRECONDITION && code !== CODE.NOT_FOUND) throw thrown;
      }
    }
    throw new SecretsError('NotFound', 'has no previous version');
  }

  async #enabledBefore(id: string, before: number, signal: AbortSignal): Promise<number> {
    for (const { name, state } of await this.#store.versions(id, signal))
      if (state === 'ENABLED' && Number(lastPart(name)) < before) return Number(lastPart(name));
    return 0;
  }

  async put(name: string, write: SecretWrite, { signal }: CallOptions): Promise<VersionInfo> {
    const id = this.#id(name);
    const { length } = write.value;
    if (length > RULES.maxValueBytes || length === 0)
      throw new SecretsError(
        'Invalid',
        `the value has ${length} bytes; gcp allows 1 to ${RULES.maxValueBytes}`,
      );
    checkSignal(signal);
    applyWrite({}, write);
    if (write.stage === 'pending') return this.#pending.put(id, write, signal);
    const change = (secret: RawSecret): ReturnType<typeof applyWrite> => applyWrite(secret, write);
    if (write.ifAbsent === true || write.ifVersion !== undefined) {
      const expected = write.ifAbsent === true ? 0 : Number(write.ifVersion);
      if (!Number.isSafeInteger(expected) || (write.ifAbsent !== true && expected < 1))
        throw new SecretsError('Conflict', `its current version is not ${write.ifVersion}`);
      const { version } = await this.#store.replace(id, expected, write.value, change, signal);
      return versionOf(version, ['current']);
    }
    return this.#append(id, write, signal);
  }

  /** Adds a version without a condition, to the existing secret or a new one. */
  async #append(id: string, write: SecretWrite, signal: AbortSignal): Promise<VersionInfo> {
    let before = await this.#findIfAllowed(id, signal);
    if (before === undefined) {
      try {
        before = await this.#store.create(id, applyWrite({}, write), signal);
      } catch (thrown) {
        if (toSecretsError(thrown).kind !== 'Conflict') throw thrown;
        before = await this.#store.secret(id, signal);
      }
    }
    if (before !== 'hidden' && before.annotations?.[NOTE.deleted] !== undefined) throw deletedInTheWay();
    const version = versionOf(await this.#store.add(id, write.value, signal), ['current']);
    try {
      await this.#setDetails(id, before, write, signal);
    } catch (thrown) {
      const { kind, message, hint } = toSecretsError(thrown);
      const text = `version ${version.id} is written, its labels may not be: ${message}`;
      throw new SecretsError(kind === 'NotFound' ? 'Failed' : kind, text, { hint, cause: thrown });
    }
    return version;
  }

  /** `hidden`: the right to add versions doesn't include the right to see the secret itself. */
  async #findIfAllowed(id: string, signal: AbortSignal): Promise<RawSecret | 'hidden' | undefined> {
    try {
      return await this.#store.find(id, signal);
    } catch (thrown) {
      if (toSecretsError(thrown).kind !== 'Denied') throw thrown;
      return 'hidden';
    }
  }

  /** Sets labels after the value; repeated if the secret has changed in the meantime. */
  async #setDetails(
    id: string,
    read: RawSecret | 'hidden',
    write: SecretWrite,
    signal: AbortSignal,
  ): Promise<void> {
    let secret = read;
    if (secret === 'hidden') {
      if (write.labels === undefined && write.description === undefined && write.expiresAt === undefined)
        return;
      secret = await this.#store.secret(id, signal);
    }
    for (;;) {
      const after = applyWrite(secret, write);
      if (!changes(secret, after)) return;
      try {
        await this.#store.update(secret, after, signal);
        return;
      } catch (thrown) {
        if (toSecretsError(thrown).kind !== 'Conflict') throw thrown;
        secret = await this.#store.secret(id, signal);
      }
    }
  }

  async setLabels(name: string, labels: LabelChanges, { signal }: CallOptions): Promise<void> {
    const id = this.#id(name);
    for (;;) {
      const secret = await this.#store.secret(id, signal);
      if (secret.annotations?.[NOTE.deleted] !== undefined) throw new SecretsError('NotFound', 'is deleted');
      const expires = secret.annotations?.[NOTE.expires];
      const kept = expires === undefined ? {} : { expiresAt: new Date(expires) };
      const after = applyWrite(secret, { labels, ...kept });
      if (!changes(secret, after)) return;
      try {
        await this.#store.update(secret, after, signal);
        return;
      } catch (thrown) {
        if (toSecretsError(thrown).kind !== 'Conflict') throw thrown;
      }
    }
  }

  async grants(name: string, { signal }: CallOptions): Promise<readonly Grant[]> {
    const resource = await this.#store.name(this.#id(name), signal);
    return grantsOf(await this.#store.service.call<RawPolicy>('getIamPolicy', { resource }, signal));
  }

  async accessControl(): Promise<AccessControl> {
    const { GcpAccess } = await import('./access.ts');
    const place = { prefix: this.#prefix, idOf: (name: string) => this.#id(name) };
    return new GcpAccess(this.#store, place, this.#context.now);
  }

  async *list(query: ListQuery, { signal }: CallOptions): AsyncIterable<SecretInfo> {
    checkSignal(signal);
    const prefix = this.#prefix + (query.prefix ?? '');
    // No name contains other characters, so none starts with this prefix.
    if (!/^[A-Za-z0-9_-]*$/.test(prefix)) return;
    for await (const raw of this.#store.secrets(prefix, signal)) {
      const id = lastPart(raw.name);
      if (!id.startsWith(prefix) || id.endsWith(PENDING_SUFFIX)) continue;
      const info = infoOf(id.slice(this.#prefix.length), raw);
      if (info.deletedAt === undefined || query.deleted === true) yield info;
    }
  }

  async describe(name: string, { signal }: CallOptions): Promise<SecretInfo> {
    const id = this.#id(name);
    const [raw, newest] = await Promise.all([
      this.#store.secret(id, signal),
      this.#store.version(id, 'latest', signal).catch((): RawVersion => ({})),
    ]);
    const current = newest.state === 'ENABLED' ? lastPart(newest.name) : undefined;
    return { ...infoOf(name, raw), updatedAt: dateOf(newest.createTime), currentVersion: current };
  }

  async *history(name: string, { signal }: CallOptions): AsyncIterable<VersionInfo> {
    const id = this.#id(name);
    const [secret, pending] = await Promise.all([
      this.#store.find(id, signal),
      this.#pending.find(id, signal),
    ]);
    if (secret === undefined && pending === undefined)
      throw new SecretsError('NotFound', 'not found', { hint: 'secrets list shows the names' });
    if (pending !== undefined) yield pending;
    if (secret === undefined) return;
    const deleted = secret.annotations?.[NOTE.deleted] !== undefined;
    const aliases = new Map<string, string[]>();
    for (const [alias, number] of Object.entries(secret.versionAliases ?? {}))
      aliases.set(String(number), [...(aliases.get(String(number)) ?? []), alias]);
    let newest: string | undefined;
    let previous: string | undefined;
    for (const raw of await this.#store.versions(id, signal)) {
      const number = lastPart(raw.name);
      newest ??= number;
      const isPrevious = number !== newest && previous === undefined && raw.state === 'ENABLED';
      if (isPrevious) previous = number;
      const stages =
        number === newest ? (raw.state === 'ENABLED' ? ['current'] : []) : isPrevious ? ['previous'] : [];
      const version = versionOf(raw, [...stages, ...(aliases.get(number) ?? [])]);
      yield deleted && version.state === 'disabled' ? { ...version, state: 'deleted' } : version;
    }
  }

  async makeCurrent(name: string, version: string, { signal }: CallOptions): Promise<VersionInfo> {
    const id = this.#id(name);
    if (isPendingId(version)) return this.#pending.promote(id, version, signal);
    const old = await this.#getOne({ name, version }, signal);
    const newest = await this.#store.newest(id, signal);
    if (String(newest) === version) return { id: version, state: 'enabled', stages: ['current'] };
    const keep = (secret: RawSecret): ReturnType<typeof applyWrite> => applyWrite(secret, {});
    const written = await this.#store.replace(id, newest, old.value, keep, signal);
    return versionOf(written.version, ['current']);
  }

  /**
   * Google deletes secrets permanently. A soft-deleted secret is one that is marked as deleted with all its versions
   * disabled, so that nobody can read it. If a number of days is set, Google itself removes the secret after that,
   * through its expiry.
   */
  async delete(name: string, { windowDays }: DeleteQuery, { signal }: CallOptions): Promise<Deletion> {
    const id = this.#id(name);
    let secret = await this.#store.secret(id, signal);
    const enabled: string[] = [];
    const disabled: number[] = [];
    for (const { name: full, state } of await this.#store.versions(id, signal)) {
      if (state === 'ENABLED') enabled.push(lastPart(full));
      if (state === 'DISABLED') disabled.push(Number(lastPart(full)));
    }
    if (secret.annotations?.[NOTE.deleted] !== undefined) {
      // An interrupted deletion is completed; a completed one stays as it is.
      if (enabled.length === 0) throw new SecretsError('NotFound', 'is already deleted');
    } else {
      const own = expiryOf(secret);
      const wanted = windowDays === undefined ? undefined : new Date(Date.now() + windowDays * DAY_MS);
      const sooner = wanted !== undefined && (own === undefined || wanted < own);
      const note = formatDeletion({
        at: new Date(),
        disabled,
        expires: sooner ? (own ?? 'never') : undefined,
      });
      const annotations = { ...secret.annotations, [NOTE.deleted]: note };
      const change = { labels: secret.labels ?? {}, annotations, ...(sooner && { expireTime: wanted }) };
      secret = await this.#store.update(secret, change, signal);
    }
    const limit = pool(PARALLEL);
    await Promise.all(
      enabled.map((version) => limit(() => this.#store.setState(id, version, 'disable', signal))),
    );
    await this.#pending.clear(id, signal);
    const until = expiryOf(secret);
    return until === undefined ? {} : { recoverableUntil: until };
  }

  async restore(name: string, { signal }: CallOptions): Promise<void> {
    const id = this.#id(name);
    const secret = await this.#store.secret(id, signal);
    const deletion = parseDeletion(secret.annotations?.[NOTE.deleted]);
    if (deletion === undefined)
      throw new SecretsError('NotFound', 'is not deleted, so there is nothing to restore');
    // First cancel the scheduled removal, and remove the annotation last, so that a restore can be repeated.
    const { expires } = deletion;
    const calledOff =
      expires === undefined
        ? secret
        : await this.#store.update(
            secret,
            {
              labels: secret.labels ?? {},
              annotations: secret.annotations ?? {},
              expireTime: expires === 'never' ? null : expires,
            },
            signal,
          );
    const limit = pool(PARALLEL);
    const work: Promise<unknown>[] = [];
    for (const { name: full, state } of await this.#store.versions(id, signal)) {
      const version = lastPart(full);
      if (state === 'DISABLED' && !deletion.disabled.includes(Number(version)))
        work.push(limit(() => this.#store.setState(id, version, 'enable', signal)));
    }
    await Promise.all(work);
    const { [NOTE.deleted]: _, ...annotations } = calledOff.annotations ?? {};
    await this.#store.update(calledOff, { labels: calledOff.labels ?? {}, annotations }, signal);
  }

  async purge(name: string, version: string | undefined, { signal }: CallOptions): Promise<void> {
    const id = this.#id(name);
    if (version !== undefined && isPendingId(version)) {
      await this.#pending.discard(id, version, signal);
    } else if (version !== undefined) {
      await this.#destroy(id, version, signal);
    } else {
      // The sibling first, so that no pending value remains without its secret.
      const pending = await this.#pending.clear(id, signal);
      try {
        await this.#store.remove(id, undefined, signal);
      } catch (thrown) {
        if (!pending || toSecretsError(thrown).kind !== 'NotFound') throw thrown;
      }
    }
  }

  async #destroy(id: string, version: string, signal: AbortSignal): Promise<void> {
    const missing = new SecretsError('NotFound', `has no version ${version}`, {
      hint: 'secrets history shows what there is',
    });
    if (!isNumber(version)) throw missing;
    let destroyed: RawVersion;
    try {
      destroyed = await this.#store.setState(id, version, 'destroy', signal);
    } catch (thrown) {
      const error = toSecretsError(thrown);
      throw codeUnder(error) === CODE.FAILED_PRECONDITION || error.kind === 'NotFound' ? missing : error;
    }
    const end = dateOf(destroyed.scheduledDestroyTime);
    if (destroyed.state !== 'DESTROYED' && end !== undefined)
      this.#context.warn(
        `version ${version} is disabled now and will be destroyed at ${end.toISOString()}, as its secret asks`,
      );
  }

  identity({ signal }: CallOptions): Promise<Identity> {
    return this.#store.service.identity(signal);
  }

  knownIdentity(): KnownIdentity | undefined {
    return this.#store.service.knownIdentity();
  }

  async diagnose({ signal }: CallOptions): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    const look = async (check: string, work: () => Promise<string>): Promise<SecretsError | undefined> => {
      try {
        findings.push({ check, status: 'ok', detail: await work() });
        return undefined;
      } catch (thrown) {
        return toSecretsError(thrown);
      }
    };
    const failed = (
      check: string,
      { message, hint }: SecretsError,
      status: 'warn' | 'fail' = 'fail',
    ): void => {
      findings.push({ check, status, detail: message, hint });
    };
    const unknown = await look('credential', async () => {
      const { principal, source, details } = await this.identity({ signal });
      return `${principal} from ${source}, project ${details?.['project'] ?? ''}`;
    });
    if (unknown !== undefined) {
      failed('credential', unknown);
      return findings;
    }
    const refused = await look('service', async () => {
      const secrets = this.#store.secrets('', signal);
      for await (const _ of secrets) break;
      return `secrets can be listed at ${this.#store.service.endpoint}`;
    });
    if (refused === undefined) return findings;
    // Reading single secrets doesn't require the right to list them.
    const minimal = refused.kind === 'Denied' && codeUnder(refused) === CODE.PERMISSION_DENIED;
    failed('service', refused, minimal ? 'warn' : 'fail');
    return findings;
  }

  async *trail(query: TrailQuery, options: CallOptions): AsyncIterable<AuditEvent> {
    if (query.name !== undefined) this.checkName(query.name);
    const { readTrail } = await import('./trail.ts');
    const settings = { prefix: this.#prefix, location: this.#location, context: this.#context };
    yield* readTrail(this.#store.service, settings, query, options);
  }

  async nativeRotation(): Promise<NativeRotations> {
    const { GcpRotations } = await import('./rotation.ts');
    return new GcpRotations(this.#store, (name) => this.#id(name));
  }

  close(): Promise<void> {
    return this.#store.service.close();
  }
}

function readable({ number, value }: Accessed, stages: readonly string[]): Omit<SecretVersion, 'name'> {
  return { id: number, state: 'enabled', stages, value };
}
