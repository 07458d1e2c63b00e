import type { TrustItem } from '../../../providers/provider.ts';
import type { TargetDescriptor } from '../../target.ts';

export const http: TargetDescriptor = {
  type: 'http',
  title: 'an HTTP call that sets the value',
  trustItems: (settings) => {
    const items: TrustItem[] = [];
    for (const name of ['apply', 'verify', 'retire']) {
      const call = settings[name];
      if (typeof call !== 'object' || call === null || Array.isArray(call)) continue;
      const { url } = call as Readonly<Record<string, unknown>>;
      if (typeof url === 'string')
        items.push({
          setting: `${name}.url`,
          value: url,
          effect: 'the secret’s values are sent to this server',
        });
    }
    const { admin, ca } = settings;
    if (typeof admin === 'string')
      items.push({
        setting: 'admin',
        value: admin,
        effect: 'this secret is read, and sent to those servers',
      });
    if (typeof ca === 'string')
      items.push({
        setting: 'ca',
        value: ca,
        effect: 'servers with certificates of this authority are believed',
      });
    return items;
  },
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
