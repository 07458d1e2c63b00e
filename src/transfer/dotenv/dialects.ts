/**
 * Env files as four common parsers read them. Each dialect implements a part of its parser's grammar and rejects the
 * rest, above all what that parser drops or replaces silently. tests/transfer/dotenv-readers.test.ts compares each
 * dialect with the real parser.
 */
import { EnvFileProblem, Scanner } from './scanner.ts';

export const DIALECTS = ['docker-compose', 'dotenv', 'python', 'shell'] as const;
export type Dialect = (typeof DIALECTS)[number];

export interface Assignment {
  readonly name: string;
  readonly value: string;
  readonly line: number;
}

interface Grammar {
  /** Sticky. The name of a variable. */
  readonly name: RegExp;
  /** Whether spaces or tabs may surround the `=`. */
  readonly spaced: boolean;
  /** Sticky. An empty line. */
  readonly blankLine: RegExp;
  /** Normalises the text before it is scanned. */
  readonly prepare: (text: string) => string;
  /** Reads a value, from its first character to the end of its line. */
  readonly value: (scan: Scanner, place: { readonly blanks: boolean; readonly exported: boolean }) => string;
}

const BLANKS = /[ \t]*/y;
const NO_ASSIGNMENT = 'is not NAME=VALUE; a value of several lines needs quotes around it';

/** The assignments of a file in order, up to the first line that the dialect's parser rejects. */
export function readDialect(
  text: string,
  dialect: Dialect,
): { readonly assignments: readonly Assignment[]; readonly problem: EnvFileProblem | undefined } {
  const grammar = GRAMMARS[dialect];
  const assignments: Assignment[] = [];
  try {
    const scan = new Scanner(grammar.prepare(text));
    for (;;) {
      while (scan.take(grammar.blankLine) !== undefined);
      scan.take(BLANKS);
      if (scan.isAtEnd) return { assignments, problem: undefined };
      if (scan.next === '#') scan.takeLine();
      else assignments.push(takeAssignment(scan, grammar));
    }
  } catch (thrown) {
    if (!(thrown instanceof EnvFileProblem)) throw thrown;
    return { assignments, problem: thrown };
  }
}

function takeAssignment(scan: Scanner, grammar: Grammar): Assignment {
  const { line, at: start } = scan;
  const exported = scan.take(/export[ \t]+/y) !== undefined;
  const name = scan.take(grammar.name);
  if (scan.at === 0 && scan.next === '\ufeff')
    scan.fail('begins with a byte order mark, which a shell takes for text');
  if (name === undefined || name === 'export') throw noAssignment(scan, start, line);
  if (grammar.spaced) scan.take(BLANKS);
  if (scan.take(/=/y) === undefined) throw noAssignment(scan, start, line);
  const blanks = grammar.spaced && scan.take(BLANKS) !== '';
  try {
    if (/^-----BEGIN /.test(scan.text.slice(scan.at, scan.at + 11)))
      scan.fail('starts a key or certificate of several lines, which needs quotes around it');
    return { name, value: grammar.value(scan, { blanks, exported }), line };
  } catch (thrown) {
    if (!(thrown instanceof EnvFileProblem)) throw thrown;
    throw new EnvFileProblem(line, `${name}: ${thrown.message}`, thrown.fix);
  }
}

/** Why a line is no assignment. Without a name, it may be part of a value, so the message repeats nothing of it. */
function noAssignment({ text }: Scanner, start: number, line: number): EnvFileProblem {
  const before = /^(?:export[ \t]+)?([^=\n]*)=/.exec(text.slice(start, start + 1000))?.[1];
  if (before !== undefined && /^[\w.-]+[ \t]+$/.test(before))
    return new EnvFileProblem(line, 'has a blank before the =', 'remove it');
  if (before !== undefined && /^[A-Za-z0-9_.-]+$/.test(before))
    return new EnvFileProblem(line, 'has a name that is not just letters, digits and _', 'rename it');
  return new EnvFileProblem(line, NO_ASSIGNMENT);
}

