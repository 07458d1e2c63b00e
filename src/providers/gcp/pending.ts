/**
 * Pending values. Google has no stages: `latest` is always the newest version, so a value that nobody may use yet must
 * not be a version of the secret. It is kept in a sibling secret, named with PENDING_SUFFIX, until it is promoted (its
 * value becomes a version of the secret, then the sibling is deleted) or discarded (the sibling is deleted).
 *
 * A pending version's id is `pending:GENERATION-NUMBER`: siblings are deleted and created again under the same name,
 * and an id must never refer to another sibling's value.
 */
import { randomBytes } from 'node:crypto';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type { SecretVersion, VersionInfo } from '../../core/secret.ts';
import { changedMeanwhile, noLongerPending } from '../errors.ts';
import type { SecretWrite } from '../provider.ts';
import { lastPart, siblingOf } from './names.ts';
import {
  applyWrite,
  type Change,
  dateOf,
  NOTE,
  type RawSecret,
  type RawVersion,
  versionOf,
} from './resources.ts';
import type { GcpStore } from './store.ts';

const PENDING = 'pending:';
const PENDING_ID = /^pending:([0-9a-f]{8})-([1-9]\d{0,9})$/;

export function isPendingId(version: string): boolean {
  return version.startsWith(PENDING);
}

/** A pending value with its sibling as it was read. */
interface PendingValue {
  readonly sibling: RawSecret;
  readonly id: string;
  readonly value: Uint8Array;
}

export class PendingVersions {
  readonly #store: GcpStore;

  constructor(store: GcpStore) {
    this.#store = store;
  }

  /** @throws SecretsError NotFound for an id that is not, or no longer, pending */
  async get(
    id: string,
    version: string | undefined,
    signal: AbortSignal,
  ): Promise<Omit<SecretVersion, 'name'>> {
    const held = await this.#read(id, version, signal);
    return { id: held.id, state: 'enabled', stages: ['pending'], value: held.value };
  }

  /** The pending version without its value; `undefined` if there is none, or the caller may not see it. */
  async find(id: string, signal: AbortSignal): Promise<VersionInfo | undefined> {
    try {
      const siblingId = siblingOf(id);
      const [sibling, version] = await Promise.all([
        this.#store.find(siblingId, signal),
        this.#store.version(siblingId, 'latest', signal),
      ]);
      return sibling === undefined ? undefined : pendingInfo(sibling, version);
    } catch (thrown) {
      const { kind } = toSecretsError(thrown);
      if (kind === 'NotFound' || kind === 'Denied' || kind === 'Invalid') return undefined;
      throw thrown;
    }
  }

  /**
   * Stores a pending value. With `ifAbsent` this is the claim of a rotation: it creates the sibling, and only one
   * caller can. Without it, an older pending value is replaced.
   * @throws SecretsError Conflict
   */
  async put(id: string, write: SecretWrite, signal: AbortSignal): Promise<VersionInfo> {
    const siblingId = siblingOf(id);
    const change: Change = (before) => {
      const after = applyWrite(before, write);
      const generation = before.annotations?.[NOTE.generation] ?? randomBytes(4).toString('hex');
      // A sibling that was deleted and created again starts counting at 1.
      if (write.ifPending !== undefined && generation !== PENDING_ID.exec(write.ifPending)?.[1])
        throw noLongerPending(write.ifPending);
      return { ...after, annotations: { ...after.annotations, [NOTE.generation]: generation } };
    };
    if (write.ifVersion !== undefined && `${await this.#store.newest(id, signal)}` !== write.ifVersion)
      throw changedMeanwhile();
    for (;;) {
      const before =
        write.ifAbsent === true
          ? 0
          : write.ifPending === undefined
            ? await this.#newest(siblingId, signal)
            : await this.#numberOf(id, write.ifPending, signal);
      try {
        const { version, secret } = await this.#store.replace(siblingId, before, write.value, change, signal);
        if (before > 0) await this.#discardOlder(siblingId, Number(lastPart(version.name)), signal);
        return pendingInfo(secret, version);
      } catch (thrown) {
        const error = toSecretsError(thrown);
        if (error.kind !== 'Conflict') throw error;
        if (write.ifPending !== undefined) throw noLongerPending(write.ifPending, error);
        if (write.ifAbsent === true)
          throw new SecretsError('Conflict', 'a pending version is there already: a rotation is under way', {
            hint: 'secrets history shows it',
            cause: error,
          });
      }
    }
  }

