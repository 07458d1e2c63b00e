/**
 * What the readers of services' own trails share. Entries are foreign data: nothing in them is taken to be there, and
 * only single known fields are copied, never a part of a request or an answer as a whole, which could hold a value.
 */
import type { AuditActor, AuditEvent } from '../core/audit/record.ts';
import { SecretsError } from '../core/errors.ts';
import { sleep } from '../core/waiting.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** Longest text that is taken from an entry, in characters; user agents and ids are far below. */
const LONGEST_TEXT = 1024;
/** Shortest and longest wait before a throttled request is repeated, in milliseconds. */
const WAITS = { first: 1000, longest: 10_000 } as const;

/** A map's fields; none for anything else. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** A text that says something; anything else is unknown. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, LONGEST_TEXT) : undefined;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A time in the form of events, from a date or ISO 8601 of any precision; `undefined` for what is no time. */
export function timeOf(value: unknown): string | undefined {
  if (typeof value !== 'string' && !(value instanceof Date)) return undefined;
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** The event without the fields of which nothing is known. */
export function eventOf(event: AuditEvent): AuditEvent {
  return known({ ...event, actor: known<AuditActor>(event.actor) });
}

function known<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

/** Whether the time is in the period asked for; services round its ends. */
export function isWithin(
  time: string,
  { since, until }: { readonly since: Date; readonly until: Date },
): boolean {
  const ms = Date.parse(time);
  return ms >= since.getTime() && ms <= until.getTime();
}

/** Says so when the period reaches into the time of which the trail may still be told something. */
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
 * Repeats a request that is refused for its rate until the signal aborts: a trail is read at the pace that the service
 * allows, shared with whoever else reads it.
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
          hint: 'ask for a shorter period, or allow more time with --timeout',
          cause: thrown,
        });
    }
  }
}
