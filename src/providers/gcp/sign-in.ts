/** Turns a credential into request headers with google-auth-library; each of its clients is only loaded when used. */
import type { AuthClient } from 'google-auth-library';
import { SecretsError } from '../../core/errors.ts';
import { checkUrl } from '../../platform/net/address.ts';
import type { Identity } from '../provider.ts';
import type { ProviderContext } from '../descriptor.ts';
import { type Found, findCredential, type KeyFile } from './credentials.ts';
import { CODE, Fault } from './errors.ts';
import { gcloudProject } from './gcloud.ts';
import type { Fetch } from './http.ts';
import type { GcpSettings } from './settings.ts';

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
export const GOOGLE = 'googleapis.com';
/** The addresses that the library sends its own grants to, whatever a key file says. */
const GOOGLE_TOKEN_URLS = [
  'https://oauth2.googleapis.com/token',
  'https://accounts.google.com/o/oauth2/token',
];

export interface SignedIn {
  /** The authentication headers. @throws SecretsError Unauthenticated, Denied, Unavailable */
  headers(): Promise<Headers>;
  readonly identity: Identity;
  readonly project: string;
}

/**
 * Options that the library's clients share. Its interceptors would log tokens if an environment variable asked for it.
 */
interface ClientOptions {
  readonly scopes: string[];
  readonly universeDomain: string;
  readonly useAuthRequestParameters: false;
  readonly transporterOptions: { readonly fetchImplementation: typeof fetch };
}

interface Client {
  readonly client: Pick<AuthClient, 'getRequestHeaders'>;
  readonly principal: string;
}

export async function signIn(
  settings: GcpSettings,
  context: ProviderContext,
  universe: string,
  fetch: Fetch,
): Promise<SignedIn> {
  const { env } = context;
  const found = findCredential(settings, context);
  const impersonate =
    settings.impersonate ??
    (env['CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT'] ||
      env['GOOGLE_IMPERSONATE_SERVICE_ACCOUNT'] ||
      undefined);
  const options = (via: Fetch = fetch): ClientOptions => ({
    scopes: [SCOPE],
    universeDomain: universe,
    useAuthRequestParameters: false,
    transporterOptions: { fetchImplementation: via as typeof globalThis.fetch },
  });
  if (found.kind === 'file') checkUniverse(found, universe);
  let made: Client;
  try {
    made = await clientOf(found, env, options, fetch, impersonate !== undefined);
    if (impersonate !== undefined) made = await become(impersonate, made, options(), env);
  } catch (thrown) {
    throw thrown instanceof SecretsError ? thrown : unusable(found.source, thrown);
  }
  const { client, principal } = made;
  const quota = settings['quota-project'] ?? (env['GOOGLE_CLOUD_QUOTA_PROJECT'] || undefined);
  const source = impersonate === undefined ? found.source : `${found.source}, impersonating`;
  return {
    project: await projectOf(settings, context, found),
    identity: { principal, source },
    headers: async () => {
      try {
        const headers = new Headers(await client.getRequestHeaders());
        if (quota !== undefined) headers.set('x-goog-user-project', quota);
        return headers;
      } catch (thrown) {
        throw signInError(thrown, principal, source);
      }
    },
  };
}

async function clientOf(
  found: Found,
  env: ProviderContext['env'],
  options: (via?: Fetch) => ClientOptions,
  fetch: Fetch,
  asSource: boolean,
): Promise<Client> {
  if (found.kind === 'token') {
    const headers = { authorization: `Bearer ${found.token}` };
    const client = { getRequestHeaders: () => Promise.resolve(new Headers(headers)) };
    if (!asSource) return { client, principal: `the bearer of ${found.source}` };
    const { OAuth2Client } = await import('google-auth-library/build/src/auth/oauth2client.js');
    const source = new OAuth2Client(options());
    source.setCredentials({ access_token: found.token, expiry_date: Date.now() + 3_600_000 });
    return { client: source, principal: `the bearer of ${found.source}` };
  }
  if (found.kind === 'machine') return machineClient(env, options(), fetch);
  return fileClient(found.json, found.source, options, fetch, asSource);
}

