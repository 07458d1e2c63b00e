/** One signed-in connection to Vault: node-vault with our transport, and Vault's errors as the product's own. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import type { Identity, ProviderContext } from '../provider.ts';
import type { VaultSettings } from './settings.ts';
import { makeTransport, type Transport, type VaultCall } from './transport.ts';

type NodeVault = import('node-vault').client;
type Json = Readonly<Record<string, unknown>>;

/** A map from an answer; an empty one for whatever is none. */
export function asMap(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export class VaultClient {
  readonly #settings: VaultSettings;
  readonly #context: ProviderContext;
  readonly #address: string;
  #transport: Transport | undefined;
  #signedIn: Promise<{ client: NodeVault; source: string }> | undefined;

  constructor(settings: VaultSettings, context: ProviderContext) {
    this.#settings = settings;
    this.#context = context;
    this.#address = checkAddress(settings.address ?? context.env['VAULT_ADDR']);
  }

  get address(): string {
    return this.#address;
  }

  /** Reads a path; `undefined` for "nothing there", with the body of the 404 when it has one. */
  async read(path: string, signal: AbortSignal): Promise<{ found: boolean; body: Json }> {
    return this.#maybe(path, signal, (client) => client.read(path, { signal }));
  }

  /** The keys under a path; none when there is nothing. */
  async keys(path: string, signal: AbortSignal): Promise<readonly string[]> {
    const { body } = await this.#maybe(path, signal, (client) => client.list(path, { signal }));
    const keys = asMap(body['data'])['keys'];
    return Array.isArray(keys) ? keys.filter((key) => typeof key === 'string') : [];
  }

  async write(path: string, data: Json, signal: AbortSignal): Promise<Json> {
    return asMap(await this.#call(signal, (client) => client.write(path, data, { signal })));
  }

  async patch(path: string, data: Json, signal: AbortSignal): Promise<void> {
    await this.#call(signal, (client) => client.update(path, data, { signal }));
  }

  async delete(path: string, signal: AbortSignal): Promise<void> {
    await this.#call(signal, (client) => client.delete(path, { signal }));
  }

  async identity(signal: AbortSignal): Promise<Identity> {
    const { source } = await this.#signIn(signal);
    const { body } = await this.read('auth/token/lookup-self', signal);
    const data = asMap(body['data']);
    const policies = Array.isArray(data['policies']) ? data['policies'].join(', ') : '';
    const ttl = Number(data['ttl'] ?? 0);
    return {
      principal: String(data['display_name'] ?? 'token'),
      source,
      details: { policies, expires: ttl === 0 ? 'never' : `in ${ttl} s` },
    };
  }

  /** Seconds the token still lives; `undefined` when it can't be renewed or never ends. */
  async renewableFor(signal: AbortSignal): Promise<number | undefined> {
    const { body } = await this.read('auth/token/lookup-self', signal);
    const { ttl, renewable } = asMap(body['data']);
    return renewable === true && typeof ttl === 'number' && ttl > 0 ? ttl : undefined;
  }

  /** Seconds the token lives after renewal. */
  async renew(signal: AbortSignal): Promise<number> {
    const body = await this.write('auth/token/renew-self', {}, signal);
    return Number(asMap(body['auth'])['lease_duration'] ?? 0);
  }

  close(): void {
    this.#transport?.close();
  }

  async #maybe(
    path: string,
    signal: AbortSignal,
    work: (client: NodeVault) => Promise<unknown>,
  ): Promise<{ found: boolean; body: Json }> {
    const { client } = await this.#signIn(signal);
    try {
      return { found: true, body: asMap(await work(client)) };
    } catch (thrown) {
      const response = asMap(asMap(thrown)['response']);
      if (response['statusCode'] === 404) return { found: false, body: asMap(response['body']) };
      throw await this.#translate(thrown, path, signal);
    }
  }

  /** A call that changes something. */
  async #call(signal: AbortSignal, work: (client: NodeVault) => Promise<unknown>): Promise<unknown> {
    const { client } = await this.#signIn(signal);
    try {
      return await work(client);
    } catch (thrown) {
      throw inDoubt(await this.#translate(thrown, '', signal));
    }
  }

  #signIn(signal: AbortSignal): Promise<{ client: NodeVault; source: string }> {
    this.#signedIn ??= this.#connect(signal).catch((thrown: unknown) => {
      this.#signedIn = undefined;
      throw thrown instanceof SecretsError ? thrown : translate(thrown);
    });
    return this.#signedIn;
  }

  async #connect(signal: AbortSignal): Promise<{ client: NodeVault; source: string }> {
    const { env } = this.#context;
    const ca = this.#settings.ca ?? env['VAULT_CACERT'];
    if (env['VAULT_SKIP_VERIFY'] !== undefined && env['VAULT_SKIP_VERIFY'] !== '')
      this.#context.warn('VAULT_SKIP_VERIFY is ignored: TLS is always verified; use VAULT_CACERT');
    const transport = makeTransport({
      secure: this.#address.startsWith('https:'),
      ca: ca === undefined ? undefined : readText(ca, 'the CA certificate'),
      cert: fileOf(env['VAULT_CLIENT_CERT'], 'the client certificate'),
      key: fileOf(env['VAULT_CLIENT_KEY'], 'the client key'),
    });
    this.#transport = transport;
    const { default: nodeVault } = await import('node-vault');
    const make = (token: string): NodeVault =>
      nodeVault({
        endpoint: this.#address,
        // The library would take both from process.env where they are missing.
        token,
        namespace: this.#settings.namespace ?? env['VAULT_NAMESPACE'] ?? '',
        pathPrefix: '',
        // GET with ?list=1: not every proxy passes the LIST verb on.
        noCustomHTTPVerbs: true,
        // Its debug lines hold request bodies.
        debug: () => undefined,
        'request-promise': { defaults: () => (call: VaultCall) => transport.send(call) },
      } as never);
    const { token, source } = await this.#token(make, signal);
    const client = make(token);
    client.token = token;
    return { client, source };
  }

  async #token(
    make: (token: string) => NodeVault,
    signal: AbortSignal,
  ): Promise<{ token: string; source: string }> {
    const { env } = this.#context;
    const auth = this.#settings.auth ?? { method: 'token' as const };
    const anonymous = make('none');
    anonymous.token = '';
    const login = async (
      path: string,
      data: Json,
      source: string,
    ): Promise<{ token: string; source: string }> => {
      let body: Json;
      try {
        body = asMap(await anonymous.write(path, data, { signal }));
      } catch (thrown) {
        throw signInError(thrown, source);
      }
      const { client_token: token } = asMap(body['auth']);
      if (typeof token !== 'string') throw new SecretsError('Unauthenticated', `${source} gave no token`);
      return { token, source };
    };
    switch (auth.method) {
      case 'approle': {
        const roleId = auth['role-id'] ?? need(env, 'VAULT_ROLE_ID', 'AppRole');
        return login(
          `auth/${auth.mount ?? 'approle'}/login`,
          { role_id: roleId, secret_id: need(env, 'VAULT_SECRET_ID', 'AppRole') },
          'AppRole sign-in',
        );
      }
      case 'userpass': {
        const username = auth.username ?? need(env, 'VAULT_USERNAME', 'userpass');
        return login(
          `auth/${auth.mount ?? 'userpass'}/login/${encodeURIComponent(username)}`,
          { password: need(env, 'VAULT_PASSWORD', 'userpass') },
          `userpass sign-in of ${username}`,
        );
      }
      case 'jwt': {
        const file = auth['token-file'];
        const jwt = file === undefined ? need(env, 'VAULT_JWT', 'JWT') : readText(file, 'the JWT').trim();
        return login(`auth/${auth.mount ?? 'jwt'}/login`, { role: auth.role, jwt }, 'JWT sign-in');
      }
      default: {
        const found = this.#storedToken(auth['token-file']);
        if (auth.wrapped !== true) return found;
        try {
          const wrapped = make(found.token);
          wrapped.token = found.token;
          const body = asMap(await wrapped.write('sys/wrapping/unwrap', {}, { signal }));
          const inner = asMap(body['auth'])['client_token'] ?? asMap(body['data'])['token'];
          if (typeof inner === 'string') return { token: inner, source: `${found.source}, unwrapped` };
        } catch (thrown) {
          throw signInError(thrown, 'the wrapping token');
        }
        throw new SecretsError('Unauthenticated', 'the wrapping token holds no token');
      }
    }
  }

  #storedToken(file: string | undefined): { token: string; source: string } {
    const { env, home } = this.#context;
    const fromEnv = env['VAULT_TOKEN'] ?? '';
    if (file === undefined && fromEnv !== '') return { token: fromEnv, source: 'VAULT_TOKEN' };
    try {
      const token = readFileSync(file ?? join(home, '.vault-token'), 'utf8').trim();
      if (token !== '') return { token, source: file ?? '~/.vault-token' };
    } catch {
      // Said below, with what to do.
    }
    throw new SecretsError('Unauthenticated', 'no Vault token', {
      hint: 'set VAULT_TOKEN, sign in with `vault login`, or set the store’s auth method',
    });
  }

  async #translate(thrown: unknown, path: string, signal: AbortSignal): Promise<SecretsError> {
    const error = translate(thrown);
    if (error.kind !== 'Denied' || path.startsWith('auth/token/')) return error;
    const who = await this.identity(signal).catch((reason: unknown) =>
      reason instanceof SecretsError && reason.kind === 'Unauthenticated' ? reason : undefined,
    );
    if (who instanceof SecretsError) return who;
    const { source } = await this.#signIn(signal);
    const name = who === undefined ? '' : ` as ${who.principal}, policies ${who.details?.['policies'] ?? ''}`;
    return new SecretsError('Denied', `permission denied (${source}${name})`, {
      hint: 'a policy must allow this path: secrets doctor',
      cause: thrown,
    });
  }
}

