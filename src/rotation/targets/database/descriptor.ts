/** What the database targets' settings need trust for. Imports types only. */
import type { TrustItem } from '../../../providers/provider.ts';
import type { TargetSettings } from '../../target.ts';
import { AUTHORITY_EFFECT, trustItemsOf } from '../trust.ts';

export const HOST_EFFECT = 'the database’s password is sent to this host';

export function databaseTrustItems(settings: TargetSettings): readonly TrustItem[] {
  return trustItemsOf(settings, {
    host: HOST_EFFECT,
    ca: AUTHORITY_EFFECT,
    admin: 'this secret is read, and sent to the database as its administrator’s',
  });
}

/** For `verifies` of the descriptors. */
export function databaseVerifies({ verify }: TargetSettings): boolean {
  return verify !== 'none';
}
