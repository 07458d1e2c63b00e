/**
 * The writer of the audit log: any number of processes append to one chain of records in one file. docs/audit-log.md
 * describes the format. This module is on the path of every `get`: it imports nothing heavy, and what is rarely needed
 * is in rare.ts.
 */
import { join } from 'node:path';
import type { AuditLog, AuditMode } from '../core/audit.ts';
import { type World, xdgFolder } from '../world.ts';

export interface AuditLogOptions {
  /** Absolute path of the file that is written; `auditLogPath` says where it is by default. */
  readonly path: string;
  /** Where the key that signs checkpoints is kept: `xdgFolder(world, 'state')`. */
  readonly stateFolder: string;
  /** `required` makes each append durable (one fsync). */
  readonly mode: Exclude<AuditMode, 'off'>;
  readonly now: () => Date;
  /** A file of this many bytes is closed and a new one begun; default 64 MiB. */
  readonly rotateSize?: number | undefined;
  /** How many closed files are kept, and for how long after their last record; default: all, for ever. */
  readonly keepFiles?: number | undefined;
  readonly keepMs?: number | undefined;
  /** How long to wait for other writers, in milliseconds; default 10 s. */
  readonly waitMs?: number | undefined;
}

/** Where the log is when no `audit.path` says otherwise. */
export function auditLogPath(world: Pick<World, 'env' | 'home'>): string {
  return join(xdgFolder(world, 'state'), 'audit', 'audit.jsonl');
}

/** Opens nothing yet: the file is opened, and made, by the first append. */
export function openAuditLog(options: AuditLogOptions): AuditLog {
  void options;
  throw new Error('not yet');
}
