/**
 * Renews a store's key. Safe at every moment: the next revision's manifest appears in one step, and only one process
 * can create it; it contains the old data key, sealed under the new one; files are re-encrypted one by one. After an
 * interrupted renewal the store is readable and writable, and the next renewal completes it.
 */
import { readBranches, recipientsOfAll, refuseBranches } from './branches.ts';
import { checkStrength, tellGit } from './create.ts';
import { randomBytes } from 'node:crypto';
import { linkSync } from 'node:fs';
import { join } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import {
  checkFolder,
  codeOf,
  createPrivateFile,
  fileError,
  makePrivateFolder,
  removeFile,
  syncFolder,
} from '../../platform/files.ts';
import type { KeyChange } from '../capabilities/rekey.ts';
import { KEY_LENGTH } from './crypto.ts';
import type { StoreFolder } from './folder.ts';
import { GoneError, type JournalFolder, UnknownKeyError } from './journal.ts';
import { readPassphrase, unwrapDataKey } from './keys.ts';
import { currentKey, type Keys, makeManifest, type Manifest, newId, printManifest } from './manifest.ts';
import type { KeyMethod } from './settings.ts';
import { forgetDataKey, forgetNoted, noteKeys } from './unused-keys.ts';
import { wrapDataKey } from './wrap.ts';

/** @throws SecretsError NotFound without a store, Usage, Conflict if another renewal was faster */
export async function rekey(folder: StoreFolder, change: KeyChange): Promise<{ readonly resealed: number }> {
  const opened = await folder.existing();
  const old = folder.manifest();
  if (opened === undefined || old === undefined)
    throw new SecretsError('NotFound', `no store in ${folder.path} yet`);
  if (opened.keys.revision !== old.revision) throw conflict();
  const method = (change.method ?? old.key.method) as KeyMethod;
  const branches = await readBranches(folder, opened.keys, change.merge ?? []);
  const known = new Map([...opened.keys.dataKeys, ...branches.flatMap(({ dataKeys }) => [...dataKeys])]);
  refuseBranches(folder, { ...opened.keys, dataKeys: known });
  const { kept, left } = recipientsOfAll(old.key.recipients ?? folder.recipients, branches);
  const recipients = newRecipients(kept, left, method, change);
  const without = method === 'age' ? left.filter((recipient) => !recipients.includes(recipient)) : [];
  checkPlace(folder, old, method);
  const keyId = newId(8);
  const dataKey = randomBytes(KEY_LENGTH);
  const keys: Keys = {
    ...opened.keys,
    revision: Math.max(old.revision, ...branches.map(({ manifest }) => manifest.revision)) + 1,
    currentId: keyId,
    dataKeys: new Map([...known, [keyId, dataKey]]),
  };
  const noted = [
    { ...old.key, revision: old.revision },
    ...branches.map(({ manifest: { key, revision } }) => ({ ...key, revision })),
    { id: keyId, method, revision: keys.revision },
  ];
  const removeNotes = noteKeys(folder, old.store, noted);
  const next = await replaceManifest(folder, old, method, keys, recipients, removeNotes);
  removeOlder(folder, next.revision);
  folder.reset();
  tellGit(folder.path);
  const resealed = resealAll(folder.journal(keys));
  await forgetDataKey(old.key, old.store, folder);
  // Leftovers of interrupted renewals.
  for (const id of keys.dataKeys.keys())
    if (id !== keyId) await forgetDataKey({ id, method: 'key-file' }, old.store, folder);
  await forgetNoted(folder, keys);
  if (without.length > 0) {
    folder.context.warn(
      `these recipients were only in one branch, and are not kept: ${without.join(', ')}; ` +
        'secrets stores rekey --add-recipient adds one',
    );
  }
  return { resealed };
}

function checkPlace(folder: StoreFolder, old: Manifest, method: KeyMethod): void {
  // A key file named in the settings has one path for all keys, so the new key would overwrite the only copy of the old
  // one.
  if (method === 'key-file' && folder.settings.key?.file !== undefined && old.key.method === 'key-file') {
    throw new SecretsError(
      'Usage',
      'the settings name the key file (key.file), so there is no place for a new one',
      { hint: 'remove key.file and move the file to its default place, or rekey to another method' },
    );
  }
}

/** Seals the new key, and puts its manifest in place; if that fails, nothing of the new key is left. */
async function replaceManifest(
  folder: StoreFolder,
  old: Manifest,
  method: KeyMethod,
  keys: Keys,
  recipients: readonly string[],
  removeNotes: () => void,
): Promise<Manifest> {
  const keyId = keys.currentId;
  try {
    const record = await wrapDataKey(
      method,
      currentKey(keys),
      { store: old.store, keyId },
      folder,
      () => newPassphrase(folder),
      recipients,
    );
    const next = makeManifest(keys, record);
    await checkOpens(folder, next);
    addManifest(folder, next);
    return next;
  } catch (thrown) {
    // If the manifest is already in place, it needs its key.
    if (folder.manifest()?.key.id === keyId) throw thrown;
    // Without a keychain nothing was stored there.
    if (!(thrown instanceof SecretsError) || thrown.kind !== 'Unavailable')
      await forgetDataKey({ id: keyId, method }, old.store, folder);
    removeNotes();
    throw (folder.revisions().at(-1) ?? 0) >= keys.revision ? conflict() : thrown;
  }
}

