/**
 * Scripts of POSIX shells and bash. Where only a shell's own parser could tell how a placeholder is quoted, it and all
 * that follow are refused: a value in the wrong quotes would be a program.
 */
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
} from './lexer.ts';

function checked(value: string): string {
  checkNo(value, /\0/, 'a NUL byte, which a shell can’t hold', OTHER_FORM);
  return value;
}

const BARE = place('shell', (value) => `'${checked(value).replaceAll("'", "'\\''")}'`, { whole: true });
const IN_SINGLE = place('shell single', (value) => checked(value).replaceAll("'", "'\\''"));
const IN_DOUBLE = place('shell double', (value) => checked(value).replace(/[\\"$`]/g, '\\$&'));

const IN_HEREDOC = refusal(
  'the placeholder stands in a here-document, where not every value can be escaped',
  'assign it to a variable first: NAME={{ REF }}',
);
const IN_EXPANSION = refusal(
  "the placeholder stands inside of ${…}, $((…)), $'…' or backquotes",
  'assign it to a variable first: NAME={{ REF }}',
);

type Mode =
  | 'bare'
  | 'single'
  | 'double'
  | 'comment'
  | 'backquote'
  | 'dollar-single'
  | 'brace'
  | 'arithmetic'
  | 'heredoc'
  | 'lost';

export class ShellLexer implements Lexer {
  /** The innermost last. `$(…)` begins with `bare` again. */
  #modes: Mode[] = ['bare'];
  #escaped = false;
  #previous = '\n';
  /** The word so far, outside of quotes, in a command substitution. */
  #word = '';
  /** `<<` was read, and the delimiter so far. */
  #delimiter: string | undefined;
  #dash = false;
  #lines: { readonly delimiter: string; readonly dash: boolean }[] = [];
  #line = '';
  /** Open parentheses of `((`. */
  #parentheses = 0;

  feed(text: string): undefined {
    for (const char of text) {
      this.#read(char);
      this.#previous = char;
    }
  }

  get #mode(): Mode {
    return this.#modes.at(-1) as Mode;
  }

  #lose(): void {
    this.#modes = ['lost'];
  }

  #read(char: string): void {
    if (this.#escaped) {
      this.#escaped = false;
      // What is escaped here isn't the start of anything.
      this.#word += char;
      return;
    }
    switch (this.#mode) {
      case 'lost':
        return;
      case 'bare':
        this.#bare(char);
        return;
      case 'single':
        if (char === "'") this.#modes.pop();
        return;
      case 'double':
        this.#double(char);
        return;
      case 'comment':
        if (char !== '\n') return;
        this.#modes.pop();
        this.#bare(char);
        return;
      case 'heredoc':
        this.#heredoc(char);
        return;
      case 'backquote':
      case 'dollar-single':
        if (char === '\\') this.#escaped = true;
        else if (char === (this.#mode === 'backquote' ? '`' : "'")) this.#modes.pop();
        return;
      case 'brace':
        if (char === '}') this.#modes.pop();
        else if (/["'\\`$]/.test(char)) this.#lose();
        return;
      case 'arithmetic':
        if (/["'\\`]/.test(char)) this.#lose();
        else if (char === '(') this.#parentheses += 1;
        else if (char === ')') {
          this.#parentheses -= 1;
          if (this.#parentheses === 0) this.#modes.pop();
        }
    }
  }

  #bare(char: string): void {
    if (this.#delimiter !== undefined && this.#inDelimiter(char)) return;
    // In bash `case … in a)` inside of $(…) closes nothing.
    if (/\w/.test(char)) this.#word += char;
    else {
      if (this.#word === 'case' && this.#modes.length > 1) {
        this.#lose();
        return;
      }
      this.#word = '';
    }
    const dollar = this.#previous === '$';
    switch (char) {
      case '\\':
        this.#escaped = true;
        break;
      case "'":
        this.#modes.push(dollar ? 'dollar-single' : 'single');
        break;
      case '"':
        this.#modes.push('double');
        break;
      case '`':
        this.#modes.push('backquote');
        break;
      case '#':
        if (/[ \t\n;&|()]/.test(this.#previous)) this.#modes.push('comment');
        break;
      case '{':
        if (dollar) this.#modes.push('brace');
        break;
      case '[':
        if (dollar) this.#lose();
        break;
      case '(':
        this.#parenthesis(dollar);
        break;
      case ')':
        if (this.#modes.length > 1) this.#modes.pop();
        break;
      case '<':
        if (this.#previous === '<') this.#delimiter = '';
        break;
      case '\n':
        if (this.#lines.length > 0) {
          this.#modes.push('heredoc');
          this.#line = '';
        }
    }
  }

  #double(char: string): void {
    const dollar = this.#previous === '$';
    if (char === '\\') this.#escaped = true;
    else if (char === '"') this.#modes.pop();
    else if (char === '`') this.#modes.push('backquote');
    else if (char === '{' && dollar) this.#modes.push('brace');
    else if (char === '[' && dollar) this.#lose();
    else if (char === '(' && dollar) this.#parenthesis(true);
  }

  /** `(` begins a subshell, `$(` a substitution, and the second of `((` arithmetic. */
  #parenthesis(dollar: boolean): void {
    this.#word = '';
    if (!dollar && this.#previous === '(') {
      // The first one has begun a subshell.
      this.#modes.pop();
      this.#modes.push('arithmetic');
      this.#parentheses = 2;
    } else this.#modes.push('bare');
  }

  /** @returns whether the character belongs to the delimiter of a here-document */
  #inDelimiter(char: string): boolean {
    const text = this.#delimiter as string;
    if (text === '' && char === '<') {
      // A here-string: <<<
      this.#delimiter = undefined;
      return true;
    }
    if (text === '' && char === '-' && this.#previous === '<') {
      this.#dash = true;
      return true;
    }
    if (text === '' && (char === ' ' || char === '\t')) return true;
    if (/[^ \t\n;&|<>()]/.test(char)) {
      this.#delimiter = text + char;
      return true;
    }
    if (!/^(?:[\w.+-]+|'[^'"\\$`]+'|"[^'"\\$`]+"|\\[\w.+-]+)$/.test(text)) this.#lose();
    else this.#lines.push({ delimiter: text.replace(/^["'\\]|["']$/g, ''), dash: this.#dash });
    this.#delimiter = undefined;
    this.#dash = false;
    return this.#mode === 'lost';
  }

  #heredoc(char: string): void {
    if (char !== '\n') {
      this.#line += char;
      return;
    }
    const [next] = this.#lines;
    if (next !== undefined && (next.dash ? this.#line.replace(/^\t+/, '') : this.#line) === next.delimiter) {
      this.#lines.shift();
      if (this.#lines.length === 0) this.#modes.pop();
    }
    this.#line = '';
  }

  place(): Place | Refusal | 'comment' {
    if (this.#delimiter !== undefined) this.#lose();
    if (this.#mode === 'lost') return LOST;
    if (this.#escaped) return AFTER_BACKSLASH;
    const found = this.#placeOf(this.#mode);
    this.#previous = '}';
    this.#word = '_';
    return found;
  }

  #placeOf(mode: Mode): Place | Refusal | 'comment' {
    switch (mode) {
      case 'comment':
        return 'comment';
      case 'bare':
        // $'…' has escapes.
        return this.#previous === '$' ? IN_EXPANSION : BARE;
      case 'single':
        return IN_SINGLE;
      case 'double':
        // "$" before a value would make an expansion of it.
        return this.#previous === '$' ? IN_EXPANSION : IN_DOUBLE;
      case 'heredoc':
        return IN_HEREDOC;
      default:
        return IN_EXPANSION;
    }
  }

  end(): undefined {}
}
