import { looksSecret, settingLooksSecret } from '../../src/core/text/suspect.ts';
import { steers } from '../../src/core/environment/steering.ts';
import { makeMachine, type Machine } from './setup.ts';

/** In parts, so that no scanner takes this file for a leak. */
const join = (...parts: readonly string[]): string => parts.join('');
const ISSUED: readonly string[] = [
  join('AKIA', 'IOSFODNN7EXAMPLE'),
  join('ghp_', 'a'.repeat(36)),
  join('github_pat_', 'A1'.repeat(15)),
  join('glpat-', 'x'.repeat(20)),
  join('xoxb-', '1234567890-abc'),
  join('sk_live_', '4eC39HqLyjWD'),
  join('hvs.', 'CAESIJ1234'),
  join('AIza', 'SyA1234567890abcdefghij'),
  join('eyJ', 'hbGciOiJIUzI1NiJ9.e30.x'),
  join('AGE-SECRET-KEY-', '1QQQ'),
  join('-----BEGIN ', 'RSA PRIVATE KEY-----'),
];

test.each<[string, string]>([
  ['DATABASE_URL', 'postgres://app:hunter2@db/x'],
  ['DB_PASSWORD', 'hunter22'],
  ['api_key', 'letmein'],
  ['X', 'q7Zp2LmX9vT4cB8nR1wK6sD3'],
  ...ISSUED.map((text): [string, string] => ['X', text]),
])('%s: %s looks like a secret', (name, value) => {
  expect(looksSecret(name, value)).toBe(true);
});

test.each([
  ['LOG_LEVEL', 'info'],
  ['DATABASE_URL', 'postgres://localhost:5432/app'],
  ['TOKEN_FILE', '/var/run/secrets/token'],
  ['PASSWORD_MIN_LENGTH', '12'],
  ['TOKEN_TTL', '3600s'],
  ['TOKEN_URL', 'https://auth.example.com/token'],
  ['SECRETS_ENABLED', 'true'],
  ['IMAGE', 'registry.example.com/team/app:1.2.3'],
  ['COMMIT', '9fceb02d0ae598e95dc970b74767f19372d61af8'],
  ['JAR', '/opt/MyApp2/lib/MyCompanyServer3.jar'],
  ['CLASS', 'MyCompanyProduction2EnvironmentLoader'],
  ['CERT', '-----BEGIN CERTIFICATE-----'],
  ['TITLE', 'the task-oriented-scheduler-of-us'],
])('%s: %s does not', (name, value) => {
  expect(looksSecret(name, value)).toBe(false);
});

test.each(['https://user:pass@vault.example', join('hvs.', 'CAESIJ1234'), 'q7Zp2LmX9vT4cB8nR1wK6sD3'])(
  'a setting %s looks like a secret',
  (value) => {
    expect(settingLooksSecret(value)).toBe(true);
  },
);
test.each([
  'https://vault.example:8200',
  'arn:aws:iam::123456789012:role/Reader2',
  '/home/Me/Proj1/Store2/Secrets3',
  '~/.vault-token',
])('a setting %s does not', (value) => {
  expect(settingLooksSecret(value)).toBe(false);
});

test.each(
  'PATH LD_PRELOAD DYLD_INSERT_LIBRARIES NODE_OPTIONS node_options NPM_CONFIG_REGISTRY BASH_ENV BASH_FUNC_x PYTHONPATH PERL5LIB RUBYOPT JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS GIT_SSH_COMMAND EDITOR PAGER GIT_PAGER MANPAGER LESSOPEN HTTPS_PROXY https_proxy SSL_CERT_FILE NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE HOME XDG_STATE_HOME SECRETS_TRUSTED AWS_CONFIG_FILE AWS_ENDPOINT_URL_S3 VAULT_ADDR KUBECONFIG SSH_ASKPASS TMPDIR MY_PATH'.split(
    ' ',
  ),
)('%s changes what programs do', (name) => {
  expect(steers(name)).toBe(true);
});
test.each(
  'DATABASE_URL AWS_SECRET_ACCESS_KEY VAULT_TOKEN LOG_LEVEL PORT PATHS GITHUB_TOKEN ENVIRONMENT HOMEPAGE'.split(
    ' ',
  ),
)('%s does not', (name) => {
  expect(steers(name)).toBe(false);
});

describe('a secrets.yaml holds no secret', () => {
  let machine: Machine;
  beforeEach(() => {
    machine = makeMachine();
  });
  afterEach(() => machine.remove());
  const SECRET = ISSUED[0] as string;

  test.each([
    ['a variable', (secret: string) => `\nenv: { A: ${secret} }\n`],
    ['a variable’s name', (secret: string) => `\nenv: { ${secret}: a }\n`],
    ['a reference', (secret: string) => `\nenv: { A: local://${secret} }\n`],
    ['a setting', (secret: string) => `\nstores: { v: { provider: vault, mount: ${secret} } }\n`],
    [
      'a setting deep down',
      (secret: string) =>
        `\nstores: { v: { provider: vault, auth: { method: userpass, username: ${secret} } } }\n`,
    ],
    ['the name of a store', (secret: string) => `\nstores: { ${secret}: { provider: local } }\n`],
    ['an unknown key', (secret: string) => `\n${secret}: x\n`],
    ['a provider', (secret: string) => `\nstores: { v: { provider: ${secret} } }\n`],
    ['a profile', (secret: string) => `\nprofiles: { ci: { env: { A: ${secret} } } }\n`],
    ['the default', (secret: string) => `\ndefault: ${secret}\n`],
    ['a comment', (secret: string) => `env: {}\n# ${secret}\n`],
  ])('as %s it is refused by its line, and not repeated', async (_, write) => {
    for (const secret of ISSUED.filter((text) => !text.includes(' '))) {
      machine.write('home/secrets.yaml', write(secret));
      const error = await machine.load('home').then(
        () => undefined,
        (thrown: unknown) => thrown as Error,
      );
      expect(error).toMatchObject({
        kind: 'Usage',
        message: expect.stringMatching(/:2: .*looks like a secret$/) as string,
      });
      expect(`${error?.message} ${String((error as { hint?: string }).hint)}`).not.toContain(secret);
    }
    expect(write(SECRET)).toContain(SECRET);
  });

  test.each([
    ['address', 'stores: { v: { provider: vault, address: "https://me:hunter2@vault.example" } }', 'hunter2'],
    ['mount', 'stores: { v: { provider: vault, mount: q7Zp2LmX9vT4cB8nR1wK6sD3 } }', 'q7Zp2'],
    ['a broken file', 'env: { A: [hunter2hunter2\n', 'hunter2'],
    ['a key that is unknown', 'stores: { v: { provider: vault, token: q7Zp2LmX9vT4cB8nR1wK6sD3 } }', 'q7Zp2'],
  ])('nor does an error about %s show it', async (_, yaml, secret) => {
    machine.write('home/secrets.yaml', yaml);
    const error = (await machine.load('home').catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ kind: 'Usage' });
    expect(error.message).not.toContain(secret);
  });
});
