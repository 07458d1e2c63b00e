/** Settings of an AWS store in secrets.yaml. */
import * as v from 'valibot';

const text = v.pipe(v.string(), v.nonEmpty());

export const settingsSchema = v.strictObject({
  // The region becomes a part of a host's name: anything else in it could name another host.
  region: v.pipe(
    v.optional(
      v.pipe(v.string(), v.regex(/^[a-z]{2,}(-[a-z0-9]+){1,5}$/, 'the name of a region, such as eu-west-1')),
    ),
    v.description('region; default $AWS_REGION or the profile’s'),
  ),
  profile: v.pipe(v.optional(text), v.description('profile of ~/.aws/config; default $AWS_PROFILE')),
  'assume-role': v.pipe(v.optional(text), v.description('ARN of a role to assume')),
  'external-id': v.pipe(v.optional(text), v.description('external id required by the role')),
  endpoint: v.pipe(
    v.optional(text),
    v.description('URL in place of the region’s; default $AWS_ENDPOINT_URL'),
  ),
  'sts-endpoint': v.pipe(
    v.optional(text),
    v.description('URL of STS; default $AWS_ENDPOINT_URL_STS, or an endpoint on loopback'),
  ),
  'cloudtrail-endpoint': v.pipe(
    v.optional(text),
    v.description('URL of CloudTrail; default $AWS_ENDPOINT_URL_CLOUDTRAIL, or an endpoint on loopback'),
  ),
  'kms-key': v.pipe(v.optional(text), v.description('KMS key for new secrets; default AWS’s own')),
  prefix: v.pipe(v.optional(text), v.description('prefix of every name, removed in lists')),
});

/** The settings after validation. */
export interface AwsSettings {
  readonly region?: string;
  readonly profile?: string;
  readonly 'assume-role'?: string;
  readonly 'external-id'?: string;
  readonly endpoint?: string;
  readonly 'sts-endpoint'?: string;
  readonly 'cloudtrail-endpoint'?: string;
  readonly 'kms-key'?: string;
  /** `null` where an ARN takes it away. */
  readonly prefix?: string | null;
  /** Names are ARNs. Not a setting that a file may have: only an ARN that is written as a whole sets it. */
  readonly arn?: true;
}
