/** Our own terminal's keys on their way to a child in a pseudo-terminal, and job control between the two. */
import { spawnSync } from 'node:child_process';
import { statFields, terminalOf } from './signals.ts';

/** How often a run in the background looks whether it was brought to the front: `fg` sends no signal then. */
const POLL_MS = 200;
/** What Ctrl-Z is in raw mode. */
const CTRL_Z = 0x1a;

/** The child's side. */
export interface PtyChild {
  readonly pid: number;
}

/**
 * Hands every key to the child while we are in the foreground of our terminal. In the background the terminal is
 * somebody else's: setting it or reading from it there stops a process (termios(3), SIGTTOU and SIGTTIN).
 */
export class Keyboard {
  readonly #stdin: NodeJS.ReadStream;
  readonly #child: PtyChild;
  readonly #send: (data: Buffer) => void;
  readonly #onData = (data: Buffer): void => this.#type(data);
  /** Our end gives the terminal back too. */
  readonly #onExit = (): void => this.#letGo();
  #held = false;
  #poll: NodeJS.Timeout | undefined;

  constructor(stdin: NodeJS.ReadStream, child: PtyChild, send: (data: Buffer) => void) {
    this.#stdin = stdin;
    this.#child = child;
    this.#send = send;
    // A terminal that was closed: SIGHUP tells the child.
    stdin.on('error', () => {});
    stdin.on('data', this.#onData);
    stdin.pause();
    process.once('exit', this.#onExit);
    this.#takeOrWait();
  }

  /** Stops the child's group and then us, with the terminal as the shell left it. */
  stop(): void {
    signalGroup(this.#child.pid, 'SIGSTOP');
    this.#letGo();
    process.kill(process.pid, 'SIGSTOP');
  }

  /** After SIGCONT: in front or in the background. */
  goOn(): void {
    signalGroup(this.#child.pid, 'SIGCONT');
    this.#letGo();
    this.#takeOrWait();
  }

  close(): void {
    process.off('exit', this.#onExit);
    this.#stdin.off('data', this.#onData);
    this.#letGo();
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
    // Node's raw mode still writes CR LF for LF (uv_tty_set_mode), which the child's terminal has done already, or
    // which a full-screen program does not want. `setRawMode(false)` sets everything back.
    spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
    this.#stdin.resume();
  }

  #letGo(): void {
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
   * Whether Ctrl-Z would stop the child, were its terminal ours. In its own session nobody could continue it, so
   * the kernel lets it run on (setpgid(2): orphaned groups). A shell or editor in there keeps the key.
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
