/**
 * A secret in its store as a rotation sees it: its versions by stage, its claim, its labels. Everything that a rotation
 * leaves for other machines goes through here.
 */
import { createHash } from 'node:crypto';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { isJsonObject, type JsonValue, parseJson } from '../core/json.ts';
import type { CallOptions } from '../providers/call.ts';
import type { LabelChanges } from '../providers/capabilities/labels.ts';
import type { Provider } from '../providers/provider.ts';
import type { SecretInfo, SecretVersion, VersionInfo } from '../core/secret.ts';
import { decodeHolder, encodeHolder, type Holder, HOLDER_LABEL } from '../core/rotation/holder.ts';
import type { RightFinding } from './rights.ts';
import type { Credential, Known } from './target.ts';

/** A version of the secret with its id. */
export interface StoredCredential extends Credential {
  readonly id: string;
  readonly createdAt: Date | undefined;
}

export interface Stages extends Known {
  readonly current: StoredCredential | undefined;
  readonly pending: StoredCredential | undefined;
  readonly previous: StoredCredential | undefined;
}

/** A key that marks a pending value as a claim: the credential has yet to be issued. Its value is the rotation's id. */
export const CLAIM_KEY = 'secrets-rotation-claim';

/** Valid in every store, and no name that a person would choose. */
export const ASIDE_PREFIX = 'secrets-rotation-undone-';

export class SecretPlace {
  readonly provider: Provider;
  readonly name: string;
  protected readonly call: () => CallOptions;

  /** @throws SecretsError Unsupported if the store has no pending versions */
  constructor(provider: Provider, name: string, call: () => CallOptions) {
    if (!provider.capabilities.has('stages') || provider.makeCurrent === undefined)
      throw new SecretsError('Unsupported', 'this store keeps no pending versions, which a rotation needs', {
        hint: 'write a new value with secrets put, after you have set it in the target',
      });
    this.provider = provider;
    this.name = name;
    this.call = call;
  }

  /** The store has no conditional writes, so two parallel rotations are only kept apart on a best-effort basis. */
  get unguarded(): boolean {
    return !this.provider.capabilities.has('cas');
  }

  /** The store that holds the lock, if the secret's own store can't hold the claim. */
  get lockedBy(): string | undefined {
    return undefined;
  }

  /** The versions involved in a rotation. @throws SecretsError if one can't be read, except for NotFound */
  async read(): Promise<Stages> {
    const [current, pending, previous] = await this.provider.get(
      [{ name: this.name }, { name: this.name, stage: 'pending' }, { name: this.name, stage: 'previous' }],
      this.call(),
    );
    const held = (answer: typeof current, needed: boolean): StoredCredential | undefined => {
      if (answer?.ok === true) return storedCredentialOf(answer.secret);
      if (needed && answer !== undefined && answer.error.kind !== 'NotFound') throw answer.error;
      return undefined;
    };
    return {
      current: held(current, true),
      pending: held(pending, true),
      // Useful for signing in, but not required.
      previous: held(previous, false),
    };
  }

  /** Whether the secret was created without a value, as Terraform and consoles do. */
  async awaitsFirst(): Promise<boolean> {
    try {
      const { currentVersion, deletedAt } = await this.provider.describe(this.name, this.call());
      return currentVersion === undefined && deletedAt === undefined;
    } catch (thrown) {
      // A caller without the right to look gets the same answer as for a secret without a value.
      if (thrown instanceof SecretsError && ['NotFound', 'Denied', 'Unsupported'].includes(thrown.kind))
        return false;
      throw thrown;
    }
  }

  /**
   * Stores a pending version if there is none.
   * @param _holder the claiming run, for a lock that can record it in the same write
   * @throws SecretsError Conflict if there is one
   */
  async claim(value: Uint8Array, _holder: Holder): Promise<VersionInfo> {
    const write = { value, stage: 'pending' } as const;
    if (!this.unguarded) return this.provider.put(this.name, { ...write, ifAbsent: true }, this.call());
    return this.#unguardedPut(write, undefined);
  }

  /**
   * Whether a first value would become current immediately, because the service can't keep it pending.
   * @param current the current version
   */
  firstIsCurrent(current: Credential | undefined): boolean {
    return current === undefined && this.provider.rules.firstIsCurrent === true;
  }

  /** Writes the secret's first value. @throws SecretsError Conflict if it has one */
  putFirst(value: Uint8Array): Promise<VersionInfo> {
    return this.provider.put(this.name, { value, ifAbsent: true }, this.call());
  }

  /** Replaces a pending version, with the same value or another one. @throws SecretsError Conflict */
  async replace(pendingId: string, value: Uint8Array, _holder: Holder): Promise<VersionInfo> {
    const write = { value, stage: 'pending' } as const;
    if (!this.unguarded) return this.provider.put(this.name, { ...write, ifPending: pendingId }, this.call());
    return this.#unguardedPut(write, pendingId);
  }

