/** The claim of a rotation: taking it, keeping it, taking over another run's claim. */
import { randomInt } from 'node:crypto';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import type { Event, Plan } from '../core/rotation/machine.ts';
import { sleep } from '../core/waiting.ts';
import type { Holder } from '../core/rotation/holder.ts';
import { ClaimAge } from './lease.ts';
import {
  changedMeanwhile,
  claimedBy,
  type StoredCredential,
  isClaim,
  sameCredential,
  type Stages,
} from './place.ts';
import type { EngineOptions, Outcome } from './run.ts';
import type { Credential, Rotation } from './target.ts';
import type { StoppedRotation } from './next-step.ts';

/** Another run has taken over the claim. */
export class ClaimLost extends Error {}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const ID_LENGTH = 16;
/** A conflict can come from a last write of the dead holder; a new read shows it. */
const TAKE_OVERS = 3;

export class ClaimedRun {
  protected readonly options: EngineOptions;
  protected readonly plan: Plan;
  protected readonly claimAge = new ClaimAge();
  protected id: string;
  protected startedAt: Date;
  /** The credential that was current when the rotation started. */
  protected old: StoredCredential | undefined;
  protected previous: StoredCredential | undefined;
  /** The claimed version, as last read or written. */
  protected pending: StoredCredential | undefined;
  /** The value to store, until it is stored. */
  protected draft: Credential | undefined;
  protected holder: Outcome['holder'];
  protected error: SecretsError | undefined;
  /** Which value the target rejected in its last change, and the error. */
  protected refused: StoppedRotation['refused'];
  protected currentVersion: string | undefined;
  /** The current version at the first read. */
  protected before: string | undefined;
  /** The current version that the draft is based on. */
  protected base: string | undefined;
  /** A change was sent to the target and may still take effect. */
  protected inDoubt = false;
  /** This run, or an earlier one, may have sent the new credential to the target. */
  protected sent = false;

  constructor(options: EngineOptions) {
    this.options = options;
    const issues = options.target.issue !== undefined && !options.toPrevious;
    this.plan = { intent: options.intent, issues };
    this.id = newId();
    this.startedAt = options.now();
  }

  protected get rotation(): Rotation {
    const { leaseMs, boundMs = leaseMs / 4 } = this.options;
    return { id: this.id, startedAt: this.startedAt, boundMs, hold: () => this.keep() };
  }

  protected get known(): Stages {
    return { current: this.old, pending: this.pending, previous: this.previous };
  }

  protected async load(): Promise<Stages> {
    const stages = await this.options.place.read();
    this.old = stages.current;
    this.before ??= stages.current?.id;
    this.previous = stages.previous;
    this.currentVersion = stages.current?.id;
    return stages;
  }

  protected async look(): Promise<Event> {
    const { pending } = await this.load();
    if (pending === undefined) return (await this.clearStrayLock(false)) ? 'none' : 'held';
    await this.noteHolder(pending);
    return 'held';
  }

  /** Removes an abandoned lock that has no pending version, once its lease has expired. */
  protected async clearStrayLock(wait: boolean): Promise<boolean> {
    const { place } = this.options;
    const stray = await place.strayLock();
    if (stray === undefined) return true;
    const holder = await this.noteHolder(stray);
    const look = async (): Promise<string | undefined> => (await place.strayLock())?.id;
    if (!(await this.leaseIsOver(stray.id, holder, { look, wait }))) return false;
    try {
      await place.clearStrayLock(stray.id);
    } catch (thrown) {
      const error = (this.error = toSecretsError(thrown));
      if (error.kind === 'Conflict') return false;
      if (error.kind !== 'NotFound') throw error;
    }
    this.error = undefined;
    this.holder = undefined;
    return true;
  }

  protected async noteHolder(
    pending: Pick<StoredCredential, 'id' | 'createdAt'>,
  ): Promise<Holder | undefined> {
    const holder = await this.options.place.holderOf(pending.id);
    this.holder = holder ?? { since: pending.createdAt };
    return holder;
  }

