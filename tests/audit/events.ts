/** Events, and what the program tests/audit/writer.ts is told. */
import type { AuditLogOptions } from '../../src/audit/log/log-settings.ts';
import type { AuditEvent } from '../../src/core/audit/record.ts';

/** An access to a secret; the number makes it tell itself from others. */
export function event(n: number, more: Partial<AuditEvent> = {}): AuditEvent {
  return {
    time: new Date(Date.UTC(2026, 10, 1) + n * 1000).toISOString(),
    origin: 'secrets',
    action: 'read',
    outcome: 'allowed',
    actor: { user: 'ada', uid: 1000, principal: 'arn:aws:sts::1:assumed-role/reader/ada' },
    store: 'prod',
    provider: 'aws',
    secret: `payments/${n}`,
    command: 'get',
    host: 'desk',
    pid: 100,
    durationMs: 12,
    ...more,
  };
}

/** What tests/audit/writer.ts is told. */
export interface WriterTask {
  readonly options: Partial<AuditLogOptions>;
  readonly appends: number;
  /** Events of one append. */
  readonly events?: number;
  /** First number of its events. */
  readonly from?: number;
}
