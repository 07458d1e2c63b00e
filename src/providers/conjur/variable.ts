/** Converts the resources API's description of a variable, and maps labels to annotations. */
import { SecretsError } from '../../core/errors.ts';
import { isJsonObject, type JsonValue } from '../../core/json.ts';
import type { SecretInfo, VersionInfo } from '../../core/secret.ts';
import type { SecretWrite } from '../provider.ts';

/** One of a variable's versions that Conjur still keeps (the last twenty). */
export interface KeptVersion {
  readonly number: number;
  readonly expiresAt: Date | undefined;
}

export interface Variable {
  readonly name: string;
  /** The policy branch that declares it. */
  readonly policy: string | undefined;
  readonly createdAt: Date | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  /** Newest first; empty for a variable without a value. */
  readonly versions: readonly KeptVersion[];
}

/** The annotation that Conjur's own tools show as a description. */
const DESCRIPTION = 'description';
/** The annotation with the date that `--expires` sets; Conjur's own `expires_at` belongs to its rotators. */
const EXPIRES = 'expires';

function dateOf(value: JsonValue | undefined): Date | undefined {
  const date = typeof value === 'string' && value !== '' ? new Date(value) : undefined;
  return date === undefined || Number.isNaN(date.getTime()) ? undefined : date;
}

/** Parses a resource of the API. @throws SecretsError Unavailable for anything else */
export function readVariable(json: JsonValue): Variable {
  const id = isJsonObject(json) ? json['id'] : undefined;
  const match = typeof id === 'string' ? /^[^:]*:variable:(.+)$/s.exec(id) : null;
  if (!isJsonObject(json) || match === null) throw notConjur();
  const policy = json['policy'];
  const { annotations, secrets } = json;
  const notes: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const one of Array.isArray(annotations) ? (annotations as readonly JsonValue[]) : [])
    if (isJsonObject(one) && typeof one['name'] === 'string' && typeof one['value'] === 'string')
      notes[one['name']] = one['value'];
  const versions: KeptVersion[] = [];
  for (const one of Array.isArray(secrets) ? (secrets as readonly JsonValue[]) : [])
    if (isJsonObject(one) && typeof one['version'] === 'number')
      versions.push({ number: one['version'], expiresAt: dateOf(one['expires_at']) });
  return {
    name: match[1] as string,
    policy: typeof policy === 'string' ? policy.split(':').slice(2).join(':') : undefined,
    createdAt: dateOf(json['created_at']),
    annotations: notes,
    versions: versions.toSorted((a, b) => b.number - a.number),
  };
}

/** @param more what to add to the message, such as that a write may have happened */
export function notConjur(more = ''): SecretsError {
  return new SecretsError('Unavailable', `the response is not from Conjur${more}`, {
    hint: 'check that the URL is that of a Conjur server',
  });
}

export function describeVariable(
  { name, createdAt, annotations, versions }: Variable,
  nativeId: string,
): SecretInfo {
  const labels: Record<string, string> = {};
  for (const [key, value] of Object.entries(annotations))
    // A policy can't remove an annotation, so an empty one is a removed one.
    if (key !== DESCRIPTION && key !== EXPIRES && value !== '')
      Object.defineProperty(labels, key, { value, enumerable: true, configurable: true, writable: true });
  const [newest] = versions;
  const expiresAt = newest?.expiresAt ?? dateOf(annotations[EXPIRES]);
  const description = annotations[DESCRIPTION] ?? '';
  return {
    name,
    nativeId,
    labels,
    ...(description !== '' && { description }),
    ...(createdAt !== undefined && { createdAt }),
    ...(expiresAt !== undefined && { expiresAt }),
    ...(newest !== undefined && { currentVersion: String(newest.number) }),
  };
}

/** The kept versions for `history`, newest first. Conjur keeps neither a version's date nor its author. */
export function versionInfos({ versions }: Variable): VersionInfo[] {
  return versions.map(({ number, expiresAt }, index) => ({
    id: String(number),
    state: 'enabled',
    stages: index === 0 ? ['current'] : index === 1 ? ['previous'] : [],
    ...(expiresAt !== undefined && { expiresAt }),
  }));
}

/**
 * A write's labels, description and expiry as annotations; `undefined` if it has none. A label to remove becomes empty,
 * or is left out if it doesn't exist.
 * @throws SecretsError Invalid for a text that a policy would change
 */
export function annotationsOf(
  write: Pick<SecretWrite, 'labels' | 'description' | 'expiresAt'>,
  there: Variable['annotations'] = {},
): Record<string, string> | undefined {
  const found: [string, string][] = [];
  for (const [key, value] of Object.entries(write.labels ?? {})) {
    if (key === DESCRIPTION || key === EXPIRES)
      throw new SecretsError('Invalid', `the annotation ${key} is not a label`, { hint: `use --${key}` });
    if (value !== null) found.push([key, value]);
    else if ((there[key] ?? '') !== '') found.push([key, '']);
  }
  if (write.description !== undefined) found.push([DESCRIPTION, write.description]);
  if (write.expiresAt !== undefined) found.push([EXPIRES, write.expiresAt.toISOString()]);
  for (const [key, value] of found) {
    if (key === '' || /[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}/u.test(key))
      throw new SecretsError('Invalid', 'an annotation needs a name without control characters');
    // The policy parser treats `..` in an annotation as a relative path and replaces the text.
    if (
      value.split('/').includes('..') ||
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]|\p{Surrogate}/u.test(value)
    )
      throw new SecretsError(
        'Invalid',
        'conjur allows only annotations without control characters and without .. between slashes',
      );
  }
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

/** The path of a batch read. */
export function batchPath(account: string, names: readonly string[]): string {
  const ids = names.map((name) => `${account}:variable:${name}`);
  return `/secrets?variable_ids=${encodeURIComponent(ids.join(','))}`;
}

/**
 * The values of a batch by name; undefined if the response doesn't say how they are encoded. Plain text from a server
 * that doesn't know the header can't be told from base64 whose header a proxy removed: either assumption would misread
 * some values.
 * @throws SecretsError Unavailable if one of them is missing
 */
export function readBatch(
  found: { readonly [id: string]: JsonValue },
  ids: ReadonlyMap<string, string>,
  encoding: string | undefined,
): ReadonlyMap<string, Buffer> | undefined {
  const values = new Map<string, Buffer>();
  for (const [name, id] of ids) {
    const text = Object.hasOwn(found, id) ? found[id] : undefined;
    if (typeof text !== 'string') throw notConjur();
    const value = Buffer.from(text, 'base64');
    if (encoding !== 'base64' || value.toString('base64') !== text.replaceAll(/\s/g, '')) return undefined;
    values.set(name, value);
  }
  return values;
}

/** An annotation that another policy sets stays as it is, and Conjur reports no error. */
export function checkAnnotations(
  after: Variable,
  annotations: Readonly<Record<string, string>> | undefined,
  done: string,
): void {
  for (const [key, value] of Object.entries(annotations ?? {}))
    if (after.annotations[key] !== value)
      throw new SecretsError('Failed', `${done}its label ${key} belongs to another policy`, {
        hint: 'change the annotation in the policy that sets it',
      });
}
