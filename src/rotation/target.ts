/**
 * The interface between a rotation and the system that a secret is for: a database user, an access key, an API.
 *
 * A target never touches a store. The engine (src/rotation/engine.ts) does, in this order:
 *
 *     check → propose (or issue) → [store: pending] → apply → verify → [store: current] → retire
 *
 * Rules for every method of every target:
 * - A process may be killed before, during or after any call, and any call may be made again, from another machine,
 *   at any later time. So each call is idempotent: made twice with the same credential it leaves what once would.
 *   Nothing that a later call needs may be kept in memory, in a file, or in the order of calls.
 * - `apply` only gets a credential that has just been read back from the store, so that it is never known to this
 *   process alone.
 * - Errors are `SecretsError`s with one line and a hint. `Unavailable` when the system was not reached or did not
 *   answer; with "may have been made" in the message when a change was sent and its answer was lost. `Denied` or
 *   `Unauthenticated` when the rotation's own credential (an admin's) is not let in or lacks a right: say which
 *   right. `Invalid` when the credential itself is refused by the system's rules (too long, a forbidden character).
 * - No method writes to the terminal. No message, cause or debug line holds a value. No value in argv, in an
 *   environment, or in a statement that the system logs where that can be helped (say in the docs where it can't).
 * - `signal` ends a call within 100 ms with `Unavailable`, and leaves no socket, timer or child behind.
 * - TLS is verified; plain text only over loopback addresses and Unix sockets.
 */
import type { ErrorKind } from '../core/errors.ts';
import type { JsonValue } from '../core/json.ts';
import type { NativeRotation } from '../core/rotation/native.ts';
import type { TrustItem } from '../core/trust.ts';

/** What a version of the secret holds. */
export interface Credential {
  /** The whole value, byte for byte as the store has it. */
  readonly value: Uint8Array;
  /** The value as a map: the store's own, or the value parsed as a JSON object; `undefined` when it is neither. */
  readonly fields: Readonly<Record<string, JsonValue>> | undefined;
}

/**
 * Whether the system takes a credential:
 * - `accepted`: a sign-in with it succeeded now.
 * - `refused`: the system answered and said that the credential itself is wrong, unknown or switched off. Never for
 *   a system that can't be reached or is overloaded, a locked account, a missing database: those are thrown.
 * - `unknown`: this target has no way to try one (an HTTP call without a verify request). Constant per target.
 *   The engine then takes a successful `apply` for the acceptance.
 */
export type Verdict = 'accepted' | 'refused' | 'unknown';

/**
 * When `retire` is called for a credential that is not current any more:
 * - `superseded`: at once after the promotion. It must keep working, unless the system can't have two: clients that
 *   read it before still use it. Most targets do nothing.
 * - `expired`: the grace time is over (`grace`, 0 by default): switch it off or delete it.
 */
export type RetirePhase = 'superseded' | 'expired';

/** The credentials that the engine knows of, for a target that has to sign in with whichever works. */
export interface Known {
  /** The store's current version; `undefined` when the secret has none yet. */
  readonly current: Credential | undefined;
  /** The store's pending version: the rotation's new credential. */
  readonly pending: Credential | undefined;
  /** The store's previous version, where there is one and it can be read. */
  readonly previous: Credential | undefined;
}

/** What a rotation tells its target. */
export interface Rotation {
  /** Names this rotation, on every machine that works on it: `[a-z0-9]{16}`. Good for a comment or a tag. */
  readonly id: string;
  /** By the clock of the machine that started it. */
  readonly startedAt: Date;
  /**
   * No change may wait or run for longer in the system, in milliseconds: twice this and the claim is still held. A
   * system that can bound a change by itself is told.
   */
  readonly boundMs?: number;
  /**
   * Looks whether this run still holds the rotation. A target with a fence calls it with the fence in hand, right before
   * it sends a change; when it throws, nothing may be sent, and the error is passed on as it is.
   */
  readonly hold?: () => Promise<void>;
}

/** One line of what `--dry-run` found out. */
export interface TargetFinding {
  /** What was checked, as a clause: "sign-in as app_rw", "right to change its password". */
  readonly check: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  readonly hint?: string | undefined;
  /** Of a `fail`: the kind of error that a run ends with. Of a `warn`: the run says it too. */
  readonly kind?: ErrorKind | undefined;
}

/** One opened target of one secret. Connects lazily, in the first call that needs it. */
export interface Target {
  /**
   * Targets with the same text are one system for the per-target limit: `db.example.com:5432`, `iam 123456789012`.
   * `undefined`: no limit. Never a value. Taken without any call.
   */
  limitKey(current: Credential | undefined): string | undefined;

  /**
   * Which keys of a JSON secret are the password, where the policy names none. Without this method the policy has to.
   */
  passwordKeys?(current: Credential): readonly string[];

  /**
   * Looks, changing nothing, whether a rotation would succeed: reachable, signed in, allowed, and a wrong credential
   * refused. Called before each rotation's first effect: a finding that failed is the end of it. Returns what it found;
   * throws only when `signal` ends it.
   * @param wrong a credential of the secret's form with generated values that nobody has: a target that says
   *   `accepted` to it proves nothing. `undefined` for a target with `issue`, and where none can be made
   */
  check(known: Known, signal: AbortSignal, wrong?: Credential): Promise<readonly TargetFinding[]>;

  /**
   * The credential to rotate to. `draft` is the current one with newly generated values in the policy's `keys` (or
   * as the whole value). A target that needs more changes it: two alternating users set the other one's name. Makes
   * no change in the system; may ask it. Called once a rotation: what it returns is stored as pending and read from
   * there ever after. Without this method the draft is taken as it is.
   * @throws SecretsError Invalid when current lacks a field that the target needs
   */
  propose?(draft: Credential, known: Known, rotation: Rotation, signal: AbortSignal): Promise<Credential>;

