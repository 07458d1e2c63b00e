/** Totals over all accesses, for the charts and tables of a report. */
import { compareText } from '../order.ts';
import type { EventTable } from './events.ts';
import type { AgeBucket, ReportAccess, ReportReader } from './report.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const TOP = 20;

interface Day {
  reads: number;
  denied: number;
  failed: number;
  other: number;
}

interface Sums {
  readonly days: Map<number, Day>;
  /** By day of the week and hour of the day. */
  readonly hours: readonly number[][];
  readonly readers: Map<number, { reads: number; denied: number; secrets: Set<number>; last: number }>;
  readonly secrets: Map<number, { reads: number; readers: Set<number> }>;
  first: number;
  last: number;
}

export function summarise(table: EventTable): ReportAccess {
  const { days, hours, readers, secrets, first, last } = sumUp(table);
  return {
    events: table.length,
    origins: Object.fromEntries(table.origins),
    ...(!Number.isNaN(first) && {
      first: new Date(first).toISOString(),
      last: new Date(last).toISOString(),
    }),
    days: [...days]
      .toSorted(([a], [b]) => a - b)
      .map(([number, day]) => ({ day: new Date(number * DAY_MS).toISOString().slice(0, 10), ...day })),
    hours,
    // Of equals, their names decide, and not which store answered first.
    readers: [...readers]
      .toSorted(
        ([one, a], [other, b]) =>
          b.reads - a.reads ||
          b.denied - a.denied ||
          compareText(table.principals.nameOf(one), table.principals.nameOf(other)),
      )
      .slice(0, TOP)
      .map(([principal, { reads, denied, secrets: own, last: seen }]): ReportReader => ({
        principal: table.principals.nameOf(principal),
        reads,
        denied,
        secrets: own.size,
        last: new Date(seen).toISOString(),
      })),
    principals: readers.size,
    secrets: [...secrets]
      .toSorted(
        ([one, a], [other, b]) =>
          b.reads - a.reads ||
          compareText(JSON.stringify(table.secretName(one)), JSON.stringify(table.secretName(other))),
      )
      .slice(0, TOP)
      .map(([number, { reads, readers: own }]) => ({
        ...table.secretName(number),
        reads,
        readers: own.size,
      })),
  };
}

/** One pass over all events. */
function sumUp(table: EventTable): Sums {
  const sums: Sums = {
    days: new Map(),
    hours: Array.from({ length: 7 }, () => Array.from({ length: 24 }, () => 0)),
    readers: new Map(),
    secrets: new Map(),
    first: Number.NaN,
    last: Number.NaN,
  };
  const { days, hours, readers, secrets } = sums;
  for (const { ms, principal, secret, read, outcome } of table.byTime()) {
    if (Number.isNaN(sums.first)) sums.first = ms;
    sums.last = ms;
    const number = Math.floor(ms / DAY_MS);
    const day = days.get(number) ?? { reads: 0, denied: 0, failed: 0, other: 0 };
    days.set(number, day);
    const what = outcome !== 'allowed' ? outcome : read ? 'reads' : 'other';
    day[what] += 1;
    if (!read) continue;
    const reader = readers.get(principal) ?? { reads: 0, denied: 0, secrets: new Set(), last: ms };
    readers.set(principal, reader);
    reader.last = ms;
    if (outcome === 'denied') reader.denied += 1;
    if (outcome !== 'allowed') continue;
    reader.reads += 1;
    // 1970 started on a Thursday.
    const row = hours[(number + 3) % 7] as number[];
    const hour = Math.floor((ms % DAY_MS) / HOUR_MS);
    row[hour] = (row[hour] ?? 0) + 1;
    if (secret === -1) continue;
    reader.secrets.add(secret);
    const seen = secrets.get(secret) ?? { reads: 0, readers: new Set() };
    secrets.set(secret, seen);
    seen.reads += 1;
    seen.readers.add(principal);
  }
  return sums;
}

const AGES: readonly (readonly [label: string, fromDays: number, toDays: number | undefined])[] = [
  ['under 7 days', 0, 7],
  ['7 to 30 days', 7, 30],
  ['30 to 90 days', 30, 90],
  ['90 to 180 days', 90, 180],
  ['180 days to 1 year', 180, 365],
  ['1 to 2 years', 365, 730],
  ['over 2 years', 730, undefined],
];

/** @param values when each secret got its current value; undefined if unknown */
export function agesOf(values: readonly (Date | undefined)[], now: Date): readonly AgeBucket[] {
  const days = values.map((date) =>
    date === undefined ? undefined : (now.getTime() - date.getTime()) / DAY_MS,
  );
  const buckets: AgeBucket[] = AGES.map(([label, fromDays, toDays]) => ({
    label,
    fromDays,
    ...(toDays !== undefined && { toDays }),
    secrets: days.filter(
      (age) =>
        age !== undefined && (age >= fromDays || fromDays === 0) && (toDays === undefined || age < toDays),
    ).length,
  }));
  const unknown = days.filter((age) => age === undefined).length;
  return unknown === 0 ? buckets : [...buckets, { label: 'not known', secrets: unknown }];
}
