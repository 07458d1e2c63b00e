/**
 * Keeps a password change from arriving too late. A session that is about to make one first limits itself in the
 * server, and takes a lock there that it holds until its change is made or can no longer be made. Only then does it
 * check whether it still holds the rotation. So a run that takes over the rotation gets the lock after everything that
 * the previous one has sent; a process that was paused in between finds its session ended by the server.
 *
 * Kleppmann calls this fencing (https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html); here a
 * lock in the protected system takes the place of a fencing token.
 */
import { createHash } from 'node:crypto';
import { SecretsError } from '../../../core/errors.ts';
import type { Rotation } from '../../target.ts';

export interface Fence {
  /** The rotation's id: sessions that an earlier run of it has left may be ended. */
  readonly rotation: string | undefined;
  /** The limit of every wait and every statement in the server, in milliseconds. */
  readonly boundMs: number;
}

const DEFAULT_BOUND_MS = 10_000;

export function fenceOf(rotation: Rotation | undefined): Fence {
  const boundMs = Math.max(1, Math.floor(rotation?.boundMs ?? DEFAULT_BOUND_MS));
  return { rotation: rotation?.id, boundMs };
}

/** The name of a user's lock: a hash, because user names can be longer than lock names. */
export function lockOf(username: string): Buffer {
  return createHash('sha256').update(`secrets rotation ${username}`).digest();
}

/** Nothing has been sent: another session is changing the same user, or holds the lock for something else. */
export function fenceIsHeld(username: string, cause?: unknown): SecretsError {
  return new SecretsError('Unavailable', `another session is changing the password of ${username}`, {
    hint: 'wait until it has ended, or end it in the database',
    cause,
  });
}

/** The server ended the statement at its limit. */
export function waitedTooLong(username: string, cause: unknown): SecretsError {
  return new SecretsError(
    'Unavailable',
    `the database had the user ${username} locked for too long, and did not make the change`,
    { hint: 'see which session holds the lock, and run the command again when it has ended', cause },
  );
}
