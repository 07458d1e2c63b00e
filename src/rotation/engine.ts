/**
 * Carries out a rotation: does what the machine (src/core/rotation.ts) says to a secret in its store and to its
 * target, and tells the machine what came of it.
 */
import { randomInt } from 'node:crypto';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import {
  begin,
  type Effect,
  effectOf,
  type Ending,
  type Event,
  type Intent,
  isEnding,
  next,
  type Plan,
} from '../core/rotation.ts';
import { sleep } from '../core/waiting.ts';
import { setKeys } from '../core/patch.ts';
import type { JsonValue } from '../core/json.ts';
import type { Generator } from './generator.ts';
import {
  decodeHolder,
  encodeHolder,
  encodeTime,
  type Holder,
  HOLDER_LABEL,
  LAST_ROTATED_LABEL,
  RETIRE_LABEL,
} from './holder.ts';
import { HeldFor, type Watch } from './lease.ts';
import {
  CLAIM_KEY,
  credentialOf,
  type Held,
  isClaim,
  sameCredential,
  type SecretPlace,
  type Stages,
} from './place.ts';
import type { Credential, Rotation, Target } from './target.ts';

/** One thing that happened, for the journal and for `--json`. */
export interface RotationEvent {
  /** ISO 8601, by this machine's clock. */
  readonly at: string;
  /** What was done: the machine's effect, or `begin` and `end`. */
  readonly step: string;
  /** What came of it: the machine's event, an ending; missing when it is about to be done. */
  readonly outcome?: string;
  /** The store's version that it was about. */
  readonly version?: string;
  /** Why it failed. Never a value. */
  readonly reason?: string;
}

export interface EngineOptions {
  readonly intent: Intent;
  /** What messages and records call the secret. */
  readonly reference: string;
  readonly place: SecretPlace;
  readonly target: Target;
  readonly generator: Generator;
  /** Keys of a JSON secret that get a new value; none: the whole value is one. */
  readonly keys: readonly string[];
  /** For how long the replaced credential is kept. */
  readonly graceMs: number;
  /** After this long without a sign, a holder is taken for dead. */
  readonly leaseMs: number;
  /** The holder is known to be dead: don't wait for its lease. */
  readonly takeOver: boolean;
  /** Wait for the rest of a holder's lease, or end with `held`. */
  readonly wait: boolean;
  /** Rotate to the previous version instead of a new value. */
  readonly toPrevious: boolean;
  readonly host: string;
  readonly user: string;
  readonly now: () => Date;
  /** A signal with a fresh deadline, for one call. */
  readonly signal: () => AbortSignal;
  /** Aborted when the user interrupts. */
  readonly interrupt: AbortSignal;
  readonly watch: Watch;
  /** Takes each event before and after it is done. */
  readonly record: (event: RotationEvent, rotation: string) => void;
  /** What is being done, for a person. */
  readonly progress: (text: string) => void;
  readonly warn: (message: string) => void;
}

export interface Outcome {
  readonly ending: Ending;
  readonly rotation: string;
  /** Who holds the rotation, for `held` and `lost`. Without a record of that, since when alone. */
  readonly holder: Holder | { readonly since: Date | undefined } | undefined;
  /** Why it did not end with `done`. */
  readonly error: SecretsError | undefined;
  readonly currentVersion: string | undefined;
  readonly events: readonly RotationEvent[];
}

/** The claim went to somebody else. */
class Lost extends Error {}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const ID_LENGTH = 16;
/** How often a new value may come out as the old one before that is taken for a mistake in the policy. */
const DRAFTS = 20;
/** A conflict may be the end of a write that the dead holder began; looking again shows it. */
const TAKE_OVERS = 3;

const TEXTS: Partial<Record<Effect, string>> = {
  look: 'looking',
  prepare: 'making a new value',
  claim: 'claiming',
  'take-over': 'taking over',
  issue: 'asking for a new credential',
  'apply-new': 'applying',
  'verify-new': 'verifying',
  promote: 'promoting',
  finish: 'finishing',
  'verify-old': 'verifying the old credential',
  'apply-old': 'putting the old credential back',
  discard: 'discarding the new one',
};

