import type { TargetDescriptor } from '../../target.ts';
import { AUTHORITY_EFFECT, mapOf, trustItemsOf } from '../trust.ts';

export const http: TargetDescriptor = {
  type: 'http',
  title: 'an HTTP call that sets the value',
  trustItems: (settings) => [
    ...['apply', 'verify', 'retire'].flatMap((name) =>
      trustItemsOf(mapOf(settings[name]), { url: 'the secret’s values are sent to this server' }, `${name}.`),
    ),
    ...trustItemsOf(settings, {
      admin: 'this secret is read, and sent to those servers',
      ca: AUTHORITY_EFFECT,
    }),
  ],
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
