/**
 * Replaces secrets in a JSON secret: in the rotated keys and in every other place that contains one of the old
 * secrets. If one place had the new password and another the old one, whoever reads the latter would be locked out.
 */
import { type JsonDocument, sourceFor } from '../document/document.ts';
import type { JsonNode } from '../document/syntax.ts';
import { SecretsError } from '../errors.ts';
import { Masker } from '../redaction/redactor.ts';
import { isStructured, readText, replaceText, type TextForm } from './read.ts';

/** The path of a value: keys and indices from the top. */
type Path = readonly (string | number)[];

interface Leaf {
  readonly path: Path;
  readonly node: JsonNode;
  readonly text: string;
}

/** What a rotated key contains now: the password of the URL in it, or its text. */
export interface RotatedKey {
  readonly key: string;
  /** `undefined` if the secret doesn't have the key yet. */
  readonly old: string | undefined;
}

/**
 * Reads the keys to rotate.
 * @throws SecretsError Invalid if a key's value has an unknown form
 */
export function rotatedKeys(document: JsonDocument, keys: readonly string[]): readonly RotatedKey[] {
  return keys.map((key) => {
    const node = document.member(key);
    if (node === undefined || isNull(document, node)) return { key, old: undefined };
    const text = textIn(document, node);
    if (text === undefined)
      throw new SecretsError('Invalid', `the value of key ${key} is not text`, {
        hint: 'name a key that holds the password itself',
      });
    return { key, old: node.kind === 'string' ? formOf(key, text).password : text };
  });
}

/**
 * Writes the new secrets and leaves every other byte as it was.
 * @param secrets the new secret of each rotated key
 * @param username the user of the new password, if it is a different one
 * @throws SecretsError Invalid naming the places that contain an old secret in a form that isn't understood
 */
export function replaceSecrets(
  document: JsonDocument,
  rotated: readonly RotatedKey[],
  secrets: ReadonlyMap<string, string>,
  username?: string,
): JsonDocument {
  const added = new Map<string, string>();
  const edits: (readonly [JsonNode, string])[] = [];
  for (const { key } of rotated) {
    const secret = secrets.get(key);
    if (secret === undefined) throw new TypeError('each key has a secret');
    const node = document.member(key);
    if (node === undefined) added.set(key, secret);
    else
      edits.push([
        node,
        node.kind === 'string' ? replaceText(formOf(key, node.text), secret, username) : secret,
      ]);
  }
  const stale: string[] = [];
  const pairs = rotated.flatMap(({ key, old }) =>
    old === undefined || old === ''
      ? []
      : [
          {
            old,
            secret: secrets.get(key) as string,
            spellings: old.length < CERTAIN ? undefined : new Masker([Buffer.from(old)]),
          },
        ],
  );
  const own = ['username', 'user']
    .flatMap((name) => document.member(name) ?? [])
    .find(({ kind }) => kind === 'string');
  const ownName = own && textIn(document, own);
  for (const { path, node, text } of leavesOf(document, document.root)) {
    if (path.length === 1 && secrets.has(String(path[0]))) continue;
    const holder = pairs.find((pair) => holds(path, text, pair));
    if (holder === undefined) continue;
    const value = followed(path, text, { ...holder, own: ownName, username });
    if (value === undefined) stale.push(nameOf(path));
    else edits.push([node, value]);
  }
  if (stale.length === 0) return written(document, edits).edit(added);
  throw new SecretsError(
    'Invalid',
    `the old value is also in ${stale.join(', ')}, where it can't be replaced`,
    {
      hint: 'remove it there, or write it as a connection URL or under a key with password in its name',
    },
  );
}

