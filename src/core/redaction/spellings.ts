/**
 * How encoders spell one character: a small nondeterministic automaton over bytes for each character, built on first
 * use. A value is a sequence of these (patterns.ts), so that any mixture of spellings is recognised, rather than a
 * list of what some encoders make of the whole value.
 */
import {
  afterBackslash,
  afterPercent,
  byteWay,
  hex,
  indented,
  type Node,
  node,
  once,
  reference,
  softBreak,
  way,
  zeros,
} from './nodes.ts';

/** Letters that represent a character after a backslash (C, JSON, Python, Ruby, bash, Go, MySQL; YAML 1.2 §5.7). */
const LETTERS: Readonly<Record<number, string>> = {
  7: 'a',
  8: 'b',
  9: 't',
  10: 'n',
  11: 'v',
  12: 'f',
  13: 'r',
  26: 'Z',
  27: 'eE',
  0x85: 'N',
  0xa0: '_',
  0x2028: 'L',
  0x2029: 'P',
};

/** What follows a backslash for a whole character. */
function escapes(from: Node, to: Node, code: number): void {
  const letter = LETTERS[code];
  if (letter !== undefined) way(from, [letter], to);
  if (!isWord(code) && code < 0x80) byteWay(from, [code], to);
  // Haskell.
  if (code >= 0x80) way(from, String(code), to);
  if (code <= 0xffff) way(from, ['u', ...hex(code, 4)], to);
  else {
    const [high, low] = surrogates(code);
    const middle = node();
    way(from, ['u', ...hex(high, 4)], middle);
    way(afterBackslash(middle), ['u', ...hex(low, 4)], to);
  }
  way(from, ['U', ...hex(code, 8)], to);
  const brace = node();
  way(from, ['ux', '{'], brace);
  const digits = node();
  zeros(brace, (here) => way(here, hex(code), digits));
  way(digits, '}', to);
  if (code < 0x100) escapedByte(from, to, code);
  // CSS: the digits and a space (CSS Syntax Level 3, "Consume an escaped code point").
  way(from, [...hex(code), ' '], to);
}

/**
 * What follows a backslash for a single byte: `\xNN`, octal digits, LDAP's two digits (RFC 4515 §3), DNS's three
 * decimal digits (RFC 1035 §5.1), and for part of a character the byte itself (Perl's `quotemeta`).
 */
function escapedByte(from: Node, to: Node, byte: number): void {
  if (byte >= 0x80) byteWay(from, [byte], to);
  way(from, String(byte).padStart(3, '0'), to);
  way(from, ['x', ...hex(byte, 2)], to);
  way(from, hex(byte, 2), to);
  for (const digits of new Set([1, 2, 3].map((length) => byte.toString(8).padStart(length, '0'))))
    way(from, digits, to);
  way(from, `0${byte.toString(8).padStart(3, '0')}`, to);
}

/** One byte, as it is or encoded separately: `%NN`, `=NN` (quoted-printable), and after a backslash. */
function byteSpellings(from: Node, to: Node, byte: number): void {
  byteWay(from, [byte], to);
  way(afterPercent(from), hex(byte, 2), to);
  way(from, ['=', ...hex(byte, 2)], to);
  escapedByte(afterBackslash(from), to, byte);
  // `cat -v`
  if (byte >= 0x80) way(from, `M-${inCarets(byte - 0x80)}`, to);
}

/** Caret notation: `cat -v`. */
function inCarets(code: number): string {
  return code < 0x20 || code === 0x7f ? `^${String.fromCharCode(code ^ 0x40)}` : String.fromCharCode(code);
}

function surrogates(code: number): readonly [number, number] {
  const text = String.fromCodePoint(code);
  return [text.charCodeAt(0), text.charCodeAt(1)];
}

/** ASCII letters and digits and `_`: encoders put no quotes or backslashes beside these. */
export function isWord(code: number): boolean {
  return /[A-Za-z0-9_]/.test(String.fromCodePoint(code));
}

/**
 * A character of a text.
 * @param latin1 also recognise its byte in Latin-1, which includes its UTF-16 because the matcher skips zeros; not
 *   for a pattern of very few characters, which must not become one of very few bytes
 */
export function characterSpelling(code: number, latin1: boolean): Node {
  if (code >= 0x80) return allSpellings(code, latin1);
  const start = node();
  byteWay(start, [code], node('spelled'));
  const all = once(() => allSpellings(code, latin1));
  for (const byte of introducersOf(code)) {
    const lazy = node();
    lazy.fill = () => {
      lazy.fill = undefined;
      const { bytes, targets } = all();
      lazy.also.push(...targets.filter((_, index) => bytes[index] === byte));
    };
    byteWay(start, [byte], lazy);
  }
  return start;
}

