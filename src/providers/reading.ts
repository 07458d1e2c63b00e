/** What the adapters of services without a batch read share. */
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { pool } from '../core/waiting.ts';
import type { GetResult, SecretRequest } from './provider.ts';
import type { SecretVersion } from '../core/secret.ts';

/** @throws SecretsError Unavailable when the call was over before it began */
export function checkSignal(signal: AbortSignal): void {
  if (signal.aborted)
    throw new SecretsError('Unavailable', 'stopped before the call', { cause: signal.reason as unknown });
}

/** What `get` says of a secret that was made without a value. */
export function noValueYet(cause?: unknown): SecretsError {
  return new SecretsError('NotFound', 'has no value yet', { hint: 'secrets put gives it one', cause });
}

/** The outcome of a read in the form that a batch of answers has for it. */
export function settle<T>(
  work: Promise<T>,
): Promise<{ readonly ok: true; readonly secret: T } | { readonly ok: false; readonly error: SecretsError }> {
  return work.then(
    (secret) => ({ ok: true, secret }),
    (thrown: unknown) => ({ ok: false, error: toSecretsError(thrown) }),
  );
}

/** Reads each secret with a call of its own, at most `parallel` at a time; a repeated request costs no second one. */
export function readEach(
  requests: readonly SecretRequest[],
  parallel: number,
  readOne: (request: SecretRequest) => Promise<SecretVersion>,
): Promise<readonly GetResult[]> {
  const known = new Map<string, Promise<GetResult>>();
  const limit = pool(parallel);
  return Promise.all(
    requests.map((request) => {
      const key = JSON.stringify([request.name, request.version, request.stage]);
      let result = known.get(key);
      if (result === undefined) {
        result = settle(limit(() => readOne(request)));
        known.set(key, result);
      }
      return result;
    }),
  );
}
