/**
 * Keeps pending versions in a sibling: a separate secret with a suffix.
 *
 * Deleting the sibling would block its name for as long as the vault keeps deleted secrets, and the caller of a
 * rotation may have no right to purge (or nobody has). So the sibling stays when its value is promoted or discarded:
 * its newest version is disabled, and a tag says that nothing is pending. Only its newest version ever counts.
 */
import type { KeyVaultSecret, SecretProperties } from '@azure/keyvault-secrets';
import { SecretsError } from '../../core/errors.ts';
import type { SecretWrite } from '../provider.ts';
import type { VersionInfo } from '../../core/secret.ts';
import { isKind, isRefusal } from './errors.ts';
import { siblingIfAny, siblingOf } from './names.ts';
import {
  checkDescription,
  checkTags,
  encodeValue,
  infoOf,
  labelsOf,
  mergeLabels,
  PROMOTED,
  STATE,
} from './values.ts';
import type { KeyVault } from './vault.ts';

export const PENDING_PREFIX = 'pending:';

/** The sibling's version that a pending version's id names; `undefined` for other ids. */
export function pendingId(version: string): string | undefined {
  return version.startsWith(PENDING_PREFIX) ? version.slice(PENDING_PREFIX.length) : undefined;
}

export function pendingInfo(properties: SecretProperties, now: Date): VersionInfo {
  const info = infoOf(properties, ['pending'], now);
  return { ...info, id: PENDING_PREFIX + info.id };
}

export class Pending {
  readonly #vault: KeyVault;
  readonly #warn: (message: string) => void;

  constructor(vault: KeyVault, warn: (message: string) => void) {
    this.#vault = vault;
    this.#warn = warn;
  }

  /** The secret's pending version, if there is one. */
  async find(name: string, signal: AbortSignal): Promise<(KeyVaultSecret & { value: string }) | undefined> {
    const sibling = siblingIfAny(name);
    if (sibling === undefined) return undefined;
    try {
      const found = await this.#vault.get(sibling, undefined, signal);
      return found.properties.tags?.[STATE] === 'pending' ? found : undefined;
    } catch (thrown) {
      if (isKind(thrown, 'NotFound') || isRefusal(thrown, 'disabled')) return undefined;
      throw thrown;
    }
  }

