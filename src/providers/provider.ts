/**
 * The interface between `secrets` and a secret manager.
 *
 * This file holds what every provider does. A provider declares anything beyond that as a capability, and implements
 * the optional methods of that capability's file in src/providers/capabilities. A command gets such a method from
 * `requireMethod`, which fails with one clear line if the provider doesn't have it.
 *
 * Rules for every method of every provider, checked by the shared suite in tests/contract:
 * - Errors are `SecretsError`s (src/core/errors.ts). NotFound, Denied and Unauthenticated are never confused. Where a
 *   service hides existence from callers without rights, the message says that both are possible.
 * - `options.signal` ends the call: an abort by timeout rejects with `Unavailable` within 100 ms and leaves no retry
 *   running. No write is left half done: it either happened or it didn't.
 * - A failed write with an unknown outcome (the response was lost, cut off, late, a 5xx, or not from the service) is
 *   `Unavailable`, and its message contains "may have been made"; without these words the write did not happen. A retry
 *   that meets its own earlier attempt is a success, not a `Conflict` or a `NotFound`.
 * - A response that is not from the service (an HTML page, broken or truncated JSON, JSON of the wrong shape, more
 *   bytes than any response has) is `Unavailable`: never an empty value, an empty list or `NotFound`.
 * - The provider (or its SDK) retries throttled and failed calls, honours `Retry-After`, and stops with the signal. It
 *   only repeats a write when repeating it is harmless.
 * - No method writes to the terminal; no error contains a value, a token or a request body.
 * - A secret created without a value (by Terraform, a console, a policy) appears in `list` and `describe`; `get` fails
 *   with `NotFound` and says that it has no value yet (`noValueYet`), and `put` writes its first value.
 * - Values are bytes. Text is UTF-8; a provider whose service only stores text encodes other bytes reversibly.
 */
import type { SecretsError } from '../core/errors.ts';
import type { SecretInfo, SecretVersion, VersionInfo } from '../core/secret.ts';
import type { CallOptions } from './call.ts';
import type { Grants, Granting } from './capabilities/grants.ts';
import type { KeepAlive } from './capabilities/keep-alive.ts';
import type { LabelChanges, Labels } from './capabilities/labels.ts';
import type { NativeId } from './capabilities/native-id.ts';
import type { Rekey } from './capabilities/rekey.ts';
import type { Rights } from './capabilities/rights.ts';
import type { NativeRotating } from './capabilities/rotation.ts';
import type { Purge, SoftDelete } from './capabilities/soft-delete.ts';
import type { Trail } from './capabilities/trail.ts';
import type { Versions } from './capabilities/versions.ts';

/** The optional part: one interface for each capability. */
export type Optional = Partial<
  Grants &
    Granting &
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

/** One store, ready to use. Created by a descriptor's `open`; creates its client lazily, on the first call. */
export interface Provider extends Optional {
  readonly capabilities: ReadonlySet<Capability>;
  readonly rules: ProviderRules;

  /**
   * Throws `Invalid`, with the rule in the message, if the service would reject this name. Makes no call. Every method
   * that takes a name calls it first.
   */
  checkName(name: string): void;

  /**
   * Reads many secrets. Never rejects because of a single secret: its result carries the error. Rejects only when
   * nothing could be requested at all (aborted before the start). Requests may repeat; a repeated one costs no second
   * call.
   * @throws SecretsError Unavailable when the signal was aborted before the first call
   */
  get(requests: readonly SecretRequest[], options: CallOptions): Promise<readonly GetResult[]>;

  /**
   * Writes a new version, creating the secret if there is none, and returns the version written. For a pending version,
   * the returned `stages` contain `pending`.
   * @throws SecretsError Conflict (`ifVersion`, `ifAbsent`, or a soft-deleted secret of this name), Invalid (name,
   *   size, labels), Denied, Unauthenticated, Throttled, Unavailable
   */
  put(name: string, write: SecretWrite, options: CallOptions): Promise<VersionInfo>;

  /** Streams the secrets page by page, in the service's own order. Ending the loop early stops the paging. */
  list(query: ListQuery, options: CallOptions): AsyncIterable<SecretInfo>;

  /**
   * Deletes the secret: soft-deletes it with `soft-delete`, otherwise permanently.
   * @throws SecretsError NotFound when there is none, or it is already deleted
   */
  delete(name: string, query: DeleteQuery, options: CallOptions): Promise<Deletion>;

  /** Metadata of one secret, including deleted ones. @throws SecretsError NotFound */
  describe(name: string, options: CallOptions): Promise<SecretInfo>;

  /** The caller's identity. @throws SecretsError Unauthenticated when there is no credential */
  identity(options: CallOptions): Promise<Identity>;

  /**
   * Checks settings, reachability, credentials, clock and rights; reports problems as findings and never throws them.
   */
  diagnose(options: CallOptions): Promise<readonly Finding[]>;

  /**
   * The caller's identity as far as it is known without a call; for the audit log. Queried after each call, so it has
   * to cost nothing. Facts about a token come from the response that issued it, or from the token itself without
   * verification: only the service can verify them.
   */
  knownIdentity?(): KnownIdentity | undefined;

  /**
   * Determines `capabilities` where they depend on the service's response. `Session.open` waits for it before a command
   * sees the provider. Never rejects: if it fails, every later call fails with that error.
   * @returns whether it succeeded; if not, only a provider that is opened anew can
   */
  prepare?(options: CallOptions): Promise<boolean>;

