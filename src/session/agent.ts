/**
 * The way from a command to a running agent. It answers as the store would, or not at all: then the command asks the
 * store itself. Loaded only if there is an agent.
 */
import type { AuditSettings } from '../audit/log/settings.ts';
import type { StoreConfig } from '../config/config.ts';
import { AGENT_SILENCE_MS, type AgentRead } from '../core/agent/messages.ts';
import { decodeResult } from '../core/agent/secret-codec.ts';
import { askAgent, NoAgent } from '../platform/agent/connect.ts';
import { descriptorOf, type ProgramWorld } from '../config/kinds.ts';
import type { CallOptions } from '../providers/call.ts';
import type { GetResult, SecretRequest } from '../providers/provider.ts';
import { keepOut } from '../output/confidential.ts';
import { agentIdentity, credentialState } from './agent-identity.ts';
import type { Target } from './resolver.ts';

const DEFAULT_WAIT_MS = 30_000;
/** A program of somebody else's, and files that this machine reads faster than it asks. */
const ASKED_DIRECTLY: ReadonlySet<string> = new Set(['exec', 'local']);

export interface AgentParts {
  readonly path: string;
  readonly world: ProgramWorld;
  readonly verb: string;
  readonly reason: string | undefined;
  readonly audit: AuditSettings;
  readonly warn: (message: string) => void;
  readonly debug: (message: string) => void;
}

/** Whether the agent is asked for secrets of this store at all. */
export function mayAsk({ provider }: StoreConfig, audit: AuditSettings): boolean {
  return !ASKED_DIRECTLY.has(provider) && audit.log !== 'off';
}

/**
 * The agent's answers, in the order of the requests, which it has recorded; undefined if it gives none.
 */
export async function readThroughAgent(
  parts: AgentParts,
  { name, provider, settings }: StoreConfig,
  native: Target['native'],
  requests: readonly SecretRequest[],
  { signal, deadline }: CallOptions,
): Promise<readonly GetResult[] | undefined> {
  const { world, audit, verb, reason } = parts;
  const descriptor = descriptorOf(world, provider);
  const { cwd } = world;
  const request: AgentRead = {
    op: 'read',
    identity: agentIdentity(world, audit),
    mode: audit.log === 'required' ? 'required' : 'best-effort',
    store: { name, provider, settings, native },
    cwd,
    credentials: credentialState({ world, descriptor, settings: { ...settings, ...native } }),
    client: { command: verb, pid: process.pid, reason },
    requests,
    waitMs: deadline === undefined ? DEFAULT_WAIT_MS : Math.max(0, deadline - Date.now()),
  };
  try {
    const { answer } = await askAgent(parts.path, request, signal);
    if ('results' in answer) return decodeAll(answer.results, requests.length, parts, name);
    parts.debug(`agent: not used: ${'refused' in answer ? (answer.detail ?? answer.refused) : 'no answer'}`);
  } catch (thrown) {
    if (!(thrown instanceof NoAgent)) throw thrown;
    parts.debug(`agent: not used: ${thrown.message}`);
  }
  return undefined;
}

function decodeAll(
  results: readonly unknown[],
  count: number,
  { warn, debug }: AgentParts,
  store: string,
): readonly GetResult[] | undefined {
  const decoded = results.map((result) => decodeResult(result as never));
  if (decoded.length !== count || decoded.includes(undefined)) {
    debug('agent: not used: its answer makes no sense');
    return undefined;
  }
  return decoded.flatMap((result): readonly GetResult[] => {
    if (result === undefined) return [];
    if (!result.ok) return [result];
    const { secret, fetchedAt, isStale } = result;
    keepOut(secret.value);
    if (!isStale) return [{ ok: true, secret }];
    warn(
      `${store}://${secret.name}: the store does not answer; this is what the agent read at ${fetchedAt.toISOString()}`,
    );
    return [{ ok: true, secret: { ...secret, staleSince: fetchedAt } }];
  });
}

/**
 * Something was written to a store of this kind: the agent forgets what it holds of them. Never rejects.
 * @returns whether it has been told, or isn't there to be told
 */
export async function dropFromAgent(
  path: string,
  provider: string,
  { warn, debug }: Pick<AgentParts, 'warn' | 'debug'>,
): Promise<boolean> {
  try {
    // Longer than a read waits, which can do without the agent.
    await askAgent(path, { op: 'drop', provider }, undefined, { helloMs: AGENT_SILENCE_MS });
    return true;
  } catch (thrown) {
    const { message } = thrown as Error;
    const isThere = !(thrown instanceof NoAgent) || thrown.why === 'silent' || thrown.why === 'protocol';
    if (isThere)
      warn(
        `the agent has not been told of the change, and may hand out the value before it: ${message}; ` +
          'run secrets agent clear',
      );
    else debug(`agent: not told of the change: ${message}`);
    return !isThere;
  }
}
