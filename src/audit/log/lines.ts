/** Reads lines of a log's files through one buffer, so that memory doesn't grow with the log. */
import { fstatSync, readSync } from 'node:fs';

const NEWLINE = 0x0a;
const NOTHING: Buffer = Buffer.alloc(0);
/** How much is read, or skipped, at a time. */
export const BLOCK = 256 * 1024;
/** How much is read after a block to reach the end of its last line: a few records. */
const TAIL = 8192;
/** No record is longer. A longer line isn't part of a log. */
export const LONGEST_LINE = 16 * 1024 * 1024;

/** Lines that start in [from, to) of an open file. */
export interface Span {
  readonly fd: number;
  readonly from: number;
  readonly to: number;
}

/** One buffer for all reads. Each call overwrites what the previous one returned. */
export class Window {
  #buffer = Buffer.allocUnsafe(1 + BLOCK + TAIL);

  /** Reads `length` bytes at a position, or fewer at the end of the file. */
  read(fd: number, position: number, length: number): Buffer {
    return this.#fill(fd, position, 0, length);
  }

  /**
   * The complete lines that start in a span, without line ends; with needles, only lines that contain all of them. A
   * line that is longer than any record is replaced by an empty one.
   */
  lines({ fd, from, to }: Span, needles: readonly Buffer[]): Buffer[] {
    const start = Math.max(0, from - 1);
    const { piece, isCut } = this.#wholeLines(fd, start, to - start);
    const lines: Buffer[] = [];
    let at = 0;
    if (from > 0) {
      at = piece.indexOf(NEWLINE) + 1;
      // No line starts in the middle of a line that is longer than a block.
      if (at === 0) return lines;
    }
    const [first, ...others] = needles;
    // The line that starts at `to` belongs to the next block: it was only read if the line before it ended exactly
    // there.
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
    if (isCut) lines.push(NOTHING);
    return lines;
  }

  /** Reads `length` bytes and on to the end of the last line; if that line is too long, cuts before it. */
  #wholeLines(
    fd: number,
    position: number,
    length: number,
  ): { readonly piece: Buffer; readonly isCut: boolean } {
    let piece = this.#fill(fd, position, 0, length);
    // No line starts here.
    if (position > 0 && !piece.includes(NEWLINE)) return { piece, isCut: false };
    for (let more = TAIL; piece.length > 0 && piece[piece.length - 1] !== NEWLINE; more *= 2) {
      const known = piece.length;
      if (known > LONGEST_LINE)
        return { piece: piece.subarray(0, piece.lastIndexOf(NEWLINE, length) + 1), isCut: true };
      piece = this.#fill(fd, position + known, known, more);
      if (piece.length === known) break;
      const end = piece.indexOf(NEWLINE, known);
      if (end >= 0) return { piece: piece.subarray(0, end + 1), isCut: false };
    }
    return { piece, isCut: false };
  }

  /** Reads into the buffer after its first `known` bytes. @returns those bytes and what was read */
  #fill(fd: number, position: number, known: number, length: number): Buffer {
    if (known + length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(known + length, 2 * this.#buffer.length));
      this.#buffer.copy(larger, 0, 0, known);
      this.#buffer = larger;
    }
    let done = 0;
    while (done < length) {
      const read = readSync(fd, this.#buffer, known + done, length - done, position + done);
      if (read === 0) break;
      done += read;
    }
    return this.#buffer.subarray(0, known + done);
  }
}

/** Splits part of a file, by default all of it, into spans that fit into a window. */
export function spansOf(fd: number, from = 0, to = fstatSync(fd).size): readonly Span[] {
  const spans: Span[] = [];
  for (let at = from; at < to; at += BLOCK) spans.push({ fd, from: at, to: Math.min(at + BLOCK, to) });
  return spans;
}
