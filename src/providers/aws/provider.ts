/** AWS Secrets Manager behind the provider interface. */
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type { AuditEvent } from '../../core/audit/record.ts';
import { pool } from '../../core/waiting.ts';
import type { AccessControl } from '../capabilities/grants.ts';
import type { Action, Right } from '../capabilities/rights.ts';
import type { CallOptions } from '../call.ts';
import type {
  Capability,
  DeleteQuery,
  Deletion,
  Finding,
  GetResult,
  Identity,
  KnownIdentity,
  ListQuery,
  Provider,
  SecretRequest,
  SecretWrite,
} from '../provider.ts';
import type { Grant, SecretInfo, SecretVersion, VersionInfo } from '../../core/secret.ts';
import type { NativeRotations } from '../capabilities/rotation.ts';
import type { PromoteOptions } from '../capabilities/stages.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { TrailQuery } from '../capabilities/trail.ts';
import {
  checkId,
  describeEntry,
  isPlainName,
  labelOf,
  newestFirst,
  RULES,
  versionInfo,
  versionOf,
  type Value,
} from './answers.ts';
import { nextPage, orNoValueYet, understood } from './errors.ts';
import { grantsOf } from './grants.ts';
import type { AwsService } from './service.ts';
import type { AwsSettings } from './settings.ts';
import { AwsWriter } from './writer.ts';

/** The maximum of ids for BatchGetSecretValue. */
const BATCH = 20;
const PARALLEL = 8;
export class AwsProvider implements Provider {
  readonly capabilities: ReadonlySet<Capability> = new Set<Capability>([
    'versions',
    'stages',
    'soft-delete',
    'labels',
    'batch-get',
    'cas',
    'trail',
    'native-rotation',
  ]);
  readonly rules = RULES;
  readonly #service: AwsService;
  readonly #writer: AwsWriter;
  readonly #prefix: string;
  /**
   * A provider opened for an ARN accepts only ARNs, and any other provider accepts none, because ARNs name an account.
   */
  readonly #byArn: boolean;
  readonly #context: ProviderContext;

  constructor(service: AwsService, settings: AwsSettings, context: ProviderContext) {
    this.#service = service;
    this.#context = context;
    this.#writer = new AwsWriter(service, settings['kms-key']);
    this.#byArn = settings.arn === true;
    this.#prefix = settings.prefix ?? '';
  }

