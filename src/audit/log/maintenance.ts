/**
 * Maintenance of the log file: open, repair, checkpoint, rotate, expire. Runs under the write lock. Each step leaves
 * a state that the next writer understands, even if it is killed: the next writer finds the torn end, the missing
 * file or the full one, and continues from there.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, renameSync } from 'node:fs';
import { basename } from 'node:path';
import type { AuditRecord, Repair } from '../../core/audit/record.ts';
import { Batch, type Head, sha256, START } from '../../core/audit/chain.ts';
import { SecretsError } from '../../core/errors.ts';
import { codeOf, createPrivateFile, removeFile, syncFolder } from '../../platform/files.ts';
import { checkpointsBackwards, recordAt } from './backwards.ts';
import { lastOf, ownContent, sealCheckpoint, signingKey, writeAt } from './checkpoint.ts';
import {
  closedFiles,
  firstLine,
  headOf,
  isAhead,
  namesOf,
  openOwn,
  parseRecord,
  readTail,
  type Tail,
  writeHead,
} from './files.ts';
import type { LogSettings } from './log-settings.ts';
import { retain } from './retention.ts';
import { hasRoom, ROOM_BYTES } from './room.ts';
import { isAt, keepSecondHead, type SecondHead, secondHeadId } from './second-head.ts';

export { isKeyLocked, sealCheckpoint, signingKey, unlockKey } from './checkpoint.ts';

/**
 * Takes one step towards a file that records can be appended to: it exists, ends with a complete record, and isn't
 * full. The caller then checks again.
 * @param noted what the head file says
 * @returns false if no second head can be kept
 */
export function prepare(
  options: LogSettings,
  noted: Head | undefined,
  second: SecondHead | undefined,
): boolean {
  const names = namesOf(options.path);
  let fd = openOwn(options.path, 'repair');
  if (fd === undefined) {
    fd = openOwn(options.path, 'create') as number;
    syncFolder(names.folder);
  }
  const keep = (head: Head): boolean => {
    const { secondHead: path } = options;
    return path === undefined || second === undefined || keepSecondHead(path, second, head);
  };
  try {
    const tail = readTail(fd, options.path);
    const mended = mend(options, fd, tail, noted, second);
    if (mended !== undefined) writeHead(names.head, mended);
    const end = mended ?? headOf(tail.record as AuditRecord);
    if (mended !== undefined || (second !== undefined && !isAt(second, end))) return keep(end);
    close(options, fd, tail.record as AuditRecord, tail.size);
    return true;
  } finally {
    closeSync(fd);
  }
}

/** Writes the records that a new file starts with, and repair records about a damaged end. */
function mend(
  options: LogSettings,
  fd: number,
  tail: Tail,
  noted: Head | undefined,
  second: SecondHead | undefined,
): Head | undefined {
  const names = namesOf(options.path);
  const previous = tail.record === undefined ? closedFiles(options.path).at(-1) : undefined;
  const last = tail.record ?? (previous === undefined ? undefined : lastOf(previous.path));
  const before = last === undefined ? START : headOf(last);
  const repairs = [torn(names, before, tail), ...lost(options, before, noted, second)].filter(
    (repair) => repair !== undefined,
  );
  // First, because the checkpoint signed below names the second head.
  if (second !== undefined && typeof second === 'string' && options.secondHead !== undefined)
    keepSecondHead(options.secondHead, second, before);
  const batch = new Batch(before, (head, statement) => sealCheckpoint(options, head, statement));
  if (last === undefined) batch.checkpoint();
  if (previous !== undefined) {
    const { from, to } = previous;
    batch.add(ownContent(options, 'rotation', { rotation: { file: basename(previous.path), from, to } }));
  }
  for (const repair of repairs) batch.add(ownContent(options, 'repair', { repair }));
  if (batch.text === '') return undefined;
  batch.finish();
  // Retention signs a checkpoint after this write and can't be interrupted to unlock the key, so check for it now.
  const retains = previous !== undefined && (options.keepFiles ?? options.keepMs) !== undefined;
  if (retains && options.key === 'keychain') signingKey(options);
  // Overwrites the torn bytes: truncating first would leave a moment without any trace of them.
  writeAt(fd, tail.size, batch.text);
  if (tail.record === undefined) syncFolder(names.folder);
  return previous === undefined ? batch.head : retain(options, fd, batch.head);
}

function torn(names: ReturnType<typeof namesOf>, before: Head, { torn: bytes }: Tail): Repair | undefined {
  if (bytes === undefined) return undefined;
  const digest = sha256(bytes);
  const file = names.torn(before.seq + 1, digest);
  keepTorn(file, bytes);
  return { found: 'torn', bytes: bytes.length, sha256: digest, file: basename(file) };
}

/** Records that the heads name but the log no longer has. */
function lost(
  { path, secondHead }: LogSettings,
  before: Head,
  noted: Head | undefined,
  second: SecondHead | undefined,
): readonly Repair[] {
  const repairs: Repair[] = [];
  const apart = typeof second === 'object' ? second.head : undefined;
  const isOther = apart !== undefined && (isAhead(apart, before) || isOtherRecord(path, apart, before));
  const ahead = isOther ? apart : isAhead(noted, before) ? noted : undefined;
  if (ahead !== undefined) repairs.push({ found: 'lost', lostSeq: ahead.seq, lostHash: ahead.hash });
  if (typeof second === 'string' && secondHead !== undefined && before.seq > 0) {
    const [checkpoint] = checkpointsBackwards(path);
    if (checkpoint?.checkpoint?.secondHead === secondHeadId(secondHead)) repairs.push({ found: 'no-head' });
  }
  return repairs;
}

/** Whether the log has a different record under the number that a head names. */
function isOtherRecord(path: string, { seq, hash }: Head, before: Head): boolean {
  if (seq === 0 || (seq === before.seq && hash === before.hash)) return false;
  const found = recordAt(path, seq);
  return found !== undefined && found.hash !== hash;
}

/** Reserves disk space for the record of a change. @throws SecretsError if there is none */
export function keepRoom(path: string): void {
  if (hasRoom(path)) return;
  removeFile(path);
  // Random bytes, because some file systems allocate no space for zeros.
  createPrivateFile(path, randomBytes(ROOM_BYTES), 'the audit log');
}

function keepTorn(path: string, bytes: Uint8Array): void {
  try {
    createPrivateFile(path, bytes, 'the torn end of the audit log');
  } catch (thrown) {
    // An interrupted repair has already saved them.
    if (codeOf((thrown as Error).cause) !== 'EEXIST') throw thrown;
  }
}

/** Signs the end of a full file and gives it its final name. The next attempt finds no file and starts a new one. */
function close(options: LogSettings, fd: number, last: AuditRecord, size: number): void {
  const batch = new Batch(headOf(last), (head) => sealCheckpoint(options, head));
  if (last.kind !== 'checkpoint') {
    batch.checkpoint();
    writeAt(fd, size, batch.text);
  }
  fsyncSync(fd);
  const line = firstLine(fd);
  const first = line === undefined ? undefined : parseRecord(line);
  if (first === undefined) {
    throw new SecretsError('Policy', `the first record of the audit log was changed: ${options.path}`, {
      hint: 'run secrets audit verify for details; to start a new log, move this file and the files beside it away, and keep them',
    });
  }
  const names = namesOf(options.path);
  renameSync(options.path, names.closed(first.seq, batch.head.seq));
  syncFolder(names.folder);
}