  /** Closes sockets and timers. Called once, after the last call. */
  close(): Promise<void>;
}

/** The native abilities of a provider, each described by the file of that name in src/providers/capabilities. */
export type Capability =
  | 'versions'
  | 'stages'
  | 'soft-delete'
  | 'labels'
  | 'trail'
  /** `nativeRotation` and `SecretInfo.rotation`; described in `rotation.ts`. */
  | 'native-rotation'
  /** `get` reads many secrets in fewer calls than there are secrets. */
  | 'batch-get'
  /** `put` honours `ifVersion` and `ifAbsent` atomically. */
  | 'cas';

/**
 * A request for one secret. Without `version` and `stage`: the version that the service's own clients read by default.
 */
export interface SecretRequest {
  readonly name: string;
  /** The provider's own version id. Can't be combined with `stage`. */
  readonly version?: string | undefined;
  /** A label that points to one version: `current`, `previous`, `pending`, or one of the provider's own. */
  readonly stage?: string | undefined;
  /**
   * The requested keys, for the audit log. The recorder removes them before the provider is called, which returns the
   * whole value.
   */
  readonly keys?: readonly string[] | undefined;
}

/** One result of a batch: the version, or the error. In the order of the requests. */
export type GetResult =
  | { readonly ok: true; readonly secret: SecretVersion }
  | { readonly ok: false; readonly error: SecretsError };

export interface SecretWrite {
  readonly value: Uint8Array;
  /** Write only if this is the current version's id (`cas`), also for a pending version; otherwise `Conflict`. */
  readonly ifVersion?: string | undefined;
  /**
   * Write only if the secret doesn't exist or has no value yet (`cas`); otherwise `Conflict`. With `stage: 'pending'`
   * the condition is that no version is pending: of any number of concurrent writers, exactly one succeeds.
   */
  readonly ifAbsent?: boolean | undefined;
  /** With `stage: 'pending'`: write only if this version is pending, and replace it (`cas`); otherwise `Conflict`. */
  readonly ifPending?: string | undefined;
  /**
   * `pending`: store the version without making it current (`stages`). Without `ifAbsent` it replaces an older pending
   * one. The secret need not exist yet, and is `NotFound` until the promotion (`Unsupported` if the service can't do
   * that). On a deleted secret the version is kept or the write is a `Conflict`; the deleted value never comes back.
   */
  readonly stage?: 'current' | 'pending' | undefined;
  /** Labels to set; `null` removes one; others stay. */
  readonly labels?: LabelChanges | undefined;
  readonly description?: string | undefined;
  readonly expiresAt?: Date | undefined;
  /** Keep the value under this key even if it could be a map: see `SecretVersion`. Ignored by other providers. */
  readonly soleKey?: string | undefined;
  /** The changed keys, for the audit log; see `SecretRequest`. */
  readonly keys?: readonly string[] | undefined;
}

export interface ListQuery {
  /** Only names that start with this text: a plain string prefix, not a folder. */
  readonly prefix?: string | undefined;
  /** Include soft-deleted secrets (`soft-delete`). */
  readonly deleted?: boolean | undefined;
  /** Fill in labels, description and dates even if that costs one call for each secret. */
  readonly details?: boolean | undefined;
}

export interface DeleteQuery {
  /** Days during which `restore` works, if the service lets the caller choose. */
  readonly windowDays?: number | undefined;
}

export interface Deletion {
  /** When `restore` stops working. Missing: no end is set, or the deletion is final (no `soft-delete`). */
  readonly recoverableUntil?: Date | undefined;
}

/** The provider's identity at the service. Shown by `doctor` and named in `Denied` errors. Contains no credential. */
export interface Identity {
  /** The principal, as the service writes it: an ARN, a token's display name, a path and owner. */
  readonly principal: string;
  /** Where the credential came from: "environment variables", "profile payments", "~/.vault-token". */
  readonly source: string;
  /** More to show, such as account, policies or expiry. */
  readonly details?: Readonly<Record<string, string>> | undefined;
}

/** The part of an `Identity` that is known without a call. */
export interface KnownIdentity {
  readonly principal?: string | undefined;
  readonly source?: string | undefined;
}

/** One line of `doctor`. */
export interface Finding {
  readonly check: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do about it (`warn` and `fail`). */
  readonly hint?: string | undefined;
}

/** The service's limits, so that a bad request is rejected before any call and other tools can plan. */
export interface ProviderRules {
  /** Longest name, in characters (in bytes if `nameUnit` says so). */
  readonly maxNameLength: number;
  readonly nameUnit?: 'characters' | 'bytes' | undefined;
  /** The rule for names, as a clause: "letters, digits and /_+=.@-, 1 to 512 characters". */
  readonly nameRule: string;
  /** Largest value, in bytes. */
  readonly maxValueBytes: number;
  /** Whether a value may be empty. */
  readonly emptyValue: boolean;
  /** Whether a value may consist of white space only; true when missing. */
  readonly blankValue?: boolean | undefined;
  /** JSON objects are stored as a map, which loses their white space. */
  readonly structured?: boolean | undefined;
  /**
   * What a soft-deleted secret blocks until it is restored or purged: every write to its name, or the writes on the
   * condition that there is no value (`ifAbsent`). Missing: nothing.
   */
  readonly deletedBlocks?: 'writes' | 'first writes' | undefined;
  /** The first version of a secret becomes current immediately: nothing can be pending before something is current. */
  readonly firstIsCurrent?: boolean | undefined;
}
