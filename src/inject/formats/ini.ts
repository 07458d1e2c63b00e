import { checkNo, type Lexer, type Place, place, type Refusal, refusal } from './lexer.ts';

/**
 * There is no standard: readers disagree on quotes, escapes, comments behind values and interpolation. A value that
 * means the same to Python's configparser, Git, npm's and Go's ini packages and systemd has none of them.
 */
const VALUE = place('ini', (value) => {
  const hint = 'use | base64, or another format: readers of ini files disagree about it';
  checkNo(
    value,
    /[\u0000-\u0008\u000a-\u001f\u007f\u0085\u2028\u2029]/,
    'a line break or a control character',
    hint,
  );
  checkNo(value, /^[\s\ufeff]|[\s\ufeff]$/, 'white space at an end', hint);
  checkNo(value, /["'`]/, 'a quote', hint);
  checkNo(value, /[;#]/, '; or #, which begin a comment for some readers', hint);
  checkNo(value, /[\\]/, 'a backslash', hint);
  checkNo(value, /[%$]/, '% or $, which some readers replace', hint);
  return value;
});

const NO_VALUE = refusal('the placeholder does not stand in a value', 'write name = {{ REF }} on one line');
const PERHAPS_COMMENT = refusal(
  'the placeholder stands after ; or #, which only some readers take for a comment',
  'put the comment on a line of its own',
);

const AFTER_SIGN = refusal(
  'the placeholder follows %, $ or a backslash, with which some readers would read the value’s first character',
  'put another character between them, or the whole value into the secret',
);

export class IniLexer implements Lexer {
  #mode: 'start' | 'comment' | 'section' | 'name' | 'value' | 'unclear' = 'start';

  #previous = '';

  feed(text: string): undefined {
    for (const char of text) {
      if (char === '\n') this.#mode = 'start';
      else if (this.#mode === 'start' && char !== ' ' && char !== '\t' && char !== '\r')
        this.#mode = char === ';' || char === '#' ? 'comment' : char === '[' ? 'section' : 'name';
      if (this.#mode === 'name' && (char === '=' || char === ':')) this.#mode = 'value';
      else if (this.#mode === 'value' && (char === ';' || char === '#')) this.#mode = 'unclear';
      this.#previous = char;
    }
  }

  place(): Place | Refusal | 'comment' {
    if (this.#mode === 'comment') return 'comment';
    if (this.#mode === 'unclear') return PERHAPS_COMMENT;
    if (this.#mode !== 'value') return NO_VALUE;
    if (/[%$\\]/.test(this.#previous)) return AFTER_SIGN;
    this.#previous = '';
    return VALUE;
  }

  end(): undefined {}
}
