/** Runs a child while its secrets may change: looks, waits until they are quiet, and restarts or signals the child. */
import { toSecretsError } from '../core/errors.ts';
import { sleep } from '../core/waiting.ts';
import { descendants, type Relative, signalAll } from './family.ts';
import { ALSO_ENDING, type SignalRelay } from './signals.ts';
import type { Ended } from './start.ts';

/** New values that are ready to be put in place. */
export interface Renewal {
  readonly how: 'restart' | 'signal' | 'nothing';
  /** Puts them in place: files, and what the next child gets. @throws SecretsError */
  apply(): void;
}

export interface Supervision {
  readonly pollMs: number;
  readonly debounceMs: number;
  readonly stopMs: number;
  /** What a program that is not restarted is sent. */
  readonly signal: NodeJS.Signals | undefined;
  readonly relay: SignalRelay;
  /** Whether secrets have changed since the last look. */
  look(): Promise<boolean>;
  /** Reads them all anew; `undefined` when no value is another. */
  renew(): Promise<Renewal | undefined>;
  /** Runs the child to its end. */
  run(): Promise<Ended>;
  /** The child has ended: nobody waits for what is under way. */
  abandon(): void;
  warn(message: string): void;
  debug(message: string): void;
}

/** Each pause is up to this much shorter or longer, so that a hundred machines don't ask in the same second. */
const JITTER = 0.1;
/** After failures the pause doubles, up to this. */
const LONGEST_PAUSE_MS = 600_000;
/** Secrets that change again and again are waited for this many times. */
const MOST_DEBOUNCES = 10;
/** How often it is looked whether a child that is to end has. */
const STOP_POLL_MS = 20;

export function supervise(supervision: Supervision): Promise<Ended> {
  return new Supervisor(supervision).run();
}

class Supervisor {
  readonly #with: Supervision;
  readonly #wishes = new Wishes();
  /** A change was seen and is not in place yet. */
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
        // Awaited below; a failure that comes before must not count as one that nobody saw.
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
      this.#wishes.close();
      this.#with.abandon();
    }
  }

  /** Resolves when the child is to be restarted, or with nothing when it has ended. */
  async #watch(over: AbortSignal): Promise<Renewal | undefined> {
    while (!over.aborted) {
      await sleep(this.#pause(), over);
      if (over.aborted || this.#wishes.toEnd) return untilOver(over);
      const renewal = await this.#check(over);
      if (over.aborted || renewal === undefined) continue;
      if (renewal.how === 'restart') {
        // After a Ctrl-C or a hang-up the program may be about to end.
        await sleep(this.#wishes.recentFor(this.#with.stopMs), over);
        if (this.#wishes.toEnd) return untilOver(over);
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
    // Once, and not every half minute for a night.
    if (text === this.#lastWarning) this.#with.debug(text);
    else this.#with.warn(text);
    this.#lastWarning = text;
  }

  /** Ends the child and puts the new values in place. @returns how it ended, when none is to follow */
  async #replace(running: Promise<Ended>, renewal: Renewal): Promise<Ended | undefined> {
    const { relay, debug } = this.#with;
    debug('the secrets have changed: the program is restarted');
    relay.replacing();
    const asked = this.#wishes.mark();
    await this.#stop();
    const ended = await running;
    if (relay.interrupted) return { code: 130, signal: 'SIGINT' };
    if (asked()) return ended;
    try {
      renewal.apply();
    } catch (thrown) {
      // The program is better off with the old values than not at all.
      this.#due = true;
      this.#failed(thrown);
    }
    return undefined;
  }

  async #stop(): Promise<void> {
    const { relay, stopMs } = this.#with;
    const relatives = new Map<number, Relative>();
    const count = (): readonly Relative[] => {
      for (const one of relay.pid === undefined || relay.ended ? [] : descendants(relay.pid))
        relatives.set(one.pid, one);
      return [...relatives.values()];
    };
    count();
    relay.send('SIGTERM');
    const end = Date.now() + stopMs;
    // Polled: the child's output may be held by what it leaves, and is waited for longer than its end.
    const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, STOP_POLL_MS));
    while (!relay.ended && Date.now() < end) await pause();
    if (!relay.ended) {
      count();
      relay.send('SIGKILL');
      while (!relay.ended) await pause();
    }
    // What a program like `sh -c` leaves behind would hold the ports and files that the next one wants.
    const left = [...relatives.values()];
    signalAll(left, 'SIGTERM');
    while (signalAll(left, 0) && Date.now() < end) await pause();
    signalAll(left, 'SIGKILL');
  }
}

/** A child that somebody has asked to end is not restarted. */
function untilOver(over: AbortSignal): Promise<undefined> {
  if (over.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => over.addEventListener('abort', () => resolve(undefined), { once: true }));
}

/** What others want of us, as signals say it. */
class Wishes {
  /** The end, whatever the program makes of it. */
  static readonly FINAL = ['SIGTERM', 'SIGQUIT', ...ALSO_ENDING] as const;
  /** The end or something else, as the program takes it. */
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
    for (const signal of Wishes.FINAL) process.on(signal, this.#onFinal);
    for (const signal of Wishes.OPEN) process.on(signal, this.#onOpen);
  }

  /** For how many milliseconds a Ctrl-C or hang-up still counts as recent. */
  recentFor(ms: number): number {
    return Math.max(0, this.#last + ms - Date.now());
  }

  /** Says later whether any signal has come since now. */
  mark(): () => boolean {
    const before = this.#count;
    return () => this.#count > before || this.toEnd;
  }

  close(): void {
    for (const signal of Wishes.FINAL) process.off(signal, this.#onFinal);
    for (const signal of Wishes.OPEN) process.off(signal, this.#onOpen);
  }
}
