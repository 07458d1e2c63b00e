/**
 * Databases with several servers, of which one takes changes: `postgresql://app:…@h1,h2/db`. A password is changed, and
 * tried, where changes are taken; a standby may know of them only later.
 */
import { SecretsError } from '../../../core/errors.ts';
import { type Connection, type DatabaseDriver, Refused } from './connection.ts';
import type { Login } from './login.ts';

/** For one of several servers, while others are left, in milliseconds: one that is away must not use up all the time. */
const ONE_HOST_MS = 5_000;

type Place = Pick<Login, 'host' | 'port'>;

/** The same driver, for logins with several hosts too. */
export function withSeveralHosts(driver: DatabaseDriver): DatabaseDriver {
  // Where changes are taken, by all hosts of a login: what that server says of a password is final.
  const primaries = new Map<string, Place>();
  return {
    ...driver,
    connect: async (login, tls, signal, privileged) => {
      const { others, ...first } = login;
      if (others === undefined) return driver.connect(first, tls, signal, privileged);
      const places: readonly Place[] = [{ host: login.host, port: login.port }, ...others];
      const key = JSON.stringify(places);
      const connect = (place: Place, last: boolean): Promise<Connection> =>
        withinTime(last, signal, (bound) => driver.connect({ ...first, ...place }, tls, bound, privileged));
      const primary = primaries.get(key);
      if (primary !== undefined) {
        try {
          return await connect(primary, false);
        } catch (thrown) {
          if (!isAway(thrown) || signal.aborted) throw thrown;
          primaries.delete(key);
        }
      }
      const { connection, place } = await search(places, connect, signal);
      if (place !== undefined) primaries.set(key, place);
      return connection;
    },
  };
}

/** @returns without a place, a server that takes no changes: none does */
async function search(
  places: readonly Place[],
  connect: (place: Place, last: boolean) => Promise<Connection>,
  signal: AbortSignal,
): Promise<{ readonly connection: Connection; readonly place?: Place }> {
  let standby: Connection | undefined;
  const errors: unknown[] = [];
  for (const [index, place] of places.entries()) {
    try {
      const connection = await connect(place, index === places.length - 1 && standby === undefined);
      if ((await connection.takesChanges?.()) !== false) {
        await standby?.close();
        return { connection, place };
      }
      if (standby === undefined) standby = connection;
      else await connection.close();
    } catch (thrown) {
      errors.push(thrown);
      if (signal.aborted || !(isAway(thrown) || thrown instanceof Refused)) break;
    }
  }
  const [error] = errors.toSorted((one, other) => rank(one) - rank(other));
  // A password that one server refuses is not proven by a standby that is behind.
  if (standby !== undefined && !(error instanceof Refused) && !signal.aborted) return { connection: standby };
  await standby?.close();
  throw error;
}

function rank(error: unknown): number {
  return error instanceof Refused ? 1 : isAway(error) ? 2 : 0;
}

function isAway(thrown: unknown): boolean {
  return thrown instanceof SecretsError && thrown.kind === 'Unavailable';
}

/** Bounds the sign-in; the connection that comes of it is bound by the caller's signal alone. */
async function withinTime(
  last: boolean,
  signal: AbortSignal,
  work: (bound: AbortSignal) => Promise<Connection>,
): Promise<Connection> {
  if (last) return work(signal);
  const mine = new AbortController();
  const timer = setTimeout(() => mine.abort(), ONE_HOST_MS);
  try {
    return await work(AbortSignal.any([signal, mine.signal]));
  } finally {
    clearTimeout(timer);
  }
}
