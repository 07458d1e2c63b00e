import type { ProviderDescriptor, TrustItem } from '../provider.ts';

/** HashiCorp Vault's KV secrets engine, versions 1 and 2. */
export const vault: ProviderDescriptor = {
  kind: 'vault',
  title: 'HashiCorp Vault (KV)',
  credentialVariables: [
    'VAULT_TOKEN',
    'VAULT_ROLE_ID',
    'VAULT_SECRET_ID',
    'VAULT_PASSWORD',
    'VAULT_JWT',
    'VAULT_CLIENT_KEY',
  ],
  trustItems: (settings) => {
    const items: TrustItem[] = [];
    const { address, ca } = settings;
    if (typeof address === 'string')
      items.push({
        setting: 'address',
        value: address,
        effect: 'your Vault credential is sent to this server',
      });
    if (typeof ca === 'string')
      items.push({
        setting: 'ca',
        value: ca,
        effect: 'servers with a certificate of this authority are believed',
      });
    return items;
  },
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
