/**
 * The outside world as one argument: everything a command may read from or do to the machine it runs on. Tests pass
 * their own world, so that no module needs a mock.
 */
import type { EventEmitter } from 'node:events';
import type { Readable, Writable } from 'node:stream';

/** The part of an output stream that is used; it may be a terminal. */
export interface OutputStream extends EventEmitter {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(chunk: string | Uint8Array, done?: (error?: Error | null) => void): boolean;
}
export type InputStream = Readable & { readonly isTTY?: boolean };

export interface World {
  /** The arguments after the program's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
  /** Where this machine's administrator keeps settings for every user. */
  readonly machineFolder: string;
  /** Numeric user id; `undefined` if the system has none. */
  readonly uid: number | undefined;
  /** The user's login name and the machine's name, according to the system. A container may run as a numeric user. */
  readonly names: () => { readonly user: string | undefined; readonly host: string };
  readonly stdin: InputStream;
  readonly stdout: OutputStream;
  /** Prompts are shown here, which requires a complete stream. */
  readonly stderr: OutputStream & Writable;
  readonly now: () => Date;
  /** Calls back on each such signal until the returned function is called. */
  readonly onSignal: (signal: NodeJS.Signals, listener: () => void, place?: 'before others') => () => void;
}

/** XDG base folders (freedesktop.org basedir specification 0.8); relative values are ignored, as it requires. */
export function xdgFolder(
  world: Pick<World, 'env' | 'home'>,
  kind: 'config' | 'data' | 'state' | 'cache',
): string {
  const variable = {
    config: 'XDG_CONFIG_HOME',
    data: 'XDG_DATA_HOME',
    state: 'XDG_STATE_HOME',
    cache: 'XDG_CACHE_HOME',
  };
  const fallback = { config: '.config', data: '.local/share', state: '.local/state', cache: '.cache' };
  const value = world.env[variable[kind]];
  const base = value !== undefined && value.startsWith('/') ? value : `${world.home}/${fallback[kind]}`;
  return `${base}/secrets`;
}
