/**
 * Replaces Node's default for unhandled failures: it prints a stack and exits with a code that could be one of ours
 * or, for `exec`, the program's. If a promise never settles, Node exits with 0.
 */
import { writeSync } from 'node:fs';

/** Global options that take a value, which must not be mistaken for the command. */
const WITH_VALUE: ReadonlySet<string> = new Set([
  '--store',
  '--profile',
  '--config',
  '--timeout',
  '--reason',
]);

/** 125 for `exec` and `agent run`, whose other codes are the program's; otherwise 1. */
function failureCode(words: readonly string[]): number {
  let at = 0;
  while (words[at]?.startsWith('-') === true) at += WITH_VALUE.has(words[at] as string) ? 2 : 1;
  const isAgentRun = words[at] === 'agent' && words[at + 1] === 'run';
  return words[at] === 'exec' || words[at] === 'run' || isAgentRun ? 125 : 1;
}

/**
 * Ends the process with one line and one of our codes, whatever goes wrong.
 * @param words the command line
 * @returns a function to call once there is a result
 */
export function guard(words: readonly string[]): () => void {
  const end = (thrown: unknown): void => {
    // Not the message, because it may contain the data being processed.
    const { name, code, stack } = (thrown instanceof Error ? thrown : {}) as NodeJS.ErrnoException;
    say(`unexpected failure (${[name ?? typeof thrown, code].filter(Boolean).join(' ')})`);
    if (words.includes('--debug'))
      for (const frame of (stack ?? '').split('\n').filter((line) => /^ +at /.test(line))) write(frame);
    // Use process.exit, because `exit` handlers remove files.
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
    // Nobody is reading it.
  }
}
