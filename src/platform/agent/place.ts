/**
 * Where the agent's socket is, and whether it can be believed to be the user's own. `get` looks here on each start, so
 * this imports little and makes one or two system calls if there is no agent.
 */
import { lstatSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { type World, xdgFolder } from '../world.ts';

const NAME = 'agent.sock';
/** The shortest limit of the systems that have Unix sockets, without the NUL (macOS: 104 bytes, Linux: 108). */
export const MOST_PATH_BYTES = 103;

type Place = Pick<World, 'env' | 'home' | 'uid'>;

/** A socket, or why it isn't used. */
export type FoundAgent = { readonly path: string; readonly problem?: string };

/** In the order in which they are looked at. */
export function socketPaths({ env, home }: Pick<World, 'env' | 'home'>): readonly string[] {
  const runtime = env['XDG_RUNTIME_DIR'] ?? '';
  const own = `${xdgFolder({ env, home }, 'cache')}/agent/${NAME}`;
  return runtime.startsWith('/') ? [`${runtime}/secrets/${NAME}`, own] : [own];
}

/** The agent of this user, whether it answers or not; undefined if there is none, or it is turned off. */
export function findAgent(place: Place): FoundAgent | undefined {
  if (isOff(place.env)) return undefined;
  let doubtful: FoundAgent | undefined;
  for (const found of findAgents(place)) {
    if (found.problem === undefined) return found;
    doubtful ??= found;
  }
  return doubtful;
}

/**
 * Every socket of this user's agents, turned off or not: a shell without XDG_RUNTIME_DIR may have started one, and another
 * shell a second.
 */
export function* findAgents(place: Place): Iterable<FoundAgent> {
  if (place.uid === undefined) return;
  for (const path of socketPaths(place)) {
    const socket = look(path);
    if (socket === undefined) continue;
    const problem =
      problemOf(path, socket, place.uid, 'socket') ??
      problemOf(dirname(path), look(dirname(path)), place.uid, 'folder');
    yield problem === undefined ? { path } : { path, problem };
  }
}

/** `SECRETS_AGENT=0`. */
export function isOff(env: World['env']): boolean {
  return ['0', 'off', 'no', 'false'].includes(env['SECRETS_AGENT']?.toLowerCase() ?? '');
}

/** Why something at this path isn't for this user alone, as a clause; undefined if it is. */
export function problemOf(
  path: string,
  stats: Stats | undefined,
  uid: number,
  kind: 'socket' | 'folder',
): string | undefined {
  if (stats === undefined) return `${path} can’t be read`;
  if (stats.isSymbolicLink()) return `${path} is a symbolic link`;
  if (kind === 'socket' ? !stats.isSocket() : !stats.isDirectory()) return `${path} is not a ${kind}`;
  if (stats.uid !== uid) return `${path} belongs to another user (uid ${stats.uid})`;
  const mode = stats.mode & 0o777;
  return (mode & 0o077) === 0 ? undefined : `${path} is open to others (mode ${mode.toString(8)})`;
}

/** What is there; undefined if nothing is, or it can't be looked at. */
export function look(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    // Nothing is there, or it is in a runtime folder of another user, after `su`.
    return undefined;
  }
}
