/**
 * When a secret was last rotated, when the next rotation is due, and whether one is in progress: for `--due` and
 * `status`.
 */
import { parsePeriod } from '../duration.ts';
import type { VersionInfo } from '../secret.ts';
import { decodeTime, EVERY_LABEL, type Holder, LAST_ROTATED_LABEL, RETIRE_LABEL } from './holder.ts';
import type { NativeRotation } from './native.ts';

/** Most urgent first. */
export const STATES = ['stuck', 'overdue', 'never', 'rotating', 'retiring', 'ok', 'unscheduled'] as const;

export interface Schedule {
  /**
   * `stuck`: started, but its holder has been silent for the lease; `rotating`: started, and its holder may still be
   * at work; `retiring`: done, and the grace period of the replaced credential is over; `never`: the date of the last
   * change isn't known; `unscheduled`: nothing says how often.
   */
  readonly state: (typeof STATES)[number];
  readonly lastRotated: Date | undefined;
  readonly everyMs: number | undefined;
  readonly next: Date | undefined;
  /** Who has started a rotation; without a record of that, only since when. */
  readonly holder: Holder | { readonly since: Date | undefined } | undefined;
  /** Until when the replaced credential is kept. */
  readonly retireAt: Date | undefined;
  /** What the store's own service, or the target's, does by itself. */
  readonly native?: NativeRotation | undefined;
  /** The last change is dated in the future: a clock was wrong, so the age of the value isn't known. */
  readonly future?: boolean;
}

/** Combines our own schedule with a date that the service keeps. */
export function withReminder(own: Schedule, native: NativeRotation, now: Date): Schedule {
  const { next } = native;
  const over = next !== undefined && next <= now && (own.state === 'ok' || own.state === 'unscheduled');
  return { ...own, native, next: own.next ?? next, state: over ? 'overdue' : own.state };
}

/**
 * The schedule of a secret that its service rotates; `undefined` if rotation was never configured there.
 * @param maxAgeMs a secret that is older is overdue, whatever the service says
 */
export function judgeNative(
  native: NativeRotation | undefined,
  maxAgeMs: number | undefined,
  now: Date,
): Schedule {
  const { lastRotated, everyMs, next, attempt, enabled = false, role } = native ?? {};
  const past = (date: Date | undefined): boolean => date !== undefined && date <= now;
  const olderThan = (ms: number | undefined): boolean =>
    ms !== undefined && lastRotated !== undefined && lastRotated.getTime() + ms <= now.getTime();
  // If the service only notifies somebody, the rotation may not have happened: the next date says nothing about the
  // last one.
  const missed = past(next) || olderThan(maxAgeMs) || (role === 'notifies' && olderThan(everyMs));
  const state =
    attempt !== undefined
      ? attempt.failed !== undefined || past(next)
        ? 'stuck'
        : 'rotating'
      : !enabled
        ? 'never'
        : missed
          ? 'overdue'
          : next === undefined && everyMs === undefined
            ? 'unscheduled'
            : 'ok';
  const holder = attempt === undefined ? undefined : { since: attempt.since };
  return { state, lastRotated, everyMs, next, holder, retireAt: undefined, native };
}

/** The relevant part of a version; no value is needed. */
export type Dated = Pick<VersionInfo, 'id' | 'createdAt'>;

export function judge(
  {
    current,
    pending,
    holder,
  }: {
    readonly current: Dated | undefined;
    readonly pending: Dated | undefined;
    readonly holder: Holder | undefined;
  },
  labels: Readonly<Record<string, string>>,
  everyMs: number | undefined,
  leaseMs: number,
  now: Date,
  seenFor: (pendingId: string) => number,
): Schedule {
  const every = everyMs ?? periodOf(labels[EVERY_LABEL]);
  // A value that was stored manually afterwards is just as new.
  const dates = [decodeTime(labels[LAST_ROTATED_LABEL]), current?.createdAt];
  // A date in the future shows that a clock is wrong. The other date may come from a different clock.
  const past = dates.map((date) => (isFuture(date, now) ? undefined : date));
  const credible = latest(past[0], past[1]);
  const lastRotated = credible ?? latest(dates[0], dates[1]);
  const future = credible === undefined && lastRotated !== undefined;
  const next =
    every === undefined || lastRotated === undefined
      ? undefined
      : new Date(future ? now.getTime() : lastRotated.getTime() + every);
  const retireAt = decodeTime(labels[RETIRE_LABEL]);
  const known = { lastRotated, everyMs: every, next, retireAt, ...(future && { future }) };
  if (pending !== undefined) {
    const lease = holder?.leaseMs ?? leaseMs;
    const stuck = lease === 0 || seenFor(pending.id) >= lease;
    return { ...known, state: stuck ? 'stuck' : 'rotating', holder: holder ?? { since: pending.createdAt } };
  }
  const due = every !== undefined && (next === undefined || next <= now);
  const state = due
    ? next === undefined
      ? 'never'
      : 'overdue'
    : retireAt !== undefined && retireAt <= now
      ? 'retiring'
      : every === undefined
        ? 'unscheduled'
        : 'ok';
  return { ...known, state, holder: undefined };
}

/** Synchronised clocks differ by less: Kerberos allows this much. */
export const CLOCKS_DIFFER_MS = 300_000;

export function isFuture(date: Date | undefined, now: Date): boolean {
  return date !== undefined && date.getTime() > now.getTime() + CLOCKS_DIFFER_MS;
}

function latest(one: Date | undefined, other: Date | undefined): Date | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one > other ? one : other;
}

function periodOf(label: string | undefined): number | undefined {
  try {
    return label === undefined ? undefined : parsePeriod(label);
  } catch {
    return undefined;
  }
}

/** Most urgent first; with the same urgency, the one that is due first. */
export function byUrgency(one: Schedule, other: Schedule): number {
  const far = Number.MAX_SAFE_INTEGER;
  return (
    STATES.indexOf(one.state) - STATES.indexOf(other.state) ||
    (one.next?.getTime() ?? far) - (other.next?.getTime() ?? far)
  );
}
