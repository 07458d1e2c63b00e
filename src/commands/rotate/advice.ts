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
  { state, native, holder }: Schedule,
  failure: LastFailure | undefined,
): string | undefined {
  // Whose lease is not over may still be at it, but not if it was this machine, which saw it end.
  const ended = holder !== undefined && 'id' in holder && holder.id === failure?.rotation;
  if ((state === 'stuck' || (state === 'rotating' && ended)) && native?.attempt === undefined) {
    const todo =
      failure?.todo ?? `secrets rotate resume ${reference}, or secrets rotate rollback ${reference}`;
    return failure === undefined ? todo : `${todo}; it stopped because of this: ${failure.reason}`;
  }
  if (failure !== undefined && state !== 'rotating')
    return `correct what the last try failed of, then secrets rotate ${reference}: ${failure.reason}`;
  if (state === 'overdue' || state === 'never') return `secrets rotate ${reference}`;
  return state === 'retiring' ? 'secrets rotate --due' : undefined;
}

/** A failure counts until a newer value is there, or another rotation is under way. */
export function failureSince(
  failure: LastFailure | undefined,
  { lastRotated, holder }: Schedule,
): LastFailure | undefined {
  if (failure === undefined || (lastRotated !== undefined && lastRotated > failure.at)) return undefined;
  const other = holder !== undefined && 'id' in holder && holder.id !== failure.rotation;
  return other ? undefined : failure;
}
