/** Ctrl-C and SIGTERM during rotations: the first lets those under way come to an end, the second aborts them. */
import type { Session } from '../session.ts';

export interface Stopping {
  asked(): boolean;
  end(): void;
}

export function graceful(session: Session): Stopping {
  session.releaseSignals();
  let asked = 0;
  const listen = (): void => {
    asked += 1;
    if (asked > 1) session.interrupt.abort();
    else session.note('finishing what has begun; once more to stop it halfway');
  };
  const stops = (['SIGINT', 'SIGTERM'] as const).map((signal) => session.world.onSignal(signal, listen));
  return {
    asked: () => asked > 0,
    end: () => {
      for (const stop of stops) stop();
    },
  };
}
