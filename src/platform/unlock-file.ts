/**
 * Reads files that unlock a store: passphrase, key and identity files. Either the user's own 0600 files, or files
 * from a service manager or container runtime: systemd credentials, Docker secrets, Kubernetes volumes, or a
 * descriptor that the parent opened.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { dirname, sep } from 'node:path';
import { SecretsError } from '../core/errors.ts';
import { codeOf, fileError } from './files.ts';
import { checkContent } from './pinned.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** No key, passphrase or identity list is longer; `/dev/fd/N` may be endless. */
const MAX_BYTES = 1024 * 1024;
/** How long the writer of a pipe may take. */
const PIPE_MS = 10_000;
const DESCRIPTOR = /^\/(?:dev|proc\/self)\/fd\/(\d{1,6})$/;

/** What was read from descriptors, by number: a pipe can only be read once, and a command may ask twice. */
const fromDescriptors = new Map<number, Buffer>();

/**
 * @param links whether to follow a link that the user made, as other programs that use the file do
 * @returns undefined if it doesn't exist
 * @throws SecretsError Denied if others could have written it, or if more users can read it than its owner intended;
 *   Invalid if it isn't a file
 */
export function readUnlockFile(
  path: string,
  what: string,
  links: 'refused' | 'followed' = 'refused',
): Buffer | undefined {
  const descriptor = path === '/dev/stdin' ? '0' : DESCRIPTOR.exec(path)?.[1];
  if (descriptor !== undefined) return readDescriptor(Number(descriptor), path, what);
  const place = throughVolume(path, links);
  let fd: number;
  try {
    // Without O_NONBLOCK, a named pipe in the file's place would hang the program.
    fd = openSync(place.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined;
    throw fileError(thrown, `cannot read ${what}`, path);
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new SecretsError('Invalid', `${what} is not a regular file: ${path}`);
    checkAccess(stats, place, path);
    const content = readFileSync(fd);
    checkContent(path, content);
    return content;
  } catch (thrown) {
    throw fileError(thrown, `cannot read ${what}`, path);
  } finally {
    closeSync(fd);
  }
}

interface Place {
  readonly path: string;
  /** Whether it was reached through a link that Kubernetes made. */
  readonly inVolume: boolean;
}

/**
 * Kubernetes mounts each file of a Secret as a link `NAME -> ..data/NAME`, and `..data` as a link to the folder of
 * the current version (https://kubernetes.io/docs/concepts/configuration/secret/). Such a link is followed if root or
 * this user owns it and it stays within its own folder; other links aren't.
 */
function throughVolume(path: string, links: 'refused' | 'followed'): Place {
  let asItIs = { path, inVolume: false };
  try {
    const link = lstatSync(path);
    if (!link.isSymbolicLink()) return asItIs;
    if (links === 'followed') asItIs = { path: realpathSync(path), inVolume: false };
    if (!readlinkSync(path).startsWith('..data/')) return asItIs;
    if (!isRootOrMe(link.uid)) return asItIs;
    const folder = realpathSync(dirname(path));
    const { uid, mode } = lstatSync(folder);
    // Anybody may write to a volume's folder (1777); the sticky bit protects links from others.
    if (!isRootOrMe(uid) || ((mode & 0o022) !== 0 && (mode & 0o1000) === 0)) return asItIs;
    if (!isRootOrMe(lstatSync(`${folder}/..data`).uid)) return asItIs;
    const real = realpathSync(path);
    return real.startsWith(folder + sep) ? { path: real, inVolume: true } : asItIs;
  } catch {
    return asItIs;
  }
}

function isRootOrMe(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.();
}

/**
 * Root decides who may read the files it provides: Docker's secrets are 0444, Kubernetes' 0644 without `defaultMode`
 * or 0440 with `fsGroup`, systemd's 0440 with an ACL (systemd.exec(5), Credentials). A user's own file must be for
 * that user only.
 */
function checkAccess({ uid, gid, mode }: Stats, { path: real, inVolume }: Place, path: string): void {
  const me = process.geteuid?.();
  if (me === undefined) return;
  if (uid === me && (mode & 0o077) === 0) return;
  if ((mode & 0o022) === 0) {
    if (inVolume && isRootOrMe(uid)) return;
    // If this process is root, only its location tells a mounted secret from a key file that was left open.
    if (uid === 0 && me !== 0) return;
    if (uid === 0 ? isMounted(real) : isMountPoint(real)) return;
    if (uid !== me && (mode & 0o044) === 0o040 && isOwnGroup(gid)) return;
  }
  if (uid !== me && uid !== 0)
    throw new SecretsError('Denied', `${path} belongs to another user (uid ${uid})`, {
      hint: 'use your own, or change its owner',
    });
  const others = (mode & 0o022) !== 0 && uid !== me ? 'can be written by' : 'is open to';
  throw new SecretsError('Denied', `${path} ${others} other users (mode ${(mode & 0o777).toString(8)})`, {
    hint: `run: chmod 600 ${path}`,
  });
}

function isOwnGroup(gid: number): boolean {
  return gid === process.getegid?.() || process.getgroups?.().includes(gid) === true;
}

/** Whether a file, or the folder that contains it, is a mount point. */
function isMounted(path: string): boolean {
  return isMountPoint(path) || isMountPoint(dirname(path));
}

/** Only root, or whoever sets up a container, can make a file a mount point. proc_pid_mountinfo(5), field 5. */
function isMountPoint(path: string): boolean {
  try {
    const real = realpathSync(path);
    if (real === '/') return false;
    const point = real.replaceAll(
      /[ \t\n\\]/g,
      (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`,
    );
    return readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .some((line) => line.split(' ', 5)[4] === point);
  } catch {
    return false;
  }
}

/** Whoever started the program chose its descriptors, so the file behind one isn't checked. */
function readDescriptor(descriptor: number, path: string, what: string): Buffer | undefined {
  const known = fromDescriptors.get(descriptor);
  if (known !== undefined) return known;
  let own: number | undefined;
  try {
    // Reopened, it can be read with a time limit. What can't be reopened, such as a socket, is read directly.
    own = openSync(`/dev/fd/${descriptor}`, O_RDONLY | O_NONBLOCK);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined;
  }
  try {
    const bytes = readAll(own ?? descriptor, path, what);
    fromDescriptors.set(descriptor, bytes);
    return bytes;
  } catch (thrown) {
    if (codeOf(thrown) === 'EBADF') return undefined;
    throw fileError(thrown, `cannot read ${what}`, path);
  } finally {
    if (own !== undefined) closeSync(own);
  }
}

function readAll(fd: number, path: string, what: string): Buffer {
  const chunks: Buffer[] = [];
  const end = Date.now() + PIPE_MS;
  for (let length = 0; ;) {
    const chunk = Buffer.alloc(64 * 1024);
    try {
      const read = readSync(fd, chunk, 0, chunk.length, null);
      if (read === 0) return Buffer.concat(chunks);
      length += read;
      if (length > MAX_BYTES)
        throw new SecretsError('Invalid', `${what} is longer than ${MAX_BYTES} bytes: ${path}`);
      chunks.push(chunk.subarray(0, read));
    } catch (thrown) {
      if (codeOf(thrown) !== 'EAGAIN') throw thrown;
      if (Date.now() > end)
        throw new SecretsError('Unavailable', `${what} did not end within ${PIPE_MS / 1000} s: ${path}`, {
          hint: 'the program that writes to this descriptor must close it',
        });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
