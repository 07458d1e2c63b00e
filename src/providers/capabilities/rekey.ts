/** For stores that encrypt by themselves: another key, and who can use it. */
import type { CallOptions } from '../call.ts';

/** What changes when a store's key is renewed. */
export interface KeyChange {
  /** The way the new key is kept; without it, the way the old one was. */
  readonly method?: string | undefined;
  readonly addRecipients?: readonly string[] | undefined;
  readonly removeRecipients?: readonly string[] | undefined;
  /** Files with manifests of other branches, whose keys are taken over. */
  readonly merge?: readonly string[] | undefined;
}

/** Renews the key. */
export interface Rekey {
  /**
   * Renews the key that the store's values are sealed under, and who can use it; for stores that encrypt
   * themselves. Every value stays readable throughout. Returns how many entries were sealed anew.
   * @throws SecretsError NotFound without a store, Usage, Conflict when another renewal is under way
   */
  rekey(change: KeyChange, options: CallOptions): Promise<{ readonly resealed: number }>;
}
