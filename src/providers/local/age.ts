/** Wraps and unwraps data keys for age recipients (age-encryption.org/v1). */
import { join } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { readUnlockFile } from '../../platform/unlock-file.ts';
import { xdgFolder } from '../../platform/world.ts';
import type { ProviderContext } from '../descriptor.ts';
import { KEY_LENGTH } from './crypto.ts';
import { expandPath } from './place.ts';
import type { LocalSettings } from './settings.ts';

/** Returns the age file in base64. @throws SecretsError Usage for an invalid recipient */
export async function ageEncrypt(dataKey: Buffer, recipients: readonly string[]): Promise<string> {
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

/** @throws SecretsError Unauthenticated without a matching identity, Integrity */
export async function ageDecrypt(
  wrapped: Buffer,
  settings: LocalSettings,
  context: ProviderContext,
): Promise<Buffer> {
  const named = settings.key?.identity ?? context.env['SECRETS_AGE_IDENTITY'];
  const path =
    named === undefined || named === ''
      ? join(xdgFolder(context, 'config'), 'age.txt')
      : expandPath(context, named);
  const text = readUnlockFile(path, 'the age identity file')?.toString('utf8');
  if (text === undefined) {
    throw new SecretsError('Unauthenticated', `no age identity to open the store: ${path}`, {
      hint: 'create one with age-keygen, or set SECRETS_AGE_IDENTITY',
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
        `the age identity file has a line that is not an identity: ${path}`,
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
