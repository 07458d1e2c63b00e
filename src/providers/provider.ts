/* oxlint-disable max-lines */
// Over 400 lines: the interface is one file by design, and most of it is its documentation.
/**
 * The one interface between `secrets` and a secret manager.
 *
 * A provider that only reads and writes implements `get`, `put`, `list` and `delete`. Whatever it can do
 * beyond that it declares as a capability and implements the matching optional method; a command that needs
 * a capability asks for it with `requireCapability` and so fails with one clear line where it is missing.
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
import type { AuditEvent } from '../core/audit/record.ts';
import type { JsonValue } from '../core/json.ts';
import { SecretsError } from '../core/errors.ts';

/** What a provider can do natively. */
export type Capability =
  /** Keeps old versions; `history` lists them, `get` takes `version`, `makeCurrent` brings one back. */
  | 'versions'
  /**
   * `get` takes stage `current`, `previous` and `pending`; `put` takes `stage: 'pending'`.
   *
   * A pending version is kept natively, or in a sibling secret whose name is the secret's with a documented
   * suffix. Its id is then `pending:` and the sibling's own version id; `get`, `makeCurrent` and `purge` take it.
   * - Until it is promoted, nothing that reads the current version sees it: not `get`, `list` and `describe`, not
   *   the service's own clients. A sibling is in no list.
   * - There is one at most. `history` shows it with stage `pending` and leaves `current` and `previous` alone.
   * - `makeCurrent` promotes it: it is current, the old current one previous, and none is pending. A second time
   *   it is `NotFound` or gives the same version, and never writes another.
   * - `purge` with its id discards it alone; `delete` and `purge` of the secret leave none behind.
   */
  | 'stages'
  /** `delete` can be undone by `restore` for a while. */
  | 'soft-delete'
  /** `put` takes labels, `describe` and `list` give them. */
  | 'labels'
  /** `get` asks for many secrets in fewer calls than there are secrets. */
  | 'batch-get'
  /** `put` honours `ifVersion` and `ifAbsent` atomically. */
  | 'cas'
  /** `trail` reads the service's own record of accesses. */
  | 'trail'
  /** The service itself rotates, calls somebody to do so, or keeps a date: `nativeRotation`, and `SecretInfo.rotation`. */
  | 'native-rotation';

/** Options every call takes. */
export interface CallOptions {
  /** Aborted at the deadline of `--timeout`, or when the user interrupts. */
  readonly signal: AbortSignal;
  /** When that is, in milliseconds since 1970, where it is known. */
  readonly deadline?: number | undefined;
}

/** Of `makeCurrent`. */
export interface PromoteOptions extends CallOptions {
  /**
   * Only while the version is pending: a rotation that was rolled back must not come back. Where the service has no such
   * condition, this is looked at right before.
   */
  readonly ifPending?: boolean;
}

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

/** `enabled` can be read; `disabled` could be again; `deleted` could be restored; `destroyed` is gone for good. */
export type VersionState = 'enabled' | 'disabled' | 'deleted' | 'destroyed';

/** What is known of one immutable version, without its value. */
export interface VersionInfo {
  /** The provider's own id of the version; `get` takes it as `version`. */
  readonly id: string;
  readonly state: VersionState;
  /** `current`, `previous`, `pending` and native labels that point at this version. */
  readonly stages: readonly string[];
  readonly createdAt?: Date | undefined;
  /** Who wrote it, where the service keeps that. */
  readonly createdBy?: string | undefined;
  readonly expiresAt?: Date | undefined;
  /** A remark for people, such as "written beside version 4 on another branch". */
  readonly note?: string | undefined;
  /** The service's id of the call that this is the answer of, where its own trail names the call by it. */
  readonly requestId?: string | undefined;
}

/** One version with its value. */
export interface SecretVersion extends VersionInfo {
  readonly name: string;
  readonly value: Uint8Array;
  /**
   * The one key of the map that holds the value, where a service stores maps (Vault KV) and the value is not one.
   * `#key` reads the value by it. Otherwise `#key` selects from the value, which is a JSON object.
   */
  readonly soleKey?: string | undefined;
}

/** One answer of a batch: the version, or why this one could not be had. Same order as the requests. */
export type GetResult =
  | { readonly ok: true; readonly secret: SecretVersion }
  | { readonly ok: false; readonly error: SecretsError };