  /**
   * Promotes a pending value. Repeating this after a crash at any point never creates a second version: before the
   * value is added, the secret's annotation records the pending value and the version that it will follow.
   */
  async promote(id: string, version: string, signal: AbortSignal): Promise<VersionInfo> {
    for (;;) {
      const held = await this.#read(id, version, signal).catch((thrown: unknown) => {
        if (toSecretsError(thrown).kind !== 'NotFound') throw thrown;
        return undefined;
      });
      const main = await this.#store.find(id, signal);
      const newest = main === undefined ? 0 : await this.#store.newest(id, signal);
      const [noted, after] = (main?.annotations?.[NOTE.promoted] ?? '').split('@');
      const begun = noted === version ? Number(after) : undefined;
      if (held === undefined) {
        if (begun === undefined || newest <= begun) throw noPending(version);
        // The sibling is deleted last, so the value has already become a version: the first one after the recorded
        // version.
        return { id: String(begun + 1), state: 'enabled', stages: begun + 1 === newest ? ['current'] : [] };
      }
      const done =
        begun === undefined ? undefined : await this.#holding(id, held.value, begun, newest, signal);
      if (done !== undefined) {
        await this.#removeSibling(id, held.sibling, signal);
        return { id: String(done), state: 'enabled', stages: done === newest ? ['current'] : [] };
      }
      try {
        const change = promotion(held.sibling, `${version}@${newest}`);
        const written = await this.#store.replace(id, newest, held.value, change, signal);
        await this.#removeSibling(id, held.sibling, signal);
        return { ...versionOf(written.version, ['current']), state: 'enabled' };
      } catch (thrown) {
        const error = toSecretsError(thrown);
        // Another writer, or another promotion of the same value: read again.
        if (error.kind !== 'Conflict' || main?.annotations?.[NOTE.deleted] !== undefined) throw error;
      }
    }
  }

  /** @throws SecretsError NotFound if this value is not the pending one */
  async discard(id: string, version: string, signal: AbortSignal): Promise<void> {
    const siblingId = siblingOf(id);
    const sibling = await this.#store.find(siblingId, signal);
    if (sibling === undefined) throw noPending(version);
    if (pendingInfo(sibling, await this.#store.version(siblingId, 'latest', signal)).id !== version)
      throw noPending(version);
    await this.#store.remove(siblingId, sibling.etag, signal);
  }

  /** Deletes the pending value, if there is one. @returns whether there was one */
  async clear(id: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#store.remove(siblingOf(id), undefined, signal);
      return true;
    } catch (thrown) {
      const { kind } = toSecretsError(thrown);
      // A name that is too long for a sibling has none. Rights on a single secret don't include a sibling that doesn't
      // exist.
      if (kind !== 'NotFound' && kind !== 'Invalid' && kind !== 'Denied') throw thrown;
      return false;
    }
  }

  async #read(id: string, version: string | undefined, signal: AbortSignal): Promise<PendingValue> {
    const siblingId = siblingOf(id);
    const [, generation, number = 'latest'] = version === undefined ? [] : (PENDING_ID.exec(version) ?? []);
    if (version !== undefined && generation === undefined) throw noPending(version);
    const missing = (thrown: unknown): never => {
      const error = toSecretsError(thrown);
      // A newer pending value destroys the older one.
      throw error.kind === 'NotFound' || error.kind === 'Invalid' ? noPending(version) : error;
    };
    const [sibling, accessed] = await Promise.all([
      this.#store.secret(siblingId, signal).catch(missing),
      this.#store.access(siblingId, number, signal).catch(missing),
    ]);
    const found = pendingId(sibling, accessed.number);
    if (version !== undefined && found !== version) throw noPending(version);
    return { sibling, id: found, value: accessed.value };
  }

  /**
   * The number of the pending version with this id. @throws SecretsError Conflict if another version is pending, or
   * none
   */
  async #numberOf(id: string, pending: string, signal: AbortSignal): Promise<number> {
    const siblingId = siblingOf(id);
    const sibling = await this.#store.find(siblingId, signal);
    const version = sibling && (await this.#store.version(siblingId, 'latest', signal).catch(unlessMissing));
    if (sibling === undefined || version === undefined || pendingInfo(sibling, version).id !== pending)
      throw noLongerPending(pending);
    return Number(lastPart(version.name));
  }

  async #newest(siblingId: string, signal: AbortSignal): Promise<number> {
    return (await this.#store.find(siblingId, signal)) === undefined
      ? 0
      : this.#store.newest(siblingId, signal);
  }

  /** The number of the version after `after` that has this value. */
  async #holding(
    id: string,
    value: Uint8Array,
    after: number,
    newest: number,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    for (let number = after + 1; number <= newest; number += 1) {
      try {
        const found = await this.#store.access(id, String(number), signal);
        if (Buffer.from(found.value).equals(value)) return number;
      } catch (thrown) {
        const { kind } = toSecretsError(thrown);
        if (kind !== 'NotFound' && kind !== 'Invalid') throw thrown;
      }
    }
    return undefined;
  }

  async #discardOlder(siblingId: string, than: number, signal: AbortSignal): Promise<void> {
    for (const { name, state } of await this.#store.versions(siblingId, signal)) {
      const number = lastPart(name);
      if (Number(number) < than && state !== 'DESTROYED')
        await this.#store.setState(siblingId, number, 'destroy', signal);
    }
  }

  /** Deletes the sibling unless it has changed since it was read, which means that it holds a newer pending value. */
  async #removeSibling(id: string, sibling: RawSecret, signal: AbortSignal): Promise<void> {
    try {
      await this.#store.remove(siblingOf(id), sibling.etag, signal);
    } catch (thrown) {
      const { kind } = toSecretsError(thrown);
      if (kind !== 'NotFound' && kind !== 'Conflict') throw thrown;
    }
  }
}

