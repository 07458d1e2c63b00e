import { isUtf8 } from 'node:buffer';

/**
 * Decodes bytes; keeps a byte order mark.
 * @throws TypeError if the bytes aren't UTF-8
 */
export function decodeUtf8(bytes: Uint8Array): string {
  // TextDecoder does the same, but first sets up an ICU converter, which takes two milliseconds on start.
  if (!isUtf8(bytes)) throw new TypeError('not UTF-8');
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/** The text, or undefined if the bytes aren't UTF-8. Keeps a byte order mark. */
export function utf8(value: Uint8Array): string | undefined {
  try {
    return decodeUtf8(value);
  } catch {
    return undefined;
  }
}
