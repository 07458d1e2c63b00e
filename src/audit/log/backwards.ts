/**
 * The lines of a log, mostly from the end, for what a writer has to look up. Synchronous, because it runs under the
 * lock.
 */
import { closeSync, fstatSync } from 'node:fs';
import type { AuditRecord } from '../../core/audit/record.ts';
import { closedFiles, openOwn, parseRecord, readFully } from './files.ts';

const NEWLINE = 0x0a;
const PIECE = 256 * 1024;

/** The complete lines of all files, newest first, without line ends. */
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
  // Bytes after the last line end were left by a writer that died.
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

/** The complete lines of one file, in order, without line ends. */
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

/** The record with that number; undefined if the log has none, or if it was changed. */
export function recordAt(logPath: string, seq: number): AuditRecord | undefined {
  const name = Buffer.from(`"seq":${seq},`);
  for (const line of linesBackwards(logPath)) {
    if (!line.includes(name)) continue;
    const record = parseRecord(line);
    if (record?.seq === seq) return record;
  }
  return undefined;
}

/** The checkpoints, newest first. @param needle text that their lines must contain as well */
export function* checkpointsBackwards(logPath: string, needle = ''): Generator<AuditRecord> {
  const names = ['"kind":"checkpoint"', needle].map((text) => Buffer.from(text));
  for (const line of linesBackwards(logPath)) {
    if (!names.every((name) => line.includes(name))) continue;
    const record = parseRecord(line);
    if (record?.kind === 'checkpoint') yield record;
  }
}
