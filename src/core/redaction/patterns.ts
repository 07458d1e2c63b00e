/** What is looked for of one value: its characters, its bytes in base64 and in digits, and the secrets inside of it. */
import { isUtf8 } from 'node:buffer';
import { MIN_LINE_BYTES, MIN_SECRET_BYTES, partsOf } from './secret-forms.ts';
import {
  betweenBase64,
  betweenDecimals,
  betweenHex,
  betweenLetters,
  betweenQuotes,
  folded,
} from './between.ts';
import { restOfDump } from './dump.ts';
import type { Node } from './nodes.ts';
import {
  base64Spelling,
  byteSpelling,
  characterSpelling,
  decimalSpelling,
  hexSpelling,
  isWord,
} from './spellings.ts';

/**
 * A longer pattern is looked for in overlapping pieces of this many characters: what waits stays short, a text that
 * repeats itself costs no more than this for each byte, and a value that is cut off is masked as far as it goes.
 */
const PIECE = 64;
/** As many bytes of a buffer as Node.js prints. */
const DIGITS_PIECE = 50;
/** As many characters of a value as the shortest line has that a long one is folded into. */
const FOLDED_FROM = 8;
/** Over this, a value is looked for as text, line by line and in base64 only. */
const LARGE_BYTES = 8192;

/** One character of a pattern, shared by all patterns. */
export interface Cell {
  readonly id: number;
  /** The start of its spellings. */
  readonly spelling: Node;
  /** What may stand before it. */
  readonly before: Node | undefined;
  /** Something has to stand there. */
  readonly apart: boolean;
}

/** A sequence of cells. */
export interface Pattern {
  readonly length: number;
  cell(at: number): Cell;
}

/** Every pattern of a value, and of the secrets inside of it. */
export function* patternsOf(value: Uint8Array): IterableIterator<Pattern> {
  for (const part of [value, ...partsOf(value)]) {
    const raw = Buffer.from(part.buffer, part.byteOffset, part.byteLength);
    if (raw.length >= MIN_SECRET_BYTES) yield* patternsOfPart(raw);
  }
}

function* patternsOfPart(raw: Buffer): IterableIterator<Pattern> {
  // `$(…)` and `echo` drop and add line breaks at the end; masking one would join two lines.
  const trimmed = raw.subarray(0, lengthWithoutBreaks(raw));
  const whole = trimmed.length >= MIN_SECRET_BYTES ? trimmed : raw;
  const forms = whole.length === raw.length ? [raw] : [raw, whole];
  for (const bytes of forms) yield* base64(bytes);
  if (raw.length <= LARGE_BYTES) {
    for (const bytes of forms) yield* digits(bytes);
  }
  if (!isUtf8(whole)) {
    yield* pieces(whole.length, PIECE, (at) => byteCell(whole[at] as number));
    return;
  }
  const written = whole.toString('utf8');
  for (const bytes of inJson(written)) yield* base64(bytes);
  const text = written.replaceAll('\r\n', '\n');
  yield* characters(text);
  if (text.includes('\n')) yield* lines(text);
  if (raw.length > LARGE_BYTES) return;
  // As Windows writes text.
  const little = Buffer.from(text, 'utf16le');
  for (const bytes of [little, Buffer.from(little).swap16()]) {
    yield* base64(bytes);
    yield* hexadecimal(bytes);
  }
}

function lengthWithoutBreaks(raw: Buffer): number {
  let length = raw.length;
  while (length > 0 && (raw[length - 1] === 0x0a || raw[length - 1] === 0x0d)) length -= 1;
  return length;
}

/** The pattern, or its overlapping pieces. */
function* pieces(length: number, piece: number, cell: (at: number) => Cell): IterableIterator<Pattern> {
  if (length <= piece) {
    yield { length, cell };
    return;
  }
  for (let from = 0; ; from += piece - 1) {
    const start = Math.min(from, length - piece);
    yield { length: piece, cell: (at) => cell(start + at) };
    if (start + piece === length) return;
  }
}