  async put(name: string, write: SecretWrite, signal: AbortSignal): Promise<SecretProperties> {
    const sibling = siblingOf(name);
    if (Object.values(write.labels ?? {}).includes(null))
      throw new SecretsError('Unsupported', 'azure can’t remove labels with a pending version', {
        hint: 'remove them from the current one',
      });
    const { text, tags } = encodeValue(write.value);
    checkDescription(write.description);
    const all = checkTags({ ...mergeLabels({}, write.labels), ...tags, [STATE]: 'pending' });
    const older = await this.find(name, signal);
    const options = {
      tags: all,
      ...(write.description !== undefined && { contentType: write.description }),
      ...(write.expiresAt !== undefined && { expiresOn: write.expiresAt }),
    };
    let written: KeyVaultSecret;
    try {
      written = await this.#vault.set(sibling, text, options, signal);
    } catch (thrown) {
      if (!isRefusal(thrown, 'in-the-way')) throw thrown;
      // The sibling was deleted together with its secret, so the secret has to stay deleted.
      if ((await this.#vault.deleted(name, signal)) !== undefined) throw thrown;
      await this.#vault.recover(sibling, signal);
      written = await this.#vault.set(sibling, text, options, signal);
    }
    if (older !== undefined) await this.#retire(sibling, older.properties, signal).catch(() => undefined);
    return written.properties;
  }

  /** Records that nothing is pending any more. @throws SecretsError NotFound if this is not the pending version */
  async discard(name: string, id: string, signal: AbortSignal): Promise<void> {
    const found = await this.find(name, signal);
    if (found === undefined || found.properties.version !== id) throw noPending(id);
    await this.#retire(siblingOf(name), found.properties, signal);
  }

  async #retire(
    sibling: string,
    { version = '', tags }: SecretProperties,
    signal: AbortSignal,
  ): Promise<void> {
    const changes = { enabled: false, tags: { ...tags, [STATE]: 'none' } };
    await this.#vault.update(sibling, version, changes, signal);
  }

  /**
   * Writes the pending value as a new version of the secret, tagged with its origin, and then retires the pending
   * version. After a crash in between, the next call recognises the state by that tag.
   * @throws SecretsError NotFound, Conflict
   */
  async promote(
    name: string,
    id: string,
    signal: AbortSignal,
  ): Promise<{ properties: SecretProperties; current: boolean }> {
    const before = await this.#vault.newest(name, signal);
    const found = await this.find(name, signal);
    const matches = found?.properties.version === id;
    if (before?.properties.tags?.[PROMOTED] === id) {
      if (matches) await this.#finish(name, before.properties, found.properties, signal);
      return { properties: before.properties, current: true };
    }
    if (!matches) {
      const versions = before === undefined ? [] : await this.#vault.versions(name, signal);
      const earlier = versions.find(({ tags }) => tags?.[PROMOTED] === id);
      if (earlier === undefined) throw noPending(id);
      return { properties: earlier, current: false };
    }
    const { tags, contentType, expiresOn } = found.properties;
    const { [STATE]: _state, ...kept } = tags ?? {};
    const description = contentType ?? before?.properties.contentType;
    const { properties } = await this.#vault.set(
      name,
      found.value,
      {
        tags: checkTags({ ...labelsOf(before?.properties.tags), ...kept, [PROMOTED]: id }),
        ...(description !== undefined && { contentType: description }),
        ...(expiresOn !== undefined && { expiresOn }),
      },
      signal,
    );
    await this.#finish(name, properties, found.properties, signal);
    return { properties, current: true };
  }

  async #finish(
    name: string,
    promoted: SecretProperties,
    pending: SecretProperties,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.#retire(siblingOf(name), pending, signal);
    } catch (thrown) {
      if (!(thrown instanceof SecretsError)) throw thrown;
      throw new SecretsError(
        thrown.kind === 'NotFound' ? 'Failed' : thrown.kind,
        `version ${promoted.version} is written and current; its pending copy is still there: ${thrown.message}`,
        { hint: 'the same command again removes it', cause: thrown },
      );
    }
  }

  /** Soft-deletes the sibling, if there is one, before its secret is deleted. */
  async delete(name: string, signal: AbortSignal): Promise<void> {
    const sibling = siblingIfAny(name);
    if (sibling === undefined) return;
    try {
      await this.#vault.delete(sibling, signal);
    } catch (thrown) {
      if (!isKind(thrown, 'NotFound') && !isRefusal(thrown, 'in-the-way')) throw thrown;
    }
  }

  /** Restores the sibling together with its secret; if that fails, only a pending value is lost. */
  async restore(name: string, signal: AbortSignal): Promise<void> {
    const sibling = siblingIfAny(name);
    if (sibling === undefined) return;
    try {
      await this.#vault.recover(sibling, signal);
    } catch (thrown) {
      if (isKind(thrown, 'NotFound')) return;
      const { message } = thrown as Error;
      this.#warn(`the secret is restored, its pending version is not: ${message}`);
    }
  }

  /** Permanently deletes the soft-deleted sibling. */
  async purge(name: string, signal: AbortSignal): Promise<void> {
    const sibling = siblingIfAny(name);
    const deleted = sibling === undefined ? undefined : await this.#vault.deleted(sibling, signal);
    if (deleted === undefined) return;
    try {
      await this.#vault.purge(deleted, signal);
    } catch (thrown) {
      if (isKind(thrown, 'NotFound')) return;
      const { message } = thrown as Error;
      this.#warn(`the secret is purged, its pending versions stay deleted for a while: ${message}`);
    }
  }
}

function noPending(id: string): SecretsError {
  return new SecretsError('NotFound', `has no pending version ${id}`, { hint: 'secrets history shows it' });
}
