import type { TargetDescriptor } from '../../target.ts';
import { databaseTrustItems, databaseVerifies } from '../database/descriptor.ts';

export const mysql: TargetDescriptor = {
  type: 'mysql',
  title: 'the password of a MySQL or MariaDB user',
  trustItems: databaseTrustItems,
  verifies: databaseVerifies,
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
