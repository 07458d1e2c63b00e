/** Every rule of `audit report`, one entry each. docs/audit-report.md has the same table; a test compares them. */
import { formatReference } from '../reference/reference.ts';
import { type Evidence, type Finding, fingerprintOf, type Severity } from './finding.ts';

export interface Rule {
  readonly kind: 'posture' | 'anomaly';
  /** How bad it is, as a rule. */
  readonly severity: Severity;
  /** A noun phrase for headings. */
  readonly title: string;
  /** When it is reported, one sentence. */
  readonly about: string;
  /** What to do, one sentence. `REF` stands for the secret, with the key that the finding is about. */
  readonly remedy: string;
}

export const RULES = {
  'never-rotated': {
    kind: 'posture',
    severity: 'medium',
    title: 'Never rotated',
    about: 'The secret still has its first value after `never-rotated-after`.',
    remedy: 'Give it a policy under rotation: in secrets.yaml, then run secrets rotate REF.',
  },
  overdue: {
    kind: 'posture',
    severity: 'high',
    title: 'Rotation overdue',
    about: 'Its policy, or its label rotate-every, wanted a new value by now.',
    remedy: 'Run secrets rotate REF, and look why the scheduled run did not.',
  },
  'rotation-stuck': {
    kind: 'posture',
    severity: 'high',
    title: 'Rotation stuck',
    about: 'A rotation was begun and not finished, and whoever began it has been silent for the lease.',
    remedy: 'Run secrets rotate resume REF, or secrets rotate rollback REF.',
  },
  expired: {
    kind: 'posture',
    severity: 'high',
    title: 'Expired',
    about: 'The date on which the secret expires is over.',
    remedy: 'Put a new value, or delete the secret if nothing uses it.',
  },
  expiring: {
    kind: 'posture',
    severity: 'medium',
    title: 'Expires soon',
    about: 'The secret expires within `expiring-within`.',
    remedy: 'Put a new value with a later date before then.',
  },
  'never-read': {
    kind: 'posture',
    severity: 'low',
    title: 'Never read',
    about: 'Nobody has read the secret since it was made, longer ago than `unused-after`.',
    remedy: 'Delete it if nothing needs it; what is not kept cannot leak.',
  },
  'no-reader': {
    kind: 'posture',
    severity: 'low',
    title: 'No reader for long',
    about: 'Nobody has read the secret for `unused-after`.',
    remedy: 'Find out what used it, and delete it if nothing does any more.',
  },
  'disabled-current': {
    kind: 'posture',
    severity: 'high',
    title: 'Current version is disabled',
    about: 'The version that readers are given is disabled, deleted or destroyed, so that reading it fails.',
    remedy:
      'Enable it, put a new value, or make an enabled version current: secrets restore REF --version ID.',
  },
  'too-many-versions': {
    kind: 'posture',
    severity: 'low',
    title: 'Too many live versions',
    about: 'More than `max-versions` versions can still be read.',
    remedy:
      'Purge old versions: secrets purge REF --version ID; each is a value that may still work somewhere.',
  },
  'broad-access': {
    kind: 'posture',
    severity: 'high',
    title: 'Broad access',
    about:
      'Everybody (critical), a wildcard of principals or a whole account may read it, by the secret’s own policy.',
    remedy: 'Name the principals that need it in the policy, and remove the broad grant.',
  },
  'same-value': {
    kind: 'posture',
    severity: 'medium',
    title: 'The same value in several places',
    about: 'Secrets, or keys of secrets, hold the same value (with --values).',
    remedy: 'Give each place a value of its own, or keep one secret and refer to it.',
  },
  'default-value': {
    kind: 'posture',
    severity: 'critical',
    title: 'Default value',
    about: 'The value is a well-known default or a placeholder, such as changeme (with --values).',
    remedy:
      'Replace it at once. If nothing but its readers uses it: secrets rotate REF --generate alnum:32; else by a policy with its target.',
  },
  'weak-value': {
    kind: 'posture',
    severity: 'high',
    title: 'Weak value',
    about: 'The value would be guessed with fewer than 10^`weak-below` tries (with --values).',
    remedy:
      'Replace it. If nothing but its readers uses it: secrets rotate REF --generate alnum:32; else by a policy with its target.',
  },
  'unverified-rotation': {
    kind: 'posture',
    severity: 'low',
    title: 'Rotation without verification',
    about:
      'The target of its rotation has no way to try a new value, so that a bad one is noticed by its users.',
    remedy: 'Add a verify step to the target in secrets.yaml.',
  },
  'new-principal': {
    kind: 'anomaly',
    severity: 'medium',
    title: 'A reader new to the secret',
    about: 'A principal read a secret for the first time that none of its usual company reads.',
    remedy: 'Ask the principal’s owner; if nobody knows of it, rotate the secret and revoke the credential.',
  },
  'new-network': {
    kind: 'anomaly',
    severity: 'high',
    title: 'A network new to the principal and the secret',
    about: 'A principal that always came from the same networks came from another one.',
    remedy:
      'Ask the principal’s owner; if nobody knows of it, revoke its credential and rotate what it read.',
  },
  'odd-hours': {
    kind: 'anomaly',
    severity: 'medium',
    title: 'Outside of the usual hours',
    about: 'A principal read at an hour that is far from all hours at which it was ever active.',
    remedy:
      'Ask the principal’s owner; if nobody knows of it, revoke its credential and rotate what it read.',
  },
  'high-rate': {
    kind: 'anomaly',
    severity: 'high',
    title: 'Far more reads than usual',
    about: 'A principal made many times the reads within an hour that it ever made.',
    remedy: 'Look for a loop in the client; if there is none, revoke the credential and rotate what it read.',
  },
  'denial-burst': {
    kind: 'anomaly',
    severity: 'high',
    title: 'A burst of denials',
    about: 'A principal was refused many times within minutes: somebody tries what a credential can open.',
    remedy: 'Find the caller; if it is no mistake in a policy, revoke its credential.',
  },
  'bulk-read': {
    kind: 'anomaly',
    severity: 'high',
    title: 'Many secrets read at once',
    about: 'A principal read many more different secrets within minutes than it ever did.',
    remedy: 'Ask the principal’s owner; if nobody knows of it, revoke its credential and rotate all of them.',
  },
  'honey-read': {
    kind: 'anomaly',
    severity: 'critical',
    title: 'A honey secret was read',
    about: 'A secret with the label honey, which nothing has a reason to read, was asked for.',
    remedy: 'Treat it as an intrusion: revoke the caller’s credential and rotate what it could read.',
  },
} as const satisfies Readonly<Record<string, Rule>>;

