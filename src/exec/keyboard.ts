/** Passes our terminal's keys to a child in a pseudo-terminal, and handles job control between the two. */
import { spawnSync } from 'node:child_process';
import { statFields } from '../platform/process-identity.ts';
import { terminalOf } from './signals.ts';

/**
 * How often a background run checks whether it was brought to the foreground, because `fg` sends no signal in that
 * case.
 */
const POLL_MS = 200;
/** Ctrl-Z in raw mode. */
const CTRL_Z = 0x1a;

export interface PtyChild {
  readonly pid: number;
}

/**
 * Sends every key to the child while we are in the foreground of our terminal. In the background the terminal belongs
 * to another process: configuring it or reading from it would stop us (termios(3), SIGTTOU and SIGTTIN).
 */
export class Keyboard {
  readonly #stdin: NodeJS.ReadStream;
  readonly #child: PtyChild;
  readonly #send: (data: Buffer) => void;
  readonly #onData = (data: Buffer): void => this.#type(data);
  /** Restores the terminal when this process exits, too. */
  readonly #onExit = (): void => this.#release();
  #held = false;
  #poll: NodeJS.Timeout | undefined;

  constructor(stdin: NodeJS.ReadStream, child: PtyChild, send: (data: Buffer) => void) {
    this.#stdin = stdin;
    this.#child = child;
    this.#send = send;
    // The terminal was closed; SIGHUP informs the child.
    stdin.on('error', () => {});
    stdin.on('data', this.#onData);
    stdin.pause();
    process.once('exit', this.#onExit);
    this.#takeOrWait();
  }

  /** Stops the child's process group and then us, and restores the terminal's settings for the shell. */
  stop(): void {
    signalGroup(this.#child.pid, 'SIGSTOP');
    this.#release();
    process.kill(process.pid, 'SIGSTOP');
  }

  /** After SIGCONT, in the foreground or the background. */
  resume(): void {
    signalGroup(this.#child.pid, 'SIGCONT');
    this.#release();
    this.#takeOrWait();
  }

  close(): void {
    process.off('exit', this.#onExit);
    this.#stdin.off('data', this.#onData);
    this.#release();
  }

  #takeOrWait(): void {
    if (terminalOf() === 'background') {
      this.#poll ??= setInterval(() => this.#takeOrWait(), POLL_MS);
      return;
    }
    clearInterval(this.#poll);
    this.#poll = undefined;
    this.#held = true;
    this.#stdin.setRawMode(true);
    // Node's raw mode still writes CR LF for LF (uv_tty_set_mode). The child's terminal has done that already, and a
    // full-screen program doesn't want it. `setRawMode(false)` restores everything.
    spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
    this.#stdin.resume();
  }

  #release(): void {
    clearInterval(this.#poll);
    this.#poll = undefined;
    if (this.#held && terminalOf() !== 'background') this.#stdin.setRawMode(false);
    this.#held = false;
    this.#stdin.pause();
  }

  #type(data: Buffer): void {
    const at = data.indexOf(CTRL_Z);
    if (at === -1 || !this.#wouldStop()) {
      this.#send(data);
      return;
    }
    if (at > 0) this.#send(data.subarray(0, at));
    this.stop();
    if (at + 1 < data.length) this.#type(data.subarray(at + 1));
  }

  /**
   * Whether Ctrl-Z would stop the child if our terminal were its own. In its own session nobody could continue it, so
   * the kernel doesn't stop it (setpgid(2): orphaned process groups). A shell or editor inside gets the key.
   */
  #wouldStop(): boolean {
    const [, , group, , , foreground] = statFields(this.#child.pid) ?? [];
    const { ptsName } = this.#child as { readonly ptsName?: string };
    if (group === undefined || group !== foreground || ptsName === undefined) return false;
    const { status, stdout } = spawnSync('stty', ['-F', ptsName, '-a'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return status === 0 && /(?:^|[\s;])isig\b/.test(String(stdout)) && String(stdout).includes('susp = ^Z;');
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended.
  }
}
