/** What the detectors remember of each principal and secret: counters and small sets, never events. */
import { Burst, DistinctBurst } from './burst.ts';
import type { AnomalyParameters } from './parameters.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Sets stop growing at this size: with so many members, a new one isn't remarkable. */
export const MOST_MEMBERS = 5000;

export class Principal {
  readonly first: number;
  reads = 0;
  /** The number of UTC days on which it read. */
  days = 0;
  readonly secrets = new Set<number>();
  readonly sites = new Set<number>();
  /** Provider networks, by number. */
  readonly providers = new Set<number>();
  /** Provider networks that were first used after the first days. */
  newProviders = 0;
  /** For each hour of the day (UTC), on how many days it read in that hour. */
  readonly hourDays = new Uint16Array(24);
  readonly rate: Burst;
  readonly different: DistinctBurst;
  readonly denied: DistinctBurst;
  #day = -1;
  /** Bit set of the hours already counted for this day. */
  #hours = 0;

  constructor(first: number, parameters: AnomalyParameters) {
    this.first = first;
    this.rate = new Burst(HOUR_MS);
    this.different = new DistinctBurst(parameters.burstMs);
    this.denied = new DistinctBurst(parameters.burstMs);
  }

  /** Counts a read's day and hour. */
  noteTime(ms: number): void {
    const day = Math.floor(ms / DAY_MS);
    if (day !== this.#day) {
      this.#day = day;
      this.#hours = 0;
      this.days += 1;
    }
    const hour = Math.floor((ms % DAY_MS) / HOUR_MS);
    if ((this.#hours & (1 << hour)) !== 0) return;
    this.#hours |= 1 << hour;
    this.hourDays[hour] = (this.hourDays[hour] ?? 0) + 1;
  }

  /** Hours between this one and the nearest hour at which it ever read; 24 if it never read. */
  hoursAway(hour: number): number {
    for (let away = 0; away <= 12; away += 1)
      if ((this.hourDays[(hour + away) % 24] ?? 0) > 0 || (this.hourDays[(hour + 24 - away) % 24] ?? 0) > 0)
        return away;
    return 24;
  }

  /** The hours at which it was ever active, for display: `06-15, 18`. */
  hoursText(): string {
    const parts: string[] = [];
    for (let hour = 0; hour < 24; hour += 1) {
      if ((this.hourDays[hour] ?? 0) === 0) continue;
      let end = hour;
      while (end < 23 && (this.hourDays[end + 1] ?? 0) > 0) end += 1;
      parts.push(hour === end ? two(hour) : `${two(hour)}-${two(end)}`);
      hour = end;
    }
    return parts.join(', ');
  }
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

export class Secret {
  readonly first: number;
  reads = 0;
  days = 0;
  /** The principals that were allowed to read it. */
  readonly readers = new Set<number>();
  /** Provider networks from which it was read. */
  readonly providers = new Set<number>();
  #day = -1;

  constructor(first: number) {
    this.first = first;
  }

  noteTime(ms: number): void {
    const day = Math.floor(ms / DAY_MS);
    if (day === this.#day) return;
    this.#day = day;
    this.days += 1;
  }
}

export function remember(set: Set<number>, member: number): void {
  if (set.size < MOST_MEMBERS) set.add(member);
}
