/** The stores of a run: finds the store of a reference, and opens each store once. */
import { descriptorOf } from '../config/kinds.ts';
import type { Config, StoreConfig } from '../config/config.ts';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { formatReference, parseReference } from '../core/reference/reference.ts';
import { singleLine } from '../core/text/sanitize.ts';
import { checkTyped } from '../output/confidential.ts';
import type { Console } from '../output/console.ts';
import type { CallOptions } from '../providers/call.ts';
import type { ProviderContext } from '../providers/descriptor.ts';
import type { GetResult, Provider, SecretRequest } from '../providers/provider.ts';
import { findAgent, findAgents } from '../platform/agent/place.ts';
import { openChain } from './chain.ts';
import { guard } from './guard.ts';
import { Policies } from './policies.ts';
import { Records, storeId } from './records.ts';
import { type Reader, type Resolved, resolveAll, type Target } from './resolver.ts';
import type { ProgramWorld } from '../config/kinds.ts';
import type { Run } from './run.ts';

/** The commands that a running agent answers. */
const THROUGH_AGENT: ReadonlySet<string> = new Set(['get', 'exec', 'env']);

export class Stores {
  readonly #run: Run;
  readonly #output: Console;
  readonly #providers = new Map<string, Promise<Provider>>();
  readonly #opened: Provider[] = [];
  #config: Promise<Config> | undefined;
  /** Sockets of agents that didn't answer. */
  readonly #untold = new Set<string>();
  #agentPath: { readonly path: string | undefined } | undefined;
  readonly records: Records;
  readonly policies: Policies;

  constructor(run: Run, output: Console) {
    this.#run = run;
    this.#output = output;
    const { world, options, verb, client } = run;
    this.records = new Records({
      world,
      options,
      verb,
      client,
      config: () => this.config(),
      warn: (message) => output.warn(message),
    });
    this.policies = new Policies({
      run,
      config: () => this.config(),
      canAsk: () => output.canAsk,
      reason: () => this.records.reason(),
      record: (accesses) => this.records.recordAll(accesses),
    });
  }

  /** The configuration; read once, on first use. @throws SecretsError Usage, Policy */
  config(): Promise<Config> {
    this.#config ??= this.#loadConfig();
    return this.#config;
  }

