/**
 * One form for every access to a secret, in our own log and in services' trails (CloudTrail, Vault's audit device,
 * ...), read by reports, anomaly detectors and sinks. Never contains a value.
 */
import type { ErrorKind } from '../errors.ts';

/** What was done. `read` returns a value; `describe` and `list` don't. */
export type AuditAction =
  | 'read'
  | 'list'
  | 'describe'
  | 'write'
  | 'label'
  | 'promote'
  | 'delete'
  | 'restore'
  | 'purge'
  | 'rotate'
  | 'rekey'
  | 'access'
  | 'other';

/**
 * `denied`: the service or a policy refused; `failed`: anything else that went wrong, including a missing secret;
 * `unknown`: a change was about to be made, and its outcome is in another record, or in none.
 */
export type AuditOutcome = 'allowed' | 'denied' | 'failed' | 'unknown';

/** Who did it, as far as known. */
export interface AuditActor {
  /** Login name in the operating system. */
  readonly user?: string | undefined;
  readonly uid?: number | undefined;
  /** The identity at the service, in the service's form: an ARN, a token's display name, an object id. */
  readonly principal?: string | undefined;
  /** Where its credential came from, as in `Identity.source`. */
  readonly source?: string | undefined;
}

/** One access. Fields that aren't known are left out. */
export interface AuditEvent {
  /** In UTC with milliseconds: `2026-11-24T09:15:00.000Z`. For our own records, the end of the access. */
  readonly time: string;
  /** Where the record comes from: `secrets` for our own log, otherwise the trail, such as `cloudtrail`. */
  readonly origin: string;
  readonly action: AuditAction;
  readonly outcome: AuditOutcome;
  /** Why it wasn't allowed: one of our error kinds, or the service's own word. */
  readonly error?: ErrorKind | (string & {}) | undefined;
  readonly actor: AuditActor;
  /** Name of the store in secrets.yaml. */
  readonly store?: string | undefined;
  /** Kind of the provider. */
  readonly provider?: string | undefined;
  readonly secret?: string | undefined;
  /** The provider's own version id. */
  readonly version?: string | undefined;
  /** The stage that was requested by name, such as `pending`. */
  readonly stage?: string | undefined;
  /** The requested keys of the secret; missing: the whole value. */
  readonly keys?: readonly string[] | undefined;
  /** The command, such as `get` or `rotate resume`. Only in our own records. */
  readonly command?: string | undefined;
  /** Name of the machine. */
  readonly host?: string | undefined;
  readonly pid?: number | undefined;
  /** Network address that the service saw. */
  readonly address?: string | undefined;
  /** User agent that the service saw; in our own records the program that asked, such as `OpenTofu`. */
  readonly client?: string | undefined;
  /**
   * The agent answered: from the store, from its memory (`cache`), or from its memory because the store did not answer
   * (`stale`). Only in our own records.
   */
  readonly agent?: 'store' | 'cache' | 'stale' | undefined;
  /** `--reason` or SECRETS_REASON. */
  readonly reason?: string | undefined;
  /** The policies that decided it, each as `LAYER:ID`. Only in our own records, and only where there are policies. */
  readonly policies?: readonly string[] | undefined;
  readonly durationMs?: number | undefined;
  /** The service's own request id, by which its trail and our log identify the same call. */
  readonly requestId?: string | undefined;
  /** Number of the intent whose outcome this is. Only in our own records. */
  readonly intent?: number | undefined;
  /** For `access`: whose access was changed, and how. Only in our own records. */
  readonly grant?: AuditGrant | undefined;
}

/** A change of the service's policies. */
export interface AuditGrant {
  readonly change: 'grant' | 'revoke';
  /** In the service's words; as the user wrote it if it never came to a plan. */
  readonly principal: string;
  /** SHA-256 of the edited documents before and after, lower-case hex: docs/access.md says of what. */
  readonly before?: string | undefined;
  readonly after?: string | undefined;
  /** When the grant ends by itself, in UTC. */
  readonly until?: string | undefined;
}

