/** A pseudo-terminal for tests. */
import { spawn, type IPty } from '@lydell/node-pty';
import { modesOf } from '../exec/terminals.ts';
import type { Place } from './program.ts';

/** A shell at a terminal: types, and waits for what appears. */
export class Terminal {
  readonly #pty: IPty;
  #seen = '';
  #mark = 0;

  constructor(place: Place, env: Readonly<Record<string, string>> = {}) {
    this.#pty = spawn('bash', ['--norc', '--noprofile', '-i'], {
      cwd: place.cwd,
      cols: 120,
      rows: 30,
      name: 'xterm-256color',
      env: { ...place.env, PS1: '', HISTFILE: '', ...env },
    });
    this.#pty.onData((data) => {
      this.#seen += data;
    });
  }

  type(text: string): void {
    this.#mark = this.#seen.length;
    this.#pty.write(text);
  }

  /** What appeared since the last `type`, once it matches. */
  async until(pattern: RegExp): Promise<string> {
    const end = Date.now() + 120_000;
    for (;;) {
      const since = this.#seen.slice(this.#mark);
      if (pattern.test(since)) return since;
      if (Date.now() > end) throw new Error(`${pattern} did not appear in ${JSON.stringify(since)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Until the terminal hands over each key as it is typed, and shows none: what was typed before would be shown. */
  async untilAsked(): Promise<void> {
    const end = Date.now() + 120_000;
    while (!/ -icanon .* -echo /s.test(modesOf(this.#pty.pid))) {
      if (Date.now() > end) throw new Error('no question takes keys');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Everything since the start. */
  get seen(): string {
    return this.#seen;
  }

  close(): void {
    this.#pty.kill('SIGKILL');
  }
}
