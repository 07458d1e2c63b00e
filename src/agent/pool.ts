/** The stores that the agent has open: each one once for the same settings, and closed when others are used more. */
import { hash } from 'node:crypto';
import { outOfTime } from '../core/errors.ts';
import type { StoreSettings } from '../core/trust.ts';
import { descriptorOf, type ProgramWorld } from '../config/kinds.ts';
import type { CallOptions } from '../providers/call.ts';
import type { NativeReference, ProviderContext } from '../providers/descriptor.ts';
import type { Provider } from '../providers/provider.ts';
import { openProvider, unknownProvider } from '../session/chain.ts';

/** Clients may name any number of stores, and each open one has connections. */
const MOST_OPEN = 32;
/** How long a sign-in may take, whatever the client that comes first is ready to wait: others wait for it too. */
const OPEN_MS = 30_000;
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

/** A store, and whether it may serve later clients as well. */
interface Loaded extends OpenStore {
  readonly isReady: boolean;
}

export class StorePool {
  readonly #world: ProgramWorld;
  readonly #context: (spec: StoreSpec) => ProviderContext;
  /** In the order of their last use. */
  readonly #open = new Map<string, Promise<Loaded>>();

  /** Nobody needs to wait for these. */
  readonly #ready = new WeakMap<Promise<Loaded>, OpenStore>();

  readonly #replaced: (key: string) => void;

  /** @param replaced called with the key of a store that others no longer get, because the sign-in is another */
  constructor(
    world: ProgramWorld,
    context: (spec: StoreSpec) => ProviderContext,
    replaced: (key: string) => void = () => undefined,
  ) {
    this.#world = world;
    this.#context = context;
    this.#replaced = replaced;
  }

  /**
   * @param call of the client, which waits no longer; the store is opened for others too
   * @throws SecretsError as the provider's `open` has them; a later call tries again
   */
  async open(spec: StoreSpec, call: CallOptions): Promise<OpenStore> {
    const key = keyOf(spec);
    const known = this.#open.get(key);
    const opening = known ?? this.#load(key, spec);
    this.#open.delete(key);
    this.#open.set(key, opening);
    if (known === undefined) {
      this.#closePredecessors(key);
      void this.#keepIfReady(key, opening);
      this.#closeOldest();
    }
    return this.#ready.get(opening) ?? withinCall(opening, call.signal);
  }

  /** A store that is open, if nobody has to wait for it. */
  ready(spec: StoreSpec): OpenStore | undefined {
    const key = keyOf(spec);
    const opening = this.#open.get(key);
    const store = opening && this.#ready.get(opening);
    if (opening === undefined || store === undefined) return undefined;
    this.#open.delete(key);
    this.#open.set(key, opening);
    return store;
  }

  /** A store that isn't ready answers every call with its first failure, which says nothing about the next client's. */
  async #keepIfReady(key: string, opening: Promise<Loaded>): Promise<void> {
    try {
      const loaded = await opening;
      if (loaded.isReady) {
        this.#ready.set(opening, loaded);
        return;
      }
    } catch {
      // The clients that wait for it get the failure.
    }
    this.#forget(key, opening);
    closeLater(opening);
  }

  async #load(key: string, spec: StoreSpec): Promise<Loaded> {
    const descriptor = descriptorOf(this.#world, spec.provider);
    if (descriptor === undefined) throw unknownProvider(spec.name, spec.provider);
    const end = new AbortController();
    const tooSlow = (): void => end.abort(new DOMException('the store is too slow', 'TimeoutError'));
    const timer = setTimeout(tooSlow, OPEN_MS).unref();
    try {
      const opened = await openProvider(descriptor, {
        settings: { ...spec.settings, ...spec.native },
        context: () => this.#context(spec),
        call: { signal: end.signal, deadline: Date.now() + OPEN_MS },
      });
      return { key, spec, ...opened };
    } finally {
      clearTimeout(timer);
    }
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

  /** The same store with credentials that are no longer the user's. */
  #closePredecessors(key: string): void {
    const [store] = key.split(' ');
    for (const [other, opening] of this.#open) {
      if (other === key || other.split(' ')[0] !== store) continue;
      this.#open.delete(other);
      this.#replaced(other);
      closeLater(opening);
    }
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

/** A digest of the store, and one of the credentials. */
function keyOf(spec: StoreSpec): string {
  const known = keys.get(spec);
  if (known !== undefined) return known;
  const { name, provider, settings, native, cwd, credentials } = spec;
  const store = [name, provider, settings, native ?? null, cwd];
  const key = [store, credentials].map((part) => hash('sha256', JSON.stringify(part), 'hex')).join(' ');
  keys.set(spec, key);
  return key;
}

const keys = new WeakMap<StoreSpec, string>();

/** @throws SecretsError Unavailable when the client waits no longer */
function withinCall(opening: Promise<OpenStore>, signal: AbortSignal): Promise<OpenStore> {
  return new Promise((resolve, reject) => {
    const abandon = (): void => reject(outOfTime(undefined));
    if (signal.aborted) abandon();
    signal.addEventListener('abort', abandon, { once: true });
    void opening.then(resolve, reject).finally(() => signal.removeEventListener('abort', abandon));
  });
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
