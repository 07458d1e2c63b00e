/** One running plugin: its start, its output lines, and its end. Doesn't interpret the lines. */
import { type ChildProcess, spawn } from 'node:child_process';
import { killGroup } from './group.ts';
import { hasEnded, watched } from './guard.ts';
import { LineSplitter } from './lines.ts';

/** How long a plugin may take to end after its input has ended, and after SIGTERM. */
const EOF_MS = 1000;
const TERM_MS = 500;
/** How long to wait for the last output after the process has ended: a child of its own may keep the pipe open. */
const LAST_OUTPUT_MS = 200;

export interface ProcessHooks {
  /** The longest line currently accepted, in bytes. */
  maxLine(): number;
  onLine(line: Buffer): void;
  /** Called once, when no more lines will come. `why` is a clause: "ended (exit code 3)". */
  onEnd(why: string): void;
  /** Receives the plugin's stderr, which is only counted if this is missing. */
  onErrorOutput?(chunk: Buffer): void;
}

export class PluginProcess {
  readonly #child: ChildProcess;
  readonly #hooks: ProcessHooks;
  readonly #exited: Promise<void>;
  #over = false;
  #errorBytes = 0;

  constructor(path: string, env: Readonly<Record<string, string>>, hooks: ProcessHooks) {
    this.#hooks = hooks;
    // In its own session and process group: we handle Ctrl-C at the terminal, and ending the group ends everything.
    const child = watched(() =>
      spawn(path, [], { env, cwd: '/', stdio: ['pipe', 'pipe', 'pipe'], detached: true }),
    );
    this.#child = child;
    const { pid } = child;
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#finish(`could not be started (${(error as NodeJS.ErrnoException).code ?? error.name})`);
        resolve();
      });
      child.once('exit', (code, signal) => {
        const why = signal === null ? `ended (exit code ${code})` : `was ended by ${signal}`;
        if (pid !== undefined) {
          killGroup(pid, 'SIGKILL');
          hasEnded(pid);
        }
        const finish = (): void => {
          clearTimeout(timer);
          this.#finish(why);
          resolve();
        };
        const timer = setTimeout(finish, LAST_OUTPUT_MS);
        child.once('close', finish);
      });
    });
    const splitter = new LineSplitter(
      (line) => {
        if (!this.#over) hooks.onLine(line);
      },
      () => hooks.maxLine(),
    );
    child.stdout?.on('data', (chunk: Buffer) => {
      if (this.#over || splitter.push(chunk)) return;
      this.abandon(`wrote a line of more than ${hooks.maxLine()} bytes`);
    });
    // The end of the process is reported with a reason a moment later, unless it continues without its output.
    child.stdout?.once('end', () => this.#afterAWhile('closed its output'));
    child.stdin?.on('error', () => this.#afterAWhile('closed its input'));
    child.stdout?.on('error', () => this.#afterAWhile('closed its output'));
    child.stderr?.on('error', () => undefined);
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#errorBytes += chunk.length;
      hooks.onErrorOutput?.(chunk);
    });
  }

  /** Bytes written to stderr so far. They are never shown, because nobody knows what they contain. */
  get errorBytes(): number {
    return this.#errorBytes;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Sends one line. */
  write(line: string): void {
    if (!this.#over) this.#child.stdin?.write(`${line}\n`);
  }

  /** Ends the plugin immediately, because it can't be used any more. */
  abandon(why: string): void {
    this.#finish(why);
    this.#child.stdout?.destroy();
    this.#child.stdin?.destroy();
    if (this.#running()) killGroup(this.#child.pid as number, 'SIGKILL');
  }

  /** Ends the plugin by ending its input, then with SIGTERM, then with SIGKILL. @returns what was necessary */
  async stop(): Promise<'input' | NodeJS.Signals> {
    this.#child.stdin?.end();
    const pid = this.#child.pid;
    if (pid === undefined || (await this.#endsWithin(EOF_MS))) return 'input';
    killGroup(pid, 'SIGTERM');
    if (await this.#endsWithin(TERM_MS)) return 'SIGTERM';
    killGroup(pid, 'SIGKILL');
    await this.#exited;
    return 'SIGKILL';
  }

  #running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #afterAWhile(why: string): void {
    const timer = setTimeout(() => {
      if (!this.#over) this.abandon(why);
    }, LAST_OUTPUT_MS);
    void this.#exited.then(() => clearTimeout(timer));
  }

  #finish(why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#hooks.onEnd(why);
  }

  #endsWithin(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), ms);
      const ended = (): void => {
        clearTimeout(timer);
        resolve(true);
      };
      void this.#exited.then(ended);
    });
  }
}
