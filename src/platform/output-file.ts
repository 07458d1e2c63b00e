/**
 * A file with values that the user asked for: written in a folder beside its place that only the user can open and git
 * ignores, and put in its place whole. What a killed run leaves behind is removed by the next one that can tell that it
 * has ended.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SecretsError } from '../core/errors.ts';
import { codeOf, entriesOf, fileError, syncParent } from './files.ts';
import { pidNamespace, startTime } from './process-identity.ts';

const WHAT = 'cannot write the file';
/** Bytes; a file's name has 255 at most. */
const MOST_OF_NAME = 100;

/** What is in the file's place now. */
export interface Existing {
  /** Its mode, or undefined if there is no file. */
  readonly mode: number | undefined;
}

/**
 * Looks at the place of the file.
 * @throws SecretsError Denied for a link, another user's file and what is no file; Usage if the folder is missing
 */
export function checkPlace(path: string, shown: string): Existing {
  try {
    if (!statSync(dirname(path)).isDirectory())
      throw new SecretsError('Usage', `${dirname(path)} is not a folder`);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT')
      throw new SecretsError('Usage', `no folder for ${shown}`, {
        hint: `create it: mkdir -p ${dirname(path)}`,
      });
    throw fileError(thrown, WHAT, path);
  }
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return { mode: undefined };
  if (!stats.isFile()) {
    const what = stats.isSymbolicLink()
      ? 'a symbolic link, which is not followed'
      : stats.isDirectory()
        ? 'a folder'
        : 'not a regular file';
    throw new SecretsError('Denied', `${path} is ${what}`, {
      hint: 'name another file, or leave -o out for stdout',
    });
  }
  const own = process.geteuid?.();
  if (own !== undefined && stats.uid !== own)
    throw new SecretsError('Denied', `${path} belongs to another user (uid ${stats.uid})`, {
      hint: 'run it as that user, or remove the file first',
    });
  return { mode: stats.mode & 0o7777 };
}

export class OutputFile {
  readonly #path: string;
  readonly #folder: string;
  #fd: number | undefined;
  readonly #onExit = (): void => this.discard();

  /** @throws SecretsError */
  constructor(path: string) {
    this.#path = path;
    const owner = `${pidNamespace()}-${process.pid}-${startTime(process.pid) ?? '0'}`;
    this.#folder = join(dirname(path), `${prefixOf(path)}${owner}-${randomBytes(8).toString('hex')}`);
    const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
    process.once('exit', this.#onExit);
    try {
      mkdirSync(this.#folder, { mode: 0o700 });
      // A `git add .` that runs meanwhile, or after this run was killed, takes no values.
      writeFileSync(join(this.#folder, '.gitignore'), '*\n', { mode: 0o600, flag: 'wx' });
      this.#fd = openSync(this.#temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    } catch (thrown) {
      this.discard();
      throw fileError(thrown, WHAT, path);
    }
  }

  get #temporary(): string {
    return join(this.#folder, 'file');
  }

  write(bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length;) done += writeSync(this.#fd as number, bytes, done);
    } catch (thrown) {
      throw fileError(thrown, WHAT, this.#path);
    }
  }

  /** Puts the file in its place, durably. */
  commit(): void {
    try {
      fsyncSync(this.#fd as number);
      this.#close();
      renameSync(this.#temporary, this.#path);
      this.discard();
      syncParent(this.#path);
    } catch (thrown) {
      throw fileError(thrown, WHAT, this.#path);
    }
  }

  /** Removes what was written, unless it is in its place. */
  discard(): void {
    this.#close();
    process.off('exit', this.#onExit);
    removeFolder(this.#folder);
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** Writes a whole file at once. @throws SecretsError */
export function writeOutput(path: string, content: Uint8Array): void {
  removeLeftovers(path);
  const file = new OutputFile(path);
  try {
    file.write(content);
    file.commit();
  } catch (thrown) {
    file.discard();
    throw thrown;
  }
}

function prefixOf(path: string): string {
  const name = Buffer.from(basename(path)).subarray(0, MOST_OF_NAME).toString();
  // The cut may have split a character.
  return `.${name.replace(/\ufffd+$/, '')}.secrets-`;
}

/** What can't be removed now, the next run removes. */
function removeFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // The folder around it may have become read-only.
  }
}

/** Removes what runs for the same file have left that were killed. Never throws. */
export function removeLeftovers(path: string): void {
  const folder = dirname(path);
  const prefix = prefixOf(path);
  try {
    for (const entry of entriesOf(folder)) {
      if (!entry.startsWith(prefix)) continue;
      const owner = /^(\d+)-(\d+)-(\d+)-[0-9a-f]{16}$/.exec(entry.slice(prefix.length));
      // Process ids of another container can't be compared.
      if (owner === null || owner[1] !== pidNamespace() || startTime(Number(owner[2])) === owner[3]) continue;
      const stats = lstatSync(join(folder, entry));
      if (stats.isDirectory() && stats.uid === process.geteuid?.()) removeFolder(join(folder, entry));
    }
  } catch {
    // Another run is removing it, or the folder can't be listed.
  }
}
