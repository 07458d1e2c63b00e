/**
 * The interface between a rotation and the system that uses the secret: a database user, an access key, an API.
 *
 * A target never touches a store. The engine (src/rotation/engine.ts) does, in this order:
 *
 *     check → propose (or issue) → [store: pending] → apply → verify → [store: current] → retire
 *
 * Rules for every method of every target:
 * - The process may be killed before, during or after any call, and any call may be repeated later from another
 *   machine. So each call is idempotent: calling it twice with the same credential has the same effect as calling it
 *   once. Nothing that a later call needs may be kept in memory, in a file, or in the order of calls.
 * - `apply` only gets a credential that has just been read back from the store, so no credential is ever known to this
 *   process alone.
 * - Errors are `SecretsError`s with one line and a hint. `Unavailable` if the system was not reached or did not answer;
 *   with "may have been made" in the message if a change was sent and the response was lost. `Denied` or
 *   `Unauthenticated` if the rotation's own credential (an admin's) is rejected or lacks a right: name the right.
 *   `Invalid` if the system's rules reject the credential itself (too long, a forbidden character).
 * - No method writes to the terminal. No message, cause or debug line contains a value. No value in argv, in an
 *   environment, or in a statement that the system logs, if that can be avoided (the docs say where it can't).
 * - `signal` ends a call within 100 ms with `Unavailable`, and leaves no socket, timer or child behind.
 * - TLS certificates are verified; plain text only over loopback addresses and Unix sockets.
 */
import type { ErrorKind } from '../core/errors.ts';
import type { JsonValue } from '../core/json.ts';
import type { NativeRotation } from '../core/rotation/native.ts';
import type { TrustItem } from '../core/trust.ts';

/** The content of one version of the secret. */
export interface Credential {
  /** The whole value, byte for byte as stored. */
  readonly value: Uint8Array;
  /** The value as a map: the store's own, or the value parsed as a JSON object; `undefined` if it is neither. */
  readonly fields: Readonly<Record<string, JsonValue>> | undefined;
}

/**
 * Whether the system accepts a credential:
 * - `accepted`: a sign-in with it has just succeeded.
 * - `refused`: the system answered that the credential itself is wrong, unknown or disabled. Not for an unreachable or
 *   overloaded system, a locked account or a missing database: those are thrown.
 * - `unknown`: this target can't try credentials (an HTTP call without a verify request). Constant for a target. The
 *   engine then treats a successful `apply` as acceptance.
 */
export type Verdict = 'accepted' | 'refused' | 'unknown';

/**
 * When `retire` is called for a credential that is no longer current:
 * - `superseded`: right after the promotion. The credential has to keep working if the system can have two, because
 *   clients that read it earlier still use it. Most targets do nothing.
 * - `expired`: the grace period is over (`grace`, 0 by default): disable or delete it.
 */
export type RetirePhase = 'superseded' | 'expired';

/** The credentials known to the engine, for a target that has to sign in with whichever works. */
export interface Known {
  /** The store's current version; `undefined` if the secret has none yet. */
  readonly current: Credential | undefined;
  /** The store's pending version: the rotation's new credential. */
  readonly pending: Credential | undefined;
  /** The store's previous version, if there is one and it can be read. */
  readonly previous: Credential | undefined;
}

/** What a target gets to know about a rotation. */
export interface Rotation {
  /** The rotation's id, the same on every machine that works on it: `[a-z0-9]{16}`. Suitable for a comment or a tag. */
  readonly id: string;
  /** By the clock of the machine that started it. */
  readonly startedAt: Date;
  /**
   * The longest time that a change may wait or run in the system, in milliseconds; after twice this time the claim is
   * still held. Passed on to systems that can limit a change themselves.
   */
  readonly boundMs?: number;
  /**
   * Checks whether this run still holds the rotation. A target with a fence calls it while holding the fence, right
   * before it sends a change. If it throws, nothing may be sent, and the error is passed on unchanged.
   */
  readonly hold?: () => Promise<void>;
}

/** One finding of `--dry-run`. */
export interface TargetFinding {
  /** The checked fact, as a clause: "sign-in as app_rw", "right to change its password". */
  readonly check: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  readonly hint?: string | undefined;
  /** For a `fail`: the kind of error that a run ends with. For a `warn`: a run prints it too. */
  readonly kind?: ErrorKind | undefined;
}

/** The opened target of one secret. Connects lazily, in the first call that needs it. */
export interface Target {
  /**
   * Targets with the same key share one limit of parallel jobs: `db.example.com:5432`, `iam 123456789012`. `undefined`
   * for no limit. Never contains a value; determined without a call.
   */
  limitKey(current: Credential | undefined): string | undefined;

  /**
   * The keys of a JSON secret that contain the password, if the policy names none. If missing, the policy has to name
   * them.
   */
  passwordKeys?(current: Credential): readonly string[];

  /**
   * Checks without changing anything whether a rotation would succeed: reachable, signed in, authorised, and rejecting
   * a wrong credential. Called before the first effect of each rotation, which a failed finding stops. Returns its
   * findings; throws only when `signal` aborts.
   * @param wrong a credential in the secret's form with generated values that don't exist: if the target accepts it,
   *   its `accepted` proves nothing. `undefined` for a target with `issue`, and if none can be generated
   */
  check(known: Known, signal: AbortSignal, wrong?: Credential): Promise<readonly TargetFinding[]>;

  /**
   * Returns the credential to rotate to. `draft` is the current one with newly generated values in the policy's `keys`
   * (or as the whole value). A target that needs more changes adapts it: for two alternating users, it sets the other
   * one's name. Doesn't change the system, but may query it. Called once in a rotation: the result is stored as pending
   * and read from there from then on. If missing, the draft is used unchanged.
   * @throws SecretsError Invalid if the current credential lacks a field that the target needs
   */
  propose?(draft: Credential, known: Known, rotation: Rotation, signal: AbortSignal): Promise<Credential>;

