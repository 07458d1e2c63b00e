import type { TargetDescriptor } from '../../target.ts';
import { databaseTrustItems, databaseVerifies } from '../database/descriptor.ts';

export const postgres: TargetDescriptor = {
  type: 'postgres',
  title: 'the password of a PostgreSQL user',
  trustItems: databaseTrustItems,
  verifies: databaseVerifies,
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
