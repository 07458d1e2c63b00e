import type { TargetDescriptor } from '../../target.ts';
import { trustItemsOf } from '../trust.ts';

export const awsIam: TargetDescriptor = {
  type: 'aws-iam',
  title: 'the access key of an AWS IAM user',
  trustItems: (settings) =>
    trustItemsOf(settings, {
      endpoint: 'requests signed with your AWS credential are sent here',
      admin: 'this secret is read, and used as an AWS credential',
    }),
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
