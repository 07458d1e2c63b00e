/** Converts AWS Secrets Manager's responses to the product's types. */
import { SecretsError } from '../../core/errors.ts';
import type { ProviderRules, SecretWrite } from '../provider.ts';
import type { SecretInfo, SecretVersion, VersionInfo } from '../../core/secret.ts';
import { understood } from './errors.ts';
import { nativeOf, type RotationEntry } from './schedule.ts';

/** Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html */
export const RULES: ProviderRules = {
  maxNameLength: 512,
  nameRule: 'letters, digits and /_+=.@-, 1 to 512 characters',
  maxValueBytes: 65_536,
  emptyValue: false,
  deletedBlocks: 'writes',
  // Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
  firstIsCurrent: true,
};

export const CURRENT = 'AWSCURRENT';
export const PREVIOUS = 'AWSPREVIOUS';
export const PENDING = 'AWSPENDING';
const STAGES: ReadonlyMap<string, string> = new Map([
  ['current', CURRENT],
  ['previous', PREVIOUS],
  ['pending', PENDING],
]);
const OURS: ReadonlyMap<string, string> = new Map([...STAGES].map(([ours, theirs]) => [theirs, ours]));
/**
 * The label of a version between being written and getting its real label. All writers share it: the next writer takes
 * it over, so a killed writer leaves nothing permanent.
 */
export const WRITING = 'SECRETS_WRITING';
const TAG_EXPIRES = 'expires';

/** The AWS label for a reference's stage. */
export function labelOf(stage: string): string {
  return STAGES.get(stage) ?? stage;
}

/** A response about a secret. Not validated: the SDK passes on whatever arrives. */
export interface Entry extends RotationEntry {
  readonly Name?: string | undefined;
  readonly ARN?: string | undefined;
  readonly Description?: string | undefined;
  readonly Tags?:
    | readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[]
    | undefined;
  /** In DescribeSecret's response … */
  readonly VersionIdsToStages?: Readonly<Record<string, readonly string[]>> | undefined;
  /** … and in ListSecrets's. */
  readonly SecretVersionsToStages?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly CreatedDate?: Date | undefined;
  readonly LastChangedDate?: Date | undefined;
  readonly DeletedDate?: Date | undefined;
  readonly LastAccessedDate?: Date | undefined;
}

/** A response about a version. Not validated either. */
export interface Value {
  readonly Name?: string | undefined;
  readonly VersionId?: string | undefined;
  readonly VersionStages?: readonly string[] | undefined;
  readonly CreatedDate?: Date | undefined;
  readonly SecretString?: string | undefined;
  readonly SecretBinary?: Uint8Array | undefined;
  readonly $metadata?: Metadata | undefined;
}

/** The SDK's metadata of a call; CloudTrail names the call by the same id. */
interface Metadata {
  readonly requestId?: string | undefined;
}

/** @throws SecretsError Unavailable if the response isn't about a secret */
export function describeEntry(entry: Entry, prefix: string): SecretInfo {
  understood(typeof entry?.Name === 'string' && (entry.Tags === undefined || Array.isArray(entry.Tags)));
  const labels: Record<string, string> = {};
  for (const { Key, Value } of entry.Tags ?? [])
    if (Key !== undefined && Key !== TAG_EXPIRES) labels[Key] = Value ?? '';
  const stages = entry.VersionIdsToStages ?? entry.SecretVersionsToStages ?? {};
  const current = Object.keys(stages).find((id) => stages[id]?.includes(CURRENT) === true);
  const expires = entry.Tags?.find(({ Key }) => Key === TAG_EXPIRES)?.Value;
  return {
    name: entry.Name.slice(prefix.length),
    nativeId: entry.ARN,
    ...(entry.Description !== undefined && entry.Description !== '' && { description: entry.Description }),
    labels,
    ...(current !== undefined && { currentVersion: current }),
    createdAt: entry.CreatedDate,
    updatedAt: entry.LastChangedDate,
    ...(expires !== undefined && !Number.isNaN(Date.parse(expires)) && { expiresAt: new Date(expires) }),
    deletedAt: entry.DeletedDate,
    rotation: nativeOf(entry),
    // Accurate to the day; the service leaves it out for a secret that nobody has read.
    lastReadAt: entry.LastAccessedDate ?? 'never',
  };
}

