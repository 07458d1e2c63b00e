/**
 * One form for every access to a secret: what our own log records, what a service's own trail (CloudTrail, Vault's
 * audit device, ...) says, and what reports, detectors of anomalies and sinks read. It never holds a value.
 */
import type { ErrorKind } from '../errors.ts';

/** What was done. `read` gives a value out; `describe` and `list` do not. */
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
 * `denied`: the service or a policy refused it; `failed`: anything else that went wrong, a missing secret included;
 * `unknown`: a change was about to be made, and what came of it is another record's, or nobody's.
 */
export type AuditOutcome = 'allowed' | 'denied' | 'failed' | 'unknown';

/** Who did it, as far as it is known. */
export interface AuditActor {
  /** Login name of the operating system's user. */
  readonly user?: string | undefined;
  readonly uid?: number | undefined;
  /** The identity at the service, as the service writes it: an ARN, a token's display name, an object id. */
  readonly principal?: string | undefined;
  /** Where its credential came from, as in `Identity.source`. */
  readonly source?: string | undefined;
}

/** One access. Optional fields are left away where nothing is known. */
export interface AuditEvent {
  /** When, in UTC with milliseconds: `2026-11-24T09:15:00.000Z`. Of our own records: when it had ended. */
  readonly time: string;
  /** Whose record it is: `secrets` for our own log, else the trail's word, such as `cloudtrail`. */
  readonly origin: string;
  readonly action: AuditAction;
  readonly outcome: AuditOutcome;
  /** Why not, for what was not allowed: one of our kinds, or the service's own word. */
  readonly error?: ErrorKind | (string & {}) | undefined;
  readonly actor: AuditActor;
  /** Name of the store as in secrets.yaml. */
  readonly store?: string | undefined;
  /** Kind of the provider. */
  readonly provider?: string | undefined;
  readonly secret?: string | undefined;
  /** The provider's own version id. */
  readonly version?: string | undefined;
  /** The stage that was asked for by name, such as `pending`. */
  readonly stage?: string | undefined;
  /** Keys of the secret that were asked for; missing: the whole value. */
  readonly keys?: readonly string[] | undefined;
  /** The verb, such as `get` or `rotate resume`. Ours alone. */
  readonly command?: string | undefined;
  /** Name of the machine. */
  readonly host?: string | undefined;
  readonly pid?: number | undefined;
  /** Network address that the service saw. */
  readonly address?: string | undefined;
  /** Program that the service saw: the user agent. */
  readonly client?: string | undefined;
  /** `--reason` or SECRETS_REASON. */
  readonly reason?: string | undefined;
  readonly durationMs?: number | undefined;
  /** The service's own id of the request, by which its trail and our log name the same call. */
  readonly requestId?: string | undefined;
  /** Number of the intent that this is the outcome of. Ours alone. */
  readonly intent?: number | undefined;
}

/** A signature over the whole log up to here. */
export interface Checkpoint {
  /** A record with this remainder of `seq`, 0, is a checkpoint: every so many records there is one. */
  readonly every: number;
  /** SHA-256 of the public key (SubjectPublicKeyInfo, DER), lower-case hex. */
  readonly key: string;
  /** The public key: SubjectPublicKeyInfo, DER, base64. */
  readonly publicKey: string;
  /** Ed25519 over the canonical JSON of the record without `hash` and without this member, base64. */
  readonly signature: string;
  /** Of the checkpoint behind a record of retention: what was removed, signed by the writer that removed it. */
  readonly removed?: RemovedRecords | undefined;
  /** Of `audit anchor --accept`: where the log begins, whatever was lost before. */
  readonly accepted?: { readonly from: number; readonly hash: string } | undefined;
  /** Names the second head that is kept with this log: the first 16 hex digits of SHA-256 of its machine and path. */
  readonly secondHead?: string | undefined;
}

