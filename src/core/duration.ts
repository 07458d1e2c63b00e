/** Durations as people write them: `500ms`, `10s`, `5m`, `2h`, `30d`. */
import { SecretsError } from './errors.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Node's timers hold 31 bits of milliseconds. */
const LONGEST_MS = 2_147_483_647;

/** Milliseconds of a duration; a bare number is seconds. @throws SecretsError Usage */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text);
  const ms = match === null ? Number.NaN : Math.round(Number(match[1]) * (UNITS[match[2] ?? 's'] as number));
  if (!(ms > 0 && ms <= LONGEST_MS)) {
    throw new SecretsError('Usage', `${JSON.stringify(text)} is not a duration`, {
      hint: 'write 500ms, 10s, 5m or 2h',
    });
  }
  return ms;
}
