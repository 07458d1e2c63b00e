/** The service's secrets and versions, our annotations on them, and their conversion to the product's types. */
import { SecretsError } from '../../core/errors.ts';
import type { NativeRotation } from '../../core/rotation/native.ts';
import type { SecretInfo, VersionInfo, VersionState } from '../../core/secret.ts';
import type { SecretWrite } from '../provider.ts';
import { lastPart } from './names.ts';

/** google.protobuf.Timestamp in the client's form. */
interface Timestamp {
  readonly seconds?: string | number | null;
  readonly nanos?: number | null;
}

type Texts = Readonly<Record<string, string>>;

/** The used fields of google.cloud.secretmanager.v1.Secret. */
export interface RawSecret {
  readonly name?: string;
  readonly etag?: string;
  readonly labels?: Texts | null;
  readonly annotations?: Texts | null;
  readonly createTime?: Timestamp | null;
  readonly expireTime?: Timestamp | null;
  readonly versionAliases?: Readonly<Record<string, string | number>> | null;
  readonly topics?: readonly { readonly name?: string }[] | null;
  readonly rotation?: {
    readonly nextRotationTime?: Timestamp | null;
    /** google.protobuf.Duration */
    readonly rotationPeriod?: Timestamp | null;
  } | null;
}

/** The used fields of google.cloud.secretmanager.v1.SecretVersion. */
export interface RawVersion {
  readonly name?: string;
  readonly state?: string;
  readonly createTime?: Timestamp | null;
  readonly scheduledDestroyTime?: Timestamp | null;
}

/** Our own annotations; each is explained where it is written. docs/gcp.md lists them. */
export const NOTE = {
  /** `AFTER:NONCE`: the writer of this annotation adds the version after number AFTER. */
  write: 'secrets-write',
  /** `PENDING-ID@AFTER`: the pending value that was promoted to a version after number AFTER. */
  promoted: 'secrets-promoted',
  /** Present while the secret is soft-deleted. */
  deleted: 'secrets-deleted',
  /** Distinguishes the siblings that exist one after another under the same name. */
  generation: 'secrets-generation',
  description: 'description',
  expires: 'expires',
} as const;

const isOwn = (key: string): boolean =>
  key.startsWith('secrets-') || key === NOTE.description || key === NOTE.expires;

export function dateOf(time: Timestamp | null | undefined): Date | undefined {
  const seconds = Number(time?.seconds ?? 0);
  return seconds > 0 ? new Date(seconds * 1000 + Math.floor((time?.nanos ?? 0) / 1e6)) : undefined;
}

export function expiryOf(secret: RawSecret): Date | undefined {
  return dateOf(secret.expireTime);
}

export function timestamp(date: Date): Timestamp {
  const ms = date.getTime();
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 };
}

export function infoOf(name: string, raw: RawSecret): SecretInfo {
  const annotations = raw.annotations ?? {};
  const labels: Record<string, string> = { ...raw.labels };
  for (const [key, value] of Object.entries(annotations)) if (!isOwn(key)) labels[key] ??= value;
  const { [NOTE.description]: description, [NOTE.expires]: expires } = annotations;
  const noted = expires === undefined ? undefined : new Date(expires);
  const deletion = parseDeletion(annotations[NOTE.deleted]);
  const end = dateOf(raw.expireTime);
  return {
    name,
    nativeId: raw.name,
    ...(description !== undefined && { description }),
    labels,
    createdAt: dateOf(raw.createTime),
    expiresAt:
      noted !== undefined && !Number.isNaN(noted.getTime())
        ? noted
        : deletion === undefined
          ? end
          : undefined,
    deletedAt: deletion?.at,
    purgeAt: deletion === undefined ? undefined : end,
    rotation: deletion === undefined ? nativeOf(raw) : undefined,
  };
}

/** `undefined` for a secret without a rotation: topics alone only receive other events. */
export function nativeOf({ rotation, topics }: RawSecret): NativeRotation | undefined {
  const next = dateOf(rotation?.nextRotationTime);
  if (next === undefined) return undefined;
  const names = (topics ?? []).flatMap(({ name }) => (name ? [name] : []));
  const seconds = Number(rotation?.rotationPeriod?.seconds ?? 0);
  return {
    // Without a topic, the product that the secret belongs to rotates it (Cloud SQL).
    by: names.length === 0 ? 'gcp itself' : `gcp topic ${names.map(lastPart).join(', ')}`,
    role: names.length === 0 ? 'rotates' : 'notifies',
    enabled: true,
    settings: names[0] === undefined ? {} : { topic: names[0] },
    everyMs: seconds > 0 ? seconds * 1000 : undefined,
    next,
  };
}

