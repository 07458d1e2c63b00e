/** What every call of a provider takes. */

/** Options every call takes. */
export interface CallOptions {
  /** Aborted at the deadline of `--timeout`, or when the user interrupts. */
  readonly signal: AbortSignal;
  /** When that is, in milliseconds since 1970, where it is known. */
  readonly deadline?: number | undefined;
}
