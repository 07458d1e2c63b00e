/**
 * Ctrl-C, SIGTERM, SIGHUP and SIGQUIT during rotations: nothing more begins, and the step under way has a second. Who
 * stops a service kills it when that takes too long, which leaves more behind than a tidy end.
 */
import type { SecretsError } from '../../core/errors.ts';
import type { Session } from '../../session/session.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
/** For each step: one that comes through in time is followed by the next. */
const STEP_MS = 1000;
/** For all of them: `docker stop` waits for ten seconds. */
const ALL_MS = 5000;

export interface Stopping {
  asked(): boolean;
  /** Aborted by the first of them. */
  readonly signal: AbortSignal;
  /** A step begins. */
  step(): void;
  end(): void;
}

export function graceful(session: Session): Stopping {
  session.releaseSignals();
  const first = new AbortController();
  let askedAt = 0;
  let timer: NodeJS.Timeout | undefined;
  const wait = (): void => {
    clearTimeout(timer);
    const left = Math.min(STEP_MS, askedAt + ALL_MS - performance.now());
    timer = setTimeout(() => session.run.stop(), Math.max(0, left));
  };
  const listen = (): void => {
    if (first.signal.aborted) {
      session.run.stop();
      return;
    }
    askedAt = performance.now();
    first.abort();
    session.note('stopping after the current step; press Ctrl-C again to stop at once');
    wait();
  };
  const stops = SIGNALS.map((signal) => session.world.onSignal(signal, listen));
  return {
    asked: () => first.signal.aborted,
    signal: first.signal,
    step: () => {
      if (first.signal.aborted && !session.interrupt.signal.aborted) wait();
    },
    end: () => {
      clearTimeout(timer);
      for (const stop of stops) stop();
    },
  };
}

/** After it was stopped the command says nothing more, so each rotation that it broke off says how to go on. */
export function tellBroken(session: Session, failure: SecretsError | undefined): void {
  if (failure === undefined || !session.interrupt.signal.aborted) return;
  const { reference = '', message, hint = '' } = failure;
  session.warn(`${reference}: ${message} (${hint})`);
}
