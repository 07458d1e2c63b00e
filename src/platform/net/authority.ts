/** Certificate authorities for clients that connect to a server. */
import { resolve } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { codeOf } from '../files.ts';
import { readPinnedText } from '../pinned.ts';

/** Whether the error code of a failed connection means that the server's certificate didn't verify. */
export function isUntrusted(code: string): boolean {
  return /CERT|SIGN|ISSUER|ALTNAME/.test(code);
}

/**
 * The PEM text of the setting `ca`. A relative path starts at `folder`.
 * @throws SecretsError Usage if it can't be read or contains no certificate
 */
export function readAuthority(ca: string | undefined, folder: string): string | undefined {
  return readPem('ca', ca, folder, 'CERTIFICATE');
}

/**
 * @param setting the name of the setting; a relative path in it starts at `folder`
 * @param kind what the file must contain
 * @throws SecretsError Usage if it can't be read or doesn't contain it
 */
export function readPem(
  setting: string,
  file: string | undefined,
  folder: string,
  kind: 'CERTIFICATE' | 'PUBLIC KEY',
): string | undefined {
  if (file === undefined) return undefined;
  const path = resolve(folder, file);
  let pem: string;
  try {
    pem = readPinnedText(path);
  } catch (cause) {
    if (cause instanceof SecretsError) throw cause;
    throw new SecretsError('Usage', `cannot read the ${setting} ${path}: ${codeOf(cause) ?? 'failed'}`, {
      cause,
    });
  }
  if (pem.includes(`-----BEGIN ${kind}-----`)) return pem;
  throw new SecretsError('Usage', `${path} holds no ${kind.toLowerCase()}`, {
    hint: 'a PEM file is expected',
  });
}
