import type { TargetDescriptor } from '../../target.ts';

/** A generated value that no other system depends on: readers of the secret simply use the new one. */
export const none: TargetDescriptor = {
  type: 'none',
  title: 'a generated value that no other system has to be told of',
  trustItems: () => [],
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
