/**
 * Real pipes to a child. With `stdio: 'pipe'` Node makes a pair of sockets instead: `echo > /dev/stderr` fails on
 * them (open(2), ENXIO), and when the reader closes them, the writer gets ECONNRESET instead of SIGPIPE.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

export interface ChildPipe {
  readonly source: Readable;
  /** The child's end; close it here once the child has it. */
  readonly fd: number;
}

/** Two pipes, created as named pipes whose names are removed at once; `undefined` without `mkfifo`. */
export function makePipes(): readonly [ChildPipe, ChildPipe] | undefined {
  let folder: string;
  try {
    folder = mkdtempSync(join(tmpdir(), 'secrets-pipes-'));
  } catch {
    return undefined;
  }
  try {
    const paths = [join(folder, '1'), join(folder, '2')] as const;
    const { status } = spawnSync('mkfifo', ['-m', '600', ...paths], { stdio: 'ignore' });
    if (status !== 0) return undefined;
    return [openPipe(paths[0]), openPipe(paths[1])];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function openPipe(path: string): ChildPipe {
  // Without O_NONBLOCK, opening would wait for a writer.
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const fd = openSync(path, constants.O_WRONLY);
  return { source: new Socket({ fd: reader, readable: true, writable: false }), fd };
}

export function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // Closed already.
  }
}
