/** Settings of an AWS store in secrets.yaml. */
import * as v from 'valibot';
import { awsRegion, said, type SettingsOf } from '../../core/settings-schema.ts';

export const settingsSchema = v.strictObject({
  region: v.pipe(v.optional(awsRegion), v.description('region; default $AWS_REGION or the profile’s')),
  profile: said('profile of ~/.aws/config; default $AWS_PROFILE'),
  'assume-role': said('ARN of a role to assume'),
  'external-id': said('external id required by the role'),
  endpoint: said('URL in place of the region’s; default $AWS_ENDPOINT_URL'),
  'sts-endpoint': said('URL of STS; default $AWS_ENDPOINT_URL_STS, or an endpoint on loopback'),
  'cloudtrail-endpoint': said(
    'URL of CloudTrail; default $AWS_ENDPOINT_URL_CLOUDTRAIL, or an endpoint on loopback',
  ),
  'iam-endpoint': said('URL of IAM, for access; default $AWS_ENDPOINT_URL_IAM, or an endpoint on loopback'),
  'kms-key': said('KMS key for new secrets; default AWS’s own'),
  prefix: said('prefix of every name, removed in lists'),
});

export interface AwsSettings extends Omit<SettingsOf<typeof settingsSchema>, 'prefix'> {
  /** `null` if an ARN overrides it. */
  readonly prefix?: string | null;
  /** Names are ARNs. Files can't set this: only a reference that is a full ARN does. */
  readonly arn?: true;
}
