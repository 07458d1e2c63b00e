/**
 * The manifest: the store's format, and its wrapped data key. Every field is authenticated: the sealed part binds all
 * the others as associated data, so a changed byte is an integrity error or has no effect. Each renewal of the key adds
 * a manifest with the next revision; the highest one counts. docs/local-store.md
 */
import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { isJsonObject, parseJson } from '../../core/json.ts';
import { associatedData, BoxError, boxKey, fromBase64, KEY_LENGTH, seal, unseal } from './crypto.ts';
import type { KeyMethod } from './settings.ts';

/** How to get the current data key. The fields besides `method` depend on the method. */
export interface KeyRecord {
  /** Id of the data key: 16 hex digits. */
  readonly id: string;
  readonly method: KeyMethod;
  /** The wrapped data key in base64; for `age`, an age file. */
  readonly wrapped: string;
  /** `passphrase`: scrypt's salt in base64. */
  readonly salt?: string;
  /** `age`: the recipients who can unwrap it. */
  readonly recipients?: readonly string[];
}

export interface Manifest {
  readonly format: 1;
  /** 32 hex digits. */
  readonly store: string;
  /** 1, 2, 3 …; also in the file's name. */
  readonly revision: number;
  readonly names: 'hidden' | 'visible';
  readonly key: KeyRecord;
  /** The sealed `Inner` in base64. */
  readonly sealed: string;
}

/** The part that only holders of the data key can read. */
interface Inner {
  readonly nameKey: string;
  /** Retired data keys: a slow writer or a merged branch may still add files that are sealed under them. */
  readonly retired: readonly { readonly id: string; readonly key: string }[];
}

/** An opened store: all keys in memory. */
export interface Keys {
  readonly store: string;
  /** The revision of their manifest. */
  readonly revision: number;
  readonly names: 'hidden' | 'visible';
  readonly currentId: string;
  /** Data keys by id, including the current one. */
  readonly dataKeys: ReadonlyMap<string, Buffer>;
  readonly nameKey: Buffer;
}

/** The data key that new entries are sealed with. */
export function currentKey({ currentId, dataKeys }: Keys): Buffer {
  return dataKeys.get(currentId) as Buffer;
}

/** Length of scrypt's salt, in bytes. */
export const SALT_LENGTH = 16;

export function newId(bytes: number): string {
  return randomBytes(bytes).toString('hex');
}

/** The associated data that binds a wrapped data key to its store. */
export function wrapAad(store: string, id: string, method: KeyMethod): Buffer {
  return associatedData('secrets-local/1/key', store, id, method);
}

function innerAad({ format, store, revision, names, key }: Omit<Manifest, 'sealed'>): Buffer {
  const recipients = (key.recipients ?? []).join('\n');
  return associatedData(
    'secrets-local/1/manifest',
    String(format),
    store,
    String(revision),
    names,
    key.id,
    key.method,
    key.wrapped,
    key.salt ?? '',
    recipients,
  );
}

/** Creates the manifest of a store with these keys; `key` is the wrapped current data key. */
export function makeManifest(keys: Keys, key: KeyRecord): Manifest {
  const retired = [...keys.dataKeys]
    .filter(([id]) => id !== keys.currentId)
    .map(([id, value]) => ({ id, key: value.toString('base64') }));
  const inner: Inner = { nameKey: keys.nameKey.toString('base64'), retired };
  const { store, revision, names } = keys;
  const head = { format: 1, store, revision, names, key } as const;
  const box = seal(
    boxKey(currentKey(keys), store, 'manifest'),
    Buffer.from(JSON.stringify(inner)),
    innerAad(head),
  );
  return { ...head, sealed: box.toString('base64') };
}

/** The content of a manifest's file. */
export function printManifest(manifest: Manifest): Buffer {
  return Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
}

export function manifestFile(revision: number): string {
  return `manifest-${String(revision).padStart(10, '0')}.json`;
}