  /**
   * Before anything is stored, for a credential that is about to be: whether what `verify` says about it will prove
   * anything, and be about the account that `apply` changes. Changes nothing. Without this method it is.
   * @throws SecretsError Unsupported when a sign-in there proves nothing, or is another account's
   */
  prove?(credential: Credential, known: Known, signal: AbortSignal): Promise<void>;

  /**
   * For a system that makes credentials itself (an IAM access key, a Vault static role), in place of `propose` and
   * generated values: makes one there and returns the whole new value, a JSON object. Before it is called the pending
   * stage is claimed with a copy of the current value and one key more; what it returns replaces that. When the process dies in between, it is
   * called again: then it removes what an earlier call with this rotation made and nobody knows the secret of
   * (compare `known` and `rotation.startedAt`), and touches nothing that others made. When it can't tell, it throws
   * a Conflict that names what is in the way. An error without "may have been made" means that nothing was made.
   * `apply` is still called after it; it usually has nothing to do.
   */
  issue?(known: Known, rotation: Rotation, signal: AbortSignal): Promise<Credential>;

  /**
   * For a target with `issue`, when a rotation is given up: removes what `issue` made for this rotation and nobody
   * knows the secret of. Called before the pending version is discarded, and after `retire` of a pending credential.
   */
  abandon?(known: Known, rotation: Rotation, signal: AbortSignal): Promise<void>;

  /**
   * Makes the system accept this credential. It may replace the one accepted so far; where the system can have both,
   * both work afterwards. Also called to go back: with the old credential, after a failed rotation or for
   * `rollback --to-previous`. To sign in, use whichever of `known` is accepted, or an admin's credential.
   * It always sets: that a sign-in works says nothing of what is on its way, nor, where any password lets in, of the
   * password. Setting what is set already is a success.
   */
  apply(credential: Credential, known: Known, rotation: Rotation, signal: AbortSignal): Promise<void>;

  /**
   * Signs in with exactly this credential, and nothing else. Changes nothing. `accepted` takes a negative control: a
   * wrong credential is refused on the same path.
   */
  verify(credential: Credential, signal: AbortSignal): Promise<Verdict>;

  /**
   * Ends the life of a credential that has been replaced; `current` is the one in use, which must survive whatever
   * `old` is. An `old` that is gone already is a success. Without this method there is nothing to retire.
   * @param rotation the one that is given up; missing when none is under way
   */
  retire?(
    old: Credential,
    current: Credential,
    phase: RetirePhase,
    signal: AbortSignal,
    rotation?: Rotation,
  ): Promise<void>;

  /**
   * A change may take effect after its call has ended, and nothing in the system keeps a later one behind it. What a
   * rotation issued then stays readable when it is rolled back. Without this a target has a fence, or takes several
   * credentials at a time; false says that nothing is ever sent.
   */
  readonly late?: boolean;

  /**
   * For a system that also changes the credential on a schedule of its own: that schedule. `behind`: it has done so since
   * the secret was written, so that the secret's credential does not work any more.
   */
  schedule?(known: Known, signal: AbortSignal): Promise<NativeRotation & { readonly behind: boolean }>;

  /** Lets go of connections. Called once, after the last call; never throws. */
  close(): Promise<void>;
}

/** Settings of a target in secrets.yaml, beside `type`; checked by the descriptor's schema. */
export type TargetSettings = Readonly<Record<string, JsonValue>>;

/** What a target may know of the world. */
export interface TargetContext {
  /** The secret's reference, for messages. */
  readonly reference: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  /** Where relative paths of programs and files start: the folder of the secrets.yaml, else the working directory. */
  readonly folder: string;
  readonly now: () => Date;
  readonly warn: (message: string) => void;
  readonly debug: (message: string) => void;
  /**
   * Reads another secret, such as an admin's credential: `reference` as in secrets.yaml, with or without `#key`
   * (with it, `value` is the key's text and `fields` is undefined). Read anew each time; don't keep it.
   * @throws SecretsError NotFound, Denied, …, naming the reference
   */
  readonly read: (reference: string, signal: AbortSignal) => Promise<Credential>;
  /** Names of environment variables that hold credentials of `secrets` itself: a program never inherits them. */
  readonly credentialVariables: readonly string[];
}

/**
 * What is known of a kind of target before its code is loaded; src/rotation/targets/index.ts lists the descriptors.
 * Cheap to import: no driver, no schema library.
 */
export interface TargetDescriptor {
  /** The word in `target: { type: … }`. */
  readonly type: string;
  /** One line for `rotate --help` and the docs. */
  readonly title: string;
  /** Its targets have `schedule`. */
  readonly hasSchedule?: boolean;
  /**
   * The lines of the settings that need the user's trust when they come from a found secrets.yaml: a host that is
   * sent a credential, a program that is run, a custom CA.
   */
  readonly trustItems: (settings: TargetSettings) => readonly TrustItem[];
  /**
   * Whether a target with these settings can try a credential: its `verify` never says `unknown`. Without this
   * method it can.
   */
  readonly verifies?: (settings: TargetSettings) => boolean;
  /** The settings beside `type`: a valibot strictObject. */
  readonly schema: () => Promise<import('valibot').GenericSchema>;
  /** Loads the target's code. */
  readonly load: () => Promise<TargetModule>;
}

/** What a target's folder exports from its entry module. */
export interface TargetModule {
  /** Makes the target; no call. @throws SecretsError Usage for settings that don't fit together */
  open(settings: TargetSettings, context: TargetContext): Target;
}
