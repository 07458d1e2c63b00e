/** The automaton states of spellings, and parts that several spellings share. */
import { htmlNames } from './html-names.ts';

/** A state. `also` are the states that are reached together with it, without a byte. */
export interface Node {
  readonly id: number;
  readonly bytes: number[];
  readonly targets: Node[];
  readonly also: Node[];
  /** `spelled`: the character is complete; `inserted`: what may come before it has ended. */
  readonly end: 'spelled' | 'inserted' | undefined;
  /** Builds what follows, on demand: most output has no escapes. */
  fill?: (() => void) | undefined;
}

let count = 0;

export function node(end?: Node['end']): Node {
  count += 1;
  return { id: count, bytes: [], targets: [], also: [], end };
}

/** One byte of a spelling: the characters that are possible there. */
export type Step = string;

/** Connects two states through the given steps. */
export function way(from: Node, steps: Iterable<Step>, to: Node): void {
  let here = from;
  const list = [...steps];
  for (const [index, step] of list.entries()) {
    const next = index === list.length - 1 ? to : node();
    for (const char of step) {
      here.bytes.push(char.charCodeAt(0));
      here.targets.push(next);
    }
    here = next;
  }
}

export function byteWay(from: Node, bytes: Iterable<number>, to: Node): void {
  way(
    from,
    Array.from(bytes, (byte) => String.fromCharCode(byte)),
    to,
  );
}

/** Hexadecimal digits in either case, with leading zeros up to a length. */
export function hex(value: number, length = 1): Step[] {
  return Array.from(value.toString(16).padStart(length, '0'), (digit) =>
    /[a-f]/.test(digit) ? digit + digit.toUpperCase() : digit,
  );
}

/** A new state after a percent sign, which may itself be encoded, at most twice. */
export function afterPercent(from: Node): Node {
  const to = node();
  for (const sign of ['%', '%25', '%2525', '\\u0025']) way(from, sign, to);
  return to;
}

/** The most backslashes that stand for one: three layers of quoting. */
const MOST_BACKSLASHES = 8;

/** A new state after a backslash, which layers of quoting double and percent-encoding encodes. */
export function afterBackslash(from: Node): Node {
  const to = node();
  let here = from;
  for (let index = 0; index < MOST_BACKSLASHES; index += 1) {
    const next = node();
    next.also.push(to);
    way(here, '\\', next);
    for (const sign of ['%', '%25']) way(here, [...sign, '5', 'cC'], next);
    here = next;
  }
  return to;
}

/** A character reference of HTML or XML: `&…;`. */
export function reference(from: Node, to: Node, code: number): void {
  const name = node();
  for (const sign of ['&', '&amp;', '&amp;amp;', '\\u0026', '%26', '&#38;']) way(from, sign, name);
  const end = node();
  for (const one of htmlNames(code)) way(name, one, end);
  const number = node();
  way(name, '#', number);
  way(name, '%23', number);
  zeros(number, (here) => way(here, String(code), end));
  const hexNumber = node();
  way(number, ['xX'], hexNumber);
  zeros(hexNumber, (here) => way(here, hex(code), end));
  way(end, ';', to);
  way(end, ['%', '3', 'bB'], to);
}

/** Continues after zero to six zeros. */
export function zeros(from: Node, proceed: (from: Node) => void): void {
  const digits = node();
  proceed(digits);
  from.also.push(digits);
  let here = from;
  for (let index = 0; index < 6; index += 1) {
    const next = node();
    way(here, '0', next);
    next.also.push(digits);
    here = next;
  }
}

/** The widest indentation to skip. */
export const MOST_INDENT = 16;

export function indented(from: Node, lineBreak: string, to: Node): void {
  let here = node();
  way(from, lineBreak, here);
  for (let index = 0; index < MOST_INDENT; index += 1) {
    here.also.push(to);
    const next = node();
    way(here, [' \t'], next);
    here = next;
  }
  here.also.push(to);
}

/** Quoted-printable breaks long lines anywhere (RFC 2045 §6.7), and so do `sed -n l` and shells. */
export function softBreak(from: Node, to: Node): void {
  for (const lineBreak of ['=\n', '=\r\n', '\\\n', '\\\r\n']) way(from, lineBreak, to);
}

export function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
