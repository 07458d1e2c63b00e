/** The methods that get a Vault token. Each sends one credential to the auth method's login path, and nothing else. */
import { join, resolve } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { readPinnedText } from '../../platform/pinned.ts';
import type { ProviderContext } from '../descriptor.ts';
import { asMap, type Json, signInError } from './errors.ts';
import type { AuthSettings } from './settings.ts';
import { readText } from './tls.ts';

/** The file in which Kubernetes mounts the token of a pod's service account. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/** A token and its source. */
export interface SignedIn {
  readonly token: string;
  readonly source: string;
  /** Whether signing in again gets a new token; not for a token that was passed in as it is. */
  readonly repeatable: boolean;
  /** The token's owner, if the login response contains it. */
  readonly principal?: string | undefined;
}

/** Sends a POST with or without a token; rejects with the library's error. */
export type Post = (path: string, data: Json, token: string | undefined) => Promise<Json>;

/** @throws SecretsError Unauthenticated, Usage for a file that can't be read, or the error of the call to the server */
export async function signIn(
  auth: AuthSettings,
  context: ProviderContext,
  post: Post,
  signal: AbortSignal,
): Promise<SignedIn> {
  const { env } = context;
  const mount = checkMount(auth.mount ?? auth.method);
  const file = (what: string): string | undefined => {
    const path = auth['token-file'];
    return path === undefined ? undefined : readText(resolve(context.cwd, path), what).trim();
  };
  const role = auth.role === undefined ? {} : { role: auth.role };
  const login = async (what: string, data: Json, path = 'login'): Promise<SignedIn> => {
    let body: Json;
    try {
      body = await post(`auth/${mount}/${path}`, data, undefined);
    } catch (thrown) {
      throw signInError(thrown, what);
    }
    const { client_token: token, ...given } = asMap(body['auth']);
    if (typeof token === 'string' && token !== '')
      return { token, source: what, repeatable: true, principal: principalOf(given) };
    const more = body['auth'] === null ? '' : ' (does it ask for a second factor?)';
    throw new SecretsError('Unauthenticated', `${what} gave no token${more}`);
  };
  switch (auth.method) {
    case 'approle': {
      const roleId = auth['role-id'] ?? need(env, 'VAULT_ROLE_ID', 'AppRole');
      const given = file('the secret id') ?? need(env, 'VAULT_SECRET_ID', 'AppRole');
      const secretId = auth.wrapped === true ? await unwrap(given, 'the wrapped secret id', post) : given;
      const found = await login('AppRole sign-in', { role_id: roleId, secret_id: secretId });
      return { ...found, repeatable: auth.wrapped !== true };
    }
    case 'userpass': {
      const username = auth.username ?? need(env, 'VAULT_USERNAME', 'userpass');
      const password = need(env, 'VAULT_PASSWORD', 'userpass');
      return login(`userpass sign-in of ${username}`, { password }, `login/${encodeURIComponent(username)}`);
    }
    case 'jwt':
      return login('JWT sign-in', { ...role, jwt: file('the JWT') ?? need(env, 'VAULT_JWT', 'JWT') });
    case 'kubernetes': {
      const jwt =
        file('the service account’s token') ?? readText(SERVICE_ACCOUNT, 'the service account’s token');
      return login('Kubernetes sign-in', { ...role, jwt: jwt.trim() });
    }
    case 'aws': {
      const { awsProof } = await import('./aws-proof.ts');
      return login('AWS sign-in', { ...role, ...(await awsProof(auth, context, signal)) });
    }
    case 'cert':
      return login('certificate sign-in', auth.role === undefined ? {} : { name: auth.role });
    default: {
      const found = storedToken(auth['token-file'], context);
      if (auth.wrapped !== true) return found;
      const token = await unwrap(found.token, 'the wrapping token', post);
      return { token, source: `${found.source}, unwrapped`, repeatable: false };
    }
  }
}

/**
 * The identity of a login: the name that its method provides, otherwise the entity. Source: the `auth` of the login
 * responses in https://developer.hashicorp.com/vault/api-docs/auth
 */
function principalOf({ display_name: shown, metadata, entity_id: entity }: Json): string | undefined {
  const { username, role_name: roleName, role, service_account_name: account } = asMap(metadata);
  const names = [shown, username, account, roleName, role, entity];
  return names.find((name): name is string => typeof name === 'string' && name !== '');
}

/**
 * Unwraps a wrapping token into a token or an AppRole's secret id. Works only once. Source:
 * https://developer.hashicorp.com/vault/docs/concepts/response-wrapping
 */
async function unwrap(wrapping: string, what: string, post: Post): Promise<string> {
  let body: Json;
  try {
    body = await post('sys/wrapping/unwrap', {}, checkToken(wrapping, what));
  } catch (thrown) {
    const error = signInError(thrown, what);
    if (error.kind !== 'Unauthenticated') throw error;
    throw new SecretsError('Unauthenticated', error.message, {
      hint: 'it works once and for a short time; if you have not used it, somebody else has',
      cause: thrown,
    });
  }
  const data = asMap(body['data']);
  const inner = asMap(body['auth'])['client_token'] ?? data['token'] ?? data['secret_id'];
  if (typeof inner === 'string') return inner;
  throw new SecretsError('Unauthenticated', `${what} holds neither a token nor a secret id`);
}

function storedToken(file: string | undefined, { env, home, cwd }: ProviderContext): SignedIn {
  const make = (token: string, source: string): SignedIn => ({
    token: checkToken(token, source),
    source,
    repeatable: false,
  });
  const fromEnv = env['VAULT_TOKEN'] ?? '';
  if (file === undefined && fromEnv !== '') return make(fromEnv, 'VAULT_TOKEN');
  let token = '';
  try {
    token = readPinnedText(file === undefined ? join(home, '.vault-token') : resolve(cwd, file)).trim();
  } catch (thrown) {
    if (thrown instanceof SecretsError) throw thrown;
    // Reported below, with a hint.
  }
  if (token !== '') return make(token, file ?? '~/.vault-token');
  throw new SecretsError('Unauthenticated', `no Vault token${file === undefined ? '' : ` in ${file}`}`, {
    hint: 'set VAULT_TOKEN, sign in with `vault login`, or set the store’s auth method',
  });
}

/** Tokens go into a header, so anything that can't be a token is rejected here, without repeating it. */
function checkToken(token: string, source: string): string {
  if (/^[\u0021-\u007e]+$/.test(token)) return token;
  throw new SecretsError('Unauthenticated', `the content of ${source} is not a Vault token`, {
    hint: 'it has spaces, line breaks or other characters that a token can’t have',
  });
}

function checkMount(mount: string): string {
  const parts = mount.replaceAll(/^\/+|\/+$/g, '').split('/');
  if (parts.every((part) => !/^(|\.|\.\.)$/.test(part) && !/[\u0000-\u001f\u007f]/.test(part)))
    return parts.map(encodeURIComponent).join('/');
  throw new SecretsError('Usage', 'auth.mount is not the path of an auth method', {
    hint: 'such as jwt or ci/jwt',
  });
}

function need(env: ProviderContext['env'], name: string, method: string): string {
  const value = env[name] ?? '';
  if (value !== '') return value;
  throw new SecretsError('Unauthenticated', `${method} sign-in needs ${name}`, { hint: `set ${name}` });
}
