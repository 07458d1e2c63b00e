/** What there is to do about a secret, as `rotate status` says it. */
import type { LastFailure } from '../../rotation/journal.ts';
import type { Schedule } from '../../core/rotation/schedule.ts';

/**
 * One clause with the command.
 * @param failure of the last rotation from this machine
 * @returns undefined when there is nothing to do
 */
export function adviceFor(
  reference: string,
  { state, native }: Schedule,
  failure: LastFailure | undefined,
): string | undefined {
  if (state === 'stuck' && native?.attempt === undefined)
    return `secrets rotate resume ${reference}, or secrets rotate rollback ${reference}`;
  if (failure !== undefined && state !== 'rotating')
    return `correct what the last try failed of, then secrets rotate ${reference}: ${failure.reason}`;
  if (state === 'overdue' || state === 'never') return `secrets rotate ${reference}`;
  return state === 'retiring' ? 'secrets rotate --due' : undefined;
}

/** A failure counts until a newer value is there. */
export function failureSince(
  failure: LastFailure | undefined,
  { lastRotated }: Schedule,
): LastFailure | undefined {
  return failure === undefined || (lastRotated !== undefined && lastRotated > failure.at)
    ? undefined
    : failure;
}
