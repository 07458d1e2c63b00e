/**
 * Signed checkpoints, and helpers for maintenance.ts and retention.ts. Synchronous, because they run under the lock.
 */
import { sign } from 'node:crypto';
import { closeSync, fsyncSync, ftruncateSync, writeSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { AuditRecord } from '../../core/audit/record.ts';
import {
  CHECKPOINT_EVERY,
  type Content,
  type Head,
  type Sealed,
  seal,
  signedText,
  type Statement,
} from '../../core/audit/chain.ts';
import { SecretsError } from '../../core/errors.ts';
import { hostName } from '../../platform/machine.ts';
import { namesOf, openOwn, readTail, sweep } from './files.ts';
import {
  KeyIsLocked,
  needSigningKey,
  publish,
  readKeyFile,
  type SigningKey,
  signingKeyPath,
  type Unlocked,
} from './keys.ts';
import type { LogSettings } from './log-settings.ts';
import { readSecondHead, secondHeadId } from './second-head.ts';

/** A record about the log itself. */
export function ownContent(
  { now }: Pick<LogSettings, 'now'>,
  kind: AuditRecord['kind'],
  more: Partial<Content>,
): Content {
  const uid = process.getuid?.();
  return {
    time: now().toISOString(),
    origin: 'secrets',
    action: 'other',
    outcome: 'allowed',
    actor: uid === undefined ? {} : { uid },
    host: hostName(),
    pid: process.pid,
    kind,
    ...more,
  };
}

/** Whether the key must be unlocked (`unlockKey`) before trying again. */
export function isKeyLocked(thrown: unknown): boolean {
  return thrown instanceof KeyIsLocked;
}

/** Gets the signing key from the key chain. Call it without holding a lock. @throws SecretsError */
export async function unlockKey(options: LogSettings): Promise<Unlocked | undefined> {
  return (await import('./unlock.ts')).unlockKey(options);
}

/** The signing key, generated on first use. @throws SecretsError, KeyIsLocked */
export function signingKey({ stateFolder, key, unlocked }: LogSettings): SigningKey {
  // If the key file has disappeared since it was unlocked, a new key is made where the key chain can be asked: outside
  // the lock.
  if (key === 'keychain' && (unlocked === undefined || readKeyFile(stateFolder) === undefined))
    throw new KeyIsLocked();
  return needSigningKey(stateFolder, unlocked);
}

/** Seals the next record as a signed checkpoint. @throws SecretsError, KeyIsLocked */
export function sealCheckpoint(options: LogSettings, head: Head, statement: Statement = {}): Sealed {
  const key = signingKey(options);
  const { folder, publicKeys, head: headFile } = namesOf(options.path);
  publish(publicKeys, key);
  const keyPath = signingKeyPath(options.stateFolder);
  const ours = new Set([options.path, headFile, publicKeys, keyPath].map((path) => basename(path)));
  for (const used of new Set([folder, dirname(keyPath)])) sweep(used, (name) => ours.has(name));
  const unsigned = {
    every: CHECKPOINT_EVERY,
    key: key.id,
    publicKey: key.der,
    signature: '',
    secondHead: secondHeadThere(options),
    ...statement,
  };
  const content = ownContent(options, 'checkpoint', { checkpoint: unsigned });
  const text = signedText({ ...content, v: 1, seq: head.seq + 1, prev: head.hash });
  const signature = sign(null, Buffer.from(text), key.privateKey).toString('base64');
  return seal(head, { ...content, checkpoint: { ...unsigned, signature } });
}

/** The id of the second head, if there is one. */
function secondHeadThere({ secondHead: path }: LogSettings): string | undefined {
  return path === undefined || typeof readSecondHead(path) === 'string' ? undefined : secondHeadId(path);
}

/** The last record of a closed file. @throws SecretsError Policy */
export function lastOf(path: string): AuditRecord {
  const fd = openOwn(path, 'read');
  try {
    const record = fd === undefined ? undefined : readTail(fd, path).record;
    if (record !== undefined) return record;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
  throw new SecretsError('Policy', `a closed file of the audit log has no record: ${path}`, {
    hint: 'run secrets audit verify for details; to start a new log, move all of its files away, and keep them',
  });
}

/** Writes the text at `position` as the file's new end and syncs it, or truncates the file back to `position`. */
export function writeAt(fd: number, position: number, text: string): void {
  const bytes = Buffer.from(text);
  try {
    for (let done = 0; done < bytes.length;)
      done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  } catch (thrown) {
    ftruncateSync(fd, position);
    throw thrown;
  }
  ftruncateSync(fd, position + bytes.length);
  fsyncSync(fd);
}
