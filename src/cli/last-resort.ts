/**
 * What Node.js does by itself with a failure that nobody handles: it prints a stack and ends with a code that looks like
 * one of ours, or, for `exec`, of the program. And where a promise never settles it ends with 0.
 */
import { writeSync } from 'node:fs';

/** Options of the whole program that take a value, which is no command. */
const WITH_VALUE: ReadonlySet<string> = new Set([
  '--store',
  '--profile',
  '--config',
  '--timeout',
  '--reason',
]);

/** 125 for `exec`, whose other codes are the program's; else 1. */
function failureCode(words: readonly string[]): number {
  let at = 0;
  while (words[at]?.startsWith('-') === true) at += WITH_VALUE.has(words[at] as string) ? 2 : 1;
  return words[at] === 'exec' || words[at] === 'run' ? 125 : 1;
}

/**
 * Ends the process with one line and a code of ours, whatever goes wrong.
 * @param words the command line
 * @returns to be called once there is a result
 */
export function guard(words: readonly string[]): () => void {
  const end = (thrown: unknown): void => {
    // Not the message: it may hold what was being worked on.
    const { name, code, stack } = (thrown instanceof Error ? thrown : {}) as NodeJS.ErrnoException;
    say(`unexpected failure (${[name ?? typeof thrown, code].filter(Boolean).join(' ')})`);
    if (words.includes('--debug'))
      for (const frame of (stack ?? '').split('\n').filter((line) => /^ +at /.test(line))) write(frame);
    // Handlers of `exit` remove files.
    process.exit(failureCode(words));
  };
  const unsettled = (): void => {
    say('ended without a result');
    process.exit(failureCode(words));
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
  process.once('beforeExit', unsettled);
  return () => process.off('beforeExit', unsettled);
}

function say(what: string): void {
  write(`secrets: ${what}: this is a fault of secrets, please report it; --debug shows where it happened`);
}

function write(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // Nobody reads it.
  }
}
