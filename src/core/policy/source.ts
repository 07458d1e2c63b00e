/** A policy file as text: where each policy starts and ends, and which line and column an offset is. */

/** One policy of a file, as its text. */
export interface PolicyText {
  /** In UTF-16 units, of the first character of the policy. */
  readonly start: number;
  readonly text: string;
}

/**
 * Splits a file at the semicolons that end policies: not at those in strings and comments. Cedar gives offsets of a
 * policy alone, and no lines. What is left after the last semicolon is a policy too, which Cedar then refuses.
 */
export function splitPolicies(source: string): readonly PolicyText[] {
  const policies: PolicyText[] = [];
  let start: number | undefined;
  for (const at of tokensIn(source)) {
    start ??= at;
    if (source[at] !== ';') continue;
    policies.push({ start, text: source.slice(start, at + 1) });
    start = undefined;
  }
  if (start !== undefined) policies.push({ start, text: source.slice(start).trimEnd() });
  return policies;
}

/**
 * Cedar evaluates a policy recursively. One that overflows its stack, at 150 brackets or 400 operators, leaves Cedar
 * unusable until the process ends.
 */
const DEEPEST = 64;
const MOST_OPERATORS = 200;

/** What keeps Cedar from being given this policy: where, and a clause. */
export function tooComplex(text: string): { readonly at: number; readonly why: string } | undefined {
  let depth = 0;
  let operators = 0;
  for (const at of tokensIn(text)) {
    if ('([{'.includes(text[at] as string)) depth += 1;
    else if (')]}'.includes(text[at] as string)) depth -= 1;
    else if (OPERATORS.some((operator) => text.startsWith(operator, at))) operators += 1;
    if (depth > DEEPEST) return { at, why: `more than ${DEEPEST} brackets are open here` };
    if (operators > MOST_OPERATORS) return { at, why: `a policy has at most ${MOST_OPERATORS} operators` };
  }
  return undefined;
}

const OPERATORS = ['&&', '||', '+', '-', '*', 'then'];

/** Every character that is neither white space nor in a comment; of a string only the opening quote. */
function* tokensIn(source: string): Generator<number, undefined> {
  for (let at = 0; at < source.length; at += 1) {
    const char = source[at] as string;
    if (source.startsWith('//', at)) at = endOfComment(source, at);
    else if (char.trim() !== '') {
      yield at;
      if (char === '"') at = endOfString(source, at);
    }
  }
}

/** The end of its line. For Cedar a carriage return ends a line too. */
function endOfComment(source: string, start: number): number {
  let at = start;
  while (at < source.length && source[at] !== '\n' && source[at] !== '\r') at += 1;
  return at;
}

/** The closing quote, or the end of the file. */
function endOfString(source: string, start: number): number {
  for (let at = start + 1; at < source.length; at += 1) {
    if (source[at] === '\\') at += 1;
    else if (source[at] === '"') return at;
  }
  return source.length;
}

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
}

export function positionAt(source: string, offset: number): Position {
  const before = source.slice(0, offset);
  const line = before.split('\n').length;
  return { line, column: [...before.slice(before.lastIndexOf('\n') + 1)].length + 1 };
}

/** An offset in the UTF-8 form of a text, which Cedar counts in, as one in UTF-16 units. */
export function fromByteOffset(text: string, bytes: number): number {
  return Buffer.from(text).subarray(0, bytes).toString().length;
}
