/**
 * What comes between and after the bytes of a value in a hexadecimal dump: `xxd`, `hexdump -C`, `od -tx1`. Each line
 * has an offset, 16 or 32 bytes, and often a column that shows the bytes as text.
 */
import { type Node, node, once, way } from './nodes.ts';

const WIDTH = 32;
const PRINTABLE = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
const DIGITS = '0123456789abcdefABCDEF';
/** The longest rest of a line before its text column. */
const MOST_REST = 100;

/**
 * The text column: `  hunter2000......`, `
 * hunter2000......`, `  >hunter2000......`.
 */
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
  // `od -An` prints no offset.
  way(place, ' ', to);
  let here = place;
  // Octal with seven digits, hexadecimal with six or eight.
  for (let digits = 1; digits <= 8; digits += 1) {
    const next = node();
    way(here, [DIGITS], next);
    if (digits >= 6) for (const gap of [': ', ' ', '  ']) way(next, gap, to);
    here = next;
  }
}

/** The rest of the line after a value's last byte, including the text column, which shows the end of the value. */
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
