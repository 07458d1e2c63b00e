/** Durations as people write them: `500ms`, `10s`, `5m`, `2h`, `30d`. */
import { SecretsError } from './errors.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Node's timers support 31 bits of milliseconds. */
const LONGEST_MS = 2_147_483_647;

/** Milliseconds of a duration; a bare number is seconds. @throws SecretsError Usage */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text);
  const ms = match === null ? Number.NaN : Math.round(Number(match[1]) * (UNITS[match[2] ?? 's'] as number));
  if (!(ms > 0 && ms <= LONGEST_MS)) {
    throw new SecretsError('Usage', `${JSON.stringify(text)} is not a duration`, {
      hint: 'use 500ms, 10s, 5m or 2h',
    });
  }
  return ms;
}

const PERIODS: Readonly<Record<string, number>> = { ...UNITS, w: 7 * 86_400_000 };
/** A hundred years: anything longer is a mistake. */
const LONGEST_PERIOD_MS = 36_525 * 86_400_000;

/** Milliseconds of a period, which may be longer than a timer: `12h`, `30d`, `8w`. @throws SecretsError Usage */
export function parsePeriod(text: string): number {
  const match = /^(\d+)(s|m|h|d|w)$/.exec(text);
  const ms = match === null ? Number.NaN : Number(match[1]) * (PERIODS[match[2] as string] as number);
  if (!(ms > 0 && ms <= LONGEST_PERIOD_MS)) {
    throw new SecretsError('Usage', `${JSON.stringify(text)} is not a duration`, {
      hint: 'use 90s, 12h, 30d or 8w',
    });
  }
  return ms;
}
