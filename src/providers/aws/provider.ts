/** AWS Secrets Manager behind the provider interface. */
// Longer than others: one class that answers every method of the interface, each little more than one request.
/* oxlint-disable max-lines */
import { randomUUID } from 'node:crypto';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { pool } from '../../core/waiting.ts';
import type {
  CallOptions,
  Capability,
  DeleteQuery,
  Deletion,
  Finding,
  GetResult,
  Identity,
  ListQuery,
  Provider,
  ProviderRules,
  SecretInfo,
  SecretRequest,
  SecretVersion,
  SecretWrite,
  VersionInfo,
} from '../provider.ts';
import type { AwsService } from './service.ts';
import type { AwsSettings } from './settings.ts';

/** Most ids that BatchGetSecretValue takes. */
const BATCH = 20;
const PARALLEL = 8;
const STAGES: Readonly<Record<string, string>> = {
  current: 'AWSCURRENT',
  previous: 'AWSPREVIOUS',
  pending: 'AWSPENDING',
};
const TAG_EXPIRES = 'expires';

/** Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html */
const RULES: ProviderRules = {
  maxNameLength: 512,
  nameRule: 'letters, digits and /_+=.@-, 1 to 512 characters',
  maxValueBytes: 65_536,
  emptyValue: false,
};

interface Entry {
  readonly Name?: string | undefined;
  readonly ARN?: string | undefined;
  readonly Description?: string | undefined;
  readonly Tags?:
    | readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[]
    | undefined;
  readonly CreatedDate?: Date | undefined;
  readonly LastChangedDate?: Date | undefined;
  readonly DeletedDate?: Date | undefined;
}

interface Value {
  readonly VersionId?: string | undefined;
  readonly VersionStages?: readonly string[] | undefined;
  readonly CreatedDate?: Date | undefined;
  readonly SecretString?: string | undefined;
  readonly SecretBinary?: Uint8Array | undefined;
}

export class AwsProvider implements Provider {
  readonly capabilities: ReadonlySet<Capability> = new Set<Capability>([
    'versions',
    'stages',
    'soft-delete',
    'labels',
    'batch-get',
    'cas',
  ]);
  readonly rules = RULES;
  readonly #service: AwsService;
  readonly #prefix: string;

  constructor(service: AwsService, settings: AwsSettings) {
    this.#service = service;
    this.#prefix = settings.prefix ?? '';
  }

