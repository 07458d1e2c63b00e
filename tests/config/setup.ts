/** A home with a project in it, and the loader with a world of its own. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Config } from '../../src/config/config.ts';
import { type ConfigOptions, loadConfig } from '../../src/config/load.ts';
import { providers } from '../../src/providers/registry.ts';
import { targets } from '../../src/rotation/targets/index.ts';
import type { ProgramWorld } from '../../src/config/kinds.ts';

export interface Machine {
  readonly root: string;
  readonly home: string;
  /** Writes a file below the root, with its folders. @returns its path */
  write(path: string, content: string | Uint8Array): string;
  world(cwd: string, more?: Partial<ProgramWorld>): ProgramWorld;
  load(cwd: string, options?: ConfigOptions, more?: Partial<ProgramWorld>): Promise<Config>;
  remove(): void;
}

export function makeMachine(): Machine {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'config-')));
  const home = join(root, 'home');
  mkdirSync(home);
  const world: Machine['world'] = (cwd, more = {}) =>
    ({
      env: {},
      home,
      cwd: join(root, cwd),
      machineFolder: '/nonexistent',
      uid: process.getuid?.(),
      names: () => ({ user: 'ann', host: 'laptop' }),
      providers,
      targets: async () => targets,
      now: () => new Date('2026-01-02T03:04:05Z'),
      ...more,
    }) as unknown as ProgramWorld;
  return {
    root,
    home,
    write(path, content) {
      const file = join(root, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
      return file;
    },
    world,
    load: (cwd, options = {}, more = {}) => loadConfig(world(cwd, more), options),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
