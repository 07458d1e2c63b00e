/**
 * The signing key with its passphrase in the OS key chain. The key chain may prompt the user, so it is asked while no
 * lock is held; the result is compared with the file again under the lock.
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

/** The hint for a key that isn't encrypted yet. */
const NEW = 'unlock it, or set audit.key: key-file';

/**
 * Converts the key file to the form that `audit.key` asks for, and decrypts it if it is encrypted then.
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
      // Another process may have replaced the file and removed the old one's entry.
      if (readKeyFile(stateFolder)?.equals(file) !== true) continue;
      throw new SecretsError('Unauthenticated', `the key chain has no passphrase for ${path}`, {
        hint: away,
      });
    }
    const key = parseSigningKey(stateFolder, file, passphrase);
    if (method !== 'key-file') return { file, key };
    if (replaceKeyFile(stateFolder, file, plainFile(key.privateKey))) await forget(entry);
  }
}

/**
 * Each file content has its own entry: if two processes encrypt the key at once, the passphrase of the file that
 * stays is in the key chain, whichever of them was first.
 */
function entryOf(file: Buffer, hint: string): Promise<KeychainEntry> {
  const digest = createHash('sha256').update(file).digest('hex');
  return openKeychainEntry(`audit-log-${digest.slice(0, 32)}`, hint);
}

/** @param put writes the new content, unless the file has changed meanwhile */
async function encrypt(key: KeyObject, put: (content: Buffer) => boolean): Promise<void> {
  const passphrase = randomBytes(32).toString('base64');
  const pem = key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase });
  // Includes the public half, so that audit verify needs no key chain.
  const half = createPublicKey(key).export({ type: 'spki', format: 'pem' });
  const content = Buffer.from(`${half.toString()}${pem.toString()}`);
  const entry = await entryOf(content, NEW);
  await entry.set(passphrase);
  // Check before the unencrypted key is gone.
  if ((await entry.get()) !== passphrase)
    throw new SecretsError('Unavailable', 'the key chain of this system did not store the key', {
      hint: NEW,
    });
  let isPut = false;
  try {
    isPut = put(content);
  } finally {
    if (!isPut) await forget(entry);
  }
}

/** An entry that is left over doesn't unlock any existing file, so failures don't matter. */
async function forget(entry: KeychainEntry): Promise<void> {
  await entry.remove().catch(() => undefined);
}