/** A period in the form of a policy. */
export function periodText(ms: number): string {
  const [unit, length] =
    ms % 86_400_000 === 0 ? ['d', 86_400_000] : ms % 3_600_000 === 0 ? ['h', 3_600_000] : ['s', 1000];
  return `${ms / (length as number)}${unit}`;
}

/** https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions#State */
const STATES: Readonly<Record<string, VersionState>> = {
  ENABLED: 'enabled',
  DISABLED: 'disabled',
  DESTROYED: 'destroyed',
};

export function versionOf(raw: RawVersion, stages: readonly string[]): VersionInfo {
  const end = dateOf(raw.scheduledDestroyTime);
  return {
    id: lastPart(raw.name),
    state: STATES[raw.state ?? ''] ?? 'disabled',
    stages,
    createdAt: dateOf(raw.createTime),
    ...(end !== undefined && { note: `will be destroyed at ${end.toISOString()}` }),
  };
}

/** A write's changes to a secret other than its value; `undefined` if there are none. */
export type Change = (secret: RawSecret) => { readonly labels: Texts; readonly annotations: Texts };

/** https://cloud.google.com/resource-manager/docs/labels-overview#requirements */
const LABEL = /^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u;
const LABEL_VALUE = /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u;
/** The key's form, according to the reference's description of `annotations`. */
const ANNOTATION = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

/**
 * Applies a write's labels, description and expiry to the existing ones. A label that Google's labels can't represent,
 * such as one with capitals or spaces, is kept as an annotation. The expiry belongs to the version, so a write without
 * one removes it.
 * @throws SecretsError Invalid for a name that neither can represent
 */
export function applyWrite(secret: RawSecret, write: Omit<SecretWrite, 'value'>): ReturnType<Change> {
  const labels: Record<string, string> = { ...secret.labels };
  const annotations: Record<string, string> = { ...secret.annotations };
  for (const [key, value] of Object.entries(write.labels ?? {})) {
    if (isOwn(key) || !(LABEL.test(key) || ANNOTATION.test(key)))
      throw new SecretsError('Invalid', `gcp can’t keep a label of this name: ${JSON.stringify(key)}`, {
        hint: 'use 1 to 63 letters, digits, _ . and -; not description, expires or secrets-…',
      });
    delete labels[key];
    delete annotations[key];
    if (value === null) continue;
    if (LABEL.test(key) && LABEL_VALUE.test(value)) labels[key] = value;
    else if (ANNOTATION.test(key)) annotations[key] = value;
    else
      throw new SecretsError('Invalid', `gcp can’t keep this value in a label named ${JSON.stringify(key)}`);
  }
  if (write.description !== undefined) annotations[NOTE.description] = write.description;
  if (write.expiresAt === undefined) delete annotations[NOTE.expires];
  else annotations[NOTE.expires] = write.expiresAt.toISOString();
  return { labels, annotations };
}

export function changes(secret: RawSecret, after: ReturnType<Change>): boolean {
  const text = (map: Texts | null | undefined): string =>
    JSON.stringify(Object.entries(map ?? {}).toSorted());
  return text(secret.labels) !== text(after.labels) || text(secret.annotations) !== text(after.annotations);
}

/** The state that is needed to undo a soft deletion. */
export interface SoftDeletion {
  readonly at: Date;
  /** Versions that were already disabled. */
  readonly disabled: readonly number[];
  /** The secret's own expiry, `never` if it had none; missing if the deletion didn't change it. */
  readonly expires?: Date | 'never' | undefined;
}

export function formatDeletion({ at, disabled, expires }: SoftDeletion): string {
  const end = expires instanceof Date ? expires.toISOString() : (expires ?? '');
  return [at.toISOString(), ranges(disabled), end].join(';');
}

export function parseDeletion(text: string | undefined): SoftDeletion | undefined {
  if (text === undefined) return undefined;
  const [at = '', disabled = '', expires = ''] = text.split(';');
  const numbers = disabled.split(',').flatMap((range) => {
    const [, first, last = first] = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(range) ?? [];
    if (first === undefined) return [];
    const length = Math.min(Math.max(Number(last) - Number(first) + 1, 0), 100_000);
    return Array.from({ length }, (_, index) => Number(first) + index);
  });
  const time = new Date(at);
  return {
    at: Number.isNaN(time.getTime()) ? new Date(0) : time,
    disabled: numbers,
    ...(expires !== '' && { expires: expires === 'never' ? expires : new Date(expires) }),
  };
}

/** `1-3,7`: short, because annotations are limited to 16 KiB in total. */
function ranges(numbers: readonly number[]): string {
  const found: [number, number][] = [];
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const last = found.at(-1);
    if (last !== undefined && last[1] + 1 === number) last[1] = number;
    else found.push([number, number]);
  }
  return found.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}
