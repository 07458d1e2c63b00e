/** Converts KV's data to the product's types: values as maps, metadata as versions and labels. */
import { isUtf8 } from 'node:buffer';
import { isWellFormed, JsonDocument } from '../../core/document/document.ts';
import { ownObject } from '../../core/document/secret.ts';
import type { JsonNode } from '../../core/document/syntax.ts';
import { SecretsError } from '../../core/errors.ts';
import { decodeUtf8 } from '../../core/utf8.ts';
import type { SecretInfo, SecretVersion, VersionInfo } from '../../core/secret.ts';
import type { SecretWrite } from '../provider.ts';
import { asMap, type Json } from './errors.ts';

const LABEL_DESCRIPTION = 'description';
const LABEL_EXPIRES = 'expires';

export function dateOf(value: unknown): Date | undefined {
  const date = typeof value === 'string' && value !== '' ? new Date(value) : undefined;
  return date === undefined || Number.isNaN(date.getTime()) ? undefined : date;
}

export function casOf({ ifVersion, ifAbsent }: SecretWrite): number | undefined {
  if (ifAbsent === true) return 0;
  if (ifVersion === undefined) return undefined;
  const number = Number(ifVersion);
  // An id that isn't a number is none of our versions, so it can't be the current one.
  if (!Number.isSafeInteger(number) || number < 1)
    throw new SecretsError('Conflict', `version ${ifVersion} is not the current one`);
  return number;
}

/** The version that a write created, from its response. */
export function written(metadata: Json): VersionInfo {
  return {
    id: String(metadata['version']),
    state: 'enabled',
    stages: ['current'],
    createdAt: dateOf(metadata['created_time']),
    ...requestIdOf(metadata),
  };
}

/** Vault's id of a request, which its audit device also writes; nothing if the response has none. */
export function requestIdOf({ request_id: id }: Json): { readonly requestId?: string } {
  return typeof id === 'string' && id !== '' ? { requestId: id } : {};
}

/** The versions with their metadata, newest first. */
export function versionsOf(metadata: Json): VersionInfo[] {
  const current = String(metadata['current_version']);
  const all = Object.entries(asMap(metadata['versions']))
    .map(([id, value]) => ({ id, entry: asMap(value) }))
    .toSorted((a, b) => Number(b.id) - Number(a.id));
  let previous: string | undefined;
  return all.map(({ id, entry }): VersionInfo => {
    const ends = dateOf(entry['deletion_time']);
    const deleted = ends !== undefined && ends.getTime() <= Date.now();
    const state = entry['destroyed'] === true ? 'destroyed' : deleted ? 'deleted' : 'enabled';
    const stages: string[] = [];
    if (id === current && state === 'enabled') stages.push('current');
    if (id !== current && state === 'enabled' && previous === undefined) {
      previous = id;
      stages.push('previous');
    }
    return {
      id,
      state,
      stages,
      createdAt: dateOf(entry['created_time']),
      ...(ends !== undefined && !deleted && { expiresAt: ends }),
    };
  });
}

export function describeMetadata(name: string, metadata: Json): SecretInfo {
  const labels: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [key, value] of Object.entries(asMap(metadata['custom_metadata'])))
    if (typeof value === 'string' && key !== LABEL_DESCRIPTION && key !== LABEL_EXPIRES) labels[key] = value;
  const custom = asMap(metadata['custom_metadata']);
  const description = custom[LABEL_DESCRIPTION];
  const current = asMap(asMap(metadata['versions'])[String(metadata['current_version'])]);
  const deletion = dateOf(current['deletion_time']);
  const gone = current['destroyed'] === true || (deletion !== undefined && deletion.getTime() <= Date.now());
  return {
    name,
    labels: { ...labels },
    ...(typeof description === 'string' && { description }),
    createdAt: dateOf(metadata['created_time']),
    updatedAt: dateOf(metadata['updated_time']),
    expiresAt: dateOf(custom[LABEL_EXPIRES]),
    ...(gone && { deletedAt: deletion ?? dateOf(metadata['updated_time']) ?? new Date(0) }),
    // 0: a secret with metadata but without a value.
    ...(Number(metadata['current_version'] ?? 0) > 0 && {
      currentVersion: String(metadata['current_version']),
    }),
  };
}

/**
 * Labels, description and expiry as one merge patch of the custom metadata. Limits:
 * https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#create-update-metadata
 */
