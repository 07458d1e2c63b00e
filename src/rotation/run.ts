/** The options, events and outcome of one run of a rotation. */
import type { SecretsError } from '../core/errors.ts';
import type { Effect, Ending, Intent } from '../core/rotation/machine.ts';
import type { Generator } from './generator.ts';
import type { Holder } from '../core/rotation/holder.ts';
import type { Watch } from './lease.ts';
import type { SecretPlace } from './place.ts';
import type { Target } from './target.ts';

/** One event, for the journal and for `--json`. */
export interface RotationEvent {
  /** ISO 8601, by this machine's clock. */
  readonly at: string;
  /** The state machine's effect, or `begin` and `end`. */
  readonly step: string;
  /** The state machine's event, or an ending; missing while the step is still in progress. */
  readonly outcome?: string;
  /** The version in the store that the step concerned. */
  readonly version?: string;
  /** The reason for a failure. Never a value. */
  readonly reason?: string;
}

/** An event with the fields that only the journal keeps. */
export interface JournalEvent extends RotationEvent {
  /** Of `advise`, after an ending: the next step, if it isn't the usual one. */
  readonly todo?: string | undefined;
}

export interface EngineOptions {
  readonly intent: Intent;
  /** The secret's name in messages and records. */
  readonly reference: string;
  readonly place: SecretPlace;
  readonly target: Target;
  readonly generator: Generator;
  /** Keys of a JSON secret that get a new value; if empty, the whole value does. */
  readonly keys: readonly string[];
  /** How long the replaced credential stays valid. */
  readonly graceMs: number;
  /** A holder that shows no sign of life for this long counts as dead. */
  readonly leaseMs: number;
  /**
   * The longest time that a change may wait or run in the target, in milliseconds; a quarter of the lease by default.
   */
  readonly boundMs?: number;
  /** The holder is known to be dead: don't wait for its lease to expire. */
  readonly takeOver: boolean;
  /** Wait for the rest of a holder's lease instead of ending with `held`. */
  readonly wait: boolean;
  /** Rotate to the previous version instead of a new value. */
  readonly toPrevious: boolean;
  /** Create a missing secret with its first value. */
  readonly create?: boolean | undefined;
  /**
   * Clears what another rotation must not find, such as a replaced credential in its grace period. Called right before
   * the claim, after all checks have passed.
   */
  readonly makeWay?: (() => Promise<unknown>) | undefined;
  readonly host: string;
  readonly user: string;
  readonly now: () => Date;
  /** A signal with a fresh deadline for one call. */
  readonly signal: () => AbortSignal;
  /** Aborted when the user interrupts. */
  readonly interrupt: AbortSignal;
  readonly watch: Watch;
  /** Called before and after each step. */
  readonly record: (event: JournalEvent, rotation: string) => void;
  /** Shows a person the current step. */
  readonly progress: (text: string) => void;
  readonly warn: (message: string) => void;
}

export interface Outcome {
  readonly ending: Ending;
  readonly rotation: string;
  /** The current holder, for `held` and `lost`. Without a holder record, only the start is known. */
  readonly holder: Holder | { readonly since: Date | undefined } | undefined;
  /** The reason for any ending other than `done`. */
  readonly error: SecretsError | undefined;
  /** The next step after that error, if it isn't the usual one. */
  readonly todo: string | undefined;
  readonly currentVersion: string | undefined;
  /** The current version when the rotation started. */
  readonly before: string | undefined;
  readonly events: readonly RotationEvent[];
}

/** Progress messages, for the steps that show one. */
export const STEP_TEXTS: Partial<Record<Effect, string>> = {
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
