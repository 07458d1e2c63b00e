/** YAML files with the source text of their scalars (YAML 1.2, core schema). */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  parseAllDocuments,
  type Scalar,
} from 'yaml';
import { checkTokens } from '../config/yaml-tokens.ts';
import { type FileValue, plainScalar } from './documents.ts';
import { type FileProblems, lineAt, lineCounter } from './problems.ts';

/** Far more than files of names and values need, and no more than the parser can handle. */
const MAX_DEPTH = 64;
const MAX_TOKENS = 1_000_000;
/** Limits how many values aliases may repeat: a few lines could expand to billions. */
const MAX_REPEATED = 100_000;
/** The tags of the core schema (YAML 1.2.2, 10.3), and `binary` from YAML's type repository. */
const TAG = 'tag:yaml.org,2002:';
const SCALAR_TAGS = ['str', 'int', 'float', 'bool', 'null', 'binary'].map((name) => TAG + name);

/** @throws SecretsError Invalid */
export function yamlFile(text: string, problems: FileProblems): readonly FileValue[] {
  checkTokens(text, {
    maxDepth: MAX_DEPTH,
    maxTokens: MAX_TOKENS,
    refuse: (line, why) => {
      throw problems.at(line, `can’t be read: ${why}`);
    },
  });
  // The library's own check for duplicate keys takes quadratic time, and its warnings would go to stderr.
  const parsed = parseAllDocuments(text, {
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
    schema: 'core',
  });
  const documents: readonly Document.Parsed[] = Array.isArray(parsed) ? parsed : [];
  const lineOf = lineCounter(text);
  const values = documents.map((document) => new Converter(document, text, problems, lineOf).convert());
  // A `---` at the end of a file starts an empty document.
  const filled = values.filter(({ kind }) => kind !== 'null');
  return filled.length === 0 ? values.slice(0, 1) : filled;
}

class Converter {
  readonly #document: Document.Parsed;
  readonly #text: string;
  readonly #problems: FileProblems;
  readonly #lineOf: (offset: number) => number;
  /** Nodes that are currently being converted: an alias to one of them would recurse forever. */
  readonly #open = new Set<unknown>();
  readonly #anchors = new Map<string, unknown>();
  #repeated = 0;
  #inAlias = 0;
  #line = 1;

  constructor(
    document: Document.Parsed,
    text: string,
    problems: FileProblems,
    lineOf: (offset: number) => number,
  ) {
    this.#document = document;
    this.#text = text;
    this.#problems = problems;
    this.#lineOf = lineOf;
  }

  convert(): FileValue {
    const [wrong] = this.#document.errors;
    // The parser's own message may quote the file's text.
    if (wrong !== undefined) {
      throw this.#problems.at(
        lineAt(this.#text, wrong.pos[0]),
        `is not valid YAML (${wrong.code})${templateNote(this.#text)}`,
      );
    }
    return this.#value(this.#document.contents);
  }

  #value(node: unknown): FileValue {
    const line = this.#at(node);
    if (this.#inAlias > 0 && (this.#repeated += 1) > MAX_REPEATED)
      throw this.#problems.at(line, 'has too many aliases');
    if (node === null || node === undefined) return { kind: 'null', line };
    if (isAlias(node)) return this.#resolve(node, line);
    this.#remember(node);
    if (isScalar(node)) return this.#scalar(node, line);
    if (!isMap(node) && !isSeq(node)) throw this.#problems.at(line, 'has a value of an unknown kind');
    if (node.tag !== undefined && node.tag !== `${TAG}${isMap(node) ? 'map' : 'seq'}`)
      throw this.#foreignTag(line);
    if (this.#open.size === MAX_DEPTH)
      throw this.#problems.at(line, `nested more than ${MAX_DEPTH} levels deep`);
    if (this.#open.has(node)) throw this.#problems.at(line, 'has an alias of what it is part of');
    this.#open.add(node);
    const value: FileValue = isMap(node)
      ? { kind: 'map', entries: this.#entries(node.items), line }
      : { kind: 'list', items: node.items.map((item) => this.#value(item)), line };
    this.#open.delete(node);
    return value;
  }

  #entries(
    items: readonly { readonly key: unknown; readonly value: unknown }[],
  ): ReadonlyMap<string, FileValue> {
    const entries = new Map<string, FileValue>();
    for (const { key, value } of items) {
      const line = this.#at(key);
      const name = this.#key(key, line);
      if (entries.has(name))
        throw this.#problems.at(
          line,
          `is not valid YAML (DUPLICATE_KEY): ${JSON.stringify(name.slice(0, 100))}`,
        );
      entries.set(name, this.#value(value));
    }
    return entries;
  }

  /** A key by its source text, like values. */
  #key(key: unknown, line: number): string {
    const value = this.#value(key);
    if (value.kind === 'text' || value.kind === 'literal') {
      const name = value.kind === 'text' ? value.text : value.json;
      // A merge key (YAML 1.1) stands for the keys of other maps.
      if (name === '<<' && isScalar(key) && key.type === 'PLAIN')
        throw this.#problems.at(line, 'has a merge key (<<), which is not part of YAML 1.2');
      return name;
    }
    throw this.#problems.at(line, `has a key that is not a name${templateNote(this.#text)}`);
  }

  #resolve(alias: Alias, line: number): FileValue {
    // The library's own `resolve` traverses the whole document each time.
    const target = this.#anchors.get(alias.source);
    if (target === undefined) throw this.#problems.at(line, 'has an alias of an unknown anchor');
    this.#inAlias += 1;
    const value = this.#value(target);
    this.#inAlias -= 1;
    return value;
  }

  /** An alias refers to the last preceding anchor of its name (YAML 1.2.2, 3.2.2.2). */
  #remember(node: unknown): void {
    const { anchor } = node as { readonly anchor?: string };
    if (anchor !== undefined && this.#inAlias === 0) this.#anchors.set(anchor, node);
  }

  #scalar({ source = '', type, tag }: Scalar, line: number): FileValue {
    if (tag === '!' || tag === `${TAG}str`) return { kind: 'text', text: source, line };
    if (tag !== undefined && !SCALAR_TAGS.includes(tag)) throw this.#foreignTag(line);
    if (tag === `${TAG}binary`) return { kind: 'bytes', bytes: this.#base64(source, line), line };
    return type === 'PLAIN' || tag !== undefined
      ? plainScalar(source, line)
      : { kind: 'text', text: source, line };
  }

  #base64(source: string, line: number): Uint8Array {
    const bytes = decodeBase64(source);
    if (bytes === undefined) throw this.#problems.at(line, 'has !!binary that is not base64');
    return bytes;
  }

  #foreignTag(line: number): Error {
    return this.#problems.at(
      line,
      'has a tag that YAML’s core schema doesn’t know',
      'write the value itself, without the tag',
    );
  }

  #at(node: unknown): number {
    const { range } = (node ?? {}) as { readonly range?: readonly number[] | null };
    // Offsets ascend except inside an alias, where the alias's own line is reported.
    if (this.#inAlias === 0 && range !== undefined && range !== null)
      this.#line = this.#lineOf(range[0] ?? 0);
    return this.#line;
  }
}

/** RFC 4648 §4, with white space allowed anywhere. */
export function decodeBase64(source: string): Buffer | undefined {
  const text = source.replaceAll(/\s/g, '');
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  return Buffer.from(text, 'base64');
}

function templateNote(text: string): string {
  return /\{\{|\{%|<%/.test(text) ? '; it may be a template: render it first' : '';
}
