import { auditAnchor } from './audit-anchor.spec.ts';
import { auditLog } from './audit-log.spec.ts';
import { auditReport } from './audit-report.spec.ts';
import { auditTrail } from './audit-trail.spec.ts';
import { auditSend } from './audit-send.spec.ts';
import { auditSinks } from './audit-sinks.spec.ts';
import { auditVerify } from './audit-verify.spec.ts';
import type { CommandSpec } from './spec.ts';

/** `audit` itself does nothing: each verb is a spec of its own, `audit-<verb>.spec.ts`. */
export const audit: CommandSpec = {
  name: 'audit',
  group: 'Audit',
  summary: 'who touched which secret, whether the log is whole, and what is wrong with how secrets are kept',
  examples: [],
  subcommands: [auditLog, auditTrail, auditReport, auditVerify, auditAnchor, auditSend, auditSinks],
};
