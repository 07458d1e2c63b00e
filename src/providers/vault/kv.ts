/**
 * What KV keeps and answers, as the product's own forms: values as maps, metadata as versions and labels.
 */
import { SecretsError } from '../../core/errors.ts';
import { isJsonObject, type JsonValue } from '../../core/json.ts';
import { decodeUtf8 } from '../../core/utf8.ts';
import type { SecretInfo, SecretWrite, VersionInfo } from '../provider.ts';
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
  // An id that is no number is no version of ours, so it can't be the current one.
  if (!Number.isSafeInteger(number) || number < 1)
    throw new SecretsError('Conflict', `version ${ifVersion} is not the current one`);
  return number;
}

/** The version that a write made, from its answer. */
export function written(metadata: Json): VersionInfo {
  return {
    id: String(metadata['version']),
    state: 'enabled',
    stages: ['current'],
    createdAt: dateOf(metadata['created_time']),
    ...requestIdOf(metadata),
  };
}

/** Vault's id of a request, which its audit device writes too; nothing where the answer has none. */
export function requestIdOf({ request_id: id }: Json): { readonly requestId?: string } {
  return typeof id === 'string' && id !== '' ? { requestId: id } : {};
}

/** Versions, newest first, with what is known of each. */
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
    currentVersion: String(metadata['current_version']),
  };
}

/**
 * Labels, description and expiry as one merge patch of the custom metadata.
 * Limits: https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#create-update-metadata
 */
export function labelPatch(
  write: Pick<SecretWrite, 'labels' | 'description' | 'expiresAt'>,
): Record<string, string | null> | undefined {
  const patch: Record<string, string | null> = { ...write.labels };
  if (write.description !== undefined) patch[LABEL_DESCRIPTION] = write.description;
  if (write.expiresAt !== undefined) patch[LABEL_EXPIRES] = write.expiresAt.toISOString();
  for (const [key, value] of Object.entries(patch)) {
    if (Buffer.byteLength(key) > 128 || Buffer.byteLength(value ?? '') > 512)
      throw new SecretsError('Invalid', 'vault takes label keys of 128 and values of 512 bytes');
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** What KV keeps for a value. */
export function encode(value: Uint8Array): Record<string, JsonValue> {
  let text: string;
  try {
    text = decodeUtf8(value);
  } catch {
    return { value: Buffer.from(value).toString('base64'), encoding: 'base64' };
  }
  if (text.trimStart().startsWith('{')) {
    try {
      const parsed: unknown = JSON.parse(text);
      // Only if it comes back the same: not a map that our own reading would take for a plain value.
      const fits = isJsonObject(parsed) && !isPlain(parsed) && Object.keys(parsed).length > 0;
      if (fits && !losesDigits(text)) return { ...parsed };
    } catch {
      // Not JSON: plain text.
    }
  }
  return { value: text };
}

/** Whether a JSON text has a number with more digits than JavaScript's numbers keep. */
function losesDigits(json: string): boolean {
  const numbers = json.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').match(/-?\d[\d.eE+-]*/g) ?? [];
  return numbers.some((number) => {
    const digits = number
      .replace(/[eE].*/, '')
      .replaceAll(/\D/g, '')
      .replace(/^0+/, '')
      .replace(/0+$/, '');
    return digits.length > 15;
  });
}

function isPlain(data: Json): boolean {
  const keys = Object.keys(data);
  return (
    (keys.length === 1 && typeof data['value'] === 'string') ||
    (keys.length === 2 && typeof data['value'] === 'string' && data['encoding'] === 'base64')
  );
}

export function decode(data: Json): { value: Uint8Array; fields?: Readonly<Record<string, JsonValue>> } {
  const { value, encoding } = data;
  const fields = data as Readonly<Record<string, JsonValue>>;
  if (isPlain(data)) {
    const bytes = Buffer.from(value as string, encoding === 'base64' ? 'base64' : 'utf8');
    // Text that is itself a JSON object keeps its own keys for `#key`.
    return bytes.subarray(0, 1).toString() === '{' ? { value: bytes } : { value: bytes, fields };
  }
  return { value: Buffer.from(JSON.stringify(data)), fields };
}
