/** Changes that were intended but have no recorded outcome. */
import type { AuditRecord } from '../../core/audit/record.ts';
import type { AuditFilter } from '../../core/audit/filter.ts';
import { type ReadOptions, readAuditLog } from './read.ts';

/**
 * The intents that pass the filter and have no outcome in the log, by number. Both passes parse only few lines: lines
 * of other kinds don't contain the needles.
 */
export async function openIntents(
  path: string,
  filter: AuditFilter,
  options: ReadOptions = {},
): Promise<ReadonlyMap<number, AuditRecord>> {
  const open = new Map<number, AuditRecord>();
  const asked = { ...filter, kinds: ['intent'] as const, limit: undefined };
  for await (const record of readAuditLog(path, asked, options)) open.set(record.seq, record);
  const [first] = open.values();
  if (first === undefined) return open;
  const since = new Date(first.time);
  for await (const { intent } of readAuditLog(path, { since, answers: true }, options))
    if (intent !== undefined) open.delete(intent);
  return open;
}

/** The records without the intents whose outcome is among them. */
export function withoutAnswered(records: readonly AuditRecord[]): readonly AuditRecord[] {
  const answered = new Set(records.map(({ intent }) => intent));
  return records.filter(({ kind, seq }) => kind !== 'intent' || !answered.has(seq));
}
