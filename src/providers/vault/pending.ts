/**
 * Pending versions in KV v2: kept at a sibling path, so that readers of the secret don't see one before its promotion.
 *
 * The id of a pending version contains the sibling's version and its time: `pending:1-20261124081000123456789`. A
 * sibling that was deleted starts again with version 1, so the number alone could be somebody else's claim.
 *
 * A promotion consists of three writes, and the next run detects a crash between any of them:
 * 1. the sibling's metadata gets a mark: the promoted id, and the version of the secret that it replaces;
 * 2. the secret gets a new version, with that version as `cas`;
 * 3. the sibling is deleted.
 *
 * A run that finds the mark checks whether step 2 has happened before it performs it.
 */
import type { JsonDocument } from '../../core/document/document.ts';
import { SecretsError } from '../../core/errors.ts';
import { noLongerPending } from '../errors.ts';
import type { SecretWrite } from '../provider.ts';
import type { VersionInfo } from '../../core/secret.ts';
import type { Engine } from './engine.ts';
import { asMap, type Json } from './errors.ts';
import { dateOf, written } from './kv.ts';

/** The suffix of the sibling's name. No secret may have such a name. */
export const PENDING_SUFFIX = '.secrets-pending';
const PREFIX = 'pending:';
const MARK = 'secrets-promotion';

/** A pending version with KV's data for its value. */
export interface Pending {
  readonly info: VersionInfo;
  readonly data: JsonDocument;
  /** The `cas` version of a promotion in progress. */
  readonly promotedOver: number | undefined;
}

export function isPendingId(version: string | undefined): version is `${typeof PREFIX}${string}` {
  return version?.startsWith(PREFIX) === true;
}

export class PendingVersions {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The secret's pending version; `undefined` if there is none. */
  async find(name: string, signal: AbortSignal): Promise<Pending | undefined> {
    const { data, metadata } = await this.#engine.data(sibling(name), undefined, signal);
    if (data === undefined) return undefined;
    const info = infoOf(metadata);
    const [id, over] = String(asMap(metadata['custom_metadata'])[MARK] ?? '').split(' ');
    return { info, data, promotedOver: id === info.id ? Number(over) : undefined };
  }

  /** The pending version with this id. @throws SecretsError NotFound */
  async get(name: string, id: string, signal: AbortSignal): Promise<Pending> {
    const found = await this.find(name, signal);
    if (found?.info.id === id) return found;
    throw new SecretsError('NotFound', `has no version ${id}`, {
      hint: 'it was promoted, discarded or replaced; see secrets history',
    });
  }

  /** Its metadata without the value, for history; nothing if a policy hides it. */
  async known(name: string, signal: AbortSignal): Promise<VersionInfo | undefined> {
    const metadata = await this.#engine.metadata(sibling(name), signal).catch(unlessDenied);
    if (metadata === undefined) return undefined;
    const version = Number(metadata['current_version']);
    const entry = asMap(asMap(metadata['versions'])[String(version)]);
    return isGone(entry) ? undefined : infoOf({ ...entry, version });
  }