  checkName(name: string): void {
    checkId(this.#prefix, name, this.#byArn);
  }

  async get(requests: readonly SecretRequest[], { signal }: CallOptions): Promise<readonly GetResult[]> {
    if (signal.aborted) throw new SecretsError('Unavailable', 'stopped before the call');
    const results = new Map<string, GetResult>();
    const keyOf = (request: SecretRequest): string =>
      JSON.stringify([request.name, request.version, request.stage]);
    const distinct = [...new Map(requests.map((request) => [keyOf(request), request])).values()];
    const plain = distinct.filter(({ name, version, stage }) => {
      const current = version === undefined && (stage === undefined || stage === 'current');
      return current && !this.#byArn && isPlainName(this.#prefix, name);
    });
    const limit = pool(PARALLEL);
    if (plain.length > 1) {
      const groups = Array.from({ length: Math.ceil(plain.length / BATCH) }, (_, n) =>
        plain.slice(n * BATCH, (n + 1) * BATCH),
      );
      await Promise.all(
        groups.map((group) =>
          limit(async () => {
            try {
              for (const [name, secret] of await this.#batch(group, signal))
                for (const request of group)
                  if (request.name === name) results.set(keyOf(request), { ok: true, secret });
            } catch (thrown) {
              const error = toSecretsError(thrown);
              for (const request of group) results.set(keyOf(request), { ok: false, error });
            }
          }),
        ),
      );
    }
    // Whatever a batch didn't return is requested individually, so that each secret gets its own exact error.
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

  /** Reads up to twenty names in a batch; returns none if the policy doesn't allow batches. */
  async #batch(group: readonly SecretRequest[], signal: AbortSignal): Promise<Map<string, SecretVersion>> {
    const found = new Map<string, SecretVersion>();
    try {
      const ids = [...new Set(group.map(({ name }) => this.#id(name)))];
      let token: string | undefined;
      do {
        const page = await this.#service.read(signal, ({ sdk, client }, http) =>
          client.send(
            new sdk.BatchGetSecretValueCommand({
              SecretIdList: ids,
              ...(token !== undefined && { NextToken: token }),
            }),
            http,
          ),
        );
        const values: unknown = page.SecretValues ?? [];
        understood(Array.isArray(values));
        for (const value of values as Value[]) {
          const name = (value.Name ?? '').slice(this.#prefix.length);
          found.set(name, versionOf(name, { ...value, $metadata: page.$metadata }));
        }
        token = nextPage(page.NextToken, token);
      } while (token !== undefined);
    } catch (thrown) {
      const { kind } = toSecretsError(thrown);
      if (kind !== 'Denied' && kind !== 'NotFound' && kind !== 'Invalid') throw thrown;
    }
    return found;
  }

  async #getOne({ name, version, stage }: SecretRequest, signal: AbortSignal): Promise<SecretVersion> {
    this.checkName(name);
    // Version ids have 32 to 64 characters; AWS would call any other id a malformed request.
    if (version !== undefined && (version.length < 32 || version.length > 64))
      throw new SecretsError('NotFound', `has no version ${version}`, { hint: 'secrets history shows them' });
    const current = version === undefined && (stage === undefined || stage === 'current');
    const value = await this.#service
      .read(signal, ({ sdk, client }, http) =>
        client.send(
          new sdk.GetSecretValueCommand({
            SecretId: this.#id(name),
            ...(version !== undefined && { VersionId: version }),
            ...(stage !== undefined && stage !== 'current' && { VersionStage: labelOf(stage) }),
          }),
          http,
        ),
      )
      .catch((thrown: unknown) => orNoValueYet(thrown, current));
    const found = versionOf(name, value);
    if (stage !== 'pending' || found.stages.includes(stage)) return found;
    throw new SecretsError('NotFound', 'has no pending version');
  }

  async put(name: string, write: SecretWrite, { signal }: CallOptions): Promise<VersionInfo> {
    this.checkName(name);
    const { length } = write.value;
    if (length > RULES.maxValueBytes || length === 0)
      throw new SecretsError(
        'Invalid',
        `the value has ${length} bytes; aws allows 1 to ${RULES.maxValueBytes}`,
      );
    return this.#writer.put(this.#id(name), write, signal);
  }

  async *list(query: ListQuery, { signal }: CallOptions): AsyncIterable<SecretInfo> {
    const prefix = this.#prefix + (query.prefix ?? '');
    let token: string | undefined;
    do {
      const page = await this.#service.read(signal, ({ sdk, client }, http) =>
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
      understood(Array.isArray(page.SecretList));
      for (const entry of page.SecretList) {
        // The service's filter ignores case and also matches parts of a path.
        if (entry.Name?.startsWith(prefix) !== true) continue;
        if (entry.DeletedDate !== undefined && query.deleted !== true) continue;
        // A secret named like the store's prefix would have an empty name here.
        if (entry.Name === this.#prefix) continue;
        yield describeEntry(entry, this.#prefix);
      }
      token = nextPage(page.NextToken, token);
    } while (token !== undefined);
  }

  async delete(name: string, { windowDays = 30 }: DeleteQuery, options: CallOptions): Promise<Deletion> {
    this.checkName(name);
    if (!Number.isInteger(windowDays) || windowDays < 7 || windowDays > 30)
      throw new SecretsError('Invalid', 'aws keeps a deleted secret for 7 to 30 days');
    if ((await this.describe(name, options)).deletedAt !== undefined)
      throw new SecretsError('NotFound', 'is already deleted');
    try {
      const answer = await this.#service.write(options.signal, async ({ sdk, client }, http) => {
        const SecretId = this.#id(name);
        const made = await client.send(
          new sdk.DeleteSecretCommand({ SecretId, RecoveryWindowInDays: windowDays }),
          http,
        );
        understood(typeof made.ARN === 'string');
        return made;
      });
      return { recoverableUntil: answer.DeletionDate };
    } catch (thrown) {
      const error = toSecretsError(thrown);
      // The secret existed a moment ago, so this answers the retry of a request whose response was lost.
      if (error.kind !== 'NotFound' || error.message !== 'is deleted') throw error;
      return { recoverableUntil: new Date(Date.now() + windowDays * 86_400_000) };
    }
  }

  async describe(name: string, { signal }: CallOptions): Promise<SecretInfo> {
    this.checkName(name);
    const entry = await this.#service.read(signal, ({ sdk, client }, http) =>
      client.send(new sdk.DescribeSecretCommand({ SecretId: this.#id(name) }), http),
    );
    return describeEntry(entry, this.#prefix);
  }

  async *history(name: string, { signal }: CallOptions): AsyncIterable<VersionInfo> {
    this.checkName(name);
    const versions: VersionInfo[] = [];
    let token: string | undefined;
    do {
      const page = await this.#service.read(signal, ({ sdk, client }, http) =>
        client.send(
          new sdk.ListSecretVersionIdsCommand({
            SecretId: this.#id(name),
            IncludeDeprecated: true,
            ...(token !== undefined && { NextToken: token }),
          }),
          http,
        ),
      );
      understood(Array.isArray(page.Versions));
      for (const value of page.Versions) versions.push(versionInfo(value));
      token = nextPage(page.NextToken, token);
    } while (token !== undefined);
    yield* newestFirst(versions);
  }

  async makeCurrent(name: string, version: string, options: PromoteOptions): Promise<VersionInfo> {
    this.checkName(name);
    const exists = (): Promise<unknown> => this.#getOne({ name, version }, options.signal);
    return this.#writer.makeCurrent(this.#id(name), version, options.signal, exists, options.ifPending);
  }

  async setLabels(
    name: string,
    labels: Readonly<Record<string, string | null>>,
    { signal }: CallOptions,
  ): Promise<void> {
    this.checkName(name);
    await this.#writer.setLabels(this.#id(name), labels, signal);
  }

  async grants(name: string, { signal }: CallOptions): Promise<readonly Grant[]> {
    this.checkName(name);
    const { ResourcePolicy: policy } = await this.#service.read(signal, ({ sdk, client }, http) =>
      client.send(new sdk.GetResourcePolicyCommand({ SecretId: this.#id(name) }), http),
    );
    return policy === undefined || policy === '' ? [] : grantsOf(policy);
  }

  async restore(name: string, options: CallOptions): Promise<void> {
    if ((await this.describe(name, options)).deletedAt === undefined)
      throw new SecretsError('NotFound', 'has nothing to restore');
    await this.#service.write(options.signal, ({ sdk, client }, http) =>
      client.send(new sdk.RestoreSecretCommand({ SecretId: this.#id(name) }), http),
    );
  }

  async purge(name: string, version: string | undefined, options: CallOptions): Promise<void> {
    if (version !== undefined) {
      this.checkName(name);
      await this.#writer.discard(this.#id(name), version, options.signal);
      return;
    }
    // A forced deletion of a missing secret succeeds, so check first.
    await this.describe(name, options);
    await this.#service.write(options.signal, ({ sdk, client }, http) =>
      client.send(
        new sdk.DeleteSecretCommand({ SecretId: this.#id(name), ForceDeleteWithoutRecovery: true }),
        http,
      ),
    );
  }

  /** Secrets Manager has no dry run, and IAM's simulator ignores the policies of secrets and keys. */
  async checkRights(_name: string, actions: readonly Action[]): Promise<readonly Right[]> {
    const why = 'Secrets Manager does not say what a caller may do: compare its policy with docs/rotation.md';
    return actions.map((action) => ({ action, verdict: 'unknown', why }));
  }

  identity({ signal }: CallOptions): Promise<Identity> {
    return this.#service.identity(signal);
  }

  knownIdentity(): KnownIdentity | undefined {
    return this.#service.knownIdentity();
  }

  async diagnose({ signal }: CallOptions): Promise<readonly Finding[]> {
    const { diagnose } = await import('./diagnose.ts');
    return diagnose(this.#service, signal);
  }

  async accessControl(): Promise<AccessControl> {
    const { AwsAccess } = await import('./access.ts');
    return new AwsAccess(this.#service, this.#context, {
      prefix: this.#prefix,
      idOf: (name) => {
        this.checkName(name);
        return this.#id(name);
      },
    });
  }

  async *trail(query: TrailQuery, options: CallOptions): AsyncIterable<AuditEvent> {
    if (query.name !== undefined) this.checkName(query.name);
    const { readTrail } = await import('./trail.ts');
    yield* readTrail(this.#service, { prefix: this.#prefix, context: this.#context }, query, options);
  }

  async nativeRotation(): Promise<NativeRotations> {
    const { AwsRotations } = await import('./rotation.ts');
    return new AwsRotations(this.#service, (name) => {
      this.checkName(name);
      return this.#id(name);
    });
  }

  close(): Promise<void> {
    return this.#service.close();
  }

  #id(name: string): string {
    return this.#prefix + name;
  }
}