/** After a closing quote only a comment is allowed, separated by a space or tab. */
function takeEnd(scan: Scanner): void {
  const blanks = scan.take(BLANKS) ?? '';
  if (blanks !== '' && scan.next === '#') scan.takeLine();
  else if (scan.take(/\r?(?=\n)|\r?$/y) === undefined) scan.fail('has text after the closing quote');
}

/** The text up to the next quote of this kind, which must not follow a backslash. */
function takeQuoted(scan: Scanner, quote: string): string {
  const start = scan.at;
  const end = scan.text.indexOf(quote, start);
  if (end === -1) scan.fail('has an unclosed quote');
  if (end > start && scan.text[end - 1] === '\\') scan.fail('has a backslash before a quote');
  scan.at = end + 1;
  return scan.text.slice(start, end);
}

/** The raw text up to the next unescaped quote of this kind. */
function takeEscaped(scan: Scanner, quote: string): string {
  const start = scan.at;
  const { text } = scan;
  for (let at = start; at < text.length; at += text[at] === '\\' ? 2 : 1) {
    if (text[at] !== quote) continue;
    scan.at = at + 1;
    return text.slice(start, at);
  }
  return scan.fail('has an unclosed quote');
}

const lineFeeds = (text: string): string => text.replace(/\r\n?/g, '\n');
const withoutMark = (text: string): string => text.replace(/^\ufeff/, '');

/**
 * The npm package dotenv: an unquoted `#` starts a comment anywhere; backquotes are quotes; in double quotes `\n` and
 * `\r` are the only escapes; nothing else is replaced.
 */
