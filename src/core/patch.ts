/** Setting single keys of a JSON secret without losing the others. */
import { SecretsError } from './errors.ts';
import { isJsonObject, type JsonValue } from './json.ts';

/**
 * The document with these keys set. A key that starts with `/` is taken literally here: only whole keys are set.
 * @throws SecretsError Invalid when there is a value already and it is not a JSON object
 */
export function setKeys(document: unknown, changes: ReadonlyMap<string, JsonValue>): JsonValue {
  if (document !== undefined && !isJsonObject(document)) {
    throw new SecretsError('Invalid', 'its value is not a JSON object, so it has no keys to set', {
      hint: 'write the whole value without #KEY',
    });
  }
  const entries = new Map<string, JsonValue>(Object.entries(document ?? {}));
  for (const [key, value] of changes) entries.set(key, value);
  // fromEntries defines own properties, so that a key named __proto__ is a key like any other.
  return Object.fromEntries(entries);
}
