/**
 * What the writer seldom does, all of it under the lock: beginning a file, repairing its end, signed checkpoints,
 * closing a full file, removing old ones. Each step leaves a state that the next writer understands, wherever it is
 * killed: the next one finds the torn end, the missing file or the full one, and goes on from there.
 */
import { sign } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, ftruncateSync, lstatSync, renameSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname } from 'node:path';
import type { AuditRecord, Repair } from '../core/audit.ts';
import {
  Batch,
  CHECKPOINT_EVERY,
  type Content,
  type Head,
  type Sealed,
  seal,
  sha256,
  signedText,
  START,
} from '../core/audit-chain.ts';
import { SecretsError } from '../core/errors.ts';
import { codeOf, createPrivateFile, removeFile, syncFolder } from '../files.ts';
import {
  type ClosedFile,
  closedFiles,
  firstLine,
  headOf,
  isAhead,
  namesOf,
  openOwn,
  parseRecord,
  readTail,
  sweep,
  type Tail,
  writeHead,
} from './files.ts';
import {
  KeyIsLocked,
  needSigningKey,
  publish,
  readKeyFile,
  type SigningKey,
  signingKeyPath,
  type Unlocked,
} from './keys.ts';
import type { LogSettings } from './log.ts';
import { type Waiting, waitingSinks } from './sinks/cursor.ts';

/** A record about the log itself. */
export function ownContent(
  { now }: Pick<LogSettings, 'now'>,
  kind: AuditRecord['kind'],
  more: Partial<Content>,
): Content {
  const uid = process.getuid?.();
  return {
    time: now().toISOString(),
    origin: 'secrets',
    action: 'other',
    outcome: 'allowed',
    actor: uid === undefined ? {} : { uid },
    host: hostname(),
    pid: process.pid,
    kind,
    ...more,
  };
}

/** Whether the key has to be fetched (`unlockKey`) before this is tried again. */
export function isKeyLocked(thrown: unknown): boolean {
  return thrown instanceof KeyIsLocked;
}

/** Fetches the signing key from the key chain; while no lock is held. @throws SecretsError */
export async function unlockKey(options: LogSettings): Promise<Unlocked | undefined> {
  return (await import('./unlock.ts')).unlockKey(options);
}

/** The key that signs, made on first use. @throws SecretsError, KeyIsLocked */
export function signingKey({ stateFolder, key, unlocked }: LogSettings): SigningKey {
  // One that is gone since it was unlocked is made anew where the key chain can be asked.
  if (key === 'keychain' && (unlocked === undefined || readKeyFile(stateFolder) === undefined))
    throw new KeyIsLocked();
  return needSigningKey(stateFolder, unlocked);
}

/** The next record as a signed checkpoint. @throws SecretsError, KeyIsLocked */
export function sealCheckpoint(options: LogSettings, head: Head): Sealed {
  const key = signingKey(options);
  const { folder, publicKeys, head: headFile } = namesOf(options.path);
  publish(publicKeys, key);
  const keyPath = signingKeyPath(options.stateFolder);
  const ours = new Set([options.path, headFile, publicKeys, keyPath].map((path) => basename(path)));
  for (const used of new Set([folder, dirname(keyPath)])) sweep(used, (name) => ours.has(name));
  const unsigned = { every: CHECKPOINT_EVERY, key: key.id, publicKey: key.der, signature: '' };
  const content = ownContent(options, 'checkpoint', { checkpoint: unsigned });
  const text = signedText({ ...content, v: 1, seq: head.seq + 1, prev: head.hash });
  const signature = sign(null, Buffer.from(text), key.privateKey).toString('base64');
  return seal(head, { ...content, checkpoint: { ...unsigned, signature } });
}

/**
 * One step towards a state to which records can be appended: a file, with a whole record at its end, that is not full.
 * The caller then looks again.
 * @param noted what the head file says
 */
export function prepare(options: LogSettings, noted: Head | undefined): void {
  const names = namesOf(options.path);
  let fd = openOwn(options.path, 'repair');
  if (fd === undefined) {
    fd = openOwn(options.path, 'create') as number;
    syncFolder(names.folder);
  }
  try {
    const tail = readTail(fd, options.path);
    const mended = mend(options, fd, tail, noted);
    if (mended !== undefined) writeHead(names.head, mended);
    else if (tail.record !== undefined) close(options, fd, tail.record, tail.size);
  } finally {
    closeSync(fd);
  }
}

