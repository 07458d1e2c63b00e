/**
 * Merges a service's trail and our own log into one timeline, and matches entries of one with the other. Pure.
 *
 * If both have the service's request id, it identifies the same call. Otherwise an access in our log matches an entry
 * of the trail with the same action, secret and outcome, within a window around its time, whose version and identity
 * don't differ. Matches are one to one, so that of two reads at the same moment only one counts as made through
 * secrets. Additional calls of a command (such as the metadata that a listing reads) are parts of its access. Calls
 * that return a value or change something only count as parts of accesses that make such calls, and only a few per
 * access. A call whose client is known and doesn't identify itself as `secrets` wasn't made through secrets, whatever
 * else matches.
 */
import { compareText } from '../order.ts';
import type { AuditAction, AuditEvent } from './record.ts';

/**
 * Whether an access was made through `secrets`. `yes`: it is in our log. `client`: it isn't, but the client
 * identified itself as `secrets`, as it does on another machine, and as anybody can. `no`: neither.
 */
export type Through = 'yes' | 'client' | 'no';

export interface TimelineEntry {
  /** As in the trail, or if it isn't there, as in our log. */
  readonly event: AuditEvent;
  readonly through: Through;
  /** How it was found in our log. */
  readonly by?: 'request-id' | 'time' | 'part' | undefined;
  /** The record in our log. */
  readonly own?: AuditEvent | undefined;
  /** Whether it is in the trail; `undefined` without a trail, and for what a trail can't contain. */
  readonly inTrail: boolean | undefined;
}

export interface TimelineQuery {
  /** The period to show; our log is read with an extra window at both ends. */
  readonly since: Date;
  readonly until: Date;
  /** How far clocks may differ, in milliseconds. */
  readonly windowMs: number;
  /**
   * The store, and optionally one of its secrets. Records in our log under another name of the store only match by
   * request id.
   */
  readonly store: string;
  readonly secret?: string | undefined;
}

/** Trails with whole seconds truncate times instead of rounding them. */
const SECOND = 1000;
/** If the outcome of a change isn't recorded, its calls may be this long after its intent. */
const OPEN_MS = 60_000;
/** Width of the time buckets for finding accesses. */
const BUCKET_MS = 10_000;
/** Failures after which the service may have made the change nevertheless. */
const IN_DOUBT: ReadonlySet<string> = new Set(['Unavailable', 'Throttled', 'Failed']);

/** Additional calls that return a value or change something, by the actions that may make them. */
const PARTS: Readonly<Partial<Record<AuditAction, readonly AuditAction[]>>> = {
  write: ['label', 'promote', 'access'],
  promote: ['read', 'write', 'label', 'delete', 'purge'],
  restore: ['read', 'write', 'promote', 'label'],
  delete: ['purge', 'label'],
  purge: ['delete', 'label'],
  label: ['write'],
  rotate: ['write', 'promote', 'label', 'delete', 'purge'],
};
/** Actions that neither return a value nor change a secret. */
const HARMLESS: ReadonlySet<AuditAction> = new Set(['list', 'describe', 'other']);
/** The most such calls that one access makes. */
const MOST_PARTS = 4;

interface Own {
  readonly event: AuditEvent;
  readonly from: number;
  readonly to: number;
  taken: boolean;
  inTrail: boolean;
  /** How many more calls may be parts of it. */
  parts: number;
}

/**
 * @param trail in any order; `undefined` if the service has none
 * @param own records in our log about stores of the same kind, in any order
 * @returns oldest first
 */
