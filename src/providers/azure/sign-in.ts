/**
 * Sign-in: the configured method, otherwise the methods of DefaultAzureCredential in its order. Each of the SDK's
 * classes is only loaded when it is needed. Source:
 * https://learn.microsoft.com/azure/developer/javascript/sdk/authentication/credential-chains
 */
import { SecretsError } from '../../core/errors.ts';
import { checkContents } from '../../platform/pinned.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { AuthSettings, Method } from './settings.ts';
import { translateSignIn } from './sign-in-errors.ts';
import { type Claims, claimsOf } from './claims.ts';
import { endWith } from './programs.ts';
import { type Activity, makePipeline, type Transport } from './transport.ts';

/** The part of `TokenCredential` that the SDK's client uses. */
export interface Credential {
  getToken(scopes: string | string[], options?: object): Promise<AccessToken | null>;
}

interface AccessToken {
  readonly token: string;
  readonly expiresOnTimestamp: number;
}

/** The methods to try in order, like DefaultAzureCredential. */
const IN_TURN: readonly Method[] = [
  'environment',
  'workload-identity',
  'managed-identity',
  'azure-cli',
  'azure-powershell',
  'azure-developer-cli',
];
/** The values of AZURE_TOKEN_CREDENTIALS, in lower case. */
const NAMED: Readonly<Record<string, readonly Method[]>> = {
  prod: IN_TURN.slice(0, 3),
  dev: IN_TURN.slice(3),
  environmentcredential: ['environment'],
  workloadidentitycredential: ['workload-identity'],
  managedidentitycredential: ['managed-identity'],
  azureclicredential: ['azure-cli'],
  azurepowershellcredential: ['azure-powershell'],
  azuredeveloperclicredential: ['azure-developer-cli'],
};
const TITLES: Readonly<Record<Method, string>> = {
  default: 'the default credentials',
  environment: 'environment variables',
  'client-secret': 'client secret',
  'client-certificate': 'client certificate',
  'workload-identity': 'workload identity',
  'managed-identity': 'managed identity',
  'azure-cli': 'Azure CLI',
  'azure-powershell': 'Azure PowerShell',
  'azure-developer-cli': 'Azure Developer CLI',
};
/** Methods that are intended if their variables are set, so a failure doesn't lead to the next method. */
const FINAL: ReadonlySet<Method> = new Set(['environment', 'workload-identity']);

/** This method is not set up on this machine, so the next one is tried. */
class NotSetUp extends Error {}

export interface SignInOptions {
  readonly auth: AuthSettings;
  readonly authorityHost: string;
  readonly disableInstanceDiscovery: boolean;
  readonly context: ProviderContext;
  readonly transport: Transport;
  readonly activity: Activity;
}

export class SignIn implements Credential {
  /** The claims of the last token. */
  claims: Claims | undefined;
  readonly #options: SignInOptions;
  #chosen: { method: Method; credential: Credential } | undefined;
  /** The refusal of the credential, after which it isn't tried again. */
  #refused: SecretsError | undefined;
  #ahead: { readonly scope: string; readonly token: Promise<AccessToken> } | undefined;

  constructor(options: SignInOptions) {
    this.#options = options;
  }

  /** The source of the credential, for messages. */
  get source(): string {
    return TITLES[this.#chosen?.method ?? this.#options.auth.method ?? 'default'];
  }

  /**
   * Requests the token that the vault will most likely require, in parallel with the request for the vault's
   * requirements. It is only used if it fits them.
   */
  getAhead(scope: string): void {
    if (this.#ahead !== undefined || this.claims !== undefined) return;
    const token = this.#get([scope], { enableCae: true });
    token.catch(() => undefined);
    this.#ahead = { scope, token };
  }

  /** @throws SecretsError Unauthenticated, Unavailable, Throttled, Usage */
  async getToken(
    scopes: string | string[],
    options: { readonly tenantId?: string; readonly claims?: string } = {},
  ): Promise<AccessToken> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead !== undefined && options.claims === undefined && [scopes].flat().join(' ') === ahead.scope) {
      try {
        const token = await ahead.token;
        if (options.tenantId === undefined || options.tenantId === this.claims?.tid) return token;
      } catch (thrown) {
        // That request may have been stopped together with an earlier call.
        if (isUnavailable(thrown)) throw thrown;
      }
    }
    return this.#get(scopes, options);
  }

  async #get(scopes: string | string[], options: object): Promise<AccessToken> {
    if (this.#refused !== undefined) throw this.#refused;
    const chosen = this.#chosen;
    try {
      const token =
        chosen === undefined
          ? await this.#try(scopes, options)
          : await this.#ask(chosen.method, chosen.credential, scopes, options);
      this.claims = claimsOf(token.token);
      return token;
    } catch (thrown) {
      if (isUnavailable(thrown)) this.#refused = thrown;
      throw thrown;
    }
  }

