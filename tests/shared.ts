/** What the test files of one run share, in a folder that tests/global-setup.mjs makes and removes. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

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

/**
 * A program in TypeScript as a script that node runs at once, with all that it imports; bundled once in a run.
 * @param source from the root of the checkout
 * @returns its path
 */
export async function bundled(source: string): Promise<string> {
  const name = basename(source, '.ts');
  // In a process of its own: the bundler does not run among the globals of a test.
  const script = `
    import { rolldown } from 'rolldown';
    const bundle = await rolldown({ input: '${source}', platform: 'node', external: /^@napi-rs/ });
    await bundle.write({
      dir: process.argv[1], format: 'cjs', entryFileNames: '${name}.cjs', chunkFileNames: '[name].cjs',
      dynamicImportInCjs: false,
    });`;
  const folder = await madeOnce(name, async (made) => {
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, made], { cwd: ROOT });
  });
  return join(folder, `${name}.cjs`);
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
