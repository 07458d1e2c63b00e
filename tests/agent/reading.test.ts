/** What the agent answers from memory and what from a store, with a store and clocks that the test holds. */
import { type CacheBounds, type Clocks, ValueCache } from '../../src/agent/cache.ts';
import type { OpenStore } from '../../src/agent/pool.ts';
import { Reading } from '../../src/agent/reading.ts';
import { SecretsError } from '../../src/core/errors.ts';
import type { CallOptions } from '../../src/providers/call.ts';
import type { GetResult, Provider, SecretRequest } from '../../src/providers/provider.ts';

type Answer = string | SecretsError;

/** A store that answers when the test says so. */
class HeldStore {
  readonly calls: (readonly string[])[] = [];
  readonly #waiting: ((answers: readonly GetResult[]) => void)[] = [];

  readonly open: OpenStore = {
    key: 'store',
    spec: { name: 'prod', provider: 'aws', settings: {}, cwd: '/', credentials: '' },
    provider: { get: (requests: readonly SecretRequest[]) => this.#get(requests) } as unknown as Provider,
  };

  #get(requests: readonly SecretRequest[]): Promise<readonly GetResult[]> {
    this.calls.push(requests.map(({ name }) => name));
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Answers the oldest call. */
  answer(...answers: readonly Answer[]): void {
    this.#waiting.shift()?.(
      answers.map((answer) =>
        answer instanceof SecretsError ? { ok: false, error: answer } : found(answer),
      ),
    );
  }
}

function found(value: string): GetResult {
  return {
    ok: true,
    secret: { name: 'a', id: '1', state: 'enabled', stages: ['current'], value: Buffer.from(value) },
  };
}

class HeldClocks implements Clocks {
  now = 0;
  slept = 0;
  readonly monotonic = (): number => this.now;
  readonly wall = (): number => 1_700_000_000_000 + this.now + this.slept;
}

const bounds: CacheBounds = { ttlMs: 1000, maxValues: 100, maxBytes: 100_000 };
const away = new SecretsError('Unavailable', 'away');

function setUp(patienceMs = 10_000): {
  store: HeldStore;
  clocks: HeldClocks;
  cache: ValueCache;
  reading: Reading;
  ask: (name?: string, signal?: AbortSignal) => Promise<string>;
} {
  const store = new HeldStore();
  const clocks = new HeldClocks();
  const cache = new ValueCache(bounds, clocks);
  const reading = new Reading(cache, { freshMs: 100, patienceMs, callMs: 60_000 }, () => new Date());
  const ask = async (name = 'a', signal = new AbortController().signal): Promise<string> => {
    const [result] = await reading.read(store.open, [{ name }], { signal } satisfies CallOptions);
    if (result === undefined) throw new Error('no result');
    return result.ok ? `${result.from} ${Buffer.from(result.secret.value).toString()}` : result.error.kind;
  };
  return { store, clocks, cache, reading, ask };
}

test('a thousand clients that miss at once cost one call', async () => {
  const { store, ask, reading } = setUp();
  const answers = Array.from({ length: 1000 }, () => ask());
  store.answer('one');
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['store one']));
  expect(store.calls).toEqual([['a']]);
  expect(reading.misses).toBe(1000);
  expect(await ask()).toBe('cache one');
});

test('secrets of one request that aren’t held are asked for in one call', async () => {
  const { store, ask, reading } = setUp();
  const first = ask('a');
  store.answer('A');
  await first;
  const signal = new AbortController().signal;
  const all = reading.read(store.open, [{ name: 'a' }, { name: 'b' }, { name: 'c' }], { signal });
  store.answer('B', 'C');
  expect((await all).map((one) => (one.ok ? one.from : 'failed'))).toEqual(['cache', 'store', 'store']);
  expect(store.calls).toEqual([['a'], ['b', 'c']]);
});

test('a value that one request names many times is one copy', async () => {
  const { store, reading } = setUp();
  const signal = new AbortController().signal;
  const requests = Array.from({ length: 1000 }, () => ({ name: 'a' }));
  const all = reading.read(store.open, requests, { signal });
  store.answer('A');
  const buffers = async (): Promise<number> => {
    const results = await reading.read(store.open, requests, { signal });
    return new Set(results.map((one) => (one.ok ? one.secret.value : undefined))).size;
  };
  expect(new Set((await all).map((one) => (one.ok ? one.secret.value : undefined))).size).toBe(1);
  expect(await buffers()).toBe(1);
  expect([store.calls, reading.misses, reading.hits]).toEqual([[['a']], 1, 1]);
});

test('a value is handed out while it is fresh, asked for again later, and never older than its time', async () => {
  const { store, clocks, ask } = setUp();
  const first = ask();
  store.answer('old');
  await first;
  clocks.now = 99;
  expect(await ask()).toBe('cache old');
  clocks.now = 100;
  const second = ask();
  store.answer('new');
  expect(await second).toBe('store new');
  clocks.now = 1100;
  const third = ask();
  store.answer(away);
  expect(await third).toBe('Unavailable');
});

test('a machine that slept has let time pass', async () => {
  const { store, clocks, ask, cache } = setUp();
  const first = ask();
  store.answer('old');
  await first;
  clocks.slept = 1000;
  const second = ask();
  store.answer(away);
  expect(await second).toBe('Unavailable');
  expect(cache.size).toBe(0);
});

