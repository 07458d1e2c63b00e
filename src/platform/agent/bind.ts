/**
 * Listening on a socket at a path. It is made beside it and moved there: libuv removes the path that it has bound when the
 * server is closed, whoever's socket is there by then.
 */
import { chmodSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:net';
import { dirname } from 'node:path';
import { removeFile } from '../files.ts';

/**
 * Replaces what is at the path, so make sure first that nobody listens there. The folder must be closed to others.
 * @returns what removes the socket, unless by then another is in its place
 * @throws Error as the system has it
 */
export async function bindAt(server: Server, path: string): Promise<() => void> {
  // Short, because the system's limit for paths holds for it as well.
  const made = `${dirname(path)}/.${process.pid.toString(36)}`;
  removeFile(made);
  // Nobody else gets in between making it and its mode: the folder is closed to them. The mask makes sure of both.
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(made, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } finally {
    process.umask(mask);
  }
  try {
    chmodSync(made, 0o600);
    renameSync(made, path);
  } catch (thrown) {
    server.close();
    throw thrown;
  }
  const { ino } = lstatSync(path);
  return () => {
    try {
      if (lstatSync(path).ino === ino) unlinkSync(path);
    } catch {
      // It is gone, or somebody else's.
    }
  };
}
