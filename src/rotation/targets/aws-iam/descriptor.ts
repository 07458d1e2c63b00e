import type { TargetDescriptor } from '../../target.ts';
import { trustItemsFor } from '../../../providers/trust.ts';

export const awsIam: TargetDescriptor = {
  type: 'aws-iam',
  title: 'the access key of an AWS IAM user',
  trustItems: trustItemsFor({
    user: 'this user gets new access keys, and loses old ones',
    admin: 'this secret is read, and used as an AWS credential',
    deactivate: 'whether the old key is switched off at once',
    region: 'STS is asked in this region',
    endpoint: 'requests signed with your AWS credential are sent here',
  }),
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
