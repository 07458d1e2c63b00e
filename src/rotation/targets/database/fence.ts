/**
 * How a change of a password is kept from coming too late. A session that is about to make one first bounds itself in
 * the server, and takes a lock there that it holds until its change is made or can't be made any more. Only then does
 * it look whether it still holds the rotation. So whoever takes the rotation over gets the lock after everything that
 * the one before has sent; a process that was stopped meanwhile finds its session ended by the server.
 *
 * This is what Kleppmann calls fencing (https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html),
 * with the lock in the place that is protected instead of a number.
 */
import { createHash } from 'node:crypto';
import { SecretsError } from '../../../core/errors.ts';
import type { Rotation } from '../../target.ts';

export interface Fence {
  /** Names the rotation: sessions of its own that an earlier run has left may be ended. */
  readonly rotation: string | undefined;
  /** In the server, no wait and no statement is longer, in milliseconds. */
  readonly boundMs: number;
}

const DEFAULT_BOUND_MS = 10_000;

export function fenceOf(rotation: Rotation | undefined): Fence {
  const boundMs = Math.max(1, Math.floor(rotation?.boundMs ?? DEFAULT_BOUND_MS));
  return { rotation: rotation?.id, boundMs };
}

/** Names the lock of a user: a hash, since names of users are longer than names of locks. */
export function lockOf(username: string): Buffer {
  return createHash('sha256').update(`secrets rotation ${username}`).digest();
}

/** Nothing was sent: somebody else is changing the same user, or holds the lock for something else. */
export function fenceIsHeld(username: string, cause?: unknown): SecretsError {
  return new SecretsError('Unavailable', `another session is changing the password of ${username}`, {
    hint: 'wait until it has ended, or end it in the database',
    cause,
  });
}

/** The server ended the statement by its bound. */
export function waitedTooLong(username: string, cause: unknown): SecretsError {
  return new SecretsError(
    'Unavailable',
    `the database had the user ${username} locked for too long, and did not make the change`,
    { hint: 'see which session holds the lock, and run the command again when it has ended', cause },
  );
}