export function timeline(
  trail: readonly AuditEvent[] | undefined,
  own: readonly AuditEvent[],
  query: TimelineQuery,
): TimelineEntry[] {
  const { since, until, windowMs, store, secret } = query;
  const accesses = own.map((event): Own => {
    const time = Date.parse(event.time);
    return {
      event,
      from: time - (event.durationMs ?? 0) - windowMs,
      // An intent is recorded before its calls.
      to: time + (event.outcome === 'unknown' ? OPEN_MS : 0) + windowMs,
      taken: false,
      inTrail: false,
      parts: MOST_PARTS,
    };
  });
  const ofStore = accesses.filter(
    ({ event }) => event.store === store && (secret === undefined || covers(event, secret)),
  );
  const entries = trail === undefined ? [] : compare(trail, accesses, ofStore);
  for (const { event, inTrail } of ofStore) {
    const time = Date.parse(event.time);
    if (inTrail || time < since.getTime() || time > until.getTime()) continue;
    if (secret !== undefined && event.secret !== secret) continue;
    const could = trail !== undefined && isCall(event);
    entries.push({ event, through: 'yes', own: event, inTrail: could ? false : undefined });
  }
  return entries.toSorted((a, b) => compareText(a.event.time, b.event.time));
}

/**
 * Whether a trail can contain it. A rotation as a whole isn't a call (its calls have their own records), nor is
 * anything that we refused ourselves; an intended change may not have made any.
 */
function isCall({ action, error, outcome }: AuditEvent): boolean {
  return outcome !== 'unknown' && action !== 'rotate' && error !== 'Policy' && error !== 'Usage';
}

function compare(
  trail: readonly AuditEvent[],
  accesses: readonly Own[],
  ofStore: readonly Own[],
): TimelineEntry[] {
  const byId = new Map<string, Own>();
  for (const access of accesses) {
    const { requestId } = access.event;
    if (requestId !== undefined && !byId.has(requestId)) byId.set(requestId, access);
  }
  const ids = new Set(trail.flatMap(({ requestId }) => requestId ?? []));
  for (const access of ofStore) {
    const { requestId } = access.event;
    if (requestId !== undefined && ids.has(requestId)) access.inTrail = true;
  }
  const lookup = bucketsOf(ofStore);
  // Most trails return the newest first, also within the same second.
  const isNewestFirst = (trail[0]?.time ?? '') > (trail.at(-1)?.time ?? '');
  const sorted = (isNewestFirst ? trail.toReversed() : [...trail]).sort((a, b) =>
    compareText(a.time, b.time),
  );
  const left: AuditEvent[] = [];
  const entries: TimelineEntry[] = [];
  for (const event of sorted) {
    const known = event.requestId === undefined ? undefined : byId.get(event.requestId);
    const access = known ?? oneFor(event, lookup(event));
    if (access === undefined) {
      left.push(event);
      continue;
    }
    access.inTrail = true;
    if (known === undefined) access.taken = true;
    entries.push({
      event,
      through: 'yes',
      by: known === undefined ? 'time' : 'request-id',
      own: access.event,
      inTrail: true,
    });
  }
  for (const event of left) {
    const whole = lookup(event).find((access) => isPart(event, access));
    if (whole !== undefined && whole.event.action !== 'read') whole.inTrail = true;
    if (whole !== undefined && !isHarmless(event)) whole.parts -= 1;
    entries.push({
      event,
      through: whole !== undefined ? 'yes' : isOurClient(event.client) ? 'client' : 'no',
      ...(whole !== undefined && { by: 'part' as const, own: whole.event }),
      inTrail: true,
    });
  }
  return entries;
}

/** Finds the accesses in our log at the time of an event. */
function bucketsOf(accesses: readonly Own[]): (event: AuditEvent) => readonly Own[] {
  const buckets = new Map<number, Own[]>();
  for (const access of accesses)
    for (let at = bucketOf(access.from - SECOND); at <= bucketOf(access.to); at += 1) {
      const there = buckets.get(at);
      if (there === undefined) buckets.set(at, [access]);
      else there.push(access);
    }
  return (event) => {
    const time = Date.parse(event.time);
    return (buckets.get(bucketOf(time)) ?? []).filter((access) => isAt(time, access));
  };
}

function bucketOf(time: number): number {
  return Math.floor(time / BUCKET_MS);
}

function isAt(time: number, { from, to }: Own): boolean {
  return time <= to && (time % SECOND === 0 ? time + SECOND - 1 : time) >= from;
}

