/** The rules' parameters: the defaults, overridden by secrets.yaml. */
import type { ReportSettings } from '../config/audit-report.ts';
import {
  ANOMALIES,
  type AnomalyParameters,
  POSTURE,
  type PostureParameters,
} from '../core/findings/parameters.ts';
import { parsePeriod } from '../core/duration.ts';

export function postureParameters(given: ReportSettings): PostureParameters {
  return {
    neverRotatedAfterMs: period(given['never-rotated-after'], POSTURE.neverRotatedAfterMs),
    expiringWithinMs: period(given['expiring-within'], POSTURE.expiringWithinMs),
    unusedAfterMs: period(given['unused-after'], POSTURE.unusedAfterMs),
    maxVersions: given['max-versions'] ?? POSTURE.maxVersions,
    weakBelow: given['weak-below'] ?? POSTURE.weakBelow,
  };
}

export function anomalyParameters(given: ReportSettings): AnomalyParameters {
  return {
    learnMs: period(given.learn, ANOMALIES.learnMs),
    minReads: given['min-reads'] ?? ANOMALIES.minReads,
    minDays: given['min-days'] ?? ANOMALIES.minDays,
    broadShare: given['broad-share'] ?? ANOMALIES.broadShare,
    companyShare: given['company-share'] ?? ANOMALIES.companyShare,
    travelRate: given['travel-rate'] ?? ANOMALIES.travelRate,
    hourGap: given['hour-gap'] ?? ANOMALIES.hourGap,
    rateFactor: given['rate-factor'] ?? ANOMALIES.rateFactor,
    rateMin: given['rate-min'] ?? ANOMALIES.rateMin,
    burstMs: period(given.burst, ANOMALIES.burstMs),
    denialSecrets: given['denial-secrets'] ?? ANOMALIES.denialSecrets,
    bulkSecrets: given['bulk-secrets'] ?? ANOMALIES.bulkSecrets,
    bulkFactor: given['bulk-factor'] ?? ANOMALIES.bulkFactor,
  };
}

function period(given: string | undefined, fallback: number): number {
  return given === undefined ? fallback : parsePeriod(given);
}
