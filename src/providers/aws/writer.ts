/**
 * Writes to AWS Secrets Manager. An unconditional write is one request. A conditional write takes two: the value is
 * written under a meaningless label, then the real label is moved, which AWS rejects if the label has moved in the
 * meantime.
 */
import { randomUUID } from 'node:crypto';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type { SecretWrite } from '../provider.ts';
import type { VersionInfo } from '../../core/secret.ts';
import { CURRENT, payload, PENDING, PREVIOUS, tagsOf, WRITING, writtenVersion } from './answers.ts';
import { alreadyExists, changedMeanwhile, deletedInTheWay, noLongerPending, softDeleted } from '../errors.ts';
import { isTaken, understood } from './errors.ts';
import type { AwsService } from './service.ts';

/** Which version has which label. */
interface Labels {
  readonly current: string | undefined;
  readonly previous: string | undefined;
  /** The version with AWSPENDING, even if the label means nothing there. */
  readonly pendingLabel: string | undefined;
  /** The pending version. */
  readonly pending: string | undefined;
  readonly deleted: boolean;
  /** Whether this version has any label. */
  has(version: string): boolean;
}

interface Target {
  readonly id: string;
  readonly signal: AbortSignal;
}

export class AwsWriter {
  readonly #service: AwsService;
  readonly #kmsKey: string | undefined;

  constructor(service: AwsService, kmsKey: string | undefined) {
    this.#service = service;
    this.#kmsKey = kmsKey;
  }

  /** @param id the secret's name in AWS, or its ARN */
  put(id: string, write: SecretWrite, signal: AbortSignal): Promise<VersionInfo> {
    const target = { id, signal };
    if (write.stage === 'pending') return this.#stage(target, write);
    if (write.ifAbsent === true) return this.#createFirst(target, write);
    if (write.ifVersion !== undefined) return this.#replace(target, write, write.ifVersion);
    return this.#write(target, write);
  }

