/** IAM and STS as seen by one access key. The SDK is loaded with the first call. */
import { setMaxListeners } from 'node:events';
import { SecretsError } from '../../../core/errors.ts';
import { inDoubt, translate } from '../../../providers/aws/errors.ts';
import type { TargetContext } from '../../target.ts';
import { checkUrl } from '../../../platform/net/address.ts';
import type { AccessKey } from './key.ts';
import type { IamSettings } from './settings.ts';

export interface ListedKey {
  readonly id: string;
  readonly active: boolean;
  readonly createdAt: Date | undefined;
}

export interface Caller {
  readonly arn: string;
  /** Twelve digits. */
  readonly account: string | undefined;
  /** The name of the IAM user; `undefined` for a role or the root user. */
  readonly user: string | undefined;
}

/** STS's error names for a key that is wrong, unknown or inactive. */
const REFUSED =
  /^(InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch|InvalidAccessKeyId)/;

export class IamService {
  readonly #options: object;
  readonly #source: string;

  /** @throws SecretsError Usage for an endpoint that is neither https nor on loopback */
  constructor(key: AccessKey, settings: IamSettings, { env }: TargetContext, source: string) {
    // Silences the SDK's message about old Node versions, which is meant for developers; read when the SDK loads.
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
    const endpoint = settings.endpoint ?? env['AWS_ENDPOINT_URL'] ?? '';
    if (endpoint !== '') checkUrl(endpoint, 'the AWS endpoint');
    this.#source = source;
    this.#options = {
      region: settings.region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? 'us-east-1',
      ...(endpoint !== '' && { endpoint }),
      credentials: { accessKeyId: key.id, secretAccessKey: key.secret },
      logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    };
  }

  /** The key's identity, which needs no right; `undefined` if AWS rejects the key. */
  async caller(signal: AbortSignal): Promise<Caller | undefined> {
    const sdk = await import('@aws-sdk/client-sts');
    const client = new sdk.STSClient(this.#options);
    try {
      const { Arn: arn } = await this.#bounded(signal, () =>
        client.send(new sdk.GetCallerIdentityCommand({}), { abortSignal: signal }),
      );
      if (typeof arn !== 'string') throw notAws();
      const [, account, user] = /^arn:[^:]*:[^:]*:[^:]*:(\d*):(?:user\/(?:.*\/)?([^/]+)$)?/.exec(arn) ?? [];
      return { arn, account, user };
    } catch (thrown) {
      const cause = (thrown as { cause?: { name?: unknown } }).cause;
      if (REFUSED.test(String(cause?.name))) return undefined;
      throw thrown;
    } finally {
      client.destroy();
    }
  }

  async keys(user: string, signal: AbortSignal): Promise<readonly ListedKey[]> {
    const answer = await this.#iam(signal, 'iam:ListAccessKeys', async (sdk, client, options) =>
      client.send(new sdk.ListAccessKeysCommand({ UserName: user }), options),
    );
    if (!Array.isArray(answer.AccessKeyMetadata)) throw notAws();
    return answer.AccessKeyMetadata.map(({ AccessKeyId = '', Status, CreateDate }) => ({
      id: AccessKeyId,
      active: Status === 'Active',
      createdAt: CreateDate,
    }));
  }

  /**
   * Sent only once: an SDK retry would create a second key.
   * @throws SecretsError Conflict if the user has two keys; Unavailable with an unknown outcome
   */
  async createKey(user: string, signal: AbortSignal): Promise<AccessKey> {
    const { AccessKey: made } = await this.#iam(
      signal,
      'iam:CreateAccessKey',
      (sdk, client, options) => client.send(new sdk.CreateAccessKeyCommand({ UserName: user }), options),
      { write: true, attempts: 1 },
    );
    if (typeof made?.AccessKeyId !== 'string' || typeof made.SecretAccessKey !== 'string')
      throw inDoubt(notAws());
    return { id: made.AccessKeyId, secret: made.SecretAccessKey };
  }

  /** @throws SecretsError NotFound if the key no longer exists */
  async setActive(user: string, id: string, active: boolean, signal: AbortSignal): Promise<void> {
    await this.#iam(
      signal,
      'iam:UpdateAccessKey',
      (sdk, client, options) => {
        const Status = active ? 'Active' : 'Inactive';
        return client.send(
          new sdk.UpdateAccessKeyCommand({ UserName: user, AccessKeyId: id, Status }),
          options,
        );
      },
      { write: true },
    );
  }

  /** Deleting a key that is already gone is a success. */
  async deleteKey(user: string, id: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#iam(
        signal,
        'iam:DeleteAccessKey',
        (sdk, client, options) =>
          client.send(new sdk.DeleteAccessKeyCommand({ UserName: user, AccessKeyId: id }), options),
        { write: true },
      );
    } catch (thrown) {
      if (!(thrown instanceof SecretsError && thrown.kind === 'NotFound')) throw thrown;
    }
  }

  /** When AWS last saw the key; `undefined` for never. AWS's record is some minutes behind. */
  async lastUsed(id: string, signal: AbortSignal): Promise<Date | undefined> {
    const answer = await this.#iam(signal, 'iam:GetAccessKeyLastUsed', (sdk, client, options) =>
      client.send(new sdk.GetAccessKeyLastUsedCommand({ AccessKeyId: id }), options),
    );
    return answer.AccessKeyLastUsed?.LastUsedDate;
  }

  async tag(user: string, name: string, signal: AbortSignal): Promise<string | undefined> {
    let marker: string | undefined;
    do {
      const page = await this.#iam(signal, 'iam:ListUserTags', (sdk, client, options) =>
        client.send(
          new sdk.ListUserTagsCommand({ UserName: user, ...(marker !== undefined && { Marker: marker }) }),
          options,
        ),
      );
      const found = page.Tags?.find(({ Key }) => Key === name);
      if (found !== undefined) return found.Value;
      marker = page.IsTruncated === true ? page.Marker : undefined;
    } while (marker !== undefined);
    return undefined;
  }

  async setTag(user: string, name: string, value: string, signal: AbortSignal): Promise<void> {
    await this.#iam(
      signal,
      'iam:TagUser',
      (sdk, client, options) =>
        client.send(new sdk.TagUserCommand({ UserName: user, Tags: [{ Key: name, Value: value }] }), options),
      { write: true },
    );
  }

  async #iam<T>(
    signal: AbortSignal,
    action: string,
    work: (
      sdk: typeof import('@aws-sdk/client-iam'),
      client: import('@aws-sdk/client-iam').IAMClient,
      options: { readonly abortSignal: AbortSignal },
    ) => Promise<T>,
    { write = false, attempts = 4 } = {},
  ): Promise<T> {
    const sdk = await import('@aws-sdk/client-iam');
    const client = new sdk.IAMClient({ ...this.#options, maxAttempts: attempts });
    try {
      return await this.#bounded(signal, () => work(sdk, client, { abortSignal: signal }));
    } catch (thrown) {
      const error = thrown as SecretsError;
      throw error.kind === 'Denied' ? denied(error, action) : write ? inDoubt(error) : error;
    } finally {
      client.destroy();
    }
  }

  async #bounded<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (signal.aborted) throw late(signal.reason);
    setMaxListeners(0, signal);
    let stop = (): void => {};
    // The SDK reacts to the signal while it waits for a response, but not while it waits between two attempts.
    const aborted = new Promise<never>((_resolve, reject) => {
      const onAbort = (): void => reject(late(signal.reason));
      signal.addEventListener('abort', onAbort, { once: true });
      stop = () => signal.removeEventListener('abort', onAbort);
    });
    try {
      return await Promise.race([work(), aborted]);
    } catch (thrown) {
      throw signal.aborted ? late(thrown) : understood(thrown, this.#source);
    } finally {
      stop();
    }
  }
}

const ignore = (): void => undefined;

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html, and the pages of the other calls. */
function understood(thrown: unknown, source: string): SecretsError {
  const { name } = thrown as { name?: string };
  if (name === 'NoSuchEntityException' || name === 'NoSuchEntity')
    return new SecretsError('NotFound', 'AWS knows no such user or access key', { cause: thrown });
  if (name === 'LimitExceededException' || name === 'LimitExceeded')
    return new SecretsError('Conflict', 'the user has as many access keys as AWS allows', {
      hint: 'delete the one that is not in use: aws iam list-access-keys',
      cause: thrown,
    });
  return translate(thrown, source);
}

function denied(error: SecretsError, action: string): SecretsError {
  return new SecretsError('Denied', `not allowed: ${action}`, {
    hint: 'see docs/rotation-targets.md for the required policy',
    cause: error.cause,
  });
}

function late(cause: unknown): SecretsError {
  return new SecretsError('Unavailable', 'AWS did not answer in time', {
    hint: 'try again, or raise --timeout',
    cause,
  });
}

function notAws(): SecretsError {
  return new SecretsError('Unavailable', 'the response is not from AWS IAM', { hint: 'check the endpoint' });
}
