/** What is wrong with a policy file, in one form for `policy check` and for the errors of every other command. */

export interface PolicyProblem {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** One clause. */
  readonly message: string;
  readonly hint?: string | undefined;
  /** A warning doesn't keep the policy from being used. */
  readonly severity: 'error' | 'warning';
}