  checkName(name: string): void {
    const fits = name.startsWith('arn:')
      ? /^arn:[^\s]{1,1020}$/.test(name)
      : /^[A-Za-z0-9/_+=.@-]+$/.test(name) && (this.#prefix + name).length <= RULES.maxNameLength;
    if (!fits) throw new SecretsError('Invalid', `aws takes names of ${RULES.nameRule}`);
  }

  async get(requests: readonly SecretRequest[], { signal }: CallOptions): Promise<readonly GetResult[]> {
    if (signal.aborted) throw new SecretsError('Unavailable', 'stopped before the call');
    const results = new Map<string, GetResult>();
    const keyOf = (request: SecretRequest): string =>
      JSON.stringify([request.name, request.version, request.stage]);
    const distinct = [...new Map(requests.map((request) => [keyOf(request), request])).values()];
    const plain = distinct.filter(({ name, version, stage }) => {
      const current = version === undefined && (stage === undefined || stage === 'current');
      return current && !name.startsWith('arn:') && isName(() => this.checkName(name));
    });
    const limit = pool(PARALLEL);
    if (plain.length > 1) {
      const groups = Array.from({ length: Math.ceil(plain.length / BATCH) }, (_, n) =>
        plain.slice(n * BATCH, (n + 1) * BATCH),
      );
      await Promise.all(
        groups.map((group) =>
          limit(async () => {
            for (const [name, secret] of await this.#batch(group, signal))
              for (const request of group)
                if (request.name === name) results.set(keyOf(request), { ok: true, secret });
          }),
        ),
      );
    }
    // What a batch did not give is asked for alone, so that each has its own exact error.
    await Promise.all(
      distinct
        .filter((request) => !results.has(keyOf(request)))
        .map((request) =>
          limit(async () => {
            try {
              results.set(keyOf(request), { ok: true, secret: await this.#getOne(request, signal) });
            } catch (thrown) {
              results.set(keyOf(request), { ok: false, error: toSecretsError(thrown) });
            }
          }),
        ),
    );
    return requests.map((request) => results.get(keyOf(request)) as GetResult);
  }

  /** Those of up to twenty names that a batch gives; none when the policy does not allow batches. */
  async #batch(group: readonly SecretRequest[], signal: AbortSignal): Promise<Map<string, SecretVersion>> {
    const found = new Map<string, SecretVersion>();
    try {
      const ids = [...new Set(group.map(({ name }) => this.#id(name)))];
      let token: string | undefined;
      do {
        const page = await this.#service.call(signal, ({ sdk, client }, http) =>
          client.send(
            new sdk.BatchGetSecretValueCommand({
              SecretIdList: ids,
              ...(token !== undefined && { NextToken: token }),
            }),
            http,
          ),
        );
        for (const value of page.SecretValues ?? []) {
          const name = (value.Name ?? '').slice(this.#prefix.length);
          found.set(name, versionOf(name, value));
        }
        token = page.NextToken;
      } while (token !== undefined);
    } catch (thrown) {
      const { kind } = toSecretsError(thrown);
      if (kind !== 'Denied' && kind !== 'NotFound' && kind !== 'Invalid') throw thrown;
    }
    return found;
  }

  async #getOne({ name, version, stage }: SecretRequest, signal: AbortSignal): Promise<SecretVersion> {
    this.checkName(name);
    // Ids have 32 to 64 characters; another one is no version, and AWS would call it a malformed request.
    if (version !== undefined && (version.length < 32 || version.length > 64))
      throw new SecretsError('NotFound', `has no version ${version}`, { hint: 'secrets history shows them' });
    const value = await this.#service.call(signal, ({ sdk, client }, http) =>
      client.send(
        new sdk.GetSecretValueCommand({
          SecretId: this.#id(name),
          ...(version !== undefined && { VersionId: version }),
          ...(stage !== undefined && { VersionStage: STAGES[stage] ?? stage }),
        }),
        http,
      ),
    );
    return versionOf(name, value);
  }

  async put(name: string, write: SecretWrite, { signal }: CallOptions): Promise<VersionInfo> {
    this.checkName(name);
    const { length } = write.value;
    if (length > RULES.maxValueBytes || length === 0)
      throw new SecretsError(
        'Invalid',
        `the value has ${length} bytes; aws takes 1 to ${RULES.maxValueBytes}`,
      );
    const stage = write.stage === 'pending' ? 'AWSPENDING' : 'AWSCURRENT';
    if (write.ifAbsent === true) return this.#create(name, write, signal);
    if (write.ifVersion !== undefined) return this.#replace(name, write, write.ifVersion, signal);
    try {
      const id = await this.#putValue(name, write, [stage], signal);
      await this.#setDetails(name, write, id, signal);
      return written(id, stage);
    } catch (thrown) {
      const error = toSecretsError(thrown);
      if (error.kind !== 'NotFound') throw error;
      if (error.message === 'is deleted') throw inTheWay(error);
      return this.#create(name, write, signal);
    }
  }

  async #create(name: string, write: SecretWrite, signal: AbortSignal): Promise<VersionInfo> {
    const labels = Object.entries(labelsOf(write)).flatMap(([Key, Value]) =>
      Value === null ? [] : [{ Key, Value }],
    );
    if (write.stage === 'pending')
      throw new SecretsError('NotFound', 'is not there; a pending version needs a current one first');
    try {
      const made = await this.#service.call(signal, ({ sdk, client }, http) =>
        client.send(
          new sdk.CreateSecretCommand({
            Name: this.#id(name),
            ClientRequestToken: randomUUID(),
            ...payload(write.value),
            ...(write.description !== undefined && { Description: write.description }),
            ...(labels.length > 0 && { Tags: labels }),
          }),
          http,
        ),
      );
      return written(made.VersionId ?? '', 'AWSCURRENT');
    } catch (thrown) {
      const error = toSecretsError(thrown);
      throw error.kind === 'NotFound' ? inTheWay(error) : error;
    }
  }

  async #putValue(name: string, write: SecretWrite, stages: string[], signal: AbortSignal): Promise<string> {
    const ClientRequestToken = randomUUID();
    const answer = await this.#service.call(signal, ({ sdk, client }, http) =>
      client.send(
        new sdk.PutSecretValueCommand({
          SecretId: this.#id(name),
          ClientRequestToken,
          VersionStages: stages,
          ...payload(write.value),
        }),
        http,
      ),
    );
    return answer.VersionId ?? ClientRequestToken;
  }

