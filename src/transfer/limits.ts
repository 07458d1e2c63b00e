/** Checks a store's limits before anything is written to it. */
import { SecretsError } from '../core/errors.ts';
import { type Place, textOf } from './place.ts';

/** The error for a value of this size, if the store would reject it. */
export function sizeError(place: Place, name: string, bytes: number): SecretsError | undefined {
  const { maxValueBytes, emptyValue } = place.provider.rules;
  const reference = textOf(place, name);
  if (bytes > maxValueBytes)
    return new SecretsError(
      'Invalid',
      `${bytes} bytes are more than ${place.store} allows: ${maxValueBytes}`,
      {
        reference,
      },
    );
  if (bytes === 0 && !emptyValue)
    return new SecretsError('Invalid', `${place.store} accepts no empty values`, { reference });
  return undefined;
}

/** @throws SecretsError that lists what the store would reject */
export function refuseUnfit(errors: readonly (SecretsError | undefined)[]): void {
  const unfit = errors.filter((error) => error !== undefined);
  if (unfit.length > 0)
    throw new SecretsError('Invalid', 'the target does not accept all of the secrets; nothing was written', {
      errors: unfit,
    });
}