/** The revision in a manifest's file name; undefined for any other file. */
export function revisionOf(file: string): number | undefined {
  const digits = /^manifest-(\d{10})\.json$/.exec(file)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

const METHODS: readonly unknown[] = ['keychain', 'key-file', 'passphrase', 'age'];

const matches = (value: unknown, pattern: RegExp): boolean =>
  typeof value === 'string' && pattern.test(value);

/**
 * Parses a manifest without any key.
 * @param name whether the file's name has to match the revision
 * @throws SecretsError Integrity if it isn't a manifest, Unsupported
 */
export function parseManifest(bytes: Uint8Array, path: string, name: 'fits' | 'any' = 'fits'): Manifest {
  let value: unknown;
  try {
    value = parseJson(bytes);
  } catch (cause) {
    if (Buffer.from(bytes).includes('<<<<<<< ')) throw unmerged(path);
    throw damaged(path, 'is not JSON', cause);
  }
  if (!isJsonObject(value)) throw damaged(path, 'is not a JSON object');
  if (typeof value['format'] === 'number' && value['format'] > 1) {
    throw new SecretsError(
      'Unsupported',
      `the local store has format ${value['format']}, this version reads 1: ${path}`,
      { hint: 'upgrade secrets' },
    );
  }
  if (!isJsonObject(value['key'])) throw damaged(path, 'has no key record');
  const { method, recipients, salt, ...key } = value['key'];
  const fits =
    value['format'] === 1 &&
    (value['names'] === 'hidden' || value['names'] === 'visible') &&
    METHODS.includes(method) &&
    matches(value['store'], /^[0-9a-f]{32}$/) &&
    fromBase64(value['sealed']) !== undefined &&
    matches(key['id'], /^[0-9a-f]{16}$/) &&
    fromBase64(key['wrapped']) !== undefined &&
    (method === 'passphrase' ? fromBase64(salt, SALT_LENGTH) !== undefined : salt === undefined) &&
    (method === 'age'
      ? Array.isArray(recipients) &&
        recipients.length > 0 &&
        recipients.every((entry) => matches(entry, /^age1[0-9a-z]+$/))
      : recipients === undefined);
  if (!fits) throw damaged(path, 'has fields that no store has');
  const named = name === 'any' || value['revision'] === revisionOf(basename(path));
  if (!named || !Number.isSafeInteger(value['revision']) || (value['revision'] as number) < 1)
    throw damaged(path, 'has another revision than its name');
  return value as unknown as Manifest;
}

/** Opens the sealed part with the unwrapped data key. @throws SecretsError Integrity */
export function openManifest(manifest: Manifest, dataKey: Buffer, path: string): Keys {
  const { store, revision, names, key, sealed } = manifest;
  const dataKeys = new Map([[key.id, dataKey]]);
  let nameKey: Buffer;
  try {
    const box = Buffer.from(sealed, 'base64');
    const plain = unseal(boxKey(dataKey, store, 'manifest'), box, innerAad(manifest));
    const inner = JSON.parse(plain.toString('utf8')) as Inner;
    nameKey = keyOf(inner.nameKey);
    for (const old of inner.retired) dataKeys.set(old.id, keyOf(old.key));
  } catch (cause) {
    throw damaged(path, 'was changed', cause);
  }
  return {
    store,
    revision,
    names,
    currentId: key.id,
    dataKeys,
    nameKey,
  };
}

function keyOf(text: string): Buffer {
  const key = fromBase64(text, KEY_LENGTH);
  if (key === undefined) throw new BoxError('holds no key');
  return key;
}

/** Unwraps a data key with a key-encryption key. @throws BoxError */
export function unwrapKey(kek: Uint8Array, manifest: Pick<Manifest, 'store' | 'key'>): Buffer {
  const { store, key } = manifest;
  const plain = unseal(kek, Buffer.from(key.wrapped, 'base64'), wrapAad(store, key.id, key.method));
  if (plain.length !== KEY_LENGTH) throw new BoxError('has the wrong length');
  return plain;
}

function unmerged(path: string): SecretsError {
  return new SecretsError('Integrity', `the local store’s manifest contains a merge conflict: ${path}`, {
    hint: 'keep one side (git checkout --ours), then: secrets stores rekey --merge OTHER-SIDE',
  });
}

function damaged(path: string, why: string, cause?: unknown): SecretsError {
  return new SecretsError('Integrity', `the local store’s manifest ${why}: ${path}`, {
    hint: 'restore it from a backup or from version control',
    cause,
  });
}
