/** Keeps a sign-in alive while a command waits for a long-running child. */
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { sleep } from '../../core/waiting.ts';
import type { VaultClient } from './client.ts';

/** The longest pause that a timer can handle, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

/**
 * Renews the token after two thirds of its lifetime. If a renewal gains less than half of the usual lifetime (a token
 * near its maximum lifetime) or nothing (a batch token), signs in again, if the method can. Temporary errors are
 * retried while the token lives.
 */
export async function keepAlive(
  client: VaultClient,
  warn: (message: string) => void,
  signal: AbortSignal,
): Promise<void> {
  try {
    let { ttl, renewable } = await client.token(signal);
    let usual = ttl;
    while (ttl > 0) {
      await sleep(Math.min((ttl * 2000) / 3, LONGEST), signal);
      if (signal.aborted) return;
      const end = Date.now() + (ttl * 1000) / 3;
      const next = renewable ? await persist(() => renew(client, signal), end, signal) : 0;
      if (next >= usual / 2) {
        ttl = next;
        usual = Math.max(usual, next);
        continue;
      }
      if (!(await persist(() => client.signInAgain(signal), end, signal))) {
        if (renewable && next >= 1) {
          ttl = next;
          usual = next;
          continue;
        }
        warn('the Vault token ends soon and can’t be renewed');
        return;
      }
      ({ ttl, renewable } = await client.token(signal));
      usual = ttl;
    }
  } catch (thrown) {
    if (!signal.aborted) warn(`the Vault token could not be renewed: ${toSecretsError(thrown).message}`);
  }
}

/** Seconds gained by a renewal; 0 if it is refused: past the maximum lifetime, or not allowed. */
async function renew(client: VaultClient, signal: AbortSignal): Promise<number> {
  try {
    return await client.renew(signal);
  } catch (thrown) {
    if (isPassing(thrown)) throw thrown;
    return 0;
  }
}

function isPassing(thrown: unknown): boolean {
  return thrown instanceof SecretsError && (thrown.kind === 'Unavailable' || thrown.kind === 'Throttled');
}

/** Repeats work that fails because the server is unreachable or busy, until `end`. */
async function persist<T>(work: () => Promise<T>, end: number, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (thrown) {
      const left = end - Date.now();
      if (!isPassing(thrown) || left < 500 || signal.aborted) throw thrown;
      await sleep(Math.min(left / 4, 30_000), signal);
    }
  }
}
