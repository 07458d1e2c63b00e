/** Secrets within a secret. Pure. */

/** Masking shorter values would mask half of any output. */
export const MIN_SECRET_BYTES = 4;
/** A line or part of a longer value is masked by itself if it has at least this many bytes. */
export const MIN_LINE_BYTES = 8;

/** The password of a URL (RFC 3986 §3.2.1), which may contain anything up to the last @. */
const URL_PASSWORD = /^[a-z][a-z0-9+.-]*:\/\/[^:@/?#\s]*:(.+)@[^@\s]*$/i;

/**
 * Secrets within a secret, which programs print separately: the strings of a JSON document (at any depth) and the
 * password of a URL. Short ones are excluded, like short lines: `"type": "oidc"` isn't secret.
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
      // It isn't percent-encoded.
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
