import { AFTER_BACKSLASH, checkNo, type Lexer, type Place, place, type Refusal, refusal } from './lexer.ts';

const NAMED: Readonly<Record<string, string>> = {
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\f': '\\f',
  '\r': '\\r',
  '"': '\\"',
  '\\': '\\\\',
};

function escape(value: string): string {
  return (
    value
      .replace(
        /["\\\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
        (char) => NAMED[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
      )
      // A backslash at the end of a line takes away the white space that follows.
      .replace(/^ /, '\\u0020')
  );
}

const WHOLE = place('toml', (value) => `"${escape(value)}"`, { literal: true, whole: true });
const IN_BASIC = place('toml basic', escape);
const LITERAL_HINT = 'use double quotes around the placeholder';
const IN_LITERAL = place('toml literal', (value) => {
  checkNo(value, /'/, 'a single quote, which a literal string can’t hold', LITERAL_HINT);
  checkNo(
    value,
    /[\u0000-\u0008\u000a-\u001f\u007f]/,
    'a control character or line break, which a literal string can’t hold',
    LITERAL_HINT,
  );
  return value;
});

const NOT_A_VALUE = refusal(
  'the placeholder does not stand where a TOML value can stand',
  'put it in the place of a whole value, or inside double quotes',
);

type Mode = 'top' | 'opening' | 'string' | 'multi' | 'comment';

export class TomlLexer implements Lexer {
  #mode: Mode = 'top';
  #quote = '"';
  /** Quotes in a row. */
  #run = 0;
  #escaped = false;
  /** The last character outside of strings that isn't white space. */
  #last = '\n';
  /** Open brackets of arrays and inline tables. */
  #depth = 0;
  #pending = false;

  feed(text: string): Refusal | undefined {
    let wrong: Refusal | undefined;
    for (const char of text) {
      if (this.#mode === 'top' && this.#pending && !' \t\r'.includes(char)) {
        if (!'\n,]}#'.includes(char)) wrong = NOT_A_VALUE;
        this.#pending = false;
      }
      this.#read(char);
    }
    return wrong;
  }

  #read(char: string): void {
    if (this.#mode === 'opening') {
      if (char === this.#quote) {
        this.#run += 1;
        if (this.#run < 3) return;
        this.#mode = 'multi';
        this.#run = 0;
        return;
      }
      this.#opened();
    }
    if (this.#mode === 'multi') this.#multi(char);
    else if (this.#mode === 'string') this.#string(char);
    if (this.#mode === 'comment' && char === '\n') this.#mode = 'top';
    if (this.#mode === 'top') this.#top(char);
  }

  /** After the opening quotes: two are an empty string. */
  #opened(): void {
    this.#mode = this.#run === 1 ? 'string' : 'top';
    this.#run = 0;
    if (this.#mode === 'top') this.#last = this.#quote;
  }

  #string(char: string): void {
    if (this.#escaped) this.#escaped = false;
    else if (char === '\\' && this.#quote === '"') this.#escaped = true;
    else if (char === this.#quote) {
      this.#mode = 'top';
      this.#last = '';
      this.#closing = true;
    }
  }

  /** The character that closed a string isn't read again. */
  #closing = false;

  #multi(char: string): void {
    if (this.#escaped) {
      this.#escaped = false;
      this.#run = 0;
    } else if (char === this.#quote) this.#run += 1;
    else if (this.#run >= 3) {
      this.#mode = 'top';
      this.#last = this.#quote;
      this.#run = 0;
    } else {
      this.#run = 0;
      this.#escaped = char === '\\' && this.#quote === '"';
    }
  }

  #top(char: string): void {
    if (this.#closing) {
      this.#closing = false;
      this.#last = char;
      return;
    }
    if (char === ' ' || char === '\t' || char === '\r') return;
    if (char === '\n' && this.#depth > 0) return;
    if (char === '#') this.#mode = 'comment';
    else if (char === '"' || char === "'") {
      this.#mode = 'opening';
      this.#quote = char;
      this.#run = 1;
    } else {
      // At the start of a line a bracket begins the name of a table.
      if ((char === '[' || char === '{') && this.#last !== '\n') this.#depth += 1;
      else if ((char === ']' || char === '}') && this.#depth > 0) this.#depth -= 1;
      this.#last = char;
    }
  }

  place(): Place | Refusal | 'comment' {
    if (this.#mode === 'opening') this.#opened();
    if (this.#mode === 'multi' && this.#run >= 3) {
      this.#mode = 'top';
      this.#last = this.#quote;
    }
    if (this.#mode === 'comment') return 'comment';
    if (this.#mode === 'string' || this.#mode === 'multi') {
      if (this.#escaped) return AFTER_BACKSLASH;
      // An empty value would join the quotes before and after it.
      if (this.#run > 0) return NOT_A_VALUE;
      return this.#quote === '"' ? IN_BASIC : IN_LITERAL;
    }
    const fits = this.#last === '=' || (this.#depth > 0 && (this.#last === '[' || this.#last === ','));
    if (this.#pending || !fits) return NOT_A_VALUE;
    this.#pending = true;
    this.#last = '"';
    return WHOLE;
  }

  end(): undefined {}
}
