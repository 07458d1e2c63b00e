/** What the writer of a log is told. */
import type { AuditMode } from '../../core/audit/record.ts';
import type { Unlocked } from './keys.ts';

/** `keychain`: its file is encrypted, with the passphrase in the OS key chain. */
export type AuditKeyMethod = 'key-file' | 'keychain';

export interface AuditLogOptions {
  /** Absolute path of the file that is written; `auditLogPath` says where it is by default. */
  readonly path: string;
  /** Where the key that signs checkpoints is kept: `xdgFolder(world, 'state')`. */
  readonly stateFolder: string;
  /** Where the second head is kept: in another folder than the log (second-head.ts); default: there is none. */
  readonly headFolder?: string | undefined;
  /** How that key is kept; default: as it is, and a new one in a plain file. */
  readonly key?: AuditKeyMethod | undefined;
  /** `required` makes each append durable (one fsync). */
  readonly mode: Exclude<AuditMode, 'off'>;
  readonly now: () => Date;
  /** A file of this many bytes is closed and a new one begun; default 64 MiB. */
  readonly rotateSize?: number | undefined;
  /** How many closed files are kept, and for how long after their last record; default: all, for ever. */
  readonly keepFiles?: number | undefined;
  readonly keepMs?: number | undefined;
  /** How long to wait for one other writer, in milliseconds; default 10 s. */
  readonly waitMs?: number | undefined;
}

/** The options with their defaults. */
export type LogSettings = AuditLogOptions & {
  readonly rotateSize: number;
  readonly waitMs: number;
  /** Path of the second head; undefined where none can be kept. */
  readonly secondHead?: string | undefined;
  /** The signing key, once the key chain was asked for it. */
  readonly unlocked?: Unlocked | undefined;
};
