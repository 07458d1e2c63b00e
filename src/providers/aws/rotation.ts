/**
 * Rotation by AWS: Secrets Manager calls a Lambda function, or a service that owns the secret, on its schedule or on
 * RotateSecret. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
 *
 * Only the version labels and the dates are visible. AWSPENDING on a version that was never current means a rotation
 * that is in progress or has failed; only CloudTrail tells the difference, minutes later.
 */
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type { CallOptions } from '../call.ts';
import type {
  NativeChange,
  NativeProgress,
  NativeRotations,
  NativeStart,
  NativeWish,
} from '../capabilities/rotation.ts';
import { softDeleted } from '../errors.ts';
import type { NativeRotation, NativeSettings } from '../../core/rotation/native.ts';
import { understood } from './errors.ts';
import { canonical, nativeOf, pendingOf, rateOf, type RotationEntry } from './schedule.ts';
import type { AwsService } from './service.ts';
import { failureSince } from './rotation-failures.ts';

/** Four steps of a function, each limited to 15 minutes by Lambda. */
const LONGEST_MS = 4 * 15 * 60_000;
/** CloudTrail allows two lookups a second for a whole account, so it is queried rarely. */
const TRAIL_EVERY_MS = 10_000;

interface Described extends RotationEntry {
  readonly ARN: string;
}

export class AwsRotations implements NativeRotations {
  readonly #service: AwsService;
  readonly #idOf: (name: string) => string;
  /** When CloudTrail was last queried about a secret. */
  readonly #askedTrail = new Map<string, number>();

  /** @param idOf the name or ARN of a secret in AWS; throws for a name that AWS rejects */
  constructor(service: AwsService, idOf: (name: string) => string) {
    this.#service = service;
    this.#idOf = idOf;
  }

  async read(name: string, { signal }: CallOptions): Promise<NativeRotation | undefined> {
    const entry = await this.#describe(name, signal);
    const native = nativeOf(entry);
    if (native?.attempt === undefined) return native;
    const { version } = native.attempt;
    const since = await this.#createdAt(name, version, signal);
    const asked = since ?? new Date(Date.now() - LONGEST_MS);
    const reason = await failureSince(this.#service, entry.ARN, asked, signal);
    const late = since !== undefined && Date.now() - since.getTime() > LONGEST_MS;
    const failed =
      reason ?? (late ? 'its version is pending for longer than a Lambda function can run' : undefined);
    return { ...native, attempt: { version, since, failed } };
  }

  async plan(name: string, wish: NativeWish, { signal }: CallOptions): Promise<readonly NativeChange[]> {
    const wanted = settingsOf(wish);
    return differences(nativeOf(await this.#describe(name, signal)), wanted);
  }

  async set(name: string, wish: NativeWish, { signal }: CallOptions): Promise<void> {
    const wanted = settingsOf(wish);
    const entry = await this.#describe(name, signal);
    if (differences(nativeOf(entry), wanted).length === 0) return;
    await this.#rotate(name, { ...request(entry, wanted), RotateImmediately: false }, signal);
  }

  async remove(name: string, { signal }: CallOptions): Promise<void> {
    const { RotationEnabled: enabled } = await this.#describe(name, signal);
    if (enabled !== true) return;
    const SecretId = this.#idOf(name);
    await this.#service.write(signal, ({ sdk, client }, http) =>
      client.send(new sdk.CancelRotateSecretCommand({ SecretId }), http),
    );
  }

  async start(name: string, wish: NativeWish, token: string, { signal }: CallOptions): Promise<NativeStart> {
    const wanted = settingsOf(wish);
    const entry = await this.#describe(name, signal);
    const pending = pendingOf(entry);
    if (pending !== undefined && pending !== token) throw underWay(pending);
    const changes = differences(nativeOf(entry), wanted);
    const start: NativeStart = { version: token, before: currentOf(entry), at: new Date() };
    try {
      await this.#rotate(
        name,
        { ...(changes.length > 0 && request(entry, wanted)), ClientRequestToken: token },
        signal,
      );
    } catch (thrown) {
      const error = toSecretsError(thrown);
      if (error.kind !== 'Unavailable' || signal.aborted) throw error;
      // The response was lost: a version with this token is the requested rotation.
      const after = await this.#describe(name, signal).catch(() => undefined);
      if (after?.VersionIdsToStages?.[token] === undefined) throw error;
    }
    return start;
  }

  async watch(name: string, start: NativeStart, { signal }: CallOptions): Promise<NativeProgress> {
    const entry = await this.#describe(name, signal);
    const current = currentOf(entry);
    const labels = start.version === undefined ? [] : (entry.VersionIdsToStages?.[start.version] ?? []);
    // It became current, and may have been replaced since.
    if (labels.includes('AWSCURRENT') || labels.includes('AWSPREVIOUS'))
      return { state: 'done', version: current, detail: 'done' };
    const logs = `the function’s log says more; AWS tries again by itself, and secrets rotate status shows it`;
    if (this.#mayAskTrail(entry.ARN)) {
      const reason = await failureSince(this.#service, entry.ARN, start.at, signal);
      if (reason !== undefined)
        return { state: 'failed', detail: `AWS reports a failure: ${reason}`, hint: logs };
    }
    if (!labels.includes('AWSPENDING')) {
      const rotatedSince = (entry.LastRotatedDate?.getTime() ?? 0) >= start.at.getTime() - 60_000;
      if (current !== start.before && rotatedSince)
        return { state: 'done', version: current, detail: 'done' };
      return {
        state: 'failed',
        detail: 'somebody has taken AWSPENDING away, which ends it',
        hint: 'a value that was put meanwhile does that, too: secrets history shows it',
      };
    }
    return {
      state: 'running',
      detail: `${nativeOf(entry)?.by ?? 'AWS'} is at it`,
      hint: 'the function’s log in CloudWatch says where it is',
    };
  }

  #mayAskTrail(arn: string): boolean {
    const last = this.#askedTrail.get(arn);
    if (last !== undefined && performance.now() - last < TRAIL_EVERY_MS) return false;
    this.#askedTrail.set(arn, performance.now());
    return true;
  }

  #describe(name: string, signal: AbortSignal): Promise<Described> {
    const SecretId = this.#idOf(name);
    return this.#service.read(signal, async ({ sdk, client }, http) => {
      const answer = await client.send(new sdk.DescribeSecretCommand({ SecretId }), http);
      const { ARN: arn, DeletedDate: deleted } = answer;
      understood(typeof arn === 'string');
      if (deleted !== undefined) throw softDeleted();
      return { ...answer, ARN: arn };
    });
  }

  /** When a version was created; `undefined` if the caller may not ask. */
  async #createdAt(name: string, version: string, signal: AbortSignal): Promise<Date | undefined> {
    const SecretId = this.#idOf(name);
    try {
      const { Versions: versions } = await this.#service.read(signal, ({ sdk, client }, http) =>
        client.send(new sdk.ListSecretVersionIdsCommand({ SecretId }), http),
      );
      return versions?.find(({ VersionId: id }) => id === version)?.CreatedDate;
    } catch (thrown) {
      if (toSecretsError(thrown).kind !== 'Denied') throw thrown;
      return undefined;
    }
  }

  async #rotate(
    name: string,
    settings: {
      readonly RotationLambdaARN?: string;
      readonly RotationRules?: object;
      readonly RotateImmediately?: boolean;
      readonly ClientRequestToken?: string;
    },
    signal: AbortSignal,
  ): Promise<void> {
    const SecretId = this.#idOf(name);
    try {
      await this.#service.write(signal, async ({ sdk, client }, http) => {
        const answer = await client.send(new sdk.RotateSecretCommand({ SecretId, ...settings }), http);
        understood(typeof answer.ARN === 'string');
      });
    } catch (thrown) {
      const error = toSecretsError(thrown);
      if (error.kind === 'Invalid' && /previous rotation/i.test(error.message))
        throw underWay(undefined, error);
      if (error.kind === 'Denied' && /lambda/i.test(error.message))
        throw new SecretsError('Denied', error.message, {
          hint: 'you and secretsmanager.amazonaws.com both need lambda:InvokeFunction on it',
          cause: error,
        });
      throw error;
    }
  }
}

