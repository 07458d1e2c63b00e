/** What the agent's clients get, and how it is recorded. */
import type { Access, AccessClient } from '../audit/recording/recorder.ts';
import { singleLine } from '../core/text/sanitize.ts';
import type { SecretRequest } from '../providers/provider.ts';
import type { AgentClient, ServedResult } from './stores.ts';

/** Longest program name in a record. */
const MOST_PROGRAM = 200;

type ReadDetails = { readonly secret: string } & Pick<
  Access,
  'action' | 'version' | 'stage' | 'keys' | 'requestId' | 'error' | 'agent'
>;

/** One record for each version that was asked for. */
export function readsOf(
  requests: readonly SecretRequest[],
  results: readonly ServedResult[],
): readonly ReadDetails[] {
  const details = new Map<string, ReadDetails>();
  for (const [index, { name, version, stage, keys }] of requests.entries()) {
    const result = results[index];
    const id = JSON.stringify([name, version, stage]);
    if (result === undefined || details.has(id)) continue;
    const asked = { action: 'read', secret: name, stage, keys } as const;
    if (!result.ok) details.set(id, { ...asked, version, error: result.error });
    else {
      const { secret, from } = result;
      // The trail of the store has one call with this id, which another record names.
      const requestId = from === 'store' ? secret.requestId : undefined;
      details.set(id, { ...asked, version: secret.id, requestId, agent: from });
    }
  }
  return [...details.values()];
}

/** A client, as a record has it. */
export function byOf({ door, command, program, pid, token, address, reason }: AgentClient): AccessClient {
  const names = [
    program === undefined ? undefined : singleLine(program).slice(0, MOST_PROGRAM),
    token === undefined ? undefined : `token ${token}`,
  ].filter((name) => name !== undefined && name !== '');
  const client = door === 'own' ? undefined : `${door}: ${names.join(', ') || 'unknown'}`;
  return { command, pid, reason, client, address };
}

/** How long the values are that a client is sent. */
export function sizeOf(results: readonly ServedResult[]): number {
  return results.reduce((sum, result) => sum + (result.ok ? result.secret.value.length : 0), 0);
}

/**
 * Whether a command that asks the store itself would see the same. Not for what depends on the client: the command may
 * ask for a passphrase, or explain how to sign in.
 */
export function isSameForClient(result: ServedResult): boolean {
  return result.ok || ANSWERED.has(result.error.kind);
}

const ANSWERED: ReadonlySet<string> = new Set([
  'NotFound',
  'Denied',
  'Invalid',
  'Throttled',
  'Unavailable',
  'Integrity',
]);
