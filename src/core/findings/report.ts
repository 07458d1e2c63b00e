/**
 * The report as data, from which every format (terminal, JSON, SARIF, Markdown, HTML) is rendered. Plain JSON: no
 * dates, no maps, and no undefined values that a format would have to handle. Texts are as stores and trails returned
 * them: each format cleans or escapes them for its own medium.
 */
import type { Counts, Finding } from './finding.ts';

/** A finding as listed in a report. */
export interface ReportFinding extends Finding {
  /** `known`: it is in the baseline. Without a baseline every finding is `new`. */
  readonly status: 'new' | 'known';
}

/** A finding that secrets.yaml suppresses, and why. */
export interface SuppressedFinding extends Finding {
  readonly reason: string;
  /** Last day of the suppression: `2027-01-31`. */
  readonly until: string;
}

/** A suppression whose end date has passed: it no longer suppresses anything. */
export interface ExpiredSuppression {
  readonly rule: string;
  readonly secret: string;
  readonly reason: string;
  readonly until: string;
  /** How many findings it would have suppressed. */
  readonly findings: number;
}

/** A store that was examined. */
export interface ReportStore {
  readonly name: string;
  /** Kind of its provider. */
  readonly provider: string;
  /** The number of secrets examined. */
  readonly secrets: number;
  /** Why the store, or a part of it, could not be examined; empty if everything was. */
  readonly errors: readonly {
    readonly kind: string;
    readonly message: string;
    /** The reference or part that failed. */
    readonly reference?: string | undefined;
    readonly hint?: string | undefined;
  }[];
}

/** What a rule could not determine, and why. */
export interface ReportNote {
  /** The rule, if the note is about one. */
  readonly rule?: string | undefined;
  readonly store?: string | undefined;
  readonly message: string;
}

export interface ReportReader {
  readonly principal: string;
  /** Allowed reads. */
  readonly reads: number;
  readonly denied: number;
  /** The number of different secrets that it read. */
  readonly secrets: number;
  /** ISO 8601, UTC. */
  readonly last: string;
}

/** Accesses during the period, from our own log and the trails that were read. */
export interface ReportAccess {
  /** All events; 0 if there is neither a log nor a trail. */
  readonly events: number;
  /** Their sources: `secrets` (our log), `cloudtrail`, …, with the number of events from each. */
  readonly origins: Readonly<Record<string, number>>;
  /** Time of the first and last event: ISO 8601, UTC. */
  readonly first?: string | undefined;
  readonly last?: string | undefined;
  /** One entry for each UTC day with events, oldest first; `day` is `2026-11-24`. */
  readonly days: readonly {
    readonly day: string;
    readonly reads: number;
    readonly denied: number;
    readonly failed: number;
    /** Writes, deletions, lists and everything else. */
    readonly other: number;
  }[];
  /** Allowed reads by weekday (0: Monday … 6: Sunday) and hour (0 … 23), both UTC: 7 rows of 24 numbers. */
  readonly hours: readonly (readonly number[])[];
  /** The twenty principals with the most reads, most reads first. */
  readonly readers: readonly ReportReader[];
  /** The total number of principals. */
  readonly principals: number;
  /** The twenty secrets that were read most. */
  readonly secrets: readonly {
    readonly store: string;
    readonly secret: string;
    readonly reads: number;
    readonly readers: number;
  }[];
}

/** How many secrets have a current value of that age. */
export interface AgeBucket {
  /** For display: `under 7 days`, `over 2 years`, `not known`. */
  readonly label: string;
  /** Inclusive; missing if the age isn't known. */
  readonly fromDays?: number | undefined;
  /** Exclusive; missing in the last bucket. */
  readonly toDays?: number | undefined;
  readonly secrets: number;
}

export interface ReportData {
  readonly v: 1;
  /** ISO 8601, UTC. */
  readonly generatedAt: string;
  /** The period of the events: ISO 8601, UTC. */
  readonly period: { readonly since: string; readonly until: string };
  readonly stores: readonly ReportStore[];
  /** Counts of `findings`, without suppressed ones. */
  readonly counts: Counts;
  /** Counts of the findings whose status is `new`. */
  readonly newCounts: Counts;
  /** Worst first. */
  readonly findings: readonly ReportFinding[];
  readonly suppressed: readonly SuppressedFinding[];
  readonly expiredSuppressions: readonly ExpiredSuppression[];
  /** What could not be determined, and why: readers must not take missing findings for a good result. */
  readonly notes: readonly ReportNote[];
  /** Whether values were read (`--values`), and so compared and judged. */
  readonly values: boolean;
  /** Whether the services' own trails were read (`--trail`). */
  readonly trail: boolean;
  readonly access: ReportAccess;
  readonly ages: readonly AgeBucket[];
  /** The gate, if `--fail-on` was given: how many new findings are at or above the level. */
  readonly gate?: { readonly failOn: string; readonly failing: number } | undefined;
}
