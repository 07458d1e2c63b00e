/** The SDK's client, created on the first call: address, sign-in, deadline; translates its errors. */
import { setMaxListeners } from 'node:events';
import type { SecretClient } from '@azure/keyvault-secrets';
import { IN_DOUBT, outOfTime, SecretsError } from '../../core/errors.ts';
import { isProtected } from '../../platform/net/address.ts';
import type { Identity, KnownIdentity } from '../provider.ts';
import type { ProviderContext } from '../descriptor.ts';
import { CLOUDS, cloudOfHost, VAULT_NAME } from './clouds.ts';
import { translate } from './errors.ts';
import type { AzureSettings } from './settings.ts';
import { principalOf } from './claims.ts';
import { SignIn } from './sign-in.ts';
import {
  Activity,
  isVaultAnswer,
  makePipeline,
  readAuthorities,
  Transport,
  type TransportOptions,
} from './transport.ts';
import { checkSignal } from '../reading.ts';

/** `read` changes nothing; `repeat` may be sent twice; for a `write`, a lost response leaves the outcome unknown. */
export type Effect = 'read' | 'repeat' | 'write';

export interface Opened {
  readonly client: SecretClient;
  readonly signIn: SignIn;
  readonly transport: Transport;
}

export class AzureService {
  /** The vault's address, without a trailing slash. */
  readonly vaultUrl: string;
  readonly #settings: AzureSettings;
  readonly #context: ProviderContext;
  readonly #authorityHost: string;
  readonly #scope: string;
  /** Whether the vault is one of Azure's own. */
  readonly #isAzure: boolean;
  readonly #activity = new Activity();
  #opened: Promise<Opened> | undefined;
  #signIn: SignIn | undefined;

  /** @throws SecretsError Usage */
  constructor(settings: AzureSettings, context: ProviderContext) {
    this.#settings = settings;
    this.#context = context;
    const cloud = CLOUDS[settings.cloud ?? 'public'];
    const suffix = settings['dns-suffix'] ?? cloud.suffix;
    this.vaultUrl = vaultUrlOf(settings, context.env, suffix);
    this.#authorityHost = checkAuthority(
      settings['authority-host'] ??
        (settings.cloud === undefined ? context.env['AZURE_AUTHORITY_HOST'] || undefined : undefined) ??
        cloud.authorityHost,
    );
    const own = cloudOfHost(new URL(this.vaultUrl).hostname);
    this.#isAzure = own !== undefined;
    this.#scope = `https://${own === undefined ? suffix : CLOUDS[own].suffix}/.default`;
  }

  get host(): string {
    return new URL(this.vaultUrl).host;
  }

  /** Runs one request, one page or one poll; throws SecretsErrors. */
  async call<T>(
    signal: AbortSignal,
    effect: Effect,
    work: (client: SecretClient, options: { abortSignal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    checkSignal(signal);
    const opened = await this.#open();
    const { changes } = opened.transport;
    try {
      return await this.#race(signal, () => {
        const answer = work(opened.client, { abortSignal: signal });
        if (this.#isAzure) opened.signIn.getAhead(this.#scope);
        return answer;
      });
    } catch (thrown) {
      const error = signal.aborted
        ? outOfTime(thrown)
        : translate(thrown, who(opened.signIn), this.host, effect !== 'read');
      const sent = opened.transport.changes > changes;
      throw effect !== 'read' && error.kind === 'Unavailable' && sent ? inDoubt(error) : error;
    }
  }

  /** A connection to another of Azure's services that uses the store's sign-in; each of its calls may be repeated. */
  async reach(
    origin: string,
    isAnswer: TransportOptions['isAnswer'],
  ): Promise<{ transport: Transport; signIn: SignIn }> {
    const { signIn } = await this.#open();
    const transport = new Transport({
      ...this.#shared(),
      origin,
      ...(isAnswer !== undefined && { isAnswer }),
      isRepeatable: () => true,
    });
    return { transport, signIn };
  }

  /** Runs one request to such a service. */
  async ask<T>(
    signal: AbortSignal,
    work: (options: { abortSignal: AbortSignal }) => Promise<T>,
    refused: (thrown: unknown, who: string) => SecretsError,
  ): Promise<T> {
    checkSignal(signal);
    const { signIn } = await this.#open();
    try {
      return await this.#race(signal, () => work({ abortSignal: signal }));
    } catch (thrown) {
      throw signal.aborted ? outOfTime(thrown) : refused(thrown, who(signIn));
    }
  }

  async identity(signal: AbortSignal): Promise<Identity> {
    checkSignal(signal);
    const { signIn } = await this.#open();
    try {
      if (signIn.claims === undefined) await this.#race(signal, () => signIn.getToken(this.#scope));
    } catch (thrown) {
      throw signal.aborted ? outOfTime(thrown) : translate(thrown, who(signIn), this.host, false);
    }
    const { tid, oid, appid, azp, exp, xms_mirid: resource } = signIn.claims ?? {};
    const application = appid ?? azp;
    return {
      principal: principalOf(signIn.claims ?? {}),
      source: signIn.source,
      details: {
        vault: this.vaultUrl,
        ...(tid !== undefined && { tenant: tid }),
        ...(oid !== undefined && { object: oid }),
        ...(application !== undefined && { application }),
        ...(resource !== undefined && { identity: resource }),
        ...(exp !== undefined && { expires: new Date(exp * 1000).toISOString() }),
      },
    };
  }

  /** The identity in the claims of the token in use. */
  knownIdentity(): KnownIdentity | undefined {
    const { claims, source = '' } = this.#signIn ?? {};
    return claims === undefined ? undefined : { principal: principalOf(claims), source };
  }

  /** The vault's clock minus ours in its last response, in milliseconds. */
  async clockSkew(): Promise<number | undefined> {
    return (await this.#opened)?.transport.clockSkew;
  }

  close(): Promise<void> {
    // No call is in progress any more, and idle connections don't keep the process alive.
    return Promise.resolve();
  }

  /** Rejects as soon as the signal aborts, whether or not the SDK notices; its requests end with the signal too. */
  async #race<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    // A command's calls share one signal, so Node's warning about listener leaks would be wrong.
    setMaxListeners(0, signal);
    let stop: (() => void) | undefined;
    const aborted = new Promise<never>((_resolve, reject) => {
      stop = () => reject(signal.reason as Error);
      signal.addEventListener('abort', stop, { once: true });
    });
    try {
      return await this.#activity.during(() => Promise.race([work(), aborted]));
    } finally {
      if (stop !== undefined) signal.removeEventListener('abort', stop);
    }
  }

  #open(): Promise<Opened> {
    this.#opened ??= this.#connect().catch((thrown: unknown) => {
      this.#opened = undefined;
      throw thrown;
    });
    return this.#opened;
  }

  #shared(): Pick<TransportOptions, 'ca' | 'activity' | 'debug'> {
    return {
      ca: readAuthorities(this.#settings.ca),
      activity: this.#activity,
      debug: this.#context.debug,
    };
  }

  async #connect(): Promise<Opened> {
    const settings = this.#settings;
    const shared = this.#shared();
    const transport = new Transport({
      ...shared,
      origin: new URL(this.vaultUrl).origin,
      isAnswer: isVaultAnswer,
      isRepeatable: ({ method }) => method === 'GET' || method === 'PATCH',
    });
    const signIn = new SignIn({
      auth: settings.auth ?? {},
      authorityHost: this.#authorityHost,
      disableInstanceDiscovery: settings['disable-instance-discovery'] === true,
      context: this.#context,
      activity: this.#activity,
      // Repeated token requests are harmless. A managed identity's endpoint (http) either exists or doesn't, so it
      // isn't retried.
      transport: new Transport({ ...shared, isRepeatable: ({ url }) => url.startsWith('https:') }),
    });
    this.#signIn = signIn;
    const { SecretClient: Client } = await import('@azure/keyvault-secrets');
    const client = new Client(this.vaultUrl, signIn, {
      httpClient: transport,
      pipeline: makePipeline(),
      allowInsecureConnection: this.vaultUrl.startsWith('http:'),
      ...(settings['disable-challenge-resource-verification'] === true && {
        disableChallengeResourceVerification: true,
      }),
      ...(settings['service-version'] !== undefined && { serviceVersion: settings['service-version'] }),
    } as ConstructorParameters<typeof Client>[2]);
    return { client, signIn, transport };
  }
}

