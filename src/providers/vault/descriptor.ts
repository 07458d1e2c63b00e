import type { ProviderDescriptor } from '../descriptor.ts';
import { trustItemsFor } from '../trust.ts';

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
    'BAO_TOKEN',
  ],
  credentialFiles: ({ home }) => [`${home}/.vault-token`],
  // Nothing is harmless here: another mount, or the wrong version of its engine, stores values in another place.
  harmless: {},
  files: { ca: 'pinned', 'auth.token-file': 'pinned', 'trail.file': 'data' },
  trustItems: trustItemsFor({
    address: 'your Vault credential is sent to this server',
    mount: 'what you write goes to this mount, and what is there is believed',
    'kv-version': 'the mount is spoken to as this version, which writes to another path than the other one',
    // The owner of a namespace or an auth method sees what is sent to it for signing in.
    namespace: 'your Vault credential is used in this namespace',
    ca: 'servers with a certificate of this authority are believed',
    'tls-server-name': 'a server with a certificate for this name is believed',
    'auth.method': 'you are signed in this way, which may send what the machine holds, or a proof of it',
    'auth.mount': 'your credential is sent to this auth method',
    'auth.role': 'you are signed in to this role',
    'auth.role-id': 'you are signed in to this role',
    'auth.username': 'your password is sent for this user',
    'auth.token-file': 'what is in this file is sent to the server',
    'auth.wrapped': 'your token is unwrapped, which uses it up',
    'auth.region': 'a proof of your AWS identity is made for this region',
    'auth.server-id': 'a proof of your AWS identity is made for this server',
    'trail.file': 'this file is read, and what it says of accesses is shown and believed',
    'trail.device': 'names of secrets are sent to this audit device for their hashes',
  }),
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
