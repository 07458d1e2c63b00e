/** The keys of a secret: reading one, and setting some without touching the others. */
import { SecretsError } from '../errors.ts';
import { JsonDocument, type NewValue } from './document.ts';

/** As much of a version as its keys depend on; see `SecretVersion`. */
export interface KeyedValue {
  readonly value: Uint8Array;
  readonly soleKey?: string | undefined;
}

/**
 * The value as a document: the JSON that it holds, else the map with one entry that its store keeps it in.
 * @throws SecretsError Invalid when there is neither
 */
export function secretDocument(secret: KeyedValue): JsonDocument {
  const { value, soleKey } = secret;
  if (soleKey === undefined) return JsonDocument.parse(value);
  const own = ownObject(value);
  if (own !== undefined) return own;
  return JsonDocument.of([[soleKey, Buffer.from(value).toString('utf8')]]);
}

/**
 * What `#key` names.
 * @throws SecretsError NotFound without such a key, Invalid when the value has no keys
 */
export function keyText(secret: KeyedValue, key: string): string {
  const document = secretDocument(secret);
  if (key === secret.soleKey && document.member(key) === undefined)
    return Buffer.from(secret.value).toString('utf8');
  return document.textOf(document.select(key));
}

/** The value as a JSON object; undefined for any other value. */
export function ownObject(value: Uint8Array): JsonDocument | undefined {
  try {
    const document = JsonDocument.parse(value);
    return document.isObject ? document : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The value with these keys set, and removed where the new value is `undefined`; a new object where there is no
 * secret. It stays in the form that its store keeps it in.
 * @throws SecretsError Invalid when the value is no JSON object: a text is not turned into a map
 */
export function withKeys(
  before: KeyedValue | undefined,
  changes: ReadonlyMap<string, NewValue | undefined>,
): KeyedValue {
  if (before === undefined) return { value: JsonDocument.parse('{}').edit(changes).bytes };
  const { value, soleKey } = before;
  if (soleKey === undefined) return { value: JsonDocument.parse(value).edit(changes).bytes };
  const own = ownObject(value);
  const text = changes.get(soleKey);
  const isWhole = changes.size === 1 && typeof text === 'string' && own?.member(soleKey) === undefined;
  if (isWhole) return { value: Buffer.from(text), soleKey };
  if (own === undefined)
    throw new SecretsError('Invalid', `its value is text under the single key ${soleKey}`, {
      hint: 'write the whole value without #KEY, or put a JSON object there first',
    });
  return { value: own.edit(changes).bytes, soleKey };
}
