/**
 * The signing key with its passphrase in the OS key chain. The key chain may wait for its user: it is asked while no
 * lock is held, and what it gave is held against the file under the lock.
 */
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { SecretsError } from '../../core/errors.ts';
import { type KeychainEntry, openKeychainEntry } from '../../platform/keychain.ts';
import {
  isEncrypted,
  parseSigningKey,
  placeKeyFile,
  plainFile,
  readKeyFile,
  replaceKeyFile,
  signingKeyPath,
  type Unlocked,
} from './keys.ts';
import type { LogSettings } from './log-settings.ts';

/** For a key that is not encrypted yet. */
const NEW = 'unlock it, or set audit.key: key-file';

/**
 * Brings the key's file into the form that `audit.key` wants, and opens it where it is encrypted then.
 * @throws SecretsError Unavailable, Unauthenticated, Integrity, Denied
 */
export async function unlockKey({
  stateFolder,
  key: method,
}: Pick<LogSettings, 'stateFolder' | 'key'>): Promise<Unlocked | undefined> {
  const path = signingKeyPath(stateFolder);
  const away = `unlock it, or move ${path} away: a new key is made, which verifiers have to be told of`;
  for (;;) {
    const file = readKeyFile(stateFolder);
    if (file === undefined || !isEncrypted(file)) {
      if (method !== 'keychain') return undefined;
      const key =
        file === undefined
          ? generateKeyPairSync('ed25519').privateKey
          : parseSigningKey(stateFolder, file).privateKey;
      await encrypt(key, (content) =>
        file === undefined ? placeKeyFile(stateFolder, content) : replaceKeyFile(stateFolder, file, content),
      );
      continue;
    }
    const entry = await entryOf(file, away);
    const passphrase = await entry.get();
    if (passphrase === undefined) {
      // Another process may have changed the file, and removed the entry of the one before.
      if (readKeyFile(stateFolder)?.equals(file) !== true) continue;
      throw new SecretsError('Unauthenticated', `the key chain holds no passphrase for ${path}`, {
        hint: away,
      });
    }
    const key = parseSigningKey(stateFolder, file, passphrase);
    if (method !== 'key-file') return { file, key };
    if (replaceKeyFile(stateFolder, file, plainFile(key.privateKey))) await forget(entry);
  }
}

/**
 * Each content has an entry of its own: of two processes that encrypt the key at once, the one whose file stays has
 * its passphrase in the key chain, whoever was first there.
 */
function entryOf(file: Buffer, hint: string): Promise<KeychainEntry> {
  const digest = createHash('sha256').update(file).digest('hex');
  return openKeychainEntry(`audit-log-${digest.slice(0, 32)}`, hint);
}

/** @param put puts the new content in its place, unless something else is there by now */
async function encrypt(key: KeyObject, put: (content: Buffer) => boolean): Promise<void> {
  const passphrase = randomBytes(32).toString('base64');
  const pem = key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase });
  // With the public half: audit verify then needs no key chain.
  const half = createPublicKey(key).export({ type: 'spki', format: 'pem' });
  const content = Buffer.from(`${half.toString()}${pem.toString()}`);
  const entry = await entryOf(content, NEW);
  await entry.set(passphrase);
  // Before the plain key is gone.
  if ((await entry.get()) !== passphrase)
    throw new SecretsError('Unavailable', 'the key chain of this system did not keep what it was given', {
      hint: NEW,
    });
  let isPut = false;
  try {
    isPut = put(content);
  } finally {
    if (!isPut) await forget(entry);
  }
}

/** What stays behind opens no file that is there. */
async function forget(entry: KeychainEntry): Promise<void> {
  await entry.remove().catch(() => undefined);
}
