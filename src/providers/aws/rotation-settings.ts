/** The `native:` section of a policy for a secret in AWS. */
import * as v from 'valibot';
import { periodOf } from './schedule.ts';

const HOUR_MS = 3_600_000;

/** Sources: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotationRulesType.html and API_RotateSecret */
export const nativeSchema = v.strictObject({
  function: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.regex(
          /^arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]{1,140}(:[A-Za-z0-9_$-]{1,128})?$/,
          'the ARN of a Lambda function',
        ),
      ),
    ),
    v.description('ARN of the Lambda function that rotates; without it the one that the secret has'),
  ),
  schedule: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.regex(
          /^(rate|cron)\([0-9A-Za-z#?*\-/, ]+\)$/,
          'a schedule such as rate(30 days) or cron(0 4 1 * ? *)',
        ),
        v.maxLength(256),
        v.check((text) => {
          const period = periodOf(text);
          return period === undefined
            ? text.startsWith('cron')
            : period >= 4 * HOUR_MS && period <= 999 * 24 * HOUR_MS;
        }, 'a schedule of 4 hours to 999 days'),
      ),
    ),
    v.description('when, as AWS writes it; in place of the policy’s every'),
  ),
  duration: v.pipe(
    v.optional(v.pipe(v.string(), v.regex(/^([1-9]|1\d|2[0-4])h$/, 'hours such as 2h'))),
    v.description('how long the window lasts in which AWS begins'),
  ),
});
