/** Findings of the database targets. */
import { SecretsError } from '../../../core/errors.ts';
import type { TargetFinding } from '../../target.ts';
import type { Login } from './login.ts';
import { placeOf } from './proof.ts';

export const NOT_VERIFIED: TargetFinding = {
  check: 'verification',
  status: 'warn',
  detail: 'none, as the target says: a password that the database does not take is not noticed',
};

/**
 * The administrator's own secret would keep the old password. If it is the rotated secret itself, no stored password
 * would work between the change and the promotion, so a run that dies there could never be finished.
 */
export const ITSELF: TargetFinding = {
  check: 'administrator',
  status: 'fail',
  kind: 'Unsupported',
  detail: 'it is the user whose password would be changed, and would be locked out',
  hint: 'rotate the administrator’s own secret, with a policy without admin',
};

/** A second name of the same server is fine (a pooler, a replica's address); a different server is not. */
export function samePlace(user: Login, admin: Login): readonly TargetFinding[] {
  if (user.host === admin.host) return [];
  const detail = `the administrator signs in at ${placeOf(admin)}, the user at ${placeOf(user)}`;
  return [{ check: 'hosts', status: 'warn', detail, hint: 'check that they are the same database' }];
}

export function refusedSignIn(admin: string | undefined): SecretsError {
  return new SecretsError('Unauthenticated', 'the database refused the user name or password', {
    hint:
      admin === undefined
        ? 'was it changed by hand? put the password that works with secrets put, or name an admin in the target'
        : 'check the user and the password in that secret',
  });
}
