import { SecretsError } from '../../src/core/errors.ts';
import { MAX_PARALLEL, Pace } from '../../src/transfer/pace.ts';

/** A clock that only moves when somebody waits. */
function clock(): { now: () => number; sleep: (ms: number) => Promise<void>; waits: number[] } {
  let time = 0;
  const waits: number[] = [];
  return {
    now: () => time,
    sleep: async (ms) => {
      waits.push(ms);
      time += ms;
      await Promise.resolve();
    },
    waits,
  };
}

const signal = new AbortController().signal;
const throttled = (): SecretsError => new SecretsError('Throttled', 'slow down');

describe('the pace of a long copy', () => {
  test('is at most so many calls at a time', async () => {
    const pace = new Pace({ signal, onSlower: () => {} });
    let running = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 50 }, () =>
        pace.run(async () => {
          running += 1;
          most = Math.max(most, running);
          await new Promise((resolve) => setTimeout(resolve, 1));
          running -= 1;
        }),
      ),
    );
    expect(most).toBe(MAX_PARALLEL);
    expect(running).toBe(0);
  });

  test('halves and waits longer each time a service throttles, and no call fails', async () => {
    const time = clock();
    const slower: number[] = [];
    const pace = new Pace({ signal, ...time, onSlower: (parallel) => slower.push(parallel) });
    let refusals = 5;
    const result = await pace.run(() => {
      refusals -= 1;
      return refusals >= 0 ? Promise.reject(throttled()) : Promise.resolve('done');
    });
    expect(result).toBe('done');
    expect(slower).toEqual([4, 2, 1, 1, 1]);
    expect(time.waits).toEqual([500, 1000, 2000, 4000, 8000]);
  });

  test('grows again when the service is healthy', async () => {
    const time = clock();
    const pace = new Pace({ signal, ...time, onSlower: () => {} });
    let refused = false;
    await pace.run(() => {
      if (refused) return Promise.resolve();
      refused = true;
      return Promise.reject(throttled());
    });
    expect(pace.parallel).toBe(4);
    for (let call = 0; call < 200; call += 1) await pace.run(() => Promise.resolve());
    expect(pace.parallel).toBe(MAX_PARALLEL);
  });

  test('ends with the refusal when a service says nothing else for ten minutes', async () => {
    const time = clock();
    const pace = new Pace({ signal, ...time, onSlower: () => {} });
    await expect(pace.run(() => Promise.reject(throttled()))).rejects.toMatchObject({ kind: 'Throttled' });
    expect(time.now()).toBeGreaterThan(600_000);
  });

  test('passes any other failure on at once', async () => {
    const pace = new Pace({ signal, onSlower: () => {} });
    const denied = new SecretsError('Denied', 'no');
    await expect(pace.run(() => Promise.reject(denied))).rejects.toBe(denied);
    await expect(pace.run(() => Promise.resolve(1))).resolves.toBe(1);
  });
});
