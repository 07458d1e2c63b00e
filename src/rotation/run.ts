/** What one run of a rotation is given, what it tells while it goes on, and what it comes to. */
import type { SecretsError } from '../core/errors.ts';
import type { Effect, Ending, Intent } from '../core/rotation/machine.ts';
import type { Generator } from './generator.ts';
import type { Holder } from '../core/rotation/holder.ts';
import type { Watch } from './lease.ts';
import type { SecretPlace } from './place.ts';
import type { Target } from './target.ts';

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

/** As the journal has it. */
export interface JournalEvent extends RotationEvent {
  /** Of an ending: what is to be done, where that is not the usual. */
  readonly todo?: string | undefined;
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
  /** Longest time for which a change may wait or run in the target, in milliseconds; a quarter of the lease. */
  readonly boundMs?: number;
  /** The holder is known to be dead: don't wait for its lease. */
  readonly takeOver: boolean;
  /** Wait for the rest of a holder's lease, or end with `held`. */
  readonly wait: boolean;
  /** Rotate to the previous version instead of a new value. */
  readonly toPrevious: boolean;
  /** A secret that is missing is created with its first value. */
  readonly create?: boolean | undefined;
  /** Ends what has to be gone before another rotation: called when nothing else is in its way, before its claim. */
  readonly makeWay?: (() => Promise<unknown>) | undefined;
  readonly host: string;
  readonly user: string;
  readonly now: () => Date;
  /** A signal with a fresh deadline, for one call. */
  readonly signal: () => AbortSignal;
  /** Aborted when the user interrupts. */
  readonly interrupt: AbortSignal;
  readonly watch: Watch;
  /** Takes each event before and after it is done. */
  readonly record: (event: JournalEvent, rotation: string) => void;
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
  /** What is to be done about that, where it is not the usual. */
  readonly todo: string | undefined;
  readonly currentVersion: string | undefined;
  /** The current version when it began. */
  readonly before: string | undefined;
  readonly events: readonly RotationEvent[];
}

/** What is being done, for a person. */
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
