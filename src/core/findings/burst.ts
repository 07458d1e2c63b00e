/** Counts within a sliding window and tracks the maximum so far, the baseline for bursts. */

/** After this many reports of the same, it is the new normal. */
const REPORTS_UNTIL_USUAL = 3;
/** More distinct items than any limit needs; more would only cost memory. */
const MOST_DISTINCT = 10_000;

/**
 * The highest count so far, not counting the current burst: a count is taken over after a whole window has passed. A
 * reported burst doesn't become the baseline until it happens often.
 */
abstract class Peak {
  protected readonly windowMs: number;
  #bucket = -1;
  #current = 0;
  #last = 0;
  #most = 0;
  #reported = false;
  #lastReported = false;
  #reports = 0;

  constructor(windowMs: number) {
    this.windowMs = windowMs;
  }

  /** The highest count of earlier bursts. */
  get most(): number {
    return this.#most;
  }

  /** Marks the current count as reported. */
  report(): void {
    if (!this.#reported && !this.#lastReported) this.#reports += 1;
    this.#reported = true;
  }

  protected advance(ms: number): void {
    const bucket = Math.floor(ms / this.windowMs);
    if (bucket === this.#bucket) return;
    this.#commit(this.#last, this.#lastReported);
    if (bucket > this.#bucket + 1) {
      this.#commit(this.#current, this.#reported || this.#lastReported);
      [this.#last, this.#lastReported] = [0, false];
    } else [this.#last, this.#lastReported] = [this.#current, this.#reported];
    [this.#current, this.#reported, this.#bucket] = [0, false, bucket];
  }

  #commit(count: number, reported: boolean): void {
    if (!reported || this.#reports > REPORTS_UNTIL_USUAL) this.#most = Math.max(this.#most, count);
  }

  protected note(count: number): number {
    this.#current = Math.max(this.#current, count);
    return count;
  }
}

const SLICES = 6;

/** Counts events: accurate to a sixth of the window, by which the counted span may be longer. */
export class Burst extends Peak {
  readonly #counts = new Uint32Array(SLICES + 1);
  #slice = 0;

  /** Counts an event at that time and returns the number within the window. */
  add(ms: number): number {
    this.advance(ms);
    const slice = Math.floor((ms * SLICES) / this.windowMs);
    const gone = Math.min(slice - this.#slice, this.#counts.length);
    for (let n = 0; n < gone; n += 1) this.#counts[(slice - n) % this.#counts.length] = 0;
    this.#slice = slice;
    this.#counts[slice % this.#counts.length] = (this.#counts[slice % this.#counts.length] ?? 0) + 1;
    let count = 0;
    for (const part of this.#counts) count += part;
    return this.note(count);
  }
}

/** Counts distinct items. */
export class DistinctBurst extends Peak {
  /** When each item was counted last, in that order. */
  readonly #times = new Map<number, number>();

  add(ms: number, thing: number): number {
    this.advance(ms);
    this.#times.delete(thing);
    for (const [old, time] of this.#times) {
      if (ms - time < this.windowMs && this.#times.size < MOST_DISTINCT) break;
      this.#times.delete(old);
    }
    this.#times.set(thing, ms);
    return this.note(this.#times.size);
  }

  get things(): readonly number[] {
    return [...this.#times.keys()];
  }
}
