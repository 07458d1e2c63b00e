/** Carries out a grant or a revocation, and makes sure that it holds. */
import {
  type AccessEdit,
  accessPlan,
  type AccessPlan,
  type AccessWish,
  inverse,
} from '../core/access/plan.ts';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { sleep } from '../core/waiting.ts';
import type { CallOptions } from '../providers/call.ts';
import type { AccessControl } from '../providers/capabilities/grants.ts';

/** Somebody else's changes came in between this often: something is wrong. */
const ATTEMPTS = 8;
/** A service may show a change only some time after it has accepted it: IAM takes seconds. */
const [SHORTEST_MS, LONGEST_MS] = [100, 2000];

/**
 * Plans, applies and looks again until nothing is left to change.
 * @returns all that was changed, however often it took; without edits if there was nothing to do
 * @throws SecretsError Policy if the caller lost its own access, which has been undone; Conflict if others keep
 *   changing the same policy; Unavailable if the service accepts the change and goes on showing the former state
 */
export async function changeAccess(
  control: AccessControl,
  wish: AccessWish,
  call: () => CallOptions,
  pause: typeof sleep = sleep,
): Promise<AccessPlan> {
  const first = await control.plan(wish, call());
  if (first.edits.length === 0) return first;
  const had = await control.ownAccess(wish.name, call());
  const made = await carryOut(control, first, call, pause);
  if (had !== 'allowed' || (await ownAccessLeft(control, wish.name, call)) !== 'denied') return made;
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

async function ownAccessLeft(
  control: AccessControl,
  name: string,
  call: () => CallOptions,
): ReturnType<AccessControl['ownAccess']> {
  try {
    return await control.ownAccess(name, call());
  } catch (thrown) {
    const { kind, message } = toSecretsError(thrown);
    throw new SecretsError(
      kind,
      `the change is made, but whether you can still read it isn’t known: ${message}`,
      {
        hint: 'secrets access check self',
        cause: thrown,
      },
    );
  }
}

async function carryOut(
  control: AccessControl,
  first: AccessPlan,
  call: () => CallOptions,
  pause: typeof sleep,
): Promise<AccessPlan> {
  let [plan, made] = [first, accessPlan({ ...first, edits: [] })];
  let [isSettled, isAccepted] = [false, false];
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const tried = plan;
    try {
      await control.apply(tried, call());
      [isSettled, isAccepted] = [false, true];
    } catch (thrown) {
      if (toSecretsError(thrown).kind !== 'Conflict') throw thrown;
      isAccepted = false;
    }
    plan = await control.plan(first.wish, call());
    made = withEdits(made, isAccepted ? tried.edits : without(tried.edits, plan.edits));
    if (isAccepted && isSame(plan, tried)) {
      await pause(Math.min(SHORTEST_MS * 2 ** attempt, LONGEST_MS), call().signal, true);
      plan = await control.plan(first.wish, call());
    }
    const wait = control.settles(made);
    if (plan.edits.length === 0 && wait !== undefined && !isSettled) {
      // A writer that read the policy before this change may still overwrite it.
      await pause(wait, call().signal, true);
      isSettled = true;
      plan = await control.plan(first.wish, call());
    }
    if (plan.edits.length === 0) return made;
    if (attempt === ATTEMPTS - 1 && isAccepted && isSame(plan, tried))
      throw new SecretsError('Unavailable', 'the service accepted the change, but doesn’t show it', {
        hint: 'it may still take effect: look with secrets access list',
      });
  }
  throw new SecretsError('Conflict', 'others keep changing the same policy', {
    hint: 'try again in a moment',
  });
}

/** Whether everything is still as it was before the change that was tried. */
function isSame(plan: AccessPlan, tried: AccessPlan): boolean {
  return plan.before === tried.before && plan.after === tried.after;
}

/** With later edits, which take the place of earlier ones of the same document. */
function withEdits(plan: AccessPlan, edits: readonly AccessEdit[]): AccessPlan {
  return accessPlan({ ...plan, edits: [...without(plan.edits, edits), ...edits] });
}

function without(edits: readonly AccessEdit[], others: readonly AccessEdit[]): readonly AccessEdit[] {
  return edits.filter(({ place }) => !others.some((other) => other.place === place));
}
