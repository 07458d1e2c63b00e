/** What encoders insert between the characters of a value: quotes, line breaks, separators. */
import { dumpBreak } from './dump.ts';
import {
  afterBackslash,
  indented,
  MOST_INDENT,
  type Node,
  node,
  once,
  softBreak,
  type Step,
  way,
} from './nodes.ts';

/** The most quote characters between two characters: `'\"'\"'` and the like. */
const MOST_QUOTES = 8;
const QUOTES = [
  ...['\'"$`\\'],
  ...['%22', '%27', '%5C', '%5c', '&quot;', '&#34;', '&#39;', '&#x27;', '&apos;', 'u0022', 'u0027'],
] as const;

/** What may come between letters. */
export const betweenLetters: () => Node = once(() => {
  const start = node();
  softBreak(start, node('inserted'));
  return start;
});

/**
 * What may come before or after a character that shells and languages quote: the end of one kind of quotes and the
 * start of another, and the break of a long string into two.
 */
export const betweenQuotes: () => Node = once(() => {
  const start = node();
  let here = start;
  for (let index = 0; index < MOST_QUOTES; index += 1) {
    const next = node('inserted');
    softBreak(here, next);
    for (const [at, quote] of QUOTES.entries()) way(here, at === 0 ? [quote] : quote, next);
    if (index > 0) {
      for (const operator of ['', ' +', ' .', ' &', ' \\'])
        for (const lineBreak of operator === '' || operator === ' \\' ? ['\n'] : ['\n', ' '])
          indented(here, operator + lineBreak, next);
    }
    here = next;
  }
  return start;
});

/** The same, or a line break that `fold` or a mail program has inserted. */
export function folded(between: Node): Node {
  const start = node();
  start.also.push(between);
  for (const lineBreak of ['\n', '\r\n']) way(start, lineBreak, node('inserted'));
  return start;
}

/** Line breaks and indentation within base64, as they are or as encoded in JSON, URLs and HTML. */
export const betweenBase64: () => Node = once(() => {
  const start = node();
  const end = node('inserted');
  for (const lineBreak of ['\n', '\r\n', '\r', '%0A', '%0a', '%0D%0A', '%0d%0a', '&#10;', '&#xA;', '&#xa;'])
    indented(start, lineBreak, end);
  for (const lineBreak of ['&#13;&#10;', '&#xD;&#xA;', '&#13;\n']) indented(start, lineBreak, end);
  const quoted = node();
  const body = afterBackslash(start);
  indented(body, 'n', quoted);
  const middle = node();
  way(body, 'r', middle);
  indented(afterBackslash(middle), 'n', quoted);
  quoted.also.push(end);
  // A string that is split after the line break: 'AAAA\n' + ⏎ 'BBBB'.
  const broken = node();
  for (const operator of ['', ' +', ' .']) {
    const closed = node();
    way(quoted, ['\'"`'], closed);
    indented(closed, `${operator}\n`, broken);
  }
  way(broken, ['\'"`'], end);
  return start;
});

/**
 * Separators between hexadecimal bytes, and the prefix of the next byte: `68:75`, `\x68\x75`, `0x68, 0x75`; and what
 * comes between two lines of a dump (dump.ts).
 */
export const betweenHex: () => Node = once(() => {
  const start = separators([' :-_,.\n\r\t;|"\''], ['0x', '0X', '\\x', 'x', '%', '\\\\x']);
  dumpBreak(start, node('inserted'));
  return start;
});

/** Separators between decimal numbers. */
export const betweenDecimals: () => Node = once(() => separators([' ,\n\r\t;:.'], []));

function separators(step: readonly Step[], prefixes: readonly string[]): Node {
  const start = node();
  const prefixed = node('inserted');
  let here = start;
  for (let index = 0; index < MOST_INDENT; index += 1) {
    for (const prefix of prefixes) way(here, prefix, prefixed);
    const next = node('inserted');
    way(here, step, next);
    here = next;
  }
  return start;
}
