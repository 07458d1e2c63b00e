/** Reads the records of a log, for `audit log` and for reports: by time without reading all of it, newest first if asked. */
import { closeSync, fstatSync, statSync } from 'node:fs';
import type { AuditRecord } from '../core/audit.ts';
import { type AuditFilter, needlesOf, passes } from '../core/audit-filter.ts';
import { sleep } from '../core/waiting.ts';
import { isJsonObject } from '../core/json.ts';
import { fileError } from '../files.ts';
import { closedFiles, openAny, readFully } from './files.ts';

const NEWLINE = 0x0a;
/** What is read, or passed over, at a time. */
const BLOCK = 256 * 1024;
const SAMPLE = 8192;
/** Records of processes that wrote at the same time may stand a little out of order, and clocks are set. */
const SLACK_MS = 10 * 60_000;
const POLL_MS = 250;

export interface ReadOptions {
  /** Told of each line that matched and is no record. */
  readonly onDamage?: ((file: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Block {
  readonly fd: number;
  readonly path: string;
  /** Lines that begin in [from, to). */
  readonly from: number;
  readonly to: number;
}

/**
 * The records that pass the filter, oldest first, with `limit` the newest of them. A log that does not exist is empty.
 * @throws SecretsError Denied and others when it can't be read
 */
export async function* readAuditLog(
  path: string,
  filter: AuditFilter = {},
  { onDamage, signal }: ReadOptions = {},
): AsyncGenerator<AuditRecord> {
  const needles = needlesOf(filter);
  const files = openAll(path);
  try {
    const blocks = files.flatMap((file) => blocksOf(file, filter));
    const matches = (block: Block): AuditRecord[] =>
      recordsIn(linesOf(block, needles), filter, () => onDamage?.(block.path));
    if (filter.limit === undefined) {
      for (const block of blocks) {
        signal?.throwIfAborted();
        yield* matches(block);
        // Lets a signal in.
        await new Promise(setImmediate);
      }
      return;
    }
    const found: AuditRecord[][] = [];
    let count = 0;
    for (const block of blocks.toReversed()) {
      signal?.throwIfAborted();
      if (count >= filter.limit) break;
      const records = matches(block);
      count += records.length;
      found.unshift(records);
      await new Promise(setImmediate);
    }
    yield* filter.limit === 0 ? [] : found.flat().slice(-filter.limit);
  } finally {
    for (const { fd } of files) closeSync(fd);
  }
}

/**
 * The records after one that pass the filter, as they are written, also into files that follow this one. Ends when the
 * signal aborts.
 * @param after number of that record; see `newestSeq`
 */
export async function* followAuditLog(
  path: string,
  filter: AuditFilter,
  { after, onDamage, signal }: ReadOptions & { readonly after: number; readonly signal: AbortSignal },
): AsyncGenerator<AuditRecord> {
  const needles = needlesOf(filter);
  let last = after;
  let file: { readonly fd: number; at: number } | undefined;
  const fresh = (fd: number, from: number, to: number): AuditRecord[] => {
    const lines = linesOf({ fd, path, from, to }, []);
    const records: AuditRecord[] = [];
    for (const line of lines) {
      const record = parse(line);
      if (record === undefined) onDamage?.(path);
      else if (record.seq > last) {
        last = record.seq;
        if (needles.every((needle) => line.includes(needle)) && passes(filter, record)) records.push(record);
      }
    }
    return records;
  };
  /** The whole lines that have come to an open file. */
  const grown = (open: { readonly fd: number; at: number }): AuditRecord[] => {
    const end = endOfLines(open.fd, open.at);
    const records = fresh(open.fd, open.at, end);
    open.at = end;
    return records;
  };
  try {
    while (!signal.aborted) {
      if (file !== undefined) yield* grown(file);
      if (file === undefined || !isSame(file.fd, path)) {
        if (file !== undefined) {
          // Closed meanwhile; what came just before that was not seen yet.
          yield* grown(file);
          closeSync(file.fd);
          file = undefined;
        }
        for (const closed of closedFiles(path)) {
          if (closed.to <= last) continue;
          const fd = openAny(closed.path);
          if (fd === undefined) continue;
          try {
            yield* fresh(fd, 0, fstatSync(fd).size);
          } finally {
            closeSync(fd);
          }
        }
        const fd = openAny(path);
        if (fd !== undefined) {
          file = { fd, at: 0 };
          continue;
        }
      }
      await sleep(POLL_MS, signal, true);
    }
  } finally {
    if (file !== undefined) closeSync(file.fd);
  }
}

function isSame(fd: number, path: string): boolean {
  const there = statSync(path, { throwIfNoEntry: false });
  return there !== undefined && there.ino === fstatSync(fd).ino;
}

/** Number of the last record; 0 without a log. */
export function newestSeq(path: string): number {
  return newestRecord(path)?.seq ?? 0;
}

/** The last record; undefined without a log. */
export function newestRecord(path: string): AuditRecord | undefined {
  const files = openAll(path);
  try {
    for (const { fd, path: name } of files.toReversed()) {
      const { size } = fstatSync(fd);
      for (let length = SAMPLE; ; length *= 4) {
        const from = Math.max(0, size - length);
        const record = linesOf({ fd, path: name, from, to: size }, []).map(parse).at(-1);
        if (record !== undefined) return record;
        if (from === 0) break;
      }
    }
    return undefined;
  } finally {
    for (const { fd } of files) closeSync(fd);
  }
}

export interface OpenFile {
  readonly fd: number;
  readonly path: string;
}

/** All files of the log, oldest first. The caller closes them. */
export function openAll(path: string): readonly OpenFile[] {
  const files: OpenFile[] = [];
  try {
    // The current one first: what is closed while this runs is then read under the name that it had.
    const current = openAny(path);
    for (const closed of closedFiles(path)) {
      const fd = openAny(closed.path);
      if (fd === undefined) continue;
      if (current !== undefined && fstatSync(fd).ino === fstatSync(current).ino) closeSync(fd);
      else files.push({ fd, path: closed.path });
    }
    if (current !== undefined) files.push({ fd: current, path });
    return files;
  } catch (thrown) {
    for (const { fd } of files) closeSync(fd);
    throw fileError(thrown, 'cannot read the audit log', path);
  }
}

/**
 * The parts of a file that may hold records of the time asked for. Not by bisection: a clock that was set back makes
 * times that are not in order, so the time is looked up at the border of each part.
 */
function blocksOf({ fd, path }: OpenFile, { since, until }: AuditFilter): readonly Block[] {
  const { size } = fstatSync(fd);
  const borders = [];
  for (let from = 0; from < size; from += BLOCK) borders.push(from);
  const blocks = borders.map((from) => ({ fd, path, from, to: Math.min(from + BLOCK, size) }));
  if (since === undefined && until === undefined) return blocks;
  const times = borders.map((from) => timeAt(fd, from));
  return blocks.filter((_, index) => {
    const begins = times[index];
    const ends = index + 1 < times.length ? times[index + 1] : undefined;
    // Of the last part only the beginning is known.
    if (begins === undefined || index + 1 === borders.length) return true;
    if (until !== undefined && Math.min(begins, ends ?? begins) > until.getTime() + SLACK_MS) return false;
    return since === undefined || ends === undefined || Math.max(begins, ends) >= since.getTime() - SLACK_MS;
  });
}

/** The time of the first record that begins there or later; undefined when it does not lie near. */
function timeAt(fd: number, from: number): number | undefined {
  const piece = readFully(fd, Math.max(0, from - 1), SAMPLE);
  const start = from === 0 ? 0 : piece.indexOf(NEWLINE) + 1;
  if (from > 0 && start === 0) return undefined;
  const at = piece.indexOf('"time":"', start);
  const time = at < 0 ? Number.NaN : Date.parse(piece.toString('latin1', at + 8, at + 32));
  return Number.isNaN(time) ? undefined : time;
}

/** The whole lines that begin in a block, without their ends; with needles those that hold all of them. */
function linesOf({ fd, from, to }: Block, needles: readonly Buffer[]): Buffer[] {
  let piece = readFully(fd, Math.max(0, from - 1), to - Math.max(0, from - 1));
  // In the middle of a line that is longer than a block no line begins.
  if (from > 0 && !piece.includes(NEWLINE)) return [];
  while (piece.length > 0 && piece[piece.length - 1] !== NEWLINE) {
    // Twice as much each time: what has no end is read once.
    const more = readFully(fd, Math.max(0, from - 1) + piece.length, Math.max(BLOCK, piece.length));
    const end = more.indexOf(NEWLINE);
    if (more.length === 0) break;
    piece = Buffer.concat([piece, end < 0 ? more : more.subarray(0, end + 1)]);
  }
  const lines: Buffer[] = [];
  let at = 0;
  if (from > 0) {
    at = piece.indexOf(NEWLINE) + 1;
    if (at === 0) return lines;
  }
  const [first, ...others] = needles;
  // The line that begins at `to` is the next block's: it was read only when the one before ended just there.
  while (at < piece.length) {
    if (first !== undefined) {
      const hit = piece.indexOf(first, at);
      if (hit < 0) break;
      at = Math.max(at, piece.lastIndexOf(NEWLINE, hit) + 1);
    }
    const end = piece.indexOf(NEWLINE, at);
    if (end < 0) break;
    const line = piece.subarray(at, end);
    if (others.every((needle) => line.includes(needle))) lines.push(line);
    at = end + 1;
  }
  return lines;
}

function endOfLines(fd: number, from: number): number {
  const { size } = fstatSync(fd);
  if (size <= from) return from;
  const end = readFully(fd, from, size - from).lastIndexOf(NEWLINE);
  return from + end + 1;
}

function recordsIn(lines: readonly Buffer[], filter: AuditFilter, damaged: () => void): AuditRecord[] {
  const records: AuditRecord[] = [];
  for (const line of lines) {
    const record = parse(line);
    if (record === undefined) damaged();
    else if (passes(filter, record)) records.push(record);
  }
  return records;
}

const TEXTS = [
  'origin',
  'action',
  'outcome',
  'error',
  'store',
  'provider',
  'secret',
  'version',
  'stage',
  'command',
  'host',
  'address',
  'client',
  'reason',
  'requestId',
  'mode',
] as const;
const MAPS = ['checkpoint', 'repair', 'rotation', 'retention'] as const;

/** A record that can be shown; undefined for what is none. Its hash is not looked at. */
export function parse(line: Buffer): AuditRecord | undefined {
  try {
    const record = JSON.parse(line.toString('utf8')) as Partial<AuditRecord> | null;
    const { seq, time, kind } = record ?? {};
    if (typeof seq !== 'number' || typeof time !== 'string' || typeof kind !== 'string') return undefined;
    return fitted(record as Record<string, unknown>) as unknown as AuditRecord;
  } catch {
    return undefined;
  }
}

/**
 * What is shown and asked of a record, in the form that it has to have, also of one that somebody tampered with: no
 * record may keep the others from being shown.
 */
function fitted(record: Record<string, unknown>): Record<string, unknown> {
  for (const name of TEXTS) {
    const value = record[name];
    if (value !== undefined && typeof value !== 'string') record[name] = JSON.stringify(value);
  }
  for (const name of MAPS) if (record[name] !== undefined && !isJsonObject(record[name])) delete record[name];
  const { keys, actor } = record;
  if (keys !== undefined && !(Array.isArray(keys) && keys.every((key) => typeof key === 'string')))
    delete record['keys'];
  if (!isJsonObject(actor)) record['actor'] = {};
  else
    for (const name of ['user', 'principal', 'source'])
      if (actor[name] !== undefined && typeof actor[name] !== 'string')
        record['actor'] = { ...(record['actor'] as object), [name]: JSON.stringify(actor[name]) };
  return record;
}
