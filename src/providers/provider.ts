/**
 * The one interface between `secrets` and a secret manager.
 *
 * What every provider does stands here. Whatever one can do beyond that it declares as a capability, and implements the
 * optional method of the file in src/providers/capabilities that describes it. A command asks for such a method with
 * `requireMethod`, and so fails with one clear line where it is missing.
 *
 * Rules for every method of every provider, checked by the shared suite in tests/contract:
 * - Errors are `SecretsError`s (src/core/errors.ts). NotFound, Denied and Unauthenticated are never confused.
 *   Where a service hides existence from callers without rights, the message says that both are possible.
 * - `options.signal` ends the call: an abort by timeout rejects with `Unavailable`, within 100 ms and with no
 *   retry left running. Nothing is half written after that: a write took place or it did not.
 * - A failed write whose outcome is not known (its answer was lost, cut off, no answer of the service, a 5xx, or
 *   did not come in time) is `Unavailable`, and its message holds "may have been made"; without these words the
 *   write did not take place. One that was repeated is never taken for somebody else's: a retry that meets its
 *   own earlier try is a success, not a `Conflict` or a `NotFound`.
 * - An answer that is not one of the service (a page, broken or truncated JSON, JSON of another shape, more
 *   bytes than any answer has) is `Unavailable`: never an empty value, an empty list or `NotFound`.
 * - Retries of throttled and failed calls are the provider's (its SDK's), honour `Retry-After`, and end with
 *   the signal. A write is only repeated when repeating it is harmless.
 * - No method writes to the terminal; no error holds a value, a token or a request body.
 * - A secret that was made without a value (by Terraform, a console, a policy) is there for `list` and `describe`;
 *   `get` is `NotFound` and says that it has no value yet (`noValueYet`), and `put` gives it its first one.
 * - Values are bytes. Text is UTF-8; a provider whose service only holds text encodes other bytes reversibly.
 */
import type { SecretsError } from '../core/errors.ts';
import type { SecretInfo, SecretVersion, VersionInfo } from '../core/secret.ts';
import type { CallOptions } from './call.ts';
import type { Grants } from './capabilities/grants.ts';
import type { KeepAlive } from './capabilities/keep-alive.ts';
import type { LabelChanges, Labels } from './capabilities/labels.ts';
import type { NativeId } from './capabilities/native-id.ts';
import type { Rekey } from './capabilities/rekey.ts';
import type { Rights } from './capabilities/rights.ts';
import type { NativeRotating } from './capabilities/rotation.ts';
import type { Purge, SoftDelete } from './capabilities/soft-delete.ts';
import type { Trail } from './capabilities/trail.ts';
import type { Versions } from './capabilities/versions.ts';

/** The optional part: a capability each. */
type Optional = Partial<
  Grants &
    KeepAlive &
    Labels &
    NativeId &
    NativeRotating &
    Purge &
    Rekey &
    Rights &
    SoftDelete &
    Trail &
    Versions
>;

/** One store, ready to use. Made by a descriptor's `open`; makes its client lazily, on the first call. */
export interface Provider extends Optional {
  readonly capabilities: ReadonlySet<Capability>;
  readonly rules: ProviderRules;

  /**
   * Throws `Invalid`, with the rule in the message, if the service would refuse this name. Makes no call.
   * Every method that takes a name calls it first.
   */
  checkName(name: string): void;

  /**
   * Reads many secrets. Never rejects for a single secret: its result says why. Rejects only when nothing
   * could be asked at all (aborted before the start). Requests may repeat; a repeated one costs no second call.
   * @throws SecretsError Unavailable when the signal was aborted before the first call
   */
  get(requests: readonly SecretRequest[], options: CallOptions): Promise<readonly GetResult[]>;

  /**
   * Writes a new version, creating the secret when there is none, and returns the version written. Of a pending
   * one the answer's `stages` hold `pending`.
   * @throws SecretsError Conflict (`ifVersion`, `ifAbsent`, or a soft-deleted secret of this name in the way),
   *   Invalid (name, size, labels), Denied, Unauthenticated, Throttled, Unavailable
   */
  put(name: string, write: SecretWrite, options: CallOptions): Promise<VersionInfo>;

  /** Streams the secrets, page by page, in the service's own order. Ending the loop early ends the paging. */
  list(query: ListQuery, options: CallOptions): AsyncIterable<SecretInfo>;

  /**
   * Deletes the secret: softly with `soft-delete`, else for good.
   * @throws SecretsError NotFound when there is none, or it is deleted already
   */
  delete(name: string, query: DeleteQuery, options: CallOptions): Promise<Deletion>;

  /** Facts about one secret, deleted ones included. @throws SecretsError NotFound */
  describe(name: string, options: CallOptions): Promise<SecretInfo>;

  /** Who is asking. @throws SecretsError Unauthenticated when there is no credential */
  identity(options: CallOptions): Promise<Identity>;

  /** Checks settings, reachability, credentials, clock, rights; never throws for what it finds. */
  diagnose(options: CallOptions): Promise<readonly Finding[]>;

  /**
   * Who is asking, as far as it is known by now without a call of its own; for the audit log. Asked after each call,
   * so it must cost nothing. What it says of a token is taken from the answer that gave it, or from the token itself,
   * unverified: the service alone knows better.
   */
  knownIdentity?(): KnownIdentity | undefined;

