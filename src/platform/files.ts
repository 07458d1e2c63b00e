/**
 * File system work on what must stay private: for the owner alone, durable, never through a symlink, and with errors that say what
 * to do. Synchronous throughout: the files are small, and the start-up path is faster that way.
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
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { SecretsError } from '../core/errors.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** Whether a call failed since nothing is there: no such name, or something on the way is no folder (HOME=/dev/null). */
export function isMissing(thrown: unknown): boolean {
  const code = codeOf(thrown);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** The system's code of a failed call, such as `ENOENT`. */
export function codeOf(thrown: unknown): string | undefined {
  // Not `instanceof`: an error of the system may be of another realm than this module.
  const code = typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** The login name that the system has for this user, never what the environment says: others sign with it. */
export function systemUser(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    // A container may run as a number that has no name.
    return undefined;
  }
}

/** A failed file system call as the product's error. */
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

/** Makes a folder and its missing parents, each for the owner alone and durable. @returns whether there was none */
export function makePrivateFolder(path: string): boolean {
  try {
    const missing = missingFolders(path);
    for (const folder of missing) {
      try {
        mkdirSync(folder, { mode: 0o700 });
      } catch (thrown) {
        // Another run was faster.
        if (codeOf(thrown) !== 'EEXIST') throw fileError(thrown, 'cannot make a folder', folder);
      }
      // A new folder's entry in its parent must outlive a power cut as surely as what is put into it.
      syncParent(folder);
    }
    return missing.length > 0;
  } catch (thrown) {
    throw fileError(thrown, 'cannot make a folder', path);
  }
}

/**
 * The folders that are missing, outermost first. Not by `mkdir` with `recursive`, which does not say what is in the way.
 * @throws SecretsError for a link that leads nowhere, what is no folder, and another user's home
 */
function missingFolders(path: string): readonly string[] {
  const missing: string[] = [];
  for (let here = path; ; here = dirname(here)) {
    const there = statSync(here, { throwIfNoEntry: false });
    if (there !== undefined) {
      if (!there.isDirectory())
        throw new SecretsError('Invalid', `cannot make a folder: ${here} is no folder`);
      if (missing.length > 0) checkHome(here, there.uid);
      return missing;
    }
    if (lstatSync(here, { throwIfNoEntry: false }) !== undefined)
      throw new SecretsError('Invalid', `cannot make a folder: ${here} is a link to nothing`, {
        hint: 'remove it, or make what it leads to',
      });
    missing.unshift(here);
    if (dirname(here) === here) return missing;
  }
}

/**
 * Root with the HOME of another user (`sudo` without `-H`, `su` without `-`, a container's `HOME`): that user could not
 * use the folder later.
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

/** What other users may be able to do in a folder that is fit for use. */
export type OthersMay = 'nothing' | 'read' | 'anything';

/**
 * Refuses a folder that is a link, somebody else's, or open to others.
 * @returns false when there is none
 * @throws SecretsError Denied, Invalid for what is no folder
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
      hint: 'use one of your own, or change its owner',
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
 * @param secret also refuse one that others can read
 * @returns undefined when there is none
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

/** Creates a file for the owner alone, with its content on disk before it returns. Removes it if that fails. */
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
 * Creates a file that everybody may read (as the umask allows), whole or not at all, never over anything.
 * @returns false when there is something of that name, a link included
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

/** Makes the entries of a folder durable (fsync of the folder, as POSIX wants it for new names). */
export function syncFolder(path: string): void {
  const fd = openSync(path, O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes a file's or folder's own entry in its parent durable, where the user may read that. */
export function syncParent(path: string): void {
  try {
    syncFolder(dirname(path));
  } catch (thrown) {
    if (codeOf(thrown) !== 'EACCES') throw thrown;
  }
}

/** Removes a file; one that is gone already is fine. */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT') throw fileError(thrown, 'cannot remove a file', path);
  }
}

/** The entries of a folder; none when there is no folder. */
export function entriesOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (thrown) {
    if (isMissing(thrown)) return [];
    throw fileError(thrown, 'cannot list the folder', path);
  }
}

/** Puts a file for the owner alone in place, whole or not at all, replacing what was there; never through a link. */
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
