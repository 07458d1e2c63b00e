/** Runs the child in its own pseudo-terminal, so that it still sees a terminal although its output is masked. */
import { readSync } from 'node:fs';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import type { World } from '../platform/world.ts';
import { Keyboard } from './keyboard.ts';
import { exitCodeOf, type SignalRelay } from './signals.ts';
import {
  type Ended,
  ENV_PROGRAM,
  type Masks,
  PauseTimer,
  SilenceWatch,
  type Start,
  StartError,
  viaEnv,
} from './start.ts';

export type Pty = typeof import('@lydell/node-pty');
type IPty = import('@lydell/node-pty').IPty;

/** The optional package; `undefined` if it isn't installed or has no build for this system. */
export async function loadPty(): Promise<Pty | undefined> {
  try {
    return await import('@lydell/node-pty');
  } catch {
    return undefined;
  }
}

/** In raw mode our terminal sends no signals itself, so every signal that arrives is for the child. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/**
 * @param relay gets the child's process id, but forwards nothing itself
 * @throws StartError
 */
export async function runInTerminal(
  pty: Pty,
  start: Start,
  relay: SignalRelay,
  masks: Masks,
  world: World,
): Promise<Ended> {
  const child = spawn(pty, start, world.cwd);
  relay.stop();
  relay.attach({ pid: child.pid, kill: (signal) => child.kill(signal) });
  const stream = masks.stream();
  const pause = new PauseTimer(stream, (bytes) => world.stdout.write(bytes));
  const onData = (data: Buffer): void => {
    world.stdout.write(stream.write(data));
    // Writing to a terminal blocks, however slow it is, so by now everything is written.
    silence.note(false);
    pause.start();
  };
  const silence = keepReading(child, onData);
  // The package types its data as text, but without an encoding both directions are bytes.
  child.onData((data: string | Buffer) => onData(Buffer.from(data as string)));
  const keyboard = new Keyboard(process.stdin, child, (data) => child.write(data as unknown as string));
  const stopListening = listen(child, keyboard);
  try {
    return await new Promise<Ended>((resolve) => {
      child.onExit(({ exitCode, signal }) => {
        const ended = endOf(exitCode, signal);
        relay.childEnded(ended.code);
        resolve(ended);
      });
    });
  } finally {
    pause.stop();
    silence.stop();
    world.stdout.write(stream.end());
    stopListening();
    keyboard.close();
  }
}

/** @throws StartError */
function spawn(pty: Pty, start: Start, cwd: string): IPty {
  try {
    return pty.spawn(...commandOf(start), {
      ...terminalSize(),
      ...(start.env['TERM'] !== undefined && { name: start.env['TERM'] }),
      cwd,
      env: { ...start.env },
      encoding: null,
    });
  } catch (thrown) {
    throw new StartError(start, thrown);
  }
}

function terminalSize(): { cols: number; rows: number } {
  const { columns, rows } = process.stdout;
  return { cols: columns || 80, rows: rows || 24 };
}

/** Passes on the terminal's size and the signals. @returns what ends that */
function listen(child: IPty, keyboard: Keyboard): () => void {
  const onResize = (): void => {
    const { cols, rows } = terminalSize();
    child.resize(cols, rows);
  };
  process.stdout.on('resize', onResize);
  const listeners: [NodeJS.Signals, () => void][] = SIGNALS.map((signal) => [
    signal,
    () => child.kill(signal),
  ]);
  listeners.push(['SIGTSTP', () => keyboard.stop()]);
  listeners.push(['SIGCONT', () => keyboard.resume()]);
  for (const [signal, listener] of listeners) process.on(signal, listener);
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener);
    process.stdout.off('resize', onResize);
  };
}

/**
 * Starts the program through `env` if possible: the package doesn't support argv[0], and if a program can't be
 * started, it ends with the package's own message and code 1.
 */
function commandOf(start: Start): [file: string, args: string[]] {
  if (!viaEnv(start)) return [start.file, [...start.args]];
  return [ENV_PROGRAM, ['--', start.argv0, ...start.args]];
}

/**
 * Keeps the end of the output from being lost. The package closes its side 200 ms after the child has ended, whether
 * everything was read or not (its unixTerminal.js), and libuv takes the other side's hang-up for the end although
 * there is more to read (uv__stream_io: a read of fewer bytes than the buffer has, which reads from a terminal always
 * are). Both happen with a slow terminal.
 */
function keepReading(child: object, onData: (data: Buffer) => void): SilenceWatch {
  const watch = new SilenceWatch();
  const { _socket: socket, fd } = child as { readonly _socket?: Socket; readonly fd?: number };
  if (socket === undefined || fd === undefined) return watch;
  const destroy = socket.destroy.bind(socket);
  let ended = false;
  const finish = (error?: Error): Socket => {
    if (!ended) readRest(fd, onData);
    ended = true;
    return destroy(error);
  };
  socket.destroy = (error?: Error): Socket => {
    if (error !== undefined || socket.readableEnded) return finish(error);
    // Some process of the session is still running and may write.
    watch.start(() => finish());
    return socket;
  };
  return watch;
}

function readRest(fd: number, onData: (data: Buffer) => void): void {
  const buffer = Buffer.alloc(65_536);
  try {
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer))
      onData(buffer.subarray(0, count));
  } catch {
    // EIO: the other side is closed and everything is read. EAGAIN: it is open but silent.
  }
}

function endOf(exitCode: number, number: number | undefined): Ended {
  const signal = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  if (signal === undefined) return { code: number ? 128 + number : exitCode, signal: null };
  return { code: exitCodeOf(null, signal as NodeJS.Signals), signal: signal as NodeJS.Signals };
}
