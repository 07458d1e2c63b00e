/** The OS key chain: Secret Service, macOS Keychain, Windows Credential Manager, through @napi-rs/keyring. */
import { SecretsError } from '../core/errors.ts';

/** How long to wait for a key chain that doesn't answer: a locked one waits for its dialog. */
const TIMEOUT_MS = 20_000;

export interface KeychainEntry {
  get(): Promise<string | undefined>;
  set(text: string): Promise<void>;
  remove(): Promise<void>;
}

/**
 * An entry of the service `secrets` in the OS key chain.
 * @param hint what to do if no key chain is reachable
 * @throws SecretsError Unavailable if none is
 */
export async function openKeychainEntry(account: string, hint: string): Promise<KeychainEntry> {
  const unreachable = (cause: unknown): SecretsError =>
    new SecretsError('Unavailable', 'the key chain of this system is not reachable', {
      hint,
      cause,
    });
  const bounded = async <T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    try {
      return await work(AbortSignal.timeout(TIMEOUT_MS));
    } catch (cause) {
      throw unreachable(cause);
    }
  };
  return bounded(async () => {
    const { AsyncEntry } = await import('@napi-rs/keyring');
    // Without this, the package falls back to the kernel's keyring, which loses its keys when the user logs out.
    const entry = new AsyncEntry('secrets', account, { linux: { store: 'secret-service' } });
    return {
      get: () => bounded(async (signal) => (await entry.getPassword(signal)) ?? undefined),
      set: (text) => bounded((signal) => entry.setPassword(text, signal)),
      remove: () => bounded(async (signal) => void (await entry.deletePassword(signal))),
    };
  });
}
