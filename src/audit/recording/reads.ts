/** What is recorded of a batch of reads. */
import type { GetResult, SecretRequest } from '../../providers/provider.ts';
import type { Access } from './recorder.ts';

/** An access to one store, without what is the same for all accesses of a call. */
export type AccessDetails = Omit<Access, 'store' | 'provider' | 'identity' | 'durationMs'>;

/** One record for each requested version of a secret. */
export function reads(
  requests: readonly SecretRequest[],
  answers: readonly GetResult[],
): readonly AccessDetails[] {
  const details = new Map<string, AccessDetails>();
  for (const [index, { name, version, stage, keys }] of requests.entries()) {
    const answer = answers[index];
    const id = JSON.stringify([name, version, stage]);
    if (answer === undefined || details.has(id)) continue;
    details.set(id, {
      action: 'read',
      secret: name,
      version: answer.ok ? answer.secret.id : version,
      stage,
      keys,
      requestId: answer.ok ? answer.secret.requestId : undefined,
      error: answer.ok ? undefined : answer.error,
    });
  }
  return [...details.values()];
}