export class Engine {
  readonly #options: EngineOptions;
  readonly #plan: Plan;
  readonly #events: RotationEvent[] = [];
  readonly #heldFor = new HeldFor();
  #id: string;
  #startedAt: Date;
  /** The credential that the rotation began with. */
  #old: Held | undefined;
  #previous: Held | undefined;
  /** What is claimed, as it was last read or written. */
  #pending: Held | undefined;
  /** The value to be stored, before it is. */
  #draft: Credential | undefined;
  #holder: Outcome['holder'];
  #error: SecretsError | undefined;
  #currentVersion: string | undefined;
  /** Something was sent to the target and may still arrive. */
  #inDoubt = false;

  constructor(options: EngineOptions) {
    this.#options = options;
    const issues = options.target.issue !== undefined && !options.toPrevious;
    this.#plan = { intent: options.intent, issues };
    this.#id = newId();
    this.#startedAt = options.now();
  }

  /** Runs to an ending. Rejects only for errors of our own. */
  async run(): Promise<Outcome> {
    let state = begin(this.#plan);
    this.#record({ step: 'begin', outcome: this.#plan.intent });
    while (!isEnding(state)) {
      const effect = effectOf(state);
      const text = TEXTS[effect];
      if (text !== undefined) this.#options.progress(text);
      this.#record({ step: effect });
      const event = await this.#carryOut(effect);
      this.#record({
        step: effect,
        outcome: event,
        ...(this.#pending !== undefined && { version: this.#pending.id }),
        ...(['failed', 'unclear', 'held', 'lost'].includes(event) &&
          this.#error !== undefined && { reason: this.#error.message }),
      });
      state = next(this.#plan, state, event);
    }
    if (state === 'done') this.#options.watch.forget(this.#options.reference);
    if (state === 'stuck') await this.#letGo();
    this.#record({
      step: 'end',
      outcome: state,
      ...(this.#currentVersion !== undefined && { version: this.#currentVersion }),
    });
    return {
      ending: state,
      rotation: this.#id,
      holder: this.#holder,
      error: this.#error,
      currentVersion: this.#currentVersion,
      events: this.#events,
    };
  }

  #record(event: Omit<RotationEvent, 'at'>): void {
    const full = { at: this.#options.now().toISOString(), ...event };
    if (event.outcome !== undefined) this.#events.push(full);
    this.#options.record(full, this.#id);
  }

  get #rotation(): Rotation {
    return { id: this.#id, startedAt: this.#startedAt };
  }

  get #known(): Stages {
    return { current: this.#old, pending: this.#pending, previous: this.#previous };
  }

  async #carryOut(effect: Effect): Promise<Event> {
    try {
      switch (effect) {
        case 'look':
          return await this.#look();
        case 'prepare':
          return await this.#prepare();
        case 'claim':
          return await this.#claim();
        case 'confirm-claim':
          return await this.#confirmClaim();
        case 'take-over':
          return await this.#takeOver();
        case 'issue':
          return await this.#issue();
        case 'store-issued':
          return await this.#storeIssued();
        case 'read-back':
          return await this.#readBack();
        case 'apply-new':
          return await this.#apply(this.#pending);
        case 'apply-old': {
          const event = await this.#apply(this.#old);
          return event === 'unclear' ? 'failed' : event;
        }
        case 'verify-new':
          return await this.#verify(this.#pending);
        case 'verify-old':
          // Before the first value there is nothing to go back to.
          return this.#old === undefined ? 'accepted' : await this.#verify(this.#old);
        case 'promote':
          return await this.#promote();
        case 'confirm-promotion':
          return await this.#confirmPromotion();
        case 'finish':
          return await this.#finish();
        case 'retire-new':
          return await this.#retireNew();
        case 'discard':
          return await this.#discard();
      }
    } catch (thrown) {
      if (thrown instanceof Lost) return 'lost';
      this.#error = toSecretsError(thrown);
      return 'failed';
    }
  }

