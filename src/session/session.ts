/**
 * One run of one command: the world, the common options, and what commands share: the configuration, open stores, the
 * deadline, and output to the user.
 */
import { setMaxListeners } from 'node:events';
import { recorded } from '../audit/recording/recorded.ts';
import type { Access } from '../audit/recording/recorder.ts';
import { Records, storeId } from './records.ts';
import type { Config, StoreConfig } from '../config/config.ts';
import type { CommonOptions } from './options.ts';
import type { Output } from '../output/output.ts';
import type { Progress } from '../output/progress.ts';
import { parseDuration } from '../core/duration.ts';
import { SecretsError } from '../core/errors.ts';
import { formatReference, parseReference, type Reference } from '../core/reference/reference.ts';
import { type Resolved, resolveAll, type Target } from './resolver.ts';
import { checkTyped } from '../output/confidential.ts';
import { keepingOut } from './keeping-out.ts';
import { jsonText, singleLine } from '../core/text/sanitize.ts';
import { StderrLines } from '../output/stderr-lines.ts';
import type { CallOptions } from '../providers/call.ts';
import type { Provider } from '../providers/provider.ts';
import type { ProviderContext } from '../providers/descriptor.ts';
import type { ProgramWorld } from '../config/kinds.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
/** The longest timer that Node supports. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Session implements Output {
  readonly world: ProgramWorld;
  readonly options: CommonOptions;
  /** The command's full name, such as `rotate resume`. */
  readonly verb: string;
  /** Aborted by `stop` when the user interrupts. */
  readonly interrupt = new AbortController();
  readonly #providers = new Map<string, Promise<Provider>>();
  readonly #opened: Provider[] = [];
  readonly #deadlines = new Set<AbortController>();
  /** Timers that haven't been created yet. */
  readonly #unmade = new Set<NodeJS.Immediate>();
  #config: Promise<Config> | undefined;
  #progress: Progress | undefined;
  readonly #lines: StderrLines;
  readonly #records = new Records(this);
  #terminalGiven = false;

  constructor(world: ProgramWorld, options: CommonOptions, verb = '') {
    this.world = world;
    this.options = options;
    this.verb = verb;
    this.#lines = new StderrLines(world);
  }

  /** The user interrupted: aborts `interrupt` and every call in progress. */
  stop(): void {
    this.interrupt.abort();
    // Not a listener on the signal: loading Node's web events would slow every start, and interrupts are rare.
    for (const deadline of this.#deadlines) deadline.abort(this.interrupt.signal.reason);
  }

  /** The configuration; read once, on first use. @throws SecretsError Usage, Policy */
  config(): Promise<Config> {
    this.#config ??= this.#loadConfig();
    return this.#config;
  }

  async #loadConfig(): Promise<Config> {
    const { loadConfig } = await import('../config/load.ts');
    const config = await loadConfig(this.world, {
      file: this.options.config,
      profile: this.options.profile,
      trust: this.options.trust,
    });
    for (const warning of config.warnings) this.warn(warning);
    return config;
  }

  /**
   * Options for provider calls: a new deadline of `--timeout`, ended early by an interrupt.
   * @throws SecretsError Usage for an invalid duration
   */
  call(): CallOptions {
    const { timeout } = this.options;
    const ms = timeout === undefined ? DEFAULT_TIMEOUT_MS : parseDuration(timeout);
    const deadline = new AbortController();
    // Not AbortSignal.any over AbortSignal.timeout: it holds them weakly, and in Node 20 a signal that is
    // garbage-collected during a long command never fires.
    this.#deadlines.add(deadline);
    // Many concurrent reads listen to it, and Node would warn about that.
    setMaxListeners(0, deadline.signal);
    const end = (): void => {
      this.#deadlines.delete(deadline);
      deadline.abort(new DOMException('the time of --timeout is over', 'TimeoutError'));
    };
    this.#startTimer(end, Math.min(ms, LONGEST_TIMER_MS));
    if (this.interrupt.signal.aborted) deadline.abort(this.interrupt.signal.reason);
    return { signal: deadline.signal, deadline: Date.now() + ms };
  }

  /** A timer that doesn't keep the process alive, created when something is awaited: many commands end before that. */
  #startTimer(end: () => void, ms: number): void {
    const from = Date.now();
    const made = setImmediate(() => {
      this.#unmade.delete(made);
      setTimeout(end, Math.max(0, ms - (Date.now() - from))).unref();
    });
    this.#unmade.add(made);
  }

  /** Like `call`, but created on first access: most stores open without it, and creating it takes time. */
  #lazyCall(): CallOptions {
    let made: CallOptions | undefined;
    const call = (): CallOptions => (made ??= this.call());
    return {
      get signal() {
        return call().signal;
      },
      get deadline() {
        return call().deadline;
      },
    };
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
      if (asked) this.asks(native.store, native.native, native.reference);
      return native;
    }
    const reference = parseReference(text);
    checkTyped(text, reference);
    const store = reference.store ?? (await this.defaultStore());
    if (asked) this.asks(store, undefined, reference);
    try {
      this.#storeConfig(config, store, text);
    } catch (thrown) {
      if (asked) await this.#records.unopened(store, undefined, thrown);
      throw thrown;
    }
    return { text: formatReference({ ...reference, store }), store, reference };
  }

  async #nativeTarget(text: string, config: Config): Promise<Target | undefined> {
    const hash = text.indexOf('#');
    const identifier = hash === -1 ? text : text.slice(0, hash);
    for (const descriptor of this.world.providers) {
      const native = descriptor.native?.(identifier);
      if (native === undefined) continue;
      // The configured store of that kind, if there is exactly one, knows how to sign in; otherwise the built-in one.
      const named = this.options.store ?? (config.untrustedDefault ? undefined : config.defaultStore);
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

  /** Resolves references given as texts; see `resolveAll`. @throws SecretsError Usage for a malformed one */
  async resolve(texts: readonly string[]): Promise<readonly Resolved[]> {
    const targets = await Promise.all(texts.map((text) => this.target(text)));
    return resolveAll(targets, (target) => this.open(target.store, target.native), this.call());
  }

  /**
   * The store of names without a store: `--store`, or the configuration's default.
   * @throws SecretsError Policy if the default needs trust that the user hasn't given
   */
  async defaultStore(): Promise<string> {
    if (this.options.store !== undefined) return this.options.store;
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
    throw new SecretsError('Usage', `there is no store named ${singleLine(name)}`, {
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
      this.#records.isOpen(name, extra);
      return opened;
    } catch (thrown) {
      await this.#records.unopened(name, extra, thrown);
      throw thrown;
    }
  }

  async #open(name: string, extra: Target['native']): Promise<Provider> {
    const store = await this.storeConfig(name);
    const descriptor = this.world.providers.find(({ kind }) => kind === store.provider);
    if (descriptor === undefined)
      throw new SecretsError('Usage', `store ${name} has an unknown provider ${store.provider}`);
    if (store.untrusted !== undefined) {
      const { notTrusted } = await import('../config/trust.ts');
      throw notTrusted(`the store ${name}`, (await this.config()).file, store.untrusted);
    }
    const { open } = await descriptor.load();
    const recorder = await this.#records.recorder();
    const call = this.#lazyCall();
    const opened = keepingOut(await open({ ...store.settings, ...extra }, this.providerContext(name), call));
    await opened.prepare?.(call);
    const provider = recorded({ provider: opened, recorder, store: name, kind: store.provider });
    this.#opened.push(provider);
    return provider;
  }

  /**
   * Records what isn't a call to a store: a rotation as a whole.
   * @throws SecretsError Policy if the log is `required` and can't be written
   */
  record(access: Access): Promise<void> {
    return this.#records.record(access);
  }

  /** Whether anything may have been recorded. */
  get hasRecorded(): boolean {
    return this.#records.hasBegun;
  }

  /** Notes what a store is needed for before it is opened, so that a failure to open it can be recorded. */
  asks(store: string, extra: Target['native'], reference: Partial<Reference>): void {
    this.#records.asks(store, extra, reference);
  }

  /** From now on the terminal belongs to a child: no prompts or progress. */
  giveTerminal(): void {
    this.#endProgress();
    this.#terminalGiven = true;
  }

  /** Aborts every call in progress, because nobody needs its result any more. */
  abandonCalls(): void {
    for (const deadline of this.#deadlines) deadline.abort(new DOMException('not needed', 'AbortError'));
  }

  /** Shows what is being waited for, until the next line of output. */
  async #showProgress(message: string): Promise<void> {
    if (this.#terminalGiven) return;
    const { startProgress } = await import('../output/progress.ts');
    this.#progress ??= startProgress(this);
    this.#progress.update(message);
  }

  #endProgress(): void {
    this.#progress?.done();
    this.#progress = undefined;
  }

  /** What a provider may know about this machine. */
  providerContext(store: string): ProviderContext {
    const { env, home, cwd, now } = this.world;
    const atTerminal = (): boolean =>
      !this.#terminalGiven && this.world.stdin.isTTY === true && this.world.stderr.isTTY === true;
    const ask = (question: string): Promise<string> => this.askHidden(question);
    return {
      store,
      env,
      home,
      cwd,
      now,
      warn: (message) => this.warn(message),
      debug: (message) => this.debug(`${store}: ${message}`),
      progress: (message) => void this.#showProgress(message),
      // A getter, because creating the streams takes time.
      get askHidden() {
        return atTerminal() ? ask : undefined;
      },
    };
  }

  /**
   * Asks for a secret at the terminal without echo. Ctrl-C ends the whole command. @throws SecretsError Usage without
   * a terminal
   */
  askHidden(question: string): Promise<string> {
    return this.#prompt(async () => (await import('../output/prompt.ts')).askHidden(this.world, question));
  }

  /** Asks for a line of text at the terminal; otherwise like `askHidden`. */
  ask(question: string): Promise<string> {
    return this.#prompt(async () => (await import('../output/prompt.ts')).ask(this.world, question));
  }

  async #prompt(ask: () => Promise<string>): Promise<string> {
    try {
      return await ask();
    } catch (thrown) {
      // In raw mode Ctrl-C is a key, not a signal, but must have the same effect.
      if (thrown instanceof Error && thrown.name === 'Interrupted') this.stop();
      throw thrown;
    }
  }

  /** Writes the result, which is all that goes to stdout. */
  async print(text: string | Uint8Array): Promise<void> {
    this.#endProgress();
    if (this.#lines.written !== undefined) await this.#lines.written;
    return new Promise((resolve, reject) => {
      this.world.stdout.write(text, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** Writes the result as JSON. */
  printJson(value: unknown): Promise<void> {
    return this.print(`${jsonText(value, 2)}\n`);
  }

  /** A warning on stderr, unless `--quiet`. */
  warn(message: string): void {
    this.#endProgress();
    if (this.options.quiet !== true) this.#lines.write(`warning: ${message}`);
  }

  /** A note on stderr for a person at a terminal; scripts don't see it. */
  note(message: string): void {
    this.#endProgress();
    if (this.options.quiet !== true && this.world.stderr.isTTY === true) {
      this.world.stderr.write(`${singleLine(message)}\n`);
    }
  }

  /** A line on stderr with `--debug`. */
  debug(message: string): void {
    if (this.options.debug === true) this.#lines.write(`debug: ${message}`);
  }

  /** Resolves when every warning is written. */
  said(): Promise<void> | undefined {
    return this.#lines.written;
  }

  /** The stores that are open so far. */
  openedProviders(): readonly Provider[] {
    return this.#opened;
  }

  /** Stops handling signals, because they belong to a child from now on. Set by the program. */
  releaseSignals: () => void = () => {};

  /** Closes every store that was opened. */
  async close(): Promise<void> {
    for (const timer of this.#unmade) clearImmediate(timer);
    this.#endProgress();
    const opened = await Promise.allSettled(this.#providers.values());
    await Promise.allSettled(
      opened.map((result) => (result.status === 'fulfilled' ? result.value.close() : Promise.resolve())),
    );
  }
}
