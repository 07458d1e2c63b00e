/** The four ways to keep a data key: OS key chain, key file, passphrase, age recipients. */
import { randomBytes, scrypt } from 'node:crypto';
import { dirname, join } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { xdgFolder } from '../../world.ts';
import type { ProviderContext } from '../provider.ts';
import { BoxError, KEY_LENGTH, seal } from './crypto.ts';
import {
  createPrivateFile,
  makePrivateFolder,
  readPrivateFile,
  removeFile,
  syncFolder,
} from '../../files.ts';
import { type KeyRecord, type Manifest, unwrapKey, wrapAad } from './manifest.ts';
import type { KeyMethod, LocalSettings } from './settings.ts';

/** scrypt's cost: 128 MiB and some 300 ms (RFC 7914; above the OWASP minimum of N = 2^17, r = 8, p = 1). */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 };
/** A key chain that does not answer (a locked one waits for its dialog) is not waited for longer than this. */
const KEYCHAIN_TIMEOUT_MS = 20_000;
const KEY_FILE_PREFIX = 'secrets-local-key-1:';

interface Place {
  readonly store: string;
  readonly keyId: string;
}

/** Path of the key file that belongs to a data key. */
export function keyFilePath(
  settings: LocalSettings,
  context: ProviderContext,
  { store, keyId }: Place,
): string {
  const { file } = settings.key ?? {};
  return file ?? join(xdgFolder(context, 'config'), 'keys', `${store}-${keyId}.key`);
}

/** A new wrapping of `dataKey`. What it stores outside of store.json is on disk before it returns. */
export async function wrapDataKey(
  method: KeyMethod,
  dataKey: Buffer,
  place: Place,
  settings: LocalSettings,
  context: ProviderContext,
  recipients: readonly string[],
  passphrase: () => Promise<string>,
): Promise<KeyRecord> {
  const { store, keyId } = place;
  const wrapWith = (kek: Buffer): string =>
    seal(kek, dataKey, wrapAad(store, keyId, method)).toString('base64');
  switch (method) {
    case 'key-file': {
      const kek = randomBytes(KEY_LENGTH);
      const path = keyFilePath(settings, context, place);
      makePrivateFolder(dirname(path));
      createPrivateFile(path, Buffer.from(`${KEY_FILE_PREFIX}${kek.toString('base64')}\n`), 'the key file');
      syncFolder(dirname(path));
      return { id: keyId, method, wrapped: wrapWith(kek) };
    }
    case 'keychain': {
      const kek = randomBytes(KEY_LENGTH);
      await (await keychainEntry(place)).set(kek.toString('base64'));
      return { id: keyId, method, wrapped: wrapWith(kek) };
    }
    case 'passphrase': {
      const salt = randomBytes(16);
      const kek = await derive(await passphrase(), salt);
      return { id: keyId, method, wrapped: wrapWith(kek), salt: salt.toString('base64') };
    }
    case 'age': {
      if (recipients.length === 0) {
        throw new SecretsError('Usage', `store ${context.store} has key method age and no recipients`, {
          hint: 'add key.recipients: [age1…] to the store',
        });
      }
      return {
        id: keyId,
        method,
        wrapped: await ageEncrypt(dataKey, recipients),
        recipients: [...recipients],
      };
    }
  }
}

/** The data key of a store. @throws SecretsError Unauthenticated (no or wrong key), Integrity */
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
          hint: 'bring it back from a backup; without it the store can’t be read',
        });
      }
      return unwrapWith(
        kek,
        manifest,
        `the key file does not fit this store, or store.json was changed: ${path}`,
        'Integrity',
      );
    }
    case 'keychain': {
      const text = await (await keychainEntry(place)).get();
      if (text === undefined) {
        throw new SecretsError('Unauthenticated', 'the key chain holds no key for the local store', {
          hint: 'unlock the key chain of the user who made the store',
        });
      }
      return unwrapWith(
        Buffer.from(text, 'base64'),
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
        'the passphrase is wrong, or store.json was changed',
        'Unauthenticated',
      );
    }
    case 'age':
      return ageDecrypt(Buffer.from(key.wrapped, 'base64'), settings, context);
  }
}

/** Takes back what `wrapDataKey` stored outside of store.json. */
export async function forgetDataKey(
  record: KeyRecord,
  store: string,
  settings: LocalSettings,
  context: ProviderContext,
): Promise<void> {
  const place = { store, keyId: record.id };
  if (record.method === 'key-file') removeFile(keyFilePath(settings, context, place));
  if (record.method === 'keychain') await (await keychainEntry(place)).remove();
}

