/** The SDK's client, made on the first call: region, endpoint, credentials; its errors as the product's own. */
import { SecretsError } from '../../core/errors.ts';
import type { Identity, ProviderContext } from '../provider.ts';
import type { AwsSettings } from './settings.ts';

type Sdk = typeof import('@aws-sdk/client-secrets-manager');
type Client = InstanceType<Sdk['SecretsManagerClient']>;
type Config = NonNullable<ConstructorParameters<Sdk['SecretsManagerClient']>[0]>;
type Credentials = NonNullable<Config['credentials']>;

export interface Opened {
  readonly sdk: Sdk;
  readonly client: Client;
}

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

  /** Runs one request; what it throws is a SecretsError. */
  async call<T>(
    signal: AbortSignal,
    work: (opened: Opened, http: { abortSignal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    if (signal.aborted)
      throw new SecretsError('Unavailable', 'stopped before the call', { cause: signal.reason as unknown });
    this.#opened ??= this.#open();
    try {
      return await work(await this.#opened, { abortSignal: signal });
    } catch (thrown) {
      if (signal.aborted)
        throw new SecretsError('Unavailable', 'no answer in time', {
          hint: 'try again, or allow more with --timeout',
          cause: thrown,
        });
      throw translate(thrown, this.source);
    }
  }

  async identity(signal: AbortSignal): Promise<Identity> {
    return this.call(signal, async ({ client }, http) => {
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

function checkEndpoint(endpoint: string | undefined): string | undefined {
  if (endpoint === undefined || endpoint === '') return undefined;
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const loopback = url !== undefined && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && loopback)) return endpoint;
  throw new SecretsError('Usage', 'the AWS endpoint must be an https URL', {
    hint: 'plain http is for loopback addresses only',
  });
}

const UNAUTHENTICATED =
  /^(UnrecognizedClientException|InvalidClientTokenId|InvalidSignatureException|SignatureDoesNotMatch|ExpiredToken(Exception)?|CredentialsProviderError|TokenProviderError|IncompleteSignature|MissingAuthenticationToken(Exception)?)$/;

/** Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html and each call's page. */
export function translate(thrown: unknown, source: string): SecretsError {
  if (thrown instanceof SecretsError) return thrown;
  const { name, message, code, $metadata } = thrown as {
    name?: string;
    message?: string;
    code?: string;
    $metadata?: { httpStatusCode?: number };
  };
  const text = (message ?? '').replaceAll(/\s+/g, ' ').slice(0, 300);
  const status = $metadata?.httpStatusCode ?? 0;
  const fail = (kind: SecretsError['kind'], line: string, hint?: string): SecretsError =>
    new SecretsError(kind, line, { hint, cause: thrown });
  if (name === 'ResourceNotFoundException')
    return fail('NotFound', 'is not there', 'secrets list shows the names');
  if (name === 'ResourceExistsException') return fail('Conflict', 'exists already');
  if (name === 'AccessDeniedException' || name === 'AccessDenied' || name === 'DecryptionFailure')
    return fail(
      'Denied',
      `not allowed (${source}): ${text}`,
      'its IAM policy must allow this: secrets doctor',
    );
  if (name !== undefined && UNAUTHENTICATED.test(name))
    return fail(
      'Unauthenticated',
      `AWS does not accept the credential (${source})`,
      'sign in again, or set AWS_PROFILE',
    );
  if (/throttl|TooManyRequests|LimitExceeded/i.test(name ?? '') || status === 429)
    return fail('Throttled', 'AWS asks to slow down', 'try again later');
  if (name === 'InvalidRequestException' && /delet/i.test(text))
    return fail('NotFound', 'is deleted', 'secrets restore brings it back');
  if (
    /^(Validation|InvalidParameter|InvalidRequest|InvalidNextToken|EncryptionFailure|MalformedPolicy)/.test(
      name ?? '',
    )
  )
    return fail('Invalid', text || 'AWS refuses the request');
  if (/region is missing/i.test(text))
    return fail('Usage', 'no AWS region', 'set AWS_REGION or the store’s region');
  const why = code ?? (status > 0 ? `status ${status}` : (name ?? 'no answer'));
  return fail(
    'Unavailable',
    `AWS can’t be reached or failed (${why})`,
    'check the network and the endpoint: secrets doctor',
  );
}
