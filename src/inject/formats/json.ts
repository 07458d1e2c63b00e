import { AFTER_BACKSLASH, type Lexer, type Place, place, type Refusal, refusal } from './lexer.ts';

const WHOLE = place('json', (value) => JSON.stringify(value), { literal: true, whole: true });
const IN_STRING = place('json string', (value) => JSON.stringify(value).slice(1, -1));

const NOT_A_VALUE = refusal(
  'the placeholder does not stand where a JSON value can stand',
  'put it in the place of a whole value, or inside double quotes',
);

export class JsonLexer implements Lexer {
  #inString = false;
  #escaped = false;
  /** The last character outside of strings that isn't white space. */
  #last = '';
  /** A value was just written; what follows must not be part of it. */
  #pending = false;

  feed(text: string): Refusal | undefined {
    let wrong: Refusal | undefined;
    for (const char of text) {
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (char === '\\') this.#escaped = true;
        else if (char === '"') this.#inString = false;
        continue;
      }
      if (char === ' ' || char === '\n' || char === '\t' || char === '\r') continue;
      if (this.#pending && !',]}:'.includes(char)) wrong = NOT_A_VALUE;
      this.#pending = false;
      if (char === '"') this.#inString = true;
      this.#last = char;
    }
    return wrong;
  }

  place(): Place | Refusal {
    if (this.#inString) return this.#escaped ? AFTER_BACKSLASH : IN_STRING;
    if (this.#pending || !['', ':', ',', '[', '{'].includes(this.#last)) return NOT_A_VALUE;
    this.#pending = true;
    this.#last = '"';
    return WHOLE;
  }

  end(): undefined {}
}
