/** Changes of who may read a secret at the service itself: what is wished, planned and found. Pure. */
import { canonicalJson, sha256 } from '../audit/chain.ts';

export type AccessChange = 'grant' | 'revoke';

/** What the user asks for. */
export interface AccessWish {
  readonly change: AccessChange;
  /** Name of the secret. */
  readonly name: string;
  /** As the user wrote it: `role/deploy`, `user:alice`, an ARN. */
  readonly principal: string;
  /** When the grant ends by itself. */
  readonly until?: Date | undefined;
  /** The user allows a principal that stands for many, and has given a reason. */
  readonly broad?: boolean | undefined;
  /** The kind of policy to edit, where the service has several. */
  readonly through?: string | undefined;
}

/** One document of the service's policies before and after a change; a missing text stands for no document. */
export interface AccessEdit {
  /** Where the service keeps it, in the service's words: `sys/policies/acl/NAME`. */
  readonly place: string;
  readonly before?: string | undefined;
  readonly after?: string | undefined;
}

/** Everything that a wish changes. Without edits, the service already is as wished. */
export interface AccessPlan {
  readonly wish: AccessWish;
  /** The principal in the service's own words. */
  readonly principal: string;
  readonly edits: readonly AccessEdit[];
  /** What else has to hold before the principal can read the secret, and when the change takes effect. */
  readonly notes: readonly string[];
  /** SHA-256 of the documents before and after, for the audit log. */
  readonly before: string;
  readonly after: string;
}

/** One principal that may read a secret. */
export interface AccessEntry {
  readonly secret: string;
  readonly principal: string;
  /** `secrets access grant` wrote it, so `secrets access revoke` removes it. */
  readonly ours: boolean;
  /** Where the grant is, as a noun phrase. */
  readonly through: string;
  readonly until?: Date | undefined;
  readonly breadth?: 'public' | 'wildcard' | 'account' | 'named' | undefined;
  /** A condition restricts it, which isn't evaluated here. */
  readonly conditional?: boolean | undefined;
  /** Why it has no effect, as a clause. */
  readonly idle?: string | undefined;
}

/** Whether a principal may read a secret. */
export interface AccessVerdict {
  /** The principal in the service's own words. */
  readonly principal: string;
  readonly verdict: 'allowed' | 'denied' | 'unknown';
  /** The deciding rule, or why the answer isn't known, as a clause. */
  readonly why: string;
  /** `service`: the service itself was asked; `policies`: its policies were read and evaluated here. */
  readonly by: 'service' | 'policies';
}

/** What a credential is for, as `secrets access policy --for` takes it. */
export const PURPOSES = ['exec', 'agent', 'rotate', 'audit'] as const;

export type Purpose = (typeof PURPOSES)[number];

/** The smallest policy for a purpose, in the store's own language. */
export interface NativePolicy {
  readonly format: 'iam-json' | 'vault-hcl';
  readonly text: string;
}

export function accessPlan(plan: Omit<AccessPlan, 'before' | 'after'>): AccessPlan {
  const edits = plan.edits.filter(({ before, after }) => before !== after);
  const digest = (side: 'before' | 'after'): string =>
    sha256(canonicalJson(edits.map((edit) => [edit.place, edit[side] ?? null])));
  return { ...plan, edits, before: digest('before'), after: digest('after') };
}

/** The plan that takes another one back. */
export function inverse(plan: AccessPlan): AccessPlan {
  const edits = plan.edits.map(({ place, before, after }) => ({ place, before: after, after: before }));
  const change = plan.wish.change === 'grant' ? 'revoke' : 'grant';
  return accessPlan({ ...plan, wish: { ...plan.wish, change }, edits: edits.toReversed() });
}

/** A short digest that names a policy after what it is for. */
export function digestOf(text: string, digits: number): string {
  return sha256(text).slice(0, digits);
}
