/** What the real database servers of the tests have in common: a private folder, and a user that is not root. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A running database server, whichever it is. */
export interface Database {
  readonly port: number;
  readonly admin: { readonly username: string; readonly password: string };
  /** PEM file of its RSA key, for MySQL's own plugins where there is no TLS. */
  readonly serverKey?: string;
  /** Its major version. */
  readonly version: number;
  /** Runs statements as the superuser. */
  sql(...statements: readonly string[]): Promise<void>;
  /** Whether the sign-in succeeds; throws for anything but a refused password. */
  accepts(username: string, password: string): Promise<boolean>;
  /** Everything that the server has logged, statements among it. */
  log(): string;
  /** Ends the server at once; its data stays. */
  halt(): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
}

/** nobody: PostgreSQL and MariaDB refuse to run as root, or should. */
const NOBODY = 65_534;
const asRoot = process.getuid?.() === 0;

export interface Place {
  readonly folder: string;
  /** Runs a program to its end, as nobody where the tests run as root. */
  run(command: string, args: readonly string[], input?: string): string;
  start(command: string, args: readonly string[]): ChildProcess;
  remove(): void;
}

export function makePlace(name: string): Place {
  const folder = mkdtempSync(join(tmpdir(), `secrets-${name}-`));
  if (asRoot) chownSync(folder, NOBODY, NOBODY);
  mkdirSync(join(folder, 'run'));
  if (asRoot) chownSync(join(folder, 'run'), NOBODY, NOBODY);
  const options = {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder, LC_ALL: 'C.UTF-8', TMPDIR: folder },
    ...(asRoot && { uid: NOBODY, gid: NOBODY }),
  };
  return {
    folder,
    run: (command, args, input) =>
      execFileSync(command, args, {
        ...options,
        encoding: 'utf8',
        stdio: 'pipe',
        ...(input !== undefined && { input }),
      }),
    start: (command, args) => spawn(command, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** @param at a port of the loopback interface, or the path of a socket */
export async function untilAccepts(at: number | string, child: ChildProcess): Promise<void> {
  const end = Date.now() + 120_000;
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-10_000)));
  while (!(await accepts(at))) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}: ${errors}`);
    if (Date.now() > end) throw new Error(`the server was not ready in time: ${errors}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function accepts(at: number | string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = typeof at === 'number' ? connect(at, '127.0.0.1') : connect(at);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill(signal);
  });
}

/** A file's text; empty when there is none. */
export function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