  /**
   * Finds out what `capabilities` says, where that depends on what the service answers. `Session.open` waits for it
   * before a command sees the provider. Never rejects: what kept it from the answer is the error of every later call.
   */
  prepare?(options: CallOptions): Promise<void>;

  /** Lets go of sockets and timers. Called once, after the last call. */
  close(): Promise<void>;
}

/** What a provider can do natively, each described by the file of its name in src/providers/capabilities. */
export type Capability =
  | 'versions'
  | 'stages'
  | 'soft-delete'
  | 'labels'
  | 'trail'
  /** `nativeRotation`, and `SecretInfo.rotation`; in the file `rotation.ts`. */
  | 'native-rotation'
  /** `get` asks for many secrets in fewer calls than there are secrets. */
  | 'batch-get'
  /** `put` honours `ifVersion` and `ifAbsent` atomically. */
  | 'cas';

/** One secret asked for. Without `version` and `stage`: what the service's own clients read by default. */
export interface SecretRequest {
  readonly name: string;
  /** The provider's own version id. Excludes `stage`. */
  readonly version?: string | undefined;
  /** A label that points at one version: `current`, `previous`, `pending`, or a native one of the provider. */
  readonly stage?: string | undefined;
  /** The keys of it that are wanted, for the audit log: taken out before a provider is asked, which gives the whole. */
  readonly keys?: readonly string[] | undefined;
}

/** One answer of a batch: the version, or why this one could not be had. Same order as the requests. */
export type GetResult =
  | { readonly ok: true; readonly secret: SecretVersion }
  | { readonly ok: false; readonly error: SecretsError };

/** A new version. */
export interface SecretWrite {
  readonly value: Uint8Array;
  /** Write only if this is the current version's id (`cas`), for a pending version too; else `Conflict`. */
  readonly ifVersion?: string | undefined;
  /**
   * Write only if there is no such secret yet, or one without a value (`cas`); else `Conflict`. With
   * `stage: 'pending'` the condition is that no version is pending: of any number of writers at the same moment exactly one has this claim.
   */
  readonly ifAbsent?: boolean | undefined;
  /** With `stage: 'pending'`: write only if this one is pending, and replace it (`cas`); else `Conflict`. */
  readonly ifPending?: string | undefined;
  /**
   * `pending`: store it without making it current (`stages`). Without `ifAbsent` it replaces an older pending one.
   * The secret need not exist yet, and is `NotFound` until the promotion (`Unsupported` where a service can't).
   * On a deleted secret it is kept or a `Conflict`, and does not bring the deleted value back.
   */
  readonly stage?: 'current' | 'pending' | undefined;
  /** Labels to set; `null` removes one; others stay. */
  readonly labels?: LabelChanges | undefined;
  readonly description?: string | undefined;
  readonly expiresAt?: Date | undefined;
  /** Keep the value under this key although it could be a map: as in `SecretVersion`. Others ignore it. */
  readonly soleKey?: string | undefined;
  /** The keys that are changed, for the audit log; as in `SecretRequest`. */
  readonly keys?: readonly string[] | undefined;
}

export interface ListQuery {
  /** Only names that start with this. A plain string prefix, not a folder. */
  readonly prefix?: string | undefined;
  /** Also secrets that are soft-deleted (`soft-delete`). */
  readonly deleted?: boolean | undefined;
  /** Fill in labels, description and dates even where that costs a call a secret. */
  readonly details?: boolean | undefined;
}

export interface DeleteQuery {
  /** Days during which `restore` works, where the service lets the caller choose. */
  readonly windowDays?: number | undefined;
}

export interface Deletion {
  /** Until when `restore` works. Missing: no end is set, or the deletion is final (no `soft-delete`). */
  readonly recoverableUntil?: Date | undefined;
}

/** Who the provider is to the service. Shown by `doctor` and named in `Denied` errors. Holds no credential. */
export interface Identity {
  /** The principal, as the service writes it: an ARN, a token's display name, a path and owner. */
  readonly principal: string;
  /** Where the credential came from: "environment variables", "profile payments", "~/.vault-token". */
  readonly source: string;
  /** More to show, such as account, policies, expiry. */
  readonly details?: Readonly<Record<string, string>> | undefined;
}

/** As much of an `Identity` as is known without asking. */
export interface KnownIdentity {
  readonly principal?: string | undefined;
  readonly source?: string | undefined;
}

/** One line of `doctor`. */
export interface Finding {
  readonly check: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do about it, for `warn` and `fail`. */
  readonly hint?: string | undefined;
}

/** The service's limits, so that a bad request is refused before any call and other tools can plan. */
export interface ProviderRules {
  /** Longest name, in characters (or bytes where `nameUnit` says so). */
  readonly maxNameLength: number;
  readonly nameUnit?: 'characters' | 'bytes' | undefined;
  /** The rule for names, as a clause: "letters, digits and /_+=.@-, 1 to 512 characters". */
  readonly nameRule: string;
  /** Largest value, in bytes. */
  readonly maxValueBytes: number;
  /** Whether a value may be empty. */
  readonly emptyValue: boolean;
  /** Whether a value may be white space alone; true when missing. */
  readonly blankValue?: boolean | undefined;
  /** The value is kept as a map when it is a JSON object, so its white space is not kept. */
  readonly structured?: boolean | undefined;
  /** The first version of a secret is current at once: nothing can be pending before something is current. */
  readonly firstIsCurrent?: boolean | undefined;
}