  /**
   * Best effort for stores without conditional writes: read, write, wait long enough for a rival that read at the same
   * moment to write too, then read again. The last writer holds the claim.
   */
  async #unguardedPut(
    write: { readonly value: Uint8Array; readonly stage: 'pending' },
    expected: string | undefined,
  ): Promise<VersionInfo> {
    const conflict = (): SecretsError => new SecretsError('Conflict', 'another version is pending');
    if ((await this.pendingId()) !== expected) throw conflict();
    const made = await this.provider.put(this.name, write, this.call());
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    if ((await this.pendingId()) !== made.id) throw conflict();
    return made;
  }

  async pendingId(): Promise<string | undefined> {
    const [answer] = await this.provider.get([{ name: this.name, stage: 'pending' }], this.call());
    if (answer?.ok === true) return answer.secret.id;
    if (answer !== undefined && answer.error.kind !== 'NotFound') throw answer.error;
    return undefined;
  }

  async promote(pendingId: string): Promise<VersionInfo> {
    const { makeCurrent } = this.provider;
    if (makeCurrent === undefined) throw new TypeError('checked when made');
    return makeCurrent.call(this.provider, this.name, pendingId, { ...this.call(), ifPending: true });
  }

  async discard(pendingId: string): Promise<void> {
    await this.provider.purge?.(this.name, pendingId, this.call());
  }

  /**
   * Keeps a value that an abandoned rotation issued, as a new version of a separate entry, which also keeps all earlier
   * ones.
   * @returns the entry's name
   */
  async keepAbandonedValue(value: Uint8Array): Promise<string> {
    const native = (await this.provider.nativeId?.(this.name, this.call())) ?? this.name;
    const name = ASIDE_PREFIX + createHash('sha256').update(native).digest('hex').slice(0, 32);
    try {
      await this.provider.put(name, { value }, this.call());
    } catch (thrown) {
      const { kind, message } = toSecretsError(thrown);
      throw new SecretsError(kind, `the value that was issued can’t be kept as ${name}: ${message}`, {
        hint: 'allow that, or finish the rotation: secrets rotate resume',
        cause: thrown,
      });
    }
    return name;
  }

  /** The secret's labels; empty if the store has none or they can't be read. */
  async labels(): Promise<Readonly<Record<string, string>>> {
    return (this.hasLabels() ? await this.info() : undefined)?.labels ?? {};
  }

  /** Metadata that matters for the rotation; `undefined` if the store has none or it can't be read. */
  async info(): Promise<SecretInfo | undefined> {
    if (!this.hasLabels() && !this.provider.capabilities.has('native-rotation')) return undefined;
    try {
      return await this.provider.describe(this.name, this.call());
    } catch (thrown) {
      // A pending first value has no secret to describe yet.
      const { kind } = toSecretsError(thrown);
      if (kind === 'NotFound' || kind === 'Denied') return undefined;
      throw thrown;
    }
  }

  /** A lock that is held although nothing is pending: its holder is either about to start or dead. */
  async strayLock(): Promise<{ readonly id: string; readonly createdAt: Date | undefined } | undefined> {
    return undefined;
  }

  /** Removes a stray lock. @throws SecretsError Conflict if the lock has changed */
  async clearStrayLock(_id: string): Promise<void> {
    // Without `rotation.lock`, the claim itself is the only lock.
  }

  /** The findings about the lock, for `--dry-run`. */
  async lockFindings(): Promise<readonly RightFinding[]> {
    return [];
  }

  hasLabels(): boolean {
    return this.provider.capabilities.has('labels') && this.provider.setLabels !== undefined;
  }

  /** Sets labels if the store supports them; a secret without a current version has none yet. */
  async setLabels(labels: LabelChanges): Promise<void> {
    if (!this.hasLabels()) return;
    await this.provider.setLabels?.(this.name, labels, this.call());
  }

  /** The run that started the rotation of this pending version, if it is recorded. */
  async holderOf(pendingId: string): Promise<Holder | undefined> {
    return decodeHolder((await this.labels())[HOLDER_LABEL], pendingId);
  }

  /** Records who holds the rotation. */
  async sign(holder: Holder, pendingId: string): Promise<void> {
    await this.setLabels({ [HOLDER_LABEL]: encodeHolder(holder, pendingId) });
  }

  /** Sets labels, and removes the holder record of this pending version, whose rotation is over. */
  async unsign(labels: LabelChanges, _pendingId: string | undefined): Promise<void> {
    await this.setLabels({ [HOLDER_LABEL]: null, ...labels });
  }
}

/** Longer than a read and a write take in stores without conditional writes. */
const SETTLE_MS = 2000;

export function storedCredentialOf(secret: SecretVersion): StoredCredential {
  return { id: secret.id, createdAt: secret.createdAt, ...credentialOf(secret.value) };
}

export function credentialOf(
  value: Uint8Array,
  fields: Readonly<Record<string, JsonValue>> | undefined = parsedFields(value),
): Credential {
  return { value, fields };
}

function parsedFields(value: Uint8Array): Readonly<Record<string, JsonValue>> | undefined {
  try {
    const parsed = parseJson(value);
    return isJsonObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** @param current the version that has become current since this rotation first read the secret */
export function changedMeanwhile(current: string | undefined, cause?: unknown): SecretsError {
  const now = current === undefined ? 'no version' : `version ${current}`;
  return new SecretsError('Conflict', `changed while this rotation began: ${now} is current now`, {
    hint: 'run the command again to rotate once more',
    cause,
  });
}

/** Whether a pending version is only a claim. */
export function isClaim({ fields }: Credential): boolean {
  return fields !== undefined && Object.hasOwn(fields, CLAIM_KEY);
}

/** The id of the rotation that holds the claim. */
export function claimedBy({ fields }: Credential): string | undefined {
  const id = fields?.[CLAIM_KEY];
  return typeof id === 'string' && /^[a-z0-9]{16}$/.test(id) ? id : undefined;
}

/** Whether two versions have the same content; a store that keeps maps may return their keys in another order. */
export function sameCredential(one: Credential | undefined, other: Credential | undefined): boolean {
  if (one === undefined || other === undefined) return false;
  if (Buffer.compare(one.value, other.value) === 0) return true;
  const [a, b] = [parsedFields(one.value), parsedFields(other.value)];
  return a !== undefined && b !== undefined && canonical(a) === canonical(b);
}

function canonical(value: JsonValue): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    isJsonObject(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
