import { lineCounter } from '../problems.ts';

/** Why an env file isn't taken, and where. Names of variables may be in it, never a value. */
export class EnvFileProblem extends Error {
  /** From 1. */
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

/**
 * What a reader may take for a blank, a line break or nothing at all, depending on its language: Unicode's white space
 * and control characters. Outside quotes a value with one of them has no meaning to rely on.
 */
const UNUSUAL =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]/;

/** A place in the text of an env file. */
export class Scanner {
  readonly text: string;
  at = 0;
  readonly #lineOf: (offset: number) => number;

  constructor(text: string) {
    this.text = text;
    this.#lineOf = lineCounter(text);
  }

  get isAtEnd(): boolean {
    return this.at >= this.text.length;
  }

  get next(): string {
    return this.text.charAt(this.at);
  }

  /** The line of the place, from 1. Places are asked for in rising order. */
  get line(): number {
    return this.#lineOf(this.at);
  }

  /** Takes what a sticky pattern matches here; undefined for no match. */
  take(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.at;
    const [found] = sticky.exec(this.text) ?? [];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  /** The rest of the line. To JavaScript, U+2028 and U+2029 end a line, and to nobody else. */
  takeLine(): string {
    const line = (this.take(/[^\n]*/y) as string).replace(/\r$/, '');
    if (/[\u2028\u2029]/.test(line)) this.fail('has an unusual line break (U+2028 or U+2029) outside quotes');
    return line;
  }

  /** An unquoted value, without the blanks at its end: each of its characters counts. */
  plain(text: string): string {
    if (UNUSUAL.test(text)) this.fail('has a control character or unusual white space outside quotes');
    return text.trimEnd();
  }

  fail(message: string): never {
    throw new EnvFileProblem(this.line, message);
  }
}
