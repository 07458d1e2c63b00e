import { vault } from '../../../providers/vault/descriptor.ts';
import type { TargetDescriptor } from '../../target.ts';

export const vaultStaticRole: TargetDescriptor = {
  type: 'vault-static-role',
  title: 'the password of a static role of Vault’s database engine',
  trustItems: (settings) => {
    const { login } = settings;
    const own = typeof login === 'object' && login !== null && !Array.isArray(login) ? login : {};
    const items = [...vault.trustItems(settings)];
    for (const [setting, effect] of [
      ['host', 'the database’s password is sent to this host'],
      ['ca', 'servers with certificates of this authority are believed'],
    ] as const) {
      const value = (own as Readonly<Record<string, unknown>>)[setting];
      if (typeof value === 'string') items.push({ setting: `login.${setting}`, value, effect });
    }
    return items;
  },
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