/** The wished configuration in AWS's terms. @throws SecretsError Invalid, Usage */
function settingsOf({ settings, everyMs }: NativeWish): NativeSettings {
  const { schedule } = settings;
  if (schedule !== undefined && everyMs !== undefined)
    throw new SecretsError('Usage', 'the policy has both every and native.schedule', { hint: 'keep one' });
  const expression = everyMs === undefined ? schedule && canonical(schedule) : rateOf(everyMs);
  return { ...settings, ...(expression !== undefined && { schedule: expression }) };
}

function differences(native: NativeRotation | undefined, wanted: NativeSettings): readonly NativeChange[] {
  const changes: NativeChange[] = [];
  for (const [setting, to] of Object.entries(wanted)) {
    // A disabled schedule counts as none.
    const off = setting === 'schedule' && native?.enabled !== true;
    const from = off ? undefined : native?.settings[setting];
    if (from !== to) changes.push({ setting, from, to });
  }
  return changes;
}

/** Rules are replaced as a whole, so settings that the wish leaves open are sent as they are. */
function request(entry: RotationEntry, wanted: NativeSettings): object {
  const { function: lambda, ...given } = wanted;
  const { schedule, duration }: NativeSettings = { ...nativeOf(entry)?.settings, ...given };
  const rules = {
    ...(schedule !== undefined && { ScheduleExpression: schedule }),
    ...(duration !== undefined && { Duration: duration }),
  };
  return {
    ...(lambda !== undefined && { RotationLambdaARN: lambda }),
    ...(Object.keys(rules).length > 0 && { RotationRules: rules }),
  };
}

function currentOf({ VersionIdsToStages: stages }: RotationEntry): string | undefined {
  return Object.entries(stages ?? {}).find(([, labels]) => labels.includes('AWSCURRENT'))?.[0];
}

function underWay(version: string | undefined, cause?: unknown): SecretsError {
  const which = version === undefined ? '' : `, version ${version} is pending`;
  return new SecretsError('Conflict', `a rotation by AWS is not complete${which}`, {
    hint: 'AWS retries by itself; secrets rotate status shows the reason for the delay',
    cause,
  });
}