  async #loadConfig(): Promise<Config> {
    const { loadConfig } = await import('../config/load.ts');
    const config = await loadConfig(this.#run.world, {
      file: this.#run.options.config,
      profile: this.#run.options.profile,
      trust: this.#run.options.trust,
    });
    for (const warning of config.warnings) this.#output.warn(warning);
    return config;
  }

  /**
   * The store and reference that a text names: a native identifier, a full reference, or a name in the default store
   * (or `--store`).
   * @param asked whether the secret will be accessed, so that a failure to open its store is recorded
   * @throws SecretsError Usage for a malformed reference or an unknown store
   */
  async target(text: string, asked = true): Promise<Target> {
    const config = await this.config();
    const native = await this.#nativeTarget(text, config);
    if (native !== undefined) {
      if (asked) this.records.asks(native.store, native.native, native.reference);
      return native;
    }
    const reference = parseReference(text);
    checkTyped(text, reference);
    const store = reference.store ?? (await this.defaultStore());
    if (asked) this.records.asks(store, undefined, reference);
    try {
      this.#storeConfig(config, store, text);
    } catch (thrown) {
      if (asked) await this.records.unopened(store, undefined, thrown);
      throw thrown;
    }
    return { text: formatReference({ ...reference, store }), store, reference };
  }

  async #nativeTarget(text: string, config: Config): Promise<Target | undefined> {
    return nativeTarget(this.#run.world, text, config, this.#run.options.store);
  }

  /** Resolves references given as texts; see `resolveAll`. @throws SecretsError Usage for a malformed one */
  async resolve(texts: readonly string[]): Promise<readonly Resolved[]> {
    const targets = await Promise.all(texts.map((text) => this.target(text)));
    return resolveAll(targets, (target) => this.reader(target), this.#run.call());
  }

  /** Like `resolve`, but a malformed reference only fails itself, so that every failure can be listed. */
  async resolveEach(texts: readonly string[]): Promise<readonly Resolved[]> {
    const targets = await Promise.all(
      texts.map(async (text): Promise<Target | SecretsError> => {
        try {
          return await this.target(text);
        } catch (thrown) {
          return toSecretsError(thrown).forReference(text);
        }
      }),
    );
    const good = targets.filter((target): target is Target => !(target instanceof SecretsError));
    const resolved = await resolveAll(good, (target) => this.reader(target), this.#run.call());
    let next = 0;
    return targets.map((target, index): Resolved => {
      if (!(target instanceof SecretsError)) return resolved[next++] as Resolved;
      const text = texts[index] as string;
      return { ok: false, target: { text, store: '', reference: { name: text } }, error: target };
    });
  }

  /**
   * The store of names without a store: `--store`, or the configuration's default.
   * @throws SecretsError Policy if the default needs trust that the user hasn't given
   */
  async defaultStore(): Promise<string> {
    if (this.#run.options.store !== undefined) return this.#run.options.store;
    const { defaultStore, untrustedDefault, file } = await this.config();
    if (untrustedDefault === undefined) return defaultStore;
    const { notTrusted } = await import('../config/trust.ts');
    throw notTrusted(`the default store ${defaultStore}`, file, [untrustedDefault]);
  }

  /** The store's settings. @throws SecretsError Usage if there is no such store */
  async storeConfig(name: string): Promise<StoreConfig> {
    return this.#storeConfig(await this.config(), name, undefined);
  }

  #storeConfig(config: Config, name: string, reference: string | undefined): StoreConfig {
    const store = config.stores.get(name);
    if (store !== undefined) return store;
    const known = [...config.stores.keys()].join(', ');
    throw new SecretsError('Usage', `no store named ${singleLine(name)}`, {
      reference,
      hint: `the stores are ${known}; add one to secrets.yaml`,
    });
  }

  /**
   * Opens a store, once per session. `extra` overrides settings, for native identifiers.
   * @throws SecretsError Policy if the store's settings need trust that the user hasn't given
   */
  async open(name: string, extra?: Target['native']): Promise<Provider> {
    const id = storeId(name, extra);
    let provider = this.#providers.get(id);
    if (provider === undefined) {
      provider = this.#open(name, extra);
      this.#providers.set(id, provider);
    }
    try {
      const opened = await provider;
      this.records.isOpen(name, extra);
      return opened;
    } catch (thrown) {
      await this.records.unopened(name, extra, thrown);
      throw thrown;
    }
  }

  /**
   * What reads the values of a target: a running agent, or the store.
   * @throws SecretsError as `open` has them
   */
  async reader(target: Target): Promise<Reader> {
    const path = THROUGH_AGENT.has(this.#run.verb) ? this.#agent() : undefined;
    const { store, native } = target;
    const { judge } = await this.policies.known();
    if (path === undefined && judge === undefined) return this.open(store, native);
    const get: Reader['get'] = async (requests, options) =>
      (path === undefined ? undefined : await this.#askAgent(path, target, requests, options)) ??
      (await this.open(store, native)).get(requests, options);
    if (judge === undefined) return { get };
    return this.policies.reader(await this.storeConfig(store), native, get);
  }

  /** From now on, what the stores have counts, and nothing that was read before. */
  leaveAgent(): void {
    this.#agentPath = { path: undefined };
  }

  /** The agent's socket. Looked for once, where that is two system calls without an agent. */
  #agent(): string | undefined {
    if (this.#agentPath === undefined) {
      const found = this.#run.options.agent === false ? undefined : findAgent(this.#run.world);
      if (found?.problem !== undefined) this.#output.debug(`agent: not used: ${found.problem}`);
      this.#agentPath = { path: found?.problem === undefined ? found?.path : undefined };
    }
    return this.#agentPath.path;
  }

  async #askAgent(
    path: string,
    { store: name, native }: Target,
    requests: readonly SecretRequest[],
    options: CallOptions,
  ): Promise<readonly GetResult[] | undefined> {
    const { mayAsk, readThroughAgent } = await import('./agent.ts');
    const config = await this.config();
    const { world, verb } = this.#run;
    const store = await this.storeConfig(name);
    // The files that a trusted file names are compared with what was trusted, which only this process knows.
    const isPinned = store.source === 'project' && (config.project?.files.length ?? 0) > 0;
    if (isPinned || !mayAsk(store, config.audit)) return undefined;
    // An agent doesn't look at labels for its clients.
    if (await this.policies.needLabels(store, native, requests)) return undefined;
    await guard(store, config.file);
    const answers = await readThroughAgent(
      {
        path,
        world,
        verb,
        reason: this.records.reason(),
        audit: config.audit,
        warn: (message) => this.#output.warn(message),
        debug: (message) => this.#output.debug(message),
      },
      store,
      native,
      requests,
      options,
    );
    if (answers !== undefined) await this.records.isRecorded(name, native);
    return answers;
  }

  /**
   * A secret of this kind of store was changed. What this run itself asks makes no difference: others ask the agent, and
   * must not get the value before.
   */
  async #changed(provider: string): Promise<void> {
    for (const { path, problem } of findAgents(this.#run.world)) {
      if (problem !== undefined || this.#untold.has(path)) continue;
      const { dropFromAgent } = await import('./agent.ts');
      const told = await dropFromAgent(path, provider, {
        warn: (message) => this.#output.warn(message),
        debug: (message) => this.#output.debug(message),
      });
      // Each of a thousand changes would wait for it.
      if (!told) this.#untold.add(path);
    }
  }

  async #open(name: string, extra: Target['native']): Promise<Provider> {
    const store = await this.storeConfig(name);
    const provider = await openChain({
      store,
      extra,
      file: (await this.config()).file,
      descriptor: descriptorOf(this.#run.world, store.provider),
      records: this.records,
      policies: this.policies,
      context: () => this.providerContext(name),
      call: this.#run.lazyCall(),
      changed: () => this.#changed(store.provider),
    });
    this.#opened.push(provider);
    return provider;
  }

  /** What a provider may know about this machine. */
  providerContext(store: string): ProviderContext {
    const { env, home, cwd, now } = this.#run.world;
    const output = this.#output;
    const ask = (question: string): Promise<string> => output.askHidden(question);
    return {
      store,
      env,
      home,
      cwd,
      now,
      warn: (message) => output.warn(message),
      debug: (message) => output.debug(`${store}: ${message}`),
      progress: (message) => void output.showProgress(message),
      // A getter, because creating the streams takes time.
      get askHidden() {
        return output.canAsk ? ask : undefined;
      },
    };
  }

  /** The stores that are open so far. */
  opened(): readonly Provider[] {
    return this.#opened;
  }

  /** Closes every store that was opened. */
  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.#providers.values());
    await Promise.allSettled(
      opened.map((result) => (result.status === 'fulfilled' ? result.value.close() : Promise.resolve())),
    );
  }
}

/** The target of a service's own identifier, such as an ARN; undefined for anything else. */
export function nativeTarget(
  { providers }: Pick<ProgramWorld, 'providers'>,
  text: string,
  config: Config,
  option: string | undefined,
): Target | undefined {
  const hash = text.indexOf('#');
  const identifier = hash === -1 ? text : text.slice(0, hash);
  for (const descriptor of providers) {
    const native = descriptor.native?.(identifier);
    if (native === undefined) continue;
    // Prefer the store from --store or the default, if it is of that kind: it knows how to sign in.
    const named = option ?? (config.untrustedDefault ? undefined : config.defaultStore);
    const own = [...config.stores.values()].filter((store) => store.provider === descriptor.kind);
    const chosen =
      own.find(({ name }) => name === named) ?? own.find(({ source }) => source === 'builtin') ?? own[0];
    const store = chosen?.name ?? descriptor.kind;
    const { name, version, stage, settings } = native;
    const key = hash === -1 ? undefined : parseReference(`x${text.slice(hash)}`).key;
    return { text, store, reference: { store, name, version, stage, key }, native: settings };
  }
  return undefined;
}
