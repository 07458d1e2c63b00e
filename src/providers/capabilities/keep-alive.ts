/** For sign-ins that are shorter than a program that runs with the secrets. */

/** Renews the sign-in. */
export interface KeepAlive {
  /**
   * Keeps this store's sign-in alive until `signal` aborts (renewing a short token), for commands that wait
   * for a long-running child. Resolves when it ends; reports trouble through `warn` and never rejects.
   */
  keepAlive(warn: (message: string) => void, signal: AbortSignal): Promise<void>;
}
