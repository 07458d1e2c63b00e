/** One signed-in connection to Vault: node-vault with our transport; translates Vault's errors. */
import type { JsonDocument } from '../../core/document/document.ts';
import { IN_DOUBT, SecretsError } from '../../core/errors.ts';
import type { Identity, KnownIdentity } from '../provider.ts';
import type { ProviderContext } from '../descriptor.ts';
import { checkAddress } from './address.ts';
import { asMap, type Json, translate } from './errors.ts';
import type { VaultSettings } from './settings.ts';
import { type SignedIn, signIn } from './sign-in.ts';
import { tlsOptions } from './tls.ts';
import { makeTransport, type Transport, type VaultCall } from './transport.ts';

type NodeVault = import('node-vault').client;

/** The properties of the token in use. */
export interface TokenFacts {
  /** Remaining lifetime in seconds; 0 for an unlimited one. */
  readonly ttl: number;
  readonly renewable: boolean;
  readonly policies: readonly string[];
  readonly displayName: string;
  readonly path: string;
}

export class VaultClient {
  readonly #settings: VaultSettings;
  readonly #context: ProviderContext;
  readonly #namespace: string;
  readonly address: string;
  #transport: Transport | undefined;
  #signedIn: Promise<SignedIn & { readonly client: NodeVault }> | undefined;
  #known: KnownIdentity | undefined;

  constructor(settings: VaultSettings, context: ProviderContext) {
    this.#settings = settings;
    this.#context = context;
    this.address = checkAddress(settings.address ?? context.env['VAULT_ADDR']);
    this.#namespace = checkNamespace(settings.namespace ?? context.env['VAULT_NAMESPACE'] ?? '');
  }

  get namespace(): string {
    return this.#namespace;
  }

  /** Reads a path; `found: false` for an empty path, with the body of the 404 if it has one. */
  async read(path: string, signal: AbortSignal): Promise<{ found: boolean; body: Json }> {
    return this.#maybe(path, signal, (client) => client.read(path, { signal }));
  }

  /** The keys under a path; empty if there are none. */
  async keys(path: string, signal: AbortSignal): Promise<readonly string[]> {
    const { body } = await this.#maybe(path, signal, (client) => client.list(path, { signal }));
    const keys = asMap(body['data'])['keys'];
    // A key that isn't a valid name would lead the listing to another folder, or in circles.
    const isName = (key: unknown): key is string =>
      typeof key === 'string' && /^[^/]+\/?$/.test(key) && !/^\.{1,2}\/?$/.test(key);
    return Array.isArray(keys) ? keys.filter(isName) : [];
  }

