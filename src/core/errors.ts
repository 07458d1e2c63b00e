/**
 * The product's own errors: a kind, one line for people, a hint, an exit code.
 *
 * Adapters translate whatever their service answers into one of these kinds, once, at their own border;
 * nothing above an adapter looks at an HTTP status or an SDK's error class.
 */

/** What went wrong, in the product's words. */
export type ErrorKind =
  /** The secret, version, stage or key does not exist (or the service will not say that it does). */
  | 'NotFound'
  /** The caller is known and not allowed. */
  | 'Denied'
  /** The caller is not known: no credential, or one that is wrong or expired. */
  | 'Unauthenticated'
  /** Somebody else changed it: a compare-and-set failed, or it already exists. */
  | 'Conflict'
  /** The service asked to slow down, and still did after the retries. */
  | 'Throttled'
  /** The service could not be reached, did not answer in time, or answered with a fault of its own. */
  | 'Unavailable'
  /** The request itself is wrong by the service's rules: a name, a size, a state. */
  | 'Invalid'
  /** The provider has no such ability. */
  | 'Unsupported'
  /** What is stored was altered, truncated or can't be decrypted. */
  | 'Integrity'
  /** The command line or the configuration is wrong. */
  | 'Usage'
  /** Some of several things failed; `errors` holds each. */
  | 'Partial'
  /** A rule refused it (an untrusted secrets.yaml, a policy). */
  | 'Policy'
  /** Anything else that failed. */
  | 'Failed';

/** Exit codes of every command but `exec`, which passes its child's through. Documented in docs/exit-codes.md. */
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

/** Ends the line about a change whose answer is missing. */
export const IN_DOUBT = '; the change may have been made';

/** As much of somebody else's message as one line has room for. */
const MOST_SAID = 300;

/**
 * Somebody else's message for a line of ours. Where it is cut an ellipsis says so: what is masked later, when the line is
 * shown, may begin before that and would not be recognized by its beginning alone.
 */
export function excerpt(text: string): string {
  return text.length > MOST_SAID ? `${text.slice(0, MOST_SAID)}…` : text;
}

/** What an error may carry beside its line. */
export interface ErrorDetails {
  /** The reference it happened for, as the user would write it. Never a value. */
  readonly reference?: string | undefined;
  /** What to do next, one clause. */
  readonly hint?: string | undefined;
  /** The error underneath; shown by `--debug` only, by its name and code, never by its dumped fields. */
  readonly cause?: unknown;
  /** The single failures of a `Partial`. */
  readonly errors?: readonly SecretsError[] | undefined;
}

/** An error with a kind. `message` is one line, complete without a stack, and holds no secret value. */
export class SecretsError extends Error {
  override readonly name = 'SecretsError';
  readonly kind: ErrorKind;
  readonly reference: string | undefined;
  readonly hint: string | undefined;
  readonly errors: readonly SecretsError[];

  constructor(kind: ErrorKind, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    this.reference = details.reference;
    this.hint = details.hint;
    this.errors = details.errors ?? [];
  }

  /** The process's exit code for this error. */
  get exitCode(): number {
    return EXIT_CODES[this.kind];
  }

  /** The same error, naming the reference it happened for when it does not name one yet. */
  forReference(reference: string): SecretsError {
    if (this.reference !== undefined) return this;
    return new SecretsError(this.kind, this.message, {
      reference,
      hint: this.hint,
      cause: this.cause,
      errors: this.errors,
    });
  }
}

/**
 * One error for several: the error itself when there is one, a `Partial` that lists them otherwise.
 * A group of one kind keeps that kind, so that fifty missing secrets still exit with 3.
 */
export function combineErrors(errors: readonly SecretsError[], summary: string): SecretsError {
  const [first] = errors;
  if (first === undefined) throw new TypeError('combineErrors needs at least one error');
  if (errors.length === 1) return first;
  const kind = errors.every((error) => error.exitCode === first.exitCode) ? first.kind : 'Failed';
  return new SecretsError(kind, summary, { errors });
}

/** The order of references in output, whoever answered first. */
export function byReference(
  one: { readonly reference?: string | undefined },
  other: { readonly reference?: string | undefined },
): number {
  const [left, right] = [one.reference ?? '', other.reference ?? ''];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Any thrown thing as a SecretsError; what is not one becomes `Failed` with its message kept to one line. */
export function toSecretsError(thrown: unknown): SecretsError {
  if (thrown instanceof SecretsError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new SecretsError('Failed', message.split('\n', 1)[0] || 'unknown failure', { cause: thrown });
}
