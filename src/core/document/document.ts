/**
 * A JSON document that somebody else wrote: read and changed without touching what nobody asked for.
 *
 * Numbers keep their spelling, keys their order, and every byte outside of a change stays as it was.
 */
import { SecretsError } from '../errors.ts';
import { pointerTokens } from '../reference/reference.ts';
import { decodeUtf8 } from '../utf8.ts';
import { type JsonMember, type JsonNode, JsonSyntaxError, parseTree } from './syntax.ts';

/** A new value of a key: a text, or any JSON value by its source. */
export type NewValue = string | JsonSource;

/** The source text of one JSON value. */
export interface JsonSource {
  readonly json: string;
}

const BYTE_ORDER_MARK = '\ufeff';

export class JsonDocument {
  /** The source, without a byte order mark. */
  readonly text: string;
  readonly root: JsonNode;
  readonly #mark: string;
  #byKey: ReadonlyMap<string, JsonNode> | undefined;

  private constructor(text: string, root: JsonNode, mark: string) {
    this.text = text;
    this.root = root;
    this.#mark = mark;
  }

  /**
   * Parses a document. A byte order mark before it is kept and ignored, as RFC 8259 §8.1 allows.
   * @throws SecretsError Invalid: not UTF-8, not JSON, two equal keys, nested too deep. The message names the
   *   place and quotes no value.
   */
  static parse(source: Uint8Array | string): JsonDocument {
    let text: string;
    try {
      text = typeof source === 'string' ? source : decodeUtf8(source);
    } catch {
      throw new SecretsError('Invalid', 'has no keys: its value is not JSON');
    }
    const mark = text.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK : '';
    text = text.slice(mark.length);
    try {
      return new JsonDocument(text, parseTree(text), mark);
    } catch (thrown) {
      throw thrown instanceof JsonSyntaxError ? explain(thrown, text) : thrown;
    }
  }

  /** A new object with these keys. */
  static of(entries: Iterable<readonly [string, NewValue]>): JsonDocument {
    return JsonDocument.parse('{}').edit(new Map(entries));
  }

