/**
 * Runs several sources at the same time and passes on what they give in the order of the sources, so that output
 * doesn't depend on who answers first. The first source is passed on as it comes, later ones are kept until their
 * turn. A source that has been silent for `patienceMs` lets those that are finished go first: a store that hangs
 * delays nobody else's lines.
 */

/** How much of the source whose turn it is waits to be passed on before it is asked for more. */
const AHEAD = 1000;

export interface Turns<T> {
  readonly sources: readonly AsyncIterable<T>[];
  /** Takes one item. What it throws ends everything. */
  readonly pass: (item: T, source: number) => Promise<void>;
  readonly patienceMs: number;
}

/**
 * @throws what `pass` throws, or else what the first source in the order throws, when all have come to their ends
 */
export async function inTurn<T>({ sources, pass, patienceMs }: Turns<T>): Promise<void> {
  const lanes = sources.map((source) => new Lane(source));
  for (const lane of lanes) void lane.run();
  const left = [...lanes.keys()];
  const drain = async (index: number): Promise<void> => {
    const lane = lanes[index] as Lane<T>;
    for (const item of lane.take()) await pass(item, index);
  };
  try {
    while (left.length > 0) {
      const first = left[0] as number;
      const lane = lanes[first] as Lane<T>;
      lane.isFirst = true;
      await drain(first);
      if (lane.ended && lane.isEmpty) {
        left.shift();
      } else if (lane.isEmpty && !(await lane.news(patienceMs))) {
        const ready = left.findIndex((index) => lanes[index]?.ended === true);
        if (ready === -1) await Promise.race(left.map((index) => (lanes[index] as Lane<T>).news()));
        else await drain(left.splice(ready, 1)[0] as number);
      }
    }
  } finally {
    for (const lane of lanes) lane.stop();
  }
  const failed = lanes.find(({ failure }) => failure !== undefined);
  if (failed !== undefined) throw failed.failure?.thrown;
}

/** One source, and what of it waits to be passed on. */
class Lane<T> {
  readonly #source: AsyncIterable<T>;
  #items: T[] = [];
  #wake: (() => void)[] = [];
  #stopped = false;
  isFirst = false;
  ended = false;
  failure: { readonly thrown: unknown } | undefined;

  constructor(source: AsyncIterable<T>) {
    this.#source = source;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  /** Never rejects: what the source throws is its `failure`. */
  async run(): Promise<void> {
    try {
      for await (const item of this.#source) {
        this.#items.push(item);
        this.#tell();
        while (this.isFirst && this.#items.length >= AHEAD && !this.#stopped) await this.#next();
        if (this.#stopped) break;
      }
    } catch (thrown) {
      this.failure = { thrown };
    }
    this.ended = true;
    this.#tell();
  }

  take(): readonly T[] {
    const items = this.#items;
    this.#items = [];
    this.#tell();
    return items;
  }

  /** @returns whether there is something new; false after `ms` milliseconds of silence */
  async news(ms?: number): Promise<boolean> {
    if (this.ended || !this.isEmpty) return true;
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<void>((resolve) => {
      if (ms !== undefined) timer = setTimeout(resolve, ms);
    });
    await Promise.race([this.#next(), silence]);
    clearTimeout(timer);
    return this.ended || !this.isEmpty;
  }

  stop(): void {
    this.#stopped = true;
    this.#tell();
  }

  #next(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #tell(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
