/** Options of the log writer. */
import type { AuditMode } from '../../core/audit/record.ts';
import type { Unlocked } from './keys.ts';

/** `keychain`: the key file is encrypted, and its passphrase is in the OS key chain. */
export type AuditKeyMethod = 'key-file' | 'keychain';

export interface AuditLogOptions {
  /** Absolute path of the log file; `auditLogPath` returns the default. */
  readonly path: string;
  /** Where the signing key is kept: `xdgFolder(world, 'state')`. */
  readonly stateFolder: string;
  /** Where the second head is kept, in a different folder than the log (second-head.ts); default: no second head. */
  readonly headFolder?: string | undefined;
  /** How the signing key is stored; default: leave it as it is, and create a new one unencrypted. */
  readonly key?: AuditKeyMethod | undefined;
  /** `required` makes each append durable (one fsync). */
  readonly mode: Exclude<AuditMode, 'off'>;
  readonly now: () => Date;
  /** A file that reaches this many bytes is closed and a new one started; default 64 MiB. */
  readonly rotateSize?: number | undefined;
  /** How many closed files to keep, and for how long after their last record; default: all of them, forever. */
  readonly keepFiles?: number | undefined;
  readonly keepMs?: number | undefined;
  /** How long to wait for another writer, in milliseconds; default 10 s. */
  readonly waitMs?: number | undefined;
}

export type LogSettings = AuditLogOptions & {
  readonly rotateSize: number;
  readonly waitMs: number;
  /** Path of the second head; undefined if none can be kept. */
  readonly secondHead?: string | undefined;
  /** The signing key, once it has been unlocked with the key chain. */
  readonly unlocked?: Unlocked | undefined;
};
