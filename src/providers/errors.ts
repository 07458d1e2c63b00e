/** Errors that several services can cause: every adapter says them in the same words. */
import { SecretsError } from '../core/errors.ts';

const NO_VALUE_YET = 'has no value yet';

/** The error of `get` for a secret that was created without a value. */
export function noValueYet(cause?: unknown): SecretsError {
  return new SecretsError('NotFound', NO_VALUE_YET, { hint: 'write one with secrets put', cause });
}

/** Whether the secret is there. By its words, which an agent passes on. */
export function isWithoutValue({ kind, message }: SecretsError): boolean {
  return kind === 'NotFound' && message === NO_VALUE_YET;
}

/** The secret is soft-deleted. */
export function softDeleted(cause?: unknown): SecretsError {
  return new SecretsError('NotFound', 'is deleted', { hint: 'secrets restore undoes that', cause });
}

/** A write is refused because of a soft-deleted secret. */
export function deletedInTheWay(cause?: unknown): SecretsError {
  return new SecretsError('Conflict', 'a deleted secret blocks this name', {
    hint: 'secrets restore undeletes it, secrets purge removes it permanently',
    cause,
  });
}

export function alreadyExists(cause?: unknown): SecretsError {
  return new SecretsError('Conflict', 'already exists', { cause });
}

/** A compare-and-set failed. */
export function changedMeanwhile(cause?: unknown): SecretsError {
  return new SecretsError('Conflict', 'changed by somebody else', { hint: 'read it again and retry', cause });
}

/** The pending version to replace isn't the pending one. */
export function noLongerPending(version: string, cause?: unknown): SecretsError {
  return new SecretsError('Conflict', `version ${version} is no longer pending`, {
    hint: 'somebody else has taken over that rotation',
    cause,
  });
}
