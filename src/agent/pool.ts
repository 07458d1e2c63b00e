/** The stores that the agent has open: each one once for the same settings, and closed when others are used more. */
import { createHash } from 'node:crypto';
import { SecretsError } from '../core/errors.ts';
import type { StoreSettings } from '../core/trust.ts';
import type { ProgramWorld } from '../config/kinds.ts';
import type { CallOptions } from '../providers/call.ts';
import type { NativeReference, ProviderContext } from '../providers/descriptor.ts';
import type { Provider } from '../providers/provider.ts';

/** Clients may name any number of stores, and each open one has connections. */
const MOST_OPEN = 32;
const LONGEST_CALL_MS = 60_000;

/** What a store is opened with. */
export interface StoreSpec {
  readonly name: string;
  /** Kind of provider, such as `aws`. */
  readonly provider: string;
  readonly settings: StoreSettings;
  /** Settings that a native identifier implies. */
  readonly native?: NativeReference['settings'];
  /** Where relative paths of variables start. */
  readonly cwd: string;
  /** Changes when a file with the user's credentials does: the store is opened anew then. */
  readonly credentials: string;
}

export interface OpenStore {
  readonly key: string;
  readonly spec: StoreSpec;
  readonly provider: Provider;
}

export class StorePool {
  readonly #world: ProgramWorld;
  readonly #context: (spec: StoreSpec) => ProviderContext;
  /** In the order of their last use. */
  readonly #open = new Map<string, Promise<OpenStore>>();

  constructor(world: ProgramWorld, context: (spec: StoreSpec) => ProviderContext) {
    this.#world = world;
    this.#context = context;
  }

  /** @throws SecretsError as the provider's `open` has them; a later call tries again */
  async open(spec: StoreSpec, call: CallOptions): Promise<OpenStore> {
    const key = keyOf(spec);
    const known = this.#open.get(key);
    const opening = known ?? this.#load(key, spec, call);
    this.#open.delete(key);
    this.#open.set(key, opening);
    if (known === undefined) {
      opening.catch(() => this.#forget(key, opening));
      this.#closeOldest();
    }
    return opening;
  }

  async #load(key: string, spec: StoreSpec, call: CallOptions): Promise<OpenStore> {
    const descriptor = this.#world.providers.find(({ kind }) => kind === spec.provider);
    if (descriptor === undefined)
      throw new SecretsError('Usage', `store ${spec.name} has an unknown provider ${spec.provider}`);
    const { open } = await descriptor.load();
    const provider = await open({ ...spec.settings, ...spec.native }, this.#context(spec), call);
    await provider.prepare?.(call);
    return { key, spec, provider };
  }

  /** The next client opens it anew. */
  forget({ key }: OpenStore): void {
    const opening = this.#open.get(key);
    if (opening === undefined) return;
    this.#open.delete(key);
    closeLater(opening);
  }

  #forget(key: string, opening: Promise<OpenStore>): void {
    if (this.#open.get(key) === opening) this.#open.delete(key);
  }

  #closeOldest(): void {
    for (const [key, opening] of this.#open) {
      if (this.#open.size <= MOST_OPEN) return;
      this.#open.delete(key);
      closeLater(opening);
    }
  }

  get size(): number {
    return this.#open.size;
  }

  /** Closes all. Calls in progress fail. */
  async closeAll(): Promise<void> {
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(all.map(close));
  }
}

function keyOf({ name, provider, settings, native, cwd, credentials }: StoreSpec): string {
  const parts = [name, provider, settings, native ?? null, cwd, credentials];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** Not at once: a call may be in progress. */
function closeLater(opening: Promise<OpenStore>): void {
  setTimeout(() => void close(opening), LONGEST_CALL_MS).unref();
}

async function close(opening: Promise<OpenStore>): Promise<void> {
  try {
    await (await opening).provider.close();
  } catch {
    // It could not be opened, or is closed already.
  }
}
