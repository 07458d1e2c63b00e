/** The files of one log: names, the end of a file, and the head file. Synchronous: used under the lock. */
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
/** The end of a file is looked for in pieces of this size; a record is some 500 bytes. */
const PIECE = 8192;

/** What stands beside the log `path`. */
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

/** Old enough for no writer to be at work on it. */
const LEFT_OVER_MS = 60_000;

/** What `replacePrivateFile`, `createFile` and the making of a key add to a file's name until it is whole. */
const TEMPORARY = /\.\d+(?:\.[0-9a-z]+)?\.tmp$/;

/**
 * Removes the temporary files of writers that died: those of these files alone, since `audit.path` may name any folder.
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

/** Whether a path is one of a closed file, by its name. */
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
 * Opens a file of the log that must be the user's own and nobody else's.
 * @returns undefined when there is none
 * @throws SecretsError Policy, the system's errors
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
      throw new SecretsError('Policy', `there is a folder in its place: ${path}`, {
        hint: 'put it away, or set audit.path',
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

/** Opens a regular file for reading, whoever's it is; undefined when there is none. @throws the system's errors */
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
  if (!stats.isFile()) return { why: 'this is not a regular file', hint: 'put it away, or set audit.path' };
  if (own !== undefined && stats.uid !== own)
    return { why: `it belongs to another user (uid ${stats.uid})`, hint: 'put it away, or set audit.path' };
  if ((stats.mode & 0o077) !== 0)
    return {
      why: `it is open to other users (mode ${(stats.mode & 0o777).toString(8)})`,
      hint: 'who could change it may have: look with secrets audit verify, then chmod 600',
    };
  return undefined;
}

/** The end of a file of the log. */
export interface Tail {
  /** Where the next line begins: behind the last line's end. */
  readonly size: number;
  /** The last whole line's record; undefined in a file without one. */
  readonly record: AuditRecord | undefined;
  /** Bytes behind the last line's end. */
  readonly torn: Buffer | undefined;
  /** What `audit.log` was last said to be, when that is the last thing the log says. */
  readonly mode: AuditRecord['mode'];
}

/** @throws SecretsError Policy when the last line is no record, or not what it was when it was written */
export function readTail(fd: number, path: string): Tail {
  const { size } = fstatSync(fd);
  let piece = NOTHING;
  let from = size;
  const grow = (): boolean => {
    // Twice as much each time: a file without any end of a line is read once.
    const length = Math.min(from, Math.max(PIECE, piece.length));
    const more = readFully(fd, from - length, length);
    piece = piece === NOTHING ? more : Buffer.concat([more, piece]);
    from -= length;
    return length > 0;
  };
  /** The line that ends at `end`, its end included; undefined at the beginning of the file. */
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
      hint: 'secrets audit verify says what; to begin a new log, move this one and what stands beside it away, and keep them',
    });
  }
  let { mode } = record;
  if (record.kind === 'checkpoint') {
    const before = lineBefore(whole - line.length - 1);
    mode = before === undefined ? undefined : parseRecord(before)?.mode;
  }
  return { size: whole, record, torn, mode };
}

/** The record of a line whose hash is right; undefined for any other. */
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

/** Whether the head file knows of a record that the log's end does not have. */
export function isAhead(noted: Head | undefined, end: Head): noted is Head {
  return noted !== undefined && (noted.seq > end.seq || (noted.seq === end.seq && noted.hash !== end.hash));
}

export function headOf({ seq, hash }: AuditRecord): Head {
  return { seq, hash };
}

/** The first line of a file, without its end. */
export function firstLine(fd: number): Buffer | undefined {
  const { size } = fstatSync(fd);
  for (let length = PIECE; ; length *= 2) {
    const piece = readFully(fd, 0, Math.min(length, size));
    const end = piece.indexOf(NEWLINE);
    if (end >= 0) return piece.subarray(0, end);
    if (length >= size) return undefined;
  }
}

/** Reads so many bytes, fewer only at the end of the file. */
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

/** Writes all of it at the end of a file of that size, or leaves the file as it was. @throws the system's errors */
export function appendWhole(fd: number, size: number, text: string): void {
  const bytes = Buffer.from(text);
  try {
    // A second call only continues a write that the system cut short, which it does when it has no room.
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
  } catch (thrown) {
    ftruncateSync(fd, size);
    throw thrown;
  }
}

const HEAD = /^((\d{16}) ([0-9a-f]{64})) ([0-9a-f]{8})\n$/;
/** Tells a whole head from one whose writer died between two halves. */
const check = (text: string): string => sha256(text).slice(0, 8);

/** The last record that a writer finished, from the head file; undefined without one that can be read. */
export function readHead(path: string): Head | undefined {
  let fd: number | undefined;
  try {
    fd = openOwn(path, 'read');
  } catch (thrown) {
    // What can't be written is the log, and what has to be put right is this file.
    throw fileError(thrown, 'cannot read its head file', path);
  }
  if (fd === undefined) return undefined;
  try {
    return parseHead(fd);
  } finally {
    closeSync(fd);
  }
}

/** What an open head file says. */
export function parseHead(fd: number): Head | undefined {
  return parseHeadLine(readFileSync(fd, 'utf8'));
}

/** @returns undefined for what is no such line, or not whole */
export function parseHeadLine(line: string): Head | undefined {
  const match = HEAD.exec(line);
  if (match === null || check(match[1] as string) !== match[4]) return undefined;
  return { seq: Number(match[2]), hash: match[3] as string };
}

/** Always of the same length, so that it is replaced in place. */
export function headLine({ seq, hash }: Head): string {
  const text = `${String(seq).padStart(16, '0')} ${hash}`;
  return `${text} ${check(text)}\n`;
}

/**
 * Notes the last record; never synced: a head that lags behind the log says nothing, and one that is ahead of it says
 * that the log has lost its end.
 */
export function writeHead(path: string, head: Head): void {
  const fd = openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    writeSync(fd, headLine(head), 0, 'latin1');
  } finally {
    closeSync(fd);
  }
}
