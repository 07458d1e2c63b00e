/**
 * A secret in a store without conditional writes, rotated under a lock in a store that has them (`rotation.lock`).
 *
 * The lock is a pending version of an entry of its own in the lock store, so it is taken, taken over and released with
 * the same conditional writes as the claims of other rotations. The pending version stays in the secret's own store;
 * the lock contains no value. The lock's name is LOCK_PREFIX and a hash of the secret's native id.
 *
 * Each time the lock is taken it gets a turn, a nonce. The rotation sees pending versions under an id that combines the
 * store's id and the turn: taking over the lock changes that id, so a holder that was too slow notices the loss.
 *
 * The lock is taken first and released last. A holder that dies in between leaves a stray lock: nothing is pending, so
 * the target hasn't received anything, and the next rotation removes the lock after the lease.
 */
import { createHash, randomUUID } from 'node:crypto';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import type { JsonValue } from '../core/json.ts';
import type { CallOptions } from '../providers/call.ts';
import type { LabelChanges } from '../providers/capabilities/labels.ts';
import type { Provider, SecretWrite } from '../providers/provider.ts';
import type { VersionInfo } from '../core/secret.ts';
import { decodeHolder, encodeHolder, type Holder } from '../core/rotation/holder.ts';
import { credentialOf, SecretPlace, type Stages } from './place.ts';
import { type RightFinding, rightsOf } from './rights.ts';

/** Valid in every store, and no name that a person would choose. */
export const LOCK_PREFIX = 'secrets-rotation-lock-';
/** Separates the store's id of a pending version from the turn of the lock. */
const TURN = '~';

export interface LockStore {
  /** The lock store's name, for messages. */
  readonly name: string;
  readonly provider: Provider;
}

interface Lock {
  /** The lock's version id in the lock store. */
  readonly id: string;
  readonly turn: string;
  /** The record of the holder, marked with this turn. */
  readonly holder: string | undefined;
  readonly createdAt: Date | undefined;
}

export class LockedPlace extends SecretPlace {
  readonly #lock: LockStore;
  readonly #reference: string;
  readonly #warn: (message: string) => void;

  /**
   * @param reference identifies the secret if its store has no native id for it
   * @throws SecretsError Usage for a lock store without conditional writes
   */
  constructor(
    provider: Provider,
    name: string,
    call: () => CallOptions,
    lock: LockStore,
    reference: string,
    warn: (message: string) => void,
  ) {
    super(provider, name, call);
    this.#lock = lock;
    this.#reference = reference;
    this.#warn = warn;
    const { capabilities } = lock.provider;
    if (!capabilities.has('cas') || !capabilities.has('stages') || lock.provider.purge === undefined)
      throw new SecretsError('Usage', `rotation.lock: the store ${lock.name} has no conditional write`, {
        hint: 'name a store that has: local, aws, gcp, or vault with KV version 2',
      });
  }

  override get unguarded(): boolean {
    return false;
  }

  override get lockedBy(): string {
    return this.#lock.name;
  }

