/**
 * The policies of a running agent, for its clients. They stay parsed, so that a decision costs a fraction of a
 * millisecond; a changed, new or removed file is noticed at the next request.
 */
import type { StoreConfig } from '../config/config.ts';
import type { AuditAction } from '../core/audit/record.ts';
import { type SecretsError, toSecretsError } from '../core/errors.ts';
import type { CallKind } from '../core/policy/actions.ts';
import type { Principal } from '../core/policy/request.ts';
import { lookAt, type PolicyPlace, policyPlaces } from '../policy/find.ts';
import type { Judge } from '../policy/judge.ts';
import type { Decided } from '../policy/decided.ts';
import type { Policy } from '../policy/policy.ts';
import type { CallOptions } from '../providers/call.ts';
import type { Provider, SecretRequest } from '../providers/provider.ts';
import { CALLS, judgedStore } from '../session/policies.ts';
import type { Session } from '../session/session.ts';
import type { OpenStore, StoreSpec } from './pool.ts';
import type { AgentClient } from './stores.ts';

/** The files as they were, and what came of reading them. */
interface Known {
  readonly files: string;
  readonly policy?: Policy | undefined;
  readonly principal?: Principal | undefined;
  /** Nothing is allowed then. */
  readonly error?: SecretsError | undefined;
}

export class AgentPolicies {
  readonly #session: Session;
  #places: readonly PolicyPlace[] | undefined;
  #known: Promise<Known> | undefined;
  #files: string | undefined;
  #isOfThisTurn = false;

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * What decides for a client; undefined without policy files.
   * @throws SecretsError Policy if there is a file that can't be used
   */
  async judge(client: AgentClient): Promise<Judge | undefined> {
    const places = (this.#places ??= policyPlaces(this.#session.world, await this.#session.config()));
    const { policy, principal, error } = await this.#current(places);
    if (error !== undefined) throw error;
    if (policy === undefined || principal === undefined) return undefined;
    const { Judge: Deciding } = await import('../policy/judge.ts');
    const { world, verb } = this.#session;
    const { door, command = verb, reason } = client;
    return new Deciding(policy, {
      // The folder of the own door is its user's alone; whoever asks through another has a token.
      principal: door === 'own' ? principal : { ...principal, client: door },
      world,
      // The agent's branch says nothing of its client's.
      place: { host: world.names().host, branch: undefined },
      facts: () => ({ command, reason, program: undefined, terminal: false }),
    });
  }

  /**
   * Whether the agent may answer its user's own command, which decides for itself otherwise.
   * @returns the policies that permit each name; undefined if it may not
   */
  async permitsFor(
    client: AgentClient,
    spec: StoreSpec,
    requests: readonly SecretRequest[],
  ): Promise<ReadonlyMap<string, readonly string[]> | undefined> {
    const permits = new Map<string, readonly string[]>();
    const judge = await this.judge(client);
    if (judge === undefined) return permits;
    const store = judgedStore(spec, spec.native);
    for (const { name } of requests) {
      if (judge.needsLabels(store, 'read', name)) return undefined;
      const decision = judge.decide(store, 'read', name);
      if (!decision.allowed) return undefined;
      permits.set(name, decision.policies);
    }
    return permits;
  }

  /** Before a store is opened: decides what doesn't depend on labels. @throws SecretsError Policy */
  async checkBefore(client: AgentClient, kind: CallKind, config: StoreConfig, name: string): Promise<void> {
    const judge = await this.judge(client);
    const store = judgedStore(config, undefined);
    const named = name === '' ? undefined : name;
    if (judge === undefined || judge.needsLabels(store, kind, named)) return;
    const decision = judge.decide(store, kind, named);
    if (decision.allowed) return;
    const { denialOf } = await import('../policy/judge.ts');
    throw denialOf(decision).forReference(`${store.name}://${name}`);
  }

  /** Decides a read that memory may answer. @returns the policies that permit it @throws SecretsError Policy */
  async checkRead(
    client: AgentClient,
    open: OpenStore,
    name: string,
    call: CallOptions,
  ): Promise<readonly string[] | undefined> {
    const around = await this.#decided(client, open);
    try {
      await around?.check('read', name, call);
    } catch (thrown) {
      throw toSecretsError(thrown).forReference(`${open.spec.name}://${name}`);
    }
    return around?.permits('read', name);
  }

  /** The link in the chain around an open store. */
  async around(
    client: AgentClient,
    open: Pick<OpenStore, 'provider' | 'spec'>,
  ): Promise<{
    readonly provider: Provider;
    readonly permits?: (action: AuditAction, name: string | undefined) => readonly string[] | undefined;
  }> {
    const around = await this.#decided(client, open);
    if (around === undefined) return { provider: open.provider };
    return { provider: around.provider, permits: (action, name) => around.permits(CALLS[action], name) };
  }

  async #decided(
    client: AgentClient,
    { provider, spec }: Pick<OpenStore, 'provider' | 'spec'>,
  ): Promise<Decided | undefined> {
    const judge = await this.judge(client);
    if (judge === undefined) return undefined;
    const { decided } = await import('../policy/decided.ts');
    return decided({ provider, judge, store: judgedStore(spec, spec.native) });
  }

  /** Looks at the files once for all requests that have come in this turn of the event loop. */
  #current(places: readonly PolicyPlace[]): Promise<Known> {
    if (this.#known !== undefined && this.#isOfThisTurn) return this.#known;
    // Throws before the old answer counts for this turn.
    const files = places.map(stateOf).join('\n');
    this.#isOfThisTurn = true;
    setImmediate(() => {
      this.#isOfThisTurn = false;
    });
    if (this.#known === undefined || files !== this.#files) {
      this.#files = files;
      this.#known = this.#load(files, places);
    }
    return this.#known;
  }

  async #load(files: string, places: readonly PolicyPlace[]): Promise<Known> {
    const there = places.filter((place) => stateOf(place) !== MISSING);
    if (there.length === 0) return { files };
    try {
      const { Policy: Loaded } = await import('../policy/policy.ts');
      const { principalOf } = await import('../policy/principal.ts');
      const { world } = this.#session;
      return { files, policy: Loaded.load(world, there, true), principal: principalOf(world) };
    } catch (thrown) {
      return { files, error: toSecretsError(thrown) };
    }
  }
}

const MISSING = '-';

/** Changes when the file does, or who may write it. @throws SecretsError Denied if that can't be told */
function stateOf(place: PolicyPlace): string {
  const stats = lookAt(place);
  if (stats === undefined) return MISSING;
  const { dev, ino, size, mode, uid, gid, mtimeMs, ctimeMs } = stats;
  return [dev, ino, size, mode, uid, gid, mtimeMs, ctimeMs].join(' ');
}