/** A signature over the whole log up to this record. */
export interface Checkpoint {
  /** A record whose `seq` is a multiple of this is a checkpoint. */
  readonly every: number;
  /** SHA-256 of the public key (SubjectPublicKeyInfo, DER), lower-case hex. */
  readonly key: string;
  /** The public key: SubjectPublicKeyInfo, DER, base64. */
  readonly publicKey: string;
  /** Ed25519 over the canonical JSON of the record without `hash` and this member, base64. */
  readonly signature: string;
  /** After a retention record: what was removed, signed by the writer that removed it. */
  readonly removed?: RemovedRecords | undefined;
  /** From `audit anchor --accept`: where the log starts, whatever was lost before. */
  readonly accepted?: { readonly from: number; readonly hash: string } | undefined;
  /** The id of the second head that belongs to this log: the first 16 hex digits of SHA-256 of its machine and path. */
  readonly secondHead?: string | undefined;
}

/**
 * Records `from` to `to`, and the hash of the last one. `from` is 1 if retention removed everything that is missing.
 */
export interface RemovedRecords {
  readonly from: number;
  readonly to: number;
  readonly hash: string;
}

/** What a writer found wrong at the end of the log. */
export interface Repair {
  /**
   * `torn`: a line without an end, from a writer that died; `lost`: records that a head names are gone or replaced by
   * others; `no-head`: the second head, which a checkpoint names, is gone.
   */
  readonly found: 'torn' | 'lost' | 'no-head';
  /** The number of torn bytes and their SHA-256; they are kept in `file`, beside the log. */
  readonly bytes?: number | undefined;
  readonly sha256?: string | undefined;
  readonly file?: string | undefined;
  /** The last record that the head names. All records after this record's `prev` up to it are gone. */
  readonly lostSeq?: number | undefined;
  readonly lostHash?: string | undefined;
}

/** One line of the log: an event, its number, and its link to the previous line. Rules: docs/audit-log.md. */
export interface AuditRecord extends AuditEvent {
  readonly v: 1;
  /** 1 for the first record of a log, then one more for each. */
  readonly seq: number;
  /** `access`; `intent`, a change that is about to be made; or a record about the log itself. */
  readonly kind: 'access' | 'intent' | 'checkpoint' | 'repair' | 'rotation' | 'retention' | 'mode';
  /** Hash of the previous record, lower-case hex; 64 zeros in the first. */
  readonly prev: string;
  /** SHA-256 of the record without `hash`, as canonical JSON (RFC 8785), lower-case hex. */
  readonly hash: string;
  readonly checkpoint?: Checkpoint | undefined;
  readonly repair?: Repair | undefined;
  /** In the first record of a file that continues another: that file's name and records. */
  readonly rotation?: { readonly file: string; readonly from: number; readonly to: number } | undefined;
  /** Records that retention removed; the log starts after `to`, and `hash` is that record's. */
  readonly retention?:
    | {
        readonly from: number;
        readonly to: number;
        readonly hash: string;
        /** Sinks that hadn't received all of them, and the first record that each one misses. */
        readonly unsent?: readonly { readonly sink: string; readonly from: number }[] | undefined;
      }
    | undefined;
  /** The value of `audit.log` from this record on. */
  readonly mode?: AuditMode | undefined;
}

/**
 * `audit.log` of secrets.yaml.
 *
 * `required`: no value leaves the process before its record is durable, and no change starts before its intent is.
 * `best-effort`: if a record can't be written, the user is warned. `off`: only the switch to `off` is recorded.
 */
export type AuditMode = 'required' | 'best-effort' | 'off';

/** The log, as its writers use it. */
export interface AuditLog {
  /**
   * Appends the events in one write. When this resolves they are as durable as the mode promises: on disk with
   * `required`, handed to the system with `best-effort`.
   * @throws SecretsError Policy if they can't be written, in either mode; with `best-effort` the caller warns and
   *   continues
   */
  append(events: readonly AuditEvent[]): Promise<void>;
  /**
   * Records changes before they are made, as durably as `append`, and reserves space for their outcomes.
   * @returns the numbers of these records, for `intent` of the outcomes
   * @throws SecretsError Policy: nothing may be changed then
   */
  intend(events: readonly AuditEvent[]): Promise<readonly number[]>;
  /**
   * Records once that the log was switched: writes nothing if the end of the log already says so. After `off`, the
   * next `append` records by itself that the log is on again.
   * @throws SecretsError Policy as `append`
   */
  appendMode(mode: AuditMode, event: AuditEvent): Promise<void>;
  /**
   * Signs the end of the log: writes a checkpoint, or returns the last record if it is one.
   * @param accepted where the log starts; the signer confirms knowing what is missing
   * @throws SecretsError Policy as `append`
   */
  checkpoint(accepted?: Checkpoint['accepted']): Promise<AuditRecord>;
}