/** The unmatched access that an event corresponds to: the best match, then the one that ends first. */
function oneFor(event: AuditEvent, candidates: readonly Own[]): Own | undefined {
  if (isOthersClient(event.client)) return undefined;
  let best: Own | undefined;
  let bestFit = 0;
  for (const access of candidates) {
    const { event: own, taken } = access;
    if (taken || (own.requestId !== undefined && event.requestId !== undefined)) continue;
    if (own.action !== event.action || own.secret !== event.secret || !sameOutcome(own, event)) continue;
    const version = sameVersion(own.version, event.version);
    const principal = samePrincipal(own.actor.principal, event.actor.principal);
    if (version === false || principal === false) continue;
    const fit = 1 + (version === true ? 2 : 0) + (principal === true ? 1 : 0);
    if (fit > bestFit || (fit === bestFit && best !== undefined && access.to < best.to)) {
      best = access;
      bestFit = fit;
    }
  }
  return best;
}

/** Whether one of our accesses made this call additionally. */
function isPart(event: AuditEvent, { event: own, parts }: Own): boolean {
  if (isOthersClient(event.client)) return false;
  if (samePrincipal(own.actor.principal, event.actor.principal) === false) return false;
  if (isHarmless(event)) return event.secret === undefined || covers(own, event.secret);
  if (own.secret !== event.secret || parts <= 0) return false;
  // A pending value has its own place, which not only reads and writes look at.
  if (event.version === 'pending') return event.action === 'read' || !isReading(own.action);
  // Some writes take two calls. If the client isn't known, the second could be anybody's.
  if (event.action === own.action) return !isReading(own.action) && isOurClient(event.client);
  return PARTS[own.action]?.includes(event.action) === true;
}

function isHarmless({ action, outcome }: AuditEvent): boolean {
  return outcome !== 'allowed' || HARMLESS.has(action);
}

function isReading(action: AuditAction): boolean {
  return action === 'read' || HARMLESS.has(action);
}

/** Whether an access concerns a secret: by its name, or as one of those under a listed prefix. */
function covers({ action, secret }: AuditEvent, name: string): boolean {
  if (action === 'list' || secret === undefined) return name.startsWith(secret ?? '');
  return secret === name;
}

function sameOutcome(own: AuditEvent, event: AuditEvent): boolean {
  if (own.outcome === 'unknown') return true;
  if (own.outcome === 'allowed') return event.outcome === 'allowed';
  return event.outcome !== 'allowed' || IN_DOUBT.has(own.error ?? '');
}

/** `undefined` if unknown: one has no version, or only a name for it such as `latest`. */
function sameVersion(own: string | undefined, other: string | undefined): boolean | undefined {
  if (own === undefined || other === undefined) return undefined;
  if (own === other || (other === 'pending' && own.startsWith('pending:'))) return true;
  return /^(latest|current)$/i.test(own) || /^(latest|current)$/i.test(other) ? undefined : false;
}

/** Forms in which services write an identity. Two identities in different forms may be the same one. */
const FORMS = [/^arn:/, /^[^@\s]+@[^@\s]+$/, /^[\da-f]{8}-[\da-f-]{27}$/i, /^[^:]+:(user|host):/] as const;

function samePrincipal(own: string | undefined, other: string | undefined): boolean | undefined {
  if (own === undefined || other === undefined) return undefined;
  if (own === other) return true;
  return FORMS.some((form) => form.test(own) && form.test(other)) ? false : undefined;
}

function isOurClient(client: string | undefined): boolean {
  return client !== undefined && /(^|[\s(])secrets\/\d/.test(client);
}

function isOthersClient(client: string | undefined): boolean {
  return client !== undefined && !isOurClient(client);
}

/** The number of entries of each kind. */
export interface TimelineCounts {
  readonly accesses: number;
  readonly through: number;
  readonly client: number;
  readonly outside: number;
  /** Those of ours that aren't in the trail. */
  readonly notInTrail: number;
}

export function countsOf(entries: readonly TimelineEntry[]): TimelineCounts {
  const count = (is: (entry: TimelineEntry) => boolean): number => entries.filter(is).length;
  return {
    accesses: entries.length,
    through: count(({ through }) => through === 'yes'),
    client: count(({ through }) => through === 'client'),
    outside: count(({ through }) => through === 'no'),
    notInTrail: count(({ inTrail }) => inTrail === false),
  };
}