export type RuleId = keyof typeof RULES;

/** Makes a finding with its rule's remedy and severity. */
export function finding(
  rule: RuleId,
  place: { readonly store: string; readonly secret?: string | undefined },
  message: string,
  evidence: Evidence,
  more: {
    readonly severity?: Severity | undefined;
    /** What is to be done here, when it is not what the rule says. */
    readonly remedy?: string | undefined;
    /** See `fingerprintOf`. */
    readonly about?: readonly string[] | undefined;
    readonly at?: string | undefined;
    readonly principal?: string | undefined;
  } = {},
): Finding {
  const { severity, remedy }: Rule = RULES[rule];
  const { key } = evidence;
  return {
    rule,
    severity: more.severity ?? severity,
    store: place.store,
    ...(place.secret !== undefined && { secret: place.secret }),
    message,
    evidence,
    remedy: forSecret(more.remedy ?? remedy, place, typeof key === 'string' ? key : undefined),
    fingerprint: fingerprintOf(rule, place.store, place.secret, more.about),
    ...(more.at !== undefined && { at: more.at }),
    ...(more.principal !== undefined && { principal: more.principal }),
  };
}

/** The remedy with the reference that its command takes. */
function forSecret(
  remedy: string,
  { store, secret }: { readonly store: string; readonly secret?: string | undefined },
  key: string | undefined,
): string {
  if (secret === undefined) return remedy;
  const reference = formatReference({ store, name: secret, key });
  return remedy.replaceAll('REF', () => (/^[\w:/.#@%+=-]+$/.test(reference) ? reference : quoted(reference)));
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
