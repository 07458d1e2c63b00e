import type { NativeReference, ProviderDescriptor, TrustItem } from '../provider.ts';

/** `arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME`, with or without the six random characters. */
const ARN = /^arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):\d{12}:secret:[A-Za-z0-9/_+=.@-]+$/;

function native(text: string): NativeReference | undefined {
  const region = ARN.exec(text)?.[1];
  return region === undefined ? undefined : { name: text, settings: { region } };
}

/** AWS Secrets Manager. */
export const aws: ProviderDescriptor = {
  kind: 'aws',
  title: 'AWS Secrets Manager',
  credentialVariables: [
    'AWS_ACCESS_KEY_ID',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_SESSION_TOKEN',
    'AWS_WEB_IDENTITY_TOKEN_FILE',
    'AWS_CONTAINER_AUTHORIZATION_TOKEN',
  ],
  native,
  trustItems: (settings) => {
    const items: TrustItem[] = [];
    for (const setting of ['endpoint', 'sts-endpoint']) {
      const value = settings[setting];
      if (typeof value === 'string')
        items.push({ setting, value, effect: 'requests signed by you are sent to this server' });
    }
    const { 'assume-role': role } = settings;
    if (typeof role === 'string')
      items.push({
        setting: 'assume-role',
        value: role,
        effect: 'your credential is used to become this role',
      });
    return items;
  },
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
