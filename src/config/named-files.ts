/**
 * The files that a secrets.yaml names and that belong to the project: their content is trusted together with it. For
 * a store, these are the settings that its provider declares as files; for rotations, notifications and sinks, any
 * text, or word of a command, that is the path of a file.
 */
import { descriptorOf } from './kinds.ts';
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { codeOf } from '../platform/files.ts';
import type { ProviderDescriptor } from '../providers/descriptor.ts';
import type { StoreSettings } from '../core/trust.ts';
import type { PinnedFile } from './config.ts';
import type { ParsedConfig, ParsedPart } from './parse.ts';

/** The path in a setting: `~/` is the user's home; any other relative path starts at the file's folder. */
export function placedPath(path: string, folder: string, home: string): string {
  return resolve(folder, path.replace(/^~(?=\/|$)/, home));
}

/** The settings of a store, with absolute paths. */
export function placedSettings(
  settings: StoreSettings,
  { files = {} }: Pick<ProviderDescriptor, 'files'>,
  folder: string,
  home: string,
): StoreSettings {
  let placed = settings;
  for (const setting of Object.keys(files))
    placed = replaced(placed, setting.split('.'), (path) => placedPath(path, folder, home));
  return placed;
}

function replaced(
  settings: StoreSettings,
  [key = '', ...rest]: readonly string[],
  by: (text: string) => string,
): StoreSettings {
  const value = Object.hasOwn(settings, key) ? settings[key] : undefined;
  if (rest.length === 0) return typeof value === 'string' ? { ...settings, [key]: by(value) } : settings;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return settings;
  return { ...settings, [key]: replaced(value as StoreSettings, rest, by) };
}

interface Environment {
  readonly providers: readonly ProviderDescriptor[];
  readonly home: string;
  readonly searchPath: string | undefined;
  /** The folder of the file, and the root of its repository; both without links. */
  readonly folder: string;
  readonly root: string;
}

/** Sorted by name, without duplicates. */
export function namedFiles(parsed: ParsedConfig, environment: Environment): readonly PinnedFile[] {
  const found = new Map<string, PinnedFile>();
  const add = (path: string, missing: boolean): void => {
    if (found.has(path)) return;
    const sha256 = contentHash(path);
    if (sha256 === undefined || (sha256 === MISSING && !missing)) return;
    found.set(path, { path, name: relative(environment.folder, path), sha256 });
  };
  for (const part of [parsed, ...parsed.profiles.values()]) {
    for (const path of storeFiles(part, environment)) add(path, true);
    for (const text of textsOf([
      [...part.policies.values()].map(({ settings: { target, notify } }) => [target, notify]),
      part.notify?.setting,
      part.audit?.sinks,
    ]))
      for (const { path, missing } of filesOf(text, environment)) add(path, missing);
  }
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function storeFiles({ stores }: ParsedPart, environment: Environment): readonly string[] {
  const { providers, folder, home } = environment;
  return [...stores.values()].flatMap(({ provider, settings }) => {
    const descriptor = descriptorOf({ providers }, provider);
    const pinned = Object.entries(descriptor?.files ?? {}).filter(([, how]) => how === 'pinned');
    const texts = pinned.flatMap(([setting]) => textsOf(valueAt(settings, setting.split('.'))));
    const program =
      provider === 'exec' ? textsOf(settings['plugin']).map((name) => `secrets-provider-${name}`) : [];
    return [
      ...texts.filter((text) => comesAlong(text, environment)).map((text) => placedPath(text, folder, home)),
      ...program.flatMap((name) => onPath(name, environment)),
    ];
  });
}

function valueAt(settings: unknown, keys: readonly string[]): unknown {
  return keys.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined,
    settings,
  );
}

/** Every string in a document. */
function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

/** A text that is a path as a whole, even if the file doesn't exist yet; and paths within a command. */
function filesOf(
  text: string,
  environment: Environment,
): readonly { readonly path: string; readonly missing: boolean }[] {
  if (text.includes('\0') || /^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return [];
  const words = [...new Set([text, ...text.split(/[\s=;&|<>"'`$(){}]+/)])].filter((word) => word !== '');
  return words.flatMap((word) => {
    const missing = word === text && /^\.{1,2}\//.test(word);
    return [
      ...(comesAlong(word, environment)
        ? [{ path: placedPath(word, environment.folder, environment.home), missing }]
        : []),
      ...(word.includes('/') ? [] : onPath(word, environment).map((path) => ({ path, missing: false }))),
    ];
  });
}

/**
 * Whether a path belongs to the checkout: relative to the file, or in its repository, with or without resolving
 * links.
 */
function comesAlong(text: string, { folder, root, home }: Environment): boolean {
  if (!isAbsolute(text) && !/^~(\/|$)/.test(text)) return true;
  const path = placedPath(text, folder, home);
  return isIn(path, root) || isIn(realOf(path), root);
}

/** Programs with this name in those folders of PATH that are in the repository. */
function onPath(name: string, { searchPath = '', root }: Environment): readonly string[] {
  return searchPath
    .split(':')
    .filter((folder) => isAbsolute(folder) && isIn(realOf(folder), root))
    .map((folder) => join(folder, name));
}

function isIn(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

const MISSING = 'missing';

/** The SHA-256 of a file's content; undefined for anything without content, such as a folder. */
export function contentHash(path: string): string | undefined {
  let fd: number | undefined;
  try {
    // Without O_NONBLOCK, opening a pipe would wait for a writer.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(fd).isFile()) return undefined;
    const hash = createHash('sha256');
    const chunk = Buffer.alloc(64 * 1024);
    for (let read = -1; read !== 0;) {
      read = readSync(fd, chunk, 0, chunk.length, null);
      hash.update(chunk.subarray(0, read));
    }
    return hash.digest('hex');
  } catch (thrown) {
    const code = codeOf(thrown);
    return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG' ? MISSING : 'unreadable';
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