/** Writes what is missing at the beginning of a file and what has to be said of its end. */
function mend(options: LogSettings, fd: number, tail: Tail, noted: Head | undefined): Head | undefined {
  const names = namesOf(options.path);
  const previous = tail.record === undefined ? closedFiles(options.path).at(-1) : undefined;
  const last = tail.record ?? (previous === undefined ? undefined : lastOf(previous.path));
  const before = last === undefined ? START : headOf(last);
  const batch = new Batch(before, (head) => sealCheckpoint(options, head));
  if (last === undefined) batch.checkpoint();
  if (previous !== undefined) {
    const { from, to } = previous;
    batch.add(ownContent(options, 'rotation', { rotation: { file: basename(previous.path), from, to } }));
  }
  if (tail.torn !== undefined) {
    const digest = sha256(tail.torn);
    const file = names.torn(batch.head.seq + 1, digest);
    keepTorn(file, tail.torn);
    const repair: Repair = { found: 'torn', bytes: tail.torn.length, sha256: digest, file: basename(file) };
    batch.add(ownContent(options, 'repair', { repair }));
  }
  if (isAhead(noted, before)) {
    const repair: Repair = { found: 'lost', lostSeq: noted.seq, lostHash: noted.hash };
    batch.add(ownContent(options, 'repair', { repair }));
  }
  if (batch.text === '') return undefined;
  batch.finish();
  // Retention signs after this is written, and is not come back to: its key has to be there before.
  const retains = previous !== undefined && (options.keepFiles ?? options.keepMs) !== undefined;
  if (retains && options.key === 'keychain') signingKey(options);
  // Over the torn bytes: cutting them off first would leave a moment in which nothing tells of them.
  writeAt(fd, tail.size, batch.text);
  if (tail.record === undefined) syncFolder(names.folder);
  return previous === undefined ? batch.head : retain(options, fd, batch.head);
}

function keepTorn(path: string, bytes: Uint8Array): void {
  try {
    createPrivateFile(path, bytes, 'the torn end of the audit log');
  } catch (thrown) {
    // A repair that was itself cut off has put them there.
    if (codeOf((thrown as Error).cause) !== 'EEXIST') throw thrown;
  }
}

/** Writes all of it there as the file's new end, on the disk, or leaves the file as long as it was. */
function writeAt(fd: number, position: number, text: string): void {
  const bytes = Buffer.from(text);
  try {
    for (let done = 0; done < bytes.length;)
      done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  } catch (thrown) {
    ftruncateSync(fd, position);
    throw thrown;
  }
  ftruncateSync(fd, position + bytes.length);
  fsyncSync(fd);
}

function lastOf(path: string): AuditRecord {
  const fd = openOwn(path, 'read');
  try {
    const record = fd === undefined ? undefined : readTail(fd, path).record;
    if (record !== undefined) return record;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
  throw new SecretsError('Policy', `a closed file of the audit log has no record: ${path}`, {
    hint: 'secrets audit verify says what is wrong; to begin a new log, move all of its files away, and keep them',
  });
}

/** Signs the end of a full file and gives it its final name; the next look finds no file and begins one. */
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
      hint: 'secrets audit verify says what is wrong; to begin a new log, move this one and what stands beside it away, and keep them',
    });
  }
  const names = namesOf(options.path);
  renameSync(options.path, names.closed(first.seq, batch.head.seq));
  syncFolder(names.folder);
}

/** Sinks are waited for until the closed files come to so many bytes. */
const MOST_HELD = 2 ** 30;

/**
 * Removes what is older than the rule says, after a signed record says so. What a sink has not got yet stays, for as
 * long as the sink's `hold`; what goes nevertheless is said in the record.
 */
function retain(options: LogSettings, fd: number, head: Head): Head {
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
  const batch = new Batch(head, (end) => sealCheckpoint(options, end));
  const from = gone[0]?.from ?? to;
  const retention = { from, to, hash, ...(unsent.length > 0 && { unsent }) };
  batch.add(ownContent(options, 'retention', { retention }));
  batch.checkpoint();
  writeAt(fd, fstatSync(fd).size, batch.text);
  for (const file of gone) removeFile(file.path);
  syncFolder(namesOf(path).folder);
  return batch.head;
}

/** Sinks whose state can't be read are not waited for: the log goes on. */
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
