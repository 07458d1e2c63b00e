/** Finds and reads the configuration files. Loads no library, because most runs have no file. */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { SecretsError } from '../core/errors.ts';
import { codeOf, fileError, isMissing } from '../platform/files.ts';
import type { World } from '../platform/world.ts';

export const CONFIG_FILE = 'secrets.yaml';
/** Two thousand lines. Anything larger isn't a configuration, and not worth a parser's time. */
const MAX_BYTES = 128 * 1024;

export interface ReadFile {
  readonly path: string;
  readonly realPath: string;
  readonly bytes: Buffer;
}

/** The nearest secrets.yaml, and a warning if one was skipped. */
export interface Found {
  readonly path: string | undefined;
  readonly warning?: string;
  /** Where and why the search ended, if it found none. */
  readonly stopped?: string;
}

/**
 * Searches for a secrets.yaml from the working directory upward: not beyond the repository's root or HOME (which are
 * themselves searched), not onto another file system, and not into another user's folder.
 */
export function findUpward(world: World): Found {
  // Outside the `try`, because a missing working directory has its own error.
  const { cwd } = world;
  try {
    const home = realHome(world.home);
    // The native function needs one call; the other one resolves every folder of the path separately.
    let folder = realpathSync.native(cwd);
    const device = statSync(folder).dev;
    for (;;) {
      const here = statSync(folder);
      if (here.dev !== device) return stoppedAt(folder, 'another file system');
      const path = join(folder, CONFIG_FILE);
      const found = lstatSync(path, { throwIfNoEntry: false });
      const foreign = [here, ...(found === undefined ? [] : [found])].find(({ uid }) =>
        isForeign(world, uid),
      );
      if (foreign !== undefined)
        return {
          ...stoppedAt(folder, `it or its ${CONFIG_FILE} belongs to another user (uid ${foreign.uid})`),
          ...(found !== undefined && passedOver(path, foreign.uid)),
        };
      if (found !== undefined) return { path };
      if (folder === home) return stoppedAt(folder, 'HOME');
      if (dirname(folder) === folder) return stoppedAt(folder, 'the root folder');
      if (isRoot(folder)) return stoppedAt(folder, 'the repository’s root');
      folder = dirname(folder);
    }
  } catch (thrown) {
    // A parent folder that isn't accessible or has disappeared.
    if (codeOf(thrown) === 'ENOENT' || codeOf(thrown) === 'EACCES')
      return { path: undefined, stopped: 'at a folder that can’t be looked into' };
    throw fileError(thrown, 'cannot look for secrets.yaml', cwd);
  }
}

function stoppedAt(folder: string, why: string): Found {
  return { path: undefined, stopped: `at ${folder} (${why})` };
}

/** A file with a similar name between the working directory and the end of the search. */
export function nearlyNamed(cwd: string): string | undefined {
  for (let folder = cwd; ; folder = dirname(folder)) {
    for (const name of ['secrets.yml', '.secrets.yaml', '.secrets.yml', 'secrets.json']) {
      const path = join(folder, name);
      if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return path;
    }
    if (isRoot(folder)) return undefined;
  }
}

function passedOver(path: string, uid: number): { readonly warning: string } {
  return {
    warning: `${path} is not read: it or its folder belongs to another user (uid ${uid}); name it with --config`,
  };
}

/** Neither the user's own nor root's; root could change the user's files anyway. */
function isForeign(world: World, uid: number): boolean {
  return world.uid !== undefined && uid !== world.uid && uid !== 0;
}

function realHome(home: string): string {
  try {
    return realpathSync.native(home);
  } catch {
    return home;
  }
}

function isRoot(folder: string): boolean {
  return (
    dirname(folder) === folder || lstatSync(join(folder, '.git'), { throwIfNoEntry: false }) !== undefined
  );
}

/**
 * Reads a file that the search found. A link is followed only within the repository (or within its own folder, if
 * there is no repository): a foreign repository must not borrow the file, and the trust, of another project.
 * @throws SecretsError Policy, Usage
 */
export function readFound(world: World, path: string): ReadFile {
  const file = readFile(path, (uid) => {
    if (isForeign(world, uid))
      throw new SecretsError('Policy', `${path} leads to a file of another user`, {
        hint: 'name it with --config',
      });
  });
  const root = rootOf(dirname(path), realHome(world.home));
  if (file.realPath !== path && !file.realPath.startsWith(root.endsWith(sep) ? root : root + sep))
    throw new SecretsError('Policy', `${path} is a link to a file outside of ${root}`, {
      hint: 'name that file with --config, if it is the one you mean',
    });
  return file;
}

/**
 * The root of the repository that contains a folder, or the folder itself. Without symbolic links, if the folder has
 * none.
 */
export function repositoryRoot(folder: string, home: string): string {
  return rootOf(folder, realHome(home));
}

function rootOf(start: string, home: string): string {
  for (let folder = start; folder !== home && dirname(folder) !== folder; folder = dirname(folder))
    if (isRoot(folder)) return folder;
  return start;
}

/** Reads a file that the user named. @throws SecretsError Usage */
export function readNamed(path: string): ReadFile {
  return readFile(path, () => {});
}

/** Reads the user's own file. @throws SecretsError Policy if others can change it */
export function readUserFile(world: World, path: string): ReadFile | undefined {
  try {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw fileError(thrown, 'cannot look for your settings', path);
  }
  return readFile(path, (uid, mode) => {
    if (isForeign(world, uid) || (mode & 0o022) !== 0)
      throw new SecretsError('Policy', `${path}: others can change it`, {
        hint: `it must be yours: chmod go-w ${path}`,
      });
  });
}

/** Opens and reads the file once, so that the file that was checked is the one that is parsed. */
function readFile(path: string, check: (uid: number, mode: number) => void): ReadFile {
  let fd: number | undefined;
  try {
    // Without O_NONBLOCK, opening a pipe would wait for a writer.
    fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const { uid, mode, size } = fstatSync(fd);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG)
      throw new SecretsError('Usage', `${path} is not a file`);
    check(uid, mode);
    const bytes = size > MAX_BYTES ? undefined : readUpTo(fd, MAX_BYTES);
    if (bytes === undefined)
      throw new SecretsError('Usage', `${path} is larger than ${MAX_BYTES / 1024} KiB`, {
        hint: 'a configuration is a short text: check that this is one',
      });
    return { path, realPath: realpathSync.native(path), bytes };
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT')
      throw new SecretsError('Usage', `there is no ${path}`, {
        hint: 'check its name, and where a link leads',
      });
    throw fileError(thrown, 'cannot read the configuration', path);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** The whole content, or undefined if there is more than `max`. */
function readUpTo(fd: number, max: number): Buffer | undefined {
  const buffer = Buffer.alloc(max + 1);
  let length = 0;
  for (;;) {
    const read = readSync(fd, buffer, length, buffer.length - length, null);
    length += read;
    if (length > max) return undefined;
    if (read === 0) return buffer.subarray(0, length);
  }
}
