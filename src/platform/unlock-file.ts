/**
 * Reads files that unlock a store: passphrase, key and identity files. They are the user's own 0600 files, or what a
 * service manager or container runtime puts there: systemd's credentials, Docker's secrets, Kubernetes' volumes,
 * a descriptor that the parent opened.
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

/** No key, passphrase or list of identities is longer; `/dev/fd/N` may be endless. */
const MAX_BYTES = 1024 * 1024;
/** How long the writer of a pipe may take. */
const PIPE_MS = 10_000;
const DESCRIPTOR = /^\/(?:dev|proc\/self)\/fd\/(\d{1,6})$/;

/** What came from descriptors, by number: a pipe gives its content only once, and a command may ask twice. */
const fromDescriptors = new Map<number, Buffer>();

/**
 * @param links whether a link of the user's own making is followed, as programs that share the file do
 * @returns undefined when there is none
 * @throws SecretsError Denied for a file that others could have written, or that more users can read than its owner
 * meant; Invalid for what is no file
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
  /** Whether it was reached by a link that Kubernetes made. */
  readonly inVolume: boolean;
}

/**
 * Kubernetes mounts each file of a Secret as a link `NAME -> ..data/NAME`, and `..data` as a link to the folder of the
 * present version (https://kubernetes.io/docs/concepts/configuration/secret/). Such a link is followed, when its owner
 * is root or this user, and no further than its own folder; any other link is not.
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
    // Anybody may write to a volume's folder (1777); the sticky bit leaves links to their owners.
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
 * Who may read it is decided by whoever put it there, when that is root: Docker's secrets are 0444, Kubernetes' 0644
 * without `defaultMode` or 0440 with `fsGroup`, systemd's 0440 with an ACL (systemd.exec(5), Credentials). A file of
 * this user's own is for this user alone.
 */
function checkAccess({ uid, gid, mode }: Stats, { path: real, inVolume }: Place, path: string): void {
  const me = process.geteuid?.();
  if (me === undefined) return;
  if (uid === me && (mode & 0o077) === 0) return;
  if ((mode & 0o022) === 0) {
    if (inVolume && isRootOrMe(uid)) return;
    // A root process tells a mounted secret from a key file that was left open by where it is.
    if (uid === 0 && me !== 0) return;
    if (uid === 0 ? isMounted(real) : isMountPoint(real)) return;
    if (uid !== me && (mode & 0o044) === 0o040 && isOwnGroup(gid)) return;
  }
  if (uid !== me && uid !== 0)
    throw new SecretsError('Denied', `${path} belongs to another user (uid ${uid})`, {
      hint: 'use one of your own, or change its owner',
    });
  const others = (mode & 0o022) !== 0 && uid !== me ? 'can be written by' : 'is open to';
  throw new SecretsError('Denied', `${path} ${others} other users (mode ${(mode & 0o777).toString(8)})`, {
    hint: `run: chmod 600 ${path}`,
  });
}

function isOwnGroup(gid: number): boolean {
  return gid === process.getegid?.() || process.getgroups?.().includes(gid) === true;
}

/** Whether a file, or the folder it is in, was mounted there by itself. */
function isMounted(path: string): boolean {
  return isMountPoint(path) || isMountPoint(dirname(path));
}

/** Only root, or who sets up a container, can make a file a mount point. proc_pid_mountinfo(5), field 5. */
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

/** Whoever started the program chose what its descriptors are: nothing about the file behind one is checked. */
function readDescriptor(descriptor: number, path: string, what: string): Buffer | undefined {
  const known = fromDescriptors.get(descriptor);
  if (known !== undefined) return known;
  let own: number | undefined;
  try {
    // Opened anew it can be waited for with an end; what can't be, such as a socket, is read as it is.
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
        throw new SecretsError(
          'Unavailable',
          `${what} did not come to its end in ${PIPE_MS / 1000} s: ${path}`,
          {
            hint: 'the program that writes to this descriptor must close it',
          },
        );
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
