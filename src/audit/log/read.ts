/** Reads the records of a log, for `audit log` and for reports: by time without reading all of it, newest first if asked. */
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
/** Records of processes that wrote at the same time may stand a little out of order, and clocks are set. */
const SLACK_MS = 10 * 60_000;
const POLL_MS = 250;

export interface ReadOptions {
  /** Told of each line that matched and is no record. */
  readonly onDamage?: ((file: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Block extends Span {
  readonly path: string;
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
  const window = new Window();
  try {
    const blocks = files.flatMap((file) => blocksOf(file, filter, window));
    /** The matching records of a block; they don't need the window any more. */
    const matches = async (block: Block, damaged?: (file: string) => void): Promise<AuditRecord[]> => {
      // Lets a signal in.
      await new Promise(setImmediate);
      signal?.throwIfAborted();
      return recordsIn(window.lines(block, needles), filter, () => damaged?.(block.path));
    };
    let first = 0;
    let tooMany = 0;
    if (filter.limit !== undefined) {
      // Counted from the end and not kept, then read again forwards: no limit makes the reader hold more than a block.
      first = blocks.length;
      let count = 0;
      while (first > 0 && count < filter.limit) {
        first -= 1;
        count += (await matches(blocks[first] as Block)).length;
      }
      tooMany = Math.max(0, count - filter.limit);
    }
    // A line that was torn when it was counted may be whole by now.
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
 * The records after one that pass the filter, as they are written, also into files that follow this one. Ends when the
 * signal aborts.
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
      // All of a block before the first of it is given: whoever is given one may take its time.
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
  /** The whole lines that have come to an open file. */
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
  const window = new Window();
  try {
    for (const { fd } of files.toReversed()) {
      const { size } = fstatSync(fd);
      const lastIn = (span: Span): AuditRecord | undefined =>
        window
          .lines(span, [])
          .map(parse)
          .findLast((one) => one !== undefined);
      // Nearly always among the last few lines; else block by block.
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
function blocksOf({ fd, path }: OpenFile, { since, until }: AuditFilter, window: Window): readonly Block[] {
  const blocks = spansOf(fd).map((span) => ({ ...span, path }));
  if (since === undefined && until === undefined) return blocks;
  const times = blocks.map(({ from }) => timeAt(window, fd, from));
  return blocks.filter((_, index) => {
    const begins = times[index];
    const ends = index + 1 < times.length ? times[index + 1] : undefined;
    // Of the last part only the beginning is known.
    if (begins === undefined || index + 1 === blocks.length) return true;
    if (until !== undefined && Math.min(begins, ends ?? begins) > until.getTime() + SLACK_MS) return false;
    return since === undefined || ends === undefined || Math.max(begins, ends) >= since.getTime() - SLACK_MS;
  });
}

/** The time of the first record that begins there or later; undefined when it does not lie near. */
function timeAt(window: Window, fd: number, from: number): number | undefined {
  const piece = window.read(fd, Math.max(0, from - 1), SAMPLE);
  const start = from === 0 ? 0 : piece.indexOf(NEWLINE) + 1;
  if (from > 0 && start === 0) return undefined;
  const at = piece.indexOf('"time":"', start);
  const time = at < 0 ? Number.NaN : Date.parse(piece.toString('latin1', at + 8, at + 32));
  return Number.isNaN(time) ? undefined : time;
}

/** Where the last whole line after `from` ends. */
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
