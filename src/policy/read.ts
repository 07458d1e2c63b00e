/**
 * Reads a policy file, unless somebody else could have written it: the file, its folder and every folder above belong
 * to the user or to root (the machine's to root alone), and nobody else may write them.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SecretsError } from '../core/errors.ts';
import { utf8 } from '../core/utf8.ts';
import { fileError } from '../platform/files.ts';
import type { World } from '../platform/world.ts';
import type { PolicyPlace } from './find.ts';

/** Ten thousand policies. */
const MAX_BYTES = 2 * 1024 * 1024;

/** Who may own the file and its folders. */
type Owners = (uid: number) => boolean;

/** @throws SecretsError Policy if others can change it, Usage if it is no text, Denied if it can't be read */
export function readPolicy(world: World, { layer, path }: PolicyPlace): string {
  const owners: Owners = (uid) =>
    world.uid === undefined || uid === 0 || (layer !== 'machine' && uid === world.uid);
  let fd: number | undefined;
  try {
    // The folder may be reached through links, each of which is checked; the file itself is none.
    const folder = realpathSync(dirname(path));
    for (const one of new Set([...above(path), ...above(join(folder, basename(path)))]))
      check(world, one, lstatSync(one), owners, path);
    // Without O_NONBLOCK, a pipe in its place would hang the program.
    fd = openSync(
      join(folder, basename(path)),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw refused(path, 'is not a file');
    check(world, path, stats, owners, path);
    if (stats.size > MAX_BYTES) throw refused(path, `is larger than ${MAX_BYTES / 1024 / 1024} MiB`);
    const text = utf8(readFileSync(fd));
    if (text === undefined) throw refused(path, 'is not UTF-8');
    return text;
  } catch (thrown) {
    throw fileError(thrown, 'cannot read the policy', path);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** The folders that contain a path, the nearest first. */
function above(path: string): readonly string[] {
  const folder = dirname(path);
  return folder === path ? [] : [folder, ...above(folder)];
}

/** In a sticky folder (/tmp), nobody removes or replaces what is somebody else's. */
const STICKY = 0o1000;

function check(world: World, what: string, stats: Stats, owners: Owners, path: string): void {
  if (world.uid === undefined) return;
  const named = what === path ? 'it' : what;
  if (!owners(stats.uid)) throw othersMay(path, `${named} belongs to uid ${stats.uid}`);
  // Links have no mode of their own; what they lead to is checked as a folder as well.
  const open = stats.isSymbolicLink() ? 0 : stats.mode & 0o022;
  if (open === 0 || (stats.isDirectory() && (stats.mode & STICKY) !== 0)) return;
  if (open === 0o020 && stats.uid === world.uid && isPrivateGroup(world, stats.gid)) return;
  throw othersMay(path, `${named} has mode ${(stats.mode & 0o7777).toString(8)}`, `chmod go-w ${what}`);
}

/**
 * Whether the group is the user's alone, as with umask 002 on systems that give every user one: it is the user's
 * primary group, has no other member, and is nobody else's primary group.
 */
function isPrivateGroup(world: World, gid: number): boolean {
  if (gid === 0 || gid !== process.getgid?.()) return false;
  try {
    const { user } = world.names();
    const fields = (file: string): readonly (readonly string[])[] =>
      readFileSync(file, 'utf8')
        .split('\n')
        .map((line) => line.split(':'));
    const group = fields('/etc/group').find(([, , id]) => id === String(gid));
    const members = (group?.[3] ?? '').split(',').filter((name) => name !== '' && name !== user);
    const primary = fields('/etc/passwd').filter(([, , , id]) => id === String(gid));
    return (
      group !== undefined &&
      members.length === 0 &&
      primary.length === 1 &&
      primary[0]?.[2] === String(world.uid)
    );
  } catch {
    return false;
  }
}

function othersMay(path: string, why: string, command?: string): SecretsError {
  return new SecretsError('Policy', `the policy ${path} is not used: somebody else may write it (${why})`, {
    hint:
      command === undefined
        ? 'nothing is allowed until that is mended'
        : `nothing is allowed until then: ${command}`,
  });
}

function refused(path: string, why: string): SecretsError {
  return new SecretsError('Policy', `the policy ${path} ${why}`, {
    hint: 'nothing is allowed until that is mended',
  });
}
