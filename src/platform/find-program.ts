/** Finds a program as a shell does, to distinguish "not found" from "not executable" before starting it. */
import { accessSync, constants, statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { codeOf } from './files.ts';

/** The path, or the exit code that shells use (POSIX XCU 2.8.2): 127 not found, 126 found but not executable. */
export function findProgram(command: string, path: string | undefined, cwd: string): string | 126 | 127 {
  if (command === '') return 127;
  const direct = command.includes('/');
  // An empty entry in PATH means the working directory (POSIX XBD 8.3); without PATH, execvp(3) uses these two.
  const folders = (path ?? '/bin:/usr/bin').split(':');
  // Keep a path as it was written: a script finds it in $0.
  const candidates = direct ? [command] : folders.map((folder) => resolve(cwd, folder, command));
  let found: 126 | 127 = 127;
  for (const candidate of candidates) {
    try {
      if (!statSync(resolve(cwd, candidate)).isFile()) {
        if (direct) found = 126;
        continue;
      }
      accessSync(resolve(cwd, candidate), constants.X_OK);
      return candidate;
    } catch (thrown) {
      const code = codeOf(thrown);
      if (code === 'EACCES' || (direct && code !== 'ENOENT')) found = 126;
    }
  }
  return found;
}

/**
 * The absolute folders of PATH, for programs that a secrets.yaml names. With relative ones, the content of the
 * working directory would decide which program runs, and it isn't checked when the file is trusted. `undefined` if
 * there are none or PATH isn't set.
 */
export function absoluteFolders(path: string | undefined): string | undefined {
  return path?.split(':').filter(isAbsolute).join(':') || undefined;
}
