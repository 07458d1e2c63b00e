/**
 * The report as data: what every form of it (terminal, JSON, SARIF, Markdown, HTML) is made from. Plain JSON: no
 * dates, no maps, nothing undefined that a form would have to think about. Texts are as stores and trails gave them:
 * a form cleans or escapes them for its own medium.
 */
import type { Counts, Finding } from './finding.ts';

/** A finding as a report lists it. */
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

/** A suppression whose end date is over: it suppresses nothing any more. */
export interface ExpiredSuppression {
  readonly rule: string;
  readonly secret: string;
  readonly reason: string;
  readonly until: string;
  /** How many findings it would have suppressed. */
  readonly findings: number;
}

/** A store that was looked through. */
export interface ReportStore {
  readonly name: string;
  /** Kind of its provider. */
  readonly provider: string;
  /** Secrets looked at. */
  readonly secrets: number;
  /** Why it, or a part of it, could not be looked at; empty when all went well. */
  readonly errors: readonly {
    readonly kind: string;
    readonly message: string;
    /** The reference or part it happened for. */
    readonly reference?: string | undefined;
    readonly hint?: string | undefined;
  }[];
}

/** What a rule could not tell, and why. */
export interface ReportNote {
  /** The rule, where it is about one. */
  readonly rule?: string | undefined;
  readonly store?: string | undefined;
  readonly message: string;
}

/** One principal's reading. */
export interface ReportReader {
  readonly principal: string;
  /** Allowed reads. */
  readonly reads: number;
  readonly denied: number;
  /** Different secrets that it was given. */
  readonly secrets: number;
  /** ISO 8601, UTC. */
  readonly last: string;
}

/** Accesses over the period, from our own log and the trails that were read. */
export interface ReportAccess {
  /** All events; 0 when there is neither a log nor a trail. */
  readonly events: number;
  /** Where they came from: `secrets` (our log), `cloudtrail`, … with how many each gave. */
  readonly origins: Readonly<Record<string, number>>;
  /** Time of the first and of the last one: ISO 8601, UTC. */
  readonly first?: string | undefined;
  readonly last?: string | undefined;
  /** One entry for each UTC day of the period that had events, oldest first; `day` is `2026-11-24`. */
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
  /** The twenty that read most, most reads first. */
  readonly readers: readonly ReportReader[];
  /** How many different principals there were in all. */
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
  /** For people: `under 7 days`, `over 2 years`, `not known`. */
  readonly label: string;
  /** From this many days on; missing: not known. */
  readonly fromDays?: number | undefined;
  /** Up to, and without, this many; missing in the last one. */
  readonly toDays?: number | undefined;
  readonly secrets: number;
}

export interface ReportData {
  readonly v: 1;
  /** ISO 8601, UTC. */
  readonly generatedAt: string;
  /** The time that events were looked at for: ISO 8601, UTC. */
  readonly period: { readonly since: string; readonly until: string };
  readonly stores: readonly ReportStore[];
  /** Of `findings`, which leaves suppressed ones out. */
  readonly counts: Counts;
  /** Of the findings whose status is `new`. */
  readonly newCounts: Counts;
  /** Worst first. */
  readonly findings: readonly ReportFinding[];
  readonly suppressed: readonly SuppressedFinding[];
  readonly expiredSuppressions: readonly ExpiredSuppression[];
  /** What could not be told, and why: a reader must not take silence for health. */
  readonly notes: readonly ReportNote[];
  /** Whether values were read (`--values`), and so compared and judged. */
  readonly values: boolean;
  /** Whether services' own trails were read (`--trail`). */
  readonly trail: boolean;
  readonly access: ReportAccess;
  readonly ages: readonly AgeBucket[];
  /** The gate, where `--fail-on` set one: how many new findings are at or over the level. */
  readonly gate?: { readonly failOn: string; readonly failing: number } | undefined;
}
