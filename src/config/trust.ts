/**
 * Which secrets.yaml files the user trusts: one small record per file in the XDG state folder, named by a hash of the
 * file's real path. It contains that path and the SHA-256 of the content that was shown and accepted.
 */
import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { SecretsError } from '../core/errors.ts';
import {
  checkFolder,
  entriesOf,
  makePrivateFolder,
  readPrivateFile,
  removeFile,
  replacePrivateFile,
  syncFolder,
} from '../platform/files.ts';
import { type World, xdgFolder } from '../platform/world.ts';
import type { PinnedFile, ProjectFile } from './config.ts';
import type { TrustLine } from '../core/trust.ts';

/** A record of trust. */
export interface Pin {
  readonly path: string;
  /** See `hashOfSet`. */
  readonly sha256: string;
  /** The files that were accepted with it. */
  readonly files: readonly PinnedFile[];
  readonly trustedAt: string;
  /** What was accepted, as `setting = value`, so that new lines can be shown later. */
  readonly lines: readonly string[];
}

const WHAT = 'the record of trust';

export function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/**
 * The hash that is trusted: for a secrets.yaml that names no files, its own SHA-256; otherwise the SHA-256 of what
 * `sha256sum` prints for it and its files, in the order that `secrets trust` shows.
 */
export function hashOfSet(
  yaml: { readonly path: string; readonly sha256: string },
  files: readonly Pick<PinnedFile, 'name' | 'sha256'>[],
): string {
  if (files.length === 0) return yaml.sha256;
  const all = [{ name: basename(yaml.path), sha256: yaml.sha256 }, ...files];
  return sha256(all.map((file) => `${file.sha256}  ${file.name}\n`).join(''));
}

/** A line that needs trust, as stored in a pin. */
export function lineText({ setting, value }: TrustLine): string {
  return `${setting} = ${value}`;
}

function folderOf(world: World): string {
  return join(xdgFolder(world, 'state'), 'trust');
}

function fileOf(world: World, realPath: string): string {
  return join(folderOf(world), `${sha256(realPath)}.json`);
}

/**
 * The record for a file, whatever content it covers.
 * @throws SecretsError Denied if others can write to the folder of the records, because then no record can be relied
 *   on
 */
export function findPin(world: World, realPath: string): Pin | undefined {
  if (!checkFolder(folderOf(world), 'nothing')) return undefined;
  const pin = readPin(fileOf(world, realPath));
  return pin?.path === realPath ? pin : undefined;
}

/**
 * Whether a record covers this content and everything in it that needs trust now: a newer version of this program, or
 * a new store of the user's own, may identify more lines of the same content.
 */
export function covers(pin: Pin | undefined, hash: string, lines: readonly TrustLine[]): boolean {
  if (pin?.sha256 !== hash) return false;
  const accepted = new Set(pin.lines);
  return lines.every((line) => accepted.has(lineText(line)));
}

/** Every record, sorted by path. @throws SecretsError Denied */
export function listPins(world: World): readonly Pin[] {
  const folder = folderOf(world);
  if (!checkFolder(folder, 'nothing')) return [];
  return entriesOf(folder)
    .filter((entry) => /^[0-9a-f]{64}\.json$/.test(entry))
    .map((entry) => readPin(join(folder, entry)))
    .filter((pin) => pin !== undefined)
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

/** Records that the user trusts this content at this path. */
export function writePin(
  world: World,
  { realPath, sha256: hash, shown, files }: Pick<ProjectFile, 'realPath' | 'sha256' | 'shown' | 'files'>,
): void {
  const folder = folderOf(world);
  makePrivateFolder(folder);
  checkFolder(folder, 'nothing');
  const pin: Omit<Pin, 'files'> & Partial<Pin> = {
    path: realPath,
    sha256: hash,
    trustedAt: world.now().toISOString(),
    lines: shown.map(lineText),
    ...(files.length > 0 && { files }),
  };
  replacePrivateFile(fileOf(world, realPath), Buffer.from(`${JSON.stringify(pin)}\n`), WHAT);
  syncFolder(folder);
}

/** Removes the record of a file. @returns whether there was one */
export function removePin(world: World, realPath: string): boolean {
  if (findPin(world, realPath) === undefined) return false;
  removeFile(fileOf(world, realPath));
  syncFolder(folderOf(world));
  return true;
}

/** A record that can't be parsed counts as missing: the user is asked again. */
function readPin(path: string): Pin | undefined {
  const bytes = readPrivateFile(path, WHAT, true);
  if (bytes === undefined) return undefined;
  try {
    const pin = JSON.parse(bytes.toString()) as Partial<Pin> | null;
    const { path: of, sha256: hash, trustedAt, lines, files } = pin ?? {};
    if (typeof of !== 'string' || typeof hash !== 'string' || typeof trustedAt !== 'string') return undefined;
    const texts = Array.isArray(lines)
      ? lines.filter((line): line is string => typeof line === 'string')
      : [];
    return {
      path: of,
      sha256: hash,
      trustedAt,
      lines: texts,
      files: Array.isArray(files) ? files.filter(isFile) : [],
    };
  } catch {
    return undefined;
  }
}

function isFile(file: unknown): file is PinnedFile {
  const { path, name, sha256: hash } = (file ?? {}) as Partial<PinnedFile>;
  return [path, name, hash].every((text) => typeof text === 'string');
}

/** The error for using lines that aren't trusted. */
export function notTrusted(
  what: string,
  file: string | undefined,
  lines: readonly TrustLine[],
  are: 'is' | 'are' = 'is',
): SecretsError {
  const named = lines.slice(0, 5).map(({ line, setting, effect }) => `line ${line}: ${setting}: ${effect}`);
  const more = lines.length > named.length ? [`and ${lines.length - named.length} more`] : [];
  const where = lines.length === 0 ? '' : ` (${[...named, ...more].join('; ')})`;
  return new SecretsError(
    'Policy',
    `${what} ${are} not used, since ${file ?? 'secrets.yaml'} is not trusted${where}`,
    {
      hint: 'review and accept it with secrets trust',
    },
  );
}

/** The error for setting untrusted variables: one error, however many there are. */
export function variablesNotTrusted(
  variables: ReadonlyMap<string, TrustLine>,
  file: string | undefined,
): SecretsError {
  const names = [...variables.keys()];
  const lines = [...variables.values()];
  if (names.length === 1) return notTrusted(`the variable ${names[0]}`, file, lines);
  const more = names.length > 5 ? ` and ${names.length - 5} more` : '';
  return notTrusted(`the variables ${names.slice(0, 5).join(', ')}${more}`, file, lines, 'are');
}
