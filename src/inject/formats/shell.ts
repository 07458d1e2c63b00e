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

/** A here-document that begins with the next line. */
interface Document {
  readonly delimiter: string;
  readonly dash: boolean;
  /** With quotes around its delimiter nothing in it has a meaning. */
  readonly quoted: boolean;
  /** How many constructs were open around it. */
  readonly depth: number;
}

const NEUTRAL = '\0';
/** The process id. Whether `"$$("` begins a substitution, shells disagree on. */
const PID = '$$';
/** In a here-document: escapes, and the expansions that certainly end on their line, with nothing nested. */
const CLOSED = (() => {
  // One letter of the name: the others are words, in one way only, so that no line takes long.
  const variable = String.raw`\$\w|\$\{\w+\}`;
  const quoted = String.raw`"(?:[^"\\${'`'}$()]|${variable})*"|'[^'\\${'`'}()]*'`;
  // A comment would hide the end.
  const words = String.raw`(?:[^()"'\\${'`'}$#<]|<(?!<)|${variable}|${quoted})*`;
  const parts = [
    String.raw`\\.`,
    String.raw`\$\(\([^()"'\\${'`'}$]*\)\)`,
    String.raw`\$\(${words}\)`,
    String.raw`\$\{[^{}"'\\${'`'}$]*\}`,
    String.raw`${'`'}[^"'\\$${'`'}]*${'`'}`,
  ];
  return new RegExp(parts.join('|'), 'g');
})();

export class ShellLexer implements Lexer {
  /** The innermost last. `$(…)` begins with `bare` again. */
  #modes: Mode[] = ['bare'];
  #escaped = false;
  /** The character before; NEUTRAL if it is escaped and so begins nothing together with the next one. */
  #previous = '\n';
  /** The one before a backslash, which a continued line goes on after. */
  #beforeEscape = '';
  /** The word so far, outside of quotes, in a command substitution. */
  #word = '';
  /** `<<` was read, and the delimiter so far. */
  #delimiter: string | undefined;
  #dash = false;
  #documents: Document[] = [];
  #line = '';
  /** Open parentheses of `((`. */
  #parentheses = 0;

  feed(text: string): undefined {
    for (const char of text) {
      const next = this.#next(char);
      this.#read(char);
      this.#previous = next;
    }
  }

  /** What the character is for the one after it. */
  #next(char: string): string {
    if (this.#escaped) {
      if (char !== '\n') return NEUTRAL;
      // A continued line: shells disagree on an operator that is split by it.
      if (/^(?:\$+|<|\()$/.test(this.#beforeEscape)) this.#lose();
      return this.#beforeEscape;
    }
    if (char === '\\') this.#beforeEscape = this.#previous;
    if (this.#previous === PID && /[$({[]/.test(char) && /^(?:bare|double)$/.test(this.#mode)) this.#lose();
    return char === '$' && this.#previous === '$' ? PID : char;
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
      if (char !== '\n') this.#word += char;
      // Not every shell knows $'…'.
      if (char === "'" && this.#mode === 'dollar-single') this.#lose();
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
        // Over several lines, or with a comment, it may be two subshells.
        if (/["'\\`\n]/.test(char) || (char === '#' && /[ \t]/.test(this.#previous))) this.#lose();
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
        // $(…)# goes on with the word, (…)# begins a comment.
        if (this.#previous === ')') this.#lose();
        else if (/[ \t\n;&|(]/.test(this.#previous)) this.#modes.push('comment');
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
        if (this.#modes.length > 1) {
          this.#modes.pop();
          // Before its text has come, shells disagree on where it is.
          if (this.#documents.length > 0) this.#lose();
        }
        break;
      case '<':
        if (this.#previous === '<') this.#delimiter = '';
        break;
      case '\n':
        this.#beginDocuments();
    }
  }

  #beginDocuments(): void {
    if (this.#documents.length === 0) return;
    if (this.#documents.some(({ depth }) => depth !== this.#modes.length)) {
      this.#lose();
      return;
    }
    this.#modes.push('heredoc');
    this.#line = '';
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
    else
      this.#documents.push({
        delimiter: text.replace(/^["'\\]|["']$/g, ''),
        dash: this.#dash,
        quoted: /^["'\\]/.test(text),
        depth: this.#modes.length,
      });
    this.#delimiter = undefined;
    this.#dash = false;
    return this.#mode === 'lost';
  }

  #heredoc(char: string): void {
    if (char !== '\n') {
      this.#line += char;
      return;
    }
    const [next] = this.#documents;
    // A line that goes on, or an expansion that does, may hide the delimiter.
    if (
      next?.quoted === false &&
      (this.#line.endsWith('\\') || /`|\$[({]/.test(this.#line.replace(CLOSED, '')))
    ) {
      this.#lose();
      return;
    }
    if (next !== undefined && (next.dash ? this.#line.replace(/^\t+/, '') : this.#line) === next.delimiter) {
      this.#documents.shift();
      if (this.#documents.length === 0) this.#modes.pop();
    }
    this.#line = '';
  }

  place(): Place | Refusal | 'comment' {
    if (this.#delimiter !== undefined) this.#lose();
    if (this.#mode === 'lost') return LOST;
    if (this.#escaped) return AFTER_BACKSLASH;
    const found = this.#placeOf(this.#mode);
    this.#previous = NEUTRAL;
    this.#word = '_';
    return found;
  }

  #placeOf(mode: Mode): Place | Refusal | 'comment' {
    switch (mode) {
      case 'comment':
        return 'comment';
      case 'bare':
        // $'…' has escapes.
        return this.#previous.startsWith('$') ? IN_EXPANSION : BARE;
      case 'single':
        return IN_SINGLE;
      case 'double':
        // "$" before a value would make an expansion of it.
        return this.#previous.startsWith('$') ? IN_EXPANSION : IN_DOUBLE;
      case 'heredoc':
        return IN_HEREDOC;
      default:
        return IN_EXPANSION;
    }
  }

  end(): undefined {}
}
