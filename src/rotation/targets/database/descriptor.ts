/** Settings of the database targets that need trust. Imports only types. */
import { trustItemsFor } from '../../../providers/trust.ts';
import type { TargetSettings } from '../../target.ts';
import { AUTHORITY_EFFECT } from '../trust.ts';

export const HOST_EFFECT = 'the database’s password is sent to this host';
export const PORT_EFFECT = 'the database’s password is sent to this port';

export const databaseTrustItems = trustItemsFor({
  host: HOST_EFFECT,
  port: PORT_EFFECT,
  database: 'this database is connected to',
  username: 'this user gets a new password',
  users: 'these users get new passwords in turn',
  ca: AUTHORITY_EFFECT,
  verify: 'how a new password is verified, or that it is not',
  'account-host': 'the account of this host gets a new password',
  'server-key': 'passwords are encrypted for the holder of this key',
  admin: 'this secret is read, and sent to the database as its administrator’s',
});

/** `verifies` of the descriptors. */
export function databaseVerifies({ verify }: TargetSettings): boolean {
  return verify !== 'none';
}
