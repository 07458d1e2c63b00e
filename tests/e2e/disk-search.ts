/** Looks for a canary in everything that was written on this machine's disks since a moment. */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readlinkSync, readSync } from 'node:fs';
import { formsOf } from './leak-watch.ts';

/** Where programs write what they are not told to write elsewhere. */
const PLACES = ['/tmp', '/var/tmp', '/dev/shm', '/run'];
const PIECE = 16 * 1024 * 1024;

/** The canary as it is, in base64 and base64url at each alignment, in hex, in a URL, in JSON, in JSON within JSON. */
export function writtenForms(canary: string): readonly string[] {
  const inJson = (text: string): string => JSON.stringify(text).slice(1, -1);
  const json = inJson(canary);
  // Vault's JSON, like Go's, escapes what HTML does.
  const vaults = json.replaceAll(/[<>&]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`);
  const forms = [...formsOf(canary), json, inJson(json), vaults, inJson(vaults)];
  const inUrls = forms.map((form) => form.replaceAll('+', '-').replaceAll('/', '_'));
  return [...new Set([...forms, ...inUrls])];
}

export interface Search {
  /** How many files were read. */
  readonly files: number;
  /** Those with a form of the canary in their name, target or content. */
  readonly found: readonly string[];
}

/**
 * Searches all that is newer than the marker in the usual places and in these folders. A file that another program
 * removes meanwhile is none.
 */
export function searchDisk(marker: string, folders: readonly string[], forms: readonly string[]): Search {
  const places = [...PLACES, ...folders].filter((place) => existsSync(place));
  const args = [...places, '-xdev', '-cnewer', marker, '-printf', '%y%p\\0'];
  const { stdout, error } = spawnSync('find', args, { maxBuffer: 256 * 1024 * 1024 });
  if (error !== undefined) throw error;
  const found = new Set<string>();
  let files = 0;
  for (const entry of new Set(stdout.toString().split('\0'))) {
    const [kind, path] = [entry.slice(0, 1), entry.slice(1)];
    if (path === '') continue;
    const texts = [path, ...(kind === 'l' ? [targetOf(path)] : [])];
    if (texts.some((text) => forms.some((form) => text.includes(form)))) found.add(path);
    if (kind !== 'f') continue;
    const isHeld = contains(path, forms);
    if (isHeld === undefined) continue;
    files += 1;
    if (isHeld) found.add(path);
  }
  return { files, found: [...found] };
}

function targetOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** Whether a file has one of these in it; undefined if it can't be read. */
function contains(path: string, forms: readonly string[]): boolean | undefined {
  const needles = forms.map((form) => Buffer.from(form));
  const overlap = Math.max(...needles.map(({ length }) => length));
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return undefined;
  }
  try {
    const piece = Buffer.alloc(PIECE + overlap);
    let kept = 0;
    for (;;) {
      const length = kept + readSync(fd, piece, kept, PIECE, null);
      if (length === kept) return false;
      const text = piece.subarray(0, length);
      if (needles.some((needle) => text.includes(needle))) return true;
      kept = Math.min(overlap, length);
      piece.copy(piece, 0, length - kept, length);
    }
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}