async function fileClient(
  json: KeyFile,
  shown: string,
  options: (via?: Fetch) => ClientOptions,
  fetch: Fetch,
  asSource: boolean,
): Promise<Client> {
  for (const key of ['token_uri', 'token_url', 'service_account_impersonation_url', 'token_info_url'])
    if (typeof json[key] === 'string') checkUrl(json[key], `${key} of ${shown}`);
  switch (json['type']) {
    case 'service_account':
      return keyClient(json, options, fetch, asSource);
    case 'authorized_user': {
      const { UserRefreshClient } = await import('google-auth-library/build/src/auth/refreshclient.js');
      const client = new UserRefreshClient(options(redirected(fetch, ownTokenUri(json))));
      client.fromJSON(json as never);
      return { client, principal: text(json['account']) || `the user of ${shown}` };
    }
    case 'external_account': {
      const { ExternalAccountClient } = await import('google-auth-library/build/src/auth/externalclient.js');
      const client = ExternalAccountClient.fromJSON({ ...json, ...options() } as never);
      if (client === null) throw new Error('not an external account');
      // The library gives its token exchange a transport of its own, which has no deadline.
      const inner = client as unknown as { stsCredential: { transporter: unknown }; transporter: unknown };
      inner.stsCredential.transporter = inner.transporter;
      const target = client.getServiceAccountEmail();
      return { client, principal: target ?? `a federated identity of ${text(json['audience']) ?? shown}` };
    }
    case 'external_account_authorized_user': {
      const { ExternalAccountAuthorizedUserClient } =
        await import('google-auth-library/build/src/auth/externalAccountAuthorizedUserClient.js');
      const client = new ExternalAccountAuthorizedUserClient({ ...json, ...options() } as never);
      return { client, principal: `the user of ${shown}` };
    }
    case 'impersonated_service_account':
      return impersonatedClient(json, shown, options, fetch);
    default:
      throw new SecretsError('Unauthenticated', `${shown} is of a type that is not supported`, {
        hint: 'supported are service_account, authorized_user, external_account and impersonated_service_account',
      });
  }
}

/** A service account that signs with its own key. */
async function keyClient(
  json: KeyFile,
  options: (via?: Fetch) => ClientOptions,
  fetch: Fetch,
  asSource: boolean,
): Promise<Client> {
  const { JWT } = await import('google-auth-library/build/src/auth/jwtclient.js');
  const own = ownTokenUri(json);
  // Without a token endpoint of its own the key signs each token itself (https://google.aip.dev/auth/4111), which
  // saves a call; the library only does that for default scopes.
  const selfSigned = own === undefined && !asSource;
  const { scopes, ...rest } = options(redirected(fetch, own));
  const client = new JWT({ ...rest, ...(!selfSigned && { scopes }) });
  client.fromJSON(json as never);
  if (selfSigned) {
    client.useJWTAccessWithScope = true;
    client.defaultScopes = scopes;
  }
  return { client, principal: text(json['client_email']) ?? 'a service account' };
}

/** @throws Error unless the file names the account to impersonate and the credential to do it with */
async function impersonatedClient(
  json: KeyFile,
  shown: string,
  options: (via?: Fetch) => ClientOptions,
  fetch: Fetch,
): Promise<Client> {
  const inner = json['source_credentials'];
  const url = text(json['service_account_impersonation_url']) ?? '';
  const [, endpoint, target] =
    /^(https?:\/\/[^/]+)\/v1\/projects\/-\/serviceAccounts\/([^/:]{1,256}):generateAccessToken$/.exec(url) ??
    [];
  if (typeof inner !== 'object' || inner === null || target === undefined)
    throw new Error('malformed impersonation');
  const source = await fileClient(inner as KeyFile, shown, options, fetch, true);
  const delegates = Array.isArray(json['delegates']) ? json['delegates'].filter(isText) : [];
  return impersonated(source, { target, delegates, endpoint }, options());
}

/** The time limit for a metadata server in milliseconds; an existing one responds within a few. */
const METADATA_MS = 1000;

/**
 * Whether this machine has Google's metadata server. The library's own detection makes Node print warnings if there is
 * none. Source: https://cloud.google.com/compute/docs/instances/detect-compute-engine
 */
async function hasMetadataServer(env: ProviderContext['env'], fetch: Fetch): Promise<boolean> {
  const known = (env['METADATA_SERVER_DETECTION'] ?? '').trim().toLowerCase();
  if (known === 'none' || known === 'assume-present') return known !== 'none';
  const host = env['GCE_METADATA_HOST'] || env['GCE_METADATA_IP'] || '169.254.169.254';
  try {
    const answer = await fetch(`http://${host}/computeMetadata/v1/instance`, {
      headers: { 'metadata-flavor': 'Google' },
      signal: AbortSignal.timeout(METADATA_MS),
    });
    return answer.ok && answer.headers.get('metadata-flavor') === 'Google';
  } catch {
    return false;
  }
}

async function machineClient(
  env: ProviderContext['env'],
  options: ClientOptions,
  fetch: Fetch,
): Promise<Client> {
  if (!(await hasMetadataServer(env, fetch)))
    throw new SecretsError('Unauthenticated', 'no Google credential', {
      hint: 'sign in with `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS',
    });
  const { gcpMetadata: metadata } = await import('google-auth-library');
  const { Compute } = await import('google-auth-library/build/src/auth/computeclient.js');
  const email = await metadata.instance('service-accounts/default/email').catch(() => undefined);
  return { client: new Compute(options), principal: text(email) ?? 'this machine’s service account' };
}

interface Impersonation {
  readonly target: string;
  readonly delegates: readonly string[];
  readonly endpoint: string | undefined;
}

