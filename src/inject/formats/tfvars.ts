import { hclString } from '../../core/environment/formats.ts';
import {
  AFTER_BACKSLASH,
  checkNo,
  type Lexer,
  LOST,
  OTHER_FORM,
  type Place,
  place,
  type Refusal,
  refusal,
  Unfit,
} from './lexer.ts';

function quoted(value: string): string {
  checkNo(value, /\0/, 'a NUL byte', OTHER_FORM);
  if (value !== value.normalize('NFC'))
    throw new Unfit('characters that are not in NFC, which Terraform would change', OTHER_FORM);
  return hclString(value);
}

const WHOLE = place('tfvars', quoted, { literal: true, whole: true });
const IN_STRING = place('tfvars string', (value) => {
  // Joined with the text around it, a combining character would be composed.
  checkNo(value, /^\p{M}/u, 'a combining character at its start', OTHER_FORM);
  return (
    quoted(value)
      .slice(1, -1)
      // Before { in the template it would begin an interpolation.
      .replace(/[$%]$/, (char) => `\\u00${char.charCodeAt(0).toString(16)}`)
  );
});

const NOT_A_VALUE = refusal(
  'the placeholder does not stand where a value can stand',
  'write name = {{ REF }}, or put it inside double quotes',
);
const AFTER_SIGN = refusal(
  'the placeholder follows $ or %, which could begin an interpolation with it',
  'write the sign as \\u0024 or \\u0025',
);
const IN_HEREDOC = refusal(
  'the placeholder stands in a heredoc, where not every value can be escaped',
  'use a string in double quotes',
);

type Mode = 'top' | 'string' | 'line comment' | 'block comment' | 'delimiter' | 'heredoc' | 'lost';

export class TfvarsLexer implements Lexer {
  #mode: Mode = 'top';
  #escaped = false;
  #previous = '';
  #last = '\n';
  #pending = false;
  /** `$` or `%` in a row, in a string. */
  #signs = '';
  #delimiter = '';
  #line = '';

  feed(text: string): Refusal | undefined {
    let wrong: Refusal | undefined;
    for (const char of text) {
      if (this.#mode === 'top' && this.#pending && !' \t\r'.includes(char)) {
        if (!'\n,]}#/'.includes(char)) wrong = NOT_A_VALUE;
        this.#pending = false;
      }
      this.#read(char);
      this.#previous = char;
    }
    return wrong;
  }

  #read(char: string): void {
    switch (this.#mode) {
      case 'string':
        this.#string(char);
        return;
      case 'block comment':
        if (char === '/' && this.#previous === '*') this.#mode = 'top';
        return;
      case 'delimiter':
        if (char === '\n') this.#mode = 'heredoc';
        else this.#delimiter += char;
        return;
      case 'heredoc':
        this.#heredoc(char);
        return;
      case 'lost':
        return;
      case 'line comment':
        if (char !== '\n') return;
        this.#mode = 'top';
    }
    this.#top(char);
  }

  #top(char: string): void {
    if (char === '"') {
      this.#mode = 'string';
      this.#signs = '';
    } else if (char === '#' || (char === '/' && this.#previous === '/')) this.#mode = 'line comment';
    else if (char === '*' && this.#previous === '/') this.#mode = 'block comment';
    else if (char === '<' && this.#previous === '<') {
      this.#mode = 'delimiter';
      this.#delimiter = '';
    }
    if (!' \t\r'.includes(char) && char !== '/' && !(char === '\n' && this.#last === '[')) {
      // A comma or bracket still waits for its value on the next line.
      if (char !== '\n' || this.#last !== ',') this.#last = char;
    }
  }

  #string(char: string): void {
    if (this.#escaped) this.#escaped = false;
    else if (char === '\\') this.#escaped = true;
    else if (char === '"') {
      this.#mode = 'top';
      this.#last = '"';
    } else if (char === '{' && this.#signs.length === 1) this.#mode = 'lost';
    this.#signs =
      char === '$' || char === '%' ? (this.#signs.startsWith(char) ? this.#signs + char : char) : '';
  }

  #heredoc(char: string): void {
    if (char !== '\n') {
      this.#line += char;
      return;
    }
    if (this.#line.trim() === this.#delimiter.replace(/^-/, '').trim()) {
      this.#mode = 'top';
      this.#last = '\n';
    }
    this.#line = '';
  }

  place(): Place | Refusal | 'comment' {
    switch (this.#mode) {
      case 'string':
        if (this.#escaped) return AFTER_BACKSLASH;
        return this.#signs === '' ? IN_STRING : AFTER_SIGN;
      case 'line comment':
      case 'block comment':
        return 'comment';
      case 'lost':
        return LOST;
      case 'delimiter':
      case 'heredoc':
        return IN_HEREDOC;
      case 'top':
        if (this.#pending || !'=:[,'.includes(this.#last)) return NOT_A_VALUE;
        this.#pending = true;
        this.#last = '"';
        return WHOLE;
    }
  }

  end(): undefined {}
}
