import { decodeUtf8 } from './utf8.ts';

/** A parsed JSON document. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** Whether a parsed value is a JSON object (not an array, not null). */
export function isJsonObject(value: unknown): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Parses UTF-8 JSON.
 * @throws TypeError if the bytes aren't UTF-8, SyntaxError if the text isn't JSON. Their messages may quote the
 *   input: never show them if the input is secret.
 */
export function parseJson(bytes: Uint8Array): JsonValue {
  return JSON.parse(decodeUtf8(bytes).replace(/^\ufeff/, '')) as JsonValue;
}
