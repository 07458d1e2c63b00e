/** Signals between whoever started us and the child. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

/**
 * What ends a process that does not handle them, beside what people send: timers that were set before we were started,
 * limits, and calls for help of the system. Those that a system lacks are left out.
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

/** Passed on to the child. SIGKILL and SIGSTOP can't be caught; SIGPIPE, SIGCHLD and faults are our own business. */
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
/** Those that a terminal's driver sends to its whole foreground group: the child has got them already. */
const FROM_TERMINAL: ReadonlySet<string> = new Set(['SIGINT', 'SIGQUIT', 'SIGWINCH', 'SIGTSTP']);
/** How long the child may take to stop after SIGTSTP: a full-screen program first restores the terminal. */
const STOP_WAIT_MS = 1000;
const STOP_POLL_MS = 10;

/** Those by which somebody wants the run to end. */
const ENDING: ReadonlySet<string> = new Set(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', ...ALSO_ENDING]);
/** After the child's end and such a signal: how long a reader of ours may take for the rest of the output. */
const HURRY_MS = 2000;

/** `128 + N`, as shells count (POSIX XCU 2.8.2). */
export function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number {
  return signal === null ? (code ?? 1) : 128 + constants.signals[signal];
}

export interface SignalTarget {
  readonly pid?: number | undefined;
  kill(signal: NodeJS.Signals): void;
}

/**
 * Passes signals to a child that shares our process group, from its making until `stop`.
 *
 * Node does not say who sent a signal. While our process group is the foreground group of our terminal, those
 * that terminals send are taken to come from it, since it sent them to the child as well; a `kill -INT` to this
 * process alone is not passed on then. In the background, under a supervisor or as PID 1 every one is passed on.
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

  /** @param watch told which child runs, and when none does */
  constructor(watch: (pid: number | undefined) => void = () => {}) {
    this.#watch = watch;
    this.#listeners = FORWARDED.map((signal) => [signal, () => this.#receive(signal)] as const);
    for (const [signal, listener] of this.#listeners) process.on(signal, listener);
  }

  /** From now on signals go to this child. Make the relay first, so that none is lost in between. */
  attach(target: SignalTarget): void {
    this.#target = target;
    this.#code = undefined;
    if (target.pid !== undefined) this.#watch(target.pid);
  }

  /** A signal of our own to the child. */
  send(signal: NodeJS.Signals): void {
    if (this.#code === undefined) this.#target?.kill(signal);
  }

  /** The child's process id. */
  get pid(): number | undefined {
    return this.#target?.pid;
  }

  /** Whether the child has ended, its output perhaps not. */
  get ended(): boolean {
    return this.#code !== undefined;
  }

  /** The child is going to be replaced: a signal that it got before and has outlived is no wish to end. */
  replacing(): void {
    this.#ending = false;
    this.#interrupted = false;
  }

  /**
   * The child has ended; what it wrote may still be on its way to a reader that takes none of it. A signal that
   * ended the child, or that comes now, must not wait for that one for ever.
   */
  childEnded(code: number): void {
    this.#code = code;
    this.#watch(undefined);
    if (this.#ending) this.#hurry();
  }

  /** Whether the user pressed Ctrl-C: then a shell expects us to die of it as the child did. */
  get interrupted(): boolean {
    return this.#interrupted;
  }

  /** The terminal's SIGINT can reach us just after the news that the child died of it: waits for it. */
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
    // After the first Ctrl-C a pager goes on reading, with all the time it wants.
    const first = fromTerminal && signal === 'SIGINT' && !this.#interrupted;
    if (first) this.#interrupted = true;
    else if (ENDING.has(signal)) this.#ending = true;
    if (this.#code !== undefined) {
      if (this.#ending) this.#hurry();
      return;
    }
    if (!fromTerminal) this.#target?.kill(signal);
    // A handler keeps the default action from happening: stop when the child does, as the shell expects.
    if (signal === 'SIGTSTP') void stopWith(this.#target?.pid);
  }

  #hurry(): void {
    // Handlers of `exit` remove files.
    setTimeout(() => process.exit(this.#code), HURRY_MS).unref();
  }

  #fromTerminal(signal: NodeJS.Signals): boolean {
    // At a hang-up the kernel takes the terminal away and tells the session's leader; a shell tells its jobs.
    if (signal === 'SIGHUP') return this.#hadTerminal && terminalOf() === undefined && !isLeader();
    return FROM_TERMINAL.has(signal) && terminalOf() === 'foreground';
  }
}

/** Stops this process once the child has stopped; a child that ignores the signal keeps us running. */
async function stopWith(pid: number | undefined): Promise<void> {
  if (pid === undefined) return;
  for (let waited = 0; waited < STOP_WAIT_MS; waited += STOP_POLL_MS) {
    const state = statFields(pid)?.[0];
    // Where there is no /proc the child is taken to stop like most.
    if (state === 'T' || (state === undefined && process.platform !== 'linux')) {
      process.kill(process.pid, 'SIGSTOP');
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, STOP_POLL_MS));
  }
}

/** Whether this process leads its session: field 3 counted from `state`, proc_pid_stat(5). */
function isLeader(): boolean {
  return statFields('self')?.[3] === String(process.pid);
}

/** Whether this process has a controlling terminal, and whether its group is the one in the foreground there. */
export function terminalOf(): 'foreground' | 'background' | undefined {
  const fields = statFields('self');
  if (fields === undefined) return process.stdin.isTTY || process.stderr.isTTY ? 'foreground' : undefined;
  // proc_pid_stat(5), counted from `state`: 2 is pgrp, 4 tty_nr, 5 tpgid.
  const [, , group, , terminal, foreground] = fields;
  if (terminal === '0' || foreground === '-1') return undefined;
  return group === foreground ? 'foreground' : 'background';
}

/** The fields of /proc/PID/stat after the name, which may hold anything. */
export function statFields(pid: number | 'self'): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
