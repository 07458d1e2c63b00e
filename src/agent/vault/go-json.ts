/**
 * JSON as Go's encoding/json writes it, because clients get the bytes that the real Vault would send: maps are sorted
 * by the bytes of their keys, and `<`, `>`, `&`, U+2028 and U+2029 are escaped.
 */
import type { JsonDocument } from '../../core/document/document.ts';
import type { JsonNode } from '../../core/document/syntax.ts';

/** JSON that is already written. */
export class Raw {
  readonly json: string;

  constructor(json: string) {
    this.json = json;
  }
}

/** An object keeps its order, as a struct does in Go; a Map is sorted. */
export type GoValue =
  | string
  | number
  | boolean
  | null
  | Raw
  | readonly GoValue[]
  | ReadonlyMap<string, GoValue>
  | { readonly [key: string]: GoValue };

export function goJson(value: GoValue): string {
  if (typeof value === 'string') return goString(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof Raw) return value.json;
  if (value instanceof Map) return object(sorted([...(value as ReadonlyMap<string, GoValue>)]));
  if (Array.isArray(value)) return `[${value.map((item: GoValue) => goJson(item)).join()}]`;
  return object(Object.entries(value as { readonly [key: string]: GoValue }));
}

function object(members: readonly (readonly [string, GoValue])[]): string {
  return `{${members.map(([key, value]) => `${goString(key)}:${goJson(value)}`).join()}}`;
}

export function goString(text: string): string {
  // A string with half a surrogate pair is no UTF-8; Go writes the replacement character in its place.
  return JSON.stringify(text.replace(/[\ud800-\udfff]/gu, '\ufffd')).replace(/[<>&\u2028\u2029]/g, escape);
}

function escape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function sorted<T>(members: readonly (readonly [string, T])[]): readonly (readonly [string, T])[] {
  return members.toSorted(([one], [other]) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
}

/** A JSON value of a secret: sorted and escaped as Vault does it, numbers with their own text. */
export function goDocument(document: JsonDocument, node: JsonNode = document.root): string {
  if (node.kind === 'string') return goString(node.text);
  if (node.kind === 'array') return `[${node.items.map((item) => goDocument(document, item)).join()}]`;
  if (node.kind !== 'object') return document.sourceOf(node);
  const members = sorted(node.members.map(({ key, value }) => [key, value] as const));
  return `{${members.map(([key, value]) => `${goString(key)}:${goDocument(document, value)}`).join()}}`;
}

/** A time as Go's RFC3339Nano has it: without zeros at the end of the fraction. */
export function goTime(date: Date): string {
  return date.toISOString().replace(/\.?0*Z$/, 'Z');
}