/** What is known of a secret, without a value. */
export interface SecretInfo {
  readonly name: string;
  /** The service's own identifier, such as an ARN. */
  readonly nativeId?: string | undefined;
  readonly description?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly createdAt?: Date | undefined;
  readonly updatedAt?: Date | undefined;
  readonly expiresAt?: Date | undefined;
  /**
   * When somebody read it last, where the service keeps that (to the day, say); `never` where it says that nobody
   * has. Missing: not known.
   */
  readonly lastReadAt?: Date | 'never' | undefined;
  /** Set when the secret is soft-deleted. */
  readonly deletedAt?: Date | undefined;
  /** When a soft-deleted secret will be gone for good. */
  readonly purgeAt?: Date | undefined;
  /** Id of the current version, where the service says it without a further call. */
  readonly currentVersion?: string | undefined;
  /**
   * `native-rotation`: what the service does by itself, where it says so in the same answer. An attempt under way then
   * has no reason of a failure yet: `NativeRotations.read` looks for it.
   */
  readonly rotation?: NativeRotation | undefined;
}

/** What a service does by itself about one secret's rotation. */
export interface NativeRotation {
  /** Who rotates, for people: "aws lambda rotate-db", "gcp topic rotations". */
  readonly by: string;
  /**
   * `rotates`: the service has new versions made, and nobody else should. `notifies`: it tells somebody that it is
   * time, and can't see what comes of it. `reminds`: it keeps a date.
   */
  readonly role: 'rotates' | 'notifies' | 'reminds';
  /** Whether it goes on by itself; a schedule that is switched off is still there. */
  readonly enabled: boolean;
  /** How it is set, in the words of a policy's `native:`. */
  readonly settings: NativeSettings;
  /** How often, where that is a plain period. */
  readonly everyMs?: number | undefined;
  readonly lastRotated?: Date | undefined;
  /** When it is to be done at the latest. A date in the past is one that was missed. */
  readonly next?: Date | undefined;
  /** A rotation that has begun and is not done. */
  readonly attempt?: NativeAttempt | undefined;
}

export interface NativeAttempt {
  /** The version that is to become current. */
  readonly version: string;
  readonly since?: Date | undefined;
  /** Why it can't be expected to be done any more; in the service's words, where it has some. */
  readonly failed?: string | undefined;
}

/** Settings inside of a policy's `native:`, as the descriptor's schema has checked them. */
export type NativeSettings = Readonly<Record<string, string>>;

/** What a policy wants of a service. */
export interface NativeWish {
  readonly settings: NativeSettings;
  /** The policy's `every`. */
  readonly everyMs: number | undefined;
}

/** A setting that is not as the policy has it. */
export interface NativeChange {
  readonly setting: string;
  readonly from: string | undefined;
  readonly to: string;
}

/** A rotation that was begun: what `watch` needs to know it by. */
export interface NativeStart {
  /** The version that is to become current, where the service names it beforehand. */
  readonly version?: string | undefined;
  /** The version that was current before. */
  readonly before?: string | undefined;
  readonly at: Date;
  /** When the service begins, where that is not at once. */
  readonly startsAt?: Date | undefined;
}

/** How a rotation goes on. */
export interface NativeProgress {
  /** `failed`: the service says so, or it can't come to an end any more. */
  readonly state: 'running' | 'done' | 'failed';
  /** The version that is current now, when it is done. */
  readonly version?: string | undefined;
  /** What is waited for, or why it failed, as a clause. */
  readonly detail: string;
  readonly hint?: string | undefined;
}

/** `native-rotation`: how it is set, begun and watched. Every method takes names as `get` does. */
export interface NativeRotations {
  /** What is set, and how it goes; `undefined` when nothing is. @throws SecretsError NotFound, Denied */
  read(name: string, options: CallOptions): Promise<NativeRotation | undefined>;

  /**
   * What `set` would change; nothing when all is as wished. Changes nothing.
   * @throws SecretsError Invalid for a wish that the service would refuse
   */
  plan(name: string, wish: NativeWish, options: CallOptions): Promise<readonly NativeChange[]>;

