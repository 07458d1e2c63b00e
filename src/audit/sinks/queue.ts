/** The records that a sink hasn't received yet, read from the log itself. */
import { closeSync, fstatSync } from 'node:fs';
import type { AuditRecord } from '../../core/audit/record.ts';
import { type Head, START } from '../../core/audit/chain.ts';
import { readFully } from '../log/files.ts';
import { newestRecord, type OpenFile, openAll, parse } from '../log/read.ts';

const NEWLINE = 0x0a;
/** How much is read at a time. */
const BLOCK = 64 * 1024;

/** A record and its line in the log: canonical JSON, byte for byte. */
export interface Queued {
  readonly record: AuditRecord;
  readonly line: string;
}

export interface Queue {
  readonly records: readonly Queued[];
  /** Where to look for the record after these first. */
  readonly offset: number;
  /** The numbers of the first and last record that are no longer in the log. */
  readonly missing?: { readonly from: number; readonly to: number } | undefined;
}

export interface Limits {
  readonly records: number;
  /** Total length of the lines. */
  readonly bytes: number;
}

/**
 * The next records after one, at least one record if there is any. If the log isn't the one that the record came from
 * (it was started anew, or has lost its end), the queue starts with the first record in the log.
 * @param offset where to look first
 * @throws SecretsError if the log can't be read
 */
export function nextRecords(path: string, after: Head, offset: number, limits: Limits): Queue {
  const newest = newestRecord(path);
  if (newest === undefined || (newest.seq === after.seq && newest.hash === after.hash))
    return { records: [], offset };
  const files = openAll(path);
  try {
    const found = newest.seq > after.seq ? collect(files, after, offset, limits) : undefined;
    if (found !== undefined) return found;
    const { records = [], offset: end = 0 } = collect(files, START, 0, limits) ?? {};
    return { records, offset: end };
  } finally {
    for (const { fd } of files) closeSync(fd);
  }
}

/** @returns undefined if the log doesn't continue from that record */
function collect(files: readonly OpenFile[], after: Head, offset: number, limits: Limits): Queue | undefined {
  const records: Queued[] = [];
  let bytes = 0;
  let end = offset;
  let missing: Queue['missing'];
  for (const { fd, path } of files) {
    if (endsBefore(path, after.seq)) continue;
    const isFirst = records.length === 0;
    const from = isFirst && beginsAt(fd, offset, after) ? offset : 0;
    for (const { line, end: lineEnd } of linesFrom(fd, from)) {
      const record = parse(line);
      if (record === undefined || record.seq <= after.seq) continue;
      if (records.length === 0) {
        if (after.seq > 0 && record.seq === after.seq + 1 && record.prev !== after.hash) return undefined;
        if (record.seq > after.seq + 1) missing = { from: after.seq + 1, to: record.seq - 1 };
      }
      if (records.length > 0 && (records.length >= limits.records || bytes + line.length > limits.bytes))
        return { records, offset: end, missing };
      records.push({ record, line: line.toString('utf8') });
      bytes += line.length;
      end = lineEnd;
    }
  }
  return { records, offset: end, missing };
}

/** Whether a closed file, by its name, has no records after `seq`. */
function endsBefore(path: string, seq: number): boolean {
  const match = /-\d{10,16}-(\d{10,16})\.jsonl$/.exec(path);
  return match !== null && Number(match[1]) <= seq;
}

function beginsAt(fd: number, offset: number, after: Head): boolean {
  if (offset === 0 || offset >= fstatSync(fd).size) return false;
  if (readFully(fd, offset - 1, 1)[0] !== NEWLINE) return false;
  for (const { line } of linesFrom(fd, offset)) {
    const record = parse(line);
    return record?.seq === after.seq + 1 && record.prev === after.hash;
  }
  return false;
}

/** The complete lines from an offset on, without line ends, and where each of them ends. */
function* linesFrom(fd: number, from: number): Generator<{ readonly line: Buffer; readonly end: number }> {
  let position = from;
  let rest: Buffer = Buffer.alloc(0);
  for (;;) {
    const block = readFully(fd, position, BLOCK);
    if (block.length === 0) return;
    position += block.length;
    const piece = rest.length === 0 ? block : Buffer.concat([rest, block]);
    let at = 0;
    for (let next = piece.indexOf(NEWLINE, at); next >= 0; next = piece.indexOf(NEWLINE, at)) {
      yield { line: piece.subarray(at, next), end: position - piece.length + next + 1 };
      at = next + 1;
    }
    rest = piece.subarray(at);
  }
}
