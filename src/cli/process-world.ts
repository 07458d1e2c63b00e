/** The world of this process, in which the shipped program runs. */
import { fstatSync, writeSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute } from 'node:path';
import { EventEmitter } from 'node:events';
import { SecretsError } from '../core/errors.ts';
import { codeOf } from '../platform/files.ts';
import { hostName, systemUser } from '../platform/machine.ts';
import type { Kinds, ProgramWorld } from '../config/kinds.ts';
import type { OutputStream, World } from '../platform/world.ts';

// A reader that is gone isn't an error: `secrets list | head -1`. Other stream errors reach the command through its
// write. This handler keeps both from ending in a stack trace.
const ignored = (): void => {};

export function processWorld(kinds: Kinds): ProgramWorld {
  let stdout: OutputStream | undefined;
  return {
    argv: process.argv.slice(2),
    env: environment(),
    get cwd() {
      try {
        return process.cwd();
      } catch (cause) {
        throw new Error('the working directory does not exist any more; change to another one', { cause });
      }
    },
    get home() {
      return homeFolder();
    },
    // Not from a variable: what stands there binds every user.
    machineFolder: '/etc/secrets',
    uid: process.getuid?.(),
    names: () => ({ user: systemUser(), host: hostName() }),
    // Getters, because Node creates each stream on first use, which takes time: a command that reads nothing needs no
    // stdin.
    get stdin() {
      return process.stdin;
    },
    get stdout() {
      stdout ??= quiet(isPlain(1) ? new PlainOutput(1) : process.stdout);
      return stdout;
    },
    get stderr() {
      return quiet(process.stderr);
    },
    now: () => new Date(),
    ...kinds,
    onSignal(signal, listener, place) {
      if (place === 'before others') process.prependListener(signal, listener);
      else process.on(signal, listener);
      return () => process.off(signal, listener);
    },
  };
}

/**
 * The environment, passed on unchanged. This process itself always verifies certificates: Node checks its own
 * environment for this variable at each connection.
 */
function environment(): World['env'] {
  if (process.env['NODE_TLS_REJECT_UNAUTHORIZED'] === undefined) return process.env;
  const env = { ...process.env };
  delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
  return env;
}

/** HOME, or the system's entry for the user. @throws SecretsError if there is neither, or if it is relative */
function homeFolder(): string {
  const home = givenHome();
  if (isAbsolute(home)) return home;
  throw new SecretsError(
    'Usage',
    'HOME is not an absolute path, so a store would be created in the working directory',
    {
      hint: 'set HOME to your own folder',
    },
  );
}

function givenHome(): string {
  try {
    return homedir();
  } catch (cause) {
    throw new SecretsError(
      'Usage',
      'no home folder: HOME is not set, and the system does not know this user',
      {
        hint: 'set HOME to your own folder',
        cause,
      },
    );
  }
}

function quiet<S extends OutputStream>(stream: S): S {
  return stream.listeners('error').includes(ignored) ? stream : stream.on('error', ignored);
}

function isPlain(fd: number): boolean {
  try {
    const info = fstatSync(fd);
    return info.isFIFO() || info.isSocket() || info.isFile();
  } catch {
    return false;
  }
}

/**
 * Output to a pipe, a socket or a file, written synchronously, as `process.stdout` does on POSIX; but that loads
 * Node's networking first, a fifth of the time of `get` on the local store. Not a `Writable`: its queue would have
 * nothing to do, and creating one takes longer than the write.
 */
class PlainOutput extends EventEmitter {
  readonly #fd: number;
  /** Node's own stream, once it has something queued: everything after that must go through it. */
  #waiting: OutputStream | undefined;

  constructor(fd: number) {
    super();
    this.#fd = fd;
  }

  write(chunk: string | Uint8Array, done: (error?: Error | null) => void = ignored): boolean {
    this.#put(typeof chunk === 'string' ? Buffer.from(chunk) : chunk, done);
    return true;
  }

  #put(chunk: Uint8Array, done: (error?: Error | null) => void): void {
    if (this.#waiting !== undefined) {
      this.#waiting.write(chunk, done);
      return;
    }
    let rest = chunk;
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#fd, rest));
    } catch (thrown) {
      // Somebody made the pipe non-blocking and it is full. Node's own stream waits for the reader.
      if (codeOf(thrown) === 'EAGAIN') {
        this.#waiting = process.stdout;
        this.#waiting.write(rest, done);
      } else done(thrown as Error);
      return;
    }
    done();
  }
}