  override async read(): Promise<Stages> {
    const stages = await super.read();
    if (stages.pending === undefined) {
      // Fails if the lock store is unreachable: a rotation must not start then.
      await this.#find();
      return stages;
    }
    return { ...stages, pending: { ...stages.pending, id: joined(stages.pending.id, await this.#find()) } };
  }

  override async pendingId(): Promise<string | undefined> {
    const own = await super.pendingId();
    return own === undefined ? undefined : joined(own, await this.#find());
  }

  override async claim(value: Uint8Array, holder: Holder): Promise<VersionInfo> {
    const lock = await this.#take(undefined, holder);
    try {
      // Left by a rotation that was started without a lock.
      if ((await super.pendingId()) !== undefined) throw another();
      return await this.#write(value, lock);
    } catch (thrown) {
      const error = toSecretsError(thrown);
      // A write that may have happened can still become visible, so the lock stays until the lease expires.
      if (!inDoubt(error)) await this.#release(lock.id);
      throw error;
    }
  }

  override async replace(pendingId: string, value: Uint8Array, holder: Holder): Promise<VersionInfo> {
    const { own } = parted(pendingId);
    const lock = await this.#find();
    if ((await super.pendingId()) !== own || joined(own, lock) !== pendingId) throw another();
    const taken = await this.#take(lock, holder);
    // The holder promoted or discarded the version at the last moment.
    if ((await super.pendingId()) !== own) {
      await this.#release(taken.id);
      throw another();
    }
    return this.#write(value, taken);
  }

  async #write(value: Uint8Array, lock: Lock): Promise<VersionInfo> {
    const made = await this.provider.put(this.name, { value, stage: 'pending' }, this.call());
    return { ...made, id: joined(made.id, lock) };
  }

  override async promote(pendingId: string): Promise<VersionInfo> {
    await this.#mustHold(pendingId);
    return super.promote(parted(pendingId).own);
  }

  override async discard(pendingId: string): Promise<void> {
    await this.#mustHold(pendingId);
    await super.discard(parted(pendingId).own);
  }

  /** @throws SecretsError Conflict */
  async #mustHold(pendingId: string): Promise<void> {
    if (parted(pendingId).turn !== ((await this.#find())?.turn ?? '')) throw another();
  }

  override async holderOf(): Promise<Holder | undefined> {
    const lock = await this.#find();
    return lock && decodeHolder(lock.holder, lock.turn);
  }

  /** The record of the holder is kept in the lock. */
  override async sign(holder: Holder, pendingId: string): Promise<void> {
    const lock = await this.#find();
    if (lock === undefined || lock.turn !== parted(pendingId).turn) return;
    const record = encodeHolder(holder, lock.turn);
    if (record === lock.holder) return;
    await this.#put({ ifPending: lock.id }, { turn: lock.turn, holder: record }).catch((thrown: unknown) => {
      throw this.#explained(thrown);
    });
  }

  /** Releases the lock after everything else. A run that lost the lock leaves it alone. */
  override async unsign(labels: LabelChanges, pendingId: string | undefined): Promise<void> {
    try {
      await this.setLabels(labels);
    } finally {
      const lock = await this.#find();
      if (lock !== undefined && pendingId !== undefined && lock.turn === parted(pendingId).turn)
        await this.#release(lock.id);
    }
  }

  override async strayLock(): Promise<
    { readonly id: string; readonly createdAt: Date | undefined } | undefined
  > {
    const lock = await this.#find();
    if (lock === undefined) return undefined;
    return { id: joined('', lock), createdAt: lock.createdAt };
  }

  override async clearStrayLock(id: string): Promise<void> {
    const lock = await this.#find();
    if (lock === undefined || joined('', lock) !== id) throw another();
    // By the lock's version id, so that a lock taken in the meantime stays.
    await this.#lock.provider.purge?.(await this.#name(), lock.id, this.call()).catch((thrown: unknown) => {
      throw this.#explained(thrown);
    });
  }

  override async lockFindings(): Promise<readonly RightFinding[]> {
    const { name, provider } = this.#lock;
    return rightsOf(provider, await this.#name(), `lock in ${name}`, ['stage', 'discard'], this.call());
  }

  async #name(): Promise<string> {
    const native = (await this.provider.nativeId?.(this.name, this.call())) ?? this.#reference;
    return LOCK_PREFIX + createHash('sha256').update(native).digest('hex').slice(0, 32);
  }

  async #find(): Promise<Lock | undefined> {
    const [answer] = await this.#lock.provider.get(
      [{ name: await this.#name(), stage: 'pending' }],
      this.call(),
    );
    if (answer?.ok === true) {
      const { id, createdAt, value } = answer.secret;
      const found = credentialOf(value).fields ?? {};
      const text = (given: JsonValue | undefined): string | undefined =>
        typeof given === 'string' ? given : undefined;
      return {
        id,
        createdAt,
        turn: text(found['turn']) ?? '',
        holder: text(found['holder']),
      };
    }
    if (answer !== undefined && answer.error.kind !== 'NotFound') throw this.#explained(answer.error);
    return undefined;
  }

  /**
   * Takes the lock if it is free or unchanged since it was read. After a lost response, a read shows whether it was
   * taken.
   * @throws SecretsError Conflict
   */
  async #take(before: Lock | undefined, holder: Holder): Promise<Lock> {
    const turn = randomUUID().slice(0, 13);
    const lock = { turn, holder: encodeHolder(holder, turn) };
    const condition = before === undefined ? { ifAbsent: true } : { ifPending: before.id };
    try {
      const { id, createdAt } = await this.#put(condition, lock);
      return { ...lock, id, createdAt };
    } catch (thrown) {
      const error = toSecretsError(thrown);
      if (error.kind === 'Conflict') throw another(error);
      if (!inDoubt(error)) throw this.#explained(error);
      const found = await this.#find();
      if (found?.turn === lock.turn) return found;
      if (found !== undefined && found.id !== before?.id) throw another(error);
      throw this.#explained(error);
    }
  }

