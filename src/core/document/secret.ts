/** The keys of a secret: reads one, or sets some without touching the others. */
import { SecretsError } from '../errors.ts';
import { JsonDocument, type NewValue } from './document.ts';

/** The parts of a version that determine its keys; see `SecretVersion`. */
export interface KeyedValue {
  readonly value: Uint8Array;
  readonly soleKey?: string | undefined;
}

/**
 * The value as a document: its JSON, or the single-entry map in which its store keeps it.
 * @throws SecretsError Invalid if it is neither
 */
export function secretDocument(secret: KeyedValue): JsonDocument {
  const { value, soleKey } = secret;
  if (soleKey === undefined) return JsonDocument.parse(value);
  const own = ownObject(value);
  if (own !== undefined) return own;
  return JsonDocument.of([[soleKey, Buffer.from(value).toString('utf8')]]);
}

/**
 * The text that `#key` names.
 * @throws SecretsError NotFound if there is no such key, Invalid if the value has no keys
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
 * Sets these keys, or removes them if the new value is `undefined`; creates an object if there is no secret. The
 * value keeps the form in which its store keeps it.
 * @throws SecretsError Invalid if the value isn't a JSON object: a plain text isn't turned into a map
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
