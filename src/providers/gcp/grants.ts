/**
 * Who may read a secret according to its own IAM policy; grants on the project and above are not included. Source:
 * https://cloud.google.com/iam/docs/principal-identifiers and
 * https://cloud.google.com/secret-manager/docs/access-control
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

/** Roles that include reading values. A customer's own role counts as one, because it may. */
export const READS =
  /^roles\/(secretmanager\.(secretAccessor|admin)|owner|editor)$|^(projects|organizations)\//;

export function grantsOf({ bindings }: RawPolicy): readonly Grant[] {
  return (bindings ?? []).flatMap(({ role, members, condition }) => {
    if (!READS.test(role ?? '')) return [];
    // gRPC responses contain an empty condition if there is none.
    const expression = (condition as { readonly expression?: string } | null | undefined)?.expression ?? '';
    return (members ?? []).map((principal) => ({
      principal,
      breadth: breadthOf(principal),
      through: `its policy, as ${role ?? ''}`,
      ...(expression !== '' && { conditional: true }),
    }));
  });
}

export function breadthOf(member: string): Grant['breadth'] {
  if (member === 'allUsers') return 'public';
  if (member === 'allAuthenticatedUsers') return 'wildcard';
  // A domain, everyone with a basic role on a project, or everyone in a workload identity pool.
  return /^(domain:|project(Owner|Editor|Viewer):|principalSet:\/\/.*\/\*$)/.test(member)
    ? 'account'
    : 'named';
}
