/** Every action of the audit log, as choices of options. */
import type { AuditAction } from './record.ts';

const ALL: Readonly<Record<AuditAction, true>> = {
  read: true,
  list: true,
  describe: true,
  write: true,
  label: true,
  promote: true,
  delete: true,
  restore: true,
  purge: true,
  rotate: true,
  rekey: true,
  access: true,
  other: true,
};

export const AUDIT_ACTIONS = Object.keys(ALL) as readonly AuditAction[];
