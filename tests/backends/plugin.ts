/** Plugins for tests: the example of this repository, a full one, and small ones of a line of shell. */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../e2e/program.ts';
import { madeOnce } from '../shared.ts';

export const EXAMPLE = join(ROOT, 'examples/secrets-provider-files');

const FULL = 'secrets-provider-full';

export interface Plugins {
  /** The folder that is to be on PATH. */
  readonly bin: string;
  /** A new folder for a store. */
  folder(): string;
  /** Installs a program as secrets-provider-NAME. @returns its path */
  install(name: string, script: string, mode?: number): string;
  readonly path: string;
  remove(): void;
}

/** A folder with `secrets-provider-files` (the example) and `secrets-provider-full`. */
export async function makePlugins(): Promise<Plugins> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'plugins-')));
  const bin = join(root, 'bin');
  mkdirSync(bin);
  const install: Plugins['install'] = (name, script, mode = 0o755) => {
    const path = join(bin, `secrets-provider-${name}`);
    writeFileSync(path, script);
    chmodSync(path, mode);
    return path;
  };
  copyFileSync(EXAMPLE, join(bin, 'secrets-provider-files'));
  const bundled = await madeOnce('plugin', async (made) => {
    const bundle = join(ROOT, 'tests/backends/plugin/bundle.mjs');
    await promisify(execFile)(process.execPath, [bundle, join(made, FULL)]);
  });
  copyFileSync(join(bundled, FULL), join(bin, FULL));
  let count = 0;
  return {
    bin,
    path: `${bin}:/usr/local/bin:/usr/bin:/bin`,
    install,
    folder: () => {
      const folder = join(root, `store${(count += 1)}`);
      mkdirSync(folder, { mode: 0o700 });
      return folder;
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
