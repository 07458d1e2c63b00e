/** The fence of a PostgreSQL session: a transaction with limits, and an advisory lock for the user. */
import { type Fence, fenceIsHeld, lockOf } from '../database/fence.ts';

export type Query = (
  sql: string,
  values?: readonly unknown[],
) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/**
 * Begins the transaction that makes the change. An advisory lock belongs to one database, so two sessions in different
 * databases are only kept apart by the lock on the role's row, which the change takes.
 *
 * - `synchronous_commit = local`: otherwise the wait for a standby comes after the commit, where no timeout ends it
 *   (https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT), and the change would take
 *   effect whenever the standby comes back.
 * - `idle_in_transaction_session_timeout` ends the session of a client that was paused, or whose statements a proxy
 *   delivers late.
 *
 * All settings are LOCAL, so nothing remains for a pooler's next client.
 */
export async function beginFenced(
  query: Query,
  username: string,
  { rotation, boundMs }: Fence,
): Promise<void> {
  // Safe to insert into SQL: rotation ids are letters and digits.
  const name = /^[a-z0-9]+$/.test(rotation ?? '') ? `secrets ${rotation}` : 'secrets';
  // A database or role may have set another role for the session (ALTER … SET role), or made it read-only.
  await query(`BEGIN READ WRITE;
    SET LOCAL role TO none;
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL statement_timeout = ${boundMs};
    SET LOCAL lock_timeout = ${boundMs};
    SET LOCAL idle_in_transaction_session_timeout = ${boundMs};
    SET LOCAL synchronous_commit = local;
    SET LOCAL application_name = '${name}'`);
  const lock = lockOf(username);
  // Keys below 2^31, so that they are the same numbers as in pg_locks, where they are unsigned.
  const keys = [lock.readUInt32BE(0) >>> 1, lock.readUInt32BE(4) >>> 1];
  const [free] = await query('SELECT pg_catalog.pg_try_advisory_xact_lock($1::int4, $2::int4) AS got', keys);
  if (free?.['got'] === true) return;
  if (rotation !== undefined) await query(END_EARLIER, [...keys, name]);
  try {
    await query('SELECT pg_catalog.pg_advisory_xact_lock($1::int4, $2::int4)', keys);
  } catch (thrown) {
    if (isBound(thrown)) throw fenceIsHeld(username);
    throw thrown;
  }
}

/**
 * Ends a session that an earlier run of the same rotation has left as the same user. Every user may end its own
 * sessions.
 */
const END_EARLIER = `
  SELECT pg_catalog.pg_terminate_backend(l.pid)
  FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) l.pid
  WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.granted
    AND l.classid OPERATOR(pg_catalog.=) $1::int4::oid AND l.objid OPERATOR(pg_catalog.=) $2::int4::oid
    AND l.objsubid OPERATOR(pg_catalog.=) 2
    AND a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
    AND a.usename OPERATOR(pg_catalog.=) session_user AND a.application_name OPERATOR(pg_catalog.=) $3`;

/**
 * Whether a limit of the session ended the statement: the transaction is over without the change then. After the
 * commit, a limit causes only a warning, not such an error. Codes:
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function isBound(thrown: unknown): boolean {
  const code = typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : undefined;
  return code === '55P03' || code === '57014' || code === '25P03';
}
