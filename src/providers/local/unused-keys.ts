/**
 * Notes about keys that a renewal stores outside the store, or has to remove there. A killed renewal would leave them
 * forever, because no manifest mentions their key files and keychain entries. The notes are in the user's own folder of
 * key files, not in the store: a repository's content must not be able to have keys removed.
 */
import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import {
  codeOf,
  createPrivateFile,
  entriesOf,
  makePrivateFolder,
  removeFile,
  syncParent,
} from '../../platform/files.ts';
import { xdgFolder } from '../../platform/world.ts';
import type { StorePlace } from './place.ts';
import { keyFilePath } from './keys.ts';
import type { KeyRecord, Keys } from './manifest.ts';

type Key = Pick<KeyRecord, 'id' | 'method'>;

interface Note extends Key {
  readonly path: string;
  /** Revision of the key's manifest. */
  readonly revision: number;
}

const METHODS = ['keychain', 'key-file'] as const;

function folderOfNotes({ context }: StorePlace): string {
  return join(xdgFolder(context, 'config'), 'keys');
}

/** Another copy of the store, with keys of its own, has the same id. */
function placeOf({ path }: StorePlace): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 16);
}

/** Notes that keys may have to be removed. @returns a function that removes these notes */
export function noteKeys(
  folder: StorePlace,
  store: string,
  keys: readonly (Key & { readonly revision: number })[],
): () => void {
  const paths: string[] = [];
  for (const { id, method, revision } of keys) {
    if (!METHODS.some((one) => one === method)) continue;
    const path = join(folderOfNotes(folder), `${store}-${id}.${method}.${revision}.${placeOf(folder)}.note`);
    makePrivateFolder(dirname(path));
    try {
      createPrivateFile(path, new Uint8Array(), 'a note of a key');
      paths.push(path);
    } catch (thrown) {
      // Left by an interrupted renewal.
      if (codeOf((thrown as Error).cause) !== 'EEXIST') throw thrown;
    }
    syncParent(path);
  }
  return () => {
    for (const path of paths) removeFile(path);
  };
}

/** The notes of this store's renewals that were not completed. */
export function notedKeys(folder: StorePlace, store: string): readonly Note[] {
  return entriesOf(folderOfNotes(folder)).flatMap((file) => {
    const [name = '', method, revision, place, end, ...more] = file.split('.');
    const known = METHODS.find((one) => one === method);
    const id = name.startsWith(`${store}-`) ? name.slice(store.length + 1) : '';
    if (known === undefined || place !== placeOf(folder) || end !== 'note' || more.length > 0) return [];
    if (!/^[0-9a-f]{16}$/.test(id) || !/^[1-9]\d{0,9}$/.test(revision ?? '')) return [];
    return [{ path: join(folderOfNotes(folder), file), id, method: known, revision: Number(revision) }];
  });
}

/**
 * Removes all noted keys except for the current one and those of later renewals. A key whose keychain is unavailable
 * stays noted.
 */
export async function forgetNoted(
  folder: StorePlace,
  { store, currentId, revision: newest }: Pick<Keys, 'store' | 'currentId' | 'revision'>,
): Promise<void> {
  for (const { path, id, method, revision } of notedKeys(folder, store)) {
    if (revision > newest) continue;
    try {
      if (id !== currentId) await forgetDataKey({ id, method }, store, folder);
      removeFile(path);
    } catch (thrown) {
      if (!(thrown instanceof SecretsError) || thrown.kind !== 'Unavailable') throw thrown;
    }
  }
}

/**
 * Removes what `wrapDataKey` stored outside the manifest, but not a key file that the settings name, which belongs to
 * the user.
 */
export async function forgetDataKey(record: Key, store: string, folder: StorePlace): Promise<void> {
  const { settings, context } = folder;
  const place = { store, keyId: record.id };
  if (record.method === 'key-file') {
    const path = keyFilePath(settings, context, place);
    if (settings.key?.file === undefined) removeFile(path);
    // Temporary files of an unfinished key file.
    for (const file of entriesOf(dirname(path)))
      if (
        file.startsWith(`${basename(path)}.`) &&
        /^[0-9a-f]{16}\.tmp$/.test(file.slice(basename(path).length + 1))
      )
        removeFile(join(dirname(path), file));
  }
  if (record.method === 'keychain') {
    const { keychainEntry } = await import('./keychain.ts');
    await (await keychainEntry(place)).remove();
  }
}