  protected async claim(): Promise<Event> {
    const draft = needed(this.draft);
    this.base = this.old?.id;
    if (this.options.place.firstIsCurrent(this.old)) return this.#putFirst(draft);
    this.claimAge.restart();
    try {
      const { id, createdAt } = await this.options.place.claim(draft.value, this.record());
      this.pending = { id, createdAt, ...draft };
    } catch (thrown) {
      const error = (this.error = toSecretsError(thrown));
      if (error.kind === 'Conflict') {
        await this.noteRival();
        return 'held';
      }
      return isUnclear(error) ? 'unclear' : 'failed';
    }
    try {
      await this.load();
      if (await this.discardIfStale()) return 'failed';
    } catch (thrown) {
      this.error = toSecretsError(thrown);
      return 'unclear';
    }
    await this.sign();
    return 'ok';
  }

  /**
   * Claims and promotes in a single write, so no crash can happen in between. `preflight` has already rejected targets
   * that would have to change anything.
   */
  async #putFirst(draft: Credential): Promise<Event> {
    try {
      this.currentVersion = (await this.options.place.putFirst(draft.value)).id;
      return 'promoted';
    } catch (thrown) {
      const error = (this.error = toSecretsError(thrown));
      if (error.kind === 'Conflict') {
        await this.load();
        this.error = changedMeanwhile(this.old?.id, error);
      }
      return isUnclear(error) ? 'unclear' : 'failed';
    }
  }

  /**
   * Gives up a claim whose value is based on a version that is no longer current. Another rotation can start and finish
   * between our read and our claim, and our value would undo its changes. Once we hold the claim, no other rotation can
   * do that, so checking once is enough, whatever conditions the store's writes support.
   */
  protected async discardIfStale(): Promise<boolean> {
    const { place } = this.options;
    if (this.old?.id === this.base) return false;
    const pending = needed(this.pending);
    await place.discard(pending.id).catch((thrown: unknown) => {
      if (toSecretsError(thrown).kind !== 'NotFound') throw thrown;
    });
    await place.unsign({}, pending.id);
    this.pending = undefined;
    this.error = changedMeanwhile(this.old?.id);
    return true;
  }

  protected async noteRival(): Promise<void> {
    try {
      const { place } = this.options;
      const rival = (await place.read()).pending ?? (await place.strayLock());
      if (rival !== undefined) await this.noteHolder(rival);
    } catch (thrown) {
      // The rotation is still held, even if the holder is unknown.
      this.options.warn(`the holder of the rotation can’t be read: ${toSecretsError(thrown).message}`);
    }
  }

  protected async confirmClaim(): Promise<Event> {
    const first = this.options.place.firstIsCurrent(this.old);
    const { current, pending } = await this.load();
    if (first && current !== undefined) {
      if (sameCredential(current, this.draft)) return 'promoted';
      this.error = changedMeanwhile(current.id, this.error);
    }
    if (pending === undefined) return 'none';
    if (!sameCredential(pending, this.draft)) {
      await this.noteHolder(pending);
      return 'held';
    }
    this.pending = pending;
    if (await this.discardIfStale()) return 'none';
    await this.sign();
    return 'mine';
  }

  /** Records who holds the rotation. The record only informs others, so a failure doesn't fail the rotation. */
  protected async sign(leaseMs = this.options.leaseMs): Promise<void> {
    if (this.pending === undefined || this.old === undefined) return;
    try {
      await this.options.place.sign(this.record(leaseMs), this.pending.id);
    } catch (thrown) {
      this.options.warn(
        `the holder of the rotation could not be recorded: ${toSecretsError(thrown).message}`,
      );
    }
  }

  protected record(leaseMs = this.options.leaseMs): Holder {
    const { host, user } = this.options;
    return { id: this.id, host, user, since: this.startedAt, leaseMs };
  }

  /**
   * For a run that ends without finishing: lets the next run start without waiting for the lease, unless a change may
   * still reach the target.
   */
  protected async releaseLease(): Promise<void> {
    if (!this.inDoubt) await this.sign(0);
  }

  protected async takeOver(): Promise<Event> {
    const { place } = this.options;
    const { pending } = await this.load();
    if (pending === undefined) return (await this.clearStrayLock(this.options.wait)) ? 'none' : 'held';
    const holder = await this.noteHolder(pending);
    const look = (): Promise<string | undefined> => place.pendingId();
    if (!(await this.leaseIsOver(pending.id, holder, { look, wait: this.options.wait }))) return 'held';
    // Whatever the target created for this rotation is found by the rotation's id, which the claim contains too.
    this.id = holder?.id ?? claimedBy(pending) ?? this.id;
    this.startedAt = holder?.since ?? this.startedAt;
    this.pending = pending;
    this.sent = true;
    for (let tries = 1; ; tries += 1) {
      // The holder may have finished during the wait, or its last write only becomes visible now.
      const now = (await this.load()).pending;
      if (sameCredential(pending, this.old) && (now === undefined || now.id === pending.id))
        return 'promoted';
      if (now === undefined) return 'none';
      if (now.id !== pending.id) {
        await this.noteHolder(now);
        return 'held';
      }
      this.claimAge.restart();
      try {
        const { id, createdAt } = await place.replace(pending.id, pending.value, this.record());
        this.pending = { ...pending, id, createdAt };
        break;
      } catch (thrown) {
        this.error = toSecretsError(thrown);
        if (this.error.kind !== 'Conflict') return 'failed';
        if (tries === TAKE_OVERS) return 'held';
      }
    }
    this.error = undefined;
    this.holder = undefined;
    await this.sign();
    return isClaim(pending) ? 'unissued' : 'ok';
  }

  protected async leaseIsOver(
    pendingId: string,
    holder: Holder | undefined,
    { look, wait }: { readonly look: () => Promise<string | undefined>; readonly wait: boolean },
  ): Promise<boolean> {
    const { watch, reference, takeOver, interrupt, progress } = this.options;
    const lease = holder?.leaseMs ?? this.options.leaseMs;
    if (takeOver || lease === 0) return true;
    // Its version has to be seen unchanged for the whole lease before the holder counts as silent.
    let left = lease - watch.seenFor(reference, pendingId);
    if (left > 0 && !wait) return false;
    while (left > 0) {
      progress(`waiting for the lease of whoever holds it: ${Math.ceil(left / 1000)} s`);
      const from = performance.now();
      await sleep(Math.min(left, Math.max(lease / 10, 250)), interrupt, true);
      if (interrupt.aborted) throw new SecretsError('Unavailable', 'interrupted while waiting');
      left -= performance.now() - from;
      const now = await look();
      if (now === undefined) return true;
      if (now !== pendingId) {
        this.error = new SecretsError('Conflict', 'its holder is alive');
        return false;
      }
    }
    return true;
  }

  /** Checks before each change that this run still holds the claim, and for long enough. @throws ClaimLost */
  protected async keep(): Promise<void> {
    const pending = needed(this.pending);
    const young = (): boolean => this.claimAge.ms() < this.options.leaseMs / 2;
    // Read first, because `--take-over` doesn't wait for the lease; then check the age again, because the read may have
    // been slow.
    if (young() && (await this.options.place.pendingId()) !== pending.id) {
      this.error = new SecretsError('Conflict', 'somebody else has taken over this rotation');
      await this.noteRival();
      throw new ClaimLost();
    }
    if (young()) return;
    this.claimAge.restart();
    try {
      const { id, createdAt } = await this.options.place.replace(pending.id, pending.value, this.record());
      this.pending = { ...pending, id, createdAt };
    } catch (thrown) {
      const error = (this.error = toSecretsError(thrown));
      if (error.kind !== 'Conflict') throw error;
      await this.noteRival();
      throw new ClaimLost();
    }
    await this.sign();
  }
}

/** Whether a failed call may have taken effect. Nothing is known about an error that no adapter has classified. */
export function isUnclear({ kind, message }: SecretsError): boolean {
  return kind === 'Failed' || /may have been made|is written/.test(message);
}

export function needed<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('the machine asked for it too early');
  return value;
}

function newId(): string {
  return Array.from({ length: ID_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}
