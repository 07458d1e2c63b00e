/** Google's resource names: https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets */
import { SecretsError } from '../../core/errors.ts';
import type { NativeReference } from '../descriptor.ts';
import type { ProviderRules } from '../provider.ts';

/**
 * The suffix of the sibling secret that holds a pending value, so that `latest` of the secret itself stays the version
 * that its readers may use.
 */
export const PENDING_SUFFIX = '--secrets-pending';

/** Sources: https://cloud.google.com/secret-manager/quotas and the reference above. */
export const RULES: ProviderRules = {
  maxNameLength: 255,
  nameRule: `letters, digits, _ and -, 1 to 255 characters, not ending in ${PENDING_SUFFIX}`,
  maxValueBytes: 65_536,
  emptyValue: false,
  deletedBlocks: 'writes',
};

const NATIVE =
  /^projects\/([a-z0-9.:-]+)(?:\/locations\/([a-z0-9-]+))?\/secrets\/([A-Za-z0-9_-]{1,255})(?:\/versions\/([A-Za-z0-9_-]+))?$/;

/** `projects/P[/locations/L]/secrets/S[/versions/V]`, where V is a number, `latest` or an alias. */
export function parseNative(text: string): NativeReference | undefined {
  const match = NATIVE.exec(text);
  if (match === null) return undefined;
  const [, project = '', location, name = '', version] = match;
  return {
    name,
    ...(version !== undefined &&
      version !== 'latest' &&
      (isNumber(version) ? { version } : { stage: version })),
    // The store's own prefix and location don't apply to a complete identifier.
    settings: { project, location: location ?? null, prefix: null },
  };
}

/** Whether a version id can be one of Google's, which count from 1. */
export function isNumber(version: string): boolean {
  return /^[1-9]\d{0,9}$/.test(version);
}

export function isAlias(stage: string): boolean {
  return /^[A-Za-z][A-Za-z0-9_-]{0,62}$/.test(stage);
}

/** The last part of a resource name. Never take a project from a response: there it is a number. */
export function lastPart(name: unknown): string {
  return typeof name === 'string' ? name.slice(name.lastIndexOf('/') + 1) : '';
}

/** @throws SecretsError Invalid, with the rule */
export function checkId(id: string): void {
  if (!/^[A-Za-z0-9_-]{1,255}$/.test(id) || id.endsWith(PENDING_SUFFIX))
    throw new SecretsError('Invalid', `gcp allows names of ${RULES.nameRule}`);
}

/** The id of the sibling that holds a secret's pending value. @throws SecretsError Invalid */
export function siblingOf(id: string): string {
  const longest = RULES.maxNameLength - PENDING_SUFFIX.length;
  if (id.length > longest)
    throw new SecretsError(
      'Invalid',
      `a secret with a pending version has a name of at most ${longest} characters`,
    );
  return id + PENDING_SUFFIX;
}
