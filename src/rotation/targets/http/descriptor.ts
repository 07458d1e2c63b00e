import type { TargetDescriptor } from '../../target.ts';
import { trustItemsFor } from '../../../providers/trust.ts';
import { AUTHORITY_EFFECT } from '../trust.ts';

const BELIEVED = 'answers with one of these statuses are taken for this';
const callEffects = (name: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries({
      url: 'the secret’s values are sent to this server',
      method: 'the server is asked with this method',
      headers: 'these headers are sent there, with the values in their places',
      basic: 'this sign-in is sent there, with the values in its places',
      body: 'this document is sent there, with the values in its places',
      ok: BELIEVED,
      accepted: BELIEVED,
      refused: BELIEVED,
    }).map(([key, effect]) => [`${name}.${key}`, effect]),
  );

export const http: TargetDescriptor = {
  type: 'http',
  title: 'an HTTP call that sets the value',
  trustItems: trustItemsFor({
    ...callEffects('apply'),
    ...callEffects('verify'),
    ...callEffects('retire'),
    admin: 'this secret is read, and sent to those servers',
    ca: AUTHORITY_EFFECT,
  }),
  verifies: ({ verify }) => verify !== undefined && verify !== 'none',
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
