import fc from 'fast-check';
import { inTurn } from '../../src/core/in-turn.ts';

/** A source whose items come when the test says so. */
class Source {
  readonly #items: string[] = [];
  #wake = (): void => {};
  #ended = false;

  give(...items: readonly string[]): void {
    this.#items.push(...items);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    for (;;) {
      while (this.#items.length > 0) yield this.#items.shift() as string;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));
/** Waits until so many items were passed on. */
async function until(passed: readonly string[], count: number): Promise<void> {
  while (passed.length < count) await new Promise(setImmediate);
}
const NEVER_MS = 2 ** 30;

test('items come in the order of the sources, each as soon as it is its turn', async () => {
  const [a, b] = [new Source(), new Source()];
  const passed: string[] = [];
  const work = inTurn({
    sources: [a, b],
    pass: async (item, source) => void passed.push(`${source}:${item}`),
    patienceMs: NEVER_MS,
  });
  b.give('x', 'y');
  b.end();
  a.give('1');
  await until(passed, 1);
  await settled();
  expect(passed).toEqual(['0:1']);
  a.give('2');
  a.end();
  await work;
  expect(passed).toEqual(['0:1', '0:2', '1:x', '1:y']);
});

test('a source that is silent lets those that are finished go first, whole, and goes on afterwards', async () => {
  const [silent, unfinished, finished] = [new Source(), new Source(), new Source()];
  const passed: string[] = [];
  const work = inTurn({
    sources: [silent, unfinished, finished],
    pass: async (item) => void passed.push(item),
    patienceMs: 1,
  });
  silent.give('1');
  unfinished.give('a');
  finished.give('x', 'y');
  finished.end();
  await until(passed, 3);
  expect(passed).toEqual(['1', 'x', 'y']);
  unfinished.end();
  await until(passed, 4);
  expect(passed).toEqual(['1', 'x', 'y', 'a']);
  silent.give('2');
  silent.end();
  await work;
  expect(passed).toEqual(['1', 'x', 'y', 'a', '2']);
});

test('whatever the order of the answers, the order of the output is the same', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(fc.nat(3), { maxLength: 4 }), { maxLength: 5 }), async (delays) => {
      const passed: string[] = [];
      const sources = delays.map(async function* (turns, source) {
        for (const [index, ticks] of turns.entries()) {
          for (let tick = 0; tick < ticks; tick += 1) await new Promise(setImmediate);
          yield `${source}.${index}`;
        }
      });
      await inTurn({ sources, pass: async (item) => void passed.push(item), patienceMs: NEVER_MS });
      expect(passed).toEqual(
        delays.flatMap((turns, source) => turns.map((_, index) => `${source}.${index}`)),
      );
    }),
    { numRuns: 50 },
  );
});

test('a source that fails is told when all others have been passed on', async () => {
  const passed: string[] = [];
  const failing = async function* (): AsyncGenerator<string> {
    yield 'before';
    throw new Error('gone');
  };
  const whole = async function* (): AsyncGenerator<string> {
    yield 'x';
  };
  const work = inTurn({
    sources: [failing(), whole()],
    pass: async (item) => void passed.push(item),
    patienceMs: NEVER_MS,
  });
  await expect(work).rejects.toThrow('gone');
  expect(passed).toEqual(['before', 'x']);
});

test('what can’t be passed on ends everything, and no source is read on without end', async () => {
  let made = 0;
  const endless = async function* (): AsyncGenerator<number> {
    for (;;) {
      await new Promise(setImmediate);
      yield (made += 1);
    }
  };
  const pass = async (item: number): Promise<void> => {
    if (item > 10) throw new Error('nobody reads');
  };
  await expect(inTurn({ sources: [endless(), endless()], pass, patienceMs: NEVER_MS })).rejects.toThrow(
    'nobody reads',
  );
  await settled();
  const then = made;
  await settled();
  expect(made).toBe(then);
});

test('of the source whose turn it is no more is read than can be passed on', async () => {
  let made = 0;
  const source = async function* (): AsyncGenerator<number> {
    while (made < 100_000) yield (made += 1);
  };
  let most = 0;
  let passed = 0;
  const pass = async (): Promise<void> => {
    passed += 1;
    most = Math.max(most, made - passed);
    if (passed % 1000 === 0) await new Promise(setImmediate);
  };
  await inTurn({ sources: [source()], pass, patienceMs: NEVER_MS });
  expect(passed).toBe(100_000);
  expect(most).toBeLessThan(5000);
});
