/**
 * Runs several sources in parallel and passes on their items in the order of the sources, so that output doesn't
 * depend on which one answers first. Items of the first source are passed on as they arrive, those of later sources
 * are kept until their turn. If a source has been silent for `patienceMs`, finished ones go first: a store that hangs
 * doesn't delay the lines of others.
 */

/** How many items of the current source may be waiting before it is paused. */
const AHEAD = 1000;

export interface Turns<T> {
  readonly sources: readonly AsyncIterable<T>[];
  /** Handles one item. If it throws, everything stops. */
  readonly pass: (item: T, source: number) => Promise<void>;
  readonly patienceMs: number;
}

/** @throws what `pass` throws, otherwise what the first source in order throws, once all sources have ended */
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
  const failed = lanes.find(({ failure }) => failure !== undefined)?.failure;
  if (failed !== undefined) throw failed.thrown;
}

/** One source, and its items that haven't been passed on yet. */
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

  /** Never rejects: if the source throws, the error becomes `failure`. */
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
