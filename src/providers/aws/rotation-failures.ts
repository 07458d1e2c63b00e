/**
 * Finds AWS's report of a failed rotation: Secrets Manager has none itself, but CloudTrail gets an event. Source:
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html
 */
import { excerpt, toSecretsError } from '../../core/errors.ts';
import type { AwsService } from './service.ts';

const FAILURES = ['RotationFailed', 'TestRotationFailed'] as const;
/** This machine's clock may be ahead of AWS's. */
const SKEW_MS = 60_000;

/**
 * AWS's reason for a failed rotation of this secret since then; `undefined` if CloudTrail has none (its events arrive
 * minutes late) or may not be queried.
 */
export async function failureSince(
  service: AwsService,
  arn: string,
  since: Date,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return await service.trail(signal, async ({ sdk, client }, http) => {
      for (const AttributeValue of FAILURES) {
        const { Events: events } = await client.send(
          new sdk.LookupEventsCommand({
            LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue }],
            StartTime: new Date(since.getTime() - SKEW_MS),
            MaxResults: 50,
          }),
          http,
        );
        // Newest first.
        const found = (events ?? []).find(({ CloudTrailEvent: text }) => isAbout(text ?? '', arn));
        if (found !== undefined) return reasonOf(found.CloudTrailEvent ?? '');
      }
      return undefined;
    });
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    service.debug(`CloudTrail can’t be asked why a rotation takes long: ${toSecretsError(thrown).message}`);
    return undefined;
  }
}

/**
 * Whether an event names this secret. The field that names it has changed over the years, so any field counts, but only
 * as a whole: the ARN of a secret `x` can be a prefix of the ARN of a secret `x-AbCdEf`.
 */
export function isAbout(event: string, arn: string): boolean {
  let found = false;
  try {
    JSON.parse(event, (_, value: unknown) => {
      found ||= value === arn;
      return value;
    });
  } catch {
    return false;
  }
  return found;
}

function reasonOf(text: string): string {
  try {
    const { errorMessage, errorCode, additionalEventData } = JSON.parse(text) as {
      readonly errorMessage?: unknown;
      readonly errorCode?: unknown;
      readonly additionalEventData?: { readonly reason?: unknown; readonly errorMessage?: unknown };
    };
    const { reason, errorMessage: inner } = additionalEventData ?? {};
    const words = [errorMessage, inner, reason, errorCode].find((one) => typeof one === 'string');
    return excerpt((words ?? 'it gives no reason').replaceAll(/\s+/g, ' '));
  } catch {
    return 'it gives no reason';
  }
}
