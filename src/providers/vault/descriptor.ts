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
    const add = (setting: string, value: unknown, effect: string): void => {
      if (typeof value === 'string') items.push({ setting, value, effect });
    };
    const mapOf = (value: unknown): Readonly<Record<string, unknown>> =>
      (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
    const signIn = mapOf(settings['auth']);
    add('address', settings['address'], 'your Vault credential is sent to this server');
    // Whoever runs a namespace or an auth method sees what is sent to it for signing in.
    add('namespace', settings['namespace'], 'your Vault credential is used in this namespace');
    add('ca', settings['ca'], 'servers with a certificate of this authority are believed');
    add(
      'tls-server-name',
      settings['tls-server-name'],
      'a server with a certificate for this name is believed',
    );
    add('auth.mount', signIn['mount'], 'your credential is sent to this auth method');
    add('auth.token-file', signIn['token-file'], 'what is in this file is sent to the server');
    add(
      'trail.file',
      mapOf(settings['trail'])['file'],
      'this file is read, and what it says of accesses is shown and believed',
    );
    const { method } = signIn;
    if (method === 'kubernetes')
      add('auth.method', method, 'this pod’s service account token is sent to the server');
    if (method === 'aws') add('auth.method', method, 'a proof of your AWS identity is sent to the server');
    return items;
  },
  detect({ env, home, exists }) {
    const variable = ['VAULT_ADDR', 'VAULT_TOKEN', 'VAULT_ROLE_ID'].find((name) => env[name]);
    if (variable === undefined && !exists(`${home}/.vault-token`)) return undefined;
    const address = env['VAULT_ADDR'];
    return {
      evidence: variable === undefined ? '~/.vault-token' : `$${variable}`,
      settings: address === undefined || address === '' ? {} : { address },
    };
  },
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
