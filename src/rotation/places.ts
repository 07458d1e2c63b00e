/** Opens a secret for its rotation, with a lock in another store if its own can't hold a claim. */
import type { Provider } from '../providers/provider.ts';
import type { Session } from '../session/session.ts';
import { LockedPlace } from './locked-place.ts';
import { SecretPlace } from './place.ts';

/**
 * @param lock the lock store that the secret's policy names; `rotation.lock` if missing
 * @throws SecretsError Usage for a lock store that doesn't exist or can't hold a lock; Policy for one that isn't
 *   trusted
 */
export async function placeOf(
  session: Session,
  provider: Provider,
  { text, name }: { readonly text: string; readonly name: string },
  lock: string | undefined,
): Promise<SecretPlace> {
  const call = (): ReturnType<Session['call']> => session.call();
  const own = new SecretPlace(provider, name, call);
  if (!own.unguarded) return own;
  const { rotation, file } = await session.config();
  const store = lock ?? rotation.lock;
  if (store === undefined) return own;
  if (lock === undefined && rotation.untrustedLock !== undefined) {
    const { notTrusted } = await import('../config/trust.ts');
    throw notTrusted('rotation.lock', file, rotation.untrustedLock);
  }
  return new LockedPlace(
    provider,
    name,
    call,
    { name: store, provider: await session.open(store) },
    text,
    (message) => session.warn(`${text}: ${message}`),
  );
}
