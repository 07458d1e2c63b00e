/**
 * Reads the records of a log, for `audit log` and reports: by time without reading all of it, newest first on
 * request.
 */
import { closeSync, fstatSync, statSync } from 'node:fs';
import type { AuditRecord } from '../../core/audit/record.ts';
import { type AuditFilter, needlesOf, passes } from '../../core/audit/filter.ts';
import { sleep } from '../../core/waiting.ts';
import { isJsonObject } from '../../core/json.ts';
import { fileError } from '../../platform/files.ts';
import { closedFiles, openAny } from './files.ts';
import { type Span, spansOf, Window } from './lines.ts';

const NEWLINE = 0x0a;
const SAMPLE = 8192;
/** Processes that write at the same time may leave records slightly out of order, and clocks get adjusted. */
const SLACK_MS = 10 * 60_000;
const POLL_MS = 250;

export interface ReadOptions {
  /** Called for each line that matched but isn't a record. */
  readonly onDamage?: ((file: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Block extends Span {
  readonly path: string;
}

/**
 * The records that pass the filter, oldest first; with `limit`, only the newest. A log that doesn't exist counts as
 * empty.
 * @throws SecretsError Denied and others if it can't be read
 */
export async function* readAuditLog(
  path: string,
  filter: AuditFilter = {},
  { onDamage, signal }: ReadOptions = {},
): AsyncGenerator<AuditRecord> {
  const needles = needlesOf(filter);
  const files = openAll(path);
  const window = new Window();
  try {
    const blocks = files.flatMap((file) => blocksOf(file, filter, window));
    /** The matching records of a block, copied out of the window. */
    const matches = async (block: Block, damaged?: (file: string) => void): Promise<AuditRecord[]> => {
      // Lets signals be handled.
      await new Promise(setImmediate);
      signal?.throwIfAborted();
      return recordsIn(window.lines(block, needles), filter, () => damaged?.(block.path));
    };
    let first = 0;
    let tooMany = 0;
    if (filter.limit !== undefined) {
      // Count from the end without keeping records, then read forwards: whatever the limit, only one block is in
      // memory.
      first = blocks.length;
      let count = 0;
      while (first > 0 && count < filter.limit) {
        first -= 1;
        count += (await matches(blocks[first] as Block)).length;
      }
      tooMany = Math.max(0, count - filter.limit);
    }
    // A line that was torn while counting may be complete by now.
    let left = filter.limit ?? Infinity;
    for (const block of blocks.slice(first)) {
      const records = (await matches(block, onDamage)).slice(tooMany, tooMany + left);
      yield* records;
      left -= records.length;
      tooMany = 0;
    }
  } finally {
    for (const { fd } of files) closeSync(fd);
  }
}

/**
 * Yields the records after one as they are written, across rotated files, until the signal aborts.
 * @param after number of that record; see `newestSeq`
 */
export async function* followAuditLog(
  path: string,
  filter: AuditFilter,
  { after, onDamage, signal }: ReadOptions & { readonly after: number; readonly signal: AbortSignal },
): AsyncGenerator<AuditRecord> {
  let last = after;
  let file: { readonly fd: number; at: number } | undefined;
  const window = new Window();
  function* fresh(fd: number, from: number, to: number): Generator<AuditRecord> {
    for (const span of spansOf(fd, from, to)) {
      // Parse the whole block before yielding from it: the consumer may take its time, and the window may be
      // overwritten.
      const records = window.lines(span, []).flatMap((line) => {
        const record = parse(line);
        if (record === undefined) onDamage?.(path);
        if (record === undefined || record.seq <= last) return [];
        last = record.seq;
        return passes(filter, record) ? [record] : [];
      });
      yield* records;
    }
  }
  /** The complete lines that were appended to an open file. */
  function* grown(open: { readonly fd: number; at: number }): Generator<AuditRecord> {
    const from = open.at;
    open.at = endOfLines(window, open.fd, from);
    yield* fresh(open.fd, from, open.at);
  }
  try {
    while (!signal.aborted) {
      if (file !== undefined) yield* grown(file);
      if (file === undefined || !isSame(file.fd, path)) {
        if (file !== undefined) {
          // It was rotated meanwhile; read what was appended just before that.
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

/** The number of the last record; 0 without a log. */
export function newestSeq(path: string): number {
  return newestRecord(path)?.seq ?? 0;
}

/** The last record; undefined without a log. */
export function newestRecord(path: string): AuditRecord | undefined {
  const files = openAll(path);
  const window = new Window();
  try {
    for (const { fd } of files.toReversed()) {
      const { size } = fstatSync(fd);
      const lastIn = (span: Span): AuditRecord | undefined =>
        window
          .lines(span, [])
          .map(parse)
          .findLast((one) => one !== undefined);
      // Nearly always among the last few lines; otherwise search block by block.
      const near = lastIn({ fd, from: Math.max(0, size - SAMPLE), to: size });
      if (near !== undefined) return near;
      for (const span of spansOf(fd).toReversed()) {
        const record = lastIn(span);
        if (record !== undefined) return record;
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

/** Opens all files of the log, oldest first. The caller closes them. */
export function openAll(path: string): readonly OpenFile[] {
  const files: OpenFile[] = [];
  try {
    // Open the current file first: if it is rotated while this runs, it is still read under its old name.
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
 * The parts of a file that may contain records of the requested period. Not a bisection: setting a clock back puts
 * times out of order, so the time is checked at the border of each part.
 */
function blocksOf({ fd, path }: OpenFile, { since, until }: AuditFilter, window: Window): readonly Block[] {
  const blocks = spansOf(fd).map((span) => ({ ...span, path }));
  if (since === undefined && until === undefined) return blocks;
  const times = blocks.map(({ from }) => timeAt(window, fd, from));
  return blocks.filter((_, index) => {
    const begins = times[index];
    const ends = index + 1 < times.length ? times[index + 1] : undefined;
    // Only the start of the last part is known.
    if (begins === undefined || index + 1 === blocks.length) return true;
    if (until !== undefined && Math.min(begins, ends ?? begins) > until.getTime() + SLACK_MS) return false;
    return since === undefined || ends === undefined || Math.max(begins, ends) >= since.getTime() - SLACK_MS;
  });
}

/** The time of the first record that starts at or after `from`; undefined if none is near. */
function timeAt(window: Window, fd: number, from: number): number | undefined {
  const piece = window.read(fd, Math.max(0, from - 1), SAMPLE);
  const start = from === 0 ? 0 : piece.indexOf(NEWLINE) + 1;
  if (from > 0 && start === 0) return undefined;
  const at = piece.indexOf('"time":"', start);
  const time = at < 0 ? Number.NaN : Date.parse(piece.toString('latin1', at + 8, at + 32));
  return Number.isNaN(time) ? undefined : time;
}

/** Where the last complete line after `from` ends. */
function endOfLines(window: Window, fd: number, from: number): number {
  for (const span of spansOf(fd, from).toReversed()) {
    const end = window.read(fd, span.from, span.to - span.from).lastIndexOf(NEWLINE);
    if (end >= 0) return span.from + end + 1;
  }
  return from;
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
  'agent',
  'reason',
  'requestId',
  'mode',
] as const;
const LISTS = ['keys', 'policies'] as const;
const MAPS = ['checkpoint', 'repair', 'rotation', 'retention'] as const;

/** A record that can be displayed; undefined if the line isn't one. Doesn't check its hash. */
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
 * Coerces the fields that are displayed and filtered into their types, because somebody may have tampered with the
 * record: no record may prevent the others from being shown.
 */
function fitted(record: Record<string, unknown>): Record<string, unknown> {
  for (const name of TEXTS) {
    const value = record[name];
    if (value !== undefined && typeof value !== 'string') record[name] = JSON.stringify(value);
  }
  for (const name of MAPS) if (record[name] !== undefined && !isJsonObject(record[name])) delete record[name];
  const { actor } = record;
  for (const name of LISTS) {
    const value = record[name];
    if (value !== undefined && !(Array.isArray(value) && value.every((one) => typeof one === 'string')))
      delete record[name];
  }
  if (!isJsonObject(actor)) record['actor'] = {};
  else
    for (const name of ['user', 'principal', 'source'])
      if (actor[name] !== undefined && typeof actor[name] !== 'string')
        record['actor'] = { ...(record['actor'] as object), [name]: JSON.stringify(actor[name]) };
  return record;
}
