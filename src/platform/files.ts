/**
 * File system operations on private files: for the owner only, durable, never through a symlink, and with errors that
 * say what to do. All synchronous: the files are small, and start-up is faster that way.
 */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { SecretsError } from '../core/errors.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/**
 * Whether a call failed because the path doesn't exist, or because one of its parents isn't a folder
 * (HOME=/dev/null).
 */
export function isMissing(thrown: unknown): boolean {
  const code = codeOf(thrown);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** The system's code of a failed call, such as `ENOENT`. */
export function codeOf(thrown: unknown): string | undefined {
  // Not `instanceof`: the error may come from another realm than this module.
  const code = typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** Converts a failed file system call to the product's error. */
export function fileError(thrown: unknown, what: string, path: string): SecretsError {
  if (thrown instanceof SecretsError) return thrown;
  const code = codeOf(thrown);
  const fail = (
    kind: ConstructorParameters<typeof SecretsError>[0],
    why: string,
    hint: string,
  ): SecretsError => new SecretsError(kind, `${what}: ${why}: ${path}`, { hint, cause: thrown });
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return fail('Failed', 'the disk is full', 'nothing was changed; make room and repeat');
    case 'EROFS':
      return fail('Denied', 'the file system is read-only', 'remount it writable, or use another place');
    case 'EACCES':
    case 'EPERM':
      return fail('Denied', 'permission denied', 'check its owner and mode: ls -ld shows them');
    case 'ELOOP':
      return fail(
        'Denied',
        'is a symbolic link, and links are not followed here',
        'put the real file in its place',
      );
    case 'EMLINK':
    case 'ENOTSUP':
    case 'ENOSYS':
      return fail('Unsupported', 'the file system has no hard links', 'use one that has them');
    default:
      return fail('Failed', code ?? 'failed', 'run with --debug for details');
  }
}

/** Creates a folder and its missing parents, for the owner only and durably. @returns whether any was missing */
export function makePrivateFolder(path: string): boolean {
  try {
    const missing = missingFolders(path);
    for (const folder of missing) {
      try {
        mkdirSync(folder, { mode: 0o700 });
      } catch (thrown) {
        // Another process was faster.
        if (codeOf(thrown) !== 'EEXIST') throw fileError(thrown, 'cannot create a folder', folder);
      }
      // A new folder's entry in its parent must survive a power failure as surely as its content.
      syncParent(folder);
    }
    return missing.length > 0;
  } catch (thrown) {
    throw fileError(thrown, 'cannot create a folder', path);
  }
}

/**
 * The missing folders, outermost first. Not `mkdir` with `recursive`, which doesn't say what is in the way.
 * @throws SecretsError for a dangling link, something that isn't a folder, and another user's home
 */
function missingFolders(path: string): readonly string[] {
  const missing: string[] = [];
  for (let here = path; ; here = dirname(here)) {
    const entry = lstatSync(here, { throwIfNoEntry: false });
    if (entry !== undefined) {
      const there = entry.isSymbolicLink() ? statSync(here, { throwIfNoEntry: false }) : entry;
      if (there === undefined)
        throw new SecretsError('Invalid', `cannot create a folder: ${here} is a link to nothing`, {
          hint: 'remove it, or create its target',
        });
      if (!there.isDirectory())
        throw new SecretsError('Invalid', `cannot create a folder: ${here} is not a folder`);
      if (missing.length > 0) checkHome(here, there.uid);
      return missing;
    }
    missing.unshift(here);
    if (dirname(here) === here) return missing;
  }
}

/**
 * Rejects root with another user's HOME (`sudo` without `-H`, `su` without `-`, a container's `HOME`): that user
 * could not use the folder later.
 */
function checkHome(folder: string, owner: number): void {
  if (process.geteuid?.() !== 0 || owner === 0 || owner !== ownerOfHome()) return;
  throw new SecretsError('Denied', `${folder} belongs to another user (uid ${owner}), as HOME does`, {
    hint: 'run it as that user, or with a HOME of your own: sudo -H',
  });
}

function ownerOfHome(): number | undefined {
  const { HOME: home = '' } = process.env;
  return home === '' ? undefined : statSync(home, { throwIfNoEntry: false })?.uid;
}

/** What other users may be allowed to do in an acceptable folder. */
export type OthersMay = 'nothing' | 'read' | 'anything';

/**
 * Rejects a folder that is a link, belongs to another user, or is open to others.
 * @returns false if it doesn't exist
 * @throws SecretsError Denied, Invalid if it isn't a folder
 */
export function checkFolder(path: string, others: OthersMay): boolean {
  let stats;
  try {
    stats = lstatSync(path);
  } catch (thrown) {
    if (isMissing(thrown)) return false;
    throw fileError(thrown, 'cannot look at the folder', path);
  }
  if (stats.isSymbolicLink()) {
    throw new SecretsError('Denied', `a symbolic link is not followed: ${path}`, {
      hint: 'name the real folder instead',
    });
  }
  if (!stats.isDirectory()) throw new SecretsError('Invalid', `this is not a folder: ${path}`);
  checkOwner(stats.uid, path);
  const open = stats.mode & { nothing: 0o077, read: 0o022, anything: 0 }[others];
  if (open !== 0) throw openToOthers(path, stats.mode, 'chmod 700');
  return true;
}

function checkOwner(uid: number, path: string): void {
  const own = process.getuid?.();
  if (own !== undefined && uid !== own) {
    throw new SecretsError('Denied', `${path} belongs to another user (uid ${uid})`, {
      hint: 'use your own, or change its owner',
    });
  }
}

function openToOthers(path: string, mode: number, command: string): SecretsError {
  return new SecretsError('Denied', `${path} is open to other users (mode ${(mode & 0o777).toString(8)})`, {
    hint: `run: ${command} ${path}`,
  });
}

/**
 * Reads a whole file that must not be a link.
 * @param secret also reject a file that others can read
 * @returns undefined if it doesn't exist
 */
export function readPrivateFile(path: string, what: string, secret: boolean): Buffer | undefined {
  let fd: number;
  try {
    // Without O_NONBLOCK, a named pipe in the file's place would hang the program.
    fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw fileError(thrown, `cannot read ${what}`, path);
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new SecretsError('Invalid', `${what} is not a regular file: ${path}`);
    if (secret) {
      checkOwner(stats.uid, path);
      if ((stats.mode & 0o077) !== 0) throw openToOthers(path, stats.mode, 'chmod 600');
    }
    return readFileSync(fd);
  } catch (thrown) {
    throw fileError(thrown, `cannot read ${what}`, path);
  } finally {
    closeSync(fd);
  }
}

/** Creates a file for the owner only, with its content on disk before this returns. Removes it on failure. */
export function createPrivateFile(path: string, content: Uint8Array, what: string): void {
  let fd: number;
  try {
    fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  } catch (thrown) {
    throw fileError(thrown, `cannot write ${what}`, path);
  }
  try {
    for (let done = 0; done < content.length;) done += writeSync(fd, content, done);
    fsyncSync(fd);
  } catch (thrown) {
    removeFile(path);
    throw fileError(thrown, `cannot write ${what}`, path);
  } finally {
    closeSync(fd);
  }
}

/**
 * Atomically creates a file that everybody may read (as the umask allows). Never overwrites.
 * @returns false if the name exists already, even as a link
 */
export function createFile(path: string, content: Uint8Array, what: string): boolean {
  const tmp = `${path}.${process.pid}.${Date.now().toString(36)}.tmp`;
  try {
    writeFileSync(tmp, content, { flag: 'wx', mode: 0o644, flush: true });
    try {
      linkSync(tmp, path);
      return true;
    } finally {
      removeFile(tmp);
    }
  } catch (thrown) {
    if (codeOf(thrown) === 'EEXIST') return false;
    throw fileError(thrown, `cannot write ${what}`, path);
  }
}

/** Makes the entries of a folder durable (fsync of the folder, which POSIX requires for new names). */
export function syncFolder(path: string): void {
  const fd = openSync(path, O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes the entry of a file or folder in its parent durable, if the user may read the parent. */
export function syncParent(path: string): void {
  try {
    syncFolder(dirname(path));
  } catch (thrown) {
    if (codeOf(thrown) !== 'EACCES') throw thrown;
  }
}

/** Removes a file; succeeds if it doesn't exist. */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT') throw fileError(thrown, 'cannot remove a file', path);
  }
}

/** The entries of a folder; empty if it doesn't exist. */
export function entriesOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (thrown) {
    if (isMissing(thrown)) return [];
    throw fileError(thrown, 'cannot list the folder', path);
  }
}

/** Atomically creates or replaces a file for the owner only; never through a link. */
export function replacePrivateFile(path: string, content: Uint8Array, what: string): void {
  const tmp = `${path}.${process.pid}.${Date.now().toString(36)}.tmp`;
  createPrivateFile(tmp, content, what);
  try {
    renameSync(tmp, path);
  } catch (thrown) {
    removeFile(tmp);
    throw fileError(thrown, `cannot write ${what}`, path);
  }
}
