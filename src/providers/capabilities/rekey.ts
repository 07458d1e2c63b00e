/** For stores that do their own encryption: changes the key and who can use it. */
import type { CallOptions } from '../call.ts';

/** What changes when a store's key is renewed. */
export interface KeyChange {
  /** How the new key is protected; the old key's method if missing. */
  readonly method?: string | undefined;
  readonly addRecipients?: readonly string[] | undefined;
  readonly removeRecipients?: readonly string[] | undefined;
  /** Manifest files from other branches, whose keys are merged in. */
  readonly merge?: readonly string[] | undefined;
}

export interface Rekey {
  /**
   * Renews the key that encrypts the store's values, and changes who can use it; for stores that do their own
   * encryption. Every value stays readable throughout. Returns how many entries were re-encrypted.
   * @throws SecretsError NotFound without a store, Usage, Conflict when another renewal is in progress
   */
  rekey(change: KeyChange, options: CallOptions): Promise<{ readonly resealed: number }>;
}
