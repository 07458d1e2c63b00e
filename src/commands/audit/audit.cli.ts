import { auditAnchor } from './anchor.cli.ts';
import { auditLog } from './log.cli.ts';
import { auditReport } from './report.cli.ts';
import { auditTrail } from './trail.cli.ts';
import { auditSend } from './send.cli.ts';
import { auditSinks } from './sinks.cli.ts';
import { auditVerify } from './verify.cli.ts';
import type { CommandSpec } from '../command.ts';

/** `audit` itself does nothing: each verb has a file of its own, `<verb>.cli.ts`. */
export const audit: CommandSpec = {
  name: 'audit',
  group: 'Audit',
  summary: 'Read and verify the audit log, and report problems',
  examples: [],
  subcommands: [auditLog, auditTrail, auditReport, auditVerify, auditAnchor, auditSend, auditSinks],
};
