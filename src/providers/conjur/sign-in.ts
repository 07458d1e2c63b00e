/**
 * The methods that get an access token. Source:
 * https://docs.cyberark.com/conjur-open-source/latest/en/content/developer/conjur_api_authenticate.htm and the order of
 * https://github.com/cyberark/conjur-api-go (NewClientFromEnvironment).
 */
import { SecretsError } from '../../core/errors.ts';
import { readPinnedText } from '../../platform/pinned.ts';
import { isJsonObject } from '../../core/json.ts';
import type { ProviderContext } from '../descriptor.ts';
import { type ConjurConfig, readNetrc } from './config.ts';
import type { ConjurSettings } from './settings.ts';

/** The request to an authenticator. */
export interface SignInCall {
  readonly path: string;
  readonly type: string;
  readonly body: string;
}

export interface SignIn {
  /** The source for messages: "CONJUR_AUTHN_API_KEY", "authn-jwt/ci with CONJUR_AUTHN_JWT_TOKEN". */
  readonly source: string;
  /** Prepares the request; reads files again each time, because other programs renew tokens and JWTs in them. */
  readonly prepare: () => Promise<SignInCall | { readonly token: string }>;
}

/** The file in which Kubernetes mounts a service account's token: the CLI's default for authn-jwt. */
const KUBERNETES_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/** Selects the sign-in method. @throws SecretsError Unauthenticated if there is no credential, Usage */
export function chooseSignIn(
  config: ConjurConfig,
  settings: ConjurSettings,
  context: ProviderContext,
): SignIn {
  const { env } = context;
  const { auth } = settings;
  const has = (name: string): boolean => (env[name] ?? '') !== '';
  const tokenFile = auth?.['token-file'] ?? env['CONJUR_AUTHN_TOKEN_FILE'] ?? '';
  const method = auth?.method;
  if (method === 'token' || method === undefined) {
    if (tokenFile !== '') return fileToken(tokenFile);
    if (has('CONJUR_AUTHN_TOKEN'))
      return { source: 'CONJUR_AUTHN_TOKEN', prepare: async () => given(env['CONJUR_AUTHN_TOKEN'] ?? '') };
    if (method === 'token')
      throw new SecretsError('Unauthenticated', 'no Conjur access token', {
        hint: 'set CONJUR_AUTHN_TOKEN_FILE, CONJUR_AUTHN_TOKEN or the store’s auth.token-file',
      });
  }
  if (method === 'jwt') return jwt(config, settings, env);
  if (method === 'iam') return iam(config, settings, context);
  if (method === undefined && (config.authnType === 'jwt' || config.jwtFile !== undefined))
    return jwt(config, settings, env);
  if (has('CONJUR_AUTHN_LOGIN') && has('CONJUR_AUTHN_API_KEY') && sameLogin(auth?.login, env))
    return apiKey(
      config,
      env['CONJUR_AUTHN_LOGIN'] ?? '',
      env['CONJUR_AUTHN_API_KEY'] ?? '',
      'CONJUR_AUTHN_API_KEY',
    );
  if (method === undefined && config.authnType === 'iam') return iam(config, settings, context);
  if (!['', 'authn', 'ldap'].includes(config.authnType) && method === undefined)
    throw new SecretsError(
      'Usage',
      `sign-in by ${OTHER_TYPES.has(config.authnType) ? `authn-${config.authnType}` : 'what CONJUR_AUTHN_TYPE or authn_type says'} is not built in`,
      {
        hint: 'get a token with `conjur authenticate` and set CONJUR_AUTHN_TOKEN_FILE',
      },
    );
  return stored(config, auth?.login);
}

/** Conjur's other authenticators, whose names messages may show: any other text here may be a credential. */
const OTHER_TYPES: ReadonlySet<string> = new Set(['azure', 'gcp', 'k8s', 'oidc']);

function sameLogin(wanted: string | undefined, env: ProviderContext['env']): boolean {
  return wanted === undefined || wanted === env['CONJUR_AUTHN_LOGIN'];
}

/** `authn`, or `authn-ldap/SERVICE`, which takes the same body. */
function authenticator(config: ConjurConfig): string {
  return config.authnType === 'ldap'
    ? `authn-ldap/${encodeURIComponent(needService(config, 'ldap'))}`
    : 'authn';
}

function apiKey(config: ConjurConfig, login: string, key: string, source: string): SignIn {
  const path = `/${authenticator(config)}/${encodeURIComponent(config.account)}/${encodeURIComponent(login)}/authenticate`;
  return {
    source: `${source} of ${login}`,
    prepare: async () => ({ path, type: 'text/plain', body: key }),
  };
}

/** The login and API key that `conjur login` wrote to the netrc file. */
function stored(config: ConjurConfig, login: string | undefined): SignIn {
  const kind = config.authnType === 'ldap' ? `/authn-ldap/${needService(config, 'ldap')}` : '/authn';
  const found = readNetrc(config.netrc, `${config.writtenUrl.replace(/\/+$/, '')}${kind}`);
  if (found !== undefined && (login === undefined || login === found.login))
    return apiKey(config, found.login, found.password, config.netrc);
  const keyring = config.storage !== 'file' && config.storage !== 'none';
  throw new SecretsError('Unauthenticated', 'no Conjur credential', {
    hint: `set CONJUR_AUTHN_LOGIN and CONJUR_AUTHN_API_KEY, or run \`conjur login\`${
      keyring ? ' with credential_storage: file in .conjurrc (the CLI’s key ring is not read)' : ''
    }`,
  });
}

