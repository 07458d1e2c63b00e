/** Entry point of the shipped program: runs the command line in the world of this process. */

import { writeSync } from 'node:fs';
import { mayBeAgent } from './agent-there.ts';
import { guard } from './last-resort.ts';

/** The version in package.json, inserted by the bundler. Not imported, so that `--version` only loads this file. */
declare const SECRETS_VERSION: string;

async function start(): Promise<void> {
  const [first, second, third] = process.argv.slice(2);
  // The one answer that needs no parser; scripts ask for it often.
  if (second === undefined && (first === '--version' || first === '-V')) {
    try {
      // Not process.stdout, which takes longer to create than everything else here.
      writeSync(1, `${SECRETS_VERSION}\n`);
    } catch {
      // Nobody is reading it.
    }
    return;
  }
  // By default Node opens its debugger on this signal, and whoever may send it could read the values in memory.
  process.on('SIGUSR1', () => {});
  const done = guard(process.argv.slice(2));
  const isPlain = first === 'get' && second?.startsWith('-') === false && third === undefined;
  if (!isPlain || !mayBeAgent(process.env) || !(await (await import('./plain-get.ts')).plainGet(second))) {
    const { run } = await import('./program.ts');
    process.exitCode = await run();
  }
  done();
  // With nothing in progress, the process would end by itself now. Exiting explicitly skips tearing down the heap and
  // collecting garbage, which saves a twentieth of a start.
  if (process.getActiveResourcesInfo().length === 0) process.exit();
}

void start();
