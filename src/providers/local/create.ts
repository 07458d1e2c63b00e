/** Creates a store with its first key. */
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
import { KEY_LENGTH } from './crypto.ts';
import type { StorePlace } from './place.ts';
import { keyFilePath, readPassphrase } from './keys.ts';
import { type KeyRecord, type Keys, makeManifest, newId, printManifest } from './manifest.ts';
import type { KeyMethod } from './settings.ts';
import { forgetDataKey } from './unused-keys.ts';
import { wrapDataKey } from './wrap.ts';

const METHODS: readonly string[] = ['keychain', 'key-file', 'passphrase', 'age'];

/**
 * Creates the store, unless another process does so first.
 * @returns the new store's keys; undefined if another process created it
 * @throws SecretsError
 */
export async function createStore(folder: StorePlace): Promise<Keys | undefined> {
  const { path, settings, context } = folder;
  const keyId = newId(8);
  const dataKey = randomBytes(KEY_LENGTH);
  const keys: Keys = {
    store: newId(16),
    revision: 1,
    names: settings.names ?? 'hidden',
    currentId: keyId,
    dataKeys: new Map([[keyId, dataKey]]),
    nameKey: randomBytes(KEY_LENGTH),
  };
  const place = { store: keys.store, keyId };
  const method = namedMethod(folder);
  makePrivateFolder(join(path, 'tmp'));
  checkFolder(path, method === 'age' ? 'read' : 'nothing');
  checkFolder(join(path, 'tmp'), 'anything');
  const wrap = (by: KeyMethod): Promise<KeyRecord> =>
    wrapDataKey(by, dataKey, place, folder, () => newPassphrase(folder));
  const record = await (method === undefined ? wrapAsCanBe(wrap) : wrap(method));
  const tmp = join(path, 'tmp', newId(16));
  let made = false;
  try {
    createPrivateFile(tmp, printManifest(makeManifest(keys, record)), 'the store');
    linkSync(tmp, folder.manifestPath(1));
    made = true;
    syncFolder(path);
  } catch (thrown) {
    if (!made) await forgetDataKey(record, keys.store, folder);
    // Another process has just created the store, and its store counts.
    if (codeOf(thrown) === 'EEXIST') return undefined;
    throw fileError(thrown, 'cannot make the store', path);
  } finally {
    removeFile(tmp);
  }
  tellGit(path);
  if (record.method === 'key-file') {
    const file = keyFilePath(settings, context, place);
    const why = method === undefined ? ' (no key chain can be used here)' : '';
    context.warn(`made an encrypted store in ${path}; its key is in ${file}${why}: back both up`);
  }
  return keys;
}

/** Settings for git: ignore scratch folders, and don't merge within files. */
const FOR_GIT = {
  '.gitignore': 'tmp/\nclaims/\n',
  // A merge then keeps one side whole. Otherwise git would write conflict markers into a file that happens to contain
  // no NUL.
  '.gitattributes': '*.sealed -text -diff -merge\nmanifest-*.json -text -merge\n',
};

/** Creates these files if they are missing. */
export function tellGit(path: string): void {
  for (const [file, content] of Object.entries(FOR_GIT)) {
    try {
      createPrivateFile(join(path, file), Buffer.from(content), 'a file of the store');
    } catch (thrown) {
      if (codeOf((thrown as Error).cause) !== 'EEXIST') throw thrown;
    }
  }
}

/** The method in the settings; undefined if they leave it open. @throws SecretsError Usage */
function namedMethod({ settings, context, recipients }: StorePlace): KeyMethod | undefined {
  const named = settings.key?.method ?? context.env['SECRETS_LOCAL_KEY_METHOD'];
  if (named !== undefined && named !== '') {
    if (METHODS.includes(named)) return named as KeyMethod;
    throw new SecretsError('Usage', `${JSON.stringify(named)} is not a key method`, {
      hint: METHODS.join(', '),
    });
  }
  if (settings.key?.file !== undefined) return 'key-file';
  return recipients.length > 0 ? 'age' : undefined;
}

/** Uses the keychain, or a key file if there is no keychain or it stays locked (an ssh session has no dialog). */
async function wrapAsCanBe(wrap: (method: KeyMethod) => Promise<KeyRecord>): Promise<KeyRecord> {
  try {
    return await wrap('keychain');
  } catch (thrown) {
    if (!(thrown instanceof SecretsError) || thrown.kind !== 'Unavailable') throw thrown;
    return wrap('key-file');
  }
}

/** The minimum of guesses that opening a stolen copy of the store should take, as a power of ten. */
const MIN_GUESSES_LOG10 = 10;

/** Warns about a new passphrase that a program could guess. */
export async function checkStrength(passphrase: string, { warn }: StorePlace['context']): Promise<void> {
  const { loadStrength } = await import('../../core/findings/strength.ts');
  const log10 = (await loadStrength())(passphrase.slice(0, 200));
  if (log10 < MIN_GUESSES_LOG10)
    warn(
      `the passphrase is weak: about 10^${Math.floor(log10)} guesses find it; five random words are better`,
    );
}

async function newPassphrase({ context }: StorePlace): Promise<string> {
  const first = await readPassphrase(context);
  if (first === '') throw new SecretsError('Usage', 'the passphrase is empty');
  const { env, askHidden } = context;
  const asked = (env['SECRETS_PASSPHRASE'] ?? '') === '' && (env['SECRETS_PASSPHRASE_FILE'] ?? '') === '';
  if (asked && askHidden !== undefined && (await askHidden('The same passphrase again')) !== first) {
    throw new SecretsError('Usage', 'the two passphrases differ');
  }
  await checkStrength(first, context);
  return first;
}
