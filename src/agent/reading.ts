/**
 * Reads values for any number of clients at once: from memory while they are fresh, otherwise from the store, which is
 * asked once however many clients wait for the same value. When the store is away, memory answers as long as it may.
 */
import { setMaxListeners } from 'node:events';
import { outOfTime, SecretsError, toSecretsError } from '../core/errors.ts';
import type { CallOptions } from '../providers/call.ts';
import type { GetResult, SecretRequest } from '../providers/provider.ts';
import type { Held, ValueCache } from './cache.ts';
import type { OpenStore } from './pool.ts';
import type { ServedResult } from './stores.ts';

export interface ReadingSettings {
  /** How long a value is handed out without asking its store again. */
  readonly freshMs: number;
  /** How long a store may take before memory answers instead. */
  readonly patienceMs: number;
  /** How long a call to a store may take, unless a client waits longer. Clients may give up earlier. */
  readonly callMs: number;
}

/** Stores on this machine: asking them costs no more than remembering, and they change by hand. */
const NOT_HELD: ReadonlySet<string> = new Set(['local']);

/** A call in progress, for one value. */
interface Flight {
  readonly answer: Promise<GetResult>;
  /** A client waits until then. */
  readonly extend: (deadline: number) => void;
}

/** The longest timer that Node supports. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Reading {
  readonly #cache: ValueCache;
  readonly #settings: ReadingSettings;
  readonly #now: () => Date;
  /** Calls in progress, by value. Emptied by a change: who asks after it must not get what was read before it. */
  readonly #flights = new Map<string, Flight>();
  #generation = 0;
  hits = 0;
  misses = 0;

  constructor(cache: ValueCache, settings: ReadingSettings, now: () => Date) {
    this.#cache = cache;
    this.#settings = settings;
    this.#now = now;
  }

  /** In the order of the requests. Never rejects. */
  async read(
    store: OpenStore,
    requests: readonly SecretRequest[],
    call: CallOptions,
  ): Promise<readonly ServedResult[]> {
    const [only] = requests;
    if (requests.length === 1 && only !== undefined) return [await this.#single(store, only, call)];
    const keys = requests.map((request) => keyOf(store, request));
    // A client may ask for the same value many times: it gets one copy.
    const asked = new Map(keys.map((key, index) => [key, requests[index] as SecretRequest]));
    const held = new Map([...asked.keys()].map((key) => [key, this.#cache.get(key)]));
    const missing = new Map(
      [...asked].filter(([key]) => !this.#isFresh(held.get(key)) && !this.#flights.has(key)),
    );
    if (missing.size > 0) this.#fetch(store, missing, call);
    const answers = new Map<string, Promise<ServedResult>>();
    for (const [key, own] of held) answers.set(key, this.#one(key, own, call));
    return Promise.all(keys.map((key) => answers.get(key) as Promise<ServedResult>));
  }

  /** Whether the value is in memory and may be handed out without asking its store. */
  holds(store: OpenStore, request: SecretRequest): boolean {
    return this.#isFresh(this.#cache.get(keyOf(store, request)));
  }

  /** The usual request, without what keeps many apart. */
  #single(store: OpenStore, request: SecretRequest, call: CallOptions): Promise<ServedResult> {
    const key = keyOf(store, request);
    const held = this.#cache.get(key);
    if (!this.#isFresh(held) && !this.#flights.has(key)) this.#fetch(store, new Map([[key, request]]), call);
    return this.#one(key, held, call);
  }

  async #one(key: string, held: Held | undefined, call: CallOptions): Promise<ServedResult> {
    if (held !== undefined && this.#isFresh(held)) {
      this.hits += 1;
      return { ok: true, secret: held.secret, fetchedAt: held.fetchedAt, from: 'cache' };
    }
    this.misses += 1;
    const flight = this.#flights.get(key) as Flight;
    if (call.deadline !== undefined) flight.extend(call.deadline);
    return this.#await(flight.answer, held, call);
  }

  #isFresh(held: Held | undefined): boolean {
    return held !== undefined && held.ageMs < this.#settings.freshMs;
  }

  async #await(flight: Flight['answer'], held: Held | undefined, call: CallOptions): Promise<ServedResult> {
    const { patienceMs } = this.#settings;
    const answer = await within(flight, call.signal, held === undefined ? undefined : patienceMs);
    if (answer.ok) {
      // A copy for each client.
      const secret = { ...answer.secret, value: Buffer.from(answer.secret.value) };
      return { ok: true, secret, fetchedAt: this.#now(), from: 'store' };
    }
    if (held !== undefined && isAway(answer.error))
      return { ok: true, secret: held.secret, fetchedAt: held.fetchedAt, from: 'stale' };
    return answer;
  }

  /** Asks the store for all of them in one call. */
  #fetch(
    { provider, spec }: OpenStore,
    missing: ReadonlyMap<string, SecretRequest>,
    { deadline = 0 }: CallOptions,
  ): void {
    const generation = this.#generation;
    const end = new AbortController();
    // Many reads listen to it, and Node would warn about that.
    setMaxListeners(0, end.signal);
    const tooSlow = (): void => end.abort(new DOMException('the store is too slow', 'TimeoutError'));
    let until = Math.max(Date.now() + this.#settings.callMs, deadline);
    const startTimer = (): NodeJS.Timeout =>
      setTimeout(tooSlow, Math.min(until - Date.now(), LONGEST_TIMER_MS)).unref();
    let timer = startTimer();
    const extend = (later: number): void => {
      if (later <= until) return;
      until = later;
      clearTimeout(timer);
      timer = startTimer();
    };
    const requests = [...missing.values()].map(({ name, version, stage }) => ({ name, version, stage }));
    const call = provider
      .get(requests, { signal: end.signal, deadline: until })
      .catch((thrown: unknown): readonly GetResult[] => {
        const error = toSecretsError(thrown);
        return requests.map(() => ({ ok: false, error }));
      })
      .finally(() => clearTimeout(timer));
    for (const [index, key] of [...missing.keys()].entries()) {
      const received = call.then((answers) => {
        const answer = answers[index] ?? { ok: false, error: new SecretsError('Failed', 'no answer') };
        if (this.#flights.get(key)?.answer === received) this.#flights.delete(key);
        const isCurrent = generation === this.#generation;
        if (answer.ok && isCurrent && !NOT_HELD.has(spec.provider))
          this.#cache.set(key, spec.provider, answer.secret);
        else if (!answer.ok && isCurrent && !isAway(answer.error)) this.#cache.delete(key);
        return answer;
      });
      this.#flights.set(key, { answer: received, extend });
    }
  }

  /** A secret in a store of this kind was changed, by whatever name and through whatever store. */
  dropKind(provider: string): void {
    this.#startAnew();
    this.#cache.dropKind(provider);
  }

  /** This store is no longer used. */
  dropStore(key: string): void {
    this.#startAnew();
    this.#cache.dropPrefix(`${key}\n`);
  }

  /** @returns how many values were held */
  clear(): number {
    this.#startAnew();
    return this.#cache.clear();
  }

  #startAnew(): void {
    this.#generation += 1;
    this.#flights.clear();
  }
}

/** The same secret of the same store, as the same version. */
function keyOf({ key }: OpenStore, { name, version, stage }: SecretRequest): string {
  return `${key}\n${JSON.stringify([name, version ?? null, stage ?? null])}`;
}

function isAway({ kind }: SecretsError): boolean {
  return kind === 'Unavailable' || kind === 'Throttled';
}

/** The answer, or that there is none in time. The call goes on, for others and for later. */
function within(flight: Flight['answer'], signal: AbortSignal, ms: number | undefined): Promise<GetResult> {
  const late = (): GetResult => ({ ok: false, error: outOfTime(undefined) });
  if (signal.aborted) return Promise.resolve(late());
  return new Promise((resolve) => {
    const end = (answer: GetResult): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abandon);
      resolve(answer);
    };
    const abandon = (): void => end(late());
    const timer = ms === undefined ? undefined : setTimeout(abandon, ms);
    signal.addEventListener('abort', abandon, { once: true });
    void flight.then(end);
  });
}
