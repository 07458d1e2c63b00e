/** Stands in for the log until it is there. */
import { closeSync, constants, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { AuditEvent, AuditLog, AuditMode } from '../core/audit.ts';
import { SecretsError } from '../core/errors.ts';
import { codeOf } from '../files.ts';
import type { AuditLogOptions } from './log.ts';

export function openAuditLog({ path, mode }: AuditLogOptions): AuditLog {
  const open = (): number => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;
    return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  };
  const using = <T>(work: (fd: number) => T): T => {
    try {
      const fd = open();
      try {
        return work(fd);
      } finally {
        closeSync(fd);
      }
    } catch (cause) {
      throw new SecretsError(
        'Policy',
        `the audit log can’t be written: ${codeOf(cause) ?? 'failed'}: ${path}`,
        {
          cause,
        },
      );
    }
  };
  const write = (events: readonly (AuditEvent & { kind: string; mode?: AuditMode })[]): void =>
    using((fd) => {
      writeSync(fd, events.map((event) => `${JSON.stringify(event)}\n`).join(''));
      if (mode === 'required') fsyncSync(fd);
    });
  return {
    append: async (events) => write(events.map((event) => ({ ...event, kind: 'access' }))),
    ready: async () => using(() => {}),
    appendMode: async (now, event) => write([{ ...event, kind: 'mode', mode: now }]),
  };
}
