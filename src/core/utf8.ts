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

/** Whether bytes are text without control characters other than tabs and line breaks: C0, DEL, C1 and a lone CR. */
export function isPlainText(bytes: Uint8Array): boolean {
  const text = utf8(bytes);
  return (
    text !== undefined && !/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(text.replaceAll('\r\n', '\n'))
  );
}
