/**
 * The files of one log: their names, the end of a file, and the head file. Synchronous, because they are used under
 * the lock.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readFileSync,
  readSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { AuditRecord } from '../../core/audit/record.ts';
import { hashOf, type Head, sha256 } from '../../core/audit/chain.ts';
import { SecretsError } from '../../core/errors.ts';
import { isJsonObject } from '../../core/json.ts';
import { codeOf, entriesOf, fileError, isMissing, removeFile } from '../../platform/files.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;
const NEWLINE = 0x0a;
const NOTHING: Buffer = Buffer.from('');
/** The end of a file is searched in pieces of this size; a record is about 500 bytes. */
const PIECE = 8192;

/** The names of the files beside the log `path`. */
export function namesOf(path: string): {
  readonly folder: string;
  readonly lock: string;
  readonly head: string;
  readonly publicKeys: string;
  readonly room: string;
  readonly closed: (from: number, to: number) => string;
  readonly torn: (seq: number, digest: string) => string;
} {
  const base = path.replace(/\.jsonl$/, '');
  const padded = (seq: number): string => String(seq).padStart(10, '0');
  return {
    folder: dirname(path),
    lock: `${path}.lock`,
    head: `${base}.head`,
    publicKeys: `${base}.pub`,
    room: `${base}.room`,
    closed: (from, to) => `${base}-${padded(from)}-${padded(to)}.jsonl`,
    torn: (seq, digest) => `${base}-torn-${padded(seq)}-${digest.slice(0, 8)}.part`,
  };
}

/** Old enough that no writer is still using it. */
const LEFT_OVER_MS = 60_000;

/** The suffix that `replacePrivateFile`, `createFile` and key generation give a file until it is complete. */
const TEMPORARY = /\.\d+(?:\.[0-9a-z]+)?\.tmp$/;

/**
 * Removes temporary files left by writers that died. Only files of this log: `audit.path` may point into any folder.
 */
export function sweep(folder: string, isOurs: (name: string) => boolean): void {
  for (const entry of entriesOf(folder)) {
    const from = entry.search(TEMPORARY);
    if (from === -1 || !isOurs(entry.slice(0, from))) continue;
    const path = join(folder, entry);
    const info = lstatSync(path, { throwIfNoEntry: false });
    if (info?.isFile() === true && Date.now() - info.mtimeMs > LEFT_OVER_MS) removeFile(path);
  }
}

export interface ClosedFile {
  readonly path: string;
  readonly from: number;
  readonly to: number;
}

/** Whether a path is named like a closed file. */
export function isClosedName(path: string): boolean {
  return /-\d{10,16}-\d{10,16}\.jsonl$/.test(path);
}

/** The closed files of a log, oldest first. */
export function closedFiles(path: string): readonly ClosedFile[] {
  const folder = dirname(path);
  const prefix = `${basename(path).replace(/\.jsonl$/, '')}-`;
  const found: ClosedFile[] = [];
  for (const entry of entriesOf(folder)) {
    const match = entry.startsWith(prefix)
      ? /^(\d{10,16})-(\d{10,16})\.jsonl$/.exec(entry.slice(prefix.length))
      : null;
    if (match !== null)
      found.push({ path: join(folder, entry), from: Number(match[1]), to: Number(match[2]) });
  }
  return found.toSorted((one, other) => one.from - other.from);
}

/**
 * Opens a file of the log, which must belong to the user and be closed to everyone else.
 * @returns undefined if it doesn't exist
 * @throws SecretsError Policy, system errors
 */
export function openOwn(path: string, access: 'read' | 'append' | 'repair' | 'create'): number | undefined {
  const flags = {
    read: O_RDONLY,
    append: O_RDWR | O_APPEND,
    repair: O_RDWR,
    create: O_RDWR | O_CREAT | O_EXCL,
  }[access];
  let fd: number;
  try {
    // Without O_NONBLOCK, a named pipe in the file's place would hang the program.
    fd = openSync(path, flags | O_NOFOLLOW | O_NONBLOCK, 0o600);
  } catch (thrown) {
    if (isMissing(thrown) && access !== 'create') return undefined;
    if (codeOf(thrown) === 'EISDIR')
      throw new SecretsError('Policy', `the path is a folder: ${path}`, {
        hint: 'move it away, or set audit.path',
        cause: thrown,
      });
    throw thrown;
  }
  try {
    const wrong = unfit(fstatSync(fd));
    if (wrong !== undefined) throw new SecretsError('Policy', `${wrong.why}: ${path}`, { hint: wrong.hint });
    return fd;
  } catch (thrown) {
    closeSync(fd);
    throw thrown;
  }
}

