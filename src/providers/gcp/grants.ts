/**
 * Who may read a secret by its own IAM policy; what is granted on the project and above is not in it.
 * Source: https://cloud.google.com/iam/docs/principal-identifiers and https://cloud.google.com/secret-manager/docs/access-control
 */
import type { Grant } from '../../core/secret.ts';

export interface RawPolicy {
  readonly bindings?:
    | readonly {
        readonly role?: string | null;
        readonly members?: readonly string[] | null;
        readonly condition?: object | null;
      }[]
    | null;
}

/** Predefined roles that give values out. A role of the customer's own is taken for one, since it may. */
const READS = /^roles\/(secretmanager\.(secretAccessor|admin)|owner|editor)$|^(projects|organizations)\//;

export function grantsOf({ bindings }: RawPolicy): readonly Grant[] {
  return (bindings ?? []).flatMap(({ role, members, condition }) => {
    if (!READS.test(role ?? '')) return [];
    // The empty condition of an answer over gRPC is none.
    const expression = (condition as { readonly expression?: string } | null | undefined)?.expression ?? '';
    return (members ?? []).map((principal) => ({
      principal,
      breadth: breadthOf(principal),
      through: `its policy, as ${role ?? ''}`,
      ...(expression !== '' && { conditional: true }),
    }));
  });
}

function breadthOf(member: string): Grant['breadth'] {
  if (member === 'allUsers') return 'public';
  if (member === 'allAuthenticatedUsers') return 'wildcard';
  // A domain, all of a project by its basic role, all of a pool of workload identities.
  return /^(domain:|project(Owner|Editor|Viewer):|principalSet:\/\/.*\/\*$)/.test(member)
    ? 'account'
    : 'named';
}