/** The first bytes of an ASCII character's spellings, other than the character itself. */
function introducersOf(code: number): Iterable<number> {
  const special = code < 0x21 || code === 0x7f ? '^+\n\r\ufffd' : '';
  return new Set(Buffer.from(`\\%&=${special}`));
}

function allSpellings(code: number, latin1: boolean): Node {
  const start = node();
  const end = node('spelled');
  const utf8 = Buffer.from(String.fromCodePoint(code));
  if (utf8.length === 1) byteSpellings(start, end, code);
  else {
    let here = start;
    for (const [index, byte] of utf8.entries()) {
      const next = index === utf8.length - 1 ? end : node();
      byteSpellings(here, next, byte);
      if (index > 0) {
        const broken = node();
        softBreak(here, broken);
        byteSpellings(broken, next, byte);
      }
      here = next;
    }
    addUnits(start, end, code, latin1);
  }
  escapes(afterBackslash(start), end, code);
  reference(start, end, code);
  addPercent(start, end, code);
  addSpecial(start, end, code);
  return start;
}

function addUnits(start: Node, end: Node, code: number, latin1: boolean): void {
  if (latin1 && code < 0x100) {
    byteWay(start, [code], end);
    return;
  }
  const little = Buffer.from(String.fromCodePoint(code), 'utf16le');
  const big = Buffer.from(little).swap16();
  for (const bytes of [little, big]) byteWay(start, bytes, end);
}

/** What JavaScript's `escape` writes (ECMAScript B.2.1.1), as far as it differs from the others. */
function addPercent(start: Node, end: Node, code: number): void {
  const sign = afterPercent(start);
  if (code > 0xffff) {
    const [high, low] = surrogates(code);
    const middle = node();
    way(sign, ['u', ...hex(high, 4)], middle);
    way(afterPercent(middle), ['u', ...hex(low, 4)], end);
    return;
  }
  way(sign, ['u', ...hex(code, 4)], end);
  if (code >= 0x80 && code < 0x100) way(sign, hex(code, 2), end);
}

function addSpecial(start: Node, end: Node, code: number): void {
  if (code === 0x20) {
    way(start, '+', end);
    // YAML folds long scalars at spaces.
    for (const lineBreak of ['\n', '\r\n']) indented(start, lineBreak, end);
  } else if (code === 0x0a) {
    // A terminal writes CR LF for LF; block scalars and PEM files within a document are indented.
    for (const lineBreak of ['\n', '\r\n', '%0D%0A', '%0d%0a', '&#13;&#10;', '&#xD;&#xA;'])
      indented(start, lineBreak, end);
    const middle = node();
    way(afterBackslash(start), 'r', middle);
    way(afterBackslash(middle), 'n', end);
  }
  // XML doesn't have these characters; Go writes U+FFFD.
  if (code < 0x20 && ![0x09, 0x0a, 0x0d].includes(code)) byteWay(start, Buffer.from('\ufffd'), end);
  if (code < 0x20 || code === 0x7f) way(start, inCarets(code), end);
}

/** A byte of a value that isn't text. */
export function byteSpelling(byte: number): Node {
  const start = node();
  byteSpellings(start, node('spelled'), byte);
  return start;
}

/** A base64 character in either alphabet (RFC 4648 §4 and §5), also as encoded in URLs, JSON and HTML. */
export function base64Spelling(char: string): Node {
  const start = node();
  const end = node('spelled');
  way(start, char, end);
  if (/[A-Za-z0-9]/.test(char)) return start;
  const other = { '+': '-', '/': '_' }[char];
  if (other !== undefined) way(start, other, end);
  const code = char.charCodeAt(0);
  way(afterPercent(start), hex(code, 2), end);
  const body = afterBackslash(start);
  way(body, char, end);
  way(body, ['u', ...hex(code, 4)], end);
  reference(start, end, code);
  return start;
}

/** Two hexadecimal digits in either case. */
export function hexSpelling(byte: number): Node {
  const start = node();
  const end = node('spelled');
  way(start, hex(byte, 2), end);
  // After 0x, Go omits the leading zero.
  if (byte < 16) way(start, hex(byte), end);
  return start;
}

/** A byte as a decimal number, as Go and Python print bytes, and JSON a buffer. */
export function decimalSpelling(byte: number): Node {
  const start = node();
  way(start, String(byte), node('spelled'));
  return start;
}