  async #try(scopes: string | string[], options: object): Promise<AccessToken> {
    const { auth, context } = this.#options;
    const methods = methodsFor(auth.method, context.env);
    const reasons: string[] = [];
    for (const method of methods) {
      try {
        const credential = await this.#make(method, methods.length > 1);
        const token = await this.#ask(method, credential, scopes, options);
        this.#chosen = { method, credential };
        context.debug(`signed in with ${TITLES[method]}`);
        return token;
      } catch (thrown) {
        const passOver = thrown instanceof NotSetUp || (isUnavailable(thrown) && !FINAL.has(method));
        if (!passOver) throw thrown;
        const { message } = thrown instanceof SecretsError ? thrown : (thrown as Error);
        reasons.push(`${TITLES[method]}: ${message}`);
        context.debug(reasons.at(-1) ?? '');
      }
    }
    const [only] = reasons;
    throw new SecretsError(
      'Unauthenticated',
      reasons.length === 1
        ? `no Azure credential: ${only}`
        : 'no Azure credential: none of the ways to sign in is set up',
      {
        hint:
          reasons.length === 1
            ? 'set it up, or choose another auth.method for the store'
            : 'az login, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET; --debug says why each was passed over',
      },
    );
  }

  async #ask(
    method: Method,
    credential: Credential,
    scopes: string | string[],
    options: object,
  ): Promise<AccessToken> {
    const { transport } = this.#options;
    transport.failure = undefined;
    try {
      const ask = (): Promise<AccessToken | null> => credential.getToken(scopes, options);
      const { signal } = this.#options.activity;
      const token = await (method.startsWith('azure-') ? endWith(signal, ask) : ask());
      if (token === null)
        throw new SecretsError('Unauthenticated', `the ${this.#title(method)} gave no token`);
      return token;
    } catch (thrown) {
      throw translateSignIn(thrown, method, this.#title(method), transport);
    }
  }

  /** The method's name in messages. */
  #title(method: Method): string {
    if (method !== 'environment') return TITLES[method];
    const kind = this.#options.context.env['AZURE_CLIENT_SECRET'] ? 'secret' : 'certificate';
    return `client ${kind} of the environment`;
  }

  async #make(method: Method, inTurn: boolean): Promise<Credential> {
    const { env } = this.#options.context;
    switch (method) {
      case 'environment': {
        this.#application();
        if (env['AZURE_CLIENT_SECRET']) return this.#make('client-secret', inTurn);
        if (env['AZURE_CLIENT_CERTIFICATE_PATH']) return this.#make('client-certificate', inTurn);
        throw new NotSetUp('neither AZURE_CLIENT_SECRET nor AZURE_CLIENT_CERTIFICATE_PATH is set');
      }
      case 'client-secret':
        return this.#clientSecret();
      case 'client-certificate':
        return this.#clientCertificate();
      case 'workload-identity':
        return this.#workloadIdentity();
      case 'managed-identity':
        return this.#managedIdentity(inTurn);
      // A developer's sign-in knows its own tenant; AZURE_TENANT_ID belongs to an application.
      case 'azure-cli': {
        const { AzureCliCredential } = await import('./credentials/azure-cli.ts');
        const { subscription } = this.#options.auth;
        return new AzureCliCredential({
          ...this.#developer(),
          ...(subscription !== undefined && { subscription }),
        });
      }
      case 'azure-powershell': {
        const { AzurePowerShellCredential } = await import('./credentials/azure-powershell.ts');
        return new AzurePowerShellCredential(this.#developer());
      }
      case 'azure-developer-cli': {
        const { AzureDeveloperCliCredential } = await import('./credentials/azure-developer-cli.ts');
        return new AzureDeveloperCliCredential(this.#developer());
      }
      default:
        throw new SecretsError('Usage', `unknown Azure sign-in method: ${method}`);
    }
  }

  /** What every application's credential is made with. */
  #shared() {
    const { authorityHost, disableInstanceDiscovery, transport } = this.#options;
    return {
      authorityHost,
      disableInstanceDiscovery,
      httpClient: transport,
      pipeline: makePipeline(),
      ...this.#tenants(),
    };
  }

  #tenants(): { additionallyAllowedTenants?: string[] } {
    const { 'additional-tenants': tenants } = this.#options.auth;
    return tenants === undefined ? {} : { additionallyAllowedTenants: [...tenants] };
  }

  get #clientId(): string | undefined {
    const { auth, context } = this.#options;
    return auth['client-id'] ?? (context.env['AZURE_CLIENT_ID'] || undefined);
  }

  /** The tenant and the client of an application. @throws NotSetUp */
  #application(): readonly [string, string] {
    const { auth, context } = this.#options;
    const tenantId = auth['tenant-id'] ?? (context.env['AZURE_TENANT_ID'] || undefined);
    const clientId = this.#clientId;
    if (tenantId === undefined || clientId === undefined)
      throw new NotSetUp(`${tenantId === undefined ? 'AZURE_TENANT_ID' : 'AZURE_CLIENT_ID'} is not set`);
    return [tenantId, clientId];
  }

  async #clientSecret(): Promise<Credential> {
    const { env } = this.#options.context;
    const [tenant, client] = this.#application();
    const secret = env['AZURE_CLIENT_SECRET'];
    if (!secret) throw new NotSetUp('AZURE_CLIENT_SECRET is not set');
    const { ClientSecretCredential } = await import('./credentials/client-secret.ts');
    return new ClientSecretCredential(tenant, client, secret, this.#shared());
  }

  async #clientCertificate(): Promise<Credential> {
    const { auth, context } = this.#options;
    const { env } = context;
    const [tenant, client] = this.#application();
    const certificatePath = auth.certificate ?? env['AZURE_CLIENT_CERTIFICATE_PATH'];
    if (!certificatePath) throw new NotSetUp('AZURE_CLIENT_CERTIFICATE_PATH is not set');
    const password = env['AZURE_CLIENT_CERTIFICATE_PASSWORD'];
    const chain =
      auth['send-certificate-chain'] ?? /^(1|true)$/i.test(env['AZURE_CLIENT_SEND_CERTIFICATE_CHAIN'] ?? '');
    checkContents();
    const { ClientCertificateCredential } = await import('./credentials/client-certificate.ts');
    return new ClientCertificateCredential(
      tenant,
      client,
      { certificatePath, ...(password && { certificatePassword: password }) },
      { ...this.#shared(), sendCertificateChain: chain },
    );
  }

  async #workloadIdentity(): Promise<Credential> {
    const { auth, context } = this.#options;
    const { env } = context;
    const tokenFilePath = auth['token-file'] ?? env['AZURE_FEDERATED_TOKEN_FILE'];
    if (!tokenFilePath) throw new NotSetUp('AZURE_FEDERATED_TOKEN_FILE is not set');
    checkContents();
    const [tenant, client] = this.#application();
    const { WorkloadIdentityCredential } = await import('./credentials/workload-identity.ts');
    return new WorkloadIdentityCredential({
      ...this.#shared(),
      tenantId: tenant,
      clientId: client,
      tokenFilePath,
    });
  }

  async #managedIdentity(inTurn: boolean): Promise<Credential> {
    const { auth } = this.#options;
    const clientId = this.#clientId;
    const { 'resource-id': resourceId, 'object-id': objectId } = auth;
    const { ManagedIdentityCredential } = await import('./credentials/managed-identity.ts');
    // When methods are tried in order, the endpoint is probed with a request of at most a second; its waits can't be
    // ended from here. The credential has two clients with policies of their own, so they can't share a pipeline.
    const { pipeline: _pipeline, ...rest } = this.#shared();
    const options = { ...rest, retryOptions: { maxRetries: 2 }, sendProbeRequest: inTurn };
    if (resourceId !== undefined) return new ManagedIdentityCredential({ ...options, resourceId });
    if (objectId !== undefined) return new ManagedIdentityCredential({ ...options, objectId });
    return new ManagedIdentityCredential({ ...options, ...(clientId !== undefined && { clientId }) });
  }

  #developer(): {
    tenantId?: string;
    additionallyAllowedTenants?: string[];
    processTimeoutInMs: number;
  } {
    const tenantId = this.#options.auth['tenant-id'];
    return {
      processTimeoutInMs: 20_000,
      ...(tenantId !== undefined && { tenantId }),
      ...this.#tenants(),
    };
  }
}

function methodsFor(method: Method | undefined, env: ProviderContext['env']): readonly Method[] {
  if (method !== undefined && method !== 'default') return [method];
  const named = env['AZURE_TOKEN_CREDENTIALS']?.trim().toLowerCase() ?? '';
  if (named === '') return IN_TURN;
  const methods = Object.hasOwn(NAMED, named) ? NAMED[named] : undefined;
  if (methods !== undefined) return methods;
  throw new SecretsError('Usage', 'AZURE_TOKEN_CREDENTIALS names no known credential', {
    hint: `prod, dev, or the store’s auth.method`,
  });
}

function isUnavailable(thrown: unknown): thrown is SecretsError {
  return thrown instanceof SecretsError && thrown.kind === 'Unauthenticated';
}
