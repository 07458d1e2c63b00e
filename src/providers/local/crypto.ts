/**
 * The store's cryptography: AES-256-GCM (NIST SP 800-38D) with 96-bit random nonces, HKDF-SHA256 (RFC 5869) for a
 * separate key for each box, HMAC-SHA256 for hidden names.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';

const NONCE = 12;
const TAG = 16;

/** Length of every symmetric key, in bytes. */
export const KEY_LENGTH = 32;

/** Thrown when a box can't be opened: wrong key, wrong place or changed bytes. Which one is impossible to tell. */
export class BoxError extends Error {
  override readonly name = 'BoxError';
}

/** Decodes the only base64 form that writers use: padded, without any other characters. Undefined for anything else. */
export function fromBase64(text: unknown, length?: number): Buffer | undefined {
  if (typeof text !== 'string') return undefined;
  const bytes = Buffer.from(text, 'base64');
  const fits = bytes.toString('base64') === text && (length === undefined || bytes.length === length);
  return fits ? bytes : undefined;
}

/** Joins parts unambiguously: no part can contain NUL. */
export function associatedData(...parts: readonly string[]): Buffer {
  return Buffer.from(parts.join('\0'), 'utf8');
}

/** nonce ‖ ciphertext ‖ tag. */
export function seal(key: Uint8Array, plain: Uint8Array, aad: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG });
  cipher.setAAD(aad);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** The plain text of a box. @throws BoxError */
export function unseal(key: Uint8Array, box: Uint8Array, aad: Uint8Array): Buffer {
  if (box.length < NONCE + TAG) throw new BoxError('too short');
  const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(0, NONCE), { authTagLength: TAG });
  decipher.setAAD(aad);
  decipher.setAuthTag(box.subarray(box.length - TAG));
  const plain = decipher.update(box.subarray(NONCE, box.length - TAG));
  try {
    decipher.final();
  } catch {
    throw new BoxError('does not open');
  }
  return plain;
}

/**
 * Derives the key of one box from the data key: no two boxes share a key, so random nonces never run out.
 * @param id identifies the box, in hex: an event's id or the store's
 */
export function boxKey(dataKey: Uint8Array, id: string, use: 'event' | 'manifest'): Buffer {
  return hkdf(dataKey, Buffer.from(id, 'hex'), `secrets-local/1/${use}`);
}

/**
 * HKDF-SHA256 for 32 bytes (RFC 5869, sections 2.2 and 2.3): extract, and a single expand block. Not Node's own: its
 * first call makes OpenSSL initialise all of its key derivations, which slows down every start, while HMAC is needed
 * anyway.
 */
export function hkdf(key: Uint8Array, salt: Uint8Array, info: string): Buffer {
  return hmac(hmac(salt, key), `${info}\u0001`);
}

function hmac(key: Uint8Array, data: Uint8Array | string): Buffer {
  return createHmac('sha256', key).update(data).digest();
}

/** The folder name of a secret with a hidden name: 40 hex digits. */
export function hiddenId(nameKey: Uint8Array, name: string): string {
  return createHmac('sha256', nameKey).update(`name\0${name}`).digest('hex').slice(0, 40);
}
