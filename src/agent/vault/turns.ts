/**
 * Puts requests off while clients connect. The event loop accepts one connection a turn: with every turn full of the
 * requests of those that came first, the last of two hundred clients would be let in seconds later.
 */

/** However many clients connect, requests wait no longer for them. */
const MOST_WAIT_MS = 20;

export class Turns {
  readonly #mostMs: number;
  /** Undefined: nobody is connecting. */
  #waiting: (() => void)[] | undefined;
  #hasCome = false;
  #since = 0;

  constructor(mostMs = MOST_WAIT_MS) {
    this.#mostMs = mostMs;
  }

  /** A client has connected. */
  come(): void {
    this.#hasCome = true;
    if (this.#waiting !== undefined) return;
    this.#waiting = [];
    this.#since = performance.now();
    setImmediate(() => this.#look());
  }

  /** Does the work of a request: now, or after those who are connecting. */
  take(work: () => void): void {
    if (this.#waiting === undefined) work();
    else this.#waiting.push(work);
  }

  #look(): void {
    if (this.#hasCome && performance.now() - this.#since < this.#mostMs) {
      this.#hasCome = false;
      setImmediate(() => this.#look());
      return;
    }
    const works = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const work of works) work();
  }
}
