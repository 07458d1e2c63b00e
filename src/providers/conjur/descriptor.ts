import type { ProviderDescriptor, StoreSettings, TrustItem } from '../provider.ts';

/** CyberArk Conjur, now CyberArk Secrets Manager: Open Source, Self-Hosted and SaaS share the REST API. */
export const conjur: ProviderDescriptor = {
  kind: 'conjur',
  title: 'CyberArk Conjur',
  credentialVariables: [
    'CONJUR_AUTHN_API_KEY',
    'CONJUR_AUTHN_TOKEN',
    'CONJUR_AUTHN_TOKEN_FILE',
    'CONJUR_AUTHN_JWT_TOKEN',
  ],
  native: (text) => {
    const match = /^([^:/?#\s]+):variable:([^/].*)$/.exec(text);
    return match === null
      ? undefined
      : { name: match[2] as string, settings: { account: match[1] as string } };
  },
  trustItems: (settings) => {
    const items: TrustItem[] = [];
    const add = (setting: string, value: unknown, effect: string): void => {
      if (typeof value === 'string') items.push({ setting, value, effect });
    };
    // Checked by the schema to be a map.
    const auth = (settings['auth'] ?? {}) as StoreSettings;
    add('url', settings['url'], 'your Conjur credential is sent to this server');
    add('ca', settings['ca'], 'servers with a certificate of this authority are believed');
    add('auth.netrc', auth['netrc'], 'a login and API key are read from this file and sent to the server');
    add('auth.token-file', auth['token-file'], 'this file is sent to the server as an access token');
    add('auth.jwt-file', auth['jwt-file'], 'this file is sent to the server as a JWT');
    const trail = (settings['trail'] ?? {}) as StoreSettings;
    add('trail.file', trail['file'], 'this file is read, and what it says of accesses is shown and believed');
    return items;
  },
  detect({ env, home, exists }) {
    const variable = ['CONJUR_APPLIANCE_URL', 'CONJUR_AUTHN_LOGIN', 'CONJUR_AUTHN_JWT_TOKEN'].find(
      (name) => env[name],
    );
    if (variable === undefined && !exists(`${home}/.conjurrc`)) return undefined;
    const { CONJUR_APPLIANCE_URL: url, CONJUR_ACCOUNT: account } = env;
    return {
      evidence: variable === undefined ? '~/.conjurrc' : `$${variable}`,
      settings: { ...(url && { url }), ...(account && { account }) },
    };
  },
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
