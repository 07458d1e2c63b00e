/** The SDK's client, created on the first call: region, endpoint, credentials; translates its errors. */
import { setMaxListeners } from 'node:events';
import { pipeline, Readable, Transform } from 'node:stream';
import { outOfTime, SecretsError } from '../../core/errors.ts';
import type { Identity, KnownIdentity } from '../provider.ts';
import type { ProviderContext } from '../descriptor.ts';
import { version } from '../../core/version.ts';
import { checkUrl, isLoopback, needsHttps } from '../../platform/net/address.ts';
import { AwsCredentials } from './credentials.ts';
import { checkSignal } from '../reading.ts';
import { inDoubt, TOO_LONG, translate, understood } from './errors.ts';
import type { AwsSettings } from './settings.ts';

type Sdk = typeof import('@aws-sdk/client-secrets-manager');
type Client = InstanceType<Sdk['SecretsManagerClient']>;
type IamSdk = typeof import('@aws-sdk/client-iam');
type TrailSdk = typeof import('@aws-sdk/client-cloudtrail');

export interface Opened {
  readonly sdk: Sdk;
  readonly client: Client;
}

interface OpenedTrail {
  readonly sdk: TrailSdk;
  readonly client: InstanceType<TrailSdk['CloudTrailClient']>;
}

interface OpenedIam {
  readonly sdk: IamSdk;
  readonly client: InstanceType<IamSdk['IAMClient']>;
}

export type Work<T> = (opened: Opened, http: { abortSignal: AbortSignal }) => Promise<T>;

/** Longest response read, in bytes: twenty of the largest values with every byte escaped in JSON. */
const MAX_ANSWER = 16 * 1024 * 1024;
/** For messages. */
const ENDPOINT = 'the AWS endpoint';

export class AwsService {
  readonly #settings: AwsSettings;
  readonly #context: ProviderContext;
  readonly #credentials: AwsCredentials;
  readonly #endpoint: string | undefined;
  readonly #stsEndpoint: string | undefined;
  /** CloudTrail's endpoint, if it isn't AWS's own. */
  readonly #trailEndpoint: string | undefined;
  /** IAM's endpoint, if it isn't AWS's own. */
  readonly #iamEndpoint: string | undefined;
  #opened: Promise<Opened> | undefined;
  #iam: Promise<OpenedIam> | undefined;
  #trail: Promise<OpenedTrail> | undefined;
  #noted: Promise<void> | undefined;

