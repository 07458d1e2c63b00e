/** The key that signs checkpoints: Ed25519, in a file for the owner alone in the state folder; its public half beside the log. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { linkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SecretsError } from '../core/errors.ts';
import {
  checkFolder,
  codeOf,
  createPrivateFile,
  makePrivateFolder,
  readPrivateFile,
  removeFile,
  replacePrivateFile,
  syncFolder,
} from '../files.ts';

const WHAT = 'the signing key of the audit log';
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

/** Path of the key's file. */
export function signingKeyPath(stateFolder: string): string {
  return join(stateFolder, 'audit', 'signing.key');
}

export function publicKeyOf(key: KeyObject): PublicKey {
  const der = key.export({ type: 'spki', format: 'der' });
  return { id: createHash('sha256').update(der).digest('hex'), key, der: der.toString('base64') };
}

/** The user's key; undefined when there is none. @throws SecretsError Denied, Integrity */
export function readSigningKey(stateFolder: string): SigningKey | undefined {
  const path = signingKeyPath(stateFolder);
  if (!checkFolder(dirname(path), 'nothing')) return undefined;
  const pem = readPrivateFile(path, WHAT, true);
  if (pem === undefined) return undefined;
  try {
    const privateKey = createPrivateKey(pem);
    if (privateKey.asymmetricKeyType !== 'ed25519') throw new TypeError(privateKey.asymmetricKeyType);
    return { ...publicKeyOf(createPublicKey(privateKey)), privateKey };
  } catch (cause) {
    throw new SecretsError('Integrity', `${WHAT} is not one: ${path}`, {
      hint: 'bring it back from a backup; without it a new one is made, which verifiers have to be told of',
      cause,
    });
  }
}

/** The user's key, made on first use. @throws SecretsError */
export function needSigningKey(stateFolder: string): SigningKey {
  const found = readSigningKey(stateFolder);
  if (found !== undefined) return found;
  const path = signingKeyPath(stateFolder);
  makePrivateFolder(dirname(path));
  const { privateKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const tmp = `${path}.${process.pid}.tmp`;
  removeFile(tmp);
  createPrivateFile(tmp, Buffer.from(pem), WHAT);
  try {
    // Never over another: a log elsewhere may have made it meanwhile.
    linkSync(tmp, path);
    syncFolder(dirname(path));
  } catch (thrown) {
    if (codeOf(thrown) !== 'EEXIST') throw thrown;
  } finally {
    removeFile(tmp);
  }
  const made = readSigningKey(stateFolder);
  if (made === undefined) throw new SecretsError('Failed', `${WHAT} could not be made: ${path}`);
  return made;
}

/** The public keys of a PEM text; what is none is left out. */
export function parsePublicKeys(text: string): readonly PublicKey[] {
  return Array.from(text.matchAll(PEM)).flatMap(([pem]) => {
    try {
      return [publicKeyOf(createPublicKey(pem))];
    } catch {
      return [];
    }
  });
}

/** Adds a public key to the file beside the log, for verifiers elsewhere. */
export function publish(path: string, { id, key }: PublicKey): void {
  const text = readPrivateFile(path, 'the public keys of the audit log', false)?.toString('utf8') ?? '';
  if (parsePublicKeys(text).some((other) => other.id === id)) return;
  const pem = key.export({ type: 'spki', format: 'pem' });
  replacePrivateFile(path, Buffer.from(`${text}${pem.toString()}`), 'the public keys of the audit log');
}
