import type { TargetDescriptor } from '../../target.ts';

export const awsIam: TargetDescriptor = {
  type: 'aws-iam',
  title: 'the access key of an AWS IAM user',
  trustItems: (settings) =>
    [
      { setting: 'endpoint', effect: 'requests signed with your AWS credential are sent here' },
      { setting: 'admin', effect: 'this secret is read, and used as an AWS credential' },
    ].flatMap(({ setting, effect }) => {
      const value = settings[setting];
      return typeof value === 'string' ? [{ setting, value, effect }] : [];
    }),
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
