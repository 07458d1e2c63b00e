/** Converts values, tags and dates to what the service stores, and back. */
import type { SecretProperties } from '@azure/keyvault-secrets';
import { SecretsError } from '../../core/errors.ts';
import type { NativeRotation } from '../../core/rotation/native.ts';
import type { ProviderRules, SecretWrite } from '../provider.ts';
import type { VersionInfo } from '../../core/secret.ts';
import { MAX_NAME } from './names.ts';

/** Source: https://learn.microsoft.com/azure/key-vault/secrets/about-secrets and .../general/service-limits */
export const RULES = {
  maxNameLength: MAX_NAME,
  maxValueBytes: 25_600,
  emptyValue: true,
  deletedBlocks: 'writes',
} as const satisfies Partial<ProviderRules>;

const MAX_TAGS = 15;
const MAX_TAG = 256;
const MAX_CONTENT_TYPE = 255;

/** `az keyvault secret set --encoding base64` sets this tag, and `az keyvault secret download` reads it. */
const ENCODING = 'file-encoding';
/** On a sibling's version: whether it holds a pending value. */
export const STATE = 'secrets-state';
/** On a promoted version: the sibling's version that it came from. */
export const PROMOTED = 'secrets-promoted';
const OWN: ReadonlySet<string> = new Set([ENCODING, STATE, PROMOTED]);

export type Tags = Record<string, string>;

export interface Encoded {
  readonly text: string;
  readonly tags: Tags;
}

/** The value as the text that the vault stores. @throws SecretsError Invalid if it is too long */
export function encodeValue(value: Uint8Array): Encoded {
  let encoded: Encoded;
  try {
    encoded = { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value), tags: {} };
  } catch {
    encoded = { text: Buffer.from(value).toString('base64'), tags: { [ENCODING]: 'base64' } };
  }
  const length = Buffer.byteLength(encoded.text);
  if (length > RULES.maxValueBytes)
    throw new SecretsError(
      'Invalid',
      `the value has ${value.length} bytes${length === value.length ? '' : ` (${length} in base64)`}; azure takes ${RULES.maxValueBytes}`,
    );
  return encoded;
}

/**
 * The value's bytes. If the tag says base64 but the text isn't, as after a write by another tool, the bytes of the
 * text.
 */
export function decodeValue(text: string, tags: Tags | undefined): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  const isBase64 = tags?.[ENCODING] === 'base64' && bytes.toString('base64') === text;
  return isBase64 ? bytes : Buffer.from(text, 'utf8');
}

/** The user's own tags. */
export function labelsOf(tags: Tags | undefined): Tags {
  return Object.fromEntries(Object.entries(tags ?? {}).filter(([name]) => !OWN.has(name)));
}

/** Labels after a write: the existing ones with its changes. @throws SecretsError Invalid */
export function mergeLabels(before: Tags, changes: SecretWrite['labels']): Tags {
  const labels = new Map(Object.entries(before));
  for (const [name, value] of Object.entries(changes ?? {})) {
    if (OWN.has(name)) throw new SecretsError('Invalid', `the label ${name} is for secrets’ own use`);
    if (value === null) labels.delete(name);
    else labels.set(name, value);
    if (name === '' || name.length > MAX_TAG || (value ?? '').length > MAX_TAG)
      throw new SecretsError(
        'Invalid',
        `azure allows labels of 1 to ${MAX_TAG} characters, and values of as many`,
      );
  }
  return Object.fromEntries(labels);
}

/** @throws SecretsError Invalid if there are too many */
export function checkTags(tags: Tags): Tags {
  const own = Object.keys(tags).filter((name) => OWN.has(name)).length;
  const count = Object.keys(tags).length;
  if (count > MAX_TAGS)
    throw new SecretsError(
      'Invalid',
      `azure allows ${MAX_TAGS} labels on a secret${own > 0 ? `, ${own} of them for secrets’ own use` : ''}`,
    );
  return tags;
}

/** @throws SecretsError Invalid */
export function checkDescription(text: string | undefined): void {
  if (text !== undefined && text.length > MAX_CONTENT_TYPE)
    throw new SecretsError('Invalid', `azure allows a description of ${MAX_CONTENT_TYPE} characters`);
}

/** The metadata of one version. */
export function infoOf(properties: SecretProperties, stages: readonly string[], now: Date): VersionInfo {
  const { version, enabled, createdOn, expiresOn, notBefore } = properties;
  return {
    id: version ?? '',
    state: enabled === false ? 'disabled' : 'enabled',
    stages,
    createdAt: createdOn,
    ...(expiresOn !== undefined && { expiresAt: expiresOn }),
    ...(notBefore !== undefined &&
      notBefore > now && { note: `not to be used before ${notBefore.toISOString()}` }),
    ...(expiresOn !== undefined && expiresOn < now && { note: 'expired; Azure still gives it' }),
  };
}

/** A secret's expiry as native rotation: the vault keeps the date, and notifies Event Grid before it. */
export function reminderOf(expiresOn: Date, createdOn: Date | undefined): NativeRotation {
  return {
    by: 'azure expiry',
    role: 'reminds',
    enabled: true,
    settings: { reminder: 'expiry' },
    lastRotated: createdOn,
    next: expiresOn,
  };
}