/** The document with these values replaced, at any depth. */
function written(document: JsonDocument, edits: readonly (readonly [JsonNode, string])[]): JsonDocument {
  const members = document.root.kind === 'object' ? document.root.members : [];
  const changes = members.flatMap(({ key, value: { start, end } }) => {
    const inside = edits.filter(([node]) => node.start >= start && node.end <= end);
    if (inside.length === 0) return [];
    const json = inside
      .toSorted(([one], [other]) => other.start - one.start)
      .reduce(
        (source, [node, text]) =>
          source.slice(0, node.start - start) + sourceFor(text) + source.slice(node.end - start),
        document.text.slice(start, end),
      );
    return [[key, { json }] as const];
  });
  return document.edit(new Map(changes));
}

/** The text of a string or a number. */
function textIn(document: JsonDocument, node: JsonNode): string | undefined {
  if (node.kind === 'string') return node.text;
  const source = document.sourceOf(node);
  return /^[-\d]/.test(source) ? source : undefined;
}

function isNull(document: JsonDocument, node: JsonNode): boolean {
  return document.sourceOf(node) === 'null';
}

function formOf(key: string, value: string): TextForm {
  try {
    return readText(value);
  } catch (thrown) {
    if (!(thrown instanceof SecretsError)) throw thrown;
    throw new SecretsError('Invalid', `${key}: ${thrown.message}`, { hint: thrown.hint });
  }
}

/** Keys whose value isn't secret, though part of a sign-in, and may equal the password by coincidence. */
const PUBLIC =
  /^(?:username|user|host|hostname|server|port|dbname|database|db|engine|dialect|schema|region|masterarn|(?:db)?(?:instance|cluster)identifier|public-key|csr)$/i;
const PASSWORD = /pass|pwd|secret|token/i;

/** The text with the new secret, or `undefined` if the old one isn't in a place that is understood. */
function followed(
  path: Path,
  text: string,
  {
    old,
    secret,
    own,
    username,
  }: { old: string; secret: string; own: string | undefined; username: string | undefined },
): string | undefined {
  const form = attempt(text);
  if (form?.password !== old) return undefined;
  if (!isStructured(form)) return PASSWORD.test(String(path.at(-1))) ? replaceText(form, secret) : undefined;
  // A different user's, who has the same password.
  if (own !== undefined && form.username !== undefined && form.username !== own) return undefined;
  return replaceText(form, secret, form.username === undefined ? undefined : username);
}

function attempt(text: string): TextForm | undefined {
  try {
    return readText(text);
  } catch {
    return undefined;
  }
}

/** An old secret of at least this length isn't found in another text by coincidence. */
const CERTAIN = 8;

/** Whether the text contains the old secret: as it is, percent-encoded, in base64, in JSON, or as a URL's password. */
function holds(
  path: Path,
  text: string,
  { old, spellings }: { readonly old: string; readonly spellings: Masker | undefined },
): boolean {
  const form = attempt(text);
  if (form !== undefined && isStructured(form)) {
    if (form.password === old) return true;
  } else if (PUBLIC.test(String(path.at(-1)))) return false;
  if (text === old) return true;
  if (spellings !== undefined) return spellings.finds(Buffer.from(text));
  // A short secret only counts as a separate word, so that "p" isn't found in "postgres".
  const at = new RegExp(`(?<![A-Za-z0-9])${escaped(old)}(?![A-Za-z0-9])`);
  return (form === undefined || !isStructured(form)) && (at.test(text) || at.test(spelled(text)));
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

/** The text with its percent escapes decoded, if they are valid. */
function spelled(text: string): string {
  return text.replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      return escapes;
    }
  });
}

function* leavesOf(document: JsonDocument, node: JsonNode, path: Path = []): IterableIterator<Leaf> {
  if (node.kind === 'array')
    for (const [index, item] of node.items.entries()) yield* leavesOf(document, item, [...path, index]);
  else if (node.kind === 'object')
    for (const { key, value } of node.members) yield* leavesOf(document, value, [...path, key]);
  else {
    const text = textIn(document, node);
    if (text !== undefined) yield { path, node, text };
  }
}

/** `url` at the top level, a JSON Pointer below. */
function nameOf(path: Path): string {
  if (path.length === 1) return String(path[0]);
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