  /**
   * Called before a credential is stored: checks that `verify` will prove something about it, and about the account
   * that `apply` changes. Changes nothing. Missing for a target where that is always so.
   * @throws SecretsError Unsupported if a sign-in proves nothing there, or signs in as another account
   */
  prove?(credential: Credential, known: Known, signal: AbortSignal): Promise<void>;

  /**
   * For a system that creates credentials itself (an IAM access key, a Vault static role); replaces `propose` and
   * generated values. Creates a credential there and returns the whole new value, a JSON object. Before the call, the
   * pending stage is claimed with a copy of the current value plus one key; the result replaces it. If the process dies
   * in between, `issue` is called again: it then removes what an earlier call for this rotation created if its secret
   * is lost (compare `known` and `rotation.startedAt`), and touches nothing that others created. If it can't tell, it
   * throws a Conflict that names what is in the way. An error without "may have been made" means that nothing was
   * created. `apply` is still called afterwards, and usually has nothing to do.
   */
  issue?(known: Known, rotation: Rotation, signal: AbortSignal): Promise<Credential>;

  /**
   * For a target with `issue` when a rotation is rolled back: removes what `issue` created for this rotation if its
   * secret is lost. Called before the pending version is discarded, and after `retire` of a pending credential.
   */
  abandon?(known: Known, rotation: Rotation, signal: AbortSignal): Promise<void>;

  /**
   * Makes the system accept this credential. It may replace the accepted one; if the system can have both, both work
   * afterwards. Also called to go back: with the old credential, after a failed rotation or for `rollback
   * --to-previous`. Signs in with whichever of `known` is accepted, or with an admin's credential. It always sets the
   * credential: a successful sign-in says nothing about changes that are still on their way, nor about the password if
   * the system accepts any. Setting a credential again is a success.
   */
  apply(credential: Credential, known: Known, rotation: Rotation, signal: AbortSignal): Promise<void>;

  /**
   * Signs in with exactly this credential. Changes nothing. `accepted` requires a negative control: the same path has
   * to reject a wrong credential.
   */
  verify(credential: Credential, signal: AbortSignal): Promise<Verdict>;

  /**
   * Ends a replaced credential; `current` is the one in use, which has to survive whatever `old` is. An `old` that is
   * already gone is a success. Missing if there is nothing to retire.
   * @param rotation the rotation that is rolled back; missing if none is in progress
   */
  retire?(
    old: Credential,
    current: Credential,
    phase: RetirePhase,
    signal: AbortSignal,
    rotation?: Rotation,
  ): Promise<void>;

  /**
   * A change may take effect after its call has ended, and nothing in the system keeps it from overwriting a later one.
   * A value issued by the rotation then stays readable after a rollback. Missing for a target that has a fence or
   * accepts several credentials at a time; false for one that never sends anything.
   */
  readonly late?: boolean;

  /**
   * For a system that also changes the credential on its own schedule: that schedule. `behind`: the system has changed
   * it since the secret was written, so the stored credential no longer works.
   */
  schedule?(known: Known, signal: AbortSignal): Promise<NativeRotation & { readonly behind: boolean }>;

  /** Closes connections. Called once, after the last call; never throws. */
  close(): Promise<void>;
}

/** Settings of a target in secrets.yaml other than `type`; checked by the descriptor's schema. */
export type TargetSettings = Readonly<Record<string, JsonValue>>;

/** What a target gets from the process it runs in. */
export interface TargetContext {
  /** The secret's reference, for messages. */
  readonly reference: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  /**
   * The folder that relative paths of programs and files start at: that of the secrets.yaml, otherwise the working
   * directory.
   */
  readonly folder: string;
  readonly now: () => Date;
  readonly warn: (message: string) => void;
  readonly debug: (message: string) => void;
  /**
   * Reads another secret, such as an admin's credential: `reference` as in secrets.yaml, with or without `#key` (with
   * it, `value` is the key's text and `fields` is undefined). Reads again on every call; don't cache the result.
   * @throws SecretsError NotFound, Denied, …, naming the reference
   */
  readonly read: (reference: string, signal: AbortSignal) => Promise<Credential>;
  /** Environment variables that hold credentials of `secrets` itself: programs never inherit them. */
  readonly credentialVariables: readonly string[];
}

/**
 * What is known about a kind of target before its code is loaded; src/rotation/targets/index.ts lists the descriptors.
 * Has to be cheap to import: no driver, no schema library.
 */
export interface TargetDescriptor {
  /** The value of `target: { type: … }`. */
  readonly type: string;
  /** One line for `rotate --help` and the docs. */
  readonly title: string;
  /** Whether its targets have `schedule`. */
  readonly hasSchedule?: boolean;
  /**
   * The settings that need the user's trust when they come from a secrets.yaml in the working tree: a host that
   * receives a credential, a program that runs, a custom CA.
   */
  readonly trustItems: (settings: TargetSettings) => readonly TrustItem[];
  /**
   * Whether a target with these settings can try credentials, so that its `verify` never returns `unknown`. If missing,
   * it can.
   */
  readonly verifies?: (settings: TargetSettings) => boolean;
  /** The settings other than `type`: a valibot strictObject. */
  readonly schema: () => Promise<import('valibot').GenericSchema>;
  /** Loads the target's code. */
  readonly load: () => Promise<TargetModule>;
}

/** The exports of a target folder's entry module. */
export interface TargetModule {
  /** Creates the target; makes no call. @throws SecretsError Usage for settings that don't fit together */
  open(settings: TargetSettings, context: TargetContext): Target;
}
