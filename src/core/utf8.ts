import { isUtf8 } from 'node:buffer';

/**
 * Bytes as text, a byte order mark kept.
 * @throws TypeError for bytes that are not UTF-8
 */
export function decodeUtf8(bytes: Uint8Array): string {
  // TextDecoder does the same, and sets up a converter of ICU's first: two milliseconds at start-up.
  if (!isUtf8(bytes)) throw new TypeError('not UTF-8');
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/** The text, or undefined for bytes that are not UTF-8. A byte order mark stays. */
export function utf8(value: Uint8Array): string | undefined {
  try {
    return decodeUtf8(value);
  } catch {
    return undefined;
  }
}
