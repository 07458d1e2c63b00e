/** The SDK's client, made on the first call: region, endpoint, credentials; its errors as the product's own. */
import { setMaxListeners } from 'node:events';
import { pipeline, Readable, Transform } from 'node:stream';
import { SecretsError } from '../../core/errors.ts';
import type { Identity, ProviderContext } from '../provider.ts';
import { inDoubt, TOO_LONG, translate } from './errors.ts';
import type { AwsSettings } from './settings.ts';

type Sdk = typeof import('@aws-sdk/client-secrets-manager');
type Client = InstanceType<Sdk['SecretsManagerClient']>;
type Config = NonNullable<ConstructorParameters<Sdk['SecretsManagerClient']>[0]>;
type Credentials = NonNullable<Config['credentials']>;

export interface Opened {
  readonly sdk: Sdk;
  readonly client: Client;
}

export type Work<T> = (opened: Opened, http: { abortSignal: AbortSignal }) => Promise<T>;

/** Longest answer read, in bytes: twenty of the largest values, each byte of them escaped as JSON does. */
const MAX_ANSWER = 16 * 1024 * 1024;

export class AwsService {
  readonly #settings: AwsSettings;
  readonly #context: ProviderContext;
  readonly #endpoint: string | undefined;
  #opened: Promise<Opened> | undefined;

