/**
 * Azure accepts letters, digits and `-` in names, and ignores case; that is not enough for names such as
 * `payments/db_url`. A store can turn on a mapping, which docs/azure.md describes.
 */
import { SecretsError } from '../../core/errors.ts';
import { mappedName, nameOfMapped } from '../../core/reference/mapped-name.ts';

/** Source: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#object-identifiers */
export const MAX_NAME = 127;
/** The suffix of a secret that holds a pending version. The same in both forms of names. */
export const PENDING_SUFFIX = '--secrets-pending';

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
      name === '' || /[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}/u.test(name) ? '' : mappedName(name);
    if (mapped === '' || mapped.length > MAX_NAME)
      throw new SecretsError('Invalid', `azure allows names of ${mappedNames.rule}`);
    return checkSuffix(mapped);
  },
  fromAzure: nameOfMapped,
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
