/**
 * Shared by the readers of services' own trails. Entries are foreign data: no field is assumed to be present, and only
 * single known fields are copied, never a whole part of a request or response, which could contain a value.
 */
import type { AuditActor, AuditEvent } from '../core/audit/record.ts';
import { SecretsError } from '../core/errors.ts';
import { sleep } from '../core/waiting.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** Longest text copied from an entry, in characters; user agents and ids are far shorter. */
const LONGEST_TEXT = 1024;
/** Shortest and longest wait before a throttled request is repeated, in milliseconds. */
const WAITS = { first: 1000, longest: 10_000 } as const;

/** The fields of a map; none for anything else. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** A non-empty text; anything else is unknown. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, LONGEST_TEXT) : undefined;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** An event's timestamp from a date or ISO 8601 text of any precision; `undefined` if it can't be parsed. */
export function timeOf(value: unknown): string | undefined {
  if (typeof value !== 'string' && !(value instanceof Date)) return undefined;
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** The event without its unknown fields. */
export function eventOf(event: AuditEvent): AuditEvent {
  return known({ ...event, actor: known<AuditActor>(event.actor) });
}

function known<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

/** Whether the time is in the requested period; services round its ends. */
export function isWithin(
  time: string,
  { since, until }: { readonly since: Date; readonly until: Date },
): boolean {
  const ms = Date.parse(time);
  return ms >= since.getTime() && ms <= until.getTime();
}

/** Warns when the period includes minutes for which the trail may still receive entries. */
export function warnOfDelay(
  warn: (message: string) => void,
  trail: string,
  minutes: number,
  until: Date,
  now: Date,
): void {
  if (until.getTime() > now.getTime() - minutes * 60_000)
    warn(`${trail} shows events up to ${minutes} minutes late: the newest may be missing`);
}

/**
 * Repeats a request that is rejected for its rate, until the signal aborts. The service's rate limit is shared with
 * every other reader of the trail.
 */
export async function patiently<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let wait: number = WAITS.first; ; wait = Math.min(wait * 2, WAITS.longest)) {
    try {
      return await work();
    } catch (thrown) {
      if (!(thrown instanceof SecretsError) || thrown.kind !== 'Throttled' || signal.aborted) throw thrown;
      await sleep(wait, signal, true);
      if (signal.aborted)
        throw new SecretsError('Throttled', thrown.message, {
          hint: 'ask for a shorter period, or raise --timeout',
          cause: thrown,
        });
    }
  }
}