  /**
   * Compare-and-set from two calls: the value is written under a label of its own, then AWSCURRENT is moved from
   * the expected version, which AWS refuses when the label is elsewhere.
   * Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
   */
  async #replace(
    name: string,
    write: SecretWrite,
    expected: string,
    signal: AbortSignal,
  ): Promise<VersionInfo> {
    if ((await this.#getOne({ name }, signal)).id !== expected)
      throw new SecretsError('Conflict', 'somebody else changed it', { hint: 'read it again and retry' });
    const label = `secrets-${randomUUID()}`;
    const id = await this.#putValue(name, write, [label], signal);
    const move = (stage: string, more: object): Promise<unknown> =>
      this.#service.call(signal, ({ sdk, client }, http) =>
        client.send(
          new sdk.UpdateSecretVersionStageCommand({ SecretId: this.#id(name), VersionStage: stage, ...more }),
          http,
        ),
      );
    try {
      await move('AWSCURRENT', { MoveToVersionId: id, RemoveFromVersionId: expected });
    } catch (thrown) {
      const error = toSecretsError(thrown);
      await move(label, { RemoveFromVersionId: id }).catch(() => undefined);
      if (error.kind !== 'Invalid') throw error;
      throw new SecretsError('Conflict', 'somebody else changed it', {
        hint: 'read it again and retry',
        cause: error,
      });
    }
    await move(label, { RemoveFromVersionId: id });
    await this.#setDetails(name, write, id, signal);
    return written(id, 'AWSCURRENT');
  }

  async #setDetails(name: string, write: SecretWrite, id: string, signal: AbortSignal): Promise<void> {
    const labels = Object.entries(labelsOf(write));
    const SecretId = this.#id(name);
    try {
      await this.#service.call(signal, async ({ sdk, client }, http) => {
        const Tags = labels.flatMap(([Key, Value]) => (Value === null ? [] : [{ Key, Value }]));
        const TagKeys = labels.flatMap(([key, value]) => (value === null ? [key] : []));
        if (Tags.length > 0) await client.send(new sdk.TagResourceCommand({ SecretId, Tags }), http);
        if (TagKeys.length > 0) await client.send(new sdk.UntagResourceCommand({ SecretId, TagKeys }), http);
        if (write.description !== undefined)
          await client.send(new sdk.UpdateSecretCommand({ SecretId, Description: write.description }), http);
      });
    } catch (thrown) {
      const error = toSecretsError(thrown);
      throw new SecretsError(
        error.kind === 'NotFound' ? 'Failed' : error.kind,
        `version ${id} is written, its labels are not: ${error.message}`,
        {
          hint: error.hint,
          cause: thrown,
        },
      );
    }
  }

  async *list(query: ListQuery, { signal }: CallOptions): AsyncIterable<SecretInfo> {
    const prefix = this.#prefix + (query.prefix ?? '');
    let token: string | undefined;
    do {
      const page = await this.#service.call(signal, ({ sdk, client }, http) =>
        client.send(
          new sdk.ListSecretsCommand({
            MaxResults: 100,
            IncludePlannedDeletion: query.deleted === true,
            ...(prefix !== '' && { Filters: [{ Key: 'name', Values: [prefix] }] }),
            ...(token !== undefined && { NextToken: token }),
          }),
          http,
        ),
      );
      for (const entry of page.SecretList ?? []) {
        // The service's filter ignores case and matches parts of a path.
        if (entry.Name?.startsWith(prefix) !== true) continue;
        if (entry.DeletedDate !== undefined && query.deleted !== true) continue;
        yield this.#info(entry);
      }
      token = page.NextToken;
    } while (token !== undefined);
  }

  async delete(name: string, { windowDays = 30 }: DeleteQuery, options: CallOptions): Promise<Deletion> {
    this.checkName(name);
    if (!Number.isInteger(windowDays) || windowDays < 7 || windowDays > 30)
      throw new SecretsError('Invalid', 'aws keeps a deleted secret for 7 to 30 days');
    if ((await this.describe(name, options)).deletedAt !== undefined)
      throw new SecretsError('NotFound', 'is deleted already');
    const { DeletionDate } = await this.#service.call(options.signal, ({ sdk, client }, http) =>
      client.send(
        new sdk.DeleteSecretCommand({ SecretId: this.#id(name), RecoveryWindowInDays: windowDays }),
        http,
      ),
    );
    return { recoverableUntil: DeletionDate };
  }

  async describe(name: string, { signal }: CallOptions): Promise<SecretInfo> {
    this.checkName(name);
    const entry = await this.#service.call(signal, ({ sdk, client }, http) =>
      client.send(new sdk.DescribeSecretCommand({ SecretId: this.#id(name) }), http),
    );
    return this.#info(entry);
  }

  async *history(name: string, { signal }: CallOptions): AsyncIterable<VersionInfo> {
    this.checkName(name);
    const versions: VersionInfo[] = [];
    let token: string | undefined;
    do {
      const page = await this.#service.call(signal, ({ sdk, client }, http) =>
        client.send(
          new sdk.ListSecretVersionIdsCommand({
            SecretId: this.#id(name),
            IncludeDeprecated: true,
            ...(token !== undefined && { NextToken: token }),
          }),
          http,
        ),
      );
      for (const value of page.Versions ?? []) versions.push(infoOf(value));
      if (page.NextToken !== undefined && page.NextToken === token)
        throw new SecretsError('Unavailable', 'AWS gives the same page of versions again and again');
      token = page.NextToken;
    } while (token !== undefined);
    const rank = ({ stages, createdAt }: VersionInfo): number =>
      stages.includes('pending') || stages.includes('current') ? Infinity : (createdAt?.getTime() ?? 0);
    yield* versions.toSorted((a, b) => (rank(b) === rank(a) ? 0 : rank(b) - rank(a)));
  }

  async makeCurrent(name: string, version: string, { signal }: CallOptions): Promise<VersionInfo> {
    const target = await this.#getOne({ name, version }, signal);
    if (target.stages.includes('current')) return target;
    const current = await this.#getOne({ name }, signal);
    await this.#service.call(signal, ({ sdk, client }, http) =>
      client.send(
        new sdk.UpdateSecretVersionStageCommand({
          SecretId: this.#id(name),
          VersionStage: 'AWSCURRENT',
          MoveToVersionId: version,
          RemoveFromVersionId: current.id,
        }),
        http,
      ),
    );
    return written(version, 'AWSCURRENT');
  }

  async restore(name: string, options: CallOptions): Promise<void> {
    if ((await this.describe(name, options)).deletedAt === undefined)
      throw new SecretsError('NotFound', 'has nothing to restore');
    await this.#service.call(options.signal, ({ sdk, client }, http) =>
      client.send(new sdk.RestoreSecretCommand({ SecretId: this.#id(name) }), http),
    );
  }

  async purge(name: string, version: string | undefined, options: CallOptions): Promise<void> {
    if (version !== undefined) throw new SecretsError('Unsupported', 'aws can’t purge a single version');
    // A forced deletion of a name that is not there succeeds: look first.
    await this.describe(name, options);
    await this.#service.call(options.signal, ({ sdk, client }, http) =>
      client.send(
        new sdk.DeleteSecretCommand({ SecretId: this.#id(name), ForceDeleteWithoutRecovery: true }),
        http,
      ),
    );
  }

  identity({ signal }: CallOptions): Promise<Identity> {
    return this.#service.identity(signal);
  }

  async diagnose({ signal }: CallOptions): Promise<readonly Finding[]> {
    const look = async (check: string, work: () => Promise<string>): Promise<Finding> => {
      try {
        return { check, status: 'ok', detail: await work() };
      } catch (thrown) {
        const error = toSecretsError(thrown);
        return { check, status: 'fail', detail: error.message, hint: error.hint };
      }
    };
    return [
      await look('credential', async () => {
        const { principal, source } = await this.#service.identity(signal);
        return `${principal} from ${source}`;
      }),
      await look('service', async () => {
        await this.#service.call(signal, ({ sdk, client }, http) =>
          client.send(new sdk.ListSecretsCommand({ MaxResults: 1 }), http),
        );
        return 'secrets can be listed';
      }),
    ];
  }

  close(): Promise<void> {
    return this.#service.close();
  }

  #id(name: string): string {
    return name.startsWith('arn:') ? name : this.#prefix + name;
  }

  #info(entry: Entry): SecretInfo {
    const labels: Record<string, string> = {};
    for (const { Key, Value } of entry.Tags ?? [])
      if (Key !== undefined && Key !== TAG_EXPIRES) labels[Key] = Value ?? '';
    const expires = entry.Tags?.find(({ Key }) => Key === TAG_EXPIRES)?.Value;
    return {
      name: (entry.Name ?? '').slice(this.#prefix.length),
      nativeId: entry.ARN,
      ...(entry.Description !== undefined && entry.Description !== '' && { description: entry.Description }),
      labels,
      createdAt: entry.CreatedDate,
      updatedAt: entry.LastChangedDate,
      ...(expires !== undefined && !Number.isNaN(Date.parse(expires)) && { expiresAt: new Date(expires) }),
      deletedAt: entry.DeletedDate,
    };
  }
}

function isName(check: () => void): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}

