/**
 * Reads the YAML of a secrets.yaml: plain maps, lists and scalars, so that every line means just what it says.
 * Anchors, aliases, merge keys, tags and directives are rejected, with their line: they can make a short file huge,
 * or define a line's meaning somewhere else.
 */
import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import { SecretsError } from '../core/errors.ts';
import { checkTokens } from './yaml-tokens.ts';

export type Keys = readonly PropertyKey[];

/** A document as plain values, and the lines of its parts. */
export interface YamlFile {
  readonly value: unknown;
  /** The line of a key, or of the nearest enclosing element that exists. Starts at 1. */
  lineOf(keys: Keys): number;
}

/** Far more than a configuration needs; the library's own recursion ends the process at a few thousand levels. */
const MAX_DEPTH = 24;
/** Keeps parsing the worst text under a second. */
const MAX_TOKENS = 50_000;
/** Names with a special meaning in JavaScript objects; schema libraries silently drop them. */
const RESERVED: ReadonlySet<string> = new Set(['__proto__', 'prototype', 'constructor']);
/** Characters that YAML 1.2 (§5.1) doesn't count as printable, and the bidirectional overrides (CVE-2021-42574). */
const UNPRINTABLE =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/;

type Refuse = (line: number, message: string, hint?: string) => never;

/**
 * @throws SecretsError Usage, naming path and line; never quotes the text, which may be a secret put there by mistake
 */
export function readYaml(bytes: Uint8Array, path: string): YamlFile {
  const refuse: Refuse = (line, message, hint) => {
    throw new SecretsError('Usage', `${path}:${line}: ${message}`, { hint });
  };
  const text = decode(bytes, refuse);
  checkTokens(text, {
    maxDepth: MAX_DEPTH,
    maxTokens: MAX_TOKENS,
    refuse: (line, why) => refuse(line, why, undefined),
    refuseType: (line, type) => {
      const why = NOT_HERE[type];
      if (why !== undefined) refuse(line, why, 'write it out');
    },
  });
  const counter = new LineCounter();
  // The library's own check for duplicate keys takes quadratic time.
  const document = parseDocument(text, { lineCounter: counter, uniqueKeys: false, prettyErrors: false });
  const lineAt = (offset: number): number => Math.max(1, counter.linePos(offset).line);
  const [wrong] = [...document.errors, ...document.warnings];
  if (wrong !== undefined) refuse(lineAt(wrong.pos[0]), `not valid YAML (${wrong.code})`);
  const value = plain(document.contents, (node, message, hint) =>
    refuse(lineAt(offsetOf(node)), message, hint),
  );
  return { value, lineOf: (keys) => lineAt(offsetAt(document, keys)) };
}

function decode(bytes: Uint8Array, refuse: Refuse): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return refuse(firstBadLine(bytes), 'not UTF-8 text', 'save it as UTF-8');
  }
  const bad = UNPRINTABLE.exec(text);
  if (bad !== null) {
    const code = bad[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
    refuse(lineIn(text, bad.index), `a control character (U+${code})`, 'remove it');
  }
  return text;
}

function firstBadLine(bytes: Uint8Array): number {
  let line = 0;
  for (let start = 0; start <= bytes.length;) {
    line += 1;
    const end = bytes.indexOf(10, start);
    const part = bytes.subarray(start, end === -1 ? bytes.length : end);
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(part);
    } catch {
      return line;
    }
    if (end === -1) break;
    start = end + 1;
  }
  return line;
}

function lineIn(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < index; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}

const NOT_HERE: Readonly<Record<string, string>> = {
  anchor: 'anchors, aliases and merge keys are not used here',
  alias: 'anchors, aliases and merge keys are not used here',
  tag: 'tags are not used here',
  'directive-line': 'directives are not used here',
};

/** Converts to maps without a prototype, lists, strings, numbers, booleans and nulls. */
function plain(node: unknown, refuse: (node: unknown, message: string, hint?: string) => never): unknown {
  if (node === null) return null;
  if (isScalar(node)) return typeof node.value === 'string' ? text(node.value, node, refuse) : node.value;
  if (isSeq(node)) return node.items.map((item) => plain(item, refuse));
  if (!isMap(node)) return refuse(node, 'neither a map, a list nor a plain value');
  const result = Object.create(null) as Record<string, unknown>;
  for (const { key, value } of node.items) {
    if (!isScalar(key)) return refuse(key ?? node, 'a key must be a plain word');
    if (key.value === '<<') return refuse(key, NOT_HERE['anchor'] as string, 'write it out');
    const name = text(String(key.value), key, refuse);
    if (RESERVED.has(name)) return refuse(key, `${name} can’t be a name`);
    if (Object.hasOwn(result, name)) return refuse(key, 'duplicate key', 'remove one of them');
    result[name] = plain(value, refuse);
  }
  return result;
}

function text(value: string, node: unknown, refuse: (node: unknown, message: string) => never): string {
  return /\p{Surrogate}/u.test(value)
    ? refuse(node, 'an unpaired surrogate, which is not a character')
    : value;
}

function offsetOf(node: unknown): number {
  const range = typeof node === 'object' && node !== null && 'range' in node ? node.range : undefined;
  return Array.isArray(range) && typeof range[0] === 'number' ? range[0] : 0;
}

/** The pairs of a map by key, built once per map, because the line of every variable is requested. */
const pairsOf = new WeakMap<YAMLMap, ReadonlyMap<string, Pair>>();

function pairOf(map: YAMLMap, key: string): Pair | undefined {
  let pairs = pairsOf.get(map);
  if (pairs === undefined) {
    const named = map.items.filter((item) => isScalar(item.key));
    pairs = new Map(named.map((item) => [String((item.key as Scalar).value), item]));
    pairsOf.set(map, pairs);
  }
  return pairs.get(key);
}

function offsetAt(document: Document, keys: Keys): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const key of keys) {
    if (isSeq(node)) {
      node = node.items[Number(key)];
      if (node === undefined) break;
      offset = offsetOf(node);
      continue;
    }
    if (!isMap(node)) break;
    const pair = pairOf(node, String(key));
    if (pair === undefined) break;
    offset = offsetOf(pair.key);
    node = pair.value;
  }
  return offset;
}
