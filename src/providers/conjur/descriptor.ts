import type { ProviderDescriptor } from '../descriptor.ts';
import { trustItemsFor } from '../trust.ts';

/** CyberArk Conjur, now CyberArk Secrets Manager: Open Source, Self-Hosted and SaaS share the REST API. */
export const conjur: ProviderDescriptor = {
  kind: 'conjur',
  title: 'CyberArk Conjur',
  credentialVariables: [
    'CONJUR_AUTHN_API_KEY',
    'CONJUR_AUTHN_TOKEN',
    'CONJUR_AUTHN_TOKEN_FILE',
    'CONJUR_AUTHN_JWT_TOKEN',
    'JWT_TOKEN_PATH',
  ],
  credentialFiles: ({ env, home, read }) => {
    const settings = ['/etc/conjur.conf', env['CONJURRC'] || `${home}/.conjurrc`];
    const named = settings.flatMap((path) =>
      [...(read(path) ?? '').matchAll(/^\s*(?:netrc_path|jwt_file)\s*:\s*["']?(.+?)["']?\s*$/gm)].map(
        ([, file = '']) => file,
      ),
    );
    return [...settings, ...named, `${home}/.netrc`];
  },
  native: (text) => {
    const match = /^([^:/?#\s]+):variable:([^/].*)$/.exec(text);
    return match === null
      ? undefined
      : { name: match[2] as string, settings: { account: match[1] as string } };
  },
  // Nothing is harmless here: accounts and policy branches of one server belong to different people.
  harmless: {},
  files: {
    ca: 'pinned',
    'auth.netrc': 'pinned',
    'auth.token-file': 'pinned',
    'auth.jwt-file': 'pinned',
    'trail.file': 'data',
  },
  trustItems: trustItemsFor({
    url: 'your Conjur credential is sent to this server',
    account: 'your credential is used in this account, and what you write goes there',
    ca: 'servers with a certificate of this authority are believed',
    policy: 'variables are made in this branch, whose owners can read them',
    'auth.method': 'you are signed in this way, which may send what the machine holds, or a proof of it',
    'auth.service-id': 'your credential is sent to this authenticator',
    'auth.login': 'your API key is sent for this login',
    'auth.netrc': 'a login and API key are read from this file and sent to the server',
    'auth.token-file': 'this file is sent to the server as an access token',
    'auth.jwt-file': 'this file is sent to the server as a JWT',
    'auth.region': 'a proof of your AWS identity is made for this region',
    'trail.file': 'this file is read, and what it says of accesses is shown and believed',
  }),
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