  async #write(target: Target, write: SecretWrite): Promise<VersionInfo> {
    // One token for all attempts: AWS writes only one version for a token, however often the request is repeated.
    const token = randomUUID();
    for (let attempt = 1; ; attempt += 1) {
      try {
        const requestId = await this.#putValue(target, write, CURRENT, token);
        await this.#setDetails(target, write, token);
        return writtenVersion(token, CURRENT, requestId);
      } catch (thrown) {
        const error = toSecretsError(thrown);
        if (error.kind !== 'NotFound' || target.id.startsWith('arn:')) throw error;
        if (error.message === 'is deleted') throw deletedInTheWay(error);
      }
      try {
        return await this.#create(target, write, token);
      } catch (thrown) {
        // Somebody else has created it in the meantime, so now it can be written to.
        if (!isTaken(toSecretsError(thrown)) || attempt > 1) throw thrown;
      }
    }
  }

  async #create({ id, signal }: Target, write: SecretWrite, token: string): Promise<VersionInfo> {
    const { set } = tagsOf(write);
    try {
      const requestId = await this.#service.write(signal, async ({ sdk, client }, http) => {
        const made = await client.send(
          new sdk.CreateSecretCommand({
            Name: id,
            ClientRequestToken: token,
            ...payload(write.value),
            ...(this.#kmsKey !== undefined && { KmsKeyId: this.#kmsKey }),
            ...(write.description !== undefined && { Description: write.description }),
            ...(set.length > 0 && { Tags: set }),
          }),
          http,
        );
        understood(made.VersionId === token);
        return made.$metadata.requestId;
      });
      return writtenVersion(token, CURRENT, requestId);
    } catch (thrown) {
      const error = toSecretsError(thrown);
      throw error.kind === 'NotFound' ? deletedInTheWay(error) : error;
    }
  }

  /** @returns the id of the request */
  #putValue(
    { id, signal }: Target,
    write: SecretWrite,
    label: string,
    token: string,
  ): Promise<string | undefined> {
    return this.#service.write(signal, async ({ sdk, client }, http) => {
      const answer = await client.send(
        new sdk.PutSecretValueCommand({
          SecretId: id,
          ClientRequestToken: token,
          VersionStages: [label],
          ...payload(write.value),
        }),
        http,
      );
      understood(answer.VersionId === token);
      return answer.$metadata.requestId;
    });
  }

  /** Creates the secret, or writes the first value of one that was created without. @throws SecretsError Conflict */
  async #createFirst(target: Target, write: SecretWrite): Promise<VersionInfo> {
    let refused: unknown;
    // AWS can't create a secret by its ARN.
    if (!target.id.startsWith('arn:'))
      try {
        return await this.#create(target, write, randomUUID());
      } catch (thrown) {
        // A caller who may not create secrets may still be able to write the first value of an existing one.
        const error = toSecretsError(thrown);
        if (!isTaken(error) && error.kind !== 'Denied') throw thrown;
        refused = thrown;
      }
    const there = await this.#labels(target).catch((thrown: unknown) => {
      throw refused ?? thrown;
    });
    if (there.deleted) throw refused ?? deletedInTheWay();
    if (there.current !== undefined) throw alreadyExists(refused);
    return this.#writeOver(target, write, undefined);
  }

  /** Writes a version if this one is current. @throws SecretsError Conflict */
  async #replace(target: Target, write: SecretWrite, expected: string): Promise<VersionInfo> {
    const before = await this.#labels(target).catch((thrown: unknown) => {
      throw toSecretsError(thrown).kind === 'NotFound' ? changedMeanwhile(thrown) : thrown;
    });
    if (before.deleted) throw deletedInTheWay();
    if (before.current !== expected) throw changedMeanwhile();
    return this.#writeOver(target, write, expected);
  }

  /**
   * Compare-and-set on the current version, or on its absence: AWS moves a label away from another version only if the
   * request names that version.
   */
  async #writeOver(target: Target, write: SecretWrite, expected: string | undefined): Promise<VersionInfo> {
    const version = randomUUID();
    const requestId = await this.#putValue(target, write, WRITING, version);
    try {
      await this.#move(target, CURRENT, { from: expected, to: version });
    } catch (thrown) {
      await this.#tidy(target, version);
      throw thrown;
    }
    await this.#tidy(target, version);
    await this.#setDetails(target, write, version);
    return writtenVersion(version, CURRENT, requestId);
  }

  /** Writes a pending version; with `ifAbsent` only if there is none. */
  async #stage(target: Target, write: SecretWrite): Promise<VersionInfo> {
    const needsCurrent = (cause?: unknown): SecretsError =>
      // Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
      new SecretsError('Unsupported', 'aws makes the first version of a secret its current one', {
        hint: 'store a current value first',
        cause,
      });
    const before = await this.#labels(target).catch((thrown: unknown) => {
      throw toSecretsError(thrown).kind === 'NotFound' ? needsCurrent(thrown) : thrown;
    });
    if (before.deleted) throw deletedInTheWay();
    if (before.current === undefined) throw needsCurrent();
    const { ifVersion } = write;
    if (ifVersion !== undefined && before.current !== ifVersion) throw changedMeanwhile();
    const { ifPending } = write;
    if (ifPending !== undefined && before.pending !== ifPending) throw noLongerPending(ifPending);
    const version = randomUUID();
    let requestId: string | undefined;
    if (write.ifAbsent === true || ifPending !== undefined) {
      if (write.ifAbsent === true && before.pending !== undefined) throw pendingAlready(before.pending);
      requestId = await this.#putValue(target, write, WRITING, version);
      try {
        await this.#move(target, PENDING, { from: before.pendingLabel, to: version });
      } catch (thrown) {
        await this.#tidy(target, version);
        if (toSecretsError(thrown).kind !== 'Conflict') throw thrown;
        throw ifPending === undefined
          ? pendingAlready(undefined, thrown)
          : noLongerPending(ifPending, thrown);
      }
      await this.#tidy(target, version);
    } else {
      requestId = await this.#putValue(target, write, PENDING, version);
    }
    // AWS has no condition across labels, so a concurrent change of the current version is detected by reading again.
    if (ifVersion !== undefined && (await this.#labels(target)).current !== ifVersion) {
      await this.#move(target, PENDING, { from: version });
      throw changedMeanwhile();
    }
    await this.#setDetails(target, write, version);
    return writtenVersion(version, PENDING, requestId);
  }

  /**
   * Moves AWSCURRENT. A promoted version loses AWSPENDING afterwards, so that at any moment one of the two labels
   * points to the newest credential.
   * @param exists called if the version has no label; throws NotFound if the version doesn't exist
   */
  async makeCurrent(
    id: string,
    version: string,
    signal: AbortSignal,
    exists: () => Promise<unknown>,
    ifPending = false,
  ): Promise<VersionInfo> {
    const target = { id, signal };
    const before = await this.#labels(target);
    if (before.deleted) throw softDeleted();
    if (!before.has(version)) await exists();
    if (ifPending && before.pendingLabel !== version && before.current !== version)
      throw new SecretsError('Conflict', `version ${version} is no longer pending`);
    if (before.current !== version) await this.#move(target, CURRENT, { from: before.current, to: version });
    if (before.pendingLabel === version) {
      try {
        await this.#move(target, PENDING, { from: version });
      } catch (thrown) {
        const { kind, message } = toSecretsError(thrown);
        throw new SecretsError(
          kind,
          `version ${version} is current, and still labelled ${PENDING}: ${message}`,
          {
            hint: 'run the command again',
            cause: thrown,
          },
        );
      }
    }
    return writtenVersion(version, CURRENT);
  }

  /** Removes the label from a pending version; AWS deletes versions without labels itself. */
  async discard(id: string, version: string, signal: AbortSignal): Promise<void> {
    const target = { id, signal };
    const before = await this.#labels(target);
    if (before.pending === version) {
      await this.#move(target, PENDING, { from: version });
      return;
    }
    if (before.has(version))
      throw new SecretsError('Unsupported', 'aws can’t purge a single version that is not pending');
    throw new SecretsError('NotFound', `has no pending version ${version}`, {
      hint: 'versions without a label are removed by AWS itself',
    });
  }

  async setLabels(
    id: string,
    labels: Readonly<Record<string, string | null>>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#tag({ id, signal }, tagsOf({ labels }), undefined);
  }

  async #labels({ id, signal }: Target): Promise<Labels> {
    const { VersionIdsToStages: map, DeletedDate: deleted } = await this.#service.read(
      signal,
      async ({ sdk, client }, http) => {
        const answer = await client.send(new sdk.DescribeSecretCommand({ SecretId: id }), http);
        understood(typeof answer.ARN === 'string');
        return answer;
      },
    );
    const versions = Object.entries(map ?? {}).filter(([, labels]) => labels.length > 0);
    const holder = (label: string): string | undefined =>
      versions.find(([, labels]) => labels.includes(label))?.[0];
    const [current, previous, pendingLabel] = [holder(CURRENT), holder(PREVIOUS), holder(PENDING)];
    const done = pendingLabel === current || pendingLabel === previous;
    return {
      current,
      previous,
      pendingLabel,
      pending: done ? undefined : pendingLabel,
      deleted: deleted !== undefined,
      has: (version) => versions.some(([id]) => id === version),
    };
  }

  /**
   * Moves or removes a label. AWS rejects the request if the label isn't where the request says; if an earlier attempt
   * with a lost response has already moved it, that is a success. Source:
   * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
   * @throws SecretsError Conflict
   */
  async #move(
    target: Target,
    label: typeof CURRENT | typeof PENDING,
    { from, to }: { from?: string | undefined; to?: string | undefined },
  ): Promise<void> {
    try {
      await this.#label(target, label, from, to);
    } catch (thrown) {
      const error = toSecretsError(thrown);
      if (error.kind !== 'Invalid') throw error;
      const after = await this.#labels(target);
      // A version that became current and was then replaced by another writer's has AWSPREVIOUS.
      const moved =
        to === undefined
          ? after.pendingLabel !== from
          : label === PENDING
            ? after.pendingLabel === to
            : after.current === to || after.previous === to;
      if (!moved) throw changedMeanwhile(error);
    }
  }

  #label({ id, signal }: Target, label: string, from?: string, to?: string): Promise<void> {
    return this.#service.write(signal, async ({ sdk, client }, http) => {
      const { ARN: arn } = await client.send(
        new sdk.UpdateSecretVersionStageCommand({
          SecretId: id,
          VersionStage: label,
          ...(from !== undefined && { RemoveFromVersionId: from }),
          ...(to !== undefined && { MoveToVersionId: to }),
        }),
        http,
      );
      understood(typeof arn === 'string');
    });
  }

  /** Errors don't matter: the next writer takes the label over. */
  async #tidy(target: Target, version: string): Promise<void> {
    await this.#label(target, WRITING, version).catch(() => undefined);
  }

  async #tag(
    { id, signal }: Target,
    { set, remove }: ReturnType<typeof tagsOf>,
    description: string | undefined,
  ): Promise<void> {
    await this.#service.write(signal, async ({ sdk, client }, http) => {
      const SecretId = id;
      if (set.length > 0) await client.send(new sdk.TagResourceCommand({ SecretId, Tags: set }), http);
      if (remove.length > 0)
        await client.send(new sdk.UntagResourceCommand({ SecretId, TagKeys: remove }), http);
      if (description !== undefined)
        await client.send(new sdk.UpdateSecretCommand({ SecretId, Description: description }), http);
    });
  }

  async #setDetails(target: Target, write: SecretWrite, version: string): Promise<void> {
    const tags = tagsOf(write);
    if (tags.set.length + tags.remove.length === 0 && write.description === undefined) return;
    try {
      await this.#tag(target, tags, write.description);
    } catch (thrown) {
      const { kind, message, hint } = toSecretsError(thrown);
      throw new SecretsError(
        kind === 'NotFound' ? 'Failed' : kind,
        `version ${version} is written, its labels are not: ${message}`,
        { hint, cause: thrown },
      );
    }
  }
}

function pendingAlready(version: string | undefined, cause?: unknown): SecretsError {
  return new SecretsError(
    'Conflict',
    version === undefined ? 'another version is pending already' : `version ${version} is pending already`,
    { hint: 'finish that rotation, or purge this version', cause },
  );
}
