/** What policies can know of a run besides who runs it. The caller can say most of it as they like. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Circumstances } from '../core/policy/request.ts';
import type { World } from '../platform/world.ts';

export interface RunFacts {
  readonly command: string;
  readonly program: string | undefined;
  readonly reason: string | undefined;
  readonly terminal: boolean;
}

export function circumstancesOf(
  world: Pick<World, 'env' | 'now'>,
  facts: RunFacts,
  { branch, host }: Pick<Circumstances, 'branch' | 'host'>,
): Circumstances {
  const now = world.now();
  const { CI: ci = '' } = world.env;
  return {
    ...facts,
    ci: ci !== '' && !/^(?:0|false|no|off)$/i.test(ci),
    branch,
    hour: now.getUTCHours(),
    weekday: now.getUTCDay() || 7,
    host,
  };
}

/** Of GitHub, GitLab, CircleCI, Buildkite and Azure Pipelines, in this order. */
const BRANCH_VARIABLES = [
  'GITHUB_HEAD_REF',
  'GITHUB_REF_NAME',
  'CI_COMMIT_BRANCH',
  'CIRCLE_BRANCH',
  'BUILDKITE_BRANCH',
  'BUILD_SOURCEBRANCHNAME',
];

/** What CI names, since it checks out commits and not branches; otherwise the branch of the repository. */
export function branchOf(world: World): string | undefined {
  for (const name of BRANCH_VARIABLES) {
    const value = world.env[name];
    if (value !== undefined && value !== '') return value;
  }
  try {
    for (let folder = world.cwd; ; folder = dirname(folder)) {
      const git = join(folder, '.git');
      const stats = statSync(git, { throwIfNoEntry: false });
      if (stats !== undefined) return branchIn(stats.isDirectory() ? git : linkedFolder(folder, git));
      if (dirname(folder) === folder) return undefined;
    }
  } catch {
    return undefined;
  }
}

/** Of a work tree: `.git` is a file that names the folder (gitrepository-layout(5)). */
function linkedFolder(folder: string, file: string): string {
  return resolve(
    folder,
    readFileSync(file, 'utf8')
      .replace(/^gitdir: /, '')
      .trim(),
  );
}

function branchIn(folder: string): string | undefined {
  return /^ref: refs\/heads\/(\S+)\s*$/.exec(readFileSync(join(folder, 'HEAD'), 'utf8'))?.[1];
}
