/**
 * Starts the child in one of three ways: replacing this process, beside it on the same streams, or through masking
 * pipes.
 */
import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { SecretsError } from '../core/errors.ts';
import type { MaskedStream } from '../core/redaction/redactor.ts';
import { codeOf } from '../platform/files.ts';
import type { OutputStream, World } from '../platform/world.ts';
import { closeQuietly, makePipes } from './pipes.ts';
import { exitCodeOf, type SignalRelay } from './signals.ts';

/** Creates masking streams. */
export interface Masks {
  stream(): MaskedStream;
}

export interface Start {
  readonly file: string;
  /** The program as the user wrote it; its argv[0]. */
  readonly argv0: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** How the child ended: `code` is its own exit code, or 128 + the signal's number. */
export interface Ended {
  readonly code: number;
  readonly signal: NodeJS.Signals | null;
}

/** The program was found but could not be started: 127 and 126 as in shells (POSIX XCU 2.8.2), otherwise 125. */
export class StartError extends SecretsError {
  readonly code: number;

  constructor(start: Start, cause: unknown) {
    const system = codeOf(cause) ?? 'failed';
    const why = START_FAILURES[system] ?? [125, system];
    super('Failed', `the program ${JSON.stringify(start.argv0)} can’t be started: ${why[1]}`, { cause });
    this.code = why[0];
  }
}

const START_FAILURES: Readonly<Record<string, readonly [number, string]>> = {
  ENOENT: [127, 'it or its interpreter does not exist'],
  EACCES: [126, 'permission denied'],
  ENOEXEC: [126, 'it is not a program for this machine'],
  E2BIG: [126, 'its arguments and variables are too large; give large values with --file'],
  ETXTBSY: [126, 'it is being written'],
  ENOTDIR: [126, 'not a directory'],
  ELOOP: [126, 'too many symbolic links'],
};

type Execve = (file: string, args: readonly string[], env: Readonly<Record<string, string>>) => never;
/** A stream of a pipe or terminal. Undocumented, so every step is optional. */
type Handled = { readonly [name in '_handle']?: { readonly setBlocking?: (on: boolean) => void } };
export const ENV_PROGRAM = '/usr/bin/env';

/**
 * Replaces this process with the program, so that no wrapper remains. Returns only if that isn't possible here.
 *
 * `process.execve` (Node 22.15) leaves two of Node's settings to the program: SIGPIPE and SIGXFSZ are ignored, and
 * pipes don't block. So the streams are reset first, and the signals by GNU env (coreutils 8.31), which then becomes
 * the program. Without such an `env` the child is spawned.
 */
export function replaceProcess(start: Start, world: World): void {
  const execve = (process as { execve?: Execve }).execve;
  if (execve === undefined || !viaEnv(start) || !resetsSignals()) return;
  for (const stream of [world.stdin, world.stdout, world.stderr]) {
    (stream as Handled)['_handle']?.setBlocking?.(true);
  }
  try {
    const args = ['env', '--default-signal=PIPE,XFSZ', '--', start.argv0, ...start.args];
    execve.call(process, ENV_PROGRAM, args, start.env);
  } catch {
    // For example, too many arguments. Spawning reports that properly.
  }
}

/** Whether `env` can start the program: it exists, and it wouldn't misread the name as an option or assignment. */
export function viaEnv({ argv0 }: Start): boolean {
  return argv0 !== '-' && !argv0.includes('=') && existsSync(ENV_PROGRAM);
}

function resetsSignals(): boolean {
  try {
    return readFileSync(ENV_PROGRAM).includes('default-signal');
  } catch {
    return false;
  }
}

/** Runs the child on our own streams. @throws StartError */
export function runInherited(start: Start, relay: SignalRelay): Promise<Ended> {
  return waitFor(start, spawnChild(start, 'inherit'), relay);
}

/** Runs the child with masked stdout and stderr. @throws StartError */
export async function runMasked(start: Start, relay: SignalRelay, masks: Masks): Promise<Ended> {
  // Not the streams of `world`, whose writes may block: signals must get through while a reader is slow.
  const { stdout, stderr } = process;
  for (const stream of [stdout, stderr]) stream.on('error', () => {});
  const pipes = makePipes();
  let child: ChildProcess;
  try {
    child = spawnChild(start, ['inherit', pipes?.[0].fd ?? 'pipe', pipes?.[1].fd ?? 'pipe']);
  } finally {
    for (const pipe of pipes ?? []) closeQuietly(pipe.fd);
  }
  const pumps = [
    new Pump(pipes?.[0].source ?? child.stdout, masks, stdout),
    new Pump(pipes?.[1].source ?? child.stderr, masks, stderr),
  ];
  try {
    return await waitFor(start, child, relay);
  } finally {
    await Promise.all(pumps.map((pump) => pump.drained()));
  }
}

function spawnChild(start: Start, stdio: StdioOptions): ChildProcess {
  try {
    return spawn(start.file, [...start.args], { argv0: start.argv0, env: { ...start.env }, stdio });
  } catch (thrown) {
    throw new StartError(start, thrown);
  }
}

function waitFor(start: Start, child: ChildProcess, relay: SignalRelay): Promise<Ended> {
  relay.attach({ pid: child.pid, kill: (signal) => child.kill(signal) });
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new StartError(start, error)));
    child.once('exit', (code, signal) => {
      const ended = { code: exitCodeOf(code, signal), signal };
      relay.childEnded(ended.code);
      resolve(ended);
    });
  });
}

