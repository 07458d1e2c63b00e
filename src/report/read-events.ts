/** Reads the log and the trails into one table. */
import type { AuditEvent } from '../core/audit/record.ts';
import { EventTable } from '../core/findings/events.ts';
import type { Coverage } from '../core/findings/posture.ts';
import type { ReportNote } from '../core/findings/report.ts';
import { toSecretsError } from '../core/errors.ts';
import type { Session } from '../session/session.ts';

/** The report's own reads say nothing about who uses a secret. */
const OWN_COMMAND = 'audit report';

export interface EventSources {
  readonly stores: readonly string[];
  readonly period: { readonly since: Date; readonly until: Date };
  /** Our own log. */
  readonly own: AsyncIterable<AuditEvent>;
  /** Whether to read the services' trails too. */
  readonly trail: boolean;
}

export interface ReadProgress {
  readonly note: (note: ReportNote) => void;
  readonly fail: (store: string, thrown: unknown) => void;
  readonly progress: (text: string) => void;
}

/** Trails first: if both have an access, the trail's event is kept, because it includes the address. */
export async function readEvents(
  session: Session,
  { stores, period, own, trail }: EventSources,
  { note, fail, progress }: ReadProgress,
): Promise<{ readonly table: EventTable; readonly coverage: (store: string) => Coverage }> {
  const table = new EventTable();
  const trailFrom = new Map<string, number>();
  let ownFrom = Number.POSITIVE_INFINITY;
  const add = (event: AuditEvent, store: string): void => {
    table.add(event, store);
    if (table.length % 1000 === 0) progress(`${table.length} events`);
  };
  const readTrail = async (store: string): Promise<ReportNote | undefined> => {
    try {
      const provider = await session.open(store);
      if (provider.trail === undefined || !provider.capabilities.has('trail'))
        return { store, message: 'the store has no trail of its own that can be read' };
      let first = Number.POSITIVE_INFINITY;
      for await (const event of provider.trail({ ...period }, session.call())) {
        // A trail may not know the store's name here.
        add({ ...event, store }, store);
        first = Math.min(first, Date.parse(event.time));
      }
      trailFrom.set(store, first);
    } catch (thrown) {
      const { kind, message, hint } = toSecretsError(thrown);
      // A trail that isn't set up isn't a failure.
      if (kind === 'Usage' || kind === 'Unsupported')
        return {
          store,
          message: `its trail is not read: ${message}${hint === undefined ? '' : `; ${hint}`}`,
        };
      fail(store, thrown);
    }
    return undefined;
  };
  if (trail) for (const found of await Promise.all(stores.map(readTrail))) if (found) note(found);
  const shown = new Set(stores);
  for await (const event of own) {
    ownFrom = Math.min(ownFrom, Date.parse(event.time));
    if (event.store !== undefined && shown.has(event.store) && event.command !== OWN_COMMAND)
      add(event, event.store);
  }
  if (table.dropped > 0)
    note({
      message: `${table.dropped} events are left out, more than can be looked at; name a shorter --since`,
    });
  const dateOf = (ms: number): Date | undefined => (Number.isFinite(ms) ? new Date(ms) : undefined);
  return {
    table,
    coverage: (store) => {
      const own = dateOf(ownFrom);
      const from = trailFrom.get(store);
      return from === undefined ? { from: own, trail: false } : { from: dateOf(from), trail: true };
    },
  };
}
