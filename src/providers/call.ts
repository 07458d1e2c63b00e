/** Options that every provider call takes. */
export interface CallOptions {
  /** Aborted at the deadline of `--timeout`, or when the user interrupts. */
  readonly signal: AbortSignal;
  /** The deadline in milliseconds since 1970, if there is one. */
  readonly deadline?: number | undefined;
}
