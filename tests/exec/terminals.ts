/** Programs at pseudo-terminals of a known size. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type IPty, spawn } from '@lydell/node-pty';
import { statFields } from '../../src/platform/process-identity.ts';
import { type Box, NODE, PROGRAM, until } from './setup.ts';

export interface Terminal {
  readonly pty: IPty;
  shown(): string;
  saw(text: string | RegExp): Promise<void>;
  /** Until whoever is in front takes each key as it is typed. */
  raw(): Promise<void>;
  readonly ended: Promise<{ exitCode: number; signal?: number | undefined }>;
}

const open: IPty[] = [];

/** For afterEach. */
export function closeTerminals(): void {
  for (const pty of open.splice(0)) pty.kill('SIGKILL');
}

/** Starts a program at a terminal; $NODE and $PROGRAM are what to run. */
export function openTerminal(
  box: Box,
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Terminal {
  const pty = spawn(file, [...args], {
    cols: 91,
    rows: 37,
    cwd: box.cwd,
    env: { ...box.env, NODE, PROGRAM, PS1: 'sh> ', TERM: 'xterm-256color', ...env },
  });
  open.push(pty);
  let output = '';
  pty.onData((data) => (output += data));
  return {
    pty,
    shown: () => output,
    saw: (text) =>
      until(
        () => (typeof text === 'string' ? output.includes(text) : text.test(output)),
        () => `${text} in ${JSON.stringify(output)}`,
      ),
    raw: () =>
      until(
        () => modesOf(pty.pid).includes(' -icanon '),
        () => 'raw keys',
      ),
    ended: new Promise((resolve) => pty.onExit(resolve)),
  };
}

/** The modes of the terminal that a process has, as `stty -a` prints them. */
export function modesOf(pid: number): string {
  return execFileSync('stty', ['-F', readlinkSync(`/proc/${pid}/fd/0`), '-a'], { encoding: 'utf8' });
}

/** Until a program with these words is in the foreground of the terminal it has. */
export function inFront(words: readonly string[]): Promise<void> {
  const isIt = (pid: string): boolean => {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== words.map((word) => `${word}\0`).join(''))
        return false;
      const [, , group, , , foreground] = statFields(Number(pid)) ?? [];
      return group !== undefined && group === foreground;
    } catch {
      // It has ended meanwhile.
      return false;
    }
  };
  return until(
    () => readdirSync('/proc').some((name) => /^\d+$/.test(name) && isIt(name)),
    () => `${words.join(' ')} in front`,
  );
}