/** Records `from` to `to`, the last of which had this hash. `from` is 1 when the rule removed all that is missing. */
export interface RemovedRecords {
  readonly from: number;
  readonly to: number;
  readonly hash: string;
}

/** What the writer found at the end of the log that should not have been there, or not have been missing. */
export interface Repair {
  /**
   * `torn`: a line without an end, from a writer that died; `lost`: records that a head knew are gone, or others stand in
   * their place; `no-head`: the second head, which a checkpoint names, is gone.
   */
  readonly found: 'torn' | 'lost' | 'no-head';
  /** How many bytes were torn, and their SHA-256; they are kept in `file`, beside the log. */
  readonly bytes?: number | undefined;
  readonly sha256?: string | undefined;
  readonly file?: string | undefined;
  /** The last record that the head names; all after this record's `prev` up to it are gone. */
  readonly lostSeq?: number | undefined;
  readonly lostHash?: string | undefined;
}

/** One line of the log: an event, its number, and what chains it to the line before. docs/audit-log.md has the rules. */
export interface AuditRecord extends AuditEvent {
  readonly v: 1;
  /** 1 for the first record of a log, one more for each. */
  readonly seq: number;
  /** `access`; `intent`, a change that is about to be made; or a record about the log itself. */
  readonly kind: 'access' | 'intent' | 'checkpoint' | 'repair' | 'rotation' | 'retention' | 'mode';
  /** Hash of the record before, lower-case hex; 64 zeros in the first. */
  readonly prev: string;
  /** SHA-256 of the record without `hash`, as canonical JSON (RFC 8785), lower-case hex. */
  readonly hash: string;
  readonly checkpoint?: Checkpoint | undefined;
  readonly repair?: Repair | undefined;
  /** First record of a file that follows another: that one's name and its records. */
  readonly rotation?: { readonly file: string; readonly from: number; readonly to: number } | undefined;
  /** Records that the rule of retention removed; the log begins after `to`, whose hash this is. */
  readonly retention?:
    | {
        readonly from: number;
        readonly to: number;
        readonly hash: string;
        /** Sinks that had not got all of them, and the first that each has missed. */
        readonly unsent?: readonly { readonly sink: string; readonly from: number }[] | undefined;
      }
    | undefined;
  /** What `audit.log` is from here on, as far as the log was told. */
  readonly mode?: AuditMode | undefined;
}

/**
 * `audit.log` of secrets.yaml.
 *
 * `required`: no value leaves the process before its record is durable, and no change begins before its intent is. `best-effort`: a record that can't be written is warned of. `off`: nothing is recorded but that.
 */
export type AuditMode = 'required' | 'best-effort' | 'off';

/** Takes events for good. */
export interface AuditLog {
  /**
   * Appends the events as one write. When this resolves they are as durable as the log's mode promises: in
   * `required` on the disk, in `best-effort` with the system.
   * @throws SecretsError Policy when they can't be written, in either mode; in `best-effort` the caller warns and goes on
   */
  append(events: readonly AuditEvent[]): Promise<void>;
  /**
   * Records changes before they are made, as durable as `append`, and keeps room for what comes of them.
   * @returns the numbers of these records: `intent` of the events that say what came of them
   * @throws SecretsError Policy: then nothing may be changed
   */
  intend(events: readonly AuditEvent[]): Promise<readonly number[]>;
  /**
   * Records that the log was switched, once: nothing is written when the log's end says so already. After `off`, the
   * next `append` records by itself that it is on again.
   * @throws SecretsError Policy as `append`
   */
  appendMode(mode: AuditMode, event: AuditEvent): Promise<void>;
  /**
   * The signed end of the log: a checkpoint that is written now, or the last record when that is one.
   * @param accepted where the log begins: who signs knows what is missing
   * @throws SecretsError Policy as `append`
   */
  checkpoint(accepted?: Checkpoint['accepted']): Promise<AuditRecord>;
}
