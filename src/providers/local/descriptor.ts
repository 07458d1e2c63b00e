import type { ProviderDescriptor } from '../descriptor.ts';
import { type HarmlessSettings, trustItemsFor } from '../trust.ts';

const HARMLESS: HarmlessSettings = {
  names: { reason: 'hidden names are the default', when: (value) => value === 'hidden' },
};

/** The embedded encrypted store, which needs no account and no server. */
export const local: ProviderDescriptor = {
  kind: 'local',
  title: 'encrypted store on this machine',
  credentialVariables: [
    'SECRETS_PASSPHRASE',
    'SECRETS_PASSPHRASE_FILE',
    'SECRETS_NEW_PASSPHRASE',
    'SECRETS_MERGE_PASSPHRASE',
    'SECRETS_AGE_IDENTITY',
  ],
  // The store works on every machine, and its variables only concern this one.
  detect: () => undefined,
  // The settings decide where values are collected (the folder) and who can read them (a key that somebody else knows,
  // or a recipient).
  harmless: HARMLESS,
  files: { path: 'data', 'key.file': 'pinned', 'key.identity': 'pinned' },
  trustItems: trustItemsFor(
    {
      names: 'the names of your secrets stand in the names of files',
      'key.method': 'a new store’s key is kept this way',
      path: 'secrets are kept in this folder',
      'key.file': 'secrets are sealed under the key in this file',
      'key.recipients': 'whoever holds these age keys can read the store',
      'key.identity': 'this file is read to open the store',
    },
    HARMLESS,
  ),
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
