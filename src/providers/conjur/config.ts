/**
 * The server's address and the sign-in method, from the same sources and in the same order as Conjur's own CLI:
 * /etc/conjur.conf, then ~/.conjurrc (or $CONJURRC), then CONJUR_* variables; a store's settings come last and take
 * precedence. Source: https://github.com/cyberark/conjur-api-go#configuration and
 * https://github.com/cyberark/conjur-cli-go
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { isProtected } from '../../platform/net/address.ts';
import { codeOf } from '../../platform/files.ts';
import { readPinnedText } from '../../platform/pinned.ts';
import { readUnlockFile } from '../../platform/unlock-file.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { ConjurSettings } from './settings.ts';

export interface ConjurConfig {
  /** Without a trailing slash. */
  readonly url: string;
  /** The URL as written, which is its name in .netrc. */
  readonly writtenUrl: string;
  readonly account: string;
  /** PEM of the trusted authorities; the system's own if missing. */
  readonly ca: string | undefined;
  /** `authn`, `jwt`, `iam`, `ldap`, …; empty if unset. */
  readonly authnType: string;
  readonly serviceId: string | undefined;
  /** The login for authenticators that take it in the URL. */
  readonly hostId: string | undefined;
  readonly jwtFile: string | undefined;
  readonly netrc: string;
  /** Where the CLI stores credentials: `file`, `keyring`, `none`; empty if unset. */
  readonly storage: string;
}

type Flat = Readonly<Record<string, string>>;

/** @throws SecretsError Usage if the server or the account is missing or invalid */
export async function readConfig(settings: ConjurSettings, context: ProviderContext): Promise<ConjurConfig> {
  const { env, home } = context;
  const own = env['CONJURRC'] ?? '';
  const files: Flat[] = [];
  for (const path of ['/etc/conjur.conf', own === '' ? join(home, '.conjurrc') : own])
    files.push(await readFlat(path));
  const [system = {}, user = {}] = files;
  /** The last source that has the key. */
  const find = (key: string, variable?: string, setting?: string, alias?: string): string | undefined =>
    [
      setting,
      variable === undefined ? undefined : env[variable],
      user[key],
      system[key],
      alias === undefined ? undefined : (user[alias] ?? system[alias]),
    ].find((value) => value !== undefined && value !== '');

  const written = find('appliance_url', 'CONJUR_APPLIANCE_URL', settings.url, 'conjur_url');
  const url = checkUrl(written);
  const account =
    find('account', 'CONJUR_ACCOUNT', settings.account, 'conjur_account') ??
    (isCloud(url) ? 'conjur' : undefined);
  if (account === undefined)
    throw new SecretsError('Usage', 'no Conjur account', {
      hint: 'set CONJUR_ACCOUNT or the store’s account',
    });
  if (/[\s:\u0000-\u001f]/.test(account))
    throw new SecretsError('Usage', 'the Conjur account must not contain a colon or white space');
  const jwtService = env['CONJUR_AUTHN_JWT_SERVICE_ID'] ?? '';
  const certFile = find('cert_file', 'CONJUR_CERT_FILE', settings.ca);
  const inline = env['CONJUR_SSL_CERTIFICATE'] ?? '';
  return {
    url,
    writtenUrl: written ?? url,
    account,
    ca:
      settings.ca === undefined && inline !== ''
        ? inline
        : certFile === undefined
          ? undefined
          : readText(certFile, 'the CA certificate'),
    authnType: jwtService === '' ? (find('authn_type', 'CONJUR_AUTHN_TYPE') ?? '') : 'jwt',
    serviceId:
      settings.auth?.['service-id'] ??
      (jwtService === '' ? find('service_id', 'CONJUR_SERVICE_ID') : jwtService),
    hostId: find('jwt_host_id', 'CONJUR_AUTHN_JWT_HOST_ID', settings.auth?.login),
    jwtFile: find('jwt_file', 'JWT_TOKEN_PATH', settings.auth?.['jwt-file']),
    netrc: find('netrc_path', 'CONJUR_NETRC_PATH', settings.auth?.netrc) ?? join(home, '.netrc'),
    storage: find('credential_storage', 'CONJUR_CREDENTIAL_STORAGE') ?? '',
  };
}