  constructor(settings: AwsSettings, context: ProviderContext) {
    this.#settings = settings;
    this.#context = context;
    this.#credentials = new AwsCredentials(settings, context);
    const { env } = context;
    this.#endpoint = checkEndpoint(
      settings.endpoint ?? env['AWS_ENDPOINT_URL_SECRETS_MANAGER'] ?? env['AWS_ENDPOINT_URL'],
    );
    const { endpoint } = settings;
    const emulator = URL.canParse(endpoint ?? '') && isLoopback(new URL(endpoint ?? '').hostname);
    this.#stsEndpoint = checkEndpoint(
      settings['sts-endpoint'] ??
        env['AWS_ENDPOINT_URL_STS'] ??
        (emulator ? endpoint : env['AWS_ENDPOINT_URL']),
    );
    this.#trailEndpoint = checkEndpoint(
      settings['cloudtrail-endpoint'] ??
        env['AWS_ENDPOINT_URL_CLOUDTRAIL'] ??
        (emulator ? endpoint : env['AWS_ENDPOINT_URL']),
    );
    this.#iamEndpoint = checkEndpoint(
      settings['iam-endpoint'] ??
        env['AWS_ENDPOINT_URL_IAM'] ??
        (emulator ? endpoint : env['AWS_ENDPOINT_URL']),
    );
  }

  debug(message: string): void {
    this.#context.debug(message);
  }

  /** Runs a request that changes nothing; throws SecretsErrors. */
  async read<T>(signal: AbortSignal, work: Work<T>): Promise<T> {
    checkSignal(signal);
    // The SDK reacts to the signal while it waits for a response, but not while it retries or gets a credential.
    const { promise: stopped, stop } = abortOf(signal);
    try {
      return await Promise.race([this.#run(signal, work), stopped]);
    } catch (thrown) {
      if (signal.aborted) throw outOfTime(thrown);
      // If AWS has responded, the SDK has a credential and knows its source.
      if ((thrown as { $metadata?: unknown }).$metadata !== undefined)
        await Promise.race([this.#noteCredential().catch(ignore), stopped]).catch(ignore);
      throw translate(thrown, this.#credentials.source);
    } finally {
      stop();
    }
  }

  /** Runs a request that changes something; its error says if the change may have happened anyway. */
  async write<T>(signal: AbortSignal, work: Work<T>): Promise<T> {
    try {
      return await this.read(signal, work);
    } catch (thrown) {
      throw inDoubt(thrown as SecretsError);
    }
  }

  async #run<T>(signal: AbortSignal, work: Work<T>): Promise<T> {
    this.#opened ??= this.#open();
    const answer = await work(await this.#opened, { abortSignal: signal });
    // The SDK caches the credential by now, so asking costs nothing.
    this.#noted ??= this.#noteCredential().then(ignore, ignore);
    await this.#noted;
    return answer;
  }

  async identity(signal: AbortSignal): Promise<Identity> {
    return this.read(signal, async ({ client }, http) => {
      const { STSClient, GetCallerIdentityCommand } = await import('@aws-sdk/client-sts');
      const region = await client.config.region();
      const sts = new STSClient({ ...this.#sts(region), region, credentials: client.config.credentials });
      // A different client, but the same middleware stack for this purpose.
      guard(sts as never, this.#credentials);
      try {
        const { Arn: principal, Account: account } = await sts.send(new GetCallerIdentityCommand({}), http);
        understood(typeof principal === 'string');
        this.#credentials.principal = principal;
        const { expiration } = await this.#noteCredential();
        return {
          principal,
          source: this.#credentials.source,
          details: {
            account: account ?? 'unknown',
            region,
            ...(expiration !== undefined && { expires: expiration.toISOString() }),
          },
        };
      } finally {
        sts.destroy();
      }
    });
  }

  /** The signer of the last request, as far as it is known without a call. */
  knownIdentity(): KnownIdentity | undefined {
    const { principal, source } = this.#credentials;
    return principal === undefined ? undefined : { principal, source };
  }

  /** Queries CloudTrail in the same region with the same credential; throws SecretsErrors. */
  async trail<T>(
    signal: AbortSignal,
    work: (opened: OpenedTrail, http: { abortSignal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    return this.read(signal, async ({ client }, http) => {
      this.#trail ??= this.#openTrail(client);
      return work(await this.#trail, http);
    });
  }

  /** Asks IAM with the same credential; throws SecretsErrors. */
  async iam<T>(
    signal: AbortSignal,
    work: (opened: OpenedIam, http: { abortSignal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    return this.read(signal, async ({ client }, http) => {
      this.#iam ??= this.#openIam(client);
      return work(await this.#iam, http);
    });
  }

  async #openIam({ config }: Client): Promise<OpenedIam> {
    const sdk = await import('@aws-sdk/client-iam');
    const client = new sdk.IAMClient({
      ...OURS,
      region: await config.region(),
      credentials: config.credentials,
      ...(this.#iamEndpoint !== undefined && { endpoint: this.#iamEndpoint }),
    });
    // A different client, but the same middleware stack for this purpose.
    guard(client as never);
    return { sdk, client };
  }

  async #openTrail({ config }: Client): Promise<OpenedTrail> {
    const sdk = await import('@aws-sdk/client-cloudtrail');
    const client = new sdk.CloudTrailClient({
      ...OURS,
      region: await config.region(),
      credentials: config.credentials,
      ...(this.#trailEndpoint !== undefined && { endpoint: this.#trailEndpoint }),
    });
    // A different client, but the same middleware stack for this purpose.
    guard(client as never);
    return { sdk, client };
  }

  /** Where requests go, and this machine's clock offset in seconds, as far as AWS's responses show it. */
  async endpointAndClock(signal: AbortSignal): Promise<{ region: string; endpoint: string; clock: number }> {
    return this.read(signal, async ({ client }) => ({
      region: await client.config.region(),
      endpoint: this.#endpoint ?? 'AWS’s own endpoint',
      clock: Math.round(client.config.systemClockOffset / 1000),
    }));
  }

  async close(): Promise<void> {
    for (const opened of [this.#opened, this.#trail, this.#iam])
      (await opened?.catch(() => undefined))?.client.destroy();
  }

  async #open(): Promise<Opened> {
    // Silences the SDK's message about old Node versions, which is meant for developers; read when the SDK loads.
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
    const sdk = await import('@aws-sdk/client-secrets-manager');
    const { env } = this.#context;
    if (this.#context.rereadsFiles === true) {
      const { loadSharedConfigFiles } = await import('@smithy/core/config');
      await loadSharedConfigFiles({ ignoreCache: true });
    }
    const region = this.#settings.region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'];
    const { profile } = this.#credentials;
    const credentials = await this.#credentials.provide(this.#sts(region));
    const client = new sdk.SecretsManagerClient({
      ...OURS,
      ...(region !== undefined && { region }),
      ...(profile !== undefined && { profile }),
      ...(this.#endpoint !== undefined && { endpoint: this.#endpoint }),
      ...(credentials !== undefined && { credentials }),
    });
    guard(client, this.#credentials);
    return { sdk, client };
  }

  /** Settings of STS clients. A store's endpoint is that of Secrets Manager, unless it is an emulator's. */
  #sts(region: string | undefined): { region?: string; endpoint?: string } {
    return {
      ...(region !== undefined && { region }),
      ...(this.#stsEndpoint !== undefined && { endpoint: this.#stsEndpoint }),
    };
  }

  /** The credential in use; the SDK caches it, so asking costs nothing. */
  async #noteCredential(): Promise<{ readonly expiration?: Date | undefined }> {
    const { client } = (await this.#opened) as Opened;
    const credential = await client.config.credentials();
    this.#credentials.note(credential);
    return credential;
  }
}

const ignore = (): void => undefined;

/** Settings that all our clients share. */
const OURS: {
  readonly maxAttempts: number;
  readonly logger: Record<'debug' | 'info' | 'warn' | 'error', () => void>;
  readonly customUserAgent: [string, string][];
} = {
  maxAttempts: 4,
  // The SDK would print a warning to stderr if both a profile and keys are set.
  logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
  // Shows in CloudTrail which calls came from `secrets`.
  customUserAgent: [['secrets', version]],
};

/** The fields of an SDK request that are used here. */
interface Sent {
  readonly protocol?: string;
  readonly hostname?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Checks what goes to the network and what comes from it, at the lowest layer: after signing, before parsing. */
function guard(client: Pick<Client, 'middlewareStack'>, credentials?: AwsCredentials): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      // The endpoint may come from a user's file that only the SDK has read.
      const { protocol, hostname, headers } = args.request as Sent;
      if (protocol !== 'https:' && !isLoopback(hostname ?? '')) throw needsHttps(ENDPOINT);
      credentials?.noteSigned(headers?.['authorization']);
      const result = await next(args);
      const answer = result.response as { body?: unknown };
      if (answer.body instanceof Readable) answer.body = limited(answer.body);
      return result;
    },
    { name: 'guard', step: 'deserialize', priority: 'low' },
  );
}

/** Rejects when the signal aborts; `stop` removes the listener. */
function abortOf(signal: AbortSignal): { promise: Promise<never>; stop(): void } {
  // A command's calls share one signal, so Node's warning about listener leaks would be wrong.
  setMaxListeners(0, signal);
  let listener = (): void => undefined;
  const promise = new Promise<never>((_resolve, reject) => {
    listener = () => reject(signal.reason as Error);
    signal.addEventListener('abort', listener, { once: true });
  });
  return { promise, stop: () => signal.removeEventListener('abort', listener) };
}

/** The body, limited to the longest plausible response. */
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
  checkUrl(endpoint, ENDPOINT);
  return endpoint;
}
