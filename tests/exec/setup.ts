/** Runs the built program with a store, a home and a working directory of its own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Need } from '../needs.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The Node.js that runs the program: SECRETS_E2E_NODE, or the one that runs the tests. */
export const NODE = process.env['SECRETS_E2E_NODE'] ?? process.execPath;
/** The launcher: SECRETS_E2E_PROGRAM (an installed package, say), or the one of this checkout. */
export const PROGRAM = process.env['SECRETS_E2E_PROGRAM'] ?? join(ROOT, 'bin/secrets');

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Buffer;
  /** Words before the program, such as `unshare --pid`. */
  readonly before?: readonly string[];
}

/** A process that is running: its output so far, and its end. */
export interface Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Outcome>;
  readonly output: { readonly stdout: string; readonly stderr: string };
  /** Waits until stdout holds this. */
  saw(text: string): Promise<void>;
}

export class Box {
  readonly root = mkdtempSync(join(tmpdir(), 'secrets-exec-test-'));
  readonly home = join(this.root, 'home');
  readonly cwd = join(this.root, 'cwd');
  readonly env: Readonly<Record<string, string>> = {
    HOME: this.home,
    TMPDIR: join(this.root, 'tmp'),
    PATH: `/usr/local/bin:/usr/bin:/bin`,
    LANG: 'C.UTF-8',
  };

  constructor() {
    if (!existsSync(join(dirname(PROGRAM), '../dist/main.js')))
      throw new Error('the program is not built: npm run build');
    for (const folder of [this.home, this.cwd, join(this.root, 'tmp')]) mkdirSync(folder, { mode: 0o700 });
  }

  /** Stores a value in the local store. */
  put(name: string, value: string | Buffer): void {
    const { status, stderr } = spawnSync(NODE, [PROGRAM, 'put', '--quiet', name], {
      cwd: this.cwd,
      env: this.env,
      input: value,
    });
    if (status !== 0) throw new Error(`put ${name}: ${stderr.toString()}`);
  }

  start(args: readonly string[], { env = {}, input = '', before = [] }: RunOptions = {}): Running {
    const [file, ...words] = [...before, NODE, PROGRAM, ...args] as [string, ...string[]];
    const child = spawn(file, words, {
      cwd: this.cwd,
      env: { ...this.env, ...env },
      stdio: 'pipe',
      // Shorter than a test has time for, and much longer than any of them needs on a machine that is busy.
      timeout: 150_000,
    });
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    return {
      process: child,
      output,
      ended: new Promise((resolve, reject) => {
        child.once('error', reject);
        child.once('close', (code, signal) => resolve({ code, signal, ...output }));
      }),
      saw: (text) =>
        until(
          () => output.stdout.includes(text),
          () => `${text} in ${JSON.stringify(output)}`,
        ),
    };
  }

  run(args: readonly string[], options?: RunOptions): Promise<Outcome> {
    return this.start(args, options).ended;
  }

  write(name: string, content: string, mode = 0o644): string {
    const path = join(this.cwd, name);
    writeFileSync(path, content, { mode });
    return path;
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** The processes that a process has started whose command line holds this. */
export function childrenOf(pid: number | undefined, text: string): readonly number[] {
  const { stdout } = spawnSync('ps', ['-o', 'pid=,args=', '--ppid', String(pid)], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .filter((line) => line.includes(text))
    .map((line) => Number.parseInt(line, 10));
}

/** Waits for a condition, half a minute at most. */
export async function until(condition: () => boolean, what: () => string): Promise<void> {
  const end = Date.now() + 120_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Whether the Node.js that runs the program can replace its process. */
export const CAN_REPLACE =
  spawnSync(NODE, ['-p', 'typeof process.execve']).stdout.toString().trim() === 'function';
export const REPLACING_NODE: Need = {
  name: 'Node.js 22.15 or later',
  met: CAN_REPLACE,
  how: 'SECRETS_E2E_NODE=/path/to/node npm test -- tests/exec',
  installable: false,
};
