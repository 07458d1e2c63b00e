/**
 * The context of a command: its run, its stores and its output, each in a file of its own. What commands use most often
 * is forwarded here.
 */
import type { Access } from '../audit/recording/recorder.ts';
import type { Config, StoreConfig } from '../config/config.ts';
import type { ProgramWorld } from '../config/kinds.ts';
import type { Reference } from '../core/reference/reference.ts';
import { Console } from '../output/console.ts';
import type { Output } from '../output/output.ts';
import type { StatusLine } from '../output/status-line.ts';
import type { CallOptions } from '../providers/call.ts';
import type { Provider } from '../providers/provider.ts';
import type { CommonOptions } from './options.ts';
import type { Resolved, Target } from './resolver.ts';
import { Run } from './run.ts';
import { Stores } from './stores.ts';

export class Session implements Output {
  readonly run: Run;
  readonly output: Console;
  readonly stores: Stores;

  /** @param client the program on whose behalf this one runs, if it was started by another; for the audit log */
  constructor(world: ProgramWorld, options: CommonOptions, verb = '', client?: string) {
    this.run = new Run(world, options, verb, client);
    this.output = new Console(world, options, this.run);
    this.stores = new Stores(this.run, this.output);
  }

  /** Stops handling signals, because they belong to a child from now on. Set by the program. */
  releaseSignals: () => void = () => {};

  /** Closes every store that was opened. */
  async close(): Promise<void> {
    this.run.end();
    this.output.endProgress();
    await this.stores.close();
  }

  // The run.

  get world(): ProgramWorld {
    return this.run.world;
  }

  get options(): CommonOptions {
    return this.run.options;
  }

  get verb(): string {
    return this.run.verb;
  }

  get interrupt(): AbortController {
    return this.run.interrupt;
  }

  call(): CallOptions {
    return this.run.call();
  }

  // The stores.

  config(): Promise<Config> {
    return this.stores.config();
  }

  target(text: string, asked?: boolean): Promise<Target> {
    return this.stores.target(text, asked);
  }

  resolve(texts: readonly string[]): Promise<readonly Resolved[]> {
    return this.stores.resolve(texts);
  }

  resolveEach(texts: readonly string[]): Promise<readonly Resolved[]> {
    return this.stores.resolveEach(texts);
  }

  defaultStore(): Promise<string> {
    return this.stores.defaultStore();
  }

  storeConfig(name: string): Promise<StoreConfig> {
    return this.stores.storeConfig(name);
  }

  open(name: string, extra?: Target['native']): Promise<Provider> {
    return this.stores.open(name, extra);
  }

  /** Notes what a store is needed for before it is opened, so that a failure to open it can be recorded. */
  asks(store: string, extra: Target['native'], reference: Partial<Reference>): void {
    this.stores.records.asks(store, extra, reference);
  }

  /**
   * Records what isn't a call to a store: a rotation as a whole.
   * @throws SecretsError Policy if the log is `required` and can't be written
   */
  record(access: Access): Promise<void> {
    return this.stores.records.record(access);
  }

  // The output.

  get statusLine(): StatusLine {
    return this.output.statusLine;
  }

  print(text: string | Uint8Array): Promise<void> {
    return this.output.print(text);
  }

  printJson(value: unknown): Promise<void> {
    return this.output.printJson(value);
  }

  warn(message: string): void {
    this.output.warn(message);
  }

  note(message: string): void {
    this.output.note(message);
  }

  debug(message: string): void {
    this.output.debug(message);
  }
}
