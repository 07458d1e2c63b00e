/**
 * What stands between the bytes of a value in a hexadecimal dump, and after them: `xxd`, `hexdump -C`, `od -tx1`. Their
 * lines have the place in the file, 16 or 32 bytes, and often a column that shows these as text.
 */
import { type Node, node, once, way } from './nodes.ts';

const WIDTH = 32;
const PRINTABLE = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
const DIGITS = '0123456789abcdefABCDEF';
/** Widest rest of a line up to its column of text. */
const MOST_REST = 100;

/** The column of text: `  hunter2000......`, `  |hunter2000......`, `  >hunter2000......`. */
function textColumn(from: Node, to: Node): void {
  const opened = node();
  way(from, '  ', opened);
  let here = node();
  opened.also.push(here);
  way(opened, ['|>'], here);
  for (let index = 0; index < WIDTH; index += 1) {
    const next = node();
    way(here, [PRINTABLE], next);
    next.also.push(to);
    here = next;
  }
}

/** From a line's last byte to the next line's first. */
export function dumpBreak(from: Node, to: Node): void {
  const shown = node();
  textColumn(from, shown);
  const closed = node();
  way(shown, ['|<'], closed);
  const place = node();
  for (const end of [from, shown, closed]) way(end, '\n', place);
  // `od -An` says no place.
  way(place, ' ', to);
  let here = place;
  // Octal in seven digits, hexadecimal in six or eight.
  for (let digits = 1; digits <= 8; digits += 1) {
    const next = node();
    way(here, [DIGITS], next);
    if (digits >= 6) for (const gap of [': ', ' ', '  ']) way(next, gap, to);
    here = next;
  }
}

/** The rest of the line after a value's last byte, with the column of text, which shows the value's end. */
export const restOfDump: () => Node = once(() => {
  const start = node();
  const shown = node('spelled');
  let here = start;
  for (let index = 0; index < MOST_REST; index += 1) {
    textColumn(here, shown);
    const next = node();
    way(here, [`${DIGITS} `], next);
    here = next;
  }
  return start;
});