function newRecipients(
  before: readonly string[],
  left: readonly string[],
  method: KeyMethod,
  change: KeyChange,
): readonly string[] {
  if (method !== 'age') return [];
  const removed = new Set(change.removeRecipients);
  const unknown = [...removed].find((recipient) => !before.includes(recipient) && !left.includes(recipient));
  if (unknown !== undefined)
    throw new SecretsError('NotFound', `is not a recipient of this store: ${unknown}`);
  return [...new Set([...before.filter((entry) => !removed.has(entry)), ...(change.addRecipients ?? [])])];
}

async function newPassphrase(folder: StoreFolder): Promise<string> {
  const { env, askHidden } = folder.context;
  const given = env['SECRETS_NEW_PASSPHRASE'];
  if (given !== undefined && given !== '') {
    await checkStrength(given, folder.context);
    return given;
  }
  if (askHidden === undefined) return readPassphrase(folder.context);
  const first = await askHidden('New passphrase');
  if (first === '' || (await askHidden('The same passphrase again')) !== first) {
    throw new SecretsError('Usage', 'the two passphrases differ, or are empty');
  }
  await checkStrength(first, folder.context);
  return first;
}

/** Rejects a manifest that its own creator can't open, because the store would be lost if nobody else can. */
async function checkOpens(folder: StoreFolder, next: Manifest): Promise<void> {
  // The new passphrase was typed twice, or comes from SECRETS_NEW_PASSPHRASE.
  if (next.key.method === 'passphrase') return;
  try {
    await unwrapDataKey(next, folder.settings, folder.context);
  } catch (cause) {
    if (next.key.method !== 'age') throw cause;
    throw new SecretsError('Usage', 'none of your age identities would open the store after that', {
      hint: 'keep yourself among the recipients; another recipient can remove you later',
      cause,
    });
  }
}

/** Puts the next revision's manifest in place, unless another process has. */
function addManifest(folder: StoreFolder, next: Manifest): void {
  const scratch = join(folder.path, 'tmp');
  makePrivateFolder(scratch);
  checkFolder(scratch, 'anything');
  const tmp = join(scratch, newId(16));
  createPrivateFile(tmp, printManifest(next), 'the store’s manifest');
  try {
    linkSync(tmp, folder.manifestPath(next.revision));
    syncFolder(folder.path);
  } catch (thrown) {
    if (codeOf(thrown) === 'EEXIST') throw conflict();
    throw fileError(thrown, 'cannot renew the key', folder.path);
  } finally {
    removeFile(tmp);
  }
  // Two other renewals were faster, and the first one's manifest is already gone: the highest revision counts.
  if (folder.revisions().at(-1) === next.revision) return;
  removeFile(folder.manifestPath(next.revision));
  throw conflict();
}

/** Removes the manifests of lower revisions, so that an old key no longer opens the store. */
function removeOlder(folder: StoreFolder, revision: number): void {
  for (const older of folder.revisions()) if (older < revision) removeFile(folder.manifestPath(older));
  syncFolder(folder.path);
}

function conflict(): SecretsError {
  return new SecretsError('Conflict', 'another renewal of this store’s key was faster', {
    hint: 'check whether it did what you wanted, or run the command again',
  });
}

/** Re-encrypts every file that is not under the current key. @returns how many there were */
function resealAll(journal: JournalFolder): number {
  let resealed = 0;
  for (const sid of journal.secretIds()) {
    for (const parts of journal.files(sid)) {
      try {
        journal.reseal(sid, parts);
        resealed += 1;
      } catch (thrown) {
        if (!leavesFileAlone(thrown)) throw thrown;
      }
    }
    try {
      // A version that was destroyed while its file was re-encrypted must not come back as a file.
      journal.removeDestroyed(sid);
    } catch (thrown) {
      if (!leavesFileAlone(thrown)) throw thrown;
    }
    if (journal.files(sid).length > 0) syncFolder(journal.folder(sid));
  }
  return resealed;
}

/**
 * A damaged file stays as it is; reading it reports the damage. A file that is gone, or under a newer key, needs no
 * work.
 */
function leavesFileAlone(thrown: unknown): boolean {
  if (thrown instanceof GoneError || thrown instanceof UnknownKeyError) return true;
  return thrown instanceof SecretsError && thrown.kind === 'Integrity';
}
