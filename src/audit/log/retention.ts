/**
 * Retention: which closed files to remove, and the signed record of it. Synchronous, because it runs under the lock.
 */
import { isUtf8 } from 'node:buffer';
import { verify } from 'node:crypto';
import { fstatSync, lstatSync } from 'node:fs';
import type { AuditRecord } from '../../core/audit/record.ts';
import { Batch, explainsStart, type Head, signedText } from '../../core/audit/chain.ts';
import type { Problem } from '../../core/audit/problems.ts';
import { ChainVerifier } from '../../core/audit/verify.ts';
import { removeFile, syncFolder } from '../../platform/files.ts';
import { checkpointsBackwards, linesForwards } from './backwards.ts';
import { lastOf, ownContent, sealCheckpoint, signingKey, writeAt } from './checkpoint.ts';
import { type ClosedFile, closedFiles, namesOf } from './files.ts';
import type { PublicKey } from './keys.ts';
import type { LogSettings } from './log-settings.ts';
import { type Waiting, waitingSinks } from '../sinks/cursor.ts';
import { trustIn } from './trust.ts';

/** Retention stops waiting for sinks once the closed files exceed this many bytes. */
const MOST_HELD = 2 ** 30;

/**
 * Removes what is older than the rule allows, after a signed record says so. What a sink hasn't received yet stays
 * for as long as the sink's `hold`; what is removed nevertheless is named in the record.
 */
export function retain(options: LogSettings, fd: number, head: Head): Head {
  const { keepFiles, keepMs, now, path } = options;
  const closed = closedFiles(path);
  const tooMany = keepFiles === undefined ? 0 : Math.max(0, closed.length - keepFiles);
  const waiting = keepFiles === undefined && keepMs === undefined ? [] : waitingFor(path, now());
  let held = waiting.length === 0 ? 0 : sizeOf(closed);
  let count = 0;
  for (const file of closed) {
    const age = now().getTime() - Date.parse(lastOf(file.path).time);
    if (count >= tooMany && (keepMs === undefined || age <= keepMs)) break;
    if (held <= MOST_HELD && waiting.some(({ seq, holdMs }) => seq < file.to && age <= holdMs)) break;
    if (held > 0) held -= sizeOf([file]);
    count += 1;
  }
  const gone = closed.slice(0, count);
  const newest = gone.at(-1);
  if (newest === undefined) return head;
  const { hash, seq: to } = lastOf(newest.path);
  const unsent = waiting
    .filter(({ seq }) => seq < to)
    .map(({ sink, seq }) => ({ sink, from: Math.max(seq + 1, gone[0]?.from ?? 1) }));
  const batch = new Batch(head, (end, statement) => sealCheckpoint(options, end, statement));
  const from = gone[0]?.from ?? to;
  const removed = { from: beginningOf(options, gone), to, hash };
  const retention = { from, to, hash, ...(unsent.length > 0 && { unsent }) };
  batch.add(ownContent(options, 'retention', { retention }));
  batch.checkpoint({ removed });
  writeAt(fd, fstatSync(fd).size, batch.text);
  for (const file of gone) removeFile(file.path);
  syncFolder(namesOf(path).folder);
  return batch.head;
}

/** Doesn't wait for sinks whose state can't be read: the log must go on. */
function waitingFor(path: string, now: Date): readonly Waiting[] {
  try {
    return waitingSinks(path, now);
  } catch {
    return [];
  }
}

function sizeOf(files: readonly ClosedFile[]): number {
  return files.reduce((sum, { path }) => sum + (lstatSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
}

/**
 * The number of the first record that retention removes now or has removed before. 1, unless somebody else removed or
 * altered records: otherwise retention would erase the traces of that.
 */
function beginningOf(options: LogSettings, gone: readonly ClosedFile[]): number {
  const key = signingKey(options);
  const verifier = new ChainVerifier(trustIn(new Set([key.id])), [], true);
  for (const { path: file } of gone) {
    let line = 0;
    for (const bytes of linesForwards(file))
      verifier.add(isUtf8(bytes) ? bytes.toString('utf8') : '', { file, line: (line += 1) });
  }
  const { problems, first = 0, firstPrev: prev = '', last, signedTo } = verifier.end();
  const isWhole =
    signedTo === last &&
    problems.every((problem) => isAccepted(options.path, key, problem)) &&
    isBeginning(options.path, key, { seq: first, prev });
  return isWhole ? 1 : Math.max(2, first);
}

/** Whether nothing is missing before a record: it is the first, or a signed checkpoint explains why it isn't. */
function isBeginning(path: string, key: Signer, first: Parameters<typeof explainsStart>[1]): boolean {
  if (first.seq === 1) return true;
  // Only checkpoints with these fields say that something is missing.
  for (const needle of ['"removed":{', '"accepted":{'])
    for (const record of checkpointsBackwards(path, needle))
      if (isSignedBy(key, record) && explainsStart(record.checkpoint, first)) return true;
  return false;
}

/** Whether a later checkpoint, signed with the key, accepts this problem. */
function isAccepted(
  path: string,
  key: Signer,
  { acceptable, seq = Number.POSITIVE_INFINITY }: Problem,
): boolean {
  if (acceptable !== true) return false;
  for (const record of checkpointsBackwards(path, '"accepted":{'))
    if (record.seq > seq && isSignedBy(key, record)) return true;
  return false;
}

type Signer = Pick<PublicKey, 'key' | 'id'>;

function isSignedBy({ key, id }: Signer, record: AuditRecord): boolean {
  const { checkpoint } = record;
  if (record.kind !== 'checkpoint' || checkpoint?.key !== id) return false;
  const text = signedText(record as unknown as Readonly<Record<string, unknown>>);
  return verify(null, Buffer.from(text), key, Buffer.from(String(checkpoint.signature), 'base64'));
}