async function impersonated(
  source: Client,
  { target, delegates, endpoint }: Impersonation,
  { scopes, ...options }: ClientOptions,
): Promise<Client> {
  const { Impersonated } = await import('google-auth-library/build/src/auth/impersonated.js');
  const client = new Impersonated({
    ...options,
    sourceClient: source.client as AuthClient,
    targetPrincipal: target,
    targetScopes: scopes,
    delegates: [...delegates],
    ...(endpoint !== undefined && { endpoint }),
  });
  return { client, principal: target };
}

/** gcloud's form: delegates first, the account itself last, separated by commas. */
function become(
  accounts: string,
  source: Client,
  options: ClientOptions,
  env: ProviderContext['env'],
): Promise<Client> {
  const chain = accounts.split(',').map((account) => account.trim());
  if (chain.some((account) => !/^[^\s@/:]+@[^\s@/:]+$/.test(account)))
    throw new SecretsError('Usage', 'impersonate takes e-mail addresses of service accounts');
  const override = env['CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS'];
  const endpoint = override ? checkUrl(override, 'the IAM Credentials endpoint').origin : undefined;
  return impersonated(source, { target: chain.pop() ?? '', delegates: chain, endpoint }, options);
}

/** A key file's token endpoint, if it isn't one of Google's usual ones. */
function ownTokenUri(json: KeyFile): string | undefined {
  const uri = text(json['token_uri']);
  return uri === undefined || GOOGLE_TOKEN_URLS.includes(uri) ? undefined : uri;
}

/** The library's grants go to a fixed address; this redirects them to the one in the key file. */
function redirected(fetch: Fetch, own: string | undefined): Fetch {
  if (own === undefined) return fetch;
  return (url, init) => fetch(GOOGLE_TOKEN_URLS.includes(String(url)) ? own : url, init);
}

async function projectOf(settings: GcpSettings, context: ProviderContext, found: Found): Promise<string> {
  const { env } = context;
  const known =
    settings.project ??
    (env['GOOGLE_CLOUD_PROJECT'] || env['GCLOUD_PROJECT'] || env['CLOUDSDK_CORE_PROJECT'] || undefined) ??
    (found.kind === 'file' ? text(found.json['project_id']) : undefined) ??
    gcloudProject(context);
  if (known !== undefined) return known;
  if (found.kind === 'machine') {
    const { gcpMetadata } = await import('google-auth-library');
    const id = text(await gcpMetadata.project('project-id').catch(() => undefined));
    if (id !== undefined) return id;
  }
  throw new SecretsError('Usage', 'no Google Cloud project', {
    hint: 'set the store’s project, or GOOGLE_CLOUD_PROJECT, or run `gcloud config set project`',
  });
}

/** A credential of another universe must never be sent to this one's servers. */
function checkUniverse({ json, source }: Found & { kind: 'file' }, universe: string): void {
  const own = text(json['universe_domain']) ?? GOOGLE;
  if (own !== universe)
    throw new SecretsError('Usage', `${source} is for ${own}, and the store is at ${universe}`, {
      hint: 'set the store’s universe-domain',
    });
}

function unusable(source: string, cause: unknown): SecretsError {
  return new SecretsError('Unauthenticated', `${source} is not a usable credential`, {
    hint: 'download the key again, or sign in: gcloud auth application-default login',
    cause,
  });
}

/** Translates a token endpoint's refusal. Its message is only kept if it consists of OAuth's or IAM's own codes. */
function signInError(thrown: unknown, principal: string, source: string): SecretsError {
  const known = underlying(thrown);
  if (known instanceof SecretsError) return known;
  const { response, status: own } = thrown as {
    response?: { status?: number; data?: { error?: unknown } };
    status?: number;
  };
  const status = response?.status ?? own;
  const refused = response?.data?.error;
  const code = isText(refused) && /^[a-z_]{1,40}$/.test(refused) ? ` (${refused})` : '';
  if (status === 403)
    return new SecretsError(
      'Denied',
      `may not become ${principal} with ${source}, or there is no such account`,
      {
        hint: 'grant roles/iam.serviceAccountTokenCreator on that service account',
        cause: thrown,
      },
    );
  if (status === 429 || (status !== undefined && status >= 500) || known !== undefined)
    return new SecretsError(
      'Unavailable',
      `cannot sign in with ${source}: ${known?.system ?? `status ${status}`}`,
      {
        hint: 'check the network, and try again',
        cause: thrown,
      },
    );
  return new SecretsError('Unauthenticated', `sign-in of ${principal} with ${source} failed${code}`, {
    hint: 'sign in again: gcloud auth application-default login; or check the key and this machine’s clock',
    cause: thrown,
  });
}

/** Our own transport's fault inside the library's error. */
function underlying(thrown: unknown): Fault | SecretsError | undefined {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth += 1) {
    if (error instanceof SecretsError) return error;
    if (error instanceof Fault && error.code !== CODE.UNAUTHENTICATED) return error;
  }
  return undefined;
}

const isText = (value: unknown): value is string => typeof value === 'string';
const text = (value: unknown): string | undefined => (isText(value) ? value : undefined);
