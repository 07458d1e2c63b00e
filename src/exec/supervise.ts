/**
 * Runs a child while its secrets may change: checks them, waits until they are stable, and restarts or signals the
 * child.
 */
import { toSecretsError } from '../core/errors.ts';
import { sleep } from '../core/waiting.ts';
import { descendants, type Descendant, signalAll } from './descendants.ts';
import { ALSO_ENDING, type SignalRelay } from './signals.ts';
import type { Ended } from './start.ts';

/** New values that are ready to use. */
export interface Renewal {
  readonly how: 'restart' | 'signal' | 'nothing';
  /** Puts the new values in place: files, and the environment of the next child. @throws SecretsError */
  apply(): void;
}

export interface Supervision {
  readonly pollMs: number;
  readonly debounceMs: number;
  readonly stopMs: number;
  /** The signal for a program that isn't restarted. */
  readonly signal: NodeJS.Signals | undefined;
  readonly relay: SignalRelay;
  /** Whether secrets have changed since the last check. */
  look(): Promise<boolean>;
  /** Reads all secrets again; `undefined` if no value is different. */
  renew(): Promise<Renewal | undefined>;
  /** Runs the child until it ends. */
  run(): Promise<Ended>;
  /** The child has ended: aborts the calls in progress. */
  abandon(): void;
  warn(message: string): void;
  debug(message: string): void;
}

/** Each pause varies by up to this share, so that a hundred machines don't poll in the same second. */
const JITTER = 0.1;
/** The pause doubles with each failure, up to this. */
const LONGEST_PAUSE_MS = 600_000;
/** How many times to wait for secrets that keep changing. */
const MOST_DEBOUNCES = 10;
/** How often to check whether a child that was told to end has ended. */
const STOP_POLL_MS = 20;

export function supervise(supervision: Supervision): Promise<Ended> {
  return new Supervisor(supervision).run();
}

class Supervisor {
  readonly #with: Supervision;
  readonly #endSignals = new EndSignals();
  /** A change was seen but isn't in place yet. */
  #due = false;
  #failures = 0;
  #lastWarning = '';

  constructor(supervision: Supervision) {
    this.#with = supervision;
  }

