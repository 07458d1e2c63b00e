/**
 * Vault's KV secrets engine behind the provider interface.
 *
 * KV stores maps. A JSON object is stored as that map, so that `#key` and Vault's own clients see its keys; any other
 * text is stored under the single key `value`, and bytes that are not UTF-8 as base64 beside `encoding: base64`.
 */
// Over 400 lines because a single class implements every method of the interface for KV's two versions.
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
import type { Grant, SecretInfo, SecretVersion, VersionInfo } from '../../core/secret.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { TrailQuery } from '../capabilities/trail.ts';
import { alreadyExists, deletedInTheWay, noValueYet, softDeleted } from '../errors.ts';
import { checkSignal, readEach } from '../reading.ts';
import type { VaultClient } from './client.ts';
import { diagnose } from './doctor.ts';
import { Engine, mapIn } from './engine.ts';
import type { Json } from './errors.ts';
import { grantsOn, type Policy, readPolicies } from './grants.ts';
import { keepAlive } from './keep-alive.ts';
import {
  casOf,
  dateOf,
  decode,
  describeMetadata,
  encode,
  labelPatch,
  requestIdOf,
  versionsOf,
  written,
} from './kv.ts';
import { isPendingId, type Pending, PENDING_SUFFIX, PendingVersions } from './pending.ts';
import { checkRights } from './rights.ts';
import type { VaultSettings } from './settings.ts';

const PARALLEL = 16;
/** The id of the only version in KV v1. */
const ONLY_VERSION = 'current';

/** A request is limited to 32 MiB, an entry to 1 MiB with integrated storage and 512 KiB with Consul. */
const RULES: ProviderRules = {
  maxNameLength: 512,
  nameRule: `1 to 512 characters, no control characters, no empty, . or .. segments, no * or + segment, not ending in ${PENDING_SUFFIX}`,
  maxValueBytes: 512 * 1024,
  emptyValue: true,
  deletedBlocks: 'first writes',
  structured: true,
};

const CAPABILITIES_V1: ReadonlySet<Capability> = new Set<Capability>(['trail']);
const CAPABILITIES_V2: ReadonlySet<Capability> = new Set<Capability>([
  'versions',
  'stages',
  'soft-delete',
  'labels',
  'cas',
  'trail',
]);

export class VaultProvider implements Provider {
  readonly rules = RULES;
  readonly #client: VaultClient;
  readonly #engine: Engine;
  readonly #pending: PendingVersions;
  #policies: Promise<readonly Policy[]> | undefined;

  readonly #settings: VaultSettings;
  readonly #context: ProviderContext;

  constructor(client: VaultClient, settings: VaultSettings, context: ProviderContext) {
    this.#client = client;
    this.#settings = settings;
    this.#context = context;
    this.#engine = new Engine(client, settings);
    this.#pending = new PendingVersions(this.#engine);
  }

  /** KV v1 lacks the capabilities of KV v2; until the version is known, see `prepare`. */
  get capabilities(): ReadonlySet<Capability> {
    return this.#engine.knownVersion === 1 ? CAPABILITIES_V1 : CAPABILITIES_V2;
  }

  prepare({ signal }: CallOptions): Promise<boolean> {
    return this.#engine.prepare(signal);
  }

  checkName(name: string): void {
    const bad =
      name.length === 0 ||
      name.length > RULES.maxNameLength ||
      /[\u0000-\u001f\u007f-\u009f\ud800-\udfff]/u.test(name) ||
      name.endsWith(PENDING_SUFFIX) ||
      name
        .split('/')
        .some((part) => part === '' || part === '.' || part === '..' || part === '+' || part === '*');
    if (bad) throw new SecretsError('Invalid', `vault allows names of ${RULES.nameRule}`);
  }

