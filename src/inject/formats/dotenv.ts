import { dotenvValue } from '../../core/environment/formats.ts';
import {
  AFTER_BACKSLASH,
  checkNo,
  type Lexer,
  LOST,
  type Place,
  place,
  type Refusal,
  refusal,
  Unfit,
} from './lexer.ts';

const HINT = 'use | base64, another format, or secrets exec, which needs no file';
const BREAK = 'a line break, which some readers of env files take for the next variable';

const WHOLE = place(
  'dotenv',
  (value) => {
    checkNo(value, /\0/, 'a NUL byte', HINT);
    return dotenvValue(value, (has) => new Unfit(has, HINT));
  },
  { whole: true },
);
const IN_SINGLE = place('dotenv single', (value) => {
  checkNo(value, /[\n\r\0]/, BREAK, HINT);
  checkNo(value, /'/, 'a single quote', 'write NAME={{ REF }} without quotes of your own');
  checkNo(value, /[\\]/, 'a backslash, which some readers take for an escape', HINT);
  // The text around the placeholder could complete it.
  checkNo(value, /\$\{|\$$|^\{/, '${ or a part of it, which some readers replace', HINT);
  return value;
});
const IN_DOUBLE = place('dotenv double', (value) => {
  checkNo(value, /[\n\r\0]/, BREAK, HINT);
  checkNo(value, /["$`\\]/, '", $, ` or a backslash', `use single quotes; or ${HINT}`);
  return value;
});

const NO_VALUE = refusal('the placeholder does not stand in a value', 'write NAME={{ REF }}');
const PART = refusal(
  'the placeholder is a part of a value without quotes, where nothing can be escaped',
  'write NAME={{ REF }}, or put the whole value in single quotes',
);

export class DotenvLexer implements Lexer {
  #mode: 'name' | 'start' | 'bare' | 'written' | 'single' | 'double' | 'closed' | 'comment' = 'name';
  /** What stands before `=`. */
  #name = '';
  #escaped = false;
  /** The string has a line break: not every reader knows where it ends. */
  #broken = false;
  #lost = false;

  feed(text: string): Refusal | undefined {
    let wrong: Refusal | undefined;
    for (const char of text) {
      if (this.#mode === 'written' && !'\n\r \t'.includes(char)) {
        wrong = PART;
        this.#mode = 'bare';
      }
      this.#read(char);
    }
    return wrong;
  }

  #read(char: string): void {
    if (this.#mode === 'single' || this.#mode === 'double') this.#quoted(char);
    else if (char === '\n') {
      this.#mode = 'name';
      this.#name = '';
    } else if (this.#mode === 'name') {
      if (char === '#' && this.#name.trim() === '') this.#mode = 'comment';
      else if (char === '=') this.#mode = 'start';
      else if (this.#name.length < 1000) this.#name += char;
    } else if (this.#mode === 'start') {
      if (char === "'") this.#open('single');
      else if (char === '"') this.#open('double');
      else if (char === '#') this.#mode = 'comment';
      else if (char !== ' ' && char !== '\t') this.#mode = 'bare';
    } else if (char === '#' && this.#mode === 'closed') this.#mode = 'comment';
  }

  #open(mode: 'single' | 'double'): void {
    this.#mode = mode;
    this.#broken = false;
  }

  #quoted(char: string): void {
    if (char === '\n') {
      this.#broken = true;
      this.#lost = true;
    }
    if (this.#escaped) this.#escaped = false;
    // Some readers let a backslash escape a single quote too.
    else if (char === '\\') this.#escaped = true;
    else if (char === (this.#mode === 'single' ? "'" : '"')) this.#mode = 'closed';
  }

  place(): Place | Refusal | 'comment' {
    if (this.#lost || this.#broken) return LOST;
    switch (this.#mode) {
      case 'comment':
        return 'comment';
      case 'name':
        return NO_VALUE;
      case 'start':
        if (!/^\s*(?:export\s+)?[A-Za-z_][\w.-]*\s*$/.test(this.#name)) return NO_VALUE;
        this.#mode = 'written';
        return WHOLE;
      case 'single':
        return this.#escaped ? AFTER_BACKSLASH : IN_SINGLE;
      case 'double':
        return this.#escaped ? AFTER_BACKSLASH : IN_DOUBLE;
      default:
        return PART;
    }
  }

  end(): undefined {}
}
