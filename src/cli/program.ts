/**
 * Runs the program in the world of this process. Separate from main.ts, so that the rest of the program loads as one
 * file.
 */
import { main } from './cli.ts';
import { processWorld } from './process-world.ts';
import { providers } from '../providers/registry.ts';

/** Resolves to the exit code. */
export function run(): Promise<number> {
  return main(
    processWorld({ providers, targets: async () => (await import('../rotation/targets/index.ts')).targets }),
  );
}
