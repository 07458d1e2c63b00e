/** Gets a store's data key with one of four methods: OS keychain, key file, passphrase, age identity. */
import { scrypt } from 'node:crypto';
import { join } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { xdgFolder } from '../../platform/world.ts';
import type { ProviderContext } from '../descriptor.ts';
import { readUnlockFile } from '../../platform/unlock-file.ts';
import { BoxError, fromBase64, KEY_LENGTH } from './crypto.ts';
import { type Manifest, unwrapKey } from './manifest.ts';
import { expandPath, type Place } from './place.ts';
import type { LocalSettings } from './settings.ts';

/** scrypt's cost: 128 MiB and some 300 ms (RFC 7914; above the OWASP minimum of N = 2^17, r = 8, p = 1). */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 };
/** The start of every key file. */
export const KEY_FILE_PREFIX = 'secrets-local-key-1:';

/** The path of a data key's key file. */
export function keyFilePath(
  settings: LocalSettings,
  context: ProviderContext,
  { store, keyId }: Place,
): string {
  const { file } = settings.key ?? {};
  if (file !== undefined) return expandPath(context, file);
  return join(xdgFolder(context, 'config'), 'keys', `${store}-${keyId}.key`);
}

/** A store's data key. @throws SecretsError Unauthenticated (no key or the wrong one), Integrity */
export async function unwrapDataKey(
  manifest: Manifest,
  settings: LocalSettings,
  context: ProviderContext,
): Promise<Buffer> {
  const { key } = manifest;
  const place = { store: manifest.store, keyId: key.id };
  switch (key.method) {
    case 'key-file': {
      const path = keyFilePath(settings, context, place);
      const kek = readKeyFile(path);
      if (kek === undefined) {
        throw new SecretsError('Unauthenticated', `the key file of the local store is missing: ${path}`, {
          hint: 'restore it from a backup; without it the store can’t be read',
        });
      }
      return unwrapWith(
        kek,
        manifest,
        `the key file does not fit this store, or the store’s manifest was changed: ${path}`,
        'Integrity',
      );
    }
    case 'keychain': {
      const { keychainEntry } = await import('./keychain.ts');
      const text = await (await keychainEntry(place)).get();
      if (text === undefined) {
        throw new SecretsError('Unauthenticated', 'the key chain has no key for the local store', {
          hint: 'unlock the key chain of the user who made the store',
        });
      }
      return unwrapWith(
        fromBase64(text.trim()),
        manifest,
        'the key in the key chain does not fit this store',
        'Integrity',
      );
    }
    case 'passphrase': {
      const salt = Buffer.from(key.salt ?? '', 'base64');
      const kek = await derive(await readPassphrase(context), salt);
      return unwrapWith(
        kek,
        manifest,
        'the passphrase is wrong, or the store’s manifest was changed',
        'Unauthenticated',
      );
    }
    case 'age': {
      const { ageDecrypt } = await import('./age.ts');
      return ageDecrypt(Buffer.from(key.wrapped, 'base64'), settings, context);
    }
  }
}

/** The key in a key file; undefined if there is no file. @throws SecretsError Denied, Integrity */
export function readKeyFile(path: string): Buffer | undefined {
  const text = readUnlockFile(path, 'the key file')?.toString('latin1').trim();
  if (text === undefined) return undefined;
  const key = text.startsWith(KEY_FILE_PREFIX)
    ? fromBase64(text.slice(KEY_FILE_PREFIX.length), KEY_LENGTH)
    : undefined;
  if (key === undefined) {
    throw new SecretsError('Integrity', `the key file of the local store is invalid: ${path}`, {
      hint: 'restore it from a backup',
    });
  }
  return key;
}

function unwrapWith(
  kek: Buffer | undefined,
  manifest: Manifest,
  message: string,
  kind: 'Integrity' | 'Unauthenticated',
): Buffer {
  try {
    if (kek?.length !== KEY_LENGTH) throw new BoxError('has a key of the wrong length');
    return unwrapKey(kek, manifest);
  } catch (cause) {
    if (cause instanceof BoxError) throw new SecretsError(kind, message, { cause });
    throw cause;
  }
}

/** Derives the key-encryption key from a passphrase. */
export function derive(passphrase: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // Normalised, because keyboards compose the same passphrase in different ways.
    scrypt(passphrase.normalize('NFC'), salt, KEY_LENGTH, SCRYPT, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}

/**
 * The passphrase from the environment, from a file that it names, or from the user. @throws SecretsError
 * Unauthenticated
 */
export async function readPassphrase(context: ProviderContext): Promise<string> {
  const { env, askHidden, store } = context;
  const direct = env['SECRETS_PASSPHRASE'];
  if (direct !== undefined && direct !== '') return direct;
  const file = env['SECRETS_PASSPHRASE_FILE'];
  if (file !== undefined && file !== '') {
    const bytes = readUnlockFile(file, 'the passphrase file');
    if (bytes === undefined)
      throw new SecretsError('Unauthenticated', `the passphrase file is missing: ${file}`);
    return bytes.toString('utf8').replace(/\r?\n$/, '');
  }
  if (askHidden !== undefined) return askHidden(`Passphrase of store ${store}`);
  throw new SecretsError(
    'Unauthenticated',
    `store ${store} needs a passphrase and there is no terminal to ask at`,
    {
      hint: 'set SECRETS_PASSPHRASE_FILE to a 0600 file, or SECRETS_PASSPHRASE',
    },
  );
}