function characters(text: string): IterableIterator<Pattern> {
  const codes = Uint32Array.from(text, (char) => char.codePointAt(0) as number);
  const latin1 = codes.length >= MIN_SECRET_BYTES;
  return pieces(codes.length, PIECE, (at) => {
    const [code, previous = 0x61] = [codes[at] as number, codes[at - 1]];
    return characterCell(code, latin1, !isWord(code) || !isWord(previous), at >= FOLDED_FROM);
  });
}

function* lines(text: string): IterableIterator<Pattern> {
  for (const line of new Set(text.split('\n').flatMap((one) => [one, one.trim()])))
    if (Buffer.byteLength(line) >= MIN_LINE_BYTES) yield* characters(line);
}

/** The text that encoders make of the value alone, and what is certain of a longer text around it. */
function* base64(raw: Buffer): IterableIterator<Pattern> {
  const whole = raw.toString('base64');
  const bare = whole.replace(/=+$/, '');
  for (const text of new Set([bare, whole])) yield* base64Text(text);
  // The value starts at any of three positions of a group; only the characters that its own bits decide alone are
  // certain.
  for (let offset = 0; offset < 3; offset += 1) {
    const shifted = Buffer.concat([Buffer.alloc(offset), raw]);
    const certain = shifted
      .toString('base64')
      .slice(Math.ceil((offset * 8) / 6), Math.floor((shifted.length * 8) / 6));
    if (certain.length >= MIN_SECRET_BYTES) yield* base64Text(certain);
  }
}

/** What encoders of JSON make of a text that they escape: a document may be in base64 as a whole. */
function inJson(text: string): readonly Buffer[] {
  const json = JSON.stringify(text).slice(1, -1);
  // Python writes ASCII; Go has `<`, `>` and `&` escaped, and PHP the slash.
  const ascii = json.replace(/[^ -~]/g, unitEscape);
  const html = json.replace(/[<>&\u2028\u2029]/g, unitEscape);
  const forms = [json, ascii, html, json.replaceAll('/', '\\/'), ascii.replaceAll('/', '\\/')];
  return [...new Set(forms)].filter((form) => form !== text).map((form) => Buffer.from(form));
}

function unitEscape(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function base64Text(text: string): IterableIterator<Pattern> {
  return pieces(text.length, PIECE, (at) => base64Cell(text.charAt(at)));
}

function* digits(raw: Buffer): IterableIterator<Pattern> {
  yield* hexadecimal(raw);
  const last = Math.min(raw.length, DIGITS_PIECE);
  yield {
    length: last + 1,
    cell: (at) => (at === last ? restCell() : hexCell(raw[raw.length - last + at] as number)),
  };
  yield* pieces(raw.length, DIGITS_PIECE, (at) => decimalCell(raw[at] as number));
}

function hexadecimal(raw: Buffer): IterableIterator<Pattern> {
  return pieces(raw.length, DIGITS_PIECE, (at) => hexCell(raw[at] as number));
}

let cells = 0;

function makeCell(spelling: Node, before?: Node, apart = false): Cell {
  cells += 1;
  return { id: cells, spelling, before, apart };
}

/** Makes each cell once. */
function cached<Args extends readonly (number | string | boolean)[]>(
  make: (...args: Args) => Cell,
): (...args: Args) => Cell {
  const made = new Map<string, Cell>();
  return (...args) => {
    const key = args.join(' ');
    let cell = made.get(key);
    if (cell === undefined) made.set(key, (cell = make(...args)));
    return cell;
  };
}

const spelledCharacter = cached((code: number, latin1: boolean) => makeCell(characterSpelling(code, latin1)));
const characterCell = cached((code: number, latin1: boolean, quoted: boolean, broken: boolean) => {
  const between = quoted ? betweenQuotes() : betweenLetters();
  return makeCell(spelledCharacter(code, latin1).spelling, broken ? folded(between) : between);
});
const byteCell = cached((byte: number) => makeCell(byteSpelling(byte), betweenQuotes()));
const base64Cell = cached((char: string) => makeCell(base64Spelling(char), betweenBase64()));
const hexCell = cached((byte: number) => makeCell(hexSpelling(byte), betweenHex()));
const restCell = cached(() => makeCell(restOfDump()));
const decimalCell = cached((byte: number) => makeCell(decimalSpelling(byte), betweenDecimals(), true));
