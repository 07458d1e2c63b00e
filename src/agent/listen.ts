/**
 * The agent's socket: made for this user alone, taken over from an agent that crashed, or given by systemd. Two starts
 * at the same time end with one agent.
 */
import { unlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname } from 'node:path';
import { takeLock } from '../audit/log/lock.ts';
import { SecretsError } from '../core/errors.ts';
import { bindAt } from '../platform/agent/bind.ts';
import { askAgent, NoAgent } from '../platform/agent/connect.ts';
import { findAgents, look, MOST_PATH_BYTES, problemOf, socketPaths } from '../platform/agent/place.ts';
import { checkFolder, codeOf, fileError, isMissing, makePrivateFolder } from '../platform/files.ts';
import type { World } from '../platform/world.ts';
import { givenSocket, pathOfSocket } from './systemd.ts';

/** Another start has to connect, and then to listen. */
const LOCK_MS = 5000;

export interface Listening {
  readonly server: Server;
  readonly path: string;
  /** Removes the socket, unless it is systemd's or by now another agent's. */
  readonly remove: () => void;
}

/**
 * @throws SecretsError Conflict if an agent is running, Denied for a place that others can reach, Usage for a path that
 *   is too long
 */
export async function listen(world: World): Promise<Listening> {
  if (world.uid === undefined)
    throw new SecretsError('Unsupported', 'the agent needs Unix sockets with permissions', {
      hint: 'run secrets without it',
    });
  const given = givenSocket(world.env);
  if (given !== undefined) return listenOn(createServer(), { fd: given }, world, world.uid);
  const path = choosePath(world, world.uid);
  makePrivateFolder(dirname(path));
  checkFolder(dirname(path), 'nothing');
  const lock = await takeLock(`${path}.lock`, LOCK_MS);
  if (!('release' in lock))
    throw new SecretsError('Conflict', `another agent is being started (process ${lock.pid})`, {
      hint: 'try again in a moment',
    });
  try {
    await checkOthers(path, world);
    await clearTheWay(path, world.uid);
    return await listenAt(path);
  } finally {
    lock.release();
  }
}

/** The first place that is safe and short enough. @throws SecretsError Usage if there is none */
function choosePath(world: World, uid: number): string {
  const paths = socketPaths(world);
  for (const path of paths) {
    if (Buffer.byteLength(path) > MOST_PATH_BYTES) continue;
    // The folder of a session that is over, or of the user that `su` was called by.
    const runtime = dirname(dirname(path));
    const isOwn = path === paths.at(-1) || problemOf(runtime, look(runtime), uid, 'folder') === undefined;
    if (isOwn) return path;
  }
  throw new SecretsError('Usage', `the path of the agent’s socket is longer than ${MOST_PATH_BYTES} bytes`, {
    hint: 'set XDG_RUNTIME_DIR or XDG_CACHE_HOME to a shorter path',
  });
}

/**
 * A shell with another XDG_RUNTIME_DIR may have started an agent elsewhere, which commands would ask instead.
 * @throws SecretsError Conflict
 */
async function checkOthers(path: string, world: World): Promise<void> {
  for (const other of findAgents(world))
    if (other.path !== path && other.problem === undefined) await checkFree(other.path);
}

/** @throws SecretsError Conflict if somebody listens there */
async function checkFree(path: string): Promise<void> {
  try {
    const { hello } = await askAgent(path, { op: 'status' });
    throw new SecretsError('Conflict', `an agent is running already (process ${hello.pid})`, {
      hint: 'secrets agent status shows it, secrets agent stop ends it',
    });
  } catch (thrown) {
    if (!(thrown instanceof NoAgent)) throw thrown;
    if (thrown.why !== 'gone')
      throw new SecretsError('Conflict', `something listens at ${path}: ${thrown.message}`, {
        hint:
          thrown.hello === undefined
            ? 'end that program, and start the agent again'
            : `end process ${thrown.hello.pid}, and start the agent again`,
      });
  }
}

/**
 * Removes a socket that nobody listens on. Under the lock: nobody can begin to listen on it meanwhile.
 * @throws SecretsError Conflict if an agent is running
 */
async function clearTheWay(path: string, uid: number): Promise<void> {
  const stats = look(path);
  if (stats === undefined) return;
  const problem = problemOf(path, stats, uid, 'socket');
  if (problem !== undefined)
    throw new SecretsError('Denied', problem, { hint: 'check who created it, then remove it' });
  await checkFree(path);
  try {
    unlinkSync(path);
  } catch (thrown) {
    if (!isMissing(thrown)) throw fileError(thrown, 'cannot remove the old socket', path);
  }
}

async function listenAt(path: string): Promise<Listening> {
  const server = createServer();
  try {
    return { server, path, remove: await bindAt(server, path) };
  } catch (thrown) {
    throw fileError(thrown, `cannot listen (${codeOf(thrown) ?? 'failed'})`, path);
  }
}

async function listenOn(
  server: Server,
  handle: { readonly fd: number },
  world: World,
  uid: number,
): Promise<Listening> {
  await bound(server, () => server.listen(handle));
  const path = pathOfSocket(handle.fd) ?? '';
  const stats = path.startsWith('/') ? look(path) : undefined;
  const problem =
    problemOf(path || 'the socket from systemd', stats, uid, 'socket') ??
    problemOf(dirname(path), look(dirname(path)), uid, 'folder');
  if (problem !== undefined) {
    server.close();
    throw new SecretsError('Denied', problem, {
      hint: 'set SocketMode=0600 and DirectoryMode=0700 in the socket unit',
    });
  }
  if (!socketPaths(world).includes(path)) {
    server.close();
    throw new SecretsError('Usage', `no client looks for the agent at ${path}`, {
      hint: `set ListenStream=${socketPaths(world)[0] ?? ''} in the socket unit`,
    });
  }
  return { server, path, remove: () => undefined };
}

function bound(server: Server, begin: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const path = 'address' in error && typeof error.address === 'string' ? error.address : 'the socket';
      reject(fileError(error, `cannot listen (${codeOf(error) ?? 'failed'})`, path));
    });
    server.once('listening', resolve);
    begin();
  });
}
