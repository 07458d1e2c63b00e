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
  for (let at = 0; at < source.length; at += 1) {
    const char = source[at] as string;
    if (source.startsWith('//', at)) {
      const end = source.indexOf('\n', at);
      at = end === -1 ? source.length : end;
    } else if (char.trim() !== '') {
      start ??= at;
      if (char === '"') at = endOfString(source, at);
      else if (char === ';') {
        policies.push({ start, text: source.slice(start, at + 1) });
        start = undefined;
      }
    }
  }
  if (start !== undefined) policies.push({ start, text: source.slice(start).trimEnd() });
  return policies;
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