  /** Sets it as wished, without a rotation. Twice is as once. */
  set(name: string, wish: NativeWish, options: CallOptions): Promise<void>;

  /** Ends it: from then on the service does nothing by itself. The secret's versions stay. */
  remove(name: string, options: CallOptions): Promise<void>;

  /**
   * Begins a rotation at once, or as early as the service can, with the settings of the wish. Missing: it only reminds,
   * so that somebody else has to rotate, and call `set` then.
   * @param token names this rotation: a repetition with the same one begins no second
   * @throws SecretsError Conflict when one is under way
   */
  start?(name: string, wish: NativeWish, token: string, options: CallOptions): Promise<NativeStart>;

  /** How a rotation that `start` or `read` told of goes on. One look; whoever waits asks again. */
  watch?(name: string, start: NativeStart, options: CallOptions): Promise<NativeProgress>;
}

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

/** Labels to set; `null` removes one. */
export type LabelChanges = Readonly<Record<string, string | null>>;

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

/** What changes when a store's key is renewed. */
export interface KeyChange {
  /** The way the new key is kept; without it, the way the old one was. */
  readonly method?: string | undefined;
  readonly addRecipients?: readonly string[] | undefined;
  readonly removeRecipients?: readonly string[] | undefined;
  /** Files with manifests of other branches, whose keys are taken over. */
  readonly merge?: readonly string[] | undefined;
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

/** Somebody whom the service lets read a secret, as a policy says it. */
export interface Grant {
  /** As the service writes it: `*`, `arn:aws:iam::123456789012:root`, `allUsers`, a policy's name. */
  readonly principal: string;
  /**
   * `public`: anybody at all. `wildcard`: everybody who is signed in to the service. `account`: a whole account,
   * domain or project, or a policy about everything in the store. `named`: whom the policy names.
   */
  readonly breadth: 'public' | 'wildcard' | 'account' | 'named';
  /** A condition narrows it, which is not understood here. */
  readonly conditional?: boolean | undefined;
  /** Where it stands, as a noun phrase: "its resource policy", "the policy ci, path secret/data/*". */
  readonly through: string;
  /** It stands outside of the secret and is about many. */
  readonly shared?: boolean | undefined;
}

/** As much of an `Identity` as is known without asking. */
export interface KnownIdentity {
  readonly principal?: string | undefined;
  readonly source?: string | undefined;
}

/** Which part of a service's trail is wanted. */
export interface TrailQuery {
  /** One secret; without it the whole store. */
  readonly name?: string | undefined;
  readonly since: Date;
  readonly until: Date;
  /** Lines of a trail that is a file (Vault, Conjur), where `--from FILE` gives them. */
  readonly lines?: AsyncIterable<string> | undefined;
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

/** What a rotation changes of a secret: it stages a pending version, promotes or discards it, and sets labels. */
export type Action = 'stage' | 'promote' | 'discard' | 'label';

/** Whether the caller may do one of them. */
export interface Right {
  readonly action: Action;
  readonly verdict: 'allowed' | 'denied' | 'unknown';
  /** `denied`: what is missing, as the service calls it. */
  readonly missing?: readonly string[] | undefined;
  /** `unknown`: why nobody can say, as a clause. */
  readonly why?: string | undefined;
}

/** One store, ready to use. Made by a descriptor's `open`; makes its client lazily, on the first call. */
export interface Provider {
  readonly capabilities: ReadonlySet<Capability>;
  readonly rules: ProviderRules;

  /**
   * Finds out what `capabilities` says, where that depends on what the service answers. `Session.open` waits for it
   * before a command sees the provider. Never rejects: what kept it from the answer is the error of every later call.
   */
  prepare?(options: CallOptions): Promise<void>;

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

  /**
   * Who is asking, as far as it is known by now without a call of its own; for the audit log. Asked after each call,
   * so it must cost nothing. What it says of a token is taken from the answer that gave it, or from the token itself,
   * unverified: the service alone knows better.
   */
  knownIdentity?(): KnownIdentity | undefined;

  /** Checks settings, reachability, credentials, clock, rights; never throws for what it finds. */
  diagnose(options: CallOptions): Promise<readonly Finding[]>;

  /** `versions`: every version, newest first. @throws SecretsError NotFound */
  history?(name: string, options: CallOptions): AsyncIterable<VersionInfo>;

