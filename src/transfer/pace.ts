/**
 * Limits the parallel calls to a service, and reduces them when it throttles: throttling makes a long copy slower but
 * doesn't make it fail.
 */
import { SecretsError } from '../core/errors.ts';
import { sleep } from '../core/waiting.ts';

/** Maximum of parallel calls to one store. */
export const MAX_PARALLEL = 8;
const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 30_000;
/** After this long with nothing but throttling, the service counts as broken. */
const PATIENCE_MS = 10 * 60_000;

export interface PaceOptions {
  /** Aborted when the user interrupts; ends the waiting. */
  readonly signal: AbortSignal;
  /** Called each time the pace drops. */
  readonly onSlower: (parallel: number) => void;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly now?: () => number;
}

export class Pace {
  #allowed = MAX_PARALLEL;
  #running = 0;
  #waitMs = FIRST_WAIT_MS;
  #healthy = 0;
  /** No call starts before this time. */
  #notBefore = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #options: PaceOptions;
  readonly #now: () => number;
  readonly #sleep: (ms: number, signal: AbortSignal) => Promise<void>;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#sleep = options.sleep ?? ((ms, signal) => sleep(ms, signal, true));
  }

  /** The number of parallel calls currently allowed. */
  get parallel(): number {
    return this.#allowed;
  }

  /** Runs one call; while the service throttles it, repeats it later and with fewer parallel calls. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    const started = this.#now();
    for (;;) {
      await this.#enter();
      try {
        const result = await call();
        this.#healthyCall();
        return result;
      } catch (thrown) {
        if (!(thrown instanceof SecretsError) || thrown.kind !== 'Throttled') throw thrown;
        if (this.#now() - started > PATIENCE_MS) throw thrown;
        this.#slower();
      } finally {
        this.#leave();
      }
    }
  }

  async #enter(): Promise<void> {
    while (this.#running >= this.#allowed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
    const wait = this.#notBefore - this.#now();
    if (wait > 0) await this.#sleep(wait, this.#options.signal);
  }

  #leave(): void {
    this.#running -= 1;
    while (this.#waiting.length > 0 && this.#running < this.#allowed) {
      this.#waiting.shift()?.();
      break;
    }
  }

  #slower(): void {
    // Throttled responses to parallel calls count as one event, not as eight.
    if (this.#now() < this.#notBefore) return;
    this.#allowed = Math.max(1, this.#allowed >> 1);
    this.#notBefore = this.#now() + this.#waitMs;
    this.#waitMs = Math.min(MAX_WAIT_MS, this.#waitMs * 2);
    this.#healthy = 0;
    this.#options.onSlower(this.#allowed);
  }

  #healthyCall(): void {
    this.#healthy += 1;
    if (this.#healthy < 4 * this.#allowed) return;
    this.#healthy = 0;
    this.#waitMs = FIRST_WAIT_MS;
    if (this.#allowed < MAX_PARALLEL) {
      this.#allowed += 1;
      this.#waiting.shift()?.();
    }
  }
}
