/** TLS options from the settings and Vault's own variables: trusted authorities and the client certificate. */
import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { SecretsError } from '../../core/errors.ts';
import { readPinnedText } from '../../platform/pinned.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { VaultSettings } from './settings.ts';

export interface TlsOptions {
  /** PEM text of the authorities that replace the system's. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** The name in the server's certificate, if it isn't the address's host. */
  readonly servername?: string | undefined;
}

/**
 * Reads the files that settings and variables name. Source of the names and their order:
 * https://developer.hashicorp.com/vault/docs/commands#environment-variables
 * @throws SecretsError Usage for a file that can't be read or used, and for VAULT_SKIP_VERIFY
 */
export function tlsOptions(settings: VaultSettings, { env, cwd }: ProviderContext): TlsOptions {
  if (!/^(|0|f|false)$/i.test(env['VAULT_SKIP_VERIFY'] ?? ''))
    throw new SecretsError('Usage', 'VAULT_SKIP_VERIFY is set, but TLS verification can’t be disabled', {
      hint: 'unset it, and name the server’s authority in VAULT_CACERT',
    });
  const given = (name: string): string | undefined => env[name] || undefined;
  const cert = given('VAULT_CLIENT_CERT');
  const key = given('VAULT_CLIENT_KEY');
  if ((cert === undefined) !== (key === undefined))
    throw new SecretsError('Usage', 'a client certificate needs both VAULT_CLIENT_CERT and VAULT_CLIENT_KEY');
  const options: TlsOptions = {
    ca: authorities(settings.ca, given, cwd),
    cert: cert && readText(resolve(cwd, cert), 'the client certificate'),
    key: key && readText(resolve(cwd, key), 'the client key'),
    servername: settings['tls-server-name'] ?? given('VAULT_TLS_SERVER_NAME'),
  };
  try {
    createSecureContext({ ca: options.ca, cert: options.cert, key: options.key });
  } catch (thrown) {
    const what =
      options.cert === undefined
        ? 'the CA certificate is damaged'
        : 'VAULT_CLIENT_CERT and VAULT_CLIENT_KEY are damaged or don’t belong together';
    throw new SecretsError('Usage', what, { cause: thrown });
  }
  return options;
}

function authorities(
  setting: string | undefined,
  given: (name: string) => string | undefined,
  cwd: string,
): string | undefined {
  const check = (pem: string, from: string): string => {
    if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem;
    throw new SecretsError('Usage', `${from} holds no certificate`, { hint: 'a PEM file is expected' });
  };
  const fromFile = (path: string): string => check(readText(resolve(cwd, path), 'the CA certificate'), path);
  if (setting !== undefined) return fromFile(setting);
  const bytes = given('VAULT_CACERT_BYTES');
  if (bytes !== undefined) return check(bytes, 'VAULT_CACERT_BYTES');
  const file = given('VAULT_CACERT');
  if (file !== undefined) return fromFile(file);
  const folder = given('VAULT_CAPATH');
  return folder === undefined ? undefined : check(readFolder(resolve(cwd, folder)), folder);
}

function readFolder(folder: string): string {
  let names: string[];
  try {
    names = readdirSync(folder).toSorted();
  } catch (thrown) {
    throw new SecretsError('Usage', `cannot read the folder of CA certificates: ${folder}`, {
      cause: thrown,
    });
  }
  return names
    .map((name) => join(folder, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true)
    .map((path) => readText(path, 'the CA certificate'))
    .filter((text) => text.includes('-----BEGIN CERTIFICATE-----'))
    .join('\n');
}

/** @throws SecretsError Usage if it can't be read */
export function readText(path: string, what: string): string {
  try {
    return readPinnedText(path);
  } catch (thrown) {
    if (thrown instanceof SecretsError) throw thrown;
    throw new SecretsError('Usage', `cannot read ${what}: ${path}`, { cause: thrown });
  }
}
