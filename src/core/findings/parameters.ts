/** Thresholds of a report's rules; set by `audit: { report: … }` in secrets.yaml. Times in milliseconds. */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export interface PostureParameters {
  readonly neverRotatedAfterMs: number;
  readonly expiringWithinMs: number;
  readonly unusedAfterMs: number;
  readonly maxVersions: number;
  /** A value is weak below this decimal logarithm of the number of guesses. */
  readonly weakBelow: number;
}

export const POSTURE: PostureParameters = {
  neverRotatedAfterMs: 180 * DAY_MS,
  expiringWithinMs: 30 * DAY_MS,
  unusedAfterMs: 90 * DAY_MS,
  maxVersions: 10,
  weakBelow: 10,
};

export interface AnomalyParameters {
  /** How long a secret or principal is only observed before anything about it is reported as unusual. */
  readonly learnMs: number;
  /** With fewer reads, too little is known of a secret or principal. */
  readonly minReads: number;
  /** With fewer days of activity, a principal has no pattern. */
  readonly minDays: number;
  /**
   * `new-principal`: a secret with more readers than this share of all principals (and more than eight) is broadly
   * read.
   */
  readonly broadShare: number;
  /** `new-principal`: this share of a secret's readers must share another secret with the new reader. */
  readonly companyShare: number;
  /** `new-network`: a principal with more new networks than this per active day is a traveller. */
  readonly travelRate: number;
  /** `odd-hours`: hours between the read and the nearest hour at which the principal was ever active. */
  readonly hourGap: number;
  /** `high-rate`: multiple of the busiest hour so far. */
  readonly rateFactor: number;
  /** `high-rate`: not reported below this many reads within an hour. */
  readonly rateMin: number;
  /** `denial-burst`, `bulk-read`: the window. */
  readonly burstMs: number;
  /** `denial-burst`: secrets that the principal was denied and had never been allowed to read. */
  readonly denialSecrets: number;
  /**
   * `bulk-read`: different secrets; in a store with fewer than twice as many, half of its secrets, but at least
   * eight.
   */
  readonly bulkSecrets: number;
  /** `bulk-read`: multiple of the most that the principal has read at once so far. */
  readonly bulkFactor: number;
}

export const ANOMALIES: AnomalyParameters = {
  learnMs: 14 * DAY_MS,
  minReads: 10,
  minDays: 10,
  broadShare: 0.2,
  companyShare: 0.1,
  travelRate: 0.025,
  hourGap: 4,
  rateFactor: 3,
  rateMin: 60,
  burstMs: 10 * 60_000,
  denialSecrets: 6,
  bulkSecrets: 20,
  bulkFactor: 3,
};
