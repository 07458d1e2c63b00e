/** systemd's two conventions: a socket that it has opened (sd_listen_fds(3)), and word that the agent is ready. */
import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import type { World } from '../platform/world.ts';

/** The first descriptor that systemd passes. */
const FIRST_FD = 3;
/** The program must not delay the agent. */
const NOTIFY_MS = 5000;

/** The descriptor of the socket that systemd listens on for this process; undefined if there is none. */
export function givenSocket(env: World['env']): number | undefined {
  const { LISTEN_FDS: count, LISTEN_PID: pid } = env;
  // Inherited by a child of the process that they were meant for, they mean nothing.
  return count === '1' && pid === String(process.pid) ? FIRST_FD : undefined;
}

/** The path of a socket that this process was given: Node only knows those that it has made itself (proc(5)). */
export function pathOfSocket(fd: number): string | undefined {
  try {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
    const line = readFileSync('/proc/net/unix', 'utf8')
      .split('\n')
      .find((one) => one.split(/ +/)[6] === inode);
    return inode === undefined ? undefined : /^(?:\S+ +){7}(\/.*)$/.exec(line ?? '')?.[1];
  } catch {
    return undefined;
  }
}

/**
 * Tells systemd something, such as `READY=1`. Through systemd's own program, because Node has no datagram sockets in
 * the file system; the unit needs `NotifyAccess=all`. Never rejects: a missing program isn't the agent's failure.
 */
export async function notifySystemd(env: World['env'], ...states: readonly string[]): Promise<void> {
  const { NOTIFY_SOCKET: socket, PATH: path } = env;
  if (socket === undefined || socket === '') return;
  await new Promise<void>((resolve) => {
    const child = spawn('systemd-notify', [...states], {
      // No credential of ours is its business.
      env: { NOTIFY_SOCKET: socket, ...(path !== undefined && { PATH: path }) },
      stdio: 'ignore',
      timeout: NOTIFY_MS,
    });
    child.once('error', () => resolve());
    child.once('close', () => resolve());
  });
}