function who(signIn: SignIn): string {
  return signIn.claims === undefined ? signIn.source : `${signIn.source}: ${principalOf(signIn.claims)}`;
}

function inDoubt(error: SecretsError): SecretsError {
  return new SecretsError('Unavailable', error.message + IN_DOUBT, {
    hint: 'look with secrets history before you try again',
    cause: error,
  });
}

function vaultUrlOf(settings: AzureSettings, env: ProviderContext['env'], suffix: string): string {
  const text =
    settings.vault ??
    (env['AZURE_KEYVAULT_URL'] || env['AZURE_KEYVAULT_NAME'] || env['KEY_VAULT_NAME'] || undefined);
  if (text === undefined)
    throw new SecretsError('Usage', 'no Azure key vault', {
      hint: 'set AZURE_KEYVAULT_URL, AZURE_KEYVAULT_NAME or the store’s vault',
    });
  if (!text.includes(':') && !text.includes('/') && !text.includes('.')) {
    if (VAULT_NAME.test(text)) return `https://${text}.${suffix}`;
    throw new SecretsError('Usage', 'the vault’s name must have 3 to 24 letters, digits and single hyphens');
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined)
    throw new SecretsError('Usage', 'the vault is neither a name nor a URL', {
      hint: 'https://NAME.vault.azure.net',
    });
  if (!isProtected(url))
    throw new SecretsError('Usage', `the vault’s URL must be https: ${url.host}`, {
      hint: 'plain http is for loopback addresses only',
    });
  if (url.username !== '' || url.password !== '' || url.pathname !== '/' || url.search !== '')
    throw new SecretsError('Usage', 'the vault’s URL must be only an address', {
      hint: 'https://NAME.vault.azure.net, without path, query, user name or password',
    });
  return url.origin;
}

function checkAuthority(text: string): string {
  const withScheme = text.includes('://') ? text : `https://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (url === undefined || url.protocol !== 'https:')
    throw new SecretsError('Usage', 'the authority-host must be an https URL', {
      hint: 'https://login.microsoftonline.com',
    });
  return url.origin;
}