function readKeyFile(path: string): Buffer | undefined {
  const text = readPrivateFile(path, 'the key file', true)?.toString('latin1').trim();
  if (text === undefined) return undefined;
  const key = text.startsWith(KEY_FILE_PREFIX)
    ? Buffer.from(text.slice(KEY_FILE_PREFIX.length), 'base64')
    : undefined;
  if (key?.length !== KEY_LENGTH) {
    throw new SecretsError('Integrity', `the key file of the local store is not one: ${path}`, {
      hint: 'bring it back from a backup',
    });
  }
  return key;
}

function unwrapWith(
  kek: Buffer,
  manifest: Manifest,
  message: string,
  kind: 'Integrity' | 'Unauthenticated',
): Buffer {
  try {
    return unwrapKey(kek, manifest);
  } catch (cause) {
    if (cause instanceof BoxError) throw new SecretsError(kind, message, { cause });
    throw cause;
  }
}

function derive(passphrase: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // One spelling for one passphrase, however the keyboard composed it.
    scrypt(passphrase.normalize('NFC'), salt, KEY_LENGTH, SCRYPT, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}

/** The passphrase from the environment, a file it names, or the user. @throws SecretsError Unauthenticated */
export async function readPassphrase(context: ProviderContext): Promise<string> {
  const { env, askHidden, store } = context;
  const direct = env['SECRETS_PASSPHRASE'];
  if (direct !== undefined && direct !== '') return direct;
  const file = env['SECRETS_PASSPHRASE_FILE'];
  if (file !== undefined && file !== '') {
    const bytes = readPrivateFile(file, 'the passphrase file', true);
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

interface KeychainEntry {
  get(): Promise<string | undefined>;
  set(text: string): Promise<void>;
  remove(): Promise<void>;
}

/** This store's entry in the OS key chain. @throws SecretsError Unavailable where no key chain is reachable */
async function keychainEntry({ store, keyId }: Place): Promise<KeychainEntry> {
  const unreachable = (cause: unknown): SecretsError =>
    new SecretsError('Unavailable', 'the key chain of this system is not reachable', {
      hint: 'unlock it, or use the key method key-file',
      cause,
    });
  const bounded = async <T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    try {
      return await work(AbortSignal.timeout(KEYCHAIN_TIMEOUT_MS));
    } catch (cause) {
      throw unreachable(cause);
    }
  };
  return bounded(async () => {
    const { AsyncEntry } = await import('@napi-rs/keyring');
    // Without the pin the package falls back to the kernel's keyring, which forgets its keys when the user logs out.
    const entry = new AsyncEntry('secrets', `${store}-${keyId}`, { linux: { store: 'secret-service' } });
    return {
      get: () => bounded(async (signal) => (await entry.getPassword(signal)) ?? undefined),
      set: (text) => bounded((signal) => entry.setPassword(text, signal)),
      remove: () => bounded(async (signal) => void (await entry.deletePassword(signal))),
    };
  });
}

/** Whether the key chain can be used at all, tried by a question that changes nothing. */
export async function keychainReachable(place: Place): Promise<boolean> {
  try {
    await (await keychainEntry(place)).get();
    return true;
  } catch {
    return false;
  }
}

async function ageEncrypt(dataKey: Buffer, recipients: readonly string[]): Promise<string> {
  const { Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch (cause) {
      throw new SecretsError('Usage', `${JSON.stringify(recipient.slice(0, 80))} is not an age recipient`, {
        hint: 'recipients start with age1; age-keygen -y prints one',
        cause,
      });
    }
  }
  return Buffer.from(await encrypter.encrypt(dataKey)).toString('base64');
}

async function ageDecrypt(
  wrapped: Buffer,
  settings: LocalSettings,
  context: ProviderContext,
): Promise<Buffer> {
  const path =
    settings.key?.identity ??
    context.env['SECRETS_AGE_IDENTITY'] ??
    join(xdgFolder(context, 'config'), 'age.txt');
  const text = readPrivateFile(path, 'the age identity file', true)?.toString('utf8');
  if (text === undefined) {
    throw new SecretsError('Unauthenticated', `there is no age identity to open the store with: ${path}`, {
      hint: 'make one with age-keygen, or name yours in SECRETS_AGE_IDENTITY',
    });
  }
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  for (const line of text.split(/\r?\n/).map((entry) => entry.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    try {
      decrypter.addIdentity(line);
    } catch {
      // The library's message quotes the line, which is a private key.
      throw new SecretsError(
        'Unauthenticated',
        `the age identity file holds a line that is no identity: ${path}`,
      );
    }
  }
  let plain: Uint8Array;
  try {
    plain = await decrypter.decrypt(wrapped);
  } catch {
    throw new SecretsError('Unauthenticated', `no identity in ${path} is a recipient of this store`, {
      hint: 'ask a recipient to run: secrets stores rekey --add-recipient YOURS',
    });
  }
  if (plain.length !== KEY_LENGTH)
    throw new SecretsError('Integrity', 'the wrapped key of the local store was changed');
  return Buffer.from(plain);
}
