/** What the tests of programs whose secrets change share. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { Box, NODE, PROGRAM, type Running, until } from './setup.ts';

/** Says what it has, and goes on until SIGTERM. */
export const SERVER = 'trap "echo ended; exit 0" TERM; echo "pid=$$ has=$V;"; while :; do sleep 0.05; done';
export const FAST = ['--poll', '1s', '--debounce', '300ms'];
export const RESTART = ['exec', '--restart-on-rotate', ...FAST, '--stop-timeout', '5s', '--no-redact'];
export const SLOW = 240_000;

export class RotatingBox extends Box {
  /** Runs a command there. @returns its stdout */
  secrets(args: readonly string[], input = ''): string {
    const { status, stdout, stderr } = spawnSync(NODE, [PROGRAM, ...args], {
      cwd: this.cwd,
      env: this.env,
      input,
    });
    if (status !== 0) throw new Error(stderr.toString());
    return stdout.toString();
  }

  /** Ends all that runs there: a program outlives a `secrets` that is killed. */
  override remove(): void {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
      if (folderOf(pid).startsWith(this.root)) kill(Number(pid), 'SIGKILL');
    super.remove();
  }
}

function folderOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return '';
  }
}

export function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Not one that has ended, and that nobody has asked about yet. */
export function lives(pid: number): boolean {
  try {
    return !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

export const pidsIn = (text: string): number[] =>
  [...text.matchAll(/pid=(\d+)/g)].map(([, pid]) => Number(pid));
/** What each start said that it has. */
export const starts = (text: string): string[] =>
  [...text.matchAll(/has=([^;]*);/g)].map(([, value = '']) => value);
/** Waits for so many more looks at the secrets as `what` says; the run needs --debug. */
export async function looks(run: Running, count: number, what: RegExp = /: nothing new/g): Promise<void> {
  const seen = (): number => [...run.output.stderr.matchAll(what)].length;
  const before = seen();
  await until(
    () => seen() >= before + count,
    () => `${count} more of ${what.source} in ${run.output.stderr}`,
  );
}