/** Opens a regular file for reading, whoever owns it; undefined if it doesn't exist. @throws system errors */
export function openAny(path: string): number | undefined {
  let fd: number;
  try {
    fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new SecretsError('Invalid', `this is not a regular file: ${path}`);
}

function unfit(stats: Stats): { readonly why: string; readonly hint: string } | undefined {
  const own = process.getuid?.();
  if (!stats.isFile()) return { why: 'this is not a regular file', hint: 'move it away, or set audit.path' };
  if (own !== undefined && stats.uid !== own)
    return { why: `it belongs to another user (uid ${stats.uid})`, hint: 'move it away, or set audit.path' };
  if ((stats.mode & 0o077) !== 0)
    return {
      why: `it is open to other users (mode ${(stats.mode & 0o777).toString(8)})`,
      hint: 'others may have changed it: run secrets audit verify, then chmod 600',
    };
  return undefined;
}

export interface Tail {
  /** Where the next line starts: after the last line end. */
  readonly size: number;
  /** The record in the last complete line; undefined in a file without one. */
  readonly record: AuditRecord | undefined;
  /** Bytes after the last line end. */
  readonly torn: Buffer | undefined;
  /** The value of `audit.log` that was recorded last, if nothing but a checkpoint was recorded after it. */
  readonly mode: AuditRecord['mode'];
}

/** @throws SecretsError Policy if the last line isn't a record or was changed */
export function readTail(fd: number, path: string): Tail {
  const { size } = fstatSync(fd);
  let piece = NOTHING;
  let from = size;
  const grow = (): boolean => {
    // Doubles each time, so that a file without any line end is read only once.
    const length = Math.min(from, Math.max(PIECE, piece.length));
    const more = readFully(fd, from - length, length);
    piece = piece === NOTHING ? more : Buffer.concat([more, piece]);
    from -= length;
    return length > 0;
  };
  /** The line that ends at `end`, including its line end; undefined at the start of the file. */
  const lineBefore = (end: number): Buffer | undefined => {
    if (end === 0) return undefined;
    for (;;) {
      const at = end - from > 1 ? piece.lastIndexOf(NEWLINE, end - from - 2) : -1;
      if (at >= 0) return piece.subarray(at + 1, end - from - 1);
      if (!grow()) return piece.subarray(0, end - 1);
    }
  };
  let whole = size;
  if (size > 0) {
    let at = -1;
    while (at < 0 && grow()) at = piece.lastIndexOf(NEWLINE);
    whole = at < 0 ? 0 : from + at + 1;
  }
  const torn = whole < size ? Buffer.from(piece.subarray(whole - from)) : undefined;
  const line = lineBefore(whole);
  if (line === undefined) return { size: whole, record: undefined, torn, mode: undefined };
  const record = parseRecord(line);
  if (record === undefined) {
    throw new SecretsError('Policy', `the last record of the audit log was changed: ${path}`, {
      hint: 'run secrets audit verify for details; to start a new log, move this file and the files beside it away, and keep them',
    });
  }
  let { mode } = record;
  if (record.kind === 'checkpoint') {
    const before = lineBefore(whole - line.length - 1);
    mode = before === undefined ? undefined : parseRecord(before)?.mode;
  }
  return { size: whole, record, torn, mode };
}

/** The record in a line, if its hash is right; undefined otherwise. */
export function parseRecord(line: Uint8Array): AuditRecord | undefined {
  try {
    const record: unknown = JSON.parse(textOf(line));
    if (!isJsonObject(record) || hashOf(record) !== record['hash'] || !Number.isSafeInteger(record['seq']))
      return undefined;
    return record as unknown as AuditRecord;
  } catch {
    return undefined;
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.isBuffer(bytes) ? bytes.toString() : Buffer.from(bytes).toString();
}

/** Whether the head file names a record that is missing from the end of the log. */
export function isAhead(noted: Head | undefined, end: Head): noted is Head {
  return noted !== undefined && (noted.seq > end.seq || (noted.seq === end.seq && noted.hash !== end.hash));
}

export function headOf({ seq, hash }: AuditRecord): Head {
  return { seq, hash };
}

/** The first line of a file, without its line end. */
export function firstLine(fd: number): Buffer | undefined {
  const { size } = fstatSync(fd);
  for (let length = PIECE; ; length *= 2) {
    const piece = readFully(fd, 0, Math.min(length, size));
    const end = piece.indexOf(NEWLINE);
    if (end >= 0) return piece.subarray(0, end);
    if (length >= size) return undefined;
  }
}

/** Reads `length` bytes, or fewer at the end of the file. */
export function readFully(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const read = readSync(fd, bytes, done, length - done, position + done);
    if (read === 0) break;
    done += read;
  }
  return bytes.subarray(0, done);
}

/** Appends all of the text to a file of that size, or leaves the file as it was. @throws system errors */
export function appendWhole(fd: number, size: number, text: string): void {
  const bytes = Buffer.from(text);
  try {
    // A second call is only needed after a short write, which happens when the disk is full.
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
  } catch (thrown) {
    ftruncateSync(fd, size);
    throw thrown;
  }
}

const HEAD = /^((\d{16}) ([0-9a-f]{64})) ([0-9a-f]{8})\n$/;
/** Distinguishes a complete head from one whose writer died halfway. */
const check = (text: string): string => sha256(text).slice(0, 8);

/**
 * The last record that a writer finished, according to the head file; undefined if there is none or it can't be read.
 */
export function readHead(path: string): Head | undefined {
  let fd: number | undefined;
  try {
    fd = openOwn(path, 'read');
  } catch (thrown) {
    // The error is about the log that can't be written, but the file to fix is this one.
    throw fileError(thrown, 'cannot read its head file', path);
  }
  if (fd === undefined) return undefined;
  try {
    return parseHead(fd);
  } finally {
    closeSync(fd);
  }
}

export function parseHead(fd: number): Head | undefined {
  return parseHeadLine(readFileSync(fd, 'utf8'));
}

/** @returns undefined if the line is malformed or incomplete */
export function parseHeadLine(line: string): Head | undefined {
  const match = HEAD.exec(line);
  if (match === null || check(match[1] as string) !== match[4]) return undefined;
  return { seq: Number(match[2]), hash: match[3] as string };
}

/** Always the same length, so that it can be overwritten in place. */
export function headLine({ seq, hash }: Head): string {
  const text = `${String(seq).padStart(16, '0')} ${hash}`;
  return `${text} ${check(text)}\n`;
}

/**
 * Notes the last record. Never synced: a head that lags behind the log says nothing, and one that is ahead of it
 * shows that the log has lost its end.
 */
export function writeHead(path: string, head: Head): void {
  const fd = openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    writeSync(fd, headLine(head), 0, 'latin1');
  } finally {
    closeSync(fd);
  }
}