export function labelPatch(
  write: Pick<SecretWrite, 'labels' | 'description' | 'expiresAt'>,
): Record<string, string | null> | undefined {
  const patch: Record<string, string | null> = { ...write.labels };
  if (write.description !== undefined) patch[LABEL_DESCRIPTION] = write.description;
  if (write.expiresAt !== undefined) patch[LABEL_EXPIRES] = write.expiresAt.toISOString();
  for (const [key, value] of Object.entries(patch)) {
    if (Buffer.byteLength(key) > 128 || Buffer.byteLength(value ?? '') > 512)
      throw new SecretsError('Invalid', 'vault allows label keys of 128 and values of 512 bytes');
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** The key that holds a value which isn't a map. */
const SOLE_KEY = 'value';
/** Vault rejects requests nested deeper than 300 levels, and the request itself needs some. */
const MAX_MAP_DEPTH = 250;

/**
 * Encodes a value for KV: a JSON object as a map, text under the single key `value`, and other bytes there as base64.
 * An object that KV would not return unchanged, or that would be decoded as one of the other two forms, becomes text
 * too.
 */
export function encode(
  { value, soleKey }: Pick<SecretWrite, 'value' | 'soleKey'>,
  version: 1 | 2,
): JsonDocument {
  let text: string;
  try {
    text = decodeUtf8(value);
  } catch {
    return JsonDocument.of([
      [SOLE_KEY, Buffer.from(value).toString('base64')],
      ['encoding', 'base64'],
    ]);
  }
  if (soleKey !== SOLE_KEY && /^[\t\n\r ]*\{/.test(text)) {
    const map = ownObject(value);
    if (
      map !== undefined &&
      map.keys.length > 0 &&
      plainIn(map) === undefined &&
      isKept(map, map.root, version)
    )
      return map;
  }
  return JsonDocument.of([[SOLE_KEY, text]]);
}

/**
 * Whether KV returns a value unchanged. Go replaces half of a surrogate pair with U+FFFD; KV version 1 keeps the text
 * of a number and rejects one beyond the range of a float64, and version 2 returns each number as a float64.
 */
function isKept(map: JsonDocument, node: JsonNode, version: 1 | 2, depth = 1): boolean {
  if (depth > MAX_MAP_DEPTH) return false;
  const inside = (inner: JsonNode): boolean => isKept(map, inner, version, depth + 1);
  switch (node.kind) {
    case 'string':
      return isWellFormed(node.text);
    case 'number': {
      const text = map.sourceOf(node);
      return Number.isFinite(Number(text)) && (version === 1 || decimal(text) === decimal(`${Number(text)}`));
    }
    case 'array':
      return node.items.every(inside);
    case 'object':
      return node.members.every(({ key, value }) => isWellFormed(key) && inside(value));
    case 'literal':
      return true;
  }
}

/** Normalises a number to its digits and a power of ten: one text for every notation of the same value. */
function decimal(number: string): string {
  const [, sign = '', whole = '', fraction = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(number) ?? [];
  const all = (whole + fraction).replace(/^0+/, '');
  const digits = all.replace(/0+$/, '');
  return digits === ''
    ? '0'
    : `${sign}${digits}e${Number(power) - fraction.length + all.length - digits.length}`;
}

/** Decodes a value from KV: a map becomes its JSON; Vault keeps neither its white space nor its order. */
export function decode(map: JsonDocument): Pick<SecretVersion, 'value' | 'soleKey'> {
  return plainIn(map) ?? { value: Buffer.from(map.compact()) };
}

/** The value that a map only wraps; undefined if the map itself is the value. */
function plainIn(map: JsonDocument): Pick<SecretVersion, 'value' | 'soleKey'> | undefined {
  const [value, encoding] = [map.member(SOLE_KEY), map.member('encoding')];
  if (value?.kind !== 'string') return undefined;
  if (map.keys.length === 1) return { value: Buffer.from(value.text), soleKey: SOLE_KEY };
  if (map.keys.length !== 2 || encoding?.kind !== 'string' || encoding.text !== 'base64') return undefined;
  // Somebody's own map with these two keys, unless it has exactly the form that this program writes for bytes.
  const bytes = Buffer.from(value.text, 'base64');
  return isUtf8(bytes) || bytes.toString('base64') !== value.text ? undefined : { value: bytes };
}
