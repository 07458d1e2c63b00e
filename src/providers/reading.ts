/** Shared by adapters of services without a batch read. */
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { pool } from '../core/waiting.ts';
import type { GetResult, SecretRequest } from './provider.ts';
import type { SecretVersion } from '../core/secret.ts';

/** @throws SecretsError Unavailable when the signal was already aborted */
export function checkSignal(signal: AbortSignal): void {
  if (signal.aborted)
    throw new SecretsError('Unavailable', 'stopped before the call', { cause: signal.reason as unknown });
}

/** The outcome of a read, in the form of a batch result. */
export function settle<T>(
  work: Promise<T>,
): Promise<{ readonly ok: true; readonly secret: T } | { readonly ok: false; readonly error: SecretsError }> {
  return work.then(
    (secret) => ({ ok: true, secret }),
    (thrown: unknown) => ({ ok: false, error: toSecretsError(thrown) }),
  );
}

/** Reads each secret in its own call, at most `parallel` at a time; a repeated request costs no second call. */
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
