/** One run of a command: the world, the common options, the deadline of each call, and the user's interrupt. */
import { setMaxListeners } from 'node:events';
import type { ProgramWorld } from '../config/kinds.ts';
import { parseDuration } from '../core/duration.ts';
import type { CallOptions } from '../providers/call.ts';
import type { CommonOptions } from './options.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
/** The longest timer that Node supports. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Run {
  readonly world: ProgramWorld;
  readonly options: CommonOptions;
  /** The command's full name, such as `rotate resume`. */
  readonly verb: string;
  /** The program that `exec` starts, as soon as it is known. */
  program: string | undefined;
  /** The program that asks, if this one answers for another: `Terraform 1.14.0`. */
  readonly client: string | undefined;
  /** Aborted by `stop` when the user interrupts. */
  readonly interrupt = new AbortController();
  readonly #deadlines = new Set<AbortController>();
  /** Timers that haven't been created yet. */
  readonly #unmade = new Set<NodeJS.Immediate>();

  constructor(world: ProgramWorld, options: CommonOptions, verb: string, client?: string) {
    this.world = world;
    this.options = options;
    this.verb = verb;
    this.client = client;
  }

  /** The user interrupted: aborts `interrupt` and every call in progress. */
  stop(): void {
    this.interrupt.abort();
    // Not a listener on the signal: loading Node's web events would slow every start, and interrupts are rare.
    for (const deadline of this.#deadlines) deadline.abort(this.interrupt.signal.reason);
  }

  /**
   * Options for provider calls: a new deadline of `--timeout`, ended early by an interrupt.
   * @throws SecretsError Usage for an invalid duration
   */
  call(): CallOptions {
    const { timeout } = this.options;
    const ms = timeout === undefined ? DEFAULT_TIMEOUT_MS : parseDuration(timeout);
    const deadline = new AbortController();
    // Not AbortSignal.any over AbortSignal.timeout: it holds them weakly, and in Node 20 a signal that is
    // garbage-collected during a long command never fires.
    this.#deadlines.add(deadline);
    // Many concurrent reads listen to it, and Node would warn about that.
    setMaxListeners(0, deadline.signal);
    const end = (): void => {
      this.#deadlines.delete(deadline);
      deadline.abort(new DOMException('the time of --timeout is over', 'TimeoutError'));
    };
    this.#startTimer(end, Math.min(ms, LONGEST_TIMER_MS));
    if (this.interrupt.signal.aborted) deadline.abort(this.interrupt.signal.reason);
    return { signal: deadline.signal, deadline: Date.now() + ms };
  }

  /** A timer that doesn't keep the process alive, created when something is awaited: many commands end before that. */
  #startTimer(end: () => void, ms: number): void {
    const from = Date.now();
    const made = setImmediate(() => {
      this.#unmade.delete(made);
      setTimeout(end, Math.max(0, ms - (Date.now() - from))).unref();
    });
    this.#unmade.add(made);
  }

  /** Like `call`, but created on first access: most stores open without it, and creating it takes time. */
  lazyCall(): CallOptions {
    let made: CallOptions | undefined;
    const call = (): CallOptions => (made ??= this.call());
    return {
      get signal() {
        return call().signal;
      },
      get deadline() {
        return call().deadline;
      },
    };
  }

  /** Aborts every call in progress, because nobody needs its result any more. */
  abandonCalls(): void {
    for (const deadline of this.#deadlines) deadline.abort(new DOMException('not needed', 'AbortError'));
  }

  /** Cancels the timers that weren't needed. */
  end(): void {
    for (const timer of this.#unmade) clearImmediate(timer);
  }
}
