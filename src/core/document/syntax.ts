/**
 * Parses JSON (RFC 8259) into a tree with the position of each value in the source.
 *
 * `JSON.parse` isn't enough: it rounds numbers, reorders keys that look like integers, and lets the last of duplicate
 * keys win. Tokens come from jsonc-parser's scanner: it has no dependencies, gives offsets and reports every token
 * that JSON forbids. Its own parsers and editor aren't used because they recurse on nesting and accept duplicate
 * keys. `JSON.parse` with source access needs a newer Node than the oldest one supported, and gives no offsets.
 */
import { createScanner } from 'jsonc-parser';

/** A value and its range: `start` to before `end`, in UTF-16 units of the source. */
export type JsonNode = { readonly start: number; readonly end: number } & (
  | { readonly kind: 'object'; readonly members: readonly JsonMember[] }
  | { readonly kind: 'array'; readonly items: readonly JsonNode[] }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'number' | 'literal' }
);

/** A key of an object, decoded, with its range and value. */
export interface JsonMember {
  readonly key: string;
  readonly start: number;
  readonly keyEnd: number;
  readonly value: JsonNode;
}

/** Why a text can't be parsed. Contains positions and key names, never a value. */
export class JsonSyntaxError extends Error {
  readonly reason: 'syntax' | 'duplicate' | 'depth';

  constructor(reason: JsonSyntaxError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/**
 * Deepest nesting accepted. RFC 8259 §9 lets a parser set a limit; anything deeper is an attack on a recursive reader
 * later on, not a secret.
 */
export const MAX_DEPTH = 1000;

// The library declares its token kinds as a const enum, which isolated modules can't use.
const OPEN_BRACE = 1;
const CLOSE_BRACE = 2;
const OPEN_BRACKET = 3;
const CLOSE_BRACKET = 4;
const COMMA = 5;
const COLON = 6;
const NULL = 7;
const STRING = 10;
const NUMBER = 11;
const END = 17;

type Open = { readonly start: number } & (
  | {
      readonly kind: 'object';
      readonly members: JsonMember[];
      readonly places: Map<string, number>;
      pending: Omit<JsonMember, 'value'> | undefined;
    }
  | { readonly kind: 'array'; readonly items: JsonNode[] }
);

/**
 * Parses one JSON text.
 * @throws JsonSyntaxError for anything but exactly one JSON value, for an object with duplicate keys, and for nesting
 *   deeper than MAX_DEPTH
 */
export function parseTree(text: string): JsonNode {
  return new TreeParser(text).parse();
}

/** Loops with its own stack, because recursion would overflow the call stack on hostile nesting. */
class TreeParser {
  readonly #text: string;
  readonly #scanner: ReturnType<typeof createScanner>;
  readonly #open: Open[] = [];
  #token = END;

  constructor(text: string) {
    this.#text = text;
    // Skips white space; comments, which the scanner would skip too, are rejected in `#next`.
    this.#scanner = createScanner(text, false);
  }

  parse(): JsonNode {
    this.#next();
    for (;;) {
      let done = this.#begin();
      while (done !== undefined) {
        const parent = this.#open.at(-1);
        if (parent === undefined) {
          if (this.#token !== END) throw this.#unexpected('text after the end of the document');
          return done;
        }
        done = this.#attach(parent, done);
      }
    }
  }

  /** Starts a value. Returns it if it is complete, `undefined` if it is a container that was just opened. */
  #begin(): JsonNode | undefined {
    const start = this.#scanner.getTokenOffset();
    const end = start + this.#scanner.getTokenLength();
    const token = this.#token;
    if (token === OPEN_BRACE || token === OPEN_BRACKET) return this.#enter(token, start);
    if (token < NULL || token > NUMBER) throw this.#unexpected('a value is missing');
    const text = token === STRING ? this.#scanner.getTokenValue() : '';
    this.#next();
    if (token === STRING) return { kind: 'string', start, end, text };
    return { kind: token === NUMBER ? 'number' : 'literal', start, end };
  }

  #enter(token: number, start: number): JsonNode | undefined {
    if (this.#open.length === MAX_DEPTH)
      throw new JsonSyntaxError('depth', `more than ${MAX_DEPTH} levels of nesting`);
    this.#next();
    const opened: Open =
      token === OPEN_BRACE
        ? { kind: 'object', start, members: [], places: new Map(), pending: undefined }
        : { kind: 'array', start, items: [] };
    this.#open.push(opened);
    if (this.#token === closing(opened)) return this.#close(opened);
    if (opened.kind === 'object') this.#key(opened);
    return undefined;
  }

  /** Adds a complete value to its container. Returns the container if that completes it. */
  #attach(parent: Open, value: JsonNode): JsonNode | undefined {
    if (parent.kind === 'array') parent.items.push(value);
    else if (parent.pending !== undefined) parent.members.push({ ...parent.pending, value });
    if (this.#token === COMMA) {
      this.#next();
      if (parent.kind === 'object') this.#key(parent);
      return undefined;
    }
    if (this.#token === closing(parent)) return this.#close(parent);
    throw this.#unexpected(`neither a comma nor the end of the ${parent.kind}`);
  }

  #close(closed: Open): JsonNode {
    const end = this.#scanner.getTokenOffset() + this.#scanner.getTokenLength();
    this.#open.pop();
    this.#next();
    const { start } = closed;
    return closed.kind === 'array'
      ? { kind: 'array', start, end, items: closed.items }
      : { kind: 'object', start, end, members: closed.members };
  }

  #key(parent: Open & { kind: 'object' }): void {
    if (this.#token !== STRING) throw this.#unexpected('a key in double quotes is missing');
    const key = this.#scanner.getTokenValue();
    const start = this.#scanner.getTokenOffset();
    const keyEnd = start + this.#scanner.getTokenLength();
    const first = parent.places.get(key);
    if (first !== undefined)
      throw new JsonSyntaxError(
        'duplicate',
        `the key ${JSON.stringify(key.slice(0, 100))} is there twice, at ${this.#place(first)} and ${this.#place(start)}`,
      );
    parent.places.set(key, start);
    parent.pending = { key, start, keyEnd };
    this.#next();
    if (!this.#at(COLON)) throw this.#unexpected('a colon is missing after the key');
    this.#next();
  }

  /** A method, because the compiler doesn't see that `#next` changes the token. */
  #at(token: number): boolean {
    return this.#token === token;
  }

  #next(): void {
    do this.#token = this.#scanner.scan();
    while (isWhiteSpace(this.#token));
    const error: number = this.#scanner.getTokenError();
    if (error > 0) throw this.#unexpected('a malformed string or number');
  }

  #unexpected(what: string): JsonSyntaxError {
    return new JsonSyntaxError('syntax', `${this.#place(this.#scanner.getTokenOffset())}: ${what}`);
  }

  #place(offset: number): string {
    const lines = this.#text.slice(0, offset).split(/\r\n|\r|\n/);
    return `line ${lines.length}, column ${[...(lines.at(-1) ?? '')].length + 1}`;
  }
}

function closing({ kind }: Open): number {
  return kind === 'object' ? CLOSE_BRACE : CLOSE_BRACKET;
}

/** Kinds 14 and 15 are line breaks and other white space. The scanner's white space is that of RFC 8259 §2. */
function isWhiteSpace(token: number): boolean {
  return token === 14 || token === 15;
}