function checkAddress(address: string | undefined): string {
  if (address === undefined || address === '') {
    throw new SecretsError('Usage', 'no Vault address', { hint: 'set VAULT_ADDR or the store’s address' });
  }
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new SecretsError('Usage', 'the Vault address is not a URL', {
      hint: 'https://vault.example.com:8200',
    });
  }
  const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) {
    throw new SecretsError('Usage', `the Vault address must be https: ${url.host}`, {
      hint: 'plain http is for loopback addresses only',
    });
  }
  if (url.username !== '' || url.password !== '')
    throw new SecretsError('Usage', 'the Vault address must not hold a user name or password');
  return address.replace(/\/+$/, '');
}

function need(env: ProviderContext['env'], name: string, method: string): string {
  const value = env[name] ?? '';
  if (value !== '') return value;
  throw new SecretsError('Unauthenticated', `${method} sign-in needs ${name}`, { hint: `set ${name}` });
}

function fileOf(path: string | undefined, what: string): string | undefined {
  return path === undefined || path === '' ? undefined : readText(path, what);
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    throw new SecretsError('Usage', `cannot read ${what}: ${path}`, { cause: thrown });
  }
}

function signInError(thrown: unknown, source: string): SecretsError {
  const error = translate(thrown);
  // Vault answers 400 or 403 to a wrong credential at sign-in, with a text that differs by method.
  if (error.kind !== 'Invalid' && error.kind !== 'Denied' && error.kind !== 'NotFound') return error;
  return new SecretsError('Unauthenticated', `${source} was refused: ${error.message}`, {
    hint: 'check the credential and the auth mount',
    cause: thrown,
  });
}

