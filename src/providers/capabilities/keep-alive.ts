/** For sign-ins that expire sooner than the program that runs with the secrets. */

export interface KeepAlive {
  /**
   * Keeps this store's sign-in alive until `signal` aborts (renews a short-lived token), for commands that wait for a
   * long-running child. Resolves when it ends; reports problems through `warn` and never rejects.
   */
  keepAlive(warn: (message: string) => void, signal: AbortSignal): Promise<void>;
}
