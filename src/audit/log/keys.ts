/**
 * The key that signs checkpoints: Ed25519, in an owner-only file in the state folder, encrypted if its passphrase is
 * in the key chain (unlock.ts). Its public half is beside the log.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { linkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import {
  checkFolder,
  codeOf,
  createPrivateFile,
  makePrivateFolder,
  readPrivateFile,
  removeFile,
  replacePrivateFile,
  syncFolder,
} from '../../platform/files.ts';

const WHAT = 'the signing key of the audit log';
const ENCRYPTED = '-----BEGIN ENCRYPTED PRIVATE KEY-----';
const PEM = /-----BEGIN PUBLIC KEY-----[\s\S]*?-----END PUBLIC KEY-----\n?/g;

export interface PublicKey {
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex. */
  readonly id: string;
  readonly key: KeyObject;
  /** SubjectPublicKeyInfo, DER, base64. */
  readonly der: string;
}

export interface SigningKey extends PublicKey {
  readonly privateKey: KeyObject;
}

export function signingKeyPath(stateFolder: string): string {
  return join(stateFolder, 'audit', 'signing.key');
}

export function publicKeyOf(key: KeyObject): PublicKey {
  const der = key.export({ type: 'spki', format: 'der' });
  return { id: createHash('sha256').update(der).digest('hex'), key, der: der.toString('base64') };
}

/** A key whose file is encrypted, after unlock.ts has decrypted it. */
export interface Unlocked {
  /** The content of the key file. */
  readonly file: Buffer;
  readonly key: SigningKey;
}

/** The key needs the key chain, which must only be asked while no lock is held. */
export class KeyIsLocked extends Error {}

/** The content of the key file; undefined if there is none. @throws SecretsError Denied */
export function readKeyFile(stateFolder: string): Buffer | undefined {
  const path = signingKeyPath(stateFolder);
  return checkFolder(dirname(path), 'nothing') ? readPrivateFile(path, WHAT, true) : undefined;
}

export function isEncrypted(file: Buffer): boolean {
  return file.includes(ENCRYPTED);
}

/** Parses the key. @param passphrase if the file is encrypted @throws SecretsError Integrity */
export function parseSigningKey(stateFolder: string, file: Buffer, passphrase?: string): SigningKey {
  try {
    const text = file.toString('latin1');
    const key = text.slice(Math.max(0, text.indexOf(ENCRYPTED)));
    const privateKey = createPrivateKey({ key, ...(passphrase !== undefined && { passphrase }) });
    if (privateKey.asymmetricKeyType !== 'ed25519') throw new TypeError(privateKey.asymmetricKeyType);
    return { ...publicKeyOf(createPublicKey(privateKey)), privateKey };
  } catch (cause) {
    throw isNone(stateFolder, cause);
  }
}

function isNone(stateFolder: string, cause?: unknown): SecretsError {
  return new SecretsError('Integrity', `${WHAT} is not one: ${signingKeyPath(stateFolder)}`, {
    hint: 'restore it from a backup; otherwise a new key is created, and verifiers need to know it',
    cause,
  });
}

/**
 * The user's key; undefined if there is none.
 * @throws SecretsError Denied, Integrity
 * @throws KeyIsLocked if it is encrypted and `unlocked` isn't for this file
 */
export function readSigningKey(stateFolder: string, unlocked?: Unlocked): SigningKey | undefined {
  const file = readKeyFile(stateFolder);
  if (file === undefined) return undefined;
  if (!isEncrypted(file)) return parseSigningKey(stateFolder, file);
  if (unlocked?.file.equals(file) !== true) throw new KeyIsLocked();
  return unlocked.key;
}

/** The public half of the user's key; needs no key chain. @throws SecretsError Denied, Integrity */
export function readOwnPublicKey(stateFolder: string): PublicKey | undefined {
  const file = readKeyFile(stateFolder);
  if (file === undefined) return undefined;
  if (!isEncrypted(file)) return parseSigningKey(stateFolder, file);
  const [key] = parsePublicKeys(file.toString('latin1'));
  if (key === undefined) throw isNone(stateFolder);
  return key;
}

/** The user's key, generated into an unencrypted file on first use. @throws SecretsError, KeyIsLocked */
export function needSigningKey(stateFolder: string, unlocked?: Unlocked): SigningKey {
  const found = readSigningKey(stateFolder, unlocked);
  if (found !== undefined) return found;
  placeKeyFile(stateFolder, plainFile(generateKeyPairSync('ed25519').privateKey));
  const made = readSigningKey(stateFolder, unlocked);
  if (made === undefined)
    throw new SecretsError('Failed', `${WHAT} could not be made: ${signingKeyPath(stateFolder)}`);
  return made;
}

export function plainFile(key: KeyObject): Buffer {
  return Buffer.from(key.export({ type: 'pkcs8', format: 'pem' }));
}

/**
 * Creates the key file. Never overwrites one: a writer of another log may just have created it. @returns whether it
 * was created
 */
export function placeKeyFile(stateFolder: string, content: Buffer): boolean {
  const path = signingKeyPath(stateFolder);
  makePrivateFolder(dirname(path));
  const tmp = `${path}.${process.pid}.tmp`;
  removeFile(tmp);
  createPrivateFile(tmp, content, WHAT);
  try {
    linkSync(tmp, path);
    syncFolder(dirname(path));
    return true;
  } catch (thrown) {
    if (codeOf(thrown) !== 'EEXIST') throw thrown;
    return false;
  } finally {
    removeFile(tmp);
  }
}

/** Replaces the content of the key file. @returns false if the file no longer contains `old` */
export function replaceKeyFile(stateFolder: string, old: Buffer, content: Buffer): boolean {
  if (readKeyFile(stateFolder)?.equals(old) !== true) return false;
  const path = signingKeyPath(stateFolder);
  replacePrivateFile(path, content, WHAT);
  syncFolder(dirname(path));
  return true;
}

/** The public keys in a PEM text. Anything else is skipped. */
export function parsePublicKeys(text: string): readonly PublicKey[] {
  return Array.from(text.matchAll(PEM)).flatMap(([pem]) => {
    try {
      return [publicKeyOf(createPublicKey(pem))];
    } catch {
      return [];
    }
  });
}

/** Adds a public key to the file beside the log, for verifiers on other machines. */
export function publish(path: string, { id, key }: PublicKey): void {
  const text = readPrivateFile(path, 'the public keys of the audit log', false)?.toString('utf8') ?? '';
  if (parsePublicKeys(text).some((other) => other.id === id)) return;
  const pem = key.export({ type: 'spki', format: 'pem' });
  replacePrivateFile(path, Buffer.from(`${text}${pem.toString()}`), 'the public keys of the audit log');
}
