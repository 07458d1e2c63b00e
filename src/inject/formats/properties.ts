import { AFTER_BACKSLASH, type Lexer, type Place, place, type Refusal, refusal } from './lexer.ts';

/** As java.util.Properties.store() writes values. */
const VALUE = place('properties', (value) =>
  value
    .replace(/[\\=:#!]/g, '\\$&')
    .replace(/^ +/, (spaces) => '\\ '.repeat(spaces.length))
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    .replaceAll('\f', '\\f')
    .replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`),
);

const IN_KEY = refusal('the placeholder stands in a key', 'write key = {{ REF }}');

export class PropertiesLexer implements Lexer {
  #mode: 'start' | 'comment' | 'key' | 'separator' | 'value' = 'start';
  #escaped = false;
  /** The separator has its `=` or `:`. */
  #separated = false;

  feed(text: string): undefined {
    for (const char of text) this.#read(char);
  }

  #read(char: string): void {
    if (char === '\n' || char === '\r') {
      // After a backslash the line goes on.
      if (!this.#escaped) this.#mode = 'start';
      this.#escaped = false;
      return;
    }
    if (this.#mode === 'comment') return;
    const blank = char === ' ' || char === '\t' || char === '\f';
    if (this.#mode === 'start') {
      if (blank) return;
      this.#mode = char === '#' || char === '!' ? 'comment' : 'key';
      if (this.#mode === 'comment') return;
    }
    const was = this.#escaped;
    this.#escaped = char === '\\' && !was;
    if (this.#mode === 'key' && !was && (blank || char === '=' || char === ':')) {
      this.#mode = 'separator';
      this.#separated = !blank;
    } else if (this.#mode === 'separator' && !blank) {
      if (!this.#separated && (char === '=' || char === ':')) this.#separated = true;
      else this.#mode = 'value';
    }
  }

  place(): Place | Refusal | 'comment' {
    if (this.#mode === 'comment') return 'comment';
    if (this.#escaped) return AFTER_BACKSLASH;
    if (this.#mode === 'start' || this.#mode === 'key') return IN_KEY;
    this.#mode = 'value';
    return VALUE;
  }

  end(): undefined {}
}
