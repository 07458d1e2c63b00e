/** Settings of an AWS store in secrets.yaml. */
import * as v from 'valibot';

const text = v.pipe(v.string(), v.nonEmpty());

export const settingsSchema = v.strictObject({
  region: v.pipe(v.optional(text), v.description('region; default $AWS_REGION or the profile’s')),
  profile: v.pipe(v.optional(text), v.description('profile of ~/.aws/config; default $AWS_PROFILE')),
  'assume-role': v.pipe(v.optional(text), v.description('ARN of a role to assume')),
  endpoint: v.pipe(
    v.optional(text),
    v.description('URL in place of the region’s; default $AWS_ENDPOINT_URL'),
  ),
  prefix: v.pipe(v.optional(text), v.description('put before every name, and taken off in lists')),
});

/** The settings after validation. */
export interface AwsSettings {
  readonly region?: string;
  readonly profile?: string;
  readonly 'assume-role'?: string;
  readonly endpoint?: string;
  readonly prefix?: string;
}
