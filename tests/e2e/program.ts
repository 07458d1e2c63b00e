/** Runs the built program as a user would: bin/secrets on PATH, an empty HOME, an empty working directory. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The Node.js that runs the program: SECRETS_E2E_NODE, or the one that runs the tests. */
export const NODE = process.env['SECRETS_E2E_NODE'] ?? process.execPath;

/** The program's launcher: SECRETS_E2E_PROGRAM (an installed package, say), or the one of this checkout. */
export const PROGRAM = process.env['SECRETS_E2E_PROGRAM'] ?? join(ROOT, 'bin/secrets');

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** An empty home, working directory and folder for temporary files, and `secrets` on PATH. */
export interface Place {
  readonly root: string;
  readonly home: string;
  readonly cwd: string;
  readonly tmp: string;
  readonly env: Readonly<Record<string, string>>;
  /** Runs a line of bash there. */
  sh(script: string, env?: Readonly<Record<string, string>>): Promise<Outcome>;
  /** The same, killed with all that it started beyond the limits: for input that must not make the program hang. */
  within(script: string, env?: Readonly<Record<string, string>>): Promise<Outcome>;
  remove(): Promise<void>;
}

export async function makePlace(): Promise<Place> {
  if (!existsSync(join(dirname(PROGRAM), '../dist/main.js')))
    throw new Error('the program is not built: npm run build');
  const root = await mkdtemp(join(tmpdir(), 'secrets-e2e-'));
  const [home, cwd, tmp, bin] = ['home', 'cwd', 'tmp', 'bin'].map((name) => join(root, name)) as [
    string,
    string,
    string,
    string,
  ];
  for (const folder of [home, cwd, tmp, bin]) await mkdir(folder, { mode: 0o700 });
  const launcher = join(bin, 'secrets');
  await writeFile(launcher, `#!/bin/sh\nexec '${NODE}' '${PROGRAM}' "$@"\n`);
  await chmod(launcher, 0o755);
  const env = {
    HOME: home,
    TMPDIR: tmp,
    PATH: `${bin}:/usr/local/bin:/usr/bin:/bin`,
    LANG: 'C.UTF-8',
    // No test writes to the key chain of whoever runs it.
    DBUS_SESSION_BUS_ADDRESS: `unix:path=${join(root, 'no-bus')}`,
  };
  return {
    root,
    home,
    cwd,
    tmp,
    env,
    sh: (script, more = {}) => run('bash', ['-c', script], { cwd, env: { ...env, ...more } }),
    within: (script, more = {}) =>
      run('bash', ['-c', `ulimit -t ${LIMIT_CPU}; ${script}`], {
        cwd,
        env: { ...env, ...more },
        limit: LIMIT_MS,
      }),
    remove: () => rm(root, { recursive: true, force: true }),
  };
}

/** What a terminal obeys, or a reader is misled by; the ends of lines and tabs between columns aside. */
export const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

/**
 * No input, however hostile, may keep the processor busy for more seconds: a busy machine does not change that. Nor may
 * a command hang, which is told by the clock, with room for other tests.
 */
const LIMIT_CPU = 5;
export const LIMIT_MS = 60_000;

/**
 * What is wrong with how a program ended that was given hostile input: a stack, a control character for the
 * terminal, a line that is not one of its own, more than a screenful. Empty when nothing is.
 */
export function problemsOf({ stderr, code }: Outcome): readonly string[] {
  const problems: string[] = [];
  if (/^\s+at .*[:)]/m.test(stderr)) problems.push('a stack');
  if (/\b(TypeError|RangeError|ReferenceError|SyntaxError|FATAL ERROR|node:internal|Unhandled)/.test(stderr))
    problems.push('an error of the language');
  // Unicode's controls, and what turns the direction of the text around, but for the ends of lines.
  if (/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(stderr))
    problems.push('a control character on stderr');
  if (
    stderr !== '' &&
    !stderr
      .split('\n')
      .slice(0, -1)
      .every((line) => /^(secrets: |\{"error":)/.test(line))
  )
    problems.push('a line that is not the program’s own');
  if (stderr.length > 20_000) problems.push(`${stderr.length} characters on stderr`);
  if (code > 130 || (code >= 10 && code < 125)) problems.push(`exit code ${code}`);
  return problems;
}

/** Runs a program with an empty stdin to its end; kills it after four minutes, or with its children after `limit` ms. */
export function run(
  file: string,
  args: readonly string[],
  {
    cwd,
    env,
    limit,
  }: { readonly cwd: string; readonly env: Readonly<Record<string, string>>; readonly limit?: number },
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...args], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 240_000,
      // A group of its own, so that its end is the end of all of it.
      detached: limit !== undefined,
    });
    const timer =
      limit === undefined
        ? undefined
        : setTimeout(() => {
            reject(new Error(`${args.join(' ').slice(0, 200)} ran for more than ${limit} ms`));
            if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
          }, limit);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (code === null) reject(new Error(`${args.join(' ')} was ended by ${signal}`));
      else resolve({ stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString(), code });
    });
  });
}