  constructor(settings: AwsSettings, context: ProviderContext) {
    this.#settings = settings;
    this.#context = context;
    const { env } = context;
    this.#endpoint = checkEndpoint(
      settings.endpoint ?? env['AWS_ENDPOINT_URL_SECRETS_MANAGER'] ?? env['AWS_ENDPOINT_URL'],
    );
  }

  /** Where the credential comes from, for people. */
  get source(): string {
    const { profile, 'assume-role': role } = this.#settings;
    const { env } = this.#context;
    const base =
      profile !== undefined
        ? `profile ${profile}`
        : this.#static() !== undefined
          ? 'environment variables'
          : env['AWS_PROFILE'] !== undefined
            ? `profile ${env['AWS_PROFILE']}`
            : 'the default credential chain';
    return role === undefined ? base : `role ${role} assumed with ${base}`;
  }

  /** Runs a request that changes nothing; what it throws is a SecretsError. */
  async read<T>(signal: AbortSignal, work: Work<T>): Promise<T> {
    if (signal.aborted)
      throw new SecretsError('Unavailable', 'stopped before the call', { cause: signal.reason as unknown });
    // The SDK hears the signal while it waits for an answer, not while it reads one or gets a credential.
    const { promise: stopped, stop } = abortOf(signal);
    try {
      return await Promise.race([this.#run(signal, work), stopped]);
    } catch (thrown) {
      if (signal.aborted)
        throw new SecretsError('Unavailable', 'no answer in time', {
          hint: 'try again, or allow more with --timeout',
          cause: thrown,
        });
      throw translate(thrown, this.source);
    } finally {
      stop();
    }
  }

  /** Runs a request that changes something: an error says so when that may have happened all the same. */
  async write<T>(signal: AbortSignal, work: Work<T>): Promise<T> {
    try {
      return await this.read(signal, work);
    } catch (thrown) {
      throw inDoubt(thrown as SecretsError);
    }
  }

  async #run<T>(signal: AbortSignal, work: Work<T>): Promise<T> {
    this.#opened ??= this.#open();
    return work(await this.#opened, { abortSignal: signal });
  }

  async identity(signal: AbortSignal): Promise<Identity> {
    return this.read(signal, async ({ client }, http) => {
      const { STSClient, GetCallerIdentityCommand } = await import('@aws-sdk/client-sts');
      const { env } = this.#context;
      const endpoint = this.#settings.endpoint ?? env['AWS_ENDPOINT_URL_STS'] ?? env['AWS_ENDPOINT_URL'];
      const sts = new STSClient({
        region: await client.config.region(),
        credentials: client.config.credentials,
        ...(endpoint !== undefined && { endpoint }),
      });
      try {
        const { Arn, Account } = await sts.send(new GetCallerIdentityCommand({}), http);
        return {
          principal: Arn ?? 'unknown',
          source: this.source,
          details: { account: Account ?? 'unknown' },
        };
      } finally {
        sts.destroy();
      }
    });
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    opened?.client.destroy();
  }

  async #open(): Promise<Opened> {
    // The SDK's line about old Node versions is for its developers; read when it loads.
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
    const sdk = await import('@aws-sdk/client-secrets-manager');
    const { env } = this.#context;
    const region = this.#settings.region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'];
    const profile = this.#settings.profile ?? env['AWS_PROFILE'];
    const credentials = await this.#credentials(region);
    const client = new sdk.SecretsManagerClient({
      maxAttempts: 4,
      ...(region !== undefined && { region }),
      ...(profile !== undefined && { profile }),
      ...(this.#endpoint !== undefined && { endpoint: this.#endpoint }),
      ...(credentials !== undefined && { credentials }),
    });
    client.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        const answer = result.response as { body?: unknown };
        if (answer.body instanceof Readable) answer.body = limited(answer.body);
        return result;
      },
      // Nearest to the network: what comes after reads the limited body.
      { name: 'limitAnswer', step: 'deserialize', priority: 'low' },
    );
    return { sdk, client };
  }

  /** Keys straight from the variables, unless a profile is asked for: no need to load the chain for them. */
  #static(): { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined {
    const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: key, AWS_SESSION_TOKEN: token } = this.#context.env;
    if (this.#settings.profile !== undefined || !id || !key) return undefined;
    return { accessKeyId: id, secretAccessKey: key, ...(token && { sessionToken: token }) };
  }

  async #credentials(region: string | undefined): Promise<Credentials | undefined> {
    const { profile, 'assume-role': role } = this.#settings;
    const fixed = this.#static();
    if (role === undefined) return fixed;
    const { fromTemporaryCredentials, fromNodeProviderChain } = await import('@aws-sdk/credential-providers');
    const { env } = this.#context;
    const endpoint = this.#settings.endpoint ?? env['AWS_ENDPOINT_URL_STS'] ?? env['AWS_ENDPOINT_URL'];
    return fromTemporaryCredentials({
      params: { RoleArn: role, RoleSessionName: 'secrets' },
      masterCredentials: fixed ?? fromNodeProviderChain(profile === undefined ? {} : { profile }),
      clientConfig: { ...(region !== undefined && { region }), ...(endpoint !== undefined && { endpoint }) },
    });
  }
}

/** Rejects when the signal aborts; `stop` lets go of it. */
function abortOf(signal: AbortSignal): { promise: Promise<never>; stop(): void } {
  // Many calls share a command's one signal; the warning about leaks would be wrong.
  setMaxListeners(0, signal);
  let listener = (): void => undefined;
  const promise = new Promise<never>((_resolve, reject) => {
    listener = () => reject(signal.reason as Error);
    signal.addEventListener('abort', listener, { once: true });
  });
  return { promise, stop: () => signal.removeEventListener('abort', listener) };
}

/** The body, up to the longest answer that makes sense. */
function limited(body: Readable): Readable {
  let size = 0;
  const limit = new Transform({
    transform(piece: Buffer, _encoding, done) {
      size += piece.length;
      if (size <= MAX_ANSWER) done(null, piece);
      else done(Object.assign(new Error('too long'), { name: TOO_LONG }));
    },
  });
  return pipeline(body, limit, () => undefined);
}

function checkEndpoint(endpoint: string | undefined): string | undefined {
  if (endpoint === undefined || endpoint === '') return undefined;
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const loopback = url !== undefined && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && loopback)) return endpoint;
  throw new SecretsError('Usage', 'the AWS endpoint must be an https URL', {
    hint: 'plain http is for loopback addresses only',
  });
}
