/**
 * Databases with several servers, of which one accepts changes: `postgresql://app:…@h1,h2/db`. A password is changed
 * and tried on that server, because a standby may learn of the change later.
 */
import { SecretsError } from '../../../core/errors.ts';
import { type Connection, type DatabaseDriver, SignInRefused } from './connection.ts';
import type { Login } from './login.ts';

/**
 * The limit for one of several servers while others remain, in milliseconds: an unreachable one must not use up all the
 * time.
 */
const ONE_HOST_MS = 5_000;

type Place = Pick<Login, 'host' | 'port'>;

/** Adds support for logins with several hosts to a driver. */
export function withSeveralHosts(driver: DatabaseDriver): DatabaseDriver {
  // The primary, by all hosts of a login: its answer about a password is final.
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

/** @returns a connection without a place if no server accepts changes */
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
      if (signal.aborted || !(isAway(thrown) || thrown instanceof SignInRefused)) break;
    }
  }
  const [error] = errors.toSorted((one, other) => rank(one) - rank(other));
  // A standby that lags behind can't prove a password that another server rejects.
  if (standby !== undefined && !(error instanceof SignInRefused) && !signal.aborted)
    return { connection: standby };
  await standby?.close();
  throw error;
}

function rank(error: unknown): number {
  return error instanceof SignInRefused ? 1 : isAway(error) ? 2 : 0;
}

function isAway(thrown: unknown): boolean {
  return thrown instanceof SecretsError && thrown.kind === 'Unavailable';
}

/** Limits the sign-in; the resulting connection is only limited by the caller's signal. */
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
