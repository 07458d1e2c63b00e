/** Checks which steps of a rotation the caller may perform, without performing them. */
import type { CallOptions } from '../call.ts';

/** What a rotation changes about a secret: it stages a pending version, promotes or discards it, and sets labels. */
export type Action = 'stage' | 'promote' | 'discard' | 'label';

/** Whether the caller may perform one action. */
export interface Right {
  readonly action: Action;
  readonly verdict: 'allowed' | 'denied' | 'unknown';
  /** `denied`: the missing permissions, in the service's own terms. */
  readonly missing?: readonly string[] | undefined;
  /** `unknown`: the reason, as a clause. */
  readonly why?: string | undefined;
}

export interface Rights {
  /**
   * Reports for each action whether the caller may perform it on this secret, without changing anything (`--dry-run`).
   * Where the service can't be asked, the verdict is `unknown` with a reason.
   */
  checkRights(name: string, actions: readonly Action[], options: CallOptions): Promise<readonly Right[]>;
}
