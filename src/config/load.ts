/** Finds, reads and joins the configuration; refuses what needs trust that the user has not given. */
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { SecretsError } from '../core/errors.ts';
import { codeOf, fileError } from '../files.ts';
import { type World, xdgFolder } from '../world.ts';
import type { Config, EnvEntry, StoreConfig } from './config.ts';

export interface ConfigOptions {
  /** `--config FILE`. */
  readonly file?: string | undefined;
  /** `--profile NAME`. */
  readonly profile?: string | undefined;
  /** `--trust`: act on the file this once, whatever it says. */
  readonly trust?: boolean | undefined;
}

const FILE = 'secrets.yaml';
const MAX_BYTES = 1024 * 1024;

/** @throws SecretsError Usage for a file that is wrong, Policy for one that is not trusted */
export async function loadConfig(world: World, options: ConfigOptions): Promise<Config> {
  const stores = new Map<string, StoreConfig>();
  for (const { kind } of world.providers) {
    stores.set(kind, { name: kind, provider: kind, settings: {}, source: 'builtin' });
  }
  const env = new Map<string, EnvEntry>();
  const profile = options.profile ?? (world.env['SECRETS_PROFILE'] || undefined);
  const named = options.file ?? (world.env['SECRETS_CONFIG'] || undefined);
  const project = named === undefined ? findUpward(world) : resolve(world.cwd, named);
  const user = join(xdgFolder(world, 'config'), FILE);
  let defaultStore = 'local';
  for (const [path, source] of [
    [user, 'user'],
    [project, 'project'],
  ] as const) {
    if (path === undefined || (source === 'user' && !existsSync(path))) continue;
    const bytes = readConfig(world, path, source);
    const { parseConfig } = await import('./parse.ts');
    const parsed = await parseConfig(bytes.toString(), path, source, profile, world.providers);
    if (source === 'project' && parsed.trustLines.length > 0 && options.trust !== true) {
      const hash = createHash('sha256').update(bytes).digest('hex');
      if (world.env['SECRETS_TRUSTED'] !== hash) {
        throw new SecretsError('Policy', `${path} is not trusted`, {
          hint: `read it, then pass --trust, or set SECRETS_TRUSTED=${hash}`,
          errors: parsed.trustLines.map(
            ({ line, setting, effect }) => new SecretsError('Policy', `line ${line}: ${setting}: ${effect}`),
          ),
        });
      }
    }
    for (const [name, store] of parsed.stores) stores.set(name, store);
    for (const [name, one] of parsed.env) env.set(name, one);
    defaultStore = parsed.defaultStore ?? defaultStore;
  }
  // Without a file nothing is wrong yet: a program made without `local` has no default store.
  if (defaultStore !== 'local' && !stores.has(defaultStore))
    throw new SecretsError('Usage', 'the default store is not among the stores', {
      hint: 'correct `default` in secrets.yaml',
    });
  return { file: project, profile, defaultStore, stores, env };
}

function readConfig(world: World, path: string, source: 'project' | 'user'): Buffer {
  try {
    const info = statSync(path);
    if (!info.isFile() || info.size > MAX_BYTES)
      throw new SecretsError('Usage', `${path}: not a file of at most 1 MiB`);
    if (
      source === 'user' &&
      ((world.uid !== undefined && info.uid !== world.uid) || (info.mode & 0o022) !== 0)
    )
      throw new SecretsError('Policy', `${path}: others can change it`, { hint: `chmod go-w ${path}` });
    return readFileSync(path);
  } catch (thrown) {
    if (thrown instanceof SecretsError) throw thrown;
    throw fileError(thrown, 'cannot read the configuration', path);
  }
}

/** The nearest secrets.yaml, not past the repository's root, HOME, another file system, or another owner. */
function findUpward(world: World): string | undefined {
  try {
    let folder = realpathSync(world.cwd);
    const home = existsSync(world.home) ? realpathSync(world.home) : world.home;
    const device = statSync(folder).dev;
    for (;;) {
      const here = statSync(folder);
      if (here.dev !== device || (world.uid !== undefined && here.uid !== world.uid)) return undefined;
      const path = join(folder, FILE);
      const found = lstatSync(path, { throwIfNoEntry: false });
      if (found !== undefined) return world.uid === undefined || found.uid === world.uid ? path : undefined;
      const parent = dirname(folder);
      if (folder === home || parent === folder || existsSync(join(folder, '.git'))) return undefined;
      folder = parent;
    }
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT' || codeOf(thrown) === 'EACCES') return undefined;
    throw thrown;
  }
}
