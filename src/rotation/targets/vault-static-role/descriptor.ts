import { vault } from '../../../providers/vault/descriptor.ts';
import type { TargetDescriptor, TargetSettings } from '../../target.ts';
import { trustItemsFor } from '../../../providers/trust.ts';
import { HOST_EFFECT, PORT_EFFECT } from '../database/descriptor.ts';
import { AUTHORITY_EFFECT } from '../trust.ts';

const own = trustItemsFor({
  role: 'this static role gets a new password',
  mount: 'the database engine at this path is asked for it',
  'login.type': 'the new password is tried with a database of this kind',
  'login.host': HOST_EFFECT,
  'login.port': PORT_EFFECT,
  'login.database': 'this database is connected to',
  'login.ca': AUTHORITY_EFFECT,
});

export const vaultStaticRole: TargetDescriptor = {
  type: 'vault-static-role',
  title: 'the password of a static role of Vault’s database engine',
  hasSchedule: true,
  trustItems: (settings) => {
    const { role, mount, login, ...store } = settings;
    return [...vault.trustItems(store), ...own({ role, mount, login } as TargetSettings)];
  },
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