  async write(path: string, data: Json | JsonDocument, signal: AbortSignal): Promise<Json> {
    return asMap(await this.#call(signal, (client) => client.write(path, data, { signal })));
  }

  async patch(path: string, data: Json, signal: AbortSignal): Promise<void> {
    await this.#call(signal, (client) => client.update(path, data, { signal }));
  }

  async delete(path: string, signal: AbortSignal): Promise<void> {
    await this.#call(signal, (client) => client.delete(path, { signal }));
  }

  async token(signal: AbortSignal): Promise<TokenFacts> {
    const { body } = await this.read('auth/token/lookup-self', signal);
    const data = asMap(body['data']);
    if (typeof data['display_name'] === 'string')
      this.#known = { ...this.#known, principal: data['display_name'] };
    const all = [data['policies'], data['identity_policies']].flatMap((list) =>
      Array.isArray(list) ? list : [],
    );
    return {
      ttl: Number(data['ttl'] ?? 0),
      renewable: data['renewable'] === true,
      policies: [...new Set(all.map(String))],
      displayName: String(data['display_name'] ?? 'token'),
      path: String(data['path'] ?? ''),
    };
  }

  async identity(signal: AbortSignal): Promise<Identity> {
    const { source } = await this.#signIn(signal);
    const { displayName, policies, ttl, path } = await this.token(signal);
    return {
      principal: displayName,
      source,
      details: {
        policies: policies.join(', '),
        expires: ttl === 0 ? 'never' : `in ${ttl} s`,
        ...(path !== '' && { 'signed in at': path }),
        ...(this.#namespace !== '' && { namespace: this.#namespace }),
      },
    };
  }

  /** The caller's identity, as far as sign-in or a token lookup has revealed it. */
  knownIdentity(): KnownIdentity | undefined {
    return this.#known;
  }

  /** Renews the token, and returns its new lifetime in seconds. */
  async renew(signal: AbortSignal): Promise<number> {
    const body = await this.write('auth/token/renew-self', {}, signal);
    return Number(asMap(body['auth'])['lease_duration'] ?? 0);
  }

  /** Gets a new token, if the sign-in can be repeated; calls in progress finish with the old one. */
  async signInAgain(signal: AbortSignal): Promise<boolean> {
    const { repeatable } = await this.#signIn(signal);
    if (!repeatable) return false;
    const old = this.#signedIn;
    const made = this.#connect(signal);
    await made;
    if (this.#signedIn === old) this.#signedIn = made;
    return true;
  }

  /** The response of sys/health, which needs no token and isn't part of any namespace. */
  async health(signal: AbortSignal): Promise<Json> {
    // Status 200 for every state: the body distinguishes them.
    const query = ['standbyok=true', 'perfstandbyok=true'].concat(
      ['sealedcode', 'uninitcode', 'drsecondarycode'].map((name) => `${name}=200`),
    );
    const call = {
      method: 'GET',
      uri: `${this.address}/v1/sys/health?${query.join('&')}`,
      headers: {},
      signal,
      bare: true,
    };
    const { statusCode, body } = await this.#line().send(call);
    if (statusCode !== 200) throw translate({ response: { statusCode, body } });
    return asMap(body);
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

  /** Runs a call that changes something. */
  async #call(signal: AbortSignal, work: (client: NodeVault) => Promise<unknown>): Promise<unknown> {
    const { client } = await this.#signIn(signal);
    try {
      return await work(client);
    } catch (thrown) {
      throw inDoubt(await this.#translate(thrown, '', signal));
    }
  }

  #signIn(signal: AbortSignal): Promise<SignedIn & { readonly client: NodeVault }> {
    this.#signedIn ??= this.#connect(signal).catch((thrown: unknown) => {
      this.#signedIn = undefined;
      throw translate(thrown);
    });
    return this.#signedIn;
  }

  #line(): Transport {
    this.#transport ??= makeTransport({
      tls: tlsOptions(this.#settings, this.#context),
      redirects: !/^(1|t|true)$/i.test(this.#context.env['VAULT_DISABLE_REDIRECTS'] ?? ''),
    });
    return this.#transport;
  }

  async #connect(signal: AbortSignal): Promise<SignedIn & { readonly client: NodeVault }> {
    const transport = this.#line();
    const { default: nodeVault } = await import('node-vault');
    const make = (token: string): NodeVault => {
      const client = nodeVault({
        endpoint: this.address,
        // GET with ?list=1, because not every proxy passes on the LIST verb.
        noCustomHTTPVerbs: true,
        // The library's debug lines contain request bodies.
        debug: () => undefined,
        'request-promise': { defaults: () => (call: VaultCall) => transport.send(call) },
      } as never);
      // Set afterwards, because the library fills empty options from process.env.
      return Object.assign(client, { token, namespace: this.#namespace, pathPrefix: '' });
    };
    const found = await signIn(
      this.#settings.auth ?? { method: 'token' },
      this.#context,
      async (path, data, token) =>
        asMap(await make(token ?? '').write(path, data, { signal, changesNothing: true })),
      signal,
    );
    this.#known = { principal: found.principal, source: found.source };
    return { ...found, client: make(found.token) };
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
    const where = this.#namespace === '' ? '' : ` in namespace ${this.#namespace}`;
    return new SecretsError('Denied', `permission denied${where} (${source}${name})`, {
      hint: 'a policy must allow this path: secrets doctor',
      cause: thrown,
    });
  }
}

/** Adds to the message of a failed write that it may have been made, if Vault may have done it anyway. */
function inDoubt(error: SecretsError): SecretsError {
  const { statusCode } = asMap(asMap(error.cause)['response']);
  // Without a status the transport has already added it; a node that is sealed, a standby or lagging behind does
  // nothing.
  if (
    error.kind !== 'Unavailable' ||
    typeof statusCode !== 'number' ||
    statusCode < 500 ||
    NOT_DONE.has(statusCode)
  )
    return error;
  return new SecretsError('Unavailable', error.message + IN_DOUBT, { hint: error.hint, cause: error.cause });
}

const NOT_DONE = new Set([501, 503]);

/** The namespace as in Vault's headers: without a slash at either end. */
function checkNamespace(namespace: string): string {
  const path = namespace.replaceAll(/^\/+|\/+$/g, '');
  if (/^[\u0021-\u007e]*$/.test(path) && !path.split('/').some((part) => part === '.' || part === '..'))
    return path;
  throw new SecretsError('Usage', 'the Vault namespace is not a path of namespaces', {
    hint: 'such as admin/team',
  });
}
