/**
 * Ends programs that the SDK starts for signing in, such as `az`. The SDK itself leaves them running when nobody waits
 * any more.
 */
import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';

/**
 * Runs work that immediately starts a program, and ends the program when the signal aborts. Source of the channel:
 * https://nodejs.org/api/diagnostics_channel.html#event-child_process
 */
export async function endWith<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const started: ChildProcess[] = [];
  const note = (message: unknown): void => {
    started.push((message as { process: ChildProcess }).process);
  };
  const end = (): void => {
    for (const child of started) {
      child.kill();
      // Perhaps only the shell that started the program has ended; the rest must not keep our process alive through its
      // pipes.
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
      child.unref();
    }
  };
  subscribe('child_process', note);
  let result: Promise<T>;
  try {
    result = work();
  } finally {
    // Only processes started synchronously belong to this work.
    unsubscribe('child_process', note);
  }
  signal.addEventListener('abort', end, { once: true });
  try {
    return await result;
  } finally {
    signal.removeEventListener('abort', end);
  }
}