  async #put(
    condition: Pick<SecretWrite, 'ifAbsent' | 'ifPending'>,
    content: Pick<Lock, 'turn' | 'holder'>,
  ): Promise<VersionInfo> {
    const { provider } = this.#lock;
    const name = await this.#name();
    const about = { for: `the rotation of ${this.#reference}` };
    const write = {
      value: Buffer.from(JSON.stringify({ ...about, ...content })),
      stage: 'pending',
      ...condition,
    } as const;
    try {
      return await provider.put(name, write, this.call());
    } catch (thrown) {
      if (toSecretsError(thrown).kind !== 'Unsupported') throw thrown;
      // Some stores allow no pending version before there is a current one.
      const base = { value: Buffer.from(JSON.stringify(about)), ifAbsent: true } as const;
      await provider.put(name, base, this.call()).catch((failure: unknown) => {
        if (toSecretsError(failure).kind !== 'Conflict') throw failure;
      });
      return provider.put(name, write, this.call());
    }
  }

  /** A lock that can't be released expires with its lease. */
  async #release(id: string): Promise<void> {
    try {
      await this.#lock.provider.purge?.(await this.#name(), id, this.call());
    } catch (thrown) {
      const { kind, message } = toSecretsError(thrown);
      if (kind !== 'NotFound')
        this.#warn(`the lock in ${this.#lock.name} is held until its lease is over: ${message}`);
    }
  }

  /** Says that the lock's store failed. Leaves out the words of doubt, because the secret was not changed. */
  #explained(thrown: unknown): SecretsError {
    const { kind, message, hint } = toSecretsError(thrown);
    const what = inDoubt({ kind, message }) ? 'did not say whether the lock is taken' : message;
    // An unclassified failure comes from the store, and doesn't mean that the rotation has started.
    return new SecretsError(
      kind === 'Failed' ? 'Unavailable' : kind,
      `the lock’s store ${this.#lock.name}: ${what}`,
      { hint, cause: thrown },
    );
  }
}

function joined(own: string, lock: Lock | undefined): string {
  return `${own}${TURN}${lock?.turn ?? ''}`;
}

function parted(id: string): { readonly own: string; readonly turn: string } {
  const at = id.lastIndexOf(TURN);
  return at === -1 ? { own: id, turn: '' } : { own: id.slice(0, at), turn: id.slice(at + TURN.length) };
}

function inDoubt({ kind, message }: Pick<SecretsError, 'kind' | 'message'>): boolean {
  return kind === 'Failed' || /may have been made|is written/.test(message);
}

function another(cause?: unknown): SecretsError {
  return new SecretsError('Conflict', 'somebody else holds the lock', { cause });
}
