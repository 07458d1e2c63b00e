/** What the test files of one run share, in a folder that tests/global-setup.mjs makes and removes. */
import { existsSync, mkdirSync, renameSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A folder that is made once in a run, by whichever file asks first; the others wait for it.
 * @param make fills the folder that it is given
 */
export async function madeOnce(name: string, make: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(runFolder(), name);
  const lock = `${folder}.lock`;
  while (!existsSync(folder)) {
    if (!taken(lock)) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      continue;
    }
    try {
      if (existsSync(folder)) break;
      const unfinished = `${folder}.${process.pid}`;
      mkdirSync(unfinished);
      await make(unfinished);
      renameSync(unfinished, folder);
    } finally {
      rmdirSync(lock);
    }
  }
  return folder;
}

function runFolder(): string {
  const folder = process.env['SECRETS_TEST_RUN'];
  if (folder === undefined) throw new Error('tests/global-setup.mjs did not run');
  return folder;
}

function taken(lock: string): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw thrown;
  }
}
