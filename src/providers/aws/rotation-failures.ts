/**
 * Where AWS says that a rotation has failed: nowhere in Secrets Manager itself, but as an event in CloudTrail.
 * Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html
 */
import { toSecretsError } from '../../core/errors.ts';
import type { AwsService } from './service.ts';

const FAILURES = ['RotationFailed', 'TestRotationFailed'] as const;
/** This machine's clock may be ahead of AWS's. */
const SKEW_MS = 60_000;

/**
 * AWS's reason for the failure of a rotation of this secret since then; `undefined` when CloudTrail has none (its events
 * come minutes late), or may not be asked.
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
        // The newest first. What names the secret has moved within the event over the years: any place counts.
        const found = (events ?? []).find(({ CloudTrailEvent: text }) => text?.includes(arn) === true);
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

function reasonOf(text: string): string {
  try {
    const { errorMessage, errorCode, additionalEventData } = JSON.parse(text) as {
      readonly errorMessage?: unknown;
      readonly errorCode?: unknown;
      readonly additionalEventData?: { readonly reason?: unknown; readonly errorMessage?: unknown };
    };
    const { reason, errorMessage: inner } = additionalEventData ?? {};
    const words = [errorMessage, inner, reason, errorCode].find((one) => typeof one === 'string');
    return (words ?? 'it gives no reason').replaceAll(/\s+/g, ' ').slice(0, 300);
  } catch {
    return 'it gives no reason';
  }
}
