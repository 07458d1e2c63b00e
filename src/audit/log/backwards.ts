/** The lines of a log, mostly from its end on: what a writer has to look up. Synchronous: under the lock. */
import { closeSync, fstatSync } from 'node:fs';
import type { AuditRecord } from '../../core/audit/record.ts';
import { closedFiles, openOwn, parseRecord, readFully } from './files.ts';

const NEWLINE = 0x0a;
const PIECE = 256 * 1024;

/** The whole lines of all files, the newest first, without their ends. */
function* linesBackwards(logPath: string): Generator<Buffer> {
  const closed = closedFiles(logPath).map(({ path }) => path);
  for (const path of [logPath, ...closed.toReversed()]) {
    const fd = openOwn(path, 'read');
    if (fd === undefined) continue;
    try {
      yield* linesOf(fd);
    } finally {
      closeSync(fd);
    }
  }
}

function* linesOf(fd: number): Generator<Buffer> {
  // What stands behind the last end of a line is a dead writer's.
  let rest: Buffer | undefined;
  for (let to = fstatSync(fd).size; to > 0;) {
    const from = Math.max(0, to - PIECE);
    const piece = readFully(fd, from, to - from);
    let end = piece.length;
    for (;;) {
      const at = end === 0 ? -1 : piece.lastIndexOf(NEWLINE, end - 1);
      if (at < 0) break;
      if (rest !== undefined) yield Buffer.concat([piece.subarray(at + 1, end), rest]);
      rest = Buffer.alloc(0);
      end = at;
    }
    if (rest !== undefined) rest = Buffer.concat([piece.subarray(0, end), rest]);
    to = from;
  }
  if (rest !== undefined) yield rest;
}

/** The whole lines of one file, the first one first, without their ends. */
export function* linesForwards(path: string): Generator<Buffer> {
  const fd = openOwn(path, 'read');
  if (fd === undefined) return;
  try {
    const { size } = fstatSync(fd);
    let rest = Buffer.alloc(0);
    for (let from = 0; from < size; from += PIECE) {
      const piece = Buffer.concat([rest, readFully(fd, from, Math.min(PIECE, size - from))]);
      let start = 0;
      for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, start)) {
        yield piece.subarray(start, end);
        start = end + 1;
      }
      rest = piece.subarray(start);
    }
  } finally {
    closeSync(fd);
  }
}

/** The record of that number, as it stands in the log; undefined when there is none, or a changed one. */
export function recordAt(logPath: string, seq: number): AuditRecord | undefined {
  const name = Buffer.from(`"seq":${seq},`);
  for (const line of linesBackwards(logPath)) {
    if (!line.includes(name)) continue;
    const record = parseRecord(line);
    if (record?.seq === seq) return record;
  }
  return undefined;
}

/** The last checkpoints, the newest first. @param needle what else their lines hold */
export function* checkpointsBackwards(logPath: string, needle = ''): Generator<AuditRecord> {
  const names = ['"kind":"checkpoint"', needle].map((text) => Buffer.from(text));
  for (const line of linesBackwards(logPath)) {
    if (!names.every((name) => line.includes(name))) continue;
    const record = parseRecord(line);
    if (record?.kind === 'checkpoint') yield record;
  }
}