/** @throws SecretsError Unavailable if the response isn't about a version */
export function versionInfo(value: Value): VersionInfo {
  understood(typeof value?.VersionId === 'string');
  const labels: readonly string[] = Array.isArray(value.VersionStages) ? value.VersionStages : [];
  return {
    id: value.VersionId,
    state: 'enabled',
    stages: stagesOf(labels),
    createdAt: value.CreatedDate,
    ...(value.$metadata?.requestId !== undefined && { requestId: value.$metadata.requestId }),
  };
}

/** AWS leaves AWSPENDING on a version after its rotation: on a version that is or was current it means nothing. */
export function stagesOf(labels: readonly string[]): readonly string[] {
  const done = labels.includes(CURRENT) || labels.includes(PREVIOUS);
  return labels
    .filter((label) => label !== WRITING && !(done && label === PENDING))
    .map((label) => OURS.get(label) ?? label);
}

/** @throws SecretsError Unavailable if the response contains no value */
export function versionOf(name: string, value: Value): SecretVersion {
  const info = versionInfo(value);
  const { SecretBinary: binary, SecretString: text } = value;
  understood(binary instanceof Uint8Array || typeof text === 'string');
  return { ...info, name, value: binary ?? Buffer.from(text ?? '') };
}

/** The result of a write. */
export function writtenVersion(id: string, label: string, requestId?: string): VersionInfo {
  return {
    id,
    state: 'enabled',
    stages: stagesOf([label]),
    createdAt: new Date(),
    ...(requestId !== undefined && { requestId }),
  };
}

/** Newest first; with equal times pending, current, previous. */
export function newestFirst(versions: readonly VersionInfo[]): readonly VersionInfo[] {
  const rank = ({ stages }: VersionInfo): number =>
    ['previous', 'current', 'pending'].findLastIndex((stage) => stages.includes(stage));
  const time = ({ createdAt }: VersionInfo): number => createdAt?.getTime() ?? 0;
  return versions.toSorted((a, b) => time(b) - time(a) || rank(b) - rank(a));
}

/** Sends text as text, so that AWS's console and other clients can show it. */
export function payload(value: Uint8Array): { SecretString: string } | { SecretBinary: Uint8Array } {
  try {
    return { SecretString: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value) };
  } catch {
    return { SecretBinary: value };
  }
}

/** The tags that a write sets, and removes (`null`). */
export function tagsOf(write: Pick<SecretWrite, 'labels' | 'expiresAt'>): {
  readonly set: { readonly Key: string; readonly Value: string }[];
  readonly remove: string[];
} {
  const labels: Record<string, string | null> = { ...write.labels };
  if (write.expiresAt !== undefined) labels[TAG_EXPIRES] = write.expiresAt.toISOString();
  const all = Object.entries(labels);
  return {
    set: all.flatMap(([Key, Value]) => (Value === null ? [] : [{ Key, Value }])),
    remove: all.flatMap(([key, value]) => (value === null ? [key] : [])),
  };
}

const NAME = /^[A-Za-z0-9/_+=.@-]+$/;
/** A prefix that pins one account: only a trusted file, or the user's own, can contain it. */
const ACCOUNT = /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]*$/;

/** Whether AWS would treat this as an ARN, which names an account. */
export function isArn(id: string): boolean {
  return /^arn:[^\s]{1,1020}$/.test(id);
}

/**
 * Whether a name is allowed after a store's prefix. Neither alone nor together may they form an ARN, unless the prefix
 * is an ARN up to the name: the prefix `arn` and the name `:aws:…` would otherwise read from a stranger's account.
 */
export function isNameAfter(prefix: string, name: string): boolean {
  if (!NAME.test(name)) return false;
  return ACCOUNT.test(prefix) ? isArn(prefix + name) : isPlainName(prefix, name);
}

/** Whether prefix and name together are a plain name in the caller's account, which a batch accepts. */
export function isPlainName(prefix: string, name: string): boolean {
  const id = prefix + name;
  return name !== '' && NAME.test(id) && id.length <= RULES.maxNameLength;
}

/**
 * @throws SecretsError Invalid for a name that is not allowed after this prefix, or for anything but an ARN if one is
 *   required
 */
export function checkId(prefix: string, name: string, byArn: boolean): void {
  if (byArn ? isArn(name) : isNameAfter(prefix, name)) return;
  throw new SecretsError('Invalid', `aws allows names of ${RULES.nameRule}`, {
    ...(isArn(name) && { hint: 'an ARN is written as it is, without a store before it' }),
  });
}
