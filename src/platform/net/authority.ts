/** What targets that speak to a server have in common. */
import { resolve } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { codeOf } from '../files.ts';
import { readPinnedText } from '../pinned.ts';

/** Whether the system's code of a failed connection says that the server's certificate does not verify. */
export function isUntrusted(code: string): boolean {
  return /CERT|SIGN|ISSUER|ALTNAME/.test(code);
}

/**
 * The PEM text of the setting `ca`, whose path starts at the folder of the settings.
 * @throws SecretsError Usage when it can't be read, or holds no certificate
 */
export function readAuthority(ca: string | undefined, folder: string): string | undefined {
  return readPem('ca', ca, folder, 'CERTIFICATE');
}

/**
 * @param setting that names the file, whose path starts at the folder of the settings
 * @param kind what has to be in it
 * @throws SecretsError Usage when it can't be read, or holds no such thing
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