function dotenvValue(scan: Scanner): string {
  const quote = scan.take(/['"`]/y);
  if (quote === undefined) return scan.plain(scan.takeLine().split('#', 1)[0] as string);
  const body = takeQuoted(scan, quote);
  takeEnd(scan);
  return quote === '"' ? body.replaceAll('\\n', '\n').replaceAll('\\r', '\r') : body;
}

const C_ESCAPES: Readonly<Record<string, string>> = {
  ...{ a: '\u0007', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' },
};

/** python-dotenv: `${NAME}` is replaced everywhere, even in single quotes; both kinds of quotes have escapes. */
function pythonValue(scan: Scanner, { blanks }: { readonly blanks: boolean }): string {
  const value = pythonText(scan, blanks);
  const start = value.indexOf('${');
  if (start !== -1 && value.includes('}', start)) scan.fail('has ${…}, which python-dotenv replaces');
  return value;
}

function pythonText(scan: Scanner, blanks: boolean): string {
  if (blanks && scan.next === '#') {
    scan.takeLine();
    return '';
  }
  const quote = scan.take(/['"]/y);
  if (quote === undefined) return scan.plain(beforeRemark(scan.takeLine()));
  const body = takeEscaped(scan, quote);
  takeEnd(scan);
  const escapes = quote === '"' ? /\\([\\'"abfnrtv])/g : /\\([\\'])/g;
  return body.replace(escapes, (_, char: string) => C_ESCAPES[char] ?? char);
}

/** The text before a `#` that follows a space or tab. */
function beforeRemark(text: string): string {
  for (let at = text.indexOf('#', 1); at !== -1; at = text.indexOf('#', at + 1))
    if (/[ \t]/.test(text.charAt(at - 1))) return text.slice(0, at);
  return text;
}

const COMPOSE_ESCAPES: Readonly<Record<string, string>> = {
  ...C_ESCAPES,
  ...{ '\\': '\\', $: '$$' },
};

/**
 * Docker Compose (compose-go): a space followed by `#` starts a comment; `$` starts a substitution except in single
 * quotes, and `$$` is a literal dollar; a backslash escapes the quote, and some letters in double quotes.
 */
function composeValue(scan: Scanner): string {
  const quote = scan.take(/['"]/y);
  if (quote === undefined)
    return composeDollars(scan, scan.plain(scan.takeLine().split(' #', 1)[0] as string));
  const body = takeEscaped(scan, quote).replace(/\\([^])/g, (both, char: string) =>
    char === quote ? char : both,
  );
  takeEnd(scan);
  if (quote === "'") return body;
  if (body.includes('\\0')) scan.fail('has an escape \\0');
  const text = body.replace(/\\([abfnrtv$\\])/g, (_, char: string) => COMPOSE_ESCAPES[char] as string);
  return composeDollars(scan, text);
}

function composeDollars(scan: Scanner, text: string): string {
  return text.replace(/\$(\$?)/g, (_, second: string) => {
    if (second === '') scan.fail('has an unquoted $, which Docker Compose replaces');
    return '$';
  });
}

/** Characters that can stand in an unquoted shell word without substitution or word splitting. */
const WORD = /[\w./:=@%+,^-]|[^\u0000-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]/y;
/**
 * More characters that are safe in an assignment, where no globbing or word splitting takes place: not after `export`.
 */
const ASSIGNED = /[!#[\]{}*?~]/y;

/**
 * sh (POSIX, Shell Command Language, 2.2 and 2.6): adjacent quoted parts form one word; nothing is substituted or
 * executed.
 */
function shellValue(scan: Scanner, { exported }: { readonly exported: boolean }): string {
  let value = '';
  for (let before = '='; ; before = scan.text.charAt(scan.at - 1)) {
    if (scan.isAtEnd || /[ \t\n]/.test(scan.next)) break;
    if (scan.next === '~' && /[=:]/.test(before)) scan.fail('has an unquoted ~, which a shell may replace');
    value += shellPart(scan, exported);
  }
  const blanks = scan.take(BLANKS);
  if (blanks !== '' && scan.next === '#') scan.takeLine();
  else if (!scan.isAtEnd && scan.next !== '\n')
    scan.fail('has an unquoted blank, which ends the value in a shell');
  return value;
}

function shellPart(scan: Scanner, exported: boolean): string {
  const plain = scan.take(WORD) ?? (exported ? undefined : scan.take(ASSIGNED));
  if (plain !== undefined) return plain;
  const escaped = scan.take(/\\[^\n\r]/y);
  if (escaped !== undefined) return escaped.slice(1);
  if (scan.take(/'/y) !== undefined) {
    const body = scan.take(/[^']*/y) as string;
    if (scan.take(/'/y) === undefined) scan.fail('has an unclosed quote');
    return body;
  }
  if (scan.take(/"/y) === undefined)
    scan.fail(
      scan.next === '\r'
        ? 'ends in a carriage return, which a shell keeps'
        : 'has an unquoted character that means something else to a shell',
    );
  const body = takeEscaped(scan, '"');
  if (/[$`]/.test(body.replace(/\\[^]/g, '')))
    scan.fail('has $ or ` in double quotes, which a shell replaces');
  return body.replace(/\\([$`"\\\n])/g, (_, char: string) => (char === '\n' ? '' : char));
}

/** The rules that the npm and Python packages share. */
const PACKAGES: Omit<Grammar, 'value'> = {
  name: /[\w.-]+/y,
  spaced: true,
  blankLine: /[ \t]*\n/y,
  prepare: (text) => lineFeeds(withoutMark(text)),
};

const GRAMMARS: Readonly<Record<Dialect, Grammar>> = {
  'docker-compose': {
    // Docker Compose skips names that start with a digit.
    name: /[A-Za-z_.[\]-][\w.[\]-]*/y,
    spaced: true,
    blankLine: /[ \t]*(?:\r?\n|\r$)/y,
    prepare: withoutMark,
    value: composeValue,
  },
  dotenv: { ...PACKAGES, value: dotenvValue },
  python: { ...PACKAGES, value: pythonValue },
  shell: {
    name: /[A-Za-z_]\w*/y,
    spaced: false,
    blankLine: /[ \t]*\n/y,
    prepare: (text) => text,
    value: shellValue,
  },
};
