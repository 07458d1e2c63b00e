/** JSON and YAML files as values with their source text, so that `0042` or `1.10` isn't rounded. */
import { isWellFormed } from '../core/document/document.ts';
import { type JsonNode, JsonSyntaxError, parseTree } from '../core/document/syntax.ts';
import { decodeUtf8 } from '../core/utf8.ts';
import { type FileProblems, lineCounter } from './problems.ts';

/** A value of a file and the line where it starts. */
export type FileValue = { readonly line: number } & (
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** A number or boolean as its source text, which is valid JSON. */
  | { readonly kind: 'literal'; readonly json: string }
  | { readonly kind: 'null' }
  | { readonly kind: 'map'; readonly entries: ReadonlyMap<string, FileValue>; readonly json?: string }
  | { readonly kind: 'list'; readonly items: readonly FileValue[]; readonly json?: string }
);

/** RFC 8259 §6. */
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** @throws SecretsError Invalid */
export function jsonFile(source: string, problems: FileProblems): FileValue {
  const text = source.replace(/^\ufeff/, '');
  let root: JsonNode;
  try {
    root = parseTree(text);
  } catch (thrown) {
    if (!(thrown instanceof JsonSyntaxError)) throw thrown;
    const [, line, rest = ''] = /^line (\d+), (column [^]*)$/.exec(thrown.message) ?? [];
    if (line === undefined) throw problems.whole(`is not valid JSON: ${thrown.message}`);
    throw problems.at(Number(line), `is not valid JSON: ${rest}`);
  }
  const lineOf = lineCounter(text);
  // The parser limits the nesting depth.
  const convert = (node: JsonNode): FileValue => {
    const line = lineOf(node.start);
    const json = text.slice(node.start, node.end);
    if (node.kind === 'string') return { kind: 'text', text: node.text, line };
    if (node.kind === 'array') return { kind: 'list', items: node.items.map(convert), json, line };
    if (node.kind === 'object') {
      const entries = node.members.map(({ key, value }) => [key, convert(value)] as const);
      return { kind: 'map', entries: new Map(entries), json, line };
    }
    return json === 'null' ? { kind: 'null', line } : { kind: 'literal', json, line };
  };
  return convert(root);
}

/** The JSON form of a value: its own source text if the file is JSON. @throws SecretsError Invalid for bytes */
export function jsonOf(value: FileValue, problems: FileProblems): string {
  switch (value.kind) {
    case 'text':
      return JSON.stringify(value.text);
    case 'literal':
      return value.json;
    case 'null':
      return 'null';
    case 'bytes':
      throw problems.at(value.line, 'has !!binary inside a value, which becomes JSON and can’t hold bytes');
    case 'list':
      return value.json ?? `[${value.items.map((item) => jsonOf(item, problems)).join()}]`;
    case 'map':
      return (
        value.json ??
        `{${[...value.entries].map(([key, item]) => `${JSON.stringify(key)}:${jsonOf(item, problems)}`).join()}}`
      );
  }
}

/** A plain YAML scalar by its source text: a JSON literal if it is one in both languages, otherwise text. */
export function plainScalar(source: string, line: number): FileValue {
  if (/^(?:~|null|Null|NULL|)$/.test(source)) return { kind: 'null', line };
  if (source === 'true' || source === 'false' || JSON_NUMBER.test(source))
    return { kind: 'literal', json: source, line };
  return { kind: 'text', text: source, line };
}

/** @throws SecretsError Invalid for text without a valid UTF-8 form: different bytes would be stored */
export function checkText(text: string, line: number, problems: FileProblems): string {
  if (!isWellFormed(text)) throw problems.at(line, 'has an unpaired surrogate, which is not text');
  return text;
}

/** Decodes UTF-8. @throws SecretsError Invalid */
export function textOfFile(bytes: Uint8Array, problems: FileProblems): string {
  try {
    return decodeUtf8(bytes);
  } catch {
    throw problems.whole('is not UTF-8 text');
  }
}
