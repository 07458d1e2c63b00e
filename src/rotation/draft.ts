/** Drafts the next value of a secret: newly generated texts replace the old ones, and the form stays. */
import { readText, replaceText } from '../core/credential/read.ts';
import { replaceSecrets, type RotatedKey, rotatedKeys } from '../core/credential/fields.ts';
import { JsonDocument } from '../core/document/document.ts';
import { SecretsError } from '../core/errors.ts';
import { utf8 } from '../core/utf8.ts';
import type { Generator } from './generator.ts';
import { credentialOf } from './place.ts';
import type { Credential } from './target.ts';

/**
 * Drafts the value to rotate to.
 * @param old the current value; `undefined` for a secret that doesn't exist yet
 * @param keys keys of a JSON secret; if empty, the whole value is a password or contains one
 * @throws SecretsError Invalid, Usage for a value whose form is not supported
 */
export function makeDraft(
  old: Credential | undefined,
  keys: readonly string[],
  generator: Pick<Generator, 'make'>,
): Promise<Credential> {
  return keys.length === 0 ? wholeDraft(old, generator) : keyedDraft(old, keys, generator);
}

async function wholeDraft(
  old: Credential | undefined,
  generator: Pick<Generator, 'make'>,
): Promise<Credential> {
  const form = old === undefined ? undefined : readText(textOf(old));
  const { value, companions } = await generator.make();
  if (companions !== undefined && Object.keys(companions).length > 0)
    throw new SecretsError('Usage', 'the generated value has several parts, so it needs a JSON secret', {
      hint: 'name the key of its first part in `keys`',
    });
  return credentialOf(Buffer.from(form === undefined ? value : replaceText(form, value)));
}

function textOf(old: Credential): string {
  const { fields } = old;
  if (fields !== undefined)
    throw new SecretsError('Usage', 'the value is a JSON object, and the policy names no key', {
      hint: `name the key to rotate: REF#${Object.keys(fields).find((key) => /pass/i.test(key)) ?? 'KEY'}, or \`keys\` in the policy`,
    });
  const text = utf8(old.value);
  if (text !== undefined) return text;
  throw new SecretsError('Invalid', 'its value is not UTF-8 text, so a generated text can’t replace it');
}

async function keyedDraft(
  old: Credential | undefined,
  keys: readonly string[],
  generator: Pick<Generator, 'make'>,
): Promise<Credential> {
  if (old !== undefined && old.fields === undefined)
    throw new SecretsError('Invalid', 'its value is not a JSON object, so it has no keys to rotate', {
      hint: 'omit `keys` to rotate the whole value',
    });
  const document = old === undefined ? JsonDocument.of([]) : JsonDocument.parse(old.value);
  const rotated = rotatedKeys(document, keys);
  const secrets = new Map<string, string>();
  const more = new Map<string, string>();
  for (const one of rotated) {
    const same = rotated.find((other) => isSameSecret(one, other) && secrets.has(other.key));
    if (same !== undefined) {
      secrets.set(one.key, secrets.get(same.key) as string);
      continue;
    }
    const { value, companions } = await generator.make();
    secrets.set(one.key, value);
    for (const [name, text] of Object.entries(companions ?? {})) more.set(name, text);
  }
  return credentialOf(replaceSecrets(document, rotated, secrets).edit(more).bytes);
}

/** Two keys with the same password, such as a URL and its password, keep having the same password. */
function isSameSecret(one: RotatedKey, other: RotatedKey): boolean {
  return one.old !== undefined && one.old !== '' && one.old === other.old;
}