/** A failed write: when Vault may have done it all the same, its message says so. */
function inDoubt(error: SecretsError): SecretsError {
  const { statusCode } = asMap(asMap(error.cause)['response']);
  // The transport has said it already; a node that is sealed, a standby or behind does nothing.
  const known = /may have been made|^cannot reach|not trusted/.test(error.message);
  if (error.kind !== 'Unavailable' || known || [412, 472, 473, 503].includes(Number(statusCode)))
    return error;
  return new SecretsError('Unavailable', `${error.message}; the change may have been made`, {
    hint: error.hint,
    cause: error.cause,
  });
}

/** Vault's answer as the product's error. Source: https://developer.hashicorp.com/vault/api-docs#http-status-codes */
export function translate(thrown: unknown): SecretsError {
  if (thrown instanceof SecretsError) return thrown;
  const { statusCode, body } = asMap(asMap(thrown)['response']);
  const errors = asMap(body)['errors'];
  const text = Array.isArray(errors)
    ? errors
        .filter((error) => typeof error === 'string')
        .join('; ')
        .replaceAll(/\s+/g, ' ')
        .slice(0, 300)
    : '';
  const fail = (kind: SecretsError['kind'], message: string, hint?: string): SecretsError =>
    new SecretsError(kind, message, { hint, cause: thrown });
  switch (statusCode) {
    case 400:
      if (/check-and-set/.test(text))
        return fail('Conflict', 'somebody else changed it', 'read it again and retry');
      if (/missing client token/.test(text)) return fail('Unauthenticated', 'no Vault token was sent');
      return fail('Invalid', text || 'the server refused the request');
    case 403:
      if (/invalid token|bad token|token expired/.test(text))
        return fail('Unauthenticated', 'the Vault token is invalid or expired', 'sign in again: vault login');
      return fail('Denied', text || 'permission denied');
    case 404:
      return fail('NotFound', text || 'not found');
    case 405:
      return fail(
        'Unsupported',
        text || 'the engine at this mount does not do that',
        'is the mount a KV engine?',
      );
    case 413:
      return fail('Invalid', 'the value is larger than the server takes');
    case 429:
      return fail('Throttled', 'Vault’s rate limit is reached', 'try again later');
    case 412:
      return fail('Unavailable', 'this Vault node lags behind the active one', 'try again');
    case 472:
    case 473:
      return fail('Unavailable', 'this Vault node is a standby', 'use the address of the active node');
    case 503:
      if (/sealed/i.test(text)) return fail('Unavailable', 'Vault is sealed', 'an operator must unseal it');
      return fail('Unavailable', 'Vault is under maintenance or has no active node', 'try again');
    default:
      return fail(
        'Unavailable',
        `Vault answered with status ${String(statusCode ?? 'unknown')}`,
        'try again',
      );
  }
}
