/**
 * A process that outlives this one for a moment. Whatever ends the wrapper (SIGKILL, a real-time signal, a fault), the
 * kernel closes its end of a pipe; a shell that waits there then ends the program and removes its files.
 */
import { type ChildProcess, spawn } from 'node:child_process';

const SHELL = '/bin/sh';
/** A program that ends at once needs no guard, nor does any other wait for its start. */
const START_MS = 50;
/** Each line replaces what one of the same kind said before. Builtins, but for `rm`. */
const SCRIPT = `
pid=; folder=
while IFS= read -r line; do
  case $line in
    pid=*) pid=\${line#pid=} ;;
    folder=*) folder=\${line#folder=} ;;
  esac
done
[ -z "$pid" ] || kill -TERM "$pid"
[ -z "$folder" ] || rm -rf -- "$folder"
`;

export class Guard {
  #shell: ChildProcess | undefined;
  #folder = '';
  #pid: number | '' = '';
  #timer: NodeJS.Timeout | undefined;

  /** The folder to remove. */
  files(folder: string): void {
    // The next run with a file removes one with such a name.
    if (folder.includes('\n')) return;
    this.#folder = folder;
    this.#tell();
  }

  /** The program that runs now, if any. */
  program(pid: number | undefined): void {
    this.#pid = pid ?? '';
    clearTimeout(this.#timer);
    if (this.#shell !== undefined) this.#tell();
    else if (pid !== undefined) this.#timer = setTimeout(() => this.#start(), START_MS).unref();
  }

  /** There is nothing left to guard. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#folder = '';
    this.#tell();
    this.#shell?.stdin?.end();
  }

  #start(): void {
    try {
      const shell = spawn(SHELL, ['-c', SCRIPT], {
        // A session of its own: what ends our group leaves it. Nothing of the environment, nor of the folder, is its.
        detached: true,
        cwd: '/',
        env: { PATH: '/usr/bin:/bin' },
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      // Without a shell the next run removes the files.
      shell.on('error', () => {});
      shell.stdin.on('error', () => {});
      shell.unref();
      (shell.stdin as unknown as { unref(): void }).unref();
      this.#shell = shell;
      this.#tell();
    } catch {
      // No process can be made.
    }
  }

  /** Says all that there is to guard now. */
  #tell(): void {
    this.#shell?.stdin?.write(`folder=${this.#folder}\npid=${this.#pid}\n`);
  }
}
