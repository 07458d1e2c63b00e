import { lineCounter } from '../problems.ts';

/** Why an env file is rejected, and on which line. The message may contain variable names, never a value. */
export class EnvFileProblem extends Error {
  /** Counted from 1. */
  readonly line: number;
  /** What to do about it, as one clause. */
  readonly fix: string;

  constructor(line: number, message: string, fix = 'quote the value') {
    super(message);
    this.line = line;
    this.fix = fix;
  }
}

/**
 * Unicode white space and control characters. Depending on its language, a parser may treat them as a space, a line
 * break or nothing at all, so an unquoted value that contains one has no reliable meaning.
 */
const UNUSUAL =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]/;

/** A position in the text of an env file. */
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

  /** The line of the current position, counted from 1. Positions have to be queried in ascending order. */
  get line(): number {
    return this.#lineOf(this.at);
  }

  /** Consumes what a sticky pattern matches at the current position; undefined if it doesn't match. */
  take(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.at;
    const [found] = sticky.exec(this.text) ?? [];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  /** The rest of the line. U+2028 and U+2029 end a line in JavaScript, but in none of the other parsers. */
  takeLine(): string {
    const line = (this.take(/[^\n]*/y) as string).replace(/\r$/, '');
    if (/[\u2028\u2029]/.test(line)) this.fail('has an unusual line break (U+2028 or U+2029) outside quotes');
    return line;
  }

  /** An unquoted value without trailing white space. Rejects characters that not every parser keeps. */
  plain(text: string): string {
    if (UNUSUAL.test(text)) this.fail('has a control character or unusual white space outside quotes');
    return text.trimEnd();
  }

  fail(message: string, fix?: string): never {
    throw new EnvFileProblem(this.line, message, fix);
  }
}