  /** The document as UTF-8. */
  get bytes(): Buffer {
    return Buffer.from(this.#mark + this.text);
  }

  get isObject(): boolean {
    return this.root.kind === 'object';
  }

  /** The keys of an object in their order; none for any other document. */
  get keys(): readonly string[] {
    return this.#members().map(({ key }) => key);
  }

  /** The keys of an object with what a reader gets of each. @throws SecretsError Invalid, as `textOf` */
  entries(): readonly (readonly [key: string, text: string])[] {
    return this.#members().map(({ key, value }) => [key, this.textOf(value)]);
  }

  /** The value of a top-level key, literally named. */
  member(key: string): JsonNode | undefined {
    this.#byKey ??= new Map(this.#members().map((member) => [member.key, member.value]));
    return this.#byKey.get(key);
  }

  /**
   * What a reference names: a literal key of an object, or the place of a JSON Pointer (RFC 6901).
   * @throws SecretsError NotFound when there is no such key, Invalid when the document is no object
   */
  select(key: string): JsonNode {
    if (!key.startsWith('/')) {
      if (!this.isObject) throw new SecretsError('Invalid', 'has no keys: its value is not a JSON object');
      const found = this.member(key);
      if (found === undefined) throw missingKey(key, this.keys);
      return found;
    }
    let here: JsonNode = this.root;
    for (const token of pointerTokens(key)) {
      const next = step(here, token);
      if (next === undefined)
        throw missingKey(key, here.kind === 'object' ? here.members.map((member) => member.key) : []);
      here = next;
    }
    return here;
  }

  /**
   * A value as a reader gets it: a string decoded, anything else as it is spelled in the source.
   * @throws SecretsError Invalid for a string with a lone surrogate, which has no UTF-8 form
   */
  textOf(node: JsonNode): string {
    if (node.kind !== 'string') return this.sourceOf(node);
    if (!isWellFormed(node.text))
      throw new SecretsError('Invalid', 'has a value with half of a surrogate pair, which is no text', {
        hint: 'read the whole value without #KEY',
      });
    return node.text;
  }

  /** A value's own source text. */
  sourceOf({ start, end }: JsonNode): string {
    return this.text.slice(start, end);
  }

  /**
   * The document with these keys set, or removed where the new value is `undefined`. New keys go to the end, spaced
   * like the last one. Nothing else changes but the separators that have to; a key that has the value already
   * stays as it is spelled.
   * @throws SecretsError Invalid when the document is no object
   */
  edit(changes: ReadonlyMap<string, NewValue | undefined>): JsonDocument {
    if (this.root.kind !== 'object')
      throw new SecretsError('Invalid', 'its value is not a JSON object, so it has no keys to set', {
        hint: 'write the whole value without #KEY',
      });
    const { members, start } = this.root;
    const pieces: string[] = [];
    let taken = 0;
    const replace = (from: number, to: number, text: string): void => {
      pieces.push(this.text.slice(taken, from), text);
      taken = to;
    };
    const isKept = ({ key }: JsonMember): boolean => !changes.has(key) || changes.get(key) !== undefined;
    const lastKept = members.findLastIndex(isKept);
    for (const [index, member] of members.slice(0, lastKept + 1).entries()) {
      const change = changes.get(member.key);
      if (change !== undefined) {
        if (!this.#has(member.value, change))
          replace(member.value.start, member.value.end, sourceFor(change));
      } else if (!isKept(member)) {
        replace(member.start, (members[index + 1] as JsonMember).start, '');
      }
    }
    const added = [...changes].filter(
      (change): change is [string, NewValue] =>
        change[1] !== undefined && this.member(change[0]) === undefined,
    );
    const tail = members[lastKept]?.value.end ?? start + 1;
    const end = members.at(-1)?.value.end ?? start + 1;
    if (added.length > 0 || end > tail) replace(tail, end, this.#addition(added, lastKept === -1));
    pieces.push(this.text.slice(taken));
    return JsonDocument.parse(this.#mark + pieces.join(''));
  }

  /**
   * Whether two documents read the same: equal keys in any order, and values that a reader gets the same text of.
   * Numbers are compared by their spelling: 1.10 and 1.1 are two prices to whoever reads text, and taking two values
   * for one would lose the second. White space and the escapes of strings don't count.
   */
  equals(other: JsonDocument): boolean {
    return this.canonical(this.root) === other.canonical(other.root);
  }

  /** One text for all ways to write a value, in the sense of `equals`. */
  canonical(node: JsonNode): string {
    return this.#write(node, (members) => members.toSorted((a, b) => (a.key < b.key ? -1 : 1)));
  }

  /** A value without white space, its strings without needless escapes; numbers and the order of keys stay. */
  compact(node: JsonNode = this.root): string {
    return this.#write(node, (members) => members);
  }

  /** Nesting is bounded, so this may recurse. */
  #write(node: JsonNode, order: (members: readonly JsonMember[]) => readonly JsonMember[]): string {
    if (node.kind === 'string') return JSON.stringify(node.text);
    if (node.kind === 'array') return `[${node.items.map((item) => this.#write(item, order)).join()}]`;
    if (node.kind !== 'object') return this.sourceOf(node);
    const members = order(node.members).map(
      ({ key, value }) => `${JSON.stringify(key)}:${this.#write(value, order)}`,
    );
    return `{${members.join()}}`;
  }

  #members(): readonly JsonMember[] {
    return this.root.kind === 'object' ? this.root.members : [];
  }

  #has(node: JsonNode, change: NewValue): boolean {
    return typeof change === 'string'
      ? node.kind === 'string' && node.text === change
      : this.sourceOf(node) === change.json;
  }

  /** New members, each with the white space of the document's last one. */
  #addition(added: readonly (readonly [string, NewValue])[], isFirst: boolean): string {
    const last = this.#members().at(-1);
    const before = last === undefined ? '' : this.#spaceBefore(last.start);
    const colon = last === undefined ? ':' : this.text.slice(last.keyEnd, last.value.start);
    const texts = added.map(([key, value]) => `${before}${JSON.stringify(key)}${colon}${sourceFor(value)}`);
    return `${isFirst || texts.length === 0 ? '' : ','}${texts.join()}`;
  }

  #spaceBefore(end: number): string {
    let start = end;
    while (start > 0 && ' \t\n\r'.includes(this.text.charAt(start - 1))) start -= 1;
    return this.text.slice(start, end);
  }
}

/** The source of a JSON value for a text or a value that is given by its source already. */
export function sourceFor(value: NewValue): string {
  return typeof value === 'string' ? JSON.stringify(value) : value.json;
}

/** Whether a text has a UTF-8 form: no half of a surrogate pair stands alone. */
export function isWellFormed(text: string): boolean {
  return !/[\ud800-\udfff]/u.test(text);
}

function step(node: JsonNode, token: string): JsonNode | undefined {
  if (node.kind === 'object') return node.members.find(({ key }) => key === token)?.value;
  if (node.kind !== 'array' || !/^(0|[1-9]\d*)$/.test(token)) return undefined;
  return node.items[Number(token)];
}

function missingKey(key: string, known: readonly string[]): SecretsError {
  const hint = known.length === 0 ? undefined : `its keys are ${known.slice(0, 10).join(', ')}`;
  return new SecretsError('NotFound', `has no key ${key}`, { hint });
}

function explain({ reason, message }: JsonSyntaxError, text: string): SecretsError {
  if (reason === 'depth') return new SecretsError('Invalid', `its value has ${message}`);
  if (reason === 'duplicate')
    return new SecretsError('Invalid', `its value is ambiguous JSON: ${message}`, {
      hint: 'write the whole value with the key once',
    });
  // The place helps with what was meant to be a document, and only irritates with any other text.
  const place = /^[\t\n\r ]*[[{]/.test(text) ? `: ${message}` : '';
  return new SecretsError('Invalid', `has no keys: its value is not JSON${place}`);
}
