/**
 * Makes sure that no plugin outlives this process. A well-behaved plugin ends when its input ends, however this process
 * ends; this handles the others in the cases where we can still act: a normal exit, SIGTERM and SIGHUP.
 */
import { killGroup } from './group.ts';

const GRACE_MS = 500;
const SIGNALS = ['SIGTERM', 'SIGHUP'] as const;
const live = new Set<number>();

/** Starts a plugin. Listens to the signals first, so that none is missed. */
export function watched<P extends { readonly pid?: number | undefined }>(start: () => P): P {
  if (live.size === 0) {
    process.on('exit', endAll);
    for (const signal of SIGNALS) process.on(signal, endWith);
  }
  try {
    const started = start();
    if (started.pid !== undefined) live.add(started.pid);
    return started;
  } finally {
    if (live.size === 0) stopWatching();
  }
}

export function hasEnded(pid: number): void {
  if (!live.delete(pid) || live.size > 0) return;
  stopWatching();
}

function stopWatching(): void {
  process.off('exit', endAll);
  for (const signal of SIGNALS) process.off(signal, endWith);
}

function endAll(): void {
  for (const pid of live) killGroup(pid, 'SIGKILL');
}

/** Node ends the process on these signals by default, but not if there is a listener, so this does it instead. */
function endWith(signal: NodeJS.Signals): void {
  // `exec` passes signals on to its child, and ends when the child ends.
  if (process.listenerCount(signal) > 1) return;
  for (const pid of live) killGroup(pid, 'SIGTERM');
  setTimeout(() => {
    endAll();
    stopWatching();
    process.kill(process.pid, signal);
  }, GRACE_MS);
}
