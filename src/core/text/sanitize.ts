/**
 * Text from a backend or a file may hold control sequences that rewrite a terminal (CWE-150). Everything that is
 * shown and did not come from this program's own source goes through here.
 */

/** C0 and C1 controls and DEL, line and paragraph separators, and the bidirectional overrides (CVE-2021-42574). */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** The text on one line, each unsafe character written as its \u escape. */
export function singleLine(text: string): string {
  return text.replace(UNSAFE, (char) => (char === '\n' ? ' ' : escape(char)));
}

function escape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** What JSON.stringify leaves as it is and a terminal obeys, or a reader is misled by. */
const UNSAFE_IN_JSON = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** JSON that is safe to show: the same document to every parser. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(UNSAFE_IN_JSON, escape);
}

/** Every character outside of printable ASCII as its \u escape: for what must be seen for what it is. */
export function asciiText(text: string): string {
  return text.replace(/[^ -~]/g, escape);
}
