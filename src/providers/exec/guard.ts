/**
 * Sees to it that no plugin outlives this process. One that behaves ends when its input does, whatever became of us;
 * this is for one that does not, where we can still act: at an ordinary end and on SIGTERM and SIGHUP.
 */
import { killGroup } from './group.ts';

const GRACE_MS = 500;
const SIGNALS = ['SIGTERM', 'SIGHUP'] as const;
const live = new Set<number>();

/** Starts a plugin. The signals are listened to before, so that none of them comes in between. */
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

/** Node's default for these signals is to die, which a listener keeps from happening: it is made up for here. */
function endWith(signal: NodeJS.Signals): void {
  // `exec` passes signals on to its child, and ends when that does.
  if (process.listenerCount(signal) > 1) return;
  for (const pid of live) killGroup(pid, 'SIGTERM');
  setTimeout(() => {
    endAll();
    stopWatching();
    process.kill(process.pid, signal);
  }, GRACE_MS);
}
