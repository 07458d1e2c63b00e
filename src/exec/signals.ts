/** Forwards signals from our parent or terminal to the child. */
import { constants } from 'node:os';
import { statFields } from '../platform/process-identity.ts';

/**
 * Signals that end a process by default, besides those that people send: timers set before this program started,
 * resource limits, and signals from the system. Those that the system lacks are left out.
 */
export const ALSO_ENDING = (
  [
    'SIGALRM',
    'SIGVTALRM',
    'SIGPROF',
    'SIGXCPU',
    'SIGXFSZ',
    'SIGABRT',
    'SIGIO',
    'SIGPWR',
    'SIGSTKFLT',
    'SIGSYS',
    'SIGTRAP',
  ] as NodeJS.Signals[]
).filter((signal) => signal in constants.signals);

/**
 * Forwarded to the child. SIGKILL and SIGSTOP can't be caught; SIGPIPE, SIGCHLD and faults concern only this process.
 */
const FORWARDED = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
  'SIGCONT',
  'SIGTSTP',
  ...ALSO_ENDING,
] as const;
/** The terminal driver sends these to its whole foreground group, so the child has already received them. */
const FROM_TERMINAL: ReadonlySet<string> = new Set(['SIGINT', 'SIGQUIT', 'SIGWINCH', 'SIGTSTP']);
/** How long the child may take to stop after SIGTSTP; a full-screen program restores the terminal first. */
const STOP_WAIT_MS = 1000;
const STOP_POLL_MS = 10;

/** Signals that ask the run to end. */
const ENDING: ReadonlySet<string> = new Set(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', ...ALSO_ENDING]);
/** After the child has ended and such a signal has arrived: how long a reader may take for the remaining output. */
const HURRY_MS = 2000;

/** `128 + N`, as in shells (POSIX XCU 2.8.2). */
export function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number {
  return signal === null ? (code ?? 1) : 128 + constants.signals[signal];
}

export interface SignalTarget {
  readonly pid?: number | undefined;
  kill(signal: NodeJS.Signals): void;
}

/**
 * Forwards signals to a child in our process group, from construction until `stop`.
 *
 * Node doesn't say who sent a signal. While our process group is in the foreground of our terminal, signals that
 * terminals send are assumed to come from the terminal, which sent them to the child as well; a `kill -INT` to this
 * process alone isn't forwarded then. In the background, under a supervisor or as PID 1, every signal is forwarded.
 */
export class SignalRelay {
  readonly #watch: (pid: number | undefined) => void;
  #target: SignalTarget | undefined;
  #interrupted = false;
  #ending = false;
  /** The child's exit code, once it has ended. */
  #code: number | undefined;
  readonly #hadTerminal = terminalOf() !== undefined;
  readonly #listeners: readonly (readonly [NodeJS.Signals, () => void])[];

  /** @param watch called with the child's process id when it starts, and with undefined when it has ended */
  constructor(watch: (pid: number | undefined) => void = () => {}) {
    this.#watch = watch;
    this.#listeners = FORWARDED.map((signal) => [signal, () => this.#receive(signal)] as const);
    for (const [signal, listener] of this.#listeners) process.on(signal, listener);
  }

  /**
   * Forwards signals to this child from now on. Construct the relay before starting the child, so that no signal is
   * lost.
   */
  attach(target: SignalTarget): void {
    this.#target = target;
    this.#code = undefined;
    if (target.pid !== undefined) this.#watch(target.pid);
  }

  /** Sends a signal of our own to the child. */
  send(signal: NodeJS.Signals): void {
    if (this.#code === undefined) this.#target?.kill(signal);
  }

  get pid(): number | undefined {
    return this.#target?.pid;
  }

  /** Whether the child has ended; its output may still be arriving. */
  get ended(): boolean {
    return this.#code !== undefined;
  }

  /**
   * The child is about to be replaced: a signal that it received earlier and survived doesn't count as a request to
   * end.
   */
  replacing(): void {
    this.#ending = false;
    this.#interrupted = false;
  }

  /**
   * The child has ended, but a reader may not have taken all of its output. After a signal that ended the child, or
   * that arrives now, don't wait for that reader forever.
   */
  childEnded(code: number): void {
    this.#code = code;
    this.#watch(undefined);
    if (this.#ending) this.#hurry();
  }

  /** Whether the user pressed Ctrl-C. If so, shells expect this process to die of SIGINT like the child did. */
  get interrupted(): boolean {
    return this.#interrupted;
  }

  /** Waits for the terminal's SIGINT, which may reach us just after the child's death from it. */
  async settle<T extends { readonly signal: NodeJS.Signals | null }>(outcome: T): Promise<T> {
    for (let turn = 0; turn < 10 && outcome.signal === 'SIGINT' && !this.#interrupted; turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return outcome;
  }

  stop(): void {
    for (const [signal, listener] of this.#listeners) process.off(signal, listener);
  }

  #receive(signal: NodeJS.Signals): void {
    const fromTerminal = this.#fromTerminal(signal);
    // After the first Ctrl-C, a pager may go on reading for as long as it wants.
    const first = fromTerminal && signal === 'SIGINT' && !this.#interrupted;
    if (first) this.#interrupted = true;
    else if (ENDING.has(signal)) this.#ending = true;
    if (this.#code !== undefined) {
      if (this.#ending) this.#hurry();
      return;
    }
    if (!fromTerminal) this.#target?.kill(signal);
    // Our handler suppresses the default action, so stop when the child does, as the shell expects.
    if (signal === 'SIGTSTP') void stopWith(this.#target?.pid);
  }

  #hurry(): void {
    // Use process.exit, because `exit` handlers remove files.
    setTimeout(() => process.exit(this.#code), HURRY_MS).unref();
  }

  #fromTerminal(signal: NodeJS.Signals): boolean {
    // On a hang-up the kernel removes the terminal and signals the session leader; a shell then signals its jobs.
    if (signal === 'SIGHUP') return this.#hadTerminal && terminalOf() === undefined && !isLeader();
    return FROM_TERMINAL.has(signal) && terminalOf() === 'foreground';
  }
}

/** Stops this process once the child has stopped. If the child ignores the signal, we keep running. */
async function stopWith(pid: number | undefined): Promise<void> {
  if (pid === undefined) return;
  for (let waited = 0; waited < STOP_WAIT_MS; waited += STOP_POLL_MS) {
    const state = statFields(pid)?.[0];
    // Without /proc, assume that the child stops.
    if (state === 'T' || (state === undefined && process.platform !== 'linux')) {
      process.kill(process.pid, 'SIGSTOP');
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, STOP_POLL_MS));
  }
}

/** Whether this process is its session's leader: field 3 counted from `state`, proc_pid_stat(5). */
function isLeader(): boolean {
  return statFields('self')?.[3] === String(process.pid);
}

/** Whether this process has a controlling terminal, and whether its process group is in the foreground there. */
export function terminalOf(): 'foreground' | 'background' | undefined {
  const fields = statFields('self');
  if (fields === undefined) return process.stdin.isTTY || process.stderr.isTTY ? 'foreground' : undefined;
  // proc_pid_stat(5), counted from `state`: 2 is pgrp, 4 tty_nr, 5 tpgid.
  const [, , group, , terminal, foreground] = fields;
  if (terminal === '0' || foreground === '-1') return undefined;
  return group === foreground ? 'foreground' : 'background';
}
