/** What the rules of a report measure by; `audit: { report: … }` in secrets.yaml sets them. Times in milliseconds. */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export interface PostureParameters {
  readonly neverRotatedAfterMs: number;
  readonly expiringWithinMs: number;
  readonly unusedAfterMs: number;
  readonly maxVersions: number;
  /** Decimal logarithm of the number of guesses below which a value is weak. */
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
  /** How long a secret or a principal is only watched before anything about it is called unusual. */
  readonly learnMs: number;
  /** Reads without which too little is known of a secret or a principal. */
  readonly minReads: number;
  /** Days of activity without which a principal has no pattern. */
  readonly minDays: number;
  /** `new-principal`: a secret with more readers than this share of all principals (and eight) is anybody's. */
  readonly broadShare: number;
  /** `new-principal`: this share of a secret's readers has to share another secret with who is new to it. */
  readonly companyShare: number;
  /** `new-network`: a principal with more new networks than this per active day is a traveller. */
  readonly travelRate: number;
  /** `odd-hours`: hours between the read and the nearest hour at which the principal was ever active. */
  readonly hourGap: number;
  /** `high-rate`: times the busiest hour so far. */
  readonly rateFactor: number;
  /** `high-rate`: reads within an hour below which nothing is said. */
  readonly rateMin: number;
  /** `denial-burst`, `bulk-read`: within this time. */
  readonly burstMs: number;
  /** `denial-burst`: secrets that the principal was refused, and was never given before. */
  readonly denialSecrets: number;
  /** `bulk-read`: different secrets; in a store with fewer than twice as many, half of its secrets, eight at least. */
  readonly bulkSecrets: number;
  /** `bulk-read`: times the most that the principal read at once so far. */
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
