/**
 * Asks Conjur what the role may do to a variable, without changing anything. Source: `check` and `privilege` of the
 * resources API in CyberArk's OpenAPI documents.
 */
import type { Action, Right } from '../capabilities/rights.ts';
import type { ConjurClient } from './client.ts';

/** @param branch the policy that declares the variable or will declare it */
export async function checkRights(
  client: ConjurClient,
  { name, branch }: { readonly name: string; readonly branch: string },
  actions: readonly Action[],
  signal: AbortSignal,
): Promise<readonly Right[]> {
  const may = async (kind: string, id: string, privilege: string): Promise<string | undefined> =>
    (await client.allowed(kind, id, privilege, signal)) ? undefined : `${privilege} on !${kind} ${id}`;
  const [policy, variable] = await Promise.all([
    may('policy', branch, 'update'),
    may('variable', name, 'update'),
  ]);
  return actions.map((action) => {
    const missing = [policy, action === 'promote' ? variable : undefined].filter((one) => one !== undefined);
    return missing.length === 0 ? { action, verdict: 'allowed' } : { action, verdict: 'denied', missing };
  });
}
