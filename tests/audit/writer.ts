/** A program of its own that appends to a log, for tests with several processes: `node writer.cjs '<WriterTask>'`. */
import type { AuditLogOptions } from '../../src/audit/log/log-settings.ts';
import { openAuditLog } from '../../src/audit/log/log.ts';
import { event, type WriterTask } from './events.ts';

async function main(): Promise<void> {
  const task = JSON.parse(process.argv[2] ?? '') as WriterTask;
  const log = openAuditLog({ ...(task.options as AuditLogOptions), now: () => new Date() });
  const { from = 0, events = 1 } = task;
  for (let n = 0; n < task.appends; n += 1)
    await log.append(Array.from({ length: events }, (_, index) => event(from + n * events + index)));
}

void main();
