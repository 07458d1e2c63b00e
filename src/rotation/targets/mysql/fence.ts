/** The fence of a MySQL or MariaDB session: session limits, and named locks that end with it. */
import { codeOf } from '../../../platform/files.ts';
import { type Fence, fenceIsHeld, lockOf } from '../database/fence.ts';

export type Query = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/**
 * Limits the session, and takes the locks of the user and of the rotation. `wait_timeout` ends the session of a client
 * that was paused, or whose statements a proxy delivers late; the other limits end a statement that waits for a lock.
 * https://dev.mysql.com/doc/refman/8.4/en/locking-functions.html
 * @returns false if the server has no such locks (a cluster may refuse them): only the limits apply then
 */
export async function takeFence(
  query: Query,
  username: string,
  { rotation, boundMs }: Fence,
  mariadb: boolean,
): Promise<boolean> {
  const seconds = Math.max(1, Math.floor(boundMs / 1000));
  await query(
    `SET SESSION wait_timeout = ${seconds}, lock_wait_timeout = ${seconds}, innodb_lock_wait_timeout = ${seconds}` +
      (mariadb ? `, max_statement_time = ${seconds}` : ''),
  );
  const lock = `secrets.user.${lockOf(username).toString('hex').slice(0, 32)}`;
  // Safe to insert into SQL: rotation ids are letters and digits.
  const own = /^[a-z0-9]+$/.test(rotation ?? '') ? `secrets.rotation.${rotation}` : undefined;
  try {
    if (!(await take(query, lock, 0))) {
      if (own !== undefined) await endEarlier(query, lock, own);
      if (!(await take(query, lock, seconds))) throw fenceIsHeld(username);
    }
    if (own !== undefined) await take(query, own, 0);
    return true;
  } catch (thrown) {
    if (!NOT_HERE.has(codeOf(thrown) ?? '')) throw thrown;
    return false;
  }
}

/** https://docs.percona.com/percona-xtradb-cluster/8.4/strict-mode.html */
const NOT_HERE: ReadonlySet<string> = new Set(['ER_UNKNOWN_ERROR', 'ER_NOT_SUPPORTED_YET']);

async function take(query: Query, name: string, seconds: number): Promise<boolean> {
  const [row] = await query(`SELECT GET_LOCK('${name}', ${seconds}) AS got`);
  return Number(row?.['got']) === 1;
}

/** Ends a session that an earlier run of the same rotation has left in the server. A user may end its own sessions. */
async function endEarlier(query: Query, lock: string, own: string): Promise<void> {
  const [row] = await query(`SELECT IS_USED_LOCK('${lock}') AS holder, IS_USED_LOCK('${own}') AS earlier`);
  const holder = Number(row?.['holder'] ?? 0);
  if (!Number.isSafeInteger(holder) || holder <= 0 || holder !== Number(row?.['earlier'])) return;
  try {
    await query(`KILL ${holder}`);
  } catch (thrown) {
    // Another user's session, or already gone: wait for the lock then.
    if (!codeOf(thrown)?.startsWith('ER_')) throw thrown;
  }
}
