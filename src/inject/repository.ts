/** Keeps a file with values out of git: asks git itself whether it ignores the file. */
import { spawnSync } from 'node:child_process';
import { lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SecretsError } from '../core/errors.ts';
import { absoluteFolders, findProgram } from '../platform/find-program.ts';
import { fileError } from '../platform/files.ts';
import type { World } from '../platform/world.ts';

const HINT = 'add it to .gitignore, write it elsewhere, or pass --force';
const GIT_TIMEOUT_MS = 20_000;

/**
 * @throws SecretsError Policy for a file inside of a git repository that the next `git add .` would take, and if that
 *   can't be found out
 */
export function checkIgnored(path: string, shown: string, { env, cwd }: Pick<World, 'env' | 'cwd'>): void {
  let folder: string;
  try {
    folder = realpathSync(dirname(path));
  } catch (thrown) {
    throw fileError(thrown, 'cannot look at the folder', dirname(path));
  }
  const repository = repositoryOf(folder);
  if (repository === undefined) return;
  const unknown = (why: string): SecretsError =>
    new SecretsError('Policy', `${shown} is inside the git repository ${repository}, and ${why}`, {
      hint: HINT,
    });
  const folders = absoluteFolders(env['PATH']);
  const git = folders === undefined ? 127 : findProgram('git', folders, cwd);
  if (typeof git === 'number') throw unknown('git is not there to say whether it ignores the file');
  const { status, error, stdout } = spawnSync(git, [...SAFE, ...CHECK], {
    cwd: folder,
    env: environment(env),
    // A name that begins with a colon would have a meaning of its own.
    input: `./${basename(path)}\0`,
    stdio: ['pipe', 'pipe', 'ignore'],
    encoding: 'utf8',
    timeout: GIT_TIMEOUT_MS,
  });
  const [, , pattern, ...names] = stdout?.split('\0') ?? [];
  // git before 2.26 says by its exit code that a file is ignored which !PATTERN keeps.
  if (status === 0 && names.length === 2 && pattern !== undefined && /^[^!]/.test(pattern)) return;
  if (status === 0 || status === 1) throw unknown('.gitignore does not cover it, or it is tracked');
  throw unknown(
    error === undefined
      ? 'git does not say whether it ignores the file (git status may say why)'
      : 'git could not be asked whether it ignores the file',
  );
}

/** Prints SOURCE, LINE, PATTERN and PATH, each with a NUL behind it; the first three are empty if no pattern matches. */
const CHECK = ['check-ignore', '--verbose', '--non-matching', '-z', '--stdin'];

/**
 * The repository's own settings may be a stranger's: these can name programs. What is left of them only decides about
 * this answer.
 */
const SAFE = [
  '-c',
  'core.fsmonitor=false',
  '-c',
  'core.hooksPath=/dev/null',
  '-c',
  'core.pager=cat',
  '--no-pager',
];

/** Without GIT_DIR and the like, which would let git speak about another repository, and without credentials. */
function environment(env: World['env']): Record<string, string> {
  const kept = Object.entries(env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && ['PATH', 'HOME', 'XDG_CONFIG_HOME', 'TMPDIR'].includes(entry[0]),
  );
  return {
    ...Object.fromEntries(kept),
    LC_ALL: 'C',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_TERMINAL_PROMPT: '0',
    // A partial clone would fetch a .gitignore that it lacks, the way its settings say.
    GIT_ALLOW_PROTOCOL: 'none',
    GIT_NO_LAZY_FETCH: '1',
  };
}

/** The nearest folder upward that has a `.git`, which is a folder, or a file in worktrees and submodules. */
function repositoryOf(folder: string): string | undefined {
  for (let here = folder; ; here = dirname(here)) {
    if (lstatSync(join(here, '.git'), { throwIfNoEntry: false }) !== undefined) return here;
    if (basename(here) === '.git') return dirname(here);
    if (dirname(here) === here) return undefined;
  }
}