function jwt(config: ConjurConfig, settings: ConjurSettings, env: ProviderContext['env']): SignIn {
  const service = needService(config, 'jwt');
  const inline = env['CONJUR_AUTHN_JWT_TOKEN'] ?? '';
  const file = config.jwtFile ?? KUBERNETES_TOKEN;
  const ids = config.hostId === undefined ? '' : `/${encodeURIComponent(hostLogin(config.hostId))}`;
  // Like in the CLI, the variable takes precedence over a file that the CLI also knows; a store's own file over both.
  const fromVariable = inline !== '' && settings.auth?.['jwt-file'] === undefined;
  return {
    source: `authn-jwt/${service} with ${fromVariable ? 'CONJUR_AUTHN_JWT_TOKEN' : file}`,
    prepare: async () => {
      const token = fromVariable ? inline.trim() : readCredential(file, 'JWT');
      return {
        path: `/authn-jwt/${encodeURIComponent(service)}/${encodeURIComponent(config.account)}${ids}/authenticate`,
        type: 'application/x-www-form-urlencoded',
        body: new URLSearchParams({ jwt: token }).toString(),
      };
    },
  };
}

function iam(config: ConjurConfig, settings: ConjurSettings, context: ProviderContext): SignIn {
  const service = needService(config, 'iam');
  const { env } = context;
  const login = config.hostId ?? env['CONJUR_AUTHN_LOGIN'] ?? '';
  if (login === '')
    throw new SecretsError('Usage', 'authn-iam needs the host to sign in as', {
      hint: 'set the store’s auth.login or CONJUR_AUTHN_JWT_HOST_ID',
    });
  const host = hostLogin(login);
  const region = settings.auth?.region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? 'us-east-1';
  return {
    source: `authn-iam/${service} as ${host}`,
    prepare: async () => {
      const { signedCallerIdentity } = await import('./iam.ts');
      return {
        path: `/authn-iam/${encodeURIComponent(service)}/${encodeURIComponent(config.account)}/${encodeURIComponent(host)}/authenticate`,
        type: 'text/plain',
        body: await signedCallerIdentity(region, env),
      };
    },
  };
}

function hostLogin(login: string): string {
  return login.startsWith('host/') ? login : `host/${login}`;
}

function needService(config: ConjurConfig, kind: string): string {
  if (config.serviceId !== undefined) return config.serviceId;
  throw new SecretsError('Usage', `authn-${kind} needs the id of its service`, {
    hint: 'set the store’s auth.service-id or CONJUR_SERVICE_ID',
  });
}

function fileToken(file: string): SignIn {
  return { source: file, prepare: async () => given(readCredential(file, 'access token')) };
}

/** Reads a file that another program renews; mounted files are links and readable to the container's users. */
function readCredential(file: string, what: string): string {
  let text = '';
  try {
    text = readPinnedText(file).trim();
  } catch (thrown) {
    if (thrown instanceof SecretsError) throw thrown;
    throw new SecretsError('Unauthenticated', `cannot read the ${what}: ${file}`, {
      hint: 'check the path and its mode',
      cause: thrown,
    });
  }
  if (text === '') throw new SecretsError('Unauthenticated', `the file of the ${what} is empty: ${file}`);
  return text;
}

/** A token in the API's form, or already in base64. */
function given(text: string): { token: string } {
  const trimmed = text.trim();
  return { token: trimmed.startsWith('{') ? Buffer.from(trimmed).toString('base64') : trimmed };
}

export interface TokenFacts {
  readonly login: string;
  /** Lifetime in milliseconds from its issue, if the token states it. */
  readonly lifeMs: number | undefined;
}

/** The claims of a token in base64; `undefined` if it isn't a Conjur token. */
export function readToken(token: string): TokenFacts | undefined {
  try {
    const outer = JSON.parse(Buffer.from(token, 'base64').toString('utf8')) as unknown;
    if (!isJsonObject(outer) || typeof outer['payload'] !== 'string') return undefined;
    const payload = JSON.parse(Buffer.from(outer['payload'], 'base64').toString('utf8')) as unknown;
    if (!isJsonObject(payload) || typeof payload['sub'] !== 'string') return undefined;
    const { sub, iat, exp } = payload;
    return {
      login: sub as string,
      lifeMs: typeof iat === 'number' && typeof exp === 'number' ? (exp - iat) * 1000 : undefined,
    };
  } catch {
    return undefined;
  }
}

/** The role of a login: `account:host:app`. */
export function roleOf({ account }: ConjurConfig, login: string): string {
  return login.startsWith('host/') ? `${account}:host:${login.slice(5)}` : `${account}:user:${login}`;
}
