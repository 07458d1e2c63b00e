/** Who may read a secret, according to the service's policies; and the changes of that. */
import type {
  AccessEntry,
  AccessPlan,
  AccessVerdict,
  AccessWish,
  NativePolicy,
  Purpose,
} from '../../core/access/plan.ts';
import type { CallOptions } from '../call.ts';
import type { Grant } from '../../core/secret.ts';

export interface Grants {
  /**
   * Who may read the secret according to the policies that the service shows: the secret's own, or the store's policies
   * that match it. Identity-based policies are not included.
   * @throws SecretsError NotFound, Denied if the caller may not see policies
   */
  grants(name: string, options: CallOptions): Promise<readonly Grant[]>;
}

/**
 * Changes the service's own policies. A change is a loop: plan, apply, plan again; a plan without edits shows that the
 * service is as wished. So a concurrent change that is lost between two calls is found and made again.
 */
export interface AccessControl {
  /**
   * What has to change for the wish to be true. Changes nothing. Never plans to change what others wrote.
   * @throws SecretsError Usage for a text that is no principal, NotFound for an unknown principal or secret, Policy for
   *   a principal that stands for many without `broad`, Unsupported for what the service can't do, Conflict when
   *   somebody else has edited what a grant wrote
   */
  plan(wish: AccessWish, options: CallOptions): Promise<AccessPlan>;

  /**
   * Makes the edits in their order.
   * @throws SecretsError Conflict if a document isn't as it was when the plan was made; earlier edits stay, and a new
   *   plan takes them into account
   */
  apply(plan: AccessPlan, options: CallOptions): Promise<void>;

  /** Who may read one secret; without a name, the grants that `secrets` wrote in the whole store. */
  list(name: string | undefined, options: CallOptions): Promise<readonly AccessEntry[]>;

  /** Whether a principal may read the secret. @throws SecretsError Usage, NotFound as `plan` */
  check(name: string, principal: string, options: CallOptions): Promise<AccessVerdict>;

  /**
   * The smallest policy with which `secrets` does this to these secrets; for `audit`, to the whole store. Missing where
   * it isn't built yet.
   * @throws SecretsError NotFound where the policy has to name something that only the service knows
   */
  policyFor?(purpose: Purpose, names: readonly string[], options: CallOptions): Promise<NativePolicy>;

  /** Whether the caller itself may read the secret, as the service says without giving the value out. */
  ownAccess(name: string, options: CallOptions): Promise<AccessVerdict['verdict']>;

  /**
   * Milliseconds to wait before the change is looked at a second time, where the service has no compare-and-set for
   * what this plan edits; `undefined` where nobody else writes these documents.
   */
  settles(plan: AccessPlan): number | undefined;
}

export interface Granting {
  /** Loads the implementation on first use. */
  accessControl(): Promise<AccessControl>;
}