  async run(): Promise<Ended> {
    try {
      for (;;) {
        const running = this.#with.run();
        // Awaited below; an earlier failure must not count as an unhandled rejection.
        running.catch(() => {});
        const over = new AbortController();
        const ended = running.finally(() => over.abort());
        ended.catch(() => {});
        const watching = this.#watch(over.signal);
        const renewal = await Promise.race([ended.then(() => undefined), watching]);
        if (renewal === undefined || this.#with.relay.ended) return await running;
        const outcome = await this.#replace(running, renewal);
        if (outcome !== undefined) return outcome;
      }
    } finally {
      this.#endSignals.close();
      this.#with.abandon();
    }
  }

  /** Resolves with a renewal if the child must be restarted, or with undefined if it has ended. */
  async #watch(over: AbortSignal): Promise<Renewal | undefined> {
    while (!over.aborted) {
      await sleep(this.#pause(), over);
      if (over.aborted || this.#endSignals.toEnd) return untilOver(over);
      const renewal = await this.#check(over);
      if (over.aborted || renewal === undefined) continue;
      if (renewal.how === 'restart') {
        // After Ctrl-C or a hang-up the program may be about to end.
        await sleep(this.#endSignals.recentFor(this.#with.stopMs), over);
        if (this.#endSignals.toEnd) return untilOver(over);
        return renewal;
      }
      this.#apply(renewal);
    }
    return undefined;
  }

  #apply(renewal: Renewal): void {
    try {
      renewal.apply();
    } catch (thrown) {
      this.#due = true;
      this.#failed(thrown);
      return;
    }
    const { signal, relay, debug } = this.#with;
    if (renewal.how !== 'signal' || signal === undefined) return;
    debug(`the secrets have changed: ${signal} to the program`);
    relay.send(signal);
  }

  #pause(): number {
    const { pollMs } = this.#with;
    const pause = Math.min(pollMs * 2 ** this.#failures, Math.max(LONGEST_PAUSE_MS, pollMs));
    return pause * (1 - JITTER + 2 * JITTER * Math.random());
  }

  async #check(over: AbortSignal): Promise<Renewal | undefined> {
    const { look, renew, debounceMs } = this.#with;
    try {
      if (!(await look()) && !this.#due) {
        this.#failures = 0;
        this.#lastWarning = '';
        this.#with.debug('looked at the secrets: nothing new');
        return undefined;
      }
      this.#due = true;
      for (let waited = 0; waited < MOST_DEBOUNCES; waited += 1) {
        await sleep(debounceMs, over);
        if (over.aborted || !(await look())) break;
      }
      if (over.aborted) return undefined;
      const renewal = await renew();
      this.#due = false;
      this.#failures = 0;
      this.#lastWarning = '';
      return renewal;
    } catch (thrown) {
      if (!over.aborted) this.#failed(thrown);
      return undefined;
    }
  }

  #failed(thrown: unknown): void {
    this.#failures += 1;
    const { message, reference, errors } = toSecretsError(thrown);
    const what = [message, ...errors.map((error) => `${error.reference ?? ''}: ${error.message}`)].join('; ');
    const why = this.#due ? 'the new ones can’t be had' : 'it can’t be seen whether they have changed';
    const where = reference === undefined ? '' : `${reference}: `;
    const text = `the program keeps the secrets it has, for ${why}: ${where}${what}`;
    // Warn once, not every half minute all night.
    if (text === this.#lastWarning) this.#with.debug(text);
    else this.#with.warn(text);
    this.#lastWarning = text;
  }

  /** Ends the child and puts the new values in place. @returns how it ended, if no other child must follow */
  async #replace(running: Promise<Ended>, renewal: Renewal): Promise<Ended | undefined> {
    const { relay, debug } = this.#with;
    debug('the secrets have changed: the program is restarted');
    relay.replacing();
    const asked = this.#endSignals.mark();
    await this.#stop();
    const ended = await running;
    if (relay.interrupted) return { code: 130, signal: 'SIGINT' };
    if (asked()) return ended;
    try {
      renewal.apply();
    } catch (thrown) {
      // Better to run the program with the old values than not at all.
      this.#due = true;
      this.#failed(thrown);
    }
    return undefined;
  }

  async #stop(): Promise<void> {
    const { relay, stopMs } = this.#with;
    const started = new Map<number, Descendant>();
    const collect = (): readonly Descendant[] => {
      for (const one of relay.pid === undefined || relay.ended ? [] : descendants(relay.pid))
        started.set(one.pid, one);
      return [...started.values()];
    };
    collect();
    relay.send('SIGTERM');
    const end = Date.now() + stopMs;
    // Poll, because `running` only resolves when the output is closed, and processes that the child left may hold it
    // open.
    const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, STOP_POLL_MS));
    while (!relay.ended && Date.now() < end) await pause();
    if (!relay.ended) {
      collect();
      relay.send('SIGKILL');
      while (!relay.ended) await pause();
    }
    // What a program like `sh -c` leaves behind would hold the ports and files that the next one needs.
    const left = [...started.values()];
    signalAll(left, 'SIGTERM');
    while (signalAll(left, 0) && Date.now() < end) await pause();
    signalAll(left, 'SIGKILL');
  }
}

/** A child that was asked to end isn't restarted. */
function untilOver(over: AbortSignal): Promise<undefined> {
  if (over.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => over.addEventListener('abort', () => resolve(undefined), { once: true }));
}

/** Keeps track of signals that ask this run to end. */
class EndSignals {
  /** Always a request to end, however the program reacts. */
  static readonly FINAL = ['SIGTERM', 'SIGQUIT', ...ALSO_ENDING] as const;
  /** A request to end or something else, depending on the program. */
  static readonly OPEN = ['SIGINT', 'SIGHUP'] as const;
  toEnd = false;
  #last = -Infinity;
  #count = 0;
  readonly #onFinal = (): void => {
    this.toEnd = true;
    this.#count += 1;
  };
  readonly #onOpen = (): void => {
    this.#last = Date.now();
    this.#count += 1;
  };

  constructor() {
    for (const signal of EndSignals.FINAL) process.on(signal, this.#onFinal);
    for (const signal of EndSignals.OPEN) process.on(signal, this.#onOpen);
  }

  /** How many more milliseconds a Ctrl-C or hang-up counts as recent. */
  recentFor(ms: number): number {
    return Math.max(0, this.#last + ms - Date.now());
  }

  /** Returns a function that tells whether any signal has arrived since this call. */
  mark(): () => boolean {
    const before = this.#count;
    return () => this.#count > before || this.toEnd;
  }

  close(): void {
    for (const signal of EndSignals.FINAL) process.off(signal, this.#onFinal);
    for (const signal of EndSignals.OPEN) process.off(signal, this.#onOpen);
  }
}
