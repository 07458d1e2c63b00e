/** Programs at pseudo-terminals of a known size. */
import { type IPty, spawn } from '@lydell/node-pty';
import { type Box, NODE, PROGRAM, until } from './setup.ts';

export interface Terminal {
  readonly pty: IPty;
  shown(): string;
  saw(text: string | RegExp): Promise<void>;
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
    ended: new Promise((resolve) => pty.onExit(resolve)),
  };
}
