/** Waiting, and limits on concurrency. */

/** Runs at most `size` tasks at a time. */
export function pool(size: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running >= size) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await work();
    } finally {
      // Its place is handed on, so that no task that comes at this moment takes it as well.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

/** One pool for each key, such as a store: tasks that hang only delay those with the same key. */
export function pools(size: number): <T>(of: string, work: () => Promise<T>) => Promise<T> {
  const known = new Map<string, ReturnType<typeof pool>>();
  return (of, work) => {
    const limit = known.get(of) ?? pool(size);
    known.set(of, limit);
    return limit(work);
  };
}

/**
 * Resolves after `ms` milliseconds, or when the signal aborts.
 * @param holdsProcess whether it keeps the process alive
 */
export function sleep(ms: number, signal: AbortSignal, holdsProcess = false): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    // When the child ends, the process must not wait for a renewal that is hours away.
    if (!holdsProcess) timer.unref();
    signal.addEventListener('abort', done, { once: true });
  });
}
