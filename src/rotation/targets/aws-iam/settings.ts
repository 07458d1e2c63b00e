/** Settings of the target `aws-iam`. */
import * as v from 'valibot';
import { said, type SettingsOf } from '../../../core/settings-schema.ts';

export const settingsSchema = v.strictObject({
  user: said('name of the IAM user; default: the user of the current key'),
  admin: said(
    'reference of the secret with an access key that may change the user’s; default: the user’s own',
  ),
  deactivate: v.pipe(
    v.optional(v.boolean()),
    v.description('deactivate the old key at once, and delete it after the grace period; default false'),
  ),
  region: said('region of STS; default $AWS_REGION or us-east-1'),
  endpoint: said('URL in place of AWS’s own, for IAM and STS; default $AWS_ENDPOINT_URL'),
});

export type IamSettings = SettingsOf<typeof settingsSchema>;
