/** Entry of the shipped program: makes the world from this process and runs the command line in it. */
import { homedir } from 'node:os';
import { version } from './version.ts';
import type { World } from './world.ts';

function processWorld(providers: World['providers']): World {
  return {
    argv: process.argv.slice(2),
    env: process.env,
    cwd: process.cwd(),
    home: homedir(),
    uid: process.getuid?.(),
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    now: () => new Date(),
    providers,
    onSignal(signal, listener) {
      process.on(signal, listener);
      return () => process.off(signal, listener);
    },
  };
}

async function start(): Promise<void> {
  const [first, second] = process.argv.slice(2);
  // The one answer that needs no command line parser: scripts ask for it often.
  if (second === undefined && (first === '--version' || first === '-V')) {
    process.stdout.write(`${version}\n`);
    return;
  }
  // A reader that went away is no error: `secrets list | head -1`.
  // Other errors of stdout reach the command through its write; this keeps both from ending in a stack trace.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  const [{ main }, { providers }] = await Promise.all([
    import('./cli.ts'),
    import('./providers/registry.ts'),
  ]);
  process.exitCode = await main(processWorld(providers));
}

void start();