/** The checked address without a trailing slash; https if no scheme is given, like the CLI. */
export function checkUrl(written: string | undefined): string {
  if (written === undefined || written === '')
    throw new SecretsError('Usage', 'no Conjur URL', {
      hint: 'set CONJUR_APPLIANCE_URL or the store’s url, or run `conjur init`',
    });
  let url: URL;
  try {
    url = new URL(/^[a-z]+:\/\//i.test(written) ? written : `https://${written}`);
  } catch {
    throw new SecretsError('Usage', 'the Conjur URL is not a URL', { hint: 'https://conjur.example.com' });
  }
  if (!isProtected(url))
    throw new SecretsError('Usage', `the Conjur URL must be https: ${url.host}`, {
      hint: 'plain http is for loopback addresses only',
    });
  if (url.username !== '' || url.password !== '')
    throw new SecretsError('Usage', 'the Conjur URL must not contain a user name or password');
  if (url.search !== '' || url.hash !== '')
    throw new SecretsError('Usage', 'the Conjur URL must end with its path');
  const checked = url.href.replace(/\/+$/, '');
  return isCloud(checked) && url.pathname === '/' ? `${checked}/api` : checked;
}

/** Whether this is CyberArk's SaaS, which has one account, `conjur`, and its API under `/api`. */
function isCloud(url: string): boolean {
  return /(\.secretsmgr|-secretsmanager)\.cyberark\.cloud$/.test(new URL(url).hostname);
}

/** Reads a .conjurrc: a flat YAML map. The YAML library is only loaded for an unusual one. */
async function readFlat(path: string): Promise<Flat> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT' || codeOf(thrown) === 'ENOTDIR') return {};
    throw new SecretsError('Usage', `cannot read ${path}`, { hint: 'check its mode', cause: thrown });
  }
  const plain = parsePlain(text);
  if (plain !== undefined) return plain;
  const { parse } = await import('yaml');
  let value: unknown;
  try {
    value = parse(text);
  } catch (thrown) {
    throw new SecretsError('Usage', `${path} is not YAML`, {
      hint: 'run `conjur init` again',
      cause: thrown,
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new SecretsError('Usage', `${path} is not a map of settings`);
  const found: Record<string, string> = {};
  for (const [key, one] of Object.entries(value))
    if (typeof one === 'string' || typeof one === 'number') found[key] = String(one);
  return found;
}

/** The map of a text in which every line is a comment or `key: value`; `undefined` for any other YAML. */
function parsePlain(text: string): Flat | undefined {
  const found: Record<string, string> = {};
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*(#.*)?$|^---\s*$/.test(line)) continue;
    const match =
      /^([a-z_]+):(?:[ \t]+(?:"([^"\\]*)"|'([^']*)'|([^\s"'#&*!|>%@`{}[\],~-][^#]*?)))?[ \t]*$/.exec(line);
    if (match === null) return undefined;
    const [, key = '', double, single, bare] = match;
    found[key] = double ?? single ?? bare ?? '';
  }
  return found;
}

export function readText(path: string, what: string): string {
  try {
    return readPinnedText(path);
  } catch (thrown) {
    if (thrown instanceof SecretsError) throw thrown;
    throw new SecretsError('Usage', `cannot read ${what}: ${path}`, { cause: thrown });
  }
}

/**
 * The login and API key for a machine in a netrc file. The `default` entry is ignored, because it applies to any
 * server. Source: https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html
 * @throws SecretsError Denied if others can read the file
 */
export function readNetrc(path: string, machine: string): { login: string; password: string } | undefined {
  const text = readUnlockFile(path, 'the netrc file', 'followed')?.toString('utf8');
  if (text === undefined) return undefined;
  const words = text.replaceAll(/^[ \t]*(#.*|macdef[^\n]*(\n[ \t]*\S[^\n]*)*)$/gm, '').match(/\S+/g) ?? [];
  const wanted = machine.replaceAll(/\/+/g, '/');
  for (let at = 0; at < words.length; at += 1) {
    if (words[at] !== 'machine' || words[at + 1]?.replaceAll(/\/+/g, '/') !== wanted) continue;
    const found: Record<string, string> = {};
    for (let next = at + 2; next < words.length; next += 2) {
      const key = words[next];
      if (key !== 'login' && key !== 'password' && key !== 'account') break;
      found[key] = words[next + 1] ?? '';
    }
    const { login = '', password = '' } = found;
    if (login !== '' && password !== '') return { login, password };
  }
  return undefined;
}
