/** Which stores the agent keeps open, with providers that the test holds. */
import { StorePool, type StoreSpec } from '../../src/agent/pool.ts';
import type { ProgramWorld } from '../../src/config/kinds.ts';
import { clean, forgetValues, learnSpellings } from '../../src/output/confidential.ts';
import { SecretsError } from '../../src/core/errors.ts';
import type { CallOptions } from '../../src/providers/call.ts';
import type { Provider } from '../../src/providers/provider.ts';

const spec: StoreSpec = { name: 'prod', provider: 'test', settings: {}, cwd: '/', credentials: 'one' };
const patient = (): CallOptions => ({ signal: new AbortController().signal });

interface Opening {
  readonly provider?: Partial<Provider>;
  readonly error?: SecretsError;
}

/** A pool whose stores are opened as the test says, in this order. */
function poolOf(...openings: readonly (Opening | Promise<Opening>)[]): {
  readonly pool: StorePool;
  readonly opened: readonly CallOptions[];
  /** Keys of stores whose sign-in was replaced. */
  readonly replaced: readonly string[];
} {
  const opened: CallOptions[] = [];
  const open = async (_settings: unknown, _context: unknown, call: CallOptions): Promise<Provider> => {
    opened.push(call);
    const opening = await openings[opened.length - 1];
    if (opening === undefined) throw new Error('not expected');
    if (opening.error !== undefined) throw opening.error;
    return {
      close: () => Promise.resolve(),
      get: () => Promise.resolve([]),
      ...opening.provider,
    } as Provider;
  };
  const providers = [{ kind: 'test', load: () => Promise.resolve({ open }) }];
  const world = { providers } as unknown as ProgramWorld;
  const replaced: string[] = [];
  return {
    pool: new StorePool(
      world,
      () => ({}) as never,
      (key) => replaced.push(key),
    ),
    opened,
    replaced,
  };
}

test('a store is opened once, and anew after it could not be', async () => {
  const { pool, opened } = poolOf({ error: new SecretsError('Unavailable', 'away') }, {}, {});
  await expect(pool.open(spec, patient())).rejects.toThrow('away');
  const first = await pool.open(spec, patient());
  expect(await pool.open(spec, patient())).toBe(first);
  expect(opened).toHaveLength(2);
});

test('a store that could not be prepared serves its client, and is not kept for the next', async () => {
  const { pool, opened } = poolOf({ provider: { prepare: () => Promise.resolve(false) } }, {});
  const first = await pool.open(spec, patient());
  const second = await pool.open(spec, patient());
  expect(second).not.toBe(first);
  expect([opened.length, pool.size]).toEqual([2, 1]);
});

test('a value that a store has given is kept out of messages until it is forgotten', async () => {
  const value = Buffer.from('canary-7e1a');
  const secret = { name: 'a', id: '1', state: 'enabled', stages: [], value } as const;
  const { pool } = poolOf({ provider: { get: () => Promise.resolve([{ ok: true, secret }]) } });
  const { provider } = await pool.open(spec, patient());
  await provider.get([{ name: 'a' }], patient());
  const world = { env: {} };
  await learnSpellings(world);
  expect(clean('400: canary-7e1a is not valid', world)).toBe('400: *** is not valid');
  forgetValues();
  expect(clean('canary-7e1a', world)).toBe('canary-7e1a');
});

test('a client that gives up while a store is opened leaves it to the others', async () => {
  let go: (opening: Opening) => void = () => undefined;
  const { pool, opened } = poolOf(new Promise((resolve) => (go = resolve)));
  const end = new AbortController();
  const impatient = pool.open(spec, { signal: end.signal });
  const other = pool.open(spec, patient());
  end.abort();
  await expect(impatient).rejects.toMatchObject({ kind: 'Unavailable', message: 'no answer in time' });
  expect(opened[0]?.signal.aborted).toBe(false);
  go({});
  expect((await other).spec).toBe(spec);
  expect(opened).toHaveLength(1);
});

test('a new sign-in closes the same store with the one before, and leaves others', async () => {
  const { pool, replaced } = poolOf({}, {}, {});
  const first = await pool.open(spec, patient());
  const other = await pool.open({ ...spec, name: 'other' }, patient());
  const second = await pool.open({ ...spec, credentials: 'two' }, patient());
  expect(second.key).not.toBe(first.key);
  expect([replaced, pool.size]).toEqual([[first.key], 2]);
  expect(await pool.open({ ...spec, name: 'other' }, patient())).toBe(other);
});
