/** Programs that the SDK starts to sign in, such as `az`: it lets them run on when nobody waits any more. */
import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';

/**
 * Does work that starts a program at once, and ends the program when the signal aborts.
 * Source of the channel: https://nodejs.org/api/diagnostics_channel.html#event-child_process
 */
export async function endWith<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const started: ChildProcess[] = [];
  const note = (message: unknown): void => {
    started.push((message as { process: ChildProcess }).process);
  };
  const end = (): void => {
    for (const child of started) {
      child.kill();
      // The shell that starts it may be all that was ended; what is left must not hold us by its pipes.
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
      child.unref();
    }
  };
  subscribe('child_process', note);
  let result: Promise<T>;
  try {
    result = work();
  } finally {
    // Only what was started in this very moment is this work's.
    unsubscribe('child_process', note);
  }
  signal.addEventListener('abort', end, { once: true });
  try {
    return await result;
  } finally {
    signal.removeEventListener('abort', end);
  }
}