test('memory answers for a store that is away or throttles, and for no other failure', async () => {
  const { store, clocks, ask } = setUp();
  const first = ask();
  store.answer('old');
  await first;
  clocks.now = 200;
  for (const kind of ['Unavailable', 'Throttled'] as const) {
    const next = ask();
    store.answer(new SecretsError(kind, 'away'));
    expect(await next).toBe('stale old');
  }
  const denied = ask();
  store.answer(new SecretsError('Denied', 'no'));
  expect(await denied).toBe('Denied');
  // What is denied now isn't handed out because the store is away later.
  const later = ask();
  store.answer(away);
  expect(await later).toBe('Unavailable');
});

test('memory answers for a store that hangs, long before the client gives up', async () => {
  const { store, clocks, ask } = setUp(20);
  const first = ask();
  store.answer('old');
  await first;
  clocks.now = 200;
  expect(await ask()).toBe('stale old');
  expect(store.calls).toHaveLength(2);
});

test('a client that gives up keeps no other from its answer', async () => {
  const { store, ask } = setUp();
  const end = new AbortController();
  const impatient = ask('a', end.signal);
  const patient = ask();
  end.abort();
  expect(await impatient).toBe('Unavailable');
  store.answer('one');
  expect(await patient).toBe('store one');
  expect(store.calls).toHaveLength(1);
});

test('a call lasts as long as a client waits for it', async () => {
  const ends: AbortSignal[] = [];
  const provider = {
    get: (_requests: unknown, { signal }: CallOptions) =>
      new Promise((_resolve, reject) => {
        ends.push(signal);
        signal.addEventListener('abort', () => reject(new SecretsError('Unavailable', 'aborted')));
      }),
  } as unknown as Provider;
  const open: OpenStore = { ...new HeldStore().open, provider };
  const settings = { freshMs: 100, patienceMs: 10_000, callMs: 50 };
  const reading = new Reading(new ValueCache(bounds), settings, () => new Date());
  const began = Date.now();
  const read = (ms: number): Promise<unknown> =>
    reading.read(open, [{ name: 'a' }], { signal: new AbortController().signal, deadline: began + ms });
  const [first] = [read(10), read(400)];
  await first;
  expect(Date.now() - began).toBeGreaterThanOrEqual(399);
  expect(ends).toHaveLength(1);
});

test('what was read before a change is neither kept nor given to who asks after it', async () => {
  const { store, ask, reading, cache } = setUp();
  const before = ask();
  reading.dropKind('aws');
  const after = ask();
  expect(store.calls).toHaveLength(2);
  store.answer('old');
  expect(await before).toBe('store old');
  expect(cache.size).toBe(0);
  store.answer('new');
  expect(await after).toBe('store new');
  expect(await ask()).toBe('cache new');
});

test('a change in one kind of store leaves the values of others', async () => {
  const { store, ask, reading } = setUp();
  const first = ask();
  store.answer('one');
  await first;
  reading.dropKind('vault');
  expect(await ask()).toBe('cache one');
  expect(reading.clear()).toBe(1);
  const next = ask();
  store.answer('two');
  expect(await next).toBe('store two');
});

test('the values of a store that is signed in to anew are forgotten, and no others', async () => {
  const { store, ask, reading, cache } = setUp();
  const first = ask();
  store.answer('one');
  await first;
  reading.dropStore('stor');
  expect(cache.size).toBe(1);
  reading.dropStore('store');
  expect(cache.size).toBe(0);
});

test('values are bounded in number and size, the least recently used goes first, and is overwritten', () => {
  const clocks = new HeldClocks();
  const cache = new ValueCache({ ttlMs: 1000, maxValues: 2, maxBytes: 4000 }, clocks);
  const secret = (size: number): Extract<GetResult, { ok: true }>['secret'] => ({
    name: 'a',
    id: '1',
    state: 'enabled',
    stages: [],
    value: Buffer.alloc(size, 'x'),
  });
  for (const key of ['a', 'b']) cache.set(key, 'aws', secret(10));
  const held = cache.get('a');
  cache.set('c', 'aws', secret(10));
  expect([cache.get('a')?.ageMs, cache.get('b'), cache.get('c')?.ageMs]).toEqual([0, undefined, 0]);
  cache.set('d', 'aws', secret(3000));
  expect(cache.size).toBe(1);
  expect(cache.bytes).toBeLessThanOrEqual(4000);
  cache.set('e', 'aws', secret(5000));
  expect([cache.get('e'), cache.size]).toEqual([undefined, 1]);
  // A client's copy outlives what is held.
  expect(Buffer.from(held?.secret.value ?? []).toString()).toBe('x'.repeat(10));
});

test('ten thousand secrets of 4 KiB leave no more than the bound', () => {
  const cache = new ValueCache({ ttlMs: 1000, maxValues: 10_000, maxBytes: 1024 * 1024 }, new HeldClocks());
  for (let number = 0; number < 10_000; number += 1) {
    const value = Buffer.alloc(4096);
    cache.set(`key ${number}`, 'aws', { name: 'a', id: '1', state: 'enabled', stages: [], value });
  }
  expect(cache.bytes).toBeLessThanOrEqual(1024 * 1024);
  expect(cache.size).toBeGreaterThan(200);
  expect(cache.get('key 9999')).toBeDefined();
  expect(cache.clear()).toBeGreaterThan(200);
  expect([cache.bytes, cache.size]).toEqual([0, 0]);
});
