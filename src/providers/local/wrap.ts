/** Wraps a new data key. */
import { randomBytes } from 'node:crypto';
import { linkSync } from 'node:fs';
import { dirname } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import {
  codeOf,
  createPrivateFile,
  fileError,
  makePrivateFolder,
  removeFile,
  syncParent,
} from '../../platform/files.ts';
import { KEY_LENGTH, seal } from './crypto.ts';
import type { StorePlace, Place } from './place.ts';
import { derive, KEY_FILE_PREFIX, keyFilePath, readKeyFile } from './keys.ts';
import { type KeyRecord, newId, SALT_LENGTH, wrapAad } from './manifest.ts';
import type { KeyMethod } from './settings.ts';

/**
 * Wraps `dataKey` again. Anything stored outside the manifest is on disk before it returns.
 * @param recipients for the method `age`
 * @throws SecretsError Usage without recipients, Unavailable without a keychain, Denied, Failed
 */
export async function wrapDataKey(
  method: KeyMethod,
  dataKey: Buffer,
  place: Place,
  folder: StorePlace,
  passphrase: () => Promise<string>,
  recipients: readonly string[] = folder.recipients,
): Promise<KeyRecord> {
  const { store, keyId } = place;
  const wrapWith = (kek: Buffer): string =>
    seal(kek, dataKey, wrapAad(store, keyId, method)).toString('base64');
  switch (method) {
    case 'key-file':
      return { id: keyId, method, wrapped: wrapWith(makeKeyFile(folder, place)) };
    case 'keychain': {
      const { keychainEntry } = await import('./keychain.ts');
      const kek = randomBytes(KEY_LENGTH);
      await (await keychainEntry(place)).set(kek.toString('base64'));
      return { id: keyId, method, wrapped: wrapWith(kek) };
    }
    case 'passphrase': {
      const salt = randomBytes(SALT_LENGTH);
      const kek = await derive(await passphrase(), salt);
      return { id: keyId, method, wrapped: wrapWith(kek), salt: salt.toString('base64') };
    }
    case 'age': {
      if (recipients.length === 0) {
        throw new SecretsError('Usage', 'the key method age needs at least one recipient', {
          hint: 'add key.recipients: [age1…] to the store, or rekey with --add-recipient age1…',
        });
      }
      const { ageEncrypt } = await import('./age.ts');
      return { id: keyId, method, wrapped: await ageEncrypt(dataKey, recipients), recipients };
    }
  }
}

/** Creates a key file with a new key; an existing file that the settings name is used as it is. */
function makeKeyFile({ settings, context }: StorePlace, place: Place): Buffer {
  const path = keyFilePath(settings, context, place);
  const named = settings.key?.file !== undefined;
  const existing = named ? readKeyFile(path) : undefined;
  if (existing !== undefined) return existing;
  const kek = randomBytes(KEY_LENGTH);
  makePrivateFolder(dirname(path));
  const tmp = `${path}.${newId(8)}.tmp`;
  createPrivateFile(tmp, Buffer.from(`${KEY_FILE_PREFIX}${kek.toString('base64')}\n`), 'the key file');
  try {
    // All or nothing, because another process may already be reading it.
    linkSync(tmp, path);
    syncParent(path);
    return kek;
  } catch (thrown) {
    const others = named && codeOf(thrown) === 'EEXIST' ? readKeyFile(path) : undefined;
    if (others !== undefined) return others;
    throw fileError(thrown, 'cannot write the key file', path);
  } finally {
    removeFile(tmp);
  }
}