  async get(requests: readonly SecretRequest[], options: CallOptions): Promise<readonly GetResult[]> {
    checkSignal(options.signal);
    return readEach(requests, PARALLEL, (request) => this.#getOne(request, options));
  }

  async #getOne({ name, version, stage }: SecretRequest, { signal }: CallOptions): Promise<SecretVersion> {
    this.checkName(name);
    if ((await this.#engine.version(signal)) === 1) {
      if (version !== undefined && version !== ONLY_VERSION) throw new SecretsError('NotFound', noVersions());
      if (stage !== undefined && stage !== 'current')
        throw new SecretsError('Unsupported', `KV version 1 has no ${stage} version`);
      const { found, body } = await this.#client.read(this.#engine.path('', name), signal);
      const data = found ? mapIn(body, '/data') : undefined;
      if (data === undefined) throw notFound();
      return {
        name,
        id: ONLY_VERSION,
        state: 'enabled',
        stages: ['current'],
        ...requestIdOf(body),
        ...decode(data),
      };
    }
    if (stage === 'pending') {
      const found = await this.#pending.find(name, signal);
      if (found === undefined) throw new SecretsError('NotFound', 'has no pending version');
      return asSecret(name, found);
    }
    if (isPendingId(version)) return asSecret(name, await this.#pending.get(name, version, signal));
    let wanted = version;
    if (wanted !== undefined && !/^[1-9]\d{0,15}$/.test(wanted))
      throw new SecretsError('NotFound', `has no version ${wanted}`, {
        hint: 'versions are numbers: secrets history',
      });
    if (stage !== undefined && stage !== 'current') {
      const versions = versionsOf(await this.#metadata(name, signal));
      wanted = versions.find(({ stages }) => stages.includes(stage))?.id;
      if (wanted === undefined) throw new SecretsError('NotFound', `has no ${stage} version`);
    }
    const { data, metadata, requestId } = await this.#engine.data(name, wanted, signal);
    if (data === undefined) {
      if (metadata['destroyed'] === true) throw new SecretsError('NotFound', 'is destroyed');
      if (typeof metadata['deletion_time'] === 'string' && metadata['deletion_time'] !== '')
        throw softDeleted();
      if (wanted !== undefined) throw new SecretsError('NotFound', `has no version ${wanted}`);
      // A policy may hide the metadata, which is the only way to tell a secret without versions from a missing one.
      const there = await this.#engine.metadata(name, signal).catch(() => undefined);
      throw there === undefined ? notFound() : noValueYet();
    }
    return {
      name,
      id: String(metadata['version']),
      state: 'enabled',
      stages: wanted === undefined ? ['current'] : stage === undefined ? [] : [stage],
      createdAt: dateOf(metadata['created_time']),
      requestId,
      ...decode(data),
    };
  }

  async put(name: string, write: SecretWrite, { signal }: CallOptions): Promise<VersionInfo> {
    this.checkName(name);
    if (write.value.length > RULES.maxValueBytes) {
      throw new SecretsError(
        'Invalid',
        `the value has ${write.value.length} bytes; every Vault storage allows ${RULES.maxValueBytes}`,
      );
    }
    checkSignal(signal);
    const labels = labelPatch(write);
    const pending = write.stage === 'pending';
    if (pending && labels !== undefined)
      throw new SecretsError(
        'Unsupported',
        'a pending version has no labels, description or expiry of its own',
        {
          hint: 'set them when it is promoted',
        },
      );
    const version = await this.#engine.version(signal);
    const data = encode(write, version);
    if (version === 1) {
      if (pending) throw new SecretsError('Unsupported', noVersions());
      if (write.ifVersion !== undefined || write.ifAbsent === true)
        throw new SecretsError('Unsupported', 'KV version 1 has no compare-and-set', {
          hint: 'use a KV v2 mount',
        });
      if (labels !== undefined)
        throw new SecretsError('Unsupported', 'KV version 1 has no labels', { hint: 'use a KV v2 mount' });
      const body = await this.#client.write(this.#engine.path('', name), data, signal);
      return { id: ONLY_VERSION, state: 'enabled', stages: ['current'], ...requestIdOf(body) };
    }
    if (pending) return this.#pending.put(name, data, write, signal);
    const info = written(
      await this.#engine.write(name, data, casOf(write), signal).catch(async (thrown: unknown) => {
        throw write.ifAbsent === true && toSecretsError(thrown).kind === 'Conflict'
          ? await this.#exists(name, thrown, signal)
          : thrown;
      }),
    );
    if (labels !== undefined) {
      try {
        await this.#client.patch(this.#engine.path('metadata', name), { custom_metadata: labels }, signal);
      } catch (thrown) {
        const error = toSecretsError(thrown);
        throw new SecretsError(
          error.kind,
          `version ${info.id} is written, its labels are not: ${error.message}`,
          {
            hint: error.hint,
            cause: thrown,
          },
        );
      }
    }
    return info;
  }

  /** A deleted secret keeps its version number, so that cas=0 is refused for it, too. */
  async #exists(name: string, cause: unknown, signal: AbortSignal): Promise<SecretsError> {
    const there = await this.#engine.metadata(name, signal).catch(() => undefined);
    return there !== undefined && describeMetadata(name, there).deletedAt !== undefined
      ? deletedInTheWay(cause)
      : alreadyExists(cause);
  }

