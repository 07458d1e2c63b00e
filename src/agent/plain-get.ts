/**
 * `secrets get REF` for a client that has read nothing: the agent reads the configuration in its place, anew each time,
 * and decides as the command would. Whatever the command would print besides the value, or ask, or refuse, is left to
 * it: then the answer is undefined, and nothing is recorded.
 */
import type { Config } from '../config/config.ts';
import { descriptorOf, type ProgramWorld } from '../config/kinds.ts';
import { reasonOf } from '../audit/recording/reason.ts';
import type { AgentGet, AgentIdentity } from '../core/agent/messages.ts';
import { parseReference } from '../core/reference/reference.ts';
import { looksLikeValue } from '../core/text/suspect.ts';
import { isPlainText } from '../core/utf8.ts';
import { findPolicies } from '../policy/find.ts';
import { mayAsk } from '../session/agent.ts';
import {
  agentIdentity,
  credentialState,
  isOfRequest,
  mattersToStores,
  placeOf,
} from '../session/agent-identity.ts';
import { selectValue, type Target } from '../session/resolver.ts';
import { nativeTarget } from '../session/stores.ts';
import type { Serving } from './serving.ts';

interface Parts {
  readonly identity: AgentIdentity;
  readonly world: ProgramWorld;
  readonly stores: Serving;
}

/**
 * @returns what the command prints, if it is in memory
 * @throws whatever the command would report: it finds out itself
 */
export async function heldFor(request: AgentGet, parts: Parts): Promise<Uint8Array | undefined> {
  // A client in a container has other files at the same paths.
  if (request.place !== placeOf(request.cwd) || looksLikeValue(request.reference)) return undefined;
  const env = new ClientEnv(parts.world.env, request.variables);
  try {
    return await heldWith(env, request, parts);
  } catch (thrown) {
    if (env.isForeign) return undefined;
    throw thrown;
  }
}

async function heldWith(env: ClientEnv, request: AgentGet, parts: Parts): Promise<Uint8Array | undefined> {
  const { cwd, reference: text, variables, terminal, pid } = request;
  const world = Object.create(parts.world, {
    cwd: { value: cwd },
    env: { value: env.watched },
  }) as ProgramWorld;
  const { loadConfig } = await import('../config/load.ts');
  const config = await loadConfig(world, { forAnother: true });
  const target = targetOf(world, text, config);
  if (target === undefined || !isQuiet(config)) return undefined;
  // The client decides what its policies allow: it knows its branch, and whom it can ask.
  if (findPolicies(world, config).length > 0 || env.isForeign) return undefined;
  if (agentIdentity(env.plainWorld(world), config.audit).log !== parts.identity.log) return undefined;
  const { store: storeName, native, reference } = target;
  const store = config.stores.get(storeName);
  if (store === undefined || store.untrusted !== undefined || !mayAsk(store, config.audit)) return undefined;
  const isPinned = store.source === 'project' && (config.project?.files.length ?? 0) > 0;
  if (isPinned) return undefined;
  const { name, provider, settings } = store;
  const descriptor = descriptorOf(world, provider);
  const credentials = credentialState({
    world: env.plainWorld(world),
    descriptor,
    settings: { ...settings, ...native },
  });
  const { version, stage, key } = reference;
  const wanted = { name: reference.name, version, stage, ...(key !== undefined && { keys: [key] }) };
  const reason = reasonOf(undefined, variables['SECRETS_REASON']);
  return parts.stores.readHeld(
    { door: 'own', command: 'get', pid, reason },
    { name, provider, settings, ...(native !== undefined && { native }), cwd, credentials },
    wanted,
    config.audit.log === 'required' ? 'required' : 'best-effort',
    async (secret) => {
      const value = await selectValue(secret, key);
      return terminal && !isPlainText(value) ? undefined : value;
    },
  );
}

/** Whether the command would print nothing about it, and deliver nothing. */
function isQuiet({ warnings, audit }: Config): boolean {
  return warnings.length === 0 && audit.sinks === undefined && audit.untrustedSinks !== true;
}

function targetOf(world: ProgramWorld, text: string, config: Config): Target | undefined {
  const native = nativeTarget(world, text, config, undefined);
  if (native !== undefined) return native;
  const reference = parseReference(text);
  const store = reference.store ?? (config.untrustedDefault === undefined ? config.defaultStore : undefined);
  return store === undefined ? undefined : { text, store, reference };
}

/**
 * The client's variables, as far as they are known: those that matter to stores are the agent's own, because both sides
 * have the same digest of them; those of the request were sent. A configuration for which any other counts is read by
 * the client.
 */
class ClientEnv {
  readonly watched: ProgramWorld['env'];
  readonly #known: Readonly<Record<string, string | undefined>>;
  isForeign = false;

  constructor(own: ProgramWorld['env'], variables: AgentGet['variables']) {
    const same = Object.entries(own).filter(([name]) => mattersToStores(name));
    this.#known = Object.fromEntries([...same, ...Object.entries(variables)]);
    const look = (name: string | symbol): string | undefined => {
      if (typeof name !== 'string') return undefined;
      if (!mattersToStores(name) && !isOfRequest(name)) return this.#end();
      return Object.hasOwn(this.#known, name) ? this.#known[name] : undefined;
    };
    this.watched = new Proxy<Record<string, string | undefined>>(
      {},
      {
        get: (_, name) => look(name),
        has: (_, name) => look(name) !== undefined,
        ownKeys: () => this.#end(),
        getOwnPropertyDescriptor: (_, name) => {
          look(name);
          return undefined;
        },
      },
    );
  }

  /** At once: what follows may be much work for nothing, such as to hash the files that the configuration names. */
  #end(): never {
    this.isForeign = true;
    throw new TypeError('another variable counts');
  }

  /** The same world with variables that may be listed. */
  plainWorld(world: ProgramWorld): ProgramWorld {
    return Object.create(world, { env: { value: this.#known } }) as ProgramWorld;
  }
}
