/** What AWS Secrets Manager keeps and answers, as the product's own forms. */
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
 * Held by a version between being written and getting its real label. One label for all writers: whoever writes
 * next takes it over, so that a killed one leaves nothing that lasts.
 */
export const WRITING = 'SECRETS_WRITING';
const TAG_EXPIRES = 'expires';

/** A stage of a reference as AWS's label. */
export function labelOf(stage: string): string {
  return STAGES.get(stage) ?? stage;
}

/** An answer about a secret. Unchecked: the SDK hands on whatever came. */
export interface Entry extends RotationEntry {
  readonly Name?: string | undefined;
  readonly ARN?: string | undefined;
  readonly Description?: string | undefined;
  readonly Tags?:
    | readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[]
    | undefined;
  /** In DescribeSecret's answer … */
  readonly VersionIdsToStages?: Readonly<Record<string, readonly string[]>> | undefined;
  /** … and in that of ListSecrets. */
  readonly SecretVersionsToStages?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly CreatedDate?: Date | undefined;
  readonly LastChangedDate?: Date | undefined;
  readonly DeletedDate?: Date | undefined;
  readonly LastAccessedDate?: Date | undefined;
}

/** An answer about a version. Unchecked, too. */
export interface Value {
  readonly Name?: string | undefined;
  readonly VersionId?: string | undefined;
  readonly VersionStages?: readonly string[] | undefined;
  readonly CreatedDate?: Date | undefined;
  readonly SecretString?: string | undefined;
  readonly SecretBinary?: Uint8Array | undefined;
  readonly $metadata?: Metadata | undefined;
}

/** What the SDK notes of a call; its id is what CloudTrail names the call by. */
interface Metadata {
  readonly requestId?: string | undefined;
}

/** @throws SecretsError Unavailable when the answer is none about a secret */
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
    // To the day; left out by the service for a secret that nobody has read.
    lastReadAt: entry.LastAccessedDate ?? 'never',
  };
}

/** @throws SecretsError Unavailable when the answer is none about a version */
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

/** AWS leaves AWSPENDING on a version whose rotation is done: on one that is or was current it means nothing. */
export function stagesOf(labels: readonly string[]): readonly string[] {
  const done = labels.includes(CURRENT) || labels.includes(PREVIOUS);
  return labels
    .filter((label) => label !== WRITING && !(done && label === PENDING))
    .map((label) => OURS.get(label) ?? label);
}

/** @throws SecretsError Unavailable when the answer holds no value */
export function versionOf(name: string, value: Value): SecretVersion {
  const info = versionInfo(value);
  const { SecretBinary: binary, SecretString: text } = value;
  understood(binary instanceof Uint8Array || typeof text === 'string');
  return { ...info, name, value: binary ?? Buffer.from(text ?? '') };
}

/** What a write answers with. */
export function writtenVersion(id: string, label: string, requestId?: string): VersionInfo {
  return {
    id,
    state: 'enabled',
    stages: stagesOf([label]),
    createdAt: new Date(),
    ...(requestId !== undefined && { requestId }),
  };
}

/** Newest first; of one moment the pending before the current before the previous one. */
export function newestFirst(versions: readonly VersionInfo[]): readonly VersionInfo[] {
  const rank = ({ stages }: VersionInfo): number =>
    ['previous', 'current', 'pending'].findLastIndex((stage) => stages.includes(stage));
  const time = ({ createdAt }: VersionInfo): number => createdAt?.getTime() ?? 0;
  return versions.toSorted((a, b) => time(b) - time(a) || rank(b) - rank(a));
}

/** The value as text where it is text: what AWS's console and other clients can show. */
export function payload(value: Uint8Array): { SecretString: string } | { SecretBinary: Uint8Array } {
  try {
    return { SecretString: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value) };
  } catch {
    return { SecretBinary: value };
  }
}

/** The tags that a write sets, and (with `null`) removes. */
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
/** What stands before every name of one account: only a file that is trusted, or the user's own, has it as a prefix. */
const ACCOUNT = /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]*$/;

/** Whether AWS would take this for an ARN, which names an account. */
export function isArn(id: string): boolean {
  return /^arn:[^\s]{1,1020}$/.test(id);
}

/**
 * Whether a name may stand behind a store's prefix. Neither alone nor together may they make an ARN, unless the prefix
 * is all of one but for the name: a stranger's `arn` and `:aws:…` would read from the stranger's account.
 */
export function isNameAfter(prefix: string, name: string): boolean {
  if (!NAME.test(name)) return false;
  return ACCOUNT.test(prefix) ? isArn(prefix + name) : isPlainName(prefix, name);
}

/** Whether prefix and name are a name of the account that signs in, as a batch takes it. */
export function isPlainName(prefix: string, name: string): boolean {
  const id = prefix + name;
  return name !== '' && NAME.test(id) && id.length <= RULES.maxNameLength;
}

/** @throws SecretsError Invalid for what is no name behind this prefix, or no ARN where one is asked for */
export function checkId(prefix: string, name: string, byArn: boolean): void {
  if (byArn ? isArn(name) : isNameAfter(prefix, name)) return;
  throw new SecretsError('Invalid', `aws takes names of ${RULES.nameRule}`, {
    ...(isArn(name) && { hint: 'an ARN is written as it is, without a store before it' }),
  });
}
