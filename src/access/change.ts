/** Carries out a grant or a revocation, and makes sure that it holds. */
import { type AccessPlan, type AccessWish, inverse } from '../core/access/plan.ts';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { sleep } from '../core/waiting.ts';
import type { CallOptions } from '../providers/call.ts';
import type { AccessControl } from '../providers/capabilities/grants.ts';

/** Somebody else's changes came in between this often: something is wrong. */
const ATTEMPTS = 8;

/**
 * Plans, applies and looks again until nothing is left to change.
 * @returns the last plan that was applied; without edits if there was nothing to do
 * @throws SecretsError Policy if the caller lost its own access, which has been undone; Conflict if others keep
 *   changing the same policy
 */
export async function changeAccess(
  control: AccessControl,
  wish: AccessWish,
  call: () => CallOptions,
): Promise<AccessPlan> {
  const first = await control.plan(wish, call());
  if (first.edits.length === 0) return first;
  const had = await control.ownAccess(wish.name, call());
  const made = await carryOut(control, first, call);
  if (had !== 'allowed' || (await control.ownAccess(wish.name, call())) !== 'denied') return made;
  await control.apply(inverse(made), call()).catch((thrown: unknown) => {
    const { kind, message, hint } = toSecretsError(thrown);
    throw new SecretsError(kind, `you can no longer read this secret, and undoing that failed: ${message}`, {
      hint,
      cause: thrown,
    });
  });
  throw new SecretsError('Policy', 'you would no longer be able to read this secret; the change was undone', {
    hint: 'let somebody else make it',
  });
}

async function carryOut(
  control: AccessControl,
  first: AccessPlan,
  call: () => CallOptions,
): Promise<AccessPlan> {
  let [plan, made] = [first, first];
  let isSettled = false;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    try {
      await control.apply(plan, call());
      made = plan;
      isSettled = false;
    } catch (thrown) {
      if (toSecretsError(thrown).kind !== 'Conflict') throw thrown;
    }
    plan = await control.plan(first.wish, call());
    const wait = control.settles(made);
    if (plan.edits.length === 0 && wait !== undefined && !isSettled) {
      // A writer that read the policy before this change may still overwrite it.
      await sleep(wait, call().signal, true);
      isSettled = true;
      plan = await control.plan(first.wish, call());
    }
    if (plan.edits.length === 0) return made;
  }
  throw new SecretsError('Conflict', 'others keep changing the same policy', {
    hint: 'try again in a moment',
  });
}
