/** Values as Vault's maps. */
import { isWellFormed, JsonDocument } from '../../core/document/document.ts';
import { ownObject } from '../../core/document/secret.ts';
import type { JsonNode } from '../../core/document/syntax.ts';
import type { SecretVersion, VersionInfo } from '../../core/secret.ts';
import { utf8 } from '../../core/utf8.ts';
import { goDocument, goJson, Raw } from './go-json.ts';

/**
 * The map that Vault would hold: a JSON object is that map; any other text is under the key `value`, and bytes that
 * are not UTF-8 are there as base64 beside `encoding`, which is also how a store of the kind `vault` keeps them.
 */
export function mapOf({ value, soleKey }: Pick<SecretVersion, 'value' | 'soleKey'>): Raw {
  const text = utf8(value);
  if (text === undefined)
    return new Raw(goJson({ encoding: 'base64', value: Buffer.from(value).toString('base64') }));
  const map = soleKey === undefined ? ownObject(value) : undefined;
  return map !== undefined && isText(map.root)
    ? new Raw(goDocument(map))
    : new Raw(goJson({ [soleKey ?? 'value']: text }));
}

/** Whether every string in it can be sent: half of a surrogate pair can't. */
function isText(node: JsonNode): boolean {
  if (node.kind === 'string') return isWellFormed(node.text);
  if (node.kind === 'array') return node.items.every(isText);
  if (node.kind === 'object')
    return node.members.every(({ key, value }) => isWellFormed(key) && isText(value));
  return true;
}

/** The keys of a map, to a depth; every value is null. */
export function subkeysOf(map: Raw, depth: number): Raw {
  const document = JsonDocument.parse(map.json);
  const keys = (node: JsonNode, left: number): string =>
    node.kind !== 'object' || left === 0
      ? 'null'
      : `{${node.members.map(({ key, value }) => `${goJson(key)}:${keys(value, left - 1)}`).join()}}`;
  return new Raw(keys(document.root, depth));
}

/**
 * The number of a version, because Vault's clients know only numbers. A store whose ids are no numbers gets the time of
 * its creation in seconds: it grows, stays the same when old versions go, and needs no further call.
 */
export function numberOf({ id, createdAt }: Pick<VersionInfo, 'id' | 'createdAt'>): number {
  if (hasNumber({ id })) return Number(id);
  return createdAt === undefined ? 1 : Math.max(1, Math.floor(createdAt.getTime() / 1000));
}

/** Whether a store numbers its versions itself. */
export function hasNumber({ id }: Pick<VersionInfo, 'id'>): boolean {
  return /^[1-9]\d{0,14}$/.test(id);
}
