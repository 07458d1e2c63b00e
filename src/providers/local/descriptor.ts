import type { ProviderDescriptor } from '../provider.ts';

/** The embedded encrypted store: no account, no server. */
export const local: ProviderDescriptor = {
  kind: 'local',
  title: 'encrypted store on this machine',
  credentialVariables: [
    'SECRETS_PASSPHRASE',
    'SECRETS_PASSPHRASE_FILE',
    'SECRETS_NEW_PASSPHRASE',
    'SECRETS_AGE_IDENTITY',
  ],
  // A key file or identity that a foreign file names is read, never sent anywhere; the folder it names could
  // collect what is put, readable by whoever made the key.
  trustItems: (settings) =>
    typeof settings['path'] === 'string'
      ? [{ setting: 'path', value: settings['path'], effect: 'secrets are kept in this folder' }]
      : [],
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
