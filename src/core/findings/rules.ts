/** Every rule of `audit report`, one entry each. docs/audit-report.md has the same table; a test compares them. */
import { formatReference } from '../reference/reference.ts';
import { type Evidence, type Finding, fingerprintOf, type Severity } from './finding.ts';

export interface Rule {
  readonly kind: 'posture' | 'anomaly';
  /** The severity, unless a finding overrides it. */
  readonly severity: Severity;
  /** A noun phrase for headings. */
  readonly title: string;
  /** When it is reported, one sentence. */
  readonly about: string;
  /** What to do, one sentence. `REF` is replaced by the secret, including the key that the finding is about. */
  readonly remedy: string;
}

export const RULES = {
  'never-rotated': {
    kind: 'posture',
    severity: 'medium',
    title: 'Never rotated',
    about: 'The secret still has its first value after `never-rotated-after`.',
    remedy: 'Add a policy under rotation: in secrets.yaml, then run secrets rotate REF.',
  },
  overdue: {
    kind: 'posture',
    severity: 'high',
    title: 'Rotation overdue',
    about: 'The secret is due for rotation by its policy or its label rotate-every.',
    remedy: 'Run secrets rotate REF, and find out why the scheduled run did not.',
  },
  'rotation-stuck': {
    kind: 'posture',
    severity: 'high',
    title: 'Rotation stuck',
    about: 'A rotation was started and not finished, and its holder has been silent for the lease.',
    remedy: 'Run secrets rotate resume REF, or secrets rotate rollback REF.',
  },
  expired: {
    kind: 'posture',
    severity: 'high',
    title: 'Expired',
    about: 'The expiry date of the secret has passed.',
    remedy: 'Store a new value, or delete the secret if nothing uses it.',
  },
  expiring: {
    kind: 'posture',
    severity: 'medium',
    title: 'Expires soon',
    about: 'The secret expires within `expiring-within`.',
    remedy: 'Store a new value with a later expiry date before then.',
  },
  'never-read': {
    kind: 'posture',
    severity: 'low',
    title: 'Never read',
    about: 'Nobody has read the secret since it was created, more than `unused-after` ago.',
    remedy: 'Delete it if nothing needs it: a deleted secret cannot leak.',
  },
  'no-reader': {
    kind: 'posture',
    severity: 'low',
    title: 'Not read for a long time',
    about: 'Nobody has read the secret for `unused-after`.',
    remedy: 'Find out what used it, and delete it if nothing needs it any more.',
  },
  'disabled-current': {
    kind: 'posture',
    severity: 'high',
    title: 'Current version is disabled',
    about: 'The current version is disabled, deleted or destroyed, so that reading the secret fails.',
    remedy:
      'Enable it, store a new value, or make an enabled version current: secrets restore REF --version ID.',
  },
  'too-many-versions': {
    kind: 'posture',
    severity: 'low',
    title: 'Too many live versions',
    about: 'More than `max-versions` versions are still readable.',
    remedy: 'Purge old versions: secrets purge REF --version ID. Each value may still work somewhere.',
  },
  'broad-access': {
    kind: 'posture',
    severity: 'high',
    title: 'Broad access',
    about:
      'The secret’s own policy lets everybody (critical), a wildcard of principals or a whole account read it.',
    remedy: 'Name the principals that need access in the policy, and remove the broad grant.',
  },
  'same-value': {
    kind: 'posture',
    severity: 'medium',
    title: 'The same value in several places',
    about: 'Several secrets, or keys of secrets, have the same value (with --values).',
    remedy: 'Use a different value in each place, or keep one secret and refer to it.',
  },
  'default-value': {
    kind: 'posture',
    severity: 'critical',
    title: 'Default value',
    about: 'The value is a well-known default or a placeholder, such as changeme (with --values).',
    remedy:
      'Replace it at once. If no other system depends on it: secrets rotate REF --generate alnum:32; otherwise use a policy with a target.',
  },
  'weak-value': {
    kind: 'posture',
    severity: 'high',
    title: 'Weak value',
    about: 'The value can be guessed in fewer than 10^`weak-below` attempts (with --values).',
    remedy:
      'Replace it. If no other system depends on it: secrets rotate REF --generate alnum:32; otherwise use a policy with a target.',
  },
  'unverified-rotation': {
    kind: 'posture',
    severity: 'low',
    title: 'Rotation without verification',
    about: 'The target of the rotation can’t test a new value, so that only its users notice a bad one.',
    remedy: 'Add a verify step to the target in secrets.yaml.',
  },
  'new-principal': {
    kind: 'anomaly',
    severity: 'medium',
    title: 'New reader of the secret',
    about: 'A principal read a secret for the first time, and none of its peers reads that secret.',
    remedy:
      'Ask the owner of the principal. If nobody expects this, rotate the secret and revoke the credential.',
  },
  'new-network': {
    kind: 'anomaly',
    severity: 'high',
    title: 'Network new to the principal and the secret',
    about: 'A principal that always used the same networks used another one.',
    remedy:
      'Ask the owner of the principal. If nobody expects this, revoke its credential and rotate what it read.',
  },
  'odd-hours': {
    kind: 'anomaly',
    severity: 'medium',
    title: 'Outside the usual hours',
    about: 'A principal read a secret at an hour far from all hours of its earlier activity.',
    remedy:
      'Ask the owner of the principal. If nobody expects this, revoke its credential and rotate what it read.',
  },
  'high-rate': {
    kind: 'anomaly',
    severity: 'high',
    title: 'Far more reads than usual',
    about: 'A principal made many times more reads within an hour than ever before.',
    remedy: 'Look for a loop in the client. If there is none, revoke the credential and rotate what it read.',
  },
  'denial-burst': {
    kind: 'anomaly',
    severity: 'high',
    title: 'Burst of denials',
    about:
      'A principal was denied many times within minutes: somebody may be testing what a credential can open.',
    remedy: 'Find the caller. If the cause is not a wrong policy, revoke its credential.',
  },
  'bulk-read': {
    kind: 'anomaly',
    severity: 'high',
    title: 'Many secrets read at once',
    about: 'A principal read many more different secrets within minutes than ever before.',
    remedy:
      'Ask the owner of the principal. If nobody expects this, revoke its credential and rotate all of them.',
  },
  'honey-read': {
    kind: 'anomaly',
    severity: 'critical',
    title: 'Honey secret read',
    about: 'A secret with the label honey, which nothing has a reason to read, was requested.',
    remedy: 'Treat this as an intrusion: revoke the caller’s credential and rotate what it could read.',
  },
} as const satisfies Readonly<Record<string, Rule>>;

export type RuleId = keyof typeof RULES;

/** Creates a finding with its rule's remedy and severity. */
export function finding(
  rule: RuleId,
  place: { readonly store: string; readonly secret?: string | undefined },
  message: string,
  evidence: Evidence,
  more: {
    readonly severity?: Severity | undefined;
    /** Overrides the rule's remedy. */
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

/** The remedy with the reference for its command. */
function forSecret(
  remedy: string,
  { store, secret }: { readonly store: string; readonly secret?: string | undefined },
  key: string | undefined,
): string {
  if (secret === undefined) return remedy;
  const reference = formatReference({ store, name: secret, key });
  return remedy.replaceAll('REF', () => (/^[\w:/.#@%+=-]+$/.test(reference) ? reference : quoted(reference)));
}

/** Quotes for a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