  /**
   * `versions`: makes an existing enabled (or pending) version current: by moving the label where the service
   * has labels, else by writing its value as a new version. Returns the version that is now current. What is
   * current already stays so, without another version.
   * @throws SecretsError Conflict with `ifPending`, for a version that is neither pending nor current any more
   */
  makeCurrent?(name: string, version: string, options: PromoteOptions): Promise<VersionInfo>;

  /** `soft-delete`: undoes `delete`. @throws SecretsError NotFound when there is nothing to restore */
  restore?(name: string, options: CallOptions): Promise<void>;

  /**
   * Deletes for good, at once, live or soft-deleted: the secret with all its versions, or one version of it.
   * A pending version can always be discarded (`stages`).
   * @throws SecretsError NotFound, Unsupported (for a version, where the service can't)
   */
  purge?(name: string, version: string | undefined, options: CallOptions): Promise<void>;

  /**
   * Keeps this store's sign-in alive until `signal` aborts (renewing a short token), for commands that wait
   * for a long-running child. Resolves when it ends; reports trouble through `warn` and never rejects.
   */
  keepAlive?(warn: (message: string) => void, signal: AbortSignal): Promise<void>;

  /**
   * Renews the key that the store's values are sealed under, and who can use it; for stores that encrypt
   * themselves. Every value stays readable throughout. Returns how many entries were sealed anew.
   * @throws SecretsError NotFound without a store, Usage, Conflict when another renewal is under way
   */
  rekey?(change: KeyChange, options: CallOptions): Promise<{ readonly resealed: number }>;

  /** `labels`: sets labels of an existing secret without a new version; others stay. @throws SecretsError NotFound */
  setLabels?(name: string, labels: LabelChanges, options: CallOptions): Promise<void>;

  /**
   * Who may read the secret, by policies that the service shows: its own, or those of the store that match it. What
   * identities may do by policies of their own is not in it.
   * @throws SecretsError NotFound, Denied where the caller may not see policies
   */
  grants?(name: string, options: CallOptions): Promise<readonly Grant[]>;

  /**
   * `trail`: the service's own record of accesses, in its own order (most give the newest first), page by page.
   * Says through the context's `warn` what the trail can't show, such as a log that is switched off.
   * @throws SecretsError Denied, Usage where the trail has to be configured first
   */
  trail?(query: TrailQuery, options: CallOptions): AsyncIterable<AuditEvent>;

  /** `native-rotation`: loads what it takes. */
  nativeRotation?(): Promise<NativeRotations>;

  /**
   * The secret's name the same on every machine, whatever a store is called there; there or not. For stores without
   * `cas`, whose rotations take a lock elsewhere (`rotation.lock`): by it two machines mean the same secret.
   */
  nativeId?(name: string, options: CallOptions): Promise<string>;

  /**
   * Says of each action whether the caller may do it to this secret, without changing anything (`--dry-run`). Where
   * the service can't be asked, the answer is `unknown` and says why.
   */
  checkRights?(name: string, actions: readonly Action[], options: CallOptions): Promise<readonly Right[]>;

