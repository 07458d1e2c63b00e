/**
 * Text from a backend or a file may contain control sequences that manipulate a terminal (CWE-150). All displayed
 * text that isn't from this program's own source passes through here.
 */

/** C0 and C1 controls and DEL, line and paragraph separators, and the bidirectional overrides (CVE-2021-42574). */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** The text on one line, with each unsafe character as its \u escape. */
export function singleLine(text: string): string {
  return text.replace(UNSAFE, (char) => (char === '\n' ? ' ' : escape(char)));
}

function escape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Characters that JSON.stringify doesn't escape but that affect a terminal or mislead a reader. */
const UNSAFE_IN_JSON = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** JSON that is safe to display; parsers read the same document. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(UNSAFE_IN_JSON, escape);
}

/** Writes every character outside printable ASCII as its \u escape, so that look-alikes are visible. */
export function asciiText(text: string): string {
  return text.replace(/[^ -~]/g, escape);
}
