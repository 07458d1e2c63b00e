/**
 * Edits of a secret's resource policy as text: one statement comes or goes, and every other byte stays. AWS keeps the
 * text as it was sent, and its owner may have laid it out, or written numbers and keys, in a form of their own.
 */
import { JsonSyntaxError, type JsonNode, parseTree } from '../../core/document/syntax.ts';
import { SecretsError } from '../../core/errors.ts';
import { isJsonObject, type JsonValue } from '../../core/json.ts';

export type Statement = { readonly [key: string]: JsonValue };

interface Place {
  readonly start: number;
  readonly end: number;
  readonly statement: Statement;
}

interface Statements {
  /** The value of `Statement`; undefined if there is none. */
  readonly node: JsonNode | undefined;
  readonly root: JsonNode & { readonly kind: 'object' };
  readonly places: readonly Place[];
}

/** @throws SecretsError Invalid for a text that isn't a policy */
function read(text: string): Statements {
  let root: JsonNode;
  try {
    root = parseTree(text);
  } catch (thrown) {
    if (!(thrown instanceof JsonSyntaxError)) throw thrown;
    throw notAPolicy(thrown.message);
  }
  if (root.kind !== 'object') throw notAPolicy('it is not a JSON object');
  const node = root.members.find(({ key }) => key === 'Statement')?.value;
  const items = node === undefined ? [] : node.kind === 'array' ? node.items : [node];
  const places = items.map(({ start, end }) => {
    const statement: unknown = JSON.parse(text.slice(start, end));
    if (!isJsonObject(statement)) throw notAPolicy('a statement is not a JSON object');
    return { start, end, statement };
  });
  return { node, root, places };
}

export function statementsIn(text: string): readonly Statement[] {
  return read(text).places.map(({ statement }) => statement);
}

/** The text with this statement added at the end; a new policy if there is none. */
export function withStatement(text: string | undefined, statement: Statement): string {
  if (text === undefined || text.trim() === '')
    return JSON.stringify({ Version: '2012-10-17', Statement: [statement] }, null, 2);
  const { node, root, places } = read(text);
  const source = JSON.stringify(statement);
  if (node === undefined) {
    const comma = root.members.length === 0 ? '' : ',';
    return `${text.slice(0, root.end - 1)}${comma}"Statement":[${source}]${text.slice(root.end - 1)}`;
  }
  if (node.kind !== 'array')
    return `${text.slice(0, node.start)}[${text.slice(node.start, node.end)},${source}]${text.slice(node.end)}`;
  const last = places.at(-1);
  if (last === undefined) return `${text.slice(0, node.start + 1)}${source}${text.slice(node.end - 1)}`;
  // Set off as the last statement is.
  const before = places.at(-2);
  const gap = text.slice(before?.end ?? node.start + 1, last.start).replace(/^\s*,/, '');
  return `${text.slice(0, last.end)},${gap}${source}${text.slice(last.end)}`;
}

/** The text without the statements of this id; undefined if no statement is left. */
export function withoutStatement(text: string, sid: string): string | undefined {
  const { places, node } = read(text);
  const index = places.findIndex(({ statement }) => statement['Sid'] === sid);
  const found = places[index];
  if (found === undefined) return text;
  if (places.length === 1 || node?.kind !== 'array') return undefined;
  const previous = places[index - 1];
  const next = places[index + 1];
  // With the comma that separates it: the one before it, as it was added, or for the first one the one after it.
  const [from, to] =
    previous === undefined ? [found.start, next?.start ?? found.end] : [previous.end, found.end];
  return withoutStatement(text.slice(0, from) + text.slice(to), sid);
}

function notAPolicy(why: string): SecretsError {
  return new SecretsError('Invalid', `its resource policy can’t be edited: ${why}`, {
    hint: 'repair it first: aws secretsmanager get-resource-policy',
  });
}
