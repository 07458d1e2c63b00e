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
const BLANKS = refusal(
  'there are blanks around the =, and sh would run the value as a command',
  'write NAME={{ REF }} without blanks',
);
const IN_EXPANSION = refusal(
  'the placeholder follows $ or stands inside of ${…}, which some readers replace',
  'put the value in single quotes, or in a variable of its own',
);
const PART = refusal(
  'the placeholder is a part of a value without quotes, where nothing can be escaped',
  'write NAME={{ REF }}, or put the whole value in single quotes',
);

export class DotenvLexer implements Lexer {
  #mode: 'name' | 'start' | 'bare' | 'written' | 'single' | 'double' | 'closed' | 'comment' = 'name';
  /** What stands before `=`. */
  #name = '';
  /** Between `=` and the value. */
  #blank = false;
  /** The character before; empty if it has no meaning of its own, such as an escaped one. */
  #previous = '';
  #escaped = false;
  /** Inside of `${…}`, in double quotes. */
  #expansion = false;
  /** Readers don't agree any more on where a string ends. */
  #lost = false;

  feed(text: string): Refusal | undefined {
    let wrong: Refusal | undefined;
    for (const char of text) {
      if (this.#mode === 'written' && !'\n\r \t'.includes(char)) {
        wrong = PART;
        this.#mode = 'bare';
      }
      const escaped = this.#escaped;
      this.#read(char);
      this.#previous = escaped ? '' : char;
    }
    return wrong;
  }

  #read(char: string): void {
    if (this.#mode === 'single' || this.#mode === 'double') this.#quoted(char);
    else if (char === '\n') {
      this.#mode = 'name';
      this.#name = '';
    } else if (this.#mode === 'comment') return;
    else if (this.#opensForSh(char)) this.#lost = true;
    else if (this.#mode === 'name') {
      if (char === '#' && this.#name.trim() === '') this.#mode = 'comment';
      else if (char === '=') {
        this.#mode = 'start';
        this.#blank = false;
      } else if (this.#name.length < 1000) this.#name += char;
    } else if (char === '#' && isBlank(this.#previous)) this.#mode = 'comment';
    else if (this.#mode === 'start') {
      if (char === "'") this.#open('single');
      else if (char === '"') this.#open('double');
      else if (isBlank(char)) this.#blank = true;
      else this.#mode = 'bare';
    }
  }

  /** For sh, a quote inside of a value, a backquote and `$(` begin what may go on in the next lines. */
  #opensForSh(char: string): boolean {
    if (char === '`' || (char === '(' && this.#previous === '$')) return true;
    return this.#mode !== 'start' && (char === "'" || char === '"');
  }

  #open(mode: 'single' | 'double'): void {
    this.#mode = mode;
    this.#expansion = false;
  }

  #quoted(char: string): void {
    // Not every reader knows strings of several lines.
    if (char === '\n') this.#lost = true;
    if (this.#escaped) {
      this.#escaped = false;
      // Some readers let a backslash escape a single quote too; for sh the string ends here.
      if (this.#mode === 'single' && char === "'") this.#lost = true;
    } else if (char === '\\') this.#escaped = true;
    else if (char === (this.#mode === 'single' ? "'" : '"')) {
      // "${A:-"b"}" ends elsewhere for sh.
      if (this.#expansion) this.#lost = true;
      this.#mode = 'closed';
    } else if (this.#mode === 'double') this.#replaced(char);
  }

  /** What readers replace in double quotes. */
  #replaced(char: string): void {
    if (char === '`' || (char === '(' && this.#previous === '$')) this.#lost = true;
    else if (char === '{' && this.#previous === '$') this.#expansion = true;
    else if (char === '}') this.#expansion = false;
  }

  place(): Place | Refusal | 'comment' {
    const found = this.#placeOf();
    this.#previous = '';
    return found;
  }

  #placeOf(): Place | Refusal | 'comment' {
    if (this.#lost) return LOST;
    switch (this.#mode) {
      case 'comment':
        return 'comment';
      case 'name':
        return NO_VALUE;
      case 'start': {
        const wrong = this.#wrongName();
        if (wrong !== undefined) return wrong;
        this.#mode = 'written';
        return WHOLE;
      }
      case 'single':
        return this.#wrongName() ?? (this.#escaped ? AFTER_BACKSLASH : IN_SINGLE);
      case 'double':
        return this.#wrongName() ?? this.#inDouble();
      default:
        return PART;
    }
  }

  #wrongName(): Refusal | undefined {
    const [, name = ''] = /^\s*(?:export\s+)?(.*)$/s.exec(this.#name) ?? [];
    if (!/^[A-Za-z_][\w.-]*\s*$/.test(name)) return NO_VALUE;
    return this.#blank || /\s$/.test(name) ? BLANKS : undefined;
  }

  #inDouble(): Place | Refusal {
    if (this.#escaped) return AFTER_BACKSLASH;
    return this.#expansion || this.#previous === '$' ? IN_EXPANSION : IN_DOUBLE;
  }

  end(): undefined {}
}

function isBlank(char: string): boolean {
  return char === ' ' || char === '\t';
}
