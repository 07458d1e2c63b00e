/** The audit log of a place where the built program ran, for tests. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditRecord } from '../../src/core/audit/record.ts';
import type { Place } from '../e2e/program.ts';

/** Where the log is that nobody moved. */
export function logOf(place: Place): string {
  return join(place.home, '.local/state/secrets/audit/audit.jsonl');
}

/** The records of a log; none when there is no log. */
export function recordsIn(path: string): readonly AuditRecord[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditRecord);
}

/** The accesses among them. */
export function accessesIn(path: string): readonly AuditRecord[] {
  return recordsIn(path).filter(({ kind }) => kind === 'access');
}

/** `read local://a#key allowed`, `write local://a?stage=pending denied Denied`. */
export function shortOf({ action, store, secret, keys, stage, outcome, error }: AuditRecord): string {
  const key = keys === undefined ? '' : `#${keys.join(',')}`;
  const at = stage === undefined ? '' : `?stage=${stage}`;
  return `${action} ${store ?? ''}://${secret ?? ''}${key}${at} ${outcome}${error === undefined ? '' : ` ${error}`}`;
}
