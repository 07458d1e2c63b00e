/**
 * Asks Vault what a token may do to a secret in KV v2, without changing anything. Source:
 * https://developer.hashicorp.com/vault/api-docs/system/capabilities-self
 */
import type { Action, Right } from '../capabilities/rights.ts';
import type { Engine } from './engine.ts';
import { asMap } from './errors.ts';
import { PENDING_SUFFIX } from './pending.ts';

export async function checkRights(
  engine: Engine,
  name: string,
  actions: readonly Action[],
  signal: AbortSignal,
): Promise<readonly Right[]> {
  // As in policies: not URL-encoded.
  const at = (kind: string, secret: string): string => `${engine.mount}/${kind}/${secret}`;
  const [value, about] = [at('data', name), at('metadata', name)];
  const sibling = name + PENDING_SUFFIX;
  const [pending, aboutPending] = [at('data', sibling), at('metadata', sibling)];
  const needs: Readonly<Record<Action, readonly (readonly [string, string])[]>> = {
    stage: [
      [pending, 'create'],
      [pending, 'update'],
      [pending, 'read'],
      [aboutPending, 'read'],
    ],
    promote: [
      [value, 'update'],
      [about, 'read'],
      [aboutPending, 'update'],
      [aboutPending, 'delete'],
    ],
    discard: [[aboutPending, 'delete']],
    label: [[about, 'patch']],
  };
  const paths = [value, about, pending, aboutPending];
  const body = await engine.client.write('sys/capabilities-self', { paths }, signal);
  const found = asMap(body['data'] ?? body);
  const may = (path: string, right: string): boolean => {
    const list = found[path];
    return Array.isArray(list) && (list.includes('root') || list.includes(right));
  };
  return actions.map((action) => {
    const missing = needs[action].filter(([path, right]) => !may(path, right));
    return missing.length === 0
      ? { action, verdict: 'allowed' }
      : {
          action,
          verdict: 'denied',
          missing: missing.map(([path, right]) => `${right} on ${path}`),
        };
  });
}
