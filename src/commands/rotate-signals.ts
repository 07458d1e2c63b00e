/** Ctrl-C and SIGTERM during rotations: the first lets those under way come to an end, the second aborts them. */
import type { SecretsError } from '../core/errors.ts';
import type { Session } from '../session.ts';

export interface Stopping {
  asked(): boolean;
  /** Aborted by the first of them. */
  readonly signal: AbortSignal;
  end(): void;
}

export function graceful(session: Session): Stopping {
  session.releaseSignals();
  const first = new AbortController();
  const listen = (): void => {
    if (first.signal.aborted) session.stop();
    first.abort();
    if (!session.interrupt.signal.aborted)
      session.note('finishing what has begun; once more to stop it halfway');
  };
  const stops = (['SIGINT', 'SIGTERM'] as const).map((signal) => session.world.onSignal(signal, listen));
  return {
    asked: () => first.signal.aborted,
    signal: first.signal,
    end: () => {
      for (const stop of stops) stop();
    },
  };
}

/** After the second signal the command says nothing more, so each rotation that it broke off says how to go on. */
export function tellBroken(session: Session, failure: SecretsError | undefined): void {
  if (failure === undefined || !session.interrupt.signal.aborted) return;
  const { reference = '', message, hint = '' } = failure;
  session.warn(`${reference}: ${message} (${hint})`);
}
