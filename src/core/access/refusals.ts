/** Refusals of changes of access that are the same for every service. */
import { SecretsError } from '../errors.ts';
import type { AccessWish } from './plan.ts';

/** A document isn't as it was when the change was planned. */
export function changedMeanwhile(place: string): SecretsError {
  return new SecretsError('Conflict', `${place} was changed meanwhile`, { hint: 'try again' });
}

/** Somebody has edited what a grant wrote. @param seeBy the command that shows it */
export function notAsWritten(what: string, seeBy: string): SecretsError {
  return new SecretsError('Conflict', `${what} is not as secrets wrote it`, {
    hint: `see who changed it: ${seeBy}`,
  });
}

/** Where the service has a single kind of policy. @param only what it has, as a sentence */
export function refuseThrough({ through }: AccessWish, only: string): void {
  if (through !== undefined) throw new SecretsError('Unsupported', only, { hint: 'omit --through' });
}

/** Where the service has no grants that end by themselves. @param none says so, as a sentence */
export function refuseUntil({ until }: AccessWish, none: string, hint: string): void {
  if (until !== undefined) throw new SecretsError('Unsupported', none, { hint });
}
