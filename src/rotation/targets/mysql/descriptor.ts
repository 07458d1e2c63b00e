import type { TargetDescriptor } from '../../target.ts';
import { databaseTrustItems, databaseVerifies } from '../database/descriptor.ts';
import { trustItemsOf } from '../trust.ts';

export const mysql: TargetDescriptor = {
  type: 'mysql',
  title: 'the password of a MySQL or MariaDB user',
  trustItems: (settings) => [
    ...databaseTrustItems(settings),
    ...trustItemsOf(settings, { 'server-key': 'passwords are encrypted for the holder of this key' }),
  ],
  verifies: databaseVerifies,
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
