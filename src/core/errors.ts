/**
 * The product's own errors: a kind, one line for people, a hint, and an exit code.
 *
 * Adapters translate their service's answers into these kinds once, at their boundary; nothing above an adapter looks
 * at an HTTP status or an SDK's error class.
 */

/** What went wrong, independent of the service. */
export type ErrorKind =
  /** The secret, version, stage or key doesn't exist (or the service won't say whether it does). */
  | 'NotFound'
  /** The caller is known but not allowed. */
  | 'Denied'
  /** The caller isn't known: no credential, or a wrong or expired one. */
  | 'Unauthenticated'
  /** Somebody else changed it: a compare-and-set failed, or it already exists. */
  | 'Conflict'
  /** The service is throttling, even after retries. */
  | 'Throttled'
  /** The service could not be reached, didn't answer in time, or failed internally. */
  | 'Unavailable'
  /** The request violates the service's rules: a name, a size, a state. */
  | 'Invalid'
  /** The provider doesn't support it. */
  | 'Unsupported'
  /** Stored data was altered, truncated or can't be decrypted. */
  | 'Integrity'
  /** The command line or the configuration is wrong. */
  | 'Usage'
  /** Some of several operations failed; `errors` has each failure. */
  | 'Partial'
  /** A rule forbids it (an untrusted secrets.yaml, a policy). */
  | 'Policy'
  /** Anything else. */
  | 'Failed';

/** Exit codes of every command except `exec`, which returns its child's. Documented in docs/exit-codes.md. */
export const EXIT_CODES: Readonly<Record<ErrorKind, number>> = {
  Failed: 1,
  Usage: 2,
  Invalid: 2,
  Unsupported: 2,
  NotFound: 3,
  Denied: 4,
  Unauthenticated: 4,
  Conflict: 5,
  Unavailable: 6,
  Throttled: 6,
  Partial: 7,
  Policy: 8,
  Integrity: 9,
};

/** Appended to the message about a change whose response is missing. */
export const IN_DOUBT = '; the change may have been made';

/** How much of a foreign message fits on one line. */
const MOST_SAID = 300;

/**
 * Shortens a foreign message. The ellipsis marks the cut: a value that is masked later, when the line is shown, may
 * start before the cut, and its start alone would not be recognised.
 */
export function excerpt(text: string): string {
  return text.length > MOST_SAID ? `${text.slice(0, MOST_SAID)}…` : text;
}

export interface ErrorDetails {
  /** The reference that failed, as the user would write it. Never a value. */
  readonly reference?: string | undefined;
  /** What to do next, as one clause. */
  readonly hint?: string | undefined;
  /** The underlying error; only `--debug` shows it, by name and code, never its fields. */
  readonly cause?: unknown;
  /** Ids of the policies because of which it isn't allowed. */
  readonly policies?: readonly string[] | undefined;
  /** The individual failures of a `Partial`. */
  readonly errors?: readonly SecretsError[] | undefined;
}

/** An error with a kind. `message` is one line, complete without a stack, and contains no secret value. */
export class SecretsError extends Error {
  override readonly name = 'SecretsError';
  readonly kind: ErrorKind;
  readonly reference: string | undefined;
  readonly hint: string | undefined;
  readonly errors: readonly SecretsError[];
  readonly policies: readonly string[] | undefined;

  constructor(kind: ErrorKind, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    this.reference = details.reference;
    this.hint = details.hint;
    this.errors = details.errors ?? [];
    this.policies = details.policies;
  }

  get exitCode(): number {
    return EXIT_CODES[this.kind];
  }

  /** The same error for this reference, unless it already names one. */
  forReference(reference: string): SecretsError {
    if (this.reference !== undefined) return this;
    return new SecretsError(this.kind, this.message, {
      reference,
      hint: this.hint,
      cause: this.cause,
      errors: this.errors,
      policies: this.policies,
    });
  }
}

/**
 * Combines several errors: a single error stays as it is, several become a `Partial` that lists them. If all have the
 * same exit code, their kind is kept, so that fifty missing secrets still exit with 3.
 */
export function combineErrors(errors: readonly SecretsError[], summary: string): SecretsError {
  const [first] = errors;
  if (first === undefined) throw new TypeError('combineErrors needs at least one error');
  if (errors.length === 1) return first;
  const kind = errors.every((error) => error.exitCode === first.exitCode) ? first.kind : 'Failed';
  return new SecretsError(kind, summary, { errors });
}

/** Converts anything thrown to a SecretsError; foreign errors become `Failed`, with the first line of their message. */
export function toSecretsError(thrown: unknown): SecretsError {
  if (thrown instanceof SecretsError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new SecretsError('Failed', message.split('\n', 1)[0] || 'unknown failure', { cause: thrown });
}

/**
 * The deadline passed during a call.
 * @param doubt `IN_DOUBT` if the call may have changed something
 */
export function outOfTime(cause: unknown, doubt = ''): SecretsError {
  return new SecretsError('Unavailable', `no answer in time${doubt}`, {
    hint: 'try again, or raise --timeout',
    cause,
  });
}

/** Waits for all works: the results of those that succeeded and the errors of the others, each in the order given. */
export async function settleAll<T>(
  works: readonly Promise<T>[],
): Promise<{ readonly results: readonly T[]; readonly errors: readonly SecretsError[] }> {
  const settled = await Promise.allSettled(works);
  return {
    results: settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
    errors: settled.flatMap((one) => (one.status === 'rejected' ? [toSecretsError(one.reason)] : [])),
  };
}

/** Runs a piece of work whose failure keeps no other from being done. */
export type Settle = <T>(work: () => T) => T | undefined;

/** @param errors where failures are collected */
export function settler(errors: SecretsError[]): Settle {
  return (work) => {
    try {
      return work();
    } catch (thrown) {
      errors.push(toSecretsError(thrown));
      return undefined;
    }
  };
}