/** The promotion's changes to the secret: the annotation, and the labels that came with the pending value. */
function promotion(sibling: RawSecret, note: string): Change {
  const own: string[] = [NOTE.write, NOTE.generation];
  const given = Object.entries(sibling.annotations ?? {}).filter(([key]) => !own.includes(key));
  return (before) => {
    const { [NOTE.expires]: _, ...annotations } = before.annotations ?? {};
    return {
      labels: { ...before.labels, ...sibling.labels },
      annotations: { ...annotations, ...Object.fromEntries(given), [NOTE.promoted]: note },
    };
  };
}

function pendingId(sibling: RawSecret, number: string): string {
  return `${PENDING}${sibling.annotations?.[NOTE.generation] ?? '00000000'}-${number}`;
}

function pendingInfo(sibling: RawSecret, version: RawVersion): VersionInfo {
  return {
    id: pendingId(sibling, lastPart(version.name)),
    state: 'enabled',
    stages: ['pending'],
    createdAt: dateOf(version.createTime),
  };
}

function noPending(version: string | undefined): SecretsError {
  return new SecretsError(
    'NotFound',
    version === undefined ? 'has no pending version' : `has no version ${version}`,
    {
      hint: 'secrets history shows what there is',
    },
  );
}

function unlessMissing(thrown: unknown): undefined {
  if (toSecretsError(thrown).kind !== 'NotFound') throw thrown;
  return undefined;
}
