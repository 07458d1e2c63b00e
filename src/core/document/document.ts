/**
 * A JSON document that somebody else wrote: reads and changes it without touching anything else.
 *
 * Numbers keep their spelling, keys their order, and every byte outside a change stays as it was.
 */
import { SecretsError } from '../errors.ts';
import { pointerTokens } from '../reference/reference.ts';
import { decodeUtf8 } from '../utf8.ts';
import { type JsonMember, type JsonNode, JsonSyntaxError, parseTree } from './syntax.ts';

/** A new value for a key: a text, or any JSON value as source. */
export type NewValue = string | JsonSource;

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
   * Parses a document. A byte order mark is kept and ignored, as RFC 8259 §8.1 allows.
   * @throws SecretsError Invalid: not UTF-8, not JSON, duplicate keys, nested too deep. The message names the place
   *   and quotes no value.
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

  static of(entries: Iterable<readonly [string, NewValue]>): JsonDocument {
    return JsonDocument.parse('{}').edit(new Map(entries));
  }

  get bytes(): Buffer {
    return Buffer.from(this.#mark + this.text);
  }

  get isObject(): boolean {
    return this.root.kind === 'object';
  }

  /** The keys of an object in order; empty for any other document. */
  get keys(): readonly string[] {
    return this.#members().map(({ key }) => key);
  }

  /** The keys of an object and their texts. @throws SecretsError Invalid, as `textOf` */
  entries(): readonly (readonly [key: string, text: string])[] {
    return this.#members().map(({ key, value }) => [key, this.textOf(value)]);
  }

  /** The value of a top-level key, by its exact name. */
  member(key: string): JsonNode | undefined {
    this.#byKey ??= new Map(this.#members().map((member) => [member.key, member.value]));
    return this.#byKey.get(key);
  }

  /**
   * The value that a reference names: a key of an object, or the place of a JSON Pointer (RFC 6901).
   * @throws SecretsError NotFound if there is no such key, Invalid if the document isn't an object
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
   * A value as readers get it: strings are decoded, everything else as spelled in the source.
   * @throws SecretsError Invalid for a string with a lone surrogate, which UTF-8 can't represent
   */
  textOf(node: JsonNode): string {
    if (node.kind !== 'string') return this.sourceOf(node);
    if (!isWellFormed(node.text))
      throw new SecretsError('Invalid', 'has a value with an unpaired surrogate, which is not text', {
        hint: 'read the whole value without #KEY',
      });
    return node.text;
  }

  sourceOf({ start, end }: JsonNode): string {
    return this.text.slice(start, end);
  }

  /**
   * Sets these keys, or removes them if the new value is `undefined`. New keys are added at the end, spaced like the
   * last one. Nothing else changes except necessary separators; a key that already has the value keeps its spelling.
   * @throws SecretsError Invalid if the document isn't an object
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
   * Whether two documents read the same: the same keys in any order, and values with the same text. Numbers are
   * compared by spelling: to whoever reads text, 1.10 and 1.1 are two prices, and treating them as equal would lose
   * one. White space and string escapes don't matter.
   */
  equals(other: JsonDocument): boolean {
    return this.canonical(this.root) === other.canonical(other.root);
  }

  /** The same text for all spellings of a value, in the sense of `equals`. */
  canonical(node: JsonNode): string {
    return this.#write(node, (members) => members.toSorted((a, b) => (a.key < b.key ? -1 : 1)));
  }

  /** A value without white space and needless string escapes; numbers and the order of keys stay. */
  compact(node: JsonNode = this.root): string {
    return this.#write(node, (members) => members);
  }

  /** May recurse, because nesting is bounded. */
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

/** The JSON source of a new value. */
export function sourceFor(value: NewValue): string {
  return typeof value === 'string' ? JSON.stringify(value) : value.json;
}

/** Whether a text can be represented in UTF-8: it has no lone surrogates. */
export function isWellFormed(text: string): boolean {
  return !/[\ud800-\udfff]/u.test(text);
}

function step(node: JsonNode, token: string): JsonNode | undefined {
  if (node.kind === 'object') return node.members.find(({ key }) => key === token)?.value;
  if (node.kind !== 'array' || !/^(0|[1-9]\d*)$/.test(token)) return undefined;
  return node.items[Number(token)];
}

function missingKey(key: string, known: readonly string[]): SecretsError {
  const hint =
    known.length === 0
      ? undefined
      : `its keys are ${known
          .slice(0, 10)
          .map((key) => key || '""')
          .join(', ')}`;
  return new SecretsError('NotFound', `has no key ${key}`, { hint });
}

function explain({ reason, message }: JsonSyntaxError, text: string): SecretsError {
  if (reason === 'depth') return new SecretsError('Invalid', `its value has ${message}`);
  if (reason === 'duplicate')
    return new SecretsError('Invalid', `its value is ambiguous JSON: ${message}`, {
      hint: 'write the whole value with the key once',
    });
  // The position helps with what was meant to be a document, and only confuses with any other text.
  const place = /^[\t\n\r ]*[[{]/.test(text) ? `: ${message}` : '';
  return new SecretsError('Invalid', `has no keys: its value is not JSON${place}`);
}