  async #load(): Promise<Stages> {
    const stages = await this.#options.place.read();
    this.#old = stages.current;
    this.#previous = stages.previous;
    this.#currentVersion = stages.current?.id;
    return stages;
  }

  async #look(): Promise<Event> {
    const { pending } = await this.#load();
    if (pending === undefined) return 'none';
    await this.#nameHolder(pending);
    return 'held';
  }

  async #nameHolder(pending: Held): Promise<Holder | undefined> {
    const labels = await this.#options.place.labels();
    const holder = decodeHolder(labels[HOLDER_LABEL], pending.id);
    this.#holder = holder ?? { since: pending.createdAt };
    return holder;
  }

  async #prepare(): Promise<Event> {
    const { target, toPrevious } = this.#options;
    if (toPrevious) {
      if (this.#previous === undefined)
        throw new SecretsError('NotFound', 'has no previous version to go back to');
      this.#draft = credentialOf(this.#previous.value);
      return 'ok';
    }
    if (this.#plan.issues) {
      this.#draft = this.#claimValue();
      return 'ok';
    }
    for (let tries = 1; ; tries += 1) {
      const draft = await this.#newValue();
      const proposed =
        (await target.propose?.(draft, this.#known, this.#rotation, this.#options.signal())) ?? draft;
      if (!sameCredential(proposed, this.#old)) {
        this.#draft = proposed;
        return 'ok';
      }
      if (tries === DRAFTS)
        throw new SecretsError('Usage', 'what is generated for it is always the same value', {
          hint: 'let the policy generate longer values',
        });
    }
  }

  async #newValue(): Promise<Credential> {
    const { generator, keys } = this.#options;
    if (keys.length === 0) {
      const { value, companions } = await generator.make();
      if (companions !== undefined && Object.keys(companions).length > 0)
        throw new SecretsError('Usage', 'what is generated has several parts, so it needs a JSON secret', {
          hint: 'name the key of its first part in `keys`',
        });
      return credentialOf(Buffer.from(value));
    }
    const changes = new Map<string, JsonValue>();
    for (const key of keys) {
      const { value, companions } = await generator.make();
      changes.set(key, value);
      for (const [name, text] of Object.entries(companions ?? {})) changes.set(name, text);
    }
    if (this.#old !== undefined && this.#old.fields === undefined)
      throw new SecretsError('Invalid', 'its value is not a JSON object, so it has no keys to rotate', {
        hint: 'leave `keys` away to rotate the whole value',
      });
    return credentialOf(Buffer.from(JSON.stringify(setKeys(this.#old?.fields, changes))));
  }

  /** Stands for a credential that the target is yet to make: the old one, so that it would work if it were read. */
  #claimValue(): Credential {
    if (this.#old !== undefined && this.#old.fields === undefined)
      throw new SecretsError(
        'Invalid',
        'its value is not a JSON object, which this target’s credentials are',
      );
    return credentialOf(
      Buffer.from(JSON.stringify(setKeys(this.#old?.fields, new Map([[CLAIM_KEY, this.#id]])))),
    );
  }

  async #claim(): Promise<Event> {
    const draft = needed(this.#draft);
    this.#heldFor.restart();
    try {
      const { id, createdAt } = await this.#options.place.claim(draft.value);
      this.#pending = { id, createdAt, ...draft };
    } catch (thrown) {
      const error = (this.#error = toSecretsError(thrown));
      if (error.kind === 'Conflict') {
        await this.#nameRival();
        return 'held';
      }
      return isUnclear(error) ? 'unclear' : 'failed';
    }
    await this.#sign();
    return 'ok';
  }

  async #nameRival(): Promise<void> {
    try {
      const { pending } = await this.#options.place.read();
      if (pending !== undefined) await this.#nameHolder(pending);
    } catch (thrown) {
      // It is held all the same.
      this.#options.warn(`who holds the rotation can’t be read: ${toSecretsError(thrown).message}`);
    }
  }

  async #confirmClaim(): Promise<Event> {
    const { pending } = await this.#load();
    if (pending === undefined) return 'none';
    if (!sameCredential(pending, this.#draft)) {
      await this.#nameHolder(pending);
      return 'held';
    }
    this.#pending = pending;
    await this.#sign();
    return 'mine';
  }

  /** Writes down who holds the rotation. It is a help for others, so a failure is none of the rotation. */
  async #sign(leaseMs = this.#options.leaseMs): Promise<void> {
    const { host, user, place } = this.#options;
    if (this.#pending === undefined || this.#old === undefined) return;
    const holder = { id: this.#id, host, user, since: this.#startedAt, leaseMs };
    try {
      await place.setLabels({ [HOLDER_LABEL]: encodeHolder(holder, this.#pending.id) });
    } catch (thrown) {
      this.#options.warn(
        `the label that names who rotates could not be set: ${toSecretsError(thrown).message}`,
      );
    }
  }

  /** Ended without an end: the next one need not wait, unless something may still arrive at the target. */
  async #letGo(): Promise<void> {
    if (!this.#inDoubt) await this.#sign(0);
  }

  async #takeOver(): Promise<Event> {
    const { place } = this.#options;
    const { pending } = await this.#load();
    if (pending === undefined) return 'none';
    const holder = await this.#nameHolder(pending);
    if (!(await this.#leaseIsOver(pending.id, holder))) return 'held';
    this.#id = holder?.id ?? this.#id;
    this.#startedAt = holder?.since ?? this.#startedAt;
    this.#pending = pending;
    for (let tries = 1; ; tries += 1) {
      // The holder may have come to an end while it was waited for, or what it did last is seen only now.
      const now = (await this.#load()).pending;
      if (sameCredential(pending, this.#old) && (now === undefined || now.id === pending.id))
        return 'promoted';
      if (now === undefined) return 'none';
      if (now.id !== pending.id) {
        await this.#nameHolder(now);
        return 'held';
      }
      this.#heldFor.restart();
      try {
        const { id, createdAt } = await place.replace(pending.id, pending.value);
        this.#pending = { ...pending, id, createdAt };
        break;
      } catch (thrown) {
        this.#error = toSecretsError(thrown);
        if (this.#error.kind !== 'Conflict') return 'failed';
        if (tries === TAKE_OVERS) return 'held';
      }
    }
    this.#error = undefined;
    this.#holder = undefined;
    await this.#sign();
    return isClaim(pending) ? 'unissued' : 'ok';
  }

  async #leaseIsOver(pendingId: string, holder: Holder | undefined): Promise<boolean> {
    const { watch, reference, wait, takeOver, place, interrupt, progress } = this.#options;
    const lease = holder?.leaseMs ?? this.#options.leaseMs;
    if (takeOver || lease === 0) return true;
    // Before the holder is believed to be silent, its version has to have been seen for all of that time.
    let left = lease - watch.seenFor(reference, pendingId);
    if (left > 0 && !wait) return false;
    while (left > 0) {
      progress(`waiting for the lease of whoever holds it: ${Math.ceil(left / 1000)} s`);
      const from = performance.now();
      await sleep(Math.min(left, Math.max(lease / 10, 250)), interrupt, true);
      if (interrupt.aborted) throw new SecretsError('Unavailable', 'interrupted while it waited');
      left -= performance.now() - from;
      const now = await place.pendingId();
      if (now === undefined) return true;
      if (now !== pendingId) {
        this.#error = new SecretsError('Conflict', 'whoever holds it is alive');
        return false;
      }
    }
    return true;
  }

  /** Before anything is changed: is it still ours, and for long enough? @throws Lost */
  async #keep(): Promise<void> {
    const pending = needed(this.#pending);
    if (this.#heldFor.ms() < this.#options.leaseMs / 2) return;
    this.#heldFor.restart();
    try {
      const { id, createdAt } = await this.#options.place.replace(pending.id, pending.value);
      this.#pending = { ...pending, id, createdAt };
    } catch (thrown) {
      const error = (this.#error = toSecretsError(thrown));
      if (error.kind !== 'Conflict') throw error;
      await this.#nameRival();
      throw new Lost();
    }
    await this.#sign();
  }

  async #issue(): Promise<Event> {
    const { issue } = this.#options.target;
    if (issue === undefined)
      throw new SecretsError('Usage', 'the rotation under way is of a target that makes credentials itself', {
        hint: 'resume it with the policy that it was begun with',
      });
    await this.#keep();
    try {
      this.#draft = await issue.call(
        this.#options.target,
        this.#known,
        this.#rotation,
        this.#options.signal(),
      );
      return 'ok';
    } catch (thrown) {
      const error = (this.#error = toSecretsError(thrown));
      if (!isUnclear(error)) return 'failed';
      this.#inDoubt = true;
      return 'unclear';
    }
  }

  async #storeIssued(): Promise<Event> {
    const draft = needed(this.#draft);
    const claim = needed(this.#pending);
    for (let tries = 1; ; tries += 1) {
      try {
        const { id, createdAt } = await this.#options.place.replace(claim.id, draft.value);
        this.#pending = { id, createdAt, ...draft };
        return 'ok';
      } catch (thrown) {
        const error = (this.#error = toSecretsError(thrown));
        if (error.kind === 'Conflict') return tries === 1 ? 'lost' : 'unclear';
        if (isUnclear(error)) return 'unclear';
        // Only this process knows it: not given up for a store that is away for a moment.
        if (tries === 5) return 'failed';
        await sleep(tries * 1000, this.#options.interrupt, true);
      }
    }
  }

  async #readBack(): Promise<Event> {
    const mine = needed(this.#pending);
    const { pending } = await this.#load();
    if (pending === undefined) return 'lost';
    if (pending.id !== mine.id && !sameCredential(pending, this.#draft ?? mine)) {
      await this.#nameHolder(pending);
      return 'lost';
    }
    if (isClaim(pending))
      throw new SecretsError('Unavailable', 'the credential that the target made is not stored');
    this.#pending = pending;
    return 'ok';
  }

  async #apply(credential: Held | undefined): Promise<Event> {
    const { target, signal } = this.#options;
    await this.#keep();
    // The claim's id may be new; the credential is the one that was read back.
    try {
      await target.apply(needed(credential), this.#known, this.#rotation, signal());
      return 'ok';
    } catch (thrown) {
      const error = (this.#error = toSecretsError(thrown));
      if (!isUnclear(error)) return 'failed';
      this.#inDoubt = true;
      return 'unclear';
    }
  }

  async #verify(credential: Credential | undefined): Promise<Event> {
    const verdict = await this.#options.target.verify(needed(credential), this.#options.signal());
    if (verdict === 'refused' && this.#error === undefined)
      this.#error = new SecretsError('Failed', 'the target refuses the credential that it was given');
    return verdict;
  }

  async #promote(): Promise<Event> {
    const { place } = this.#options;
    await this.#keep();
    const pending = needed(this.#pending);
    // A version that somebody else has replaced or discarded must not come back.
    if ((await place.pendingId()) !== pending.id) {
      this.#error = new SecretsError('Conflict', 'somebody else has taken this rotation over');
      return 'lost';
    }
    try {
      this.#currentVersion = (await place.promote(pending.id)).id;
      return 'ok';
    } catch (thrown) {
      const error = (this.#error = toSecretsError(thrown));
      return error.kind === 'Denied' || error.kind === 'Unauthenticated' ? 'failed' : 'unclear';
    }
  }

  async #confirmPromotion(): Promise<Event> {
    const mine = needed(this.#pending);
    const { current, pending } = await this.#options.place.read();
    if (pending?.id === mine.id) return 'mine';
    if (!sameCredential(current, mine)) return 'lost';
    this.#currentVersion = current?.id;
    return 'promoted';
  }

  async #finish(): Promise<Event> {
    const { target, place, graceMs, now, signal, warn } = this.#options;
    this.#error = undefined;
    const { current, previous } = await place.read();
    this.#currentVersion = current?.id ?? this.#currentVersion;
    let retireAt: Date | undefined;
    try {
      if (target.retire !== undefined && current !== undefined && previous !== undefined) {
        retireAt = new Date(now().getTime() + graceMs);
        await target.retire(previous, current, 'superseded', signal());
        if (graceMs === 0) {
          await target.retire(previous, current, 'expired', signal());
          retireAt = undefined;
        }
      }
    } catch (thrown) {
      warn(`the replaced credential could not be retired yet: ${toSecretsError(thrown).message}`);
    }
    await place.setLabels({
      [HOLDER_LABEL]: null,
      [LAST_ROTATED_LABEL]: encodeTime(now()),
      [RETIRE_LABEL]: retireAt === undefined ? null : encodeTime(retireAt),
    });
    return 'ok';
  }

  async #retireNew(): Promise<Event> {
    const { target, signal } = this.#options;
    await this.#keep();
    const pending = needed(this.#pending);
    if (this.#old !== undefined && !isClaim(pending) && !this.#options.toPrevious)
      await target.retire?.(pending, this.#old, 'expired', signal());
    await target.abandon?.(this.#known, this.#rotation, signal());
    return 'ok';
  }

  async #discard(): Promise<Event> {
    const { place } = this.#options;
    const pending = needed(this.#pending);
    try {
      await place.discard(pending.id);
    } catch (thrown) {
      const error = toSecretsError(thrown);
      if (error.kind !== 'NotFound') {
        this.#error = error;
        if ((await place.pendingId()) !== undefined) return error.kind === 'Conflict' ? 'lost' : 'failed';
      } else if ((await place.pendingId()) !== undefined) {
        return 'lost';
      }
    }
    try {
      await place.setLabels({ [HOLDER_LABEL]: null });
    } catch (thrown) {
      this.#options.warn(`a label could not be removed: ${toSecretsError(thrown).message}`);
    }
    return 'ok';
  }
}

/** Whether a failed call may have taken effect. Of an error that no adapter has named nothing is known. */
function isUnclear({ kind, message }: SecretsError): boolean {
  return kind === 'Failed' || /may have been made|is written/.test(message);
}

function needed<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('the machine asked for it too early');
  return value;
}

function newId(): string {
  return Array.from({ length: ID_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}
