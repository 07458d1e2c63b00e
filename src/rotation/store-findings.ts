/** The store's part of a dry run: the claim, and the caller's rights. */
import type { CallOptions } from '../providers/call.ts';
import type { Action } from '../providers/capabilities/rights.ts';
import type { Finding } from '../providers/provider.ts';
import type { SecretPlace } from './place.ts';
import { type RightFinding, rightsOf } from './rights.ts';

/** The steps of every rotation; without labels, the other three. Reading is tested by reading. */
const ROTATION_ACTIONS: readonly Action[] = ['stage', 'promote', 'discard', 'label'];

/** For `--dry-run`: what keeps two rotations apart, and whether the store allows the steps of a rotation. */
export async function storeFindings(
  place: SecretPlace,
  options: CallOptions,
): Promise<readonly (Finding | RightFinding)[]> {
  const { provider, name, lockedBy, unguarded } = place;
  const claim: Finding[] = unguarded
    ? [
        {
          check: 'claim',
          status: 'warn',
          detail:
            'this store has no conditional write, so that two rotations at once are kept apart by best effort',
          hint: 'name a store that has with `rotation.lock` in secrets.yaml',
        },
      ]
    : lockedBy === undefined
      ? []
      : [{ check: 'claim', status: 'ok', detail: `by a lock in ${lockedBy}` }];
  return [
    ...claim,
    ...(await rightsOf(provider, name, 'rights', ROTATION_ACTIONS, options)),
    ...(await place.lockFindings()),
  ];
}
