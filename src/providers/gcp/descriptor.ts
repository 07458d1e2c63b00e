import type { ProviderDescriptor } from '../descriptor.ts';
import { type HarmlessSettings, trustItemsFor } from '../trust.ts';
import { parseNative } from './names.ts';

const HARMLESS: HarmlessSettings = {
  location: { reason: 'its form admits Google’s own regions alone, where the project is the user’s' },
  prefix: {
    reason: 'stands before names in the user’s own project',
    when: (value) => typeof value === 'string' && /^[A-Za-z0-9_-]+$/.test(value),
  },
  transport: { reason: 'two ways to the same server' },
};

export const gcp: ProviderDescriptor = {
  kind: 'gcp',
  title: 'Google Secret Manager',
  credentialVariables: [
    'GOOGLE_APPLICATION_CREDENTIALS',
    'GOOGLE_CREDENTIALS',
    'GOOGLE_OAUTH_ACCESS_TOKEN',
    'CLOUDSDK_AUTH_ACCESS_TOKEN',
    'CLOUDSDK_AUTH_ACCESS_TOKEN_FILE',
    'CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE',
  ],
  credentialFiles: ({ env, home }) => {
    const folder = env['CLOUDSDK_CONFIG'] || `${home}/.config/gcloud`;
    const names = ['application_default_credentials.json', 'active_config', 'configurations/*'];
    return names.map((name) => `${folder}/${name}`);
  },
  native: parseNative,
  harmless: HARMLESS,
  files: { ca: 'pinned', credentials: 'pinned' },
  trustItems: trustItemsFor(
    {
      prefix: 'names begin with this, which may name somebody else’s project',
      'replication.locations': 'what you write is kept in these places',
      'version-destroy-days': 'what you purge can be brought back so long',
      project: 'what you write goes to this project, whose owners can read it',
      'quota-project': 'your calls are counted for this project, whose owners see them',
      endpoint: 'your access token and your secrets are sent to this server',
      'logging-endpoint': 'your access token is sent to this server',
      'universe-domain': 'your access token and your secrets are sent to servers of this domain',
      ca: 'servers with a certificate of this authority are believed',
      credentials:
        'this file says how to sign in: it can name a program to run and a server to send a token to',
      impersonate: 'your credential is used to become this service account',
      'replication.kms-key': 'what you write is encrypted with this key, whose owner can make it unreadable',
    },
    HARMLESS,
  ),
  detect({ env, home, exists }) {
    const variable = ['GOOGLE_APPLICATION_CREDENTIALS', 'GOOGLE_CLOUD_PROJECT', 'CLOUDSDK_CORE_PROJECT'].find(
      (name) => env[name],
    );
    const file = `${env['CLOUDSDK_CONFIG'] || `${home}/.config/gcloud`}/application_default_credentials.json`;
    if (variable === undefined && !exists(file)) return undefined;
    const project = env['GOOGLE_CLOUD_PROJECT'] || env['CLOUDSDK_CORE_PROJECT'];
    return {
      evidence: variable === undefined ? 'gcloud’s application default credentials' : `$${variable}`,
      settings: project ? { project } : {},
    };
  },
  nativeRotation: {
    trustItems: trustItemsFor({ topic: 'whoever listens there is told of each rotation, and is to make it' }),
    schema: async () => (await import('./rotation-settings.ts')).nativeSchema,
  },
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
