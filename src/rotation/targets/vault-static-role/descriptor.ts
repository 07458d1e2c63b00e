import { vault } from '../../../providers/vault/descriptor.ts';
import type { TargetDescriptor } from '../../target.ts';
import { HOST_EFFECT } from '../database/descriptor.ts';
import { AUTHORITY_EFFECT, mapOf, trustItemsOf } from '../trust.ts';

export const vaultStaticRole: TargetDescriptor = {
  type: 'vault-static-role',
  title: 'the password of a static role of Vault’s database engine',
  hasSchedule: true,
  trustItems: (settings) => [
    ...vault.trustItems(settings),
    ...trustItemsOf(mapOf(settings['login']), { host: HOST_EFFECT, ca: AUTHORITY_EFFECT }, 'login.'),
  ],
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
