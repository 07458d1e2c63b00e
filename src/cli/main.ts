/** Entry of the shipped program: runs the command line in the world of this process. */

import { writeSync } from 'node:fs';
import { guard } from './last-resort.ts';

/** package.json's version; the bundler puts it in. Not imported, so that `--version` reads this one file. */
declare const SECRETS_VERSION: string;

async function start(): Promise<void> {
  const [first, second] = process.argv.slice(2);
  // The one answer that needs no command line parser: scripts ask for it often.
  if (second === undefined && (first === '--version' || first === '-V')) {
    try {
      // Not process.stdout, which takes longer to make than all the rest here.
      writeSync(1, `${SECRETS_VERSION}\n`);
    } catch {
      // Nobody reads it.
    }
    return;
  }
  // Node opens its debugger at this signal, and whoever may send it could read the values in memory.
  process.on('SIGUSR1', () => {});
  const done = guard(process.argv.slice(2));
  const { run } = await import('./program.ts');
  process.exitCode = await run();
  done();
  // With nothing under way the process would end by itself now. Ended here, it does not take its heap apart before,
  // nor collect its garbage: a twentieth of a start.
  if (process.getActiveResourcesInfo().length === 0) process.exit();
}

void start();