function inTheWay(cause: SecretsError): SecretsError {
  return new SecretsError('Conflict', 'a deleted secret of this name is in the way', {
    hint: 'secrets restore brings it back, secrets purge removes it for good',
    cause,
  });
}

function payload(value: Uint8Array): { SecretString: string } | { SecretBinary: Uint8Array } {
  try {
    return { SecretString: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value) };
  } catch {
    return { SecretBinary: value };
  }
}

function labelsOf(write: SecretWrite): Record<string, string | null> {
  const labels: Record<string, string | null> = { ...write.labels };
  if (write.expiresAt !== undefined) labels[TAG_EXPIRES] = write.expiresAt.toISOString();
  return labels;
}

function infoOf(value: Value): VersionInfo {
  const names = new Map(Object.entries(STAGES).map(([ours, theirs]) => [theirs, ours]));
  return {
    id: value.VersionId ?? '',
    state: 'enabled',
    stages: (value.VersionStages ?? []).map((stage) => names.get(stage) ?? stage),
    createdAt: value.CreatedDate,
  };
}

function versionOf(name: string, value: Value): SecretVersion {
  const bytes = value.SecretBinary ?? Buffer.from(value.SecretString ?? '');
  return { ...infoOf(value), name, value: bytes };
}

function written(id: string, stage: string): VersionInfo {
  return {
    id,
    state: 'enabled',
    stages: [stage === 'AWSPENDING' ? 'pending' : 'current'],
    createdAt: new Date(),
  };
}