  /** Stores a pending version; with `ifAbsent` only if there is none. @throws SecretsError Conflict */
  async put(name: string, data: JsonDocument, write: SecretWrite, signal: AbortSignal): Promise<VersionInfo> {
    const { ifVersion, ifAbsent } = write;
    if (ifVersion !== undefined) {
      const current = String((await this.#engine.metadata(name, signal))?.['current_version'] ?? '');
      if (current !== ifVersion)
        throw new SecretsError('Conflict', `version ${ifVersion} is not the current one`);
    }
    const path = sibling(name);
    if (write.ifPending !== undefined) return this.#replace(path, data, write.ifPending, signal);
    if (ifAbsent !== true) return infoOf(await this.#engine.write(path, data, undefined, signal));
    try {
      return infoOf(await this.#engine.write(path, data, 0, signal));
    } catch (thrown) {
      if (!(thrown instanceof SecretsError) || thrown.kind !== 'Conflict') throw thrown;
      // Somebody may have deleted it with another client, which leaves its metadata.
      const metadata = (await this.#engine.metadata(path, signal)) ?? {};
      const version = Number(metadata['current_version'] ?? 0);
      if (!isGone(asMap(asMap(metadata['versions'])[String(version)])))
        throw new SecretsError('Conflict', 'another version is pending', {
          hint: 'secrets history shows it; finish that rotation, or purge that version',
          cause: thrown,
        });
      return infoOf(await this.#engine.write(path, data, version, signal));
    }
  }

  /** Overwrites the pending version with this id, and no other. @throws SecretsError Conflict */
  async #replace(path: string, data: JsonDocument, id: string, signal: AbortSignal): Promise<VersionInfo> {
    const metadata = (await this.#engine.metadata(path, signal)) ?? {};
    const version = Number(metadata['current_version'] ?? 0);
    const entry = asMap(asMap(metadata['versions'])[String(version)]);
    if (version === 0 || isGone(entry) || infoOf({ ...entry, version }).id !== id) throw noLongerPending(id);
    try {
      return infoOf(await this.#engine.write(path, data, version, signal));
    } catch (thrown) {
      throw thrown instanceof SecretsError && thrown.kind === 'Conflict'
        ? noLongerPending(id, thrown)
        : thrown;
    }
  }

  /** Promotes a pending version. @throws SecretsError NotFound, Conflict */
  async promote(name: string, id: string, signal: AbortSignal): Promise<VersionInfo> {
    // Read the secret before the sibling: a run that sees the version that a promotion wrote has to see its mark too.
    const metadata = await this.#engine.metadata(name, signal);
    const current = Number(metadata?.['current_version'] ?? 0);
    const pending = await this.get(name, id, signal);
    const done = await this.#promoted(name, pending, current, signal);
    if (done !== undefined) {
      await this.#remove(name, signal);
      return done;
    }
    const path = this.#engine.path('metadata', sibling(name));
    await this.#engine.client.write(path, { custom_metadata: { [MARK]: `${id} ${current}` } }, signal);
    const info = written(await this.#engine.write(name, pending.data, current, signal));
    try {
      await this.#remove(name, signal);
    } catch (thrown) {
      if (!(thrown instanceof SecretsError)) throw thrown;
      throw new SecretsError(
        thrown.kind,
        `version ${info.id} is written and current, the pending one still exists: ${thrown.message}`,
        { hint: 'promote it again; this writes no further version', cause: thrown },
      );
    }
    return info;
  }

  /** Discards the pending version with this id. @throws SecretsError NotFound */
  async discard(name: string, id: string, signal: AbortSignal): Promise<void> {
    await this.get(name, id, signal);
    await this.#remove(name, signal);
  }

  /** Discards any pending version when its secret is deleted; `true` if there was one. */
  async discardAny(name: string, signal: AbortSignal): Promise<boolean> {
    const metadata = await this.#engine.metadata(sibling(name), signal).catch(unlessDenied);
    if (metadata === undefined) return false;
    await this.#remove(name, signal);
    return true;
  }

  /** The version that an earlier run's promotion wrote, if it got that far. */
  async #promoted(
    name: string,
    { data, promotedOver }: Pending,
    current: number,
    signal: AbortSignal,
  ): Promise<VersionInfo | undefined> {
    if (promotedOver === undefined) return undefined;
    for (let version = promotedOver + 1; version <= current; version += 1) {
      const found = await this.#engine.data(name, String(version), signal);
      if (found.data?.equals(data) !== true) continue;
      return {
        id: String(version),
        state: 'enabled',
        stages: version === current ? ['current'] : [],
        createdAt: dateOf(found.metadata['created_time']),
      };
    }
    return undefined;
  }

  async #remove(name: string, signal: AbortSignal): Promise<void> {
    await this.#engine.client.delete(this.#engine.path('metadata', sibling(name)), signal);
  }
}

function sibling(name: string): string {
  return name + PENDING_SUFFIX;
}

function infoOf(metadata: Json): VersionInfo {
  const created = String(metadata['created_time'] ?? '');
  return {
    id: `${PREFIX}${String(metadata['version'])}-${created.replaceAll(/\D/g, '')}`,
    state: 'enabled',
    stages: ['pending'],
    createdAt: dateOf(created),
  };
}

function isGone(entry: Json): boolean {
  const deletion = dateOf(entry['deletion_time']);
  return (
    entry['created_time'] === undefined ||
    entry['destroyed'] === true ||
    (deletion !== undefined && deletion.getTime() <= Date.now())
  );
}

function unlessDenied(thrown: unknown): undefined {
  if (thrown instanceof SecretsError && thrown.kind === 'Denied') return undefined;
  throw thrown;
}
