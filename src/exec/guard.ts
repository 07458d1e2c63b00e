/**
 * A helper process that briefly outlives this one. However this process ends (SIGKILL, a real-time signal, a crash),
 * the kernel closes its end of a pipe; a shell waiting on that pipe then ends the program and removes its files.
 */
import { type ChildProcess, spawn } from 'node:child_process';

const SHELL = '/bin/sh';
/** A program that ends at once needs no guard, and other programs don't wait for it to start. */
const START_MS = 50;
/** Each line replaces an earlier one of the same kind. Only builtins, except for `rm`. */
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

  files(folder: string): void {
    // Can't be sent as a line. The next run with files removes such a folder.
    if (folder.includes('\n')) return;
    this.#folder = folder;
    this.#tell();
  }

  /** The program that is running, if any. */
  program(pid: number | undefined): void {
    this.#pid = pid ?? '';
    clearTimeout(this.#timer);
    if (this.#shell !== undefined) this.#tell();
    else if (pid !== undefined) this.#timer = setTimeout(() => this.#start(), START_MS).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#folder = '';
    this.#tell();
    this.#shell?.stdin?.end();
  }

  #start(): void {
    try {
      const shell = spawn(SHELL, ['-c', SCRIPT], {
        // In its own session, so that what ends our process group doesn't end it. It gets nothing from our environment
        // or working directory.
        detached: true,
        cwd: '/',
        env: { PATH: '/usr/bin:/bin' },
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      // Without a shell, the next run removes the files.
      shell.on('error', () => {});
      shell.stdin.on('error', () => {});
      shell.unref();
      (shell.stdin as unknown as { unref(): void }).unref();
      this.#shell = shell;
      this.#tell();
    } catch {
      // The system can't create another process.
    }
  }

  #tell(): void {
    this.#shell?.stdin?.write(`folder=${this.#folder}\npid=${this.#pid}\n`);
  }
}
