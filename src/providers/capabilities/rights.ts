/** What of a rotation the caller may do, asked without doing it. */
import type { CallOptions } from '../call.ts';

/** What a rotation changes of a secret: it stages a pending version, promotes or discards it, and sets labels. */
export type Action = 'stage' | 'promote' | 'discard' | 'label';

/** Whether the caller may do one of them. */
export interface Right {
  readonly action: Action;
  readonly verdict: 'allowed' | 'denied' | 'unknown';
  /** `denied`: what is missing, as the service calls it. */
  readonly missing?: readonly string[] | undefined;
  /** `unknown`: why nobody can say, as a clause. */
  readonly why?: string | undefined;
}

/** Asks the service. */
export interface Rights {
  /**
   * Says of each action whether the caller may do it to this secret, without changing anything (`--dry-run`). Where
   * the service can't be asked, the answer is `unknown` and says why.
   */
  checkRights(name: string, actions: readonly Action[], options: CallOptions): Promise<readonly Right[]>;
}
