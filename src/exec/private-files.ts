/** Values as files for a child: in a private folder, in memory if possible, removed when the child ends. */
import { randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPrivateFile, fileError, replacePrivateFile } from '../platform/files.ts';
import { pidNamespace, startTime } from '../platform/process-identity.ts';

const PREFIX = 'secrets-exec-';

/** The parts of the machine that decide where the files go; tests choose their own. */
export interface Place {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number | undefined;
  /** Called if the files have to go to disk. */
  readonly debug: (message: string) => void;
  /** Called with the folder once it exists. */
  readonly made?: (folder: string) => void;
}

export interface PrivateFolder {
  readonly path: string;
  /** @returns the file's path @throws SecretsError */
  add(name: string, content: Uint8Array): string;
  /** Replaces the content atomically: a reader gets either the old or the new one. @throws SecretsError */
  replace(name: string, content: Uint8Array): string;
  /** Removes one file, if it exists. */
  drop(name: string): void;
  remove(): void;
}

/** Removes the folders of runs that were killed together with their guards. Never throws. */
export function removeLeftFolders({ env, uid }: Pick<Place, 'env' | 'uid'>): void {
  for (const base of new Set([placeOf(env, uid).base, '/dev/shm'])) removeLeftovers(base, uid);
}

function placeOf(env: Place['env'], uid: number | undefined): { base: string; inMemory: boolean } {
  const memory = memoryFolder(env, uid);
  if (memory !== undefined) return { base: memory, inMemory: true };
  return { base: env['TMPDIR']?.startsWith('/') === true ? env['TMPDIR'] : tmpdir(), inMemory: false };
}

/** @throws SecretsError */
export function makePrivateFolder({ env, uid, debug }: Place): PrivateFolder {
  const { base, inMemory } = placeOf(env, uid);
  if (!inMemory) debug(`no private folder in memory: files for the program go to ${base}`);
  const owner = `${pidNamespace()}-${process.pid}-${startTime(process.pid) ?? '0'}`;
  const path = join(base, `${PREFIX}${owner}-${randomBytes(8).toString('hex')}`);
  try {
    // Fails if the name exists already, even as a link.
    mkdirSync(path, { mode: 0o700 });
  } catch (thrown) {
    throw fileError(thrown, 'cannot create a folder', path);
  }
  return {
    path,
    add(name, content) {
      const file = join(path, name);
      createPrivateFile(file, content, 'a private file');
      return file;
    },
    replace(name, content) {
      const file = join(path, name);
      replacePrivateFile(file, content, 'a private file');
      return file;
    },
    drop: (name) => rmSync(join(path, name), { force: true }),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** $XDG_RUNTIME_DIR if it is only ours (XDG Base Directory Specification), otherwise /dev/shm on Linux. */
function memoryFolder(env: Place['env'], uid: number | undefined): string | undefined {
  const runtime = env['XDG_RUNTIME_DIR'];
  if (
    runtime?.startsWith('/') === true &&
    isFolder(runtime, (mode, owner) => owner === uid && (mode & 0o077) === 0)
  )
    return runtime;
  if (process.platform !== 'linux') return undefined;
  return isFolder('/dev/shm', (mode) => (mode & 0o1777) === 0o1777) ? '/dev/shm' : undefined;
}

function isFolder(path: string, fits: (mode: number, owner: number) => boolean): boolean {
  try {
    const stats = lstatSync(path);
    return stats.isDirectory() && fits(stats.mode, stats.uid);
  } catch {
    return false;
  }
}

function removeLeftovers(base: string, uid: number | undefined): void {
  for (const entry of readFolder(base)) {
    const match = /^secrets-exec-(\d+)-(\d+)-(\d+)-[0-9a-f]{16}$/.exec(entry);
    // Process ids of another container can't be compared.
    if (match === null || match[1] !== pidNamespace() || startTime(Number(match[2])) === match[3]) continue;
    const path = join(base, entry);
    try {
      const stats = lstatSync(path);
      if (stats.isDirectory() && stats.uid === uid) rmSync(path, { recursive: true, force: true });
    } catch {
      // Another run is removing it.
    }
  }
}

function readFolder(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** A variable whose value is passed as a file. */
export interface FileVariable {
  readonly name: string;
  readonly value: Uint8Array;
}

/** The files of a child, from before it starts until after it ends, whatever happens in between, except SIGKILL. */
export class ChildFiles {
  readonly #place: Place;
  readonly #names = new Set<string>();
  readonly #onExit = (): void => this.#folder?.remove();
  #folder: PrivateFolder | undefined;

  constructor(place: Place) {
    this.#place = place;
    process.once('exit', this.#onExit);
  }

  /** Writes the files, replacing earlier ones. @returns the environment with their paths @throws SecretsError */
  write(
    env: Readonly<Record<string, string>>,
    files: readonly FileVariable[],
  ): Readonly<Record<string, string>> {
    if (files.length === 0 && this.#folder === undefined) return env;
    if (this.#folder === undefined) {
      this.#folder = makePrivateFolder(this.#place);
      this.#place.made?.(this.#folder.path);
    }
    const withPaths = Object.assign(Object.create(null) as Record<string, string>, env);
    const wanted = new Set(files.map(({ name }) => name));
    for (const { name, value } of files) {
      withPaths[name] = this.#names.has(name)
        ? this.#folder.replace(name, value)
        : this.#folder.add(name, value);
      this.#names.add(name);
    }
    for (const name of this.#names) {
      if (wanted.has(name)) continue;
      this.#folder.drop(name);
      this.#names.delete(name);
    }
    return withPaths;
  }

  remove(): void {
    this.#folder?.remove();
    process.off('exit', this.#onExit);
  }
}