  /** Lets go of sockets and timers. Called once, after the last call. */
  close(): Promise<void>;
}

/** A secret as a native identifier names it. */
export interface NativeReference {
  readonly name: string;
  readonly version?: string | undefined;
  readonly stage?: string | undefined;
  /** Settings the identifier implies, such as an ARN's region. */
  readonly settings?: Readonly<Record<string, JsonValue>> | undefined;
}

/** Settings of a store, already validated by the descriptor's schema. */
export type StoreSettings = Readonly<Record<string, JsonValue>>;

/** A line of what an untrusted secrets.yaml wants: it sends a credential somewhere or runs something. */
export interface TrustItem {
  /** The setting, such as `address`. */
  readonly setting: string;
  readonly value: string;
  /** What it means, as a clause: "your Vault token is sent to this server". */
  readonly effect: string;
}

/** What `secrets init` may look at: names and places, never what a credential holds. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The user's home folder. */
  readonly home: string;
  exists(path: string): boolean;
}

/** A store that could be used here. */
export interface Detection {
  /** What speaks for it, as a noun: "$VAULT_ADDR", "~/.aws/config". */
  readonly evidence: string;
  /** Settings worth writing down for the whole team; none that is a credential or one person's own. */
  readonly settings: StoreSettings;
}

/** What a provider may know of the machine it runs on. */
export interface ProviderContext {
  /** The store's name, for messages. */
  readonly store: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The user's home folder. */
  readonly home: string;
  readonly cwd: string;
  readonly now: () => Date;
  /** A line for the user on stderr. */
  readonly warn: (message: string) => void;
  /** A line for `--debug`. Never a value. */
  readonly debug: (message: string) => void;
  /** What a call waits for, shown to a person at a terminal while it does. */
  readonly progress?: ((message: string) => void) | undefined;
  /** Asks the user for a passphrase at the terminal; `undefined` where there is none. */
  readonly askHidden: ((question: string) => Promise<string>) | undefined;
}

/**
 * What is known of a kind of provider before its code is loaded: cheap to import, it must not import an SDK,
 * a schema library or anything else that costs time. src/providers/registry.ts lists the descriptors.
 */
export interface ProviderDescriptor {
  /** `aws`, `vault`, `local`: the word in `provider:` and the name of the store every kind has by default. */
  readonly kind: string;
  readonly title: string;
  /** Environment variables that hold this provider's own credentials: kept out of `exec`'s child. */
  readonly credentialVariables: readonly string[];
  /** Recognises a native identifier (an ARN, …); `undefined` when it is none of this provider's. */
  readonly native?: (text: string) => NativeReference | undefined;
  /** The lines of a store's settings that need trust when they come from a found secrets.yaml: see `trustItemsFor`. */
  readonly trustItems: (settings: StoreSettings) => readonly TrustItem[];
  /** Settings that need none, each with its reason. */
  readonly harmless?: import('./trust.ts').HarmlessSettings;
  /**
   * Settings that hold a path, by their dotted name. A relative one starts at the folder of the secrets.yaml. What a
   * `pinned` file holds is trusted with the secrets.yaml; `data` is a folder, or a file that others go on writing to.
   */
  readonly files?: Readonly<Record<string, 'pinned' | 'data'>>;
  /**
   * Whether this machine is set up for this provider, for `secrets init`. Without it, a set credential variable
   * speaks for the provider.
   */
  readonly detect?: (surroundings: Surroundings) => Detection | undefined;
  /** `native-rotation`: what stands under `native:` of a policy for a secret in such a store. */
  readonly nativeRotation?: NativeRotationDescriptor;
  /** Loads the schema of the settings (a valibot object schema); only asked for when a config is read. */
  readonly schema: () => Promise<ProviderSettingsSchema>;
  /** Loads the adapter. */
  readonly load: () => Promise<ProviderModule>;
}

export interface NativeRotationDescriptor {
  /** As `ProviderDescriptor.trustItems`. */
  readonly trustItems: (settings: StoreSettings) => readonly TrustItem[];
  /** Loads the schema of the settings, all of them texts: only asked for when a config has some. */
  readonly schema: () => Promise<ProviderSettingsSchema>;
}

/** Opaque here: a valibot strict object schema, whose keys are the settings beside `provider`. */
export type ProviderSettingsSchema = import('valibot').GenericSchema;

/** What a provider's folder exports from its entry module. */
export interface ProviderModule {
  /** Makes the provider; starts one that is a program, in the time given. @throws SecretsError Usage for bad settings */
  open(
    settings: StoreSettings,
    context: ProviderContext,
    options?: CallOptions,
  ): Provider | Promise<Provider>;
}

type OptionalMethod =
  | 'history'
  | 'makeCurrent'
  | 'restore'
  | 'purge'
  | 'keepAlive'
  | 'rekey'
  | 'setLabels'
  | 'grants'
  | 'trail'
  | 'nativeRotation';

/**
 * The provider's optional method, bound, or one clear line when it has none.
 * @throws SecretsError Unsupported
 */
export function requireMethod<M extends OptionalMethod>(
  provider: Provider,
  method: M,
  missing: string,
  hint?: string,
): NonNullable<Provider[M]> {
  const found = provider[method];
  if (found === undefined) throw new SecretsError('Unsupported', missing, { hint });
  return found.bind(provider) as NonNullable<Provider[M]>;
}
