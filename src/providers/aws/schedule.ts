/** Converts Secrets Manager's rotation fields to the product's types. Pure; also used by `list`. */
import type { NativeRotation } from '../../core/rotation/native.ts';
import { SecretsError } from '../../core/errors.ts';
import { understood } from './errors.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html */
const SHORTEST_MS = 4 * HOUR_MS;
const LONGEST_MS = 999 * DAY_MS;

/** The rotation fields of a response. Not validated: the SDK passes on whatever arrives. */
export interface RotationEntry {
  readonly RotationEnabled?: boolean | undefined;
  readonly RotationLambdaARN?: string | undefined;
  readonly RotationRules?:
    | {
        readonly AutomaticallyAfterDays?: number | undefined;
        readonly Duration?: string | undefined;
        readonly ScheduleExpression?: string | undefined;
      }
    | undefined;
  readonly LastRotatedDate?: Date | undefined;
  readonly NextRotationDate?: Date | undefined;
  readonly OwningService?: string | undefined;
  /** From DescribeSecret. */
  readonly VersionIdsToStages?: Readonly<Record<string, readonly string[]>> | undefined;
  /** The same from ListSecrets. */
  readonly SecretVersionsToStages?: Readonly<Record<string, readonly string[]>> | undefined;
}

/** `undefined` for a secret that never had a rotation configured in AWS. */
export function nativeOf(entry: RotationEntry): NativeRotation | undefined {
  const { RotationEnabled, RotationLambdaARN: lambda, OwningService: owner, RotationRules: rules } = entry;
  if (RotationEnabled !== true && !lambda) return undefined;
  const schedule = scheduleOf(rules);
  const { LastRotatedDate: last, NextRotationDate: next } = entry;
  understood([last, next].every((date) => date === undefined || date instanceof Date));
  const version = pendingOf(entry);
  return {
    by: lambda ? `aws lambda ${functionName(lambda)}` : `aws ${owner ?? 'itself'}`,
    role: 'rotates',
    enabled: RotationEnabled === true,
    settings: {
      ...(lambda && { function: lambda }),
      ...(schedule !== undefined && { schedule }),
      ...(rules?.Duration !== undefined && { duration: rules.Duration }),
    },
    everyMs: periodOf(schedule),
    lastRotated: last,
    next: RotationEnabled === true ? next : undefined,
    ...(version !== undefined && { attempt: { version } }),
  };
}

/** The version that is pending and was never current. */
export function pendingOf({
  VersionIdsToStages: described,
  SecretVersionsToStages: listed,
}: RotationEntry): string | undefined {
  return Object.entries(described ?? listed ?? {}).find(
    ([, labels]) =>
      labels.includes('AWSPENDING') && !labels.includes('AWSCURRENT') && !labels.includes('AWSPREVIOUS'),
  )?.[0];
}

function functionName(arn: string): string {
  return /:function:(.+)$/.exec(arn)?.[1] ?? arn;
}

/** AWS accepts days as a number or as an expression; here both become the expression. */
function scheduleOf(rules: RotationEntry['RotationRules']): string | undefined {
  const { ScheduleExpression: expression, AutomaticallyAfterDays: days } = rules ?? {};
  if (expression) return canonical(expression);
  return days ? rate(days * DAY_MS) : undefined;
}

const RATE = /^rate\(\s*(\d{1,5})\s+(hour|day)s?\s*\)$/;

/** The milliseconds of a `rate(…)`; `undefined` for a `cron(…)`. */
export function periodOf(expression: string | undefined): number | undefined {
  const [, count, unit] = RATE.exec(expression ?? '') ?? [];
  return count === undefined ? undefined : Number(count) * (unit === 'hour' ? HOUR_MS : DAY_MS);
}

/** One form for each meaning, so that equivalent settings aren't set again. */
export function canonical(expression: string): string {
  const period = periodOf(expression);
  return period === undefined ? expression.replaceAll(/\s+/g, ' ').trim() : rate(period);
}

/**
 * A period as an expression.
 * @throws SecretsError Invalid for a period that AWS has no expression for
 */
export function rateOf(everyMs: number): string {
  if (everyMs < SHORTEST_MS || everyMs > LONGEST_MS || everyMs % HOUR_MS !== 0)
    throw new SecretsError('Invalid', 'aws rotates every 4 hours to 999 days, in whole hours');
  return rate(everyMs);
}

function rate(ms: number): string {
  const [count, unit] = ms % DAY_MS === 0 ? [ms / DAY_MS, 'day'] : [ms / HOUR_MS, 'hour'];
  return `rate(${count} ${unit}${count === 1 ? '' : 's'})`;
}
