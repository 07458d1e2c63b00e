/**
 * Maps names. Azure accepts letters, digits and `-`, and ignores case; that is not enough for names such as
 * `payments/db_url`. A store can turn on a mapping, which docs/azure.md describes.
 *
 * The mapping writes a name in lower-case letters, digits and `-`. It is reversible, and no two names map to the same
 * one: `/` becomes `--`, `-` stays, any other byte of the UTF-8 form becomes `---` and two hexadecimal digits. Where
 * two runs of hyphens would touch, the first one is written in the long form too.
 */
import { SecretsError } from '../../core/errors.ts';

/** Source: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#object-identifiers */
export const MAX_NAME = 127;
/** The suffix of a secret that holds a pending version. The same in both forms of names. */
export const PENDING_SUFFIX = '--secrets-pending';

const PLAIN = /^[a-z0-9]$/;

export interface Names {
  /** The rule for names, as a clause. */
  readonly rule: string;
  /** Maps our name to Azure's. @throws SecretsError Invalid */
  toAzure(name: string): string;
  /** Maps Azure's name to ours; `undefined` for a name that no name of ours maps to. */
  fromAzure(name: string): string | undefined;
}

export const plainNames: Names = {
  rule: `letters, digits and -, 1 to ${MAX_NAME} characters`,
  toAzure: (name) => {
    if (!/^[0-9a-zA-Z-]+$/.test(name) || name.length > MAX_NAME)
      throw new SecretsError('Invalid', `azure allows names of ${plainNames.rule}`, {
        hint: '`names: mapped` in the store’s settings allows others',
      });
    return checkSuffix(name);
  },
  fromAzure: (name) => name,
};

export const mappedNames: Names = {
  rule: `1 to ${MAX_NAME} characters once mapped to letters, digits and -; no control characters`,
  toAzure: (name) => {
    const mapped =
      name === '' || /[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}/u.test(name) ? '' : encode(name);
    if (mapped === '' || mapped.length > MAX_NAME)
      throw new SecretsError('Invalid', `azure allows names of ${mappedNames.rule}`);
    return checkSuffix(mapped);
  },
  fromAzure: (name) => {
    const lower = name.toLowerCase();
    const decoded = decode(lower);
    return decoded !== undefined && encode(decoded) === lower ? decoded : undefined;
  },
};

function checkSuffix(name: string): string {
  if (isSibling(name))
    throw new SecretsError('Invalid', `names that end in ${PENDING_SUFFIX} are for pending versions`, {
      hint: '?stage=pending reads one',
    });
  return name;
}

/** Whether an Azure secret of this name holds the pending versions of another one. */
export function isSibling(name: string): boolean {
  return name.toLowerCase().endsWith(PENDING_SUFFIX);
}

/**
 * The name of the secret that holds the pending versions of another one. @throws SecretsError Invalid if it would be
 * too long
 */
export function siblingOf(name: string): string {
  const sibling = name + PENDING_SUFFIX;
  if (sibling.length > MAX_NAME)
    throw new SecretsError(
      'Invalid',
      `the name is too long for a pending version: at most ${MAX_NAME - PENDING_SUFFIX.length} characters`,
    );
  return sibling;
}

/** Like `siblingOf`; `undefined` for a name that is too long to have one. */
export function siblingIfAny(name: string): string | undefined {
  return name.length + PENDING_SUFFIX.length > MAX_NAME ? undefined : name + PENDING_SUFFIX;
}

function encode(name: string): string {
  const characters = [...name];
  return characters
    .map((character, index) => {
      if (PLAIN.test(character)) return character;
      const next = characters[index + 1];
      const touches = next !== undefined && !PLAIN.test(next);
      if (character === '-' && !touches) return '-';
      if (character === '/' && !touches) return '--';
      return [...Buffer.from(character)].map((byte) => `---${byte.toString(16).padStart(2, '0')}`).join('');
    })
    .join('');
}

function decode(mapped: string): string | undefined {
  const bytes: number[] = [];
  for (const [token] of mapped.matchAll(/---[0-9a-f]{2}|-+|[^-]/g)) {
    if (token === '-' || !token.startsWith('-')) bytes.push(token.charCodeAt(0));
    else if (token === '--') bytes.push(0x2f);
    else if (/^---[0-9a-f]{2}$/.test(token)) bytes.push(Number.parseInt(token.slice(3), 16));
    else return undefined;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    return undefined;
  }
}
