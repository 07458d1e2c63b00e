/**
 * Renewal of a store's key. Safe at every instant: store.json is replaced in one step, the old data key stays in
 * it, sealed under the new one, and files are sealed anew one by one. A renewal that was cut off is completed by
 * the next one; until then every file reads.
 */
import { randomBytes } from 'node:crypto';
import { linkSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import type { KeyChange } from '../provider.ts';
import { KEY_LENGTH } from './crypto.ts';
import {
  codeOf,
  createPrivateFile,
  fileError,
  makePrivateFolder,
  removeFile,
  syncFolder,
} from '../../files.ts';
import type { StoreFolder } from './index.ts';
import type { JournalFolder } from './journal.ts';
import { forgetDataKey, readPassphrase, wrapDataKey } from './keys.ts';
import { type Keys, makeManifest, type Manifest, newId, printManifest } from './manifest.ts';
import type { KeyMethod } from './settings.ts';

/** A renewal holds its claim for milliseconds. */
const CUT_OFF_MS = 60_000;

/** @throws SecretsError NotFound without a store, Usage, Conflict when another renewal is under way */
export async function rekey(folder: StoreFolder, change: KeyChange): Promise<{ readonly resealed: number }> {
  const old = folder.manifest();
  if (old === undefined) throw new SecretsError('NotFound', `there is no store yet in ${folder.path}`);
  const oldKeys = await folder.unlock(old);
  const method = (change.method ?? old.key.method) as KeyMethod;
  const recipients = newRecipients(old, method, change, folder.recipients());
  const keyId = newId(8);
  const dataKey = randomBytes(KEY_LENGTH);
  const keys: Keys = {
    ...oldKeys,
    currentId: keyId,
    dataKeys: new Map([...oldKeys.dataKeys, [keyId, dataKey]]),
  };
  const place = { store: old.store, keyId };
  // A key file named in the settings is one path for all keys: the new key would overwrite the only old one.
  if (method === 'key-file' && folder.settings.key?.file !== undefined && old.key.method === 'key-file') {
    throw new SecretsError(
      'Usage',
      'the key file is named in the settings (key.file), so a new one has no place',
      {
        hint: 'remove key.file and move the file to its default place, or rekey to another method',
      },
    );
  }
  const record = await wrapDataKey(method, dataKey, place, folder.settings, folder.context, recipients, () =>
    newPassphrase(folder),
  );
  try {
    replaceManifest(folder, old, makeManifest(keys, record));
  } catch (thrown) {
    await forgetDataKey(record, old.store, folder.settings, folder.context);
    throw thrown;
  }
  folder.reset();
  const resealed = resealAll(folder.journal(keys));
  await forgetDataKey(old.key, old.store, folder.settings, folder.context);
  return { resealed };
}

function newRecipients(
  old: Manifest,
  method: KeyMethod,
  change: KeyChange,
  configured: readonly string[],
): readonly string[] {
  if (method !== 'age') return [];
  const before = old.key.recipients ?? configured;
  const removed = new Set(change.removeRecipients);
  const unknown = [...removed].find((recipient) => !before.includes(recipient));
  if (unknown !== undefined)
    throw new SecretsError('NotFound', `is not a recipient of this store: ${unknown}`);
  return [...new Set([...before.filter((entry) => !removed.has(entry)), ...(change.addRecipients ?? [])])];
}

async function newPassphrase(folder: StoreFolder): Promise<string> {
  const { env, askHidden } = folder.context;
  const given = env['SECRETS_NEW_PASSPHRASE'];
  if (given !== undefined && given !== '') return given;
  if (askHidden === undefined) return readPassphrase(folder.context);
  const first = await askHidden('New passphrase');
  if (first === '' || (await askHidden('The same passphrase again')) !== first) {
    throw new SecretsError('Usage', 'the two passphrases differ, or are empty');
  }
  return first;
}

/** Puts a new store.json in place of the one that was read, unless somebody replaced that meanwhile. */
function replaceManifest(folder: StoreFolder, old: Manifest, next: Manifest): void {
  makePrivateFolder(join(folder.path, 'claims'));
  makePrivateFolder(join(folder.path, 'tmp'));
  const tmp = join(folder.path, 'tmp', newId(16));
  // One renewal of a given key can win: the claim bears the old key's id.
  const claim = join(folder.path, 'claims', `rekey.${old.key.id}`);
  createPrivateFile(tmp, printManifest(next), 'store.json');
  try {
    linkSync(tmp, claim);
    if (folder.manifest()?.key.id !== old.key.id) throw conflict();
    renameSync(tmp, folder.manifestPath);
    syncFolder(folder.path);
    removeFile(claim);
  } catch (thrown) {
    removeFile(tmp);
    if (codeOf(thrown) !== 'EEXIST') throw fileError(thrown, 'cannot renew the key', folder.manifestPath);
    finishCutOff(folder, claim);
    throw conflict();
  }
}

/** A claim that is a minute old was left by a renewal that was killed: its store.json goes in place. */
function finishCutOff(folder: StoreFolder, claim: string): void {
  try {
    if (Date.now() - statSync(claim).mtimeMs > CUT_OFF_MS) renameSync(claim, folder.manifestPath);
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT') throw fileError(thrown, 'cannot finish a renewal of the key', claim);
  }
}

function conflict(): SecretsError {
  return new SecretsError('Conflict', 'another renewal of this store’s key is under way or was cut off', {
    hint: 'repeat in a minute: one that was cut off is finished then',
  });
}

/** Seals every file anew that is not under the current key. @returns how many there were */
function resealAll(journal: JournalFolder): number {
  let resealed = 0;
  for (const sid of journal.secretIds()) {
    for (const parts of journal.files(sid)) {
      try {
        journal.reseal(sid, parts);
        resealed += 1;
      } catch (thrown) {
        // A damaged file stays as it is: what reads it says so.
        if (!(thrown instanceof SecretsError) || thrown.kind !== 'Integrity') throw thrown;
      }
    }
    // A version destroyed while its file was being renewed must not come back as a file.
    const { events } = journal.load(sid);
    const destroyed = new Set(events.flatMap((event) => (event.type === 'destroy' ? [event.target] : [])));
    for (const event of events) if (destroyed.has(event.id)) journal.remove(sid, event);
  }
  return resealed;
}
