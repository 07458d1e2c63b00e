/**
 * Decides which findings count: suppressions with an end date, the baseline of known findings, the level that fails.
 */
import { SecretsError } from '../errors.ts';
import { isJsonObject } from '../json.ts';
import { fitsPathPattern } from '../text/pattern.ts';
import { atLeast, bySeverity, countOf, type Finding, type Severity } from './finding.ts';
import type { ExpiredSuppression, ReportData, ReportFinding, SuppressedFinding } from './report.ts';

/** One entry of `audit: { suppress: […] }`. */
export interface Suppression {
  /** Id of a rule, or `*`. */
  readonly rule: string;
  /** Glob for `store://name`, or only for the name if it contains no `://`. */
  readonly secret: string;
  readonly reason: string;
  /** The last day on which it applies, UTC: `2027-01-31`. */
  readonly until: string;
}

function covers({ rule, secret }: Suppression, finding: Finding): boolean {
  if (rule !== '*' && rule !== finding.rule) return false;
  const name = finding.secret ?? '';
  // A finding about no particular secret is suppressed through its store.
  return fitsPathPattern(secret, secret.includes('://') ? `${finding.store}://${name}` : name);
}

export function suppress(
  findings: readonly Finding[],
  suppressions: readonly Suppression[],
  now: Date,
): {
  readonly left: readonly Finding[];
  readonly suppressed: readonly SuppressedFinding[];
  readonly expired: readonly ExpiredSuppression[];
} {
  const today = now.toISOString().slice(0, 10);
  const live = suppressions.filter(({ until }) => until >= today);
  const left: Finding[] = [];
  const suppressed: SuppressedFinding[] = [];
  for (const finding of findings) {
    const by = live.find((suppression) => covers(suppression, finding));
    if (by === undefined) left.push(finding);
    else suppressed.push({ ...finding, reason: by.reason, until: by.until });
  }
  const expired = suppressions
    .filter(({ until }) => until < today)
    .map((suppression) => ({
      rule: suppression.rule,
      secret: suppression.secret,
      reason: suppression.reason,
      until: suppression.until,
      findings: left.filter((finding) => covers(suppression, finding)).length,
    }));
  return { left, suppressed, expired };
}

/** Known findings, as stored in a baseline file. */
export interface Baseline {
  readonly version: 1;
  readonly findings: readonly {
    readonly fingerprint: string;
    readonly rule: string;
    readonly store: string;
    readonly secret?: string | undefined;
  }[];
}

/** @throws SecretsError Usage if the text isn't a baseline */
export function parseBaseline(text: string, path: string): ReadonlySet<string> {
  const bad = (): SecretsError =>
    new SecretsError('Usage', `${path} is not a baseline`, {
      hint: 'write one with secrets audit report --baseline FILE --update-baseline',
    });
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw bad();
  }
  if (!isJsonObject(document) || document['version'] !== 1 || !Array.isArray(document['findings']))
    throw bad();
  return new Set(
    document['findings'].map((entry: unknown) => {
      const fingerprint = isJsonObject(entry) ? entry['fingerprint'] : undefined;
      if (typeof fingerprint !== 'string' || !/^[0-9a-f]{32}$/.test(fingerprint)) throw bad();
      return fingerprint;
    }),
  );
}

/** The baseline of the current findings, in an order that keeps diffs small. */
export function baselineOf(findings: readonly Finding[]): Baseline {
  const unique = new Map(findings.map((finding) => [finding.fingerprint, finding]));
  return {
    version: 1,
    findings: [...unique.values()]
      .map(({ fingerprint, rule, store, secret }) => ({
        fingerprint,
        rule,
        store,
        ...(secret !== undefined && { secret }),
      }))
      .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
  };
}

function keyOf({ rule, store, secret, fingerprint }: Baseline['findings'][number]): string {
  return [store, secret ?? '', rule, fingerprint].join('\n');
}

export function judgeFindings(
  all: readonly Finding[],
  suppressions: readonly Suppression[],
  known: ReadonlySet<string>,
  failOn: Severity | undefined,
  now: Date,
): Pick<ReportData, 'counts' | 'newCounts' | 'findings' | 'suppressed' | 'expiredSuppressions' | 'gate'> {
  const { left, suppressed, expired } = suppress(all, suppressions, now);
  const findings = left.toSorted(bySeverity).map((finding): ReportFinding => ({
    ...finding,
    status: known.has(finding.fingerprint) ? 'known' : 'new',
  }));
  const fresh = findings.filter(({ status }) => status === 'new');
  return {
    counts: countOf(findings),
    newCounts: countOf(fresh),
    findings,
    suppressed: suppressed.toSorted(bySeverity),
    expiredSuppressions: expired,
    ...(failOn !== undefined && {
      gate: { failOn, failing: fresh.filter(({ severity }) => atLeast(severity, failOn)).length },
    }),
  };
}
