import type { ProviderDescriptor, TrustItem } from '../provider.ts';
import { parseNative } from './names.ts';

const TRUSTED: readonly (readonly [setting: string, effect: string])[] = [
  ['endpoint', 'your access token and your secrets are sent to this server'],
  ['universe-domain', 'your access token and your secrets are sent to servers of this domain'],
  ['ca', 'servers with a certificate of this authority are believed'],
  [
    'credentials',
    'this file says how to sign in: it can name a program to run and a server to send your token to',
  ],
  ['impersonate', 'your credential is used to become this service account'],
];

/** Google Secret Manager. */
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
  native: parseNative,
  trustItems: (settings) => {
    const items: TrustItem[] = [];
    for (const [setting, effect] of TRUSTED) {
      const value = settings[setting];
      if (typeof value === 'string') items.push({ setting, value, effect });
    }
    return items;
  },
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
