import type { NativeReference, ProviderDescriptor } from '../descriptor.ts';
import { type HarmlessSettings, trustItemsFor } from '../trust.ts';

/** `arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME`, with or without the six random characters. */
const ARN = /^arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):\d{12}:secret:[A-Za-z0-9/_+=.@-]+$/;

function native(text: string): NativeReference | undefined {
  const region = ARN.exec(text)?.[1];
  return region === undefined ? undefined : { name: text, settings: { region, prefix: null, arn: true } };
}

const HARMLESS: HarmlessSettings = {
  region: { reason: 'its form admits AWS’s own regions alone, where the account is the user’s' },
  prefix: {
    reason: 'stands before names in the user’s own account',
    // With a colon the prefix could start an ARN, which names an account.
    when: (value) => typeof value === 'string' && /^[A-Za-z0-9/_+=.@-]+$/.test(value),
  },
};

const EFFECTS = {
  profile: 'this profile of yours signs you in, and may run a program for that',
  prefix: 'names begin with this, which may name somebody else’s account',
  endpoint: 'requests signed by you are sent to this server',
  'sts-endpoint': 'requests signed by you are sent to this server',
  'cloudtrail-endpoint': 'requests signed by you are sent to this server',
  'iam-endpoint': 'requests signed by you are sent to this server',
  'assume-role': 'your credential is used to become this role',
  'external-id': 'this is told to the role that your credential becomes',
  'kms-key': 'whoever may use this key can keep you from, or read, what you put',
};

export const aws: ProviderDescriptor = {
  kind: 'aws',
  title: 'AWS Secrets Manager',
  credentialVariables: [
    'AWS_ACCESS_KEY_ID',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_SESSION_TOKEN',
    'AWS_WEB_IDENTITY_TOKEN_FILE',
    'AWS_CONTAINER_AUTHORIZATION_TOKEN',
    'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
  ],
  credentialFiles: ({ home }) => [
    ...['config', 'credentials'].map((name) => `${home}/.aws/${name}`),
    // `aws sso login` and `aws login`.
    ...['sso', 'login'].map((name) => `${home}/.aws/${name}/cache/*`),
  ],
  signsInElsewhere: ({ env, home, read }) =>
    [
      env['AWS_CONFIG_FILE'] || `${home}/.aws/config`,
      env['AWS_SHARED_CREDENTIALS_FILE'] || `${home}/.aws/credentials`,
    ].some((path) => /^\s*credential_process\s*=/m.test(read(path) ?? '')),
  native,
  trustItems: trustItemsFor(EFFECTS, HARMLESS),
  harmless: HARMLESS,
  detect({ env, home, exists }) {
    const variable = ['AWS_PROFILE', 'AWS_ACCESS_KEY_ID', 'AWS_WEB_IDENTITY_TOKEN_FILE'].find(
      (name) => env[name],
    );
    const file = ['.aws/config', '.aws/credentials'].find((name) => exists(`${home}/${name}`));
    if (variable === undefined && file === undefined) return undefined;
    const region = env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'];
    return {
      evidence: variable === undefined ? `~/${file ?? ''}` : `$${variable}`,
      settings: region === undefined || region === '' ? {} : { region },
    };
  },
  nativeRotation: {
    trustItems: trustItemsFor({
      function: 'AWS gives this function the secret, and what it stores becomes the value',
      duration: 'how long AWS’s window for the schedule lasts',
      schedule: 'AWS gives the secret a new value by this schedule from then on',
    }),
    schema: async () => (await import('./rotation-settings.ts')).nativeSchema,
  },
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
