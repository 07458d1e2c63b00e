/** What the program itself hears: tests that need the moment at which a signal has arrived wait for it, not for a time. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './exec/setup.ts';

const PRELOAD = fileURLToPath(new URL('heard.cjs', import.meta.url));

export interface Heard {
  /** For the program, and for no other one that runs Node.js. */
  readonly env: Readonly<Record<string, string>>;
  /** Until the program has heard this so many times: `got SIGTERM`, `listens to SIGINT`, `waits for stdin`. */
  saw(line: string, times?: number): Promise<void>;
  /** All that it has heard. */
  lines(): readonly string[];
}

let count = 0;

/** @param folder any that ends with the test */
export function heardIn(folder: string): Heard {
  count += 1;
  const file = join(folder, `heard-${count}`);
  const lines = (): readonly string[] =>
    existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  return {
    env: { NODE_OPTIONS: `--require=${PRELOAD}`, HEARD: file },
    lines,
    saw: (line, times = 1) =>
      until(
        () => lines().filter((one) => one === line).length >= times,
        () => `${line} in ${lines().join(', ')}`,
      ),
  };
}
