/** Every credential that the documentation or the code of a provider reads from a variable stays out of children. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ownCredentials, SINK_CREDENTIALS } from '../../src/session/own-credentials.ts';
import { providers } from '../../src/providers/registry.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGES: Readonly<Record<string, string>> = { local: 'local-store', exec: 'plugins' };

/** Names of variables that speak of a credential, and hold none. */
const NO_CREDENTIAL: Readonly<Record<string, string>> = {
  AWS_ROLE_ARN: 'names a role',
  AWS_ENDPOINT_URL_SECRETS_MANAGER: 'an address',
  AWS_SHARED_CREDENTIALS_FILE: 'the path of a file of the user, who may name another for the program',
  AZURE_KEYVAULT_NAME: 'a name',
  AZURE_KEYVAULT_URL: 'an address',
  KEY_VAULT_NAME: 'a name',
  AZURE_TOKEN_CREDENTIALS: 'names a way to sign in',
  AZURE_CLIENT_SEND_CERTIFICATE_CHAIN: 'a switch',
  CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: 'an address',
  CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS: 'an address',
  VAULT_CACERT: 'a certificate of an authority',
  VAULT_CACERT_BYTES: 'a certificate of an authority',
  VAULT_CLIENT_CERT: 'a certificate, without its key',
  CONJUR_AUTHN_LOGIN: 'a user’s name',
  CONJUR_AUTHN_JWT_HOST_ID: 'a host’s name',
  CONJUR_AUTHN_JWT_SERVICE_ID: 'a service’s name',
  CONJUR_CERT_FILE: 'a certificate of an authority',
  CONJUR_SSL_CERTIFICATE: 'a certificate of an authority',
  CONJUR_CREDENTIAL_STORAGE: 'where the Conjur CLI keeps credentials',
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'the runner’s, which is withheld whatever the provider',
  ACTIONS_ID_TOKEN_REQUEST_URL: 'an address',
  SSL_CERT_FILE: 'certificates of authorities',
  SSL_CERT_DIR: 'certificates of authorities',
  NODE_EXTRA_CA_CERTS: 'certificates of authorities',
  TEAM_TOKEN: 'an example: handed to a plugin by a store’s env',
  SECRETS_CONFIG: 'a path',
  SECRETS_LOCAL_PATH: 'a path',
  SECRETS_LOCAL_KEY_METHOD: 'names a way to keep a key',
  SECRETS_WRITING: 'a word of a page',
};
const SPEAKS = /TOKEN|SECRET|PASS|KEY|CRED|JWT|HEADER|IDENTITY|SESSION|CERT|LOGIN|ROLE_ID/;
/** Words of the SDK for AWS: names of its features, not variables. */
const FEATURE = /^CREDENTIALS_/;

function sources(folder: string): string {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n');
}

describe.each(providers.map((descriptor) => [descriptor.kind, descriptor] as const))(
  '%s',
  (kind, descriptor) => {
    const page = readFileSync(join(ROOT, `docs/${PAGES[kind] ?? kind}.md`), 'utf8');
    const code = sources(join(ROOT, 'src/providers', kind));
    const found = new Set([
      ...(page.match(/\b[A-Z][A-Z0-9]+(_[A-Z0-9]+)+\b/g) ?? []),
      ...Array.from(code.matchAll(/'([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)'/g), ([, name]) => name as string),
    ]);

    test('declares each credential that its page or its code names', () => {
      const missing = [...found].filter(
        (name) =>
          SPEAKS.test(name.replace(/^SECRETS_/, '')) &&
          !FEATURE.test(name) &&
          !(name in NO_CREDENTIAL) &&
          !descriptor.credentialVariables.includes(name),
      );
      expect(missing).toEqual([]);
    });
  },
);

test('the sinks’ own are declared', () => {
  const page = readFileSync(join(ROOT, 'docs/audit-sinks.md'), 'utf8');
  const code = sources(join(ROOT, 'src/audit/sinks'));
  const named = new Set(`${page}${code}`.match(/\bOTEL_[A-Z_]+\b/g));
  for (const name of named) expect(SINK_CREDENTIALS).toContain(name);
});

describe('all of them', () => {
  const of = (env: Readonly<Record<string, string>>, stores: Parameters<typeof ownCredentials>[1] = []) =>
    ownCredentials({ providers, env }, stores);

  test('are what is declared, and what secret managers call by such names', () => {
    const names = of({
      VAULT_UNWRAP_TOKEN: 'x',
      BW_NEW_PASSWORD: 'x',
      OP_SESSION_team: 'x',
      SECRETS_X_KEY: 'x',
    });
    for (const { credentialVariables } of providers)
      for (const name of credentialVariables) expect(names).toContain(name);
    for (const name of [
      ...SINK_CREDENTIALS,
      'VAULT_UNWRAP_TOKEN',
      'BW_NEW_PASSWORD',
      'OP_SESSION_team',
      'SECRETS_X_KEY',
      'ACTIONS_ID_TOKEN_REQUEST_URL',
      'ACTIONS_ID_TOKEN_REQUEST_TOKEN',
    ])
      expect(names).toContain(name);
  });

  test('leave out what is the program’s own', () => {
    const env = {
      GITHUB_TOKEN: 'x',
      NPM_TOKEN: 'x',
      AZURE_OPENAI_API_KEY: 'x',
      AWS_KMS_KEY: 'x',
      VAULT_ADDR: 'x',
      DB_PASSWORD: 'x',
    };
    const names = of(env);
    for (const name of Object.keys(env)) expect(names).not.toContain(name);
  });

  test('include what a trusted store hands to its plugin and calls a credential', () => {
    const settings = { plugin: 'team', env: ['TEAM_TOKEN', 'TEAM_URL'] };
    expect(of({}, [{ settings }])).toContain('TEAM_TOKEN');
    expect(of({}, [{ settings }])).not.toContain('TEAM_URL');
    const untrusted = [{ setting: 'env', value: '', line: 1, effect: '' }];
    expect(of({}, [{ settings, untrusted } as never])).not.toContain('TEAM_TOKEN');
  });
});
