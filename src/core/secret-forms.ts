/** The ways in which one value shows up in output: as it is, and as common programs encode it. Pure. */

/** Shorter forms would mask half of any output. */
export const MIN_SECRET_BYTES = 4;
/** A single line of a longer value is masked by itself when it has at least this many bytes. */
const MIN_LINE_BYTES = 8;
/** The inside of a longer base64 text is masked when at least this many characters are certain. */
const MIN_BASE64 = 8;
/** Widths at which base64 is usually wrapped: `base64` and MIME (RFC 2045 §6.8), PEM (RFC 7468 §2). */
const WRAP_WIDTHS = [76, 64];
/** Over this, a value is masked as it is, line by line and in base64 only: its other forms are unlikely and large. */
const LARGE_BYTES = 8192;

/** The password of a URL (RFC 3986 §3.2.1), which may hold anything up to the last @. */
const URL_PASSWORD = /^[a-z][a-z0-9+.-]*:\/\/[^:@/?#\s]*:(.+)@[^@\s]*$/i;

/**
 * Secrets inside of a secret, which programs print by themselves: the strings of a JSON document (at any depth)
 * and the password of a URL. Short ones stay out, as short lines do: `"type": "oidc"` is no secret.
 */
export function partsOf(value: Uint8Array): readonly Buffer[] {
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8').trim();
  const parts = new Set<string>();
  const add = (part: string): void => {
    if (part !== text && Buffer.byteLength(part) >= MIN_LINE_BYTES) parts.add(part);
  };
  const addPassword = (url: string): void => {
    const password = URL_PASSWORD.exec(url)?.[1];
    if (password === undefined) return;
    add(password);
    try {
      add(decodeURIComponent(password));
    } catch {
      // It is not percent-encoded.
    }
  };
  addPassword(text);
  for (const leaf of stringsOf(text)) {
    add(leaf);
    addPassword(leaf);
  }
  return [...parts].map((part) => Buffer.from(part));
}

/** The strings of a JSON object or array; none for other text. */
function* stringsOf(text: string): IterableIterator<string> {
  if (!/^[{[]/.test(text)) return;
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return;
  }
  const waiting = [document];
  for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) {
    if (typeof item === 'string') yield item;
    else if (typeof item === 'object' && item !== null) waiting.push(...Object.values(item));
  }
}

/**
 * The forms of one value, without doubles: the value, its lines, base64 (RFC 4648 §4 and §5, padded, unpadded,
 * wrapped, and at each of the three alignments inside a longer text), hexadecimal, percent-encoding (RFC 3986,
 * both cases, `+` for a space), JSON strings (once and twice), and shell and HTML quoting. Line breaks at the end
 * of the value are not part of a form: `$(…)` and `echo` drop and add them, and masking one would join two lines.
 */
export function formsOf(value: Uint8Array): readonly Buffer[] {
  const raw = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const forms = new Set<string>();
  const add = (form: Buffer | string): void => {
    const bytes = typeof form === 'string' ? Buffer.from(form) : form;
    if (bytes.length >= MIN_SECRET_BYTES) forms.add(bytes.toString('latin1'));
  };
  const trimmed = raw.subarray(0, lengthWithoutBreaks(raw));
  const whole = trimmed.length >= MIN_SECRET_BYTES ? trimmed : raw;
  add(whole);
  for (const bytes of whole.length === raw.length ? [raw] : [raw, whole]) addBase64(bytes, add);
  if (raw.length <= LARGE_BYTES) {
    add(raw.toString('hex'));
    add(raw.toString('hex').toUpperCase());
  }
  const text = whole.toString('utf8');
  if (Buffer.from(text).equals(whole)) {
    if (text.includes('\n')) addLines(text, add);
    if (raw.length <= LARGE_BYTES) addTextForms(text, add);
  }
  return [...forms].map((form) => Buffer.from(form, 'latin1'));
}

function lengthWithoutBreaks(raw: Buffer): number {
  let length = raw.length;
  while (length > 0 && (raw[length - 1] === 0x0a || raw[length - 1] === 0x0d)) length -= 1;
  return length;
}

function addLines(text: string, add: (form: string) => void): void {
  // A terminal writes CR LF for LF.
  add(text.replace(/\r?\n/g, '\n'));
  add(text.replace(/\r?\n/g, '\r\n'));
  for (const line of text.split(/\r?\n/)) {
    for (const form of [line, line.trim()]) if (Buffer.byteLength(form) >= MIN_LINE_BYTES) add(form);
  }
}

function addBase64(raw: Buffer, add: (form: string) => void): void {
  for (const encoding of ['base64', 'base64url'] as const) {
    const whole = raw.toString(encoding);
    const bare = whole.replace(/=+$/, '');
    add(whole);
    add(bare);
    // Inside a longer text the value starts at any of three positions of a group; only the characters that its
    // own bits decide alone are certain.
    for (let offset = 0; offset < 3; offset += 1) {
      const shifted = Buffer.concat([Buffer.alloc(offset), raw]);
      const certain = shifted
        .toString(encoding)
        .slice(Math.ceil((offset * 8) / 6), Math.floor((shifted.length * 8) / 6));
      if (certain.length >= MIN_BASE64) add(certain);
    }
    if (encoding === 'base64') for (const width of WRAP_WIDTHS) addWrapped(whole, width, add);
  }
}

function addWrapped(text: string, width: number, add: (form: string) => void): void {
  if (text.length <= width) return;
  const lines = text.match(new RegExp(`.{1,${width}}`, 'g')) ?? [];
  for (const lineBreak of ['\n', '\r\n']) add(lines.join(lineBreak));
  for (const line of lines) if (line.length >= MIN_BASE64 * 2) add(line);
}

function addTextForms(text: string, add: (form: string) => void): void {
  const url = encodeURIComponent(text);
  const strict = url.replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  // application/x-www-form-urlencoded (WHATWG URL §5) keeps * and writes + for a space.
  const form = strict.replaceAll('%2A', '*').replaceAll('%20', '+').replaceAll('~', '%7E');
  for (const encoded of [url, strict, strict.replaceAll('%20', '+'), form, encodeURI(text)]) {
    add(encoded);
    add(encoded.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase()));
  }
  const json = JSON.stringify(text).slice(1, -1);
  const ascii = json.replace(/[^\u0020-\u007e]/g, unicodeEscape);
  for (const encoded of [
    json,
    json.replaceAll('/', '\\/'),
    ascii,
    ascii.replace(/[<>&'+]/g, unicodeEscape),
  ]) {
    add(encoded);
    // JSON inside JSON, as log lines have it.
    add(JSON.stringify(encoded).slice(1, -1));
  }
  add(text.replaceAll("'", "'\\''"));
  add(text.replaceAll("'", `'"'"'`));
  add(text.replace(/["$`\\]/g, '\\$&'));
  add(text.replace(/["$`\\!]/g, '\\$&'));
  add(text.replace(/[^\w@%+=:,./-]/gu, '\\$&'));
  // `set -x` and `printf %q` of bash write control characters this way.
  add(text.replace(/[\\']/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t'));
  add(text.replace(/[&<>"']/g, (char) => HTML[char] as string));
}

function unicodeEscape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

const HTML: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
