/**
 * Finds the credential: explicit tokens first, then the order of
 * https://cloud.google.com/docs/authentication/application-default-credentials. Makes no call except to this machine's
 * metadata server.
 */
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { readPinnedText } from '../../platform/pinned.ts';
import { isJsonObject, type JsonValue } from '../../core/json.ts';
import { codeOf } from '../../platform/files.ts';
import type { ProviderContext } from '../descriptor.ts';
import { defaultCredentialsFile } from './gcloud.ts';
import type { GcpSettings } from './settings.ts';

/** The content of a credentials file; `type` tells the kind. */
export type KeyFile = { readonly [key: string]: JsonValue };

export type Found =
  | { readonly kind: 'token'; readonly token: string; readonly source: string }
  | { readonly kind: 'file'; readonly json: KeyFile; readonly source: string }
  | { readonly kind: 'machine'; readonly source: string };

/** @throws SecretsError Unauthenticated for a configured file that can't be used */
export function findCredential(settings: GcpSettings, context: ProviderContext): Found {
  const { env, cwd } = context;
  const at = (path: string): string => resolve(cwd, path.replace(/^~(?=\/|$)/, context.home || homedir()));
  if (settings.credentials !== undefined)
    return { kind: 'file', ...readKeyFile(at(settings.credentials), settings.credentials) };
  for (const name of ['CLOUDSDK_AUTH_ACCESS_TOKEN', 'GOOGLE_OAUTH_ACCESS_TOKEN']) {
    const token = env[name]?.trim() ?? '';
    if (token !== '') return { kind: 'token', token, source: name };
  }
  const tokenFile = env['CLOUDSDK_AUTH_ACCESS_TOKEN_FILE'] ?? '';
  if (tokenFile !== '')
    return { kind: 'token', token: readText(at(tokenFile), tokenFile).trim(), source: tokenFile };
  const inline = env['GOOGLE_CREDENTIALS']?.trim() ?? '';
  for (const name of [
    'GOOGLE_APPLICATION_CREDENTIALS',
    'CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE',
    'GOOGLE_CREDENTIALS',
  ]) {
    const path = env[name] ?? '';
    if (path === '') continue;
    if (name === 'GOOGLE_CREDENTIALS' && inline.startsWith('{'))
      return { kind: 'file', json: parseKey(inline, name), source: name };
    return { kind: 'file', ...readKeyFile(at(path), path) };
  }
  const file = defaultCredentialsFile(context);
  try {
    return { kind: 'file', ...readKeyFile(file, 'gcloud’s application default credentials') };
  } catch (thrown) {
    if (!(thrown instanceof SecretsError) || codeOf(thrown.cause) !== 'ENOENT') throw thrown;
  }
  return { kind: 'machine', source: 'the metadata server' };
}

function readKeyFile(path: string, shown: string): { json: KeyFile; source: string } {
  return { json: parseKey(readText(path, shown), shown), source: shown };
}

function readText(path: string, shown: string): string {
  try {
    return readPinnedText(path);
  } catch (thrown) {
    if (thrown instanceof SecretsError) throw thrown;
    throw new SecretsError('Unauthenticated', `cannot read the credentials in ${shown} (${codeOf(thrown)})`, {
      hint: 'correct its path, or sign in: gcloud auth application-default login',
      cause: thrown,
    });
  }
}

function parseKey(text: string, shown: string): KeyFile {
  try {
    const json: unknown = JSON.parse(text);
    if (isJsonObject(json)) return json;
  } catch {
    // The parser's message quotes the text, which contains a key.
  }
  throw new SecretsError('Unauthenticated', `${shown} is not a credentials file: it is not a JSON object`, {
    hint: 'download the key again, or sign in: gcloud auth application-default login',
  });
}