/** After a pause this long, a short partial match of a secret is written as it is … */
const RELEASE_MS = 50;
/** … and after this long, a longer one is written as a mask. */
const RELEASE_ALL_MS = 1000;
/** After the child has ended: how long its own children may be silent before we stop reading. */
const DRAIN_MS = 1000;

/** Calls back after a period without activity. */
export class SilenceWatch {
  #last = Date.now();
  #busy = false;
  #timer: NodeJS.Timeout | undefined;

  /** Notes activity; while `busy`, it continues. */
  note(busy: boolean): void {
    this.#busy = busy;
    this.#last = Date.now();
  }

  start(silent: () => void): void {
    this.#last = Date.now();
    this.#timer ??= setInterval(() => {
      if (!this.#busy && Date.now() - this.#last >= DRAIN_MS) silent();
    }, DRAIN_MS / 4);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** Writes out what a masking stream holds back when the output pauses. */
export class PauseTimer {
  readonly #stream: MaskedStream;
  readonly #write: (bytes: Buffer) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: MaskedStream, write: (bytes: Buffer) => void) {
    this.#stream = stream;
    this.#write = write;
  }

  start(): void {
    this.stop();
    if (this.#stream.pending) this.#timer = setTimeout(() => this.#first(), RELEASE_MS);
  }

  #first(): void {
    this.#write(this.#stream.release(false));
    if (!this.#stream.pending) return;
    this.#timer = setTimeout(() => this.#write(this.#stream.release(true)), RELEASE_ALL_MS - RELEASE_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** Copies one of the child's output streams to ours. */
class Pump {
  readonly #source: Readable | null;
  readonly #sink: OutputStream;
  readonly #done: Promise<void>;
  readonly #watch = new SilenceWatch();

  constructor(source: Readable | null, masks: Masks, sink: OutputStream) {
    this.#source = source;
    this.#sink = sink;
    this.#done = this.#run(masks.stream());
  }

  /**
   * Resolves when everything is written. A daemon that the child left behind doesn't keep us here once it is silent.
   */
  async drained(): Promise<void> {
    this.#watch.start(() => this.#source?.destroy());
    await this.#done;
    this.#watch.stop();
  }

  async #run(stream: MaskedStream): Promise<void> {
    if (this.#source === null) return;
    const pause = new PauseTimer(stream, (bytes) => void this.#write(bytes));
    try {
      for await (const chunk of this.#source) {
        pause.stop();
        // While our own reader is slow, the child doesn't count as silent.
        this.#watch.note(true);
        await this.#write(stream.write(chunk as Buffer));
        this.#watch.note(false);
        pause.start();
      }
    } catch {
      // We closed it: in `drained` or in `#write`.
    }
    pause.stop();
    await this.#write(stream.end());
  }

  #write(bytes: Buffer): Promise<void> {
    if (bytes.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#sink.write(bytes, (error) => {
        // Our reader is gone. The child notices at its next write, as it would without us.
        if (error) this.#source?.destroy();
        resolve();
      });
    });
  }
}
