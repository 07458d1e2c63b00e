/** Findings of a report: severity, and what identifies the same finding from day to day. */
import { createHash } from 'node:crypto';
import { compareText } from '../order.ts';

/** Worst first. */
export const SEVERITIES = ['critical', 'high', 'medium', 'low', 'info'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** Numbers and texts that support a finding, by name. Never a secret's value, or anything derived from one. */
export type Evidence = Readonly<Record<string, string | number | readonly string[]>>;

export interface Finding {
  /** Id of the rule, such as `overdue`; docs/audit-report.md lists them. */
  readonly rule: string;
  readonly severity: Severity;
  readonly store: string;
  /** Missing if it is about a principal or a store. */
  readonly secret?: string | undefined;
  /** One sentence, including the numbers. */
  readonly message: string;
  readonly evidence: Evidence;
  /** What to do about it, one sentence. */
  readonly remedy: string;
  /**
   * The same for the same problem, even if its numbers change from day to day: 32 hexadecimal digits, derived only
   * from the rule and names.
   */
  readonly fingerprint: string;
  /** When it happened, for events: ISO 8601, UTC. */
  readonly at?: string | undefined;
  /** Who did it, for an anomaly. */
  readonly principal?: string | undefined;
}

/** @param about what else distinguishes findings of one rule about one secret, such as the principal */
export function fingerprintOf(
  rule: string,
  store: string,
  secret: string | undefined,
  about: readonly string[] = [],
): string {
  return createHash('sha256')
    .update(JSON.stringify([rule, store, secret ?? null, ...about]))
    .digest('hex')
    .slice(0, 32);
}

/** Whether a severity is at least as bad as a level. */
export function atLeast(severity: Severity, level: Severity): boolean {
  return SEVERITIES.indexOf(severity) <= SEVERITIES.indexOf(level);
}

/** Worst first; then by store, secret, rule and time, so that two reports of the same state are identical. */
export function bySeverity(one: Finding, other: Finding): number {
  return (
    SEVERITIES.indexOf(one.severity) - SEVERITIES.indexOf(other.severity) ||
    compareText(one.store, other.store) ||
    compareText(one.secret ?? '', other.secret ?? '') ||
    compareText(one.rule, other.rule) ||
    compareText(one.at ?? '', other.at ?? '') ||
    compareText(one.fingerprint, other.fingerprint)
  );
}

export type Counts = Readonly<Record<Severity, number>>;

export function countOf(findings: readonly Pick<Finding, 'severity'>[]): Counts {
  const counts = { critical: 0, high: 0, medium: 0, low: 0, info: 0 };
  for (const { severity } of findings) counts[severity] += 1;
  return counts;
}
