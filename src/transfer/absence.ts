/** Why a secret can't be read: the error of a read is the same for all, but what a write meets differs. */
import { type SecretsError, toSecretsError } from '../core/errors.ts';
import type { Provider } from '../providers/provider.ts';
import type { Session } from '../session/session.ts';
import type { Pace } from './pace.ts';
import { type Place, textOf } from './place.ts';
import type { Step } from './steps.ts';
import type { CallOptions } from '../providers/call.ts';
import { deletedInTheWay } from '../providers/errors.ts';

/** `unknown`: the store doesn't let this caller look. */
export type Absence = 'missing' | 'deleted' | 'no value' | 'unknown';

/** For a secret whose current value was not found. */
export async function absenceOf(provider: Provider, name: string, call: CallOptions): Promise<Absence> {
  try {
    const { currentVersion, deletedAt } = await provider.describe(name, call);
    if (deletedAt !== undefined) return 'deleted';
    return currentVersion === undefined ? 'no value' : 'unknown';
  } catch (thrown) {
    return toSecretsError(thrown).kind === 'NotFound' ? 'missing' : 'unknown';
  }
}

/** The conflict that a write would meet, for `--dry-run`; `first` for a write on condition that there is no value. */
export function blockedBy({ rules }: Provider, absence: Absence, first: boolean): SecretsError | undefined {
  const { deletedBlocks } = rules;
  if (absence !== 'deleted' || deletedBlocks === undefined) return undefined;
  return deletedBlocks === 'writes' || first ? deletedInTheWay() : undefined;
}

/** For `--dry-run`: a secret that would be created fails if its write would meet a deleted one of the same name. */
export async function rehearsed<T extends Step>(
  session: Session,
  target: Place,
  pace: Pace,
  step: T,
  name: string,
): Promise<T> {
  const { provider } = target;
  if (step.action !== 'create' || provider.rules.deletedBlocks === undefined) return step;
  const absence = await pace.run(() => absenceOf(provider, name, session.call()));
  // Each of these writes is made on the condition that there is no value.
  const error = blockedBy(provider, absence, true)?.forReference(textOf(target, name));
  return error === undefined ? step : { ...step, action: 'failed', error };
}
