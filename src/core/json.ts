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
 * @throws TypeError for bytes that are not UTF-8, SyntaxError for text that is not JSON. Their messages may
 *   quote the input: never show them where the input is a secret.
 */
export function parseJson(bytes: Uint8Array): JsonValue {
  return JSON.parse(decodeUtf8(bytes).replace(/^\ufeff/, '')) as JsonValue;
}
