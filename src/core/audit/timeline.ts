/**
 * One time line of what a service's trail says and what our own log says, and which of the one is in the other. Pure.
 *
 * A call is the same in both by the service's id of the request, where both have one. Else an access of our log stands
 * for one of the trail that is of the same action, secret and outcome, within a window about the time that it took, and
 * whose version and identity do not differ: one for one, so that of two reads at the same moment one alone came
 * through us. What a command calls beside (the metadata that a listing reads) is a part of its access. Calls that give
 * a value out or change something are parts only of accesses that make such calls, and of a few of them.
 * A call whose client is known and did not call itself `secrets` did not come through us, whatever else fits.
 */
import type { AuditAction, AuditEvent } from './record.ts';

/**
 * Whether an access came through `secrets`. `yes`: our log has it. `client`: it has not, but the client called itself
 * `secrets`, as it does on another machine, and as anybody can. `no`: neither.
 */
export type Through = 'yes' | 'client' | 'no';

export interface TimelineEntry {
  /** As the trail has it, or else as our log has it. */
  readonly event: AuditEvent;
  readonly through: Through;
  /** By what it was found in our log. */
  readonly by?: 'request-id' | 'time' | 'part' | undefined;
  /** The record of our log. */
  readonly own?: AuditEvent | undefined;
  /** Whether the trail has it; `undefined` without a trail, and for what it could not have. */
  readonly inTrail: boolean | undefined;
}

export interface TimelineQuery {
  /** What is shown; our log is asked for a window more at both ends. */
  readonly since: Date;
  readonly until: Date;
  /** How far clocks may be apart, in milliseconds. */
  readonly windowMs: number;
  /** The store, and one secret of it. Records of our log under another name of the store count by request id alone. */
  readonly store: string;
  readonly secret?: string | undefined;
}

/** Times of trails with whole seconds are cut off, not rounded. */
const SECOND = 1000;
/** Calls of a change whose outcome is not recorded may come so long after its intent. */
const OPEN_MS = 60_000;
/** Width of the buckets that accesses are looked up in. */
const BUCKET_MS = 10_000;
/** Failures after which the service may have done it all the same. */
const IN_DOUBT: ReadonlySet<string> = new Set(['Unavailable', 'Throttled', 'Failed']);

/** Calls that give a value out or change something, by the accesses that may make them beside. */
const PARTS: Readonly<Partial<Record<AuditAction, readonly AuditAction[]>>> = {
  write: ['label', 'promote', 'access'],
  promote: ['read', 'write', 'label', 'delete', 'purge'],
  restore: ['read', 'write', 'promote', 'label'],
  delete: ['purge', 'label'],
  purge: ['delete', 'label'],
  label: ['write'],
  rotate: ['write', 'promote', 'label', 'delete', 'purge'],
};
/** What neither gives a value out nor changes a secret. */
const HARMLESS: ReadonlySet<AuditAction> = new Set(['list', 'describe', 'other']);
/** Such calls that one access makes at the most. */
const MOST_PARTS = 4;

interface Own {
  readonly event: AuditEvent;
  readonly from: number;
  readonly to: number;
  taken: boolean;
  inTrail: boolean;
  /** Calls that may still be parts of it. */
  parts: number;
}

/**
 * @param trail in any order; `undefined` where the service has none
 * @param own records of our log about stores of the same kind, in any order
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
 * A rotation as a whole is no call (those that it made have records of their own), nor is what we refused ourselves; what
 * was only about to be done may be none.
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
  // Most trails give the newest first; of those in the same second, too.
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

/** Finds the accesses of our log at the time of an event. */
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

/** The access that an event is, of those that are no other's: the one that fits best, then the one that ends first. */
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

/** Whether an access of ours made this call beside. */
function isPart(event: AuditEvent, { event: own, parts }: Own): boolean {
  if (isOthersClient(event.client)) return false;
  if (samePrincipal(own.actor.principal, event.actor.principal) === false) return false;
  if (isHarmless(event)) return event.secret === undefined || covers(own, event.secret);
  if (own.secret !== event.secret || parts <= 0) return false;
  // A pending value is at a place of its own, which more than reads and writes look at.
  if (event.version === 'pending') return event.action === 'read' || !isReading(own.action);
  // Some writes take two calls. Where the client is not known, the other could be anybody's.
  if (event.action === own.action) return !isReading(own.action) && isOurClient(event.client);
  return PARTS[own.action]?.includes(event.action) === true;
}

function isHarmless({ action, outcome }: AuditEvent): boolean {
  return outcome !== 'allowed' || HARMLESS.has(action);
}

function isReading(action: AuditAction): boolean {
  return action === 'read' || HARMLESS.has(action);
}

/** Whether an access is about a secret: of that name, or of all that begin with a name that was listed. */
function covers({ action, secret }: AuditEvent, name: string): boolean {
  if (action === 'list' || secret === undefined) return name.startsWith(secret ?? '');
  return secret === name;
}

function sameOutcome(own: AuditEvent, event: AuditEvent): boolean {
  if (own.outcome === 'unknown') return true;
  if (own.outcome === 'allowed') return event.outcome === 'allowed';
  return event.outcome !== 'allowed' || IN_DOUBT.has(own.error ?? '');
}

/** `undefined` where it can't be told: one has none, or a name for it such as `latest`. */
function sameVersion(own: string | undefined, other: string | undefined): boolean | undefined {
  if (own === undefined || other === undefined) return undefined;
  if (own === other || (other === 'pending' && own.startsWith('pending:'))) return true;
  return /^(latest|current)$/i.test(own) || /^(latest|current)$/i.test(other) ? undefined : false;
}

/** Forms in which services write an identity; what is written in different forms may be the same one. */
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

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** How many there are of each kind. */
export interface TimelineCounts {
  readonly accesses: number;
  readonly through: number;
  readonly client: number;
  readonly outside: number;
  /** Of ours, those that the trail does not have. */
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
