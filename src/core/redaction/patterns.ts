/**
 * The patterns to search for one value: its characters, its bytes in base64 and as digits, and the secrets within it.
 */
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
 * A longer pattern is searched for in overlapping pieces of this many characters: little output is held back,
 * repetitive text costs no more than this per byte, and a value that is cut off is masked as far as it goes.
 */
const PIECE = 64;
/** The number of bytes of a buffer that Node.js prints. */
const DIGITS_PIECE = 50;
/** The length of the shortest lines that long lines are folded into, in characters. */
const FOLDED_FROM = 8;
/** Larger values are only searched for as text, line by line and in base64. */
const LARGE_BYTES = 8192;

/** One character of a pattern, shared by all patterns. */
export interface Cell {
  readonly id: number;
  /** The start of its spellings. */
  readonly spelling: Node;
  /** What may come before it. */
  readonly before: Node | undefined;
  /** Whether something must come before it. */
  readonly apart: boolean;
}

export interface Pattern {
  readonly length: number;
  cell(at: number): Cell;
}

/** Every pattern of a value and of the secrets within it. */
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
  // The way Windows writes text.
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

/** The base64 of the value by itself, and the part of it that is certain within a longer text. */
function* base64(raw: Buffer): IterableIterator<Pattern> {
  const whole = raw.toString('base64');
  const bare = whole.replace(/=+$/, '');
  for (const text of new Set([bare, whole])) yield* base64Text(text);
  // The value starts at any of three positions of a group; only characters that are determined entirely by its own bits
  // are certain.
  for (let offset = 0; offset < 3; offset += 1) {
    const shifted = Buffer.concat([Buffer.alloc(offset), raw]);
    const certain = shifted
      .toString('base64')
      .slice(Math.ceil((offset * 8) / 6), Math.floor((shifted.length * 8) / 6));
    if (certain.length >= MIN_SECRET_BYTES) yield* base64Text(certain);
  }
}

/** The forms in which JSON encoders escape a text: a whole document may be in base64. */
function inJson(text: string): readonly Buffer[] {
  const json = JSON.stringify(text).slice(1, -1);
  // Python writes ASCII; Go escapes `<`, `>` and `&`, and PHP the slash.
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

/** Creates each cell only once. */
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