  async checkRights(
    name: string,
    actions: readonly Action[],
    { signal }: CallOptions,
  ): Promise<readonly Right[]> {
    this.checkName(name);
    return checkRights(this.#engine, name, actions, signal);
  }

  async setLabels(
    name: string,
    labels: Readonly<Record<string, string | null>>,
    { signal }: CallOptions,
  ): Promise<void> {
    this.checkName(name);
    if ((await this.#engine.version(signal)) === 1)
      throw new SecretsError('Unsupported', 'KV version 1 has no labels', { hint: 'use a KV v2 mount' });
    const patch = labelPatch({ labels });
    if (patch === undefined) return;
    await this.#client.patch(this.#engine.path('metadata', name), { custom_metadata: patch }, signal);
  }

  async *list(query: ListQuery, { signal }: CallOptions): AsyncIterable<SecretInfo> {
    checkSignal(signal);
    const version = await this.#engine.version(signal);
    const prefix = query.prefix ?? '';
    const limit = pool(PARALLEL);
    const folders = [prefix.slice(0, prefix.lastIndexOf('/') + 1)];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      const path = this.#engine.path(version === 1 ? '' : 'metadata', folder).replace(/\/$/, '');
      const names: string[] = [];
      for (const key of await this.#client.keys(path, signal)) {
        const name = folder + key;
        if (key.endsWith('/')) {
          if (name.startsWith(prefix) || prefix.startsWith(name)) folders.push(name);
        } else if (name.startsWith(prefix) && (version === 1 || !name.endsWith(PENDING_SUFFIX))) {
          names.push(name);
        }
      }
      folders.sort((a, b) => (a < b ? 1 : -1));
      if (version === 1) {
        yield* names.map((name) => ({ name }));
        continue;
      }
      // A listing doesn't show deletions, so each secret's metadata is read.
      const infos = names.map((name) => limit(() => this.#listed(name, signal)));
      for (const pending of infos) pending.catch(() => undefined);
      for (const pending of infos) {
        const info = await pending;
        if (info !== undefined && (info.deletedAt === undefined || query.deleted === true)) yield info;
      }
    }
  }

  /** Metadata for a list; only the name if a policy allows listing but not reading metadata. */
  async #listed(name: string, signal: AbortSignal): Promise<SecretInfo | undefined> {
    try {
      return describeMetadata(name, await this.#metadata(name, signal));
    } catch (thrown) {
      const error = toSecretsError(thrown);
      if (error.kind === 'Denied') return { name };
      if (error.kind === 'NotFound') return undefined;
      throw error;
    }
  }

  async delete(name: string, _query: object, { signal }: CallOptions): Promise<Deletion> {
    this.checkName(name);
    if ((await this.#engine.version(signal)) === 1) {
      const { found } = await this.#client.read(this.#engine.path('', name), signal);
      if (!found) throw notFound();
      await this.#client.delete(this.#engine.path('', name), signal);
      return {};
    }
    const metadata = await this.#metadata(name, signal);
    const deleted = describeMetadata(name, metadata).deletedAt !== undefined;
    // There is no version that could be deleted and restored.
    if (Number(metadata['current_version'] ?? 0) === 0)
      throw new SecretsError('NotFound', 'has no value yet', {
        hint: 'secrets purge removes it permanently',
      });
    if (!deleted) await this.#client.delete(this.#engine.path('data', name), signal);
    // After the secret: in the other order, a crash in between would lose a value that is already in use.
    const discarded = await this.#pending.discardAny(name, signal);
    if (deleted && !discarded) throw new SecretsError('NotFound', 'is already deleted');
    return {};
  }

  async describe(name: string, { signal }: CallOptions): Promise<SecretInfo> {
    this.checkName(name);
    if ((await this.#engine.version(signal)) === 2)
      return describeMetadata(name, await this.#metadata(name, signal));
    const { found } = await this.#client.read(this.#engine.path('', name), signal);
    if (!found) throw notFound();
    return { name };
  }

  async *history(name: string, { signal }: CallOptions): AsyncIterable<VersionInfo> {
    this.checkName(name);
    await this.#needVersions(signal);
    const [pending, metadata] = await Promise.all([
      this.#pending.known(name, signal),
      this.#engine.metadata(name, signal),
    ]);
    if (metadata === undefined && pending === undefined) throw notFound();
    if (pending !== undefined) yield pending;
    if (metadata !== undefined) yield* versionsOf(metadata);
  }

  async makeCurrent(name: string, version: string, options: CallOptions): Promise<VersionInfo> {
    this.checkName(name);
    await this.#needVersions(options.signal);
    if (isPendingId(version)) return this.#pending.promote(name, version, options.signal);
    const current = String((await this.#metadata(name, options.signal))['current_version']);
    const old = await this.#getOne({ name, version }, options);
    if (version === current)
      return { id: current, state: 'enabled', stages: ['current'], createdAt: old.createdAt };
    // Written as stored, because encoding its value again could produce another form in Vault with the same value.
    const { data } = await this.#engine.data(name, version, options.signal);
    if (data === undefined) throw new SecretsError('Conflict', `version ${version} was just deleted`);
    return written(await this.#engine.write(name, data, Number(current), options.signal));
  }

  async restore(name: string, { signal }: CallOptions): Promise<void> {
    this.checkName(name);
    await this.#needVersions(signal);
    const metadata = await this.#metadata(name, signal);
    const [newest] = versionsOf(metadata);
    if (newest?.state !== 'deleted') throw new SecretsError('NotFound', 'has nothing to restore');
    await this.#client.write(this.#engine.path('undelete', name), { versions: [Number(newest.id)] }, signal);
  }

  async purge(name: string, version: string | undefined, { signal }: CallOptions): Promise<void> {
    this.checkName(name);
    if ((await this.#engine.version(signal)) === 1) {
      if (version !== undefined) throw new SecretsError('Unsupported', noVersions());
      await this.delete(name, {}, { signal });
      return;
    }
    if (isPendingId(version)) {
      await this.#pending.discard(name, version, signal);
      return;
    }
    const metadata = await this.#engine.metadata(name, signal);
    if (version === undefined) {
      if (metadata !== undefined) await this.#client.delete(this.#engine.path('metadata', name), signal);
      const discarded = await this.#pending.discardAny(name, signal);
      if (metadata === undefined && !discarded) throw notFound();
      return;
    }
    if (metadata === undefined) throw notFound();
    const found = versionsOf(metadata).find(({ id }) => id === version);
    if (found === undefined || found.state === 'destroyed')
      throw new SecretsError('NotFound', `has no version ${version}`);
    await this.#client.write(this.#engine.path('destroy', name), { versions: [Number(version)] }, signal);
  }

  async grants(name: string, { signal }: CallOptions): Promise<readonly Grant[]> {
    this.checkName(name);
    this.#policies ??= readPolicies(this.#client, signal).catch((thrown: unknown) => {
      this.#policies = undefined;
      throw thrown;
    });
    const kind = (await this.#engine.version(signal)) === 1 ? '' : 'data';
    const path = [this.#engine.mount, kind, name].filter((part) => part !== '').join('/');
    const root = kind === '' ? `${this.#engine.mount}/` : `${this.#engine.mount}/data/`;
    return grantsOn(path, root, await this.#policies);
  }

  async accessControl(): Promise<AccessControl> {
    const { VaultAccess } = await import('./access.ts');
    return new VaultAccess(this.#engine, (name) => this.checkName(name));
  }

  identity({ signal }: CallOptions): Promise<Identity> {
    return this.#client.identity(signal);
  }

  knownIdentity(): KnownIdentity | undefined {
    return this.#client.knownIdentity();
  }

  diagnose({ signal }: CallOptions): Promise<readonly Finding[]> {
    return diagnose(this.#client, this.#engine, signal);
  }

  keepAlive(warn: (message: string) => void, signal: AbortSignal): Promise<void> {
    return keepAlive(this.#client, warn, signal);
  }

  async *trail(query: TrailQuery, options: CallOptions): AsyncIterable<AuditEvent> {
    if (query.name !== undefined) this.checkName(query.name);
    const { readTrail } = await import('./trail.ts');
    yield* readTrail(
      { client: this.#client, engine: this.#engine, settings: this.#settings, context: this.#context },
      query,
      options,
    );
  }

  close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }

  async #needVersions(signal: AbortSignal): Promise<void> {
    if ((await this.#engine.version(signal)) === 1) throw new SecretsError('Unsupported', noVersions());
  }

  async #metadata(name: string, signal: AbortSignal): Promise<Json> {
    const metadata = await this.#engine.metadata(name, signal);
    if (metadata === undefined) throw notFound();
    return metadata;
  }
}

function asSecret(name: string, { info, data }: Pending): SecretVersion {
  return { name, ...info, ...decode(data) };
}

function notFound(): SecretsError {
  return new SecretsError('NotFound', 'not found', { hint: 'secrets list shows the names' });
}

function noVersions(): string {
  return 'KV version 1 keeps no versions';
}
