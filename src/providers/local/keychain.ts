/** Keeps a store's key in the OS keychain. */
import { type KeychainEntry, openKeychainEntry } from '../../platform/keychain.ts';
import type { Place } from './place.ts';

/** This store's entry in the OS keychain. @throws SecretsError Unavailable if no keychain is reachable */
export function keychainEntry({ store, keyId }: Place): Promise<KeychainEntry> {
  return openKeychainEntry(`${store}-${keyId}`, 'unlock it, or use the key method key-file');
}
