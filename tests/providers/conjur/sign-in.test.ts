import { createSign, generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { conjur as descriptor } from '../../../src/providers/conjur/descriptor.ts';
import { readConfig } from '../../../src/providers/conjur/config.ts';
import { open } from '../../../src/providers/conjur/index.ts';
import type { Identity, Provider } from '../../../src/providers/provider.ts';
import type { StoreSettings } from '../../../src/core/trust.ts';
import { ACCOUNT, type Conjur, startConjur } from '../../backends/conjur.ts';
import { contextFor, kindOf, readOne } from '../../contract/suite.ts';

describe('conjur sign-in', () => {
  let conjur: Conjur;
  let home: string;
  const opened: Provider[] = [];
  type Env = Readonly<Record<string, string>>;
  const start = (settings: StoreSettings, env: Env): Provider => {
    const provider = open(settings, contextFor(env, home));
    opened.push(provider);
    return provider;
  };
  const now = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(120_000) });
  const who = (settings: StoreSettings, env: Env): Promise<Identity> => start(settings, env).identity(now());
  const file = (name: string, text: string, mode = 0o600): string => {
    const path = join(home, name);
    writeFileSync(path, text, { mode });
    chmodSync(path, mode);
    return path;
  };
  /** The server, without a credential. */
  const server = (): Record<string, string> => ({
    CONJUR_APPLIANCE_URL: conjur.url,
    CONJUR_ACCOUNT: ACCOUNT,
    CONJUR_CERT_FILE: conjur.caFile,
  });
  const netrc = (login = 'host/reader', url = conjur.url): string =>
    `# a comment machine ${url}/authn\nmachine other login x password y\nmachine ${url}/authn\n  login ${login}\n  password ${conjur.keys[login]}\n`;

  beforeAll(async () => {
    conjur = await startConjur();
  });
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'secrets-conjur-home-'));
  });
  afterEach(async () => {
    await conjur.control('/clock', '0');
    await Promise.all(opened.splice(0).map((provider) => provider.close()));
    rmSync(home, { recursive: true });
  });
  afterAll(async () => {
    const problems = await conjur.problems();
    await conjur.stop();
    expect(problems).toEqual([]);
  });

  test('with an API key, as a user and as a host', async () => {
    expect(await who({}, conjur.env())).toMatchObject({
      principal: 'acme:user:admin',
      source: 'CONJUR_AUTHN_API_KEY of admin',
      details: { account: 'acme' },
    });
    expect((await who({}, conjur.env('host/reader'))).principal).toBe('acme:host:reader');
  });

  test('names no key of a sign-in that was refused', async () => {
    const refused = who({}, { ...conjur.env('host/reader'), CONJUR_AUTHN_API_KEY: 'k'.repeat(60) });
    await expect(refused).rejects.toMatchObject({
      kind: 'Unauthenticated',
      message: 'sign-in was refused (CONJUR_AUTHN_API_KEY of host/reader)',
    });
  });

  test('with what `conjur login` left in ~/.netrc, for this server alone', async () => {
    const path = file('.netrc', netrc());
    expect(await who({}, server())).toMatchObject({ principal: 'acme:host:reader' });
    expect(await who({ url: `${conjur.url}/` }, server())).toMatchObject({
      source: `${path} of host/reader`,
    });
    file('.netrc', netrc('host/reader', 'https://elsewhere.example.com'));
    expect(await kindOf(who({}, server()))).toBe('Unauthenticated');
    file('.netrc', `default login host/reader password ${conjur.keys['host/reader']}\n`);
    expect(await kindOf(who({}, server()))).toBe('Unauthenticated');
    const other = file('other-netrc', netrc('host/writer'));
    expect(await who({}, { ...server(), CONJUR_NETRC_PATH: other })).toMatchObject({
      principal: 'acme:host:writer',
    });
    const settings = { auth: { method: 'api-key', netrc: other, login: 'host/reader' } };
    expect(await kindOf(who(settings, server()))).toBe('Unauthenticated');
  });

  test('refuses a netrc file that others can read', async () => {
    file('.netrc', netrc(), 0o644);
    await expect(who({}, server())).rejects.toMatchObject({
      kind: 'Denied',
      hint: expect.stringMatching(/^run: chmod 600 /),
    });
  });

  test.each([
    [
      'as the CLI writes it',
      (url: string, ca: string) => `account: acme\nappliance_url: ${url}\ncert_file: ${ca}\n`,
    ],
    [
      'quoted and commented',
      (url: string, ca: string) =>
        `---\n# mine\naccount: "acme"\nappliance_url: '${url}'\ncert_file: ${ca}\nservice_id:\n`,
    ],
    [
      'of the Python CLI',
      (url: string, ca: string) => `conjur_account: acme\nconjur_url: ${url}\ncert_file: ${ca}\n`,
    ],
    [
      'in YAML’s other styles',
      (url: string, ca: string) => `{ account: acme, appliance_url: "${url}", cert_file: "${ca}" }\n`,
    ],
  ])('finds the server in a .conjurrc %s', async (_title, text) => {
    const key = { CONJUR_AUTHN_LOGIN: 'admin', CONJUR_AUTHN_API_KEY: conjur.keys['admin'] ?? '' };
    file('.conjurrc', text(conjur.url, conjur.caFile));
    expect((await who({}, key)).principal).toBe('acme:user:admin');
  });

  test('puts a store’s settings before variables, and those before the file', async () => {
    file('.conjurrc', 'account: of-the-file\nappliance_url: https://file.example.com\n');
    const env = { ...conjur.env(), CONJUR_ACCOUNT: 'of-the-variables' };
    expect(await kindOf(who({}, env))).toBe('Unauthenticated');
    expect((await who({ account: ACCOUNT }, env)).principal).toBe('acme:user:admin');
    const rc = file('rc', `account: acme\n`);
    const { CONJUR_ACCOUNT: _, ...rest } = conjur.env();
    expect((await who({}, { ...rest, CONJURRC: rc })).principal).toBe('acme:user:admin');
  });

  test('says what is missing', async () => {
    await expect(who({}, {})).rejects.toMatchObject({ kind: 'Usage', message: 'no Conjur URL' });
    const { CONJUR_ACCOUNT: _, ...rest } = conjur.env();
    await expect(who({}, rest)).rejects.toMatchObject({ kind: 'Usage', message: 'no Conjur account' });
    await expect(who({}, server())).rejects.toMatchObject({
      kind: 'Unauthenticated',
      hint: expect.stringMatching(/CONJUR_AUTHN_LOGIN.*conjur login/),
    });
    const oidc = { ...server(), CONJUR_AUTHN_TYPE: 'oidc' };
    await expect(who({}, oidc)).rejects.toMatchObject({
      kind: 'Usage',
      message: expect.stringMatching(/authn-oidc/),
    });
  });

  test.each([
    ['https://acme.secretsmgr.cyberark.cloud', 'https://acme.secretsmgr.cyberark.cloud/api', 'conjur'],
    ['acme-secretsmanager.cyberark.cloud/api/', 'https://acme-secretsmanager.cyberark.cloud/api', 'conjur'],
    ['conjur.example.com/path/', 'https://conjur.example.com/path', undefined],
    [
      'https://secretsmgr.cyberark.cloud.example.com',
      'https://secretsmgr.cyberark.cloud.example.com',
      undefined,
    ],
  ])('reads the URL %s as the CLI does', async (written, url, account) => {
    const config = readConfig({ url: written }, contextFor({}, home));
    if (account === undefined) await expect(config).rejects.toMatchObject({ message: 'no Conjur account' });
    else expect(await config).toMatchObject({ url, account });
    const named = await readConfig({ url: written, account: 'acme' }, contextFor({}, home));
    expect(named).toMatchObject({ url, account: 'acme' });
  });

  test.each([
    ['http://conjur.example.com', /must be https/],
    ['https://exa mple', /not a URL/],
    ['https://user:pw@conjur.example.com', /must not contain/],
    ['https://conjur.example.com/?x=1', /must end with its path/],
  ])('refuses the URL %j before any call', (url, message) => {
    expect(() => open({ url }, contextFor({}, '/nonexistent'))).toThrow(message);
  });

  test('does not believe a server whose authority it was not given', async () => {
    const { CONJUR_CERT_FILE: _, ...rest } = conjur.env();
    await expect(who({}, rest)).rejects.toMatchObject({
      kind: 'Unavailable',
      message: expect.stringMatching(/^the server’s certificate is not trusted/),
      hint: expect.stringMatching(/CONJUR_CERT_FILE/),
    });
    const pem = { ...rest, CONJUR_SSL_CERTIFICATE: conjur.tls.cert };
    expect((await who({}, pem)).principal).toBe('acme:user:admin');
    expect((await who({ ca: conjur.caFile }, rest)).principal).toBe('acme:user:admin');
  });

  describe('with an access token', () => {
    const tokenOf = (): Promise<string> =>
      conjur.api(
        'POST',
        `/authn/${ACCOUNT}/${encodeURIComponent('host/reader')}/authenticate`,
        conjur.keys['host/reader'],
        {
          'Content-Type': 'text/plain',
        },
      );

    test('of a variable or a file, as JSON or in base64', async () => {
      const token = await tokenOf();
      const base64 = Buffer.from(token).toString('base64');
      for (const text of [token, base64]) {
        expect(await who({}, { ...server(), CONJUR_AUTHN_TOKEN: text })).toMatchObject({
          principal: 'acme:host:reader',
          source: 'CONJUR_AUTHN_TOKEN',
        });
        const path = file('token', `${text}\n`);
        expect((await who({}, { ...server(), CONJUR_AUTHN_TOKEN_FILE: path })).source).toBe(path);
        const settings = { auth: { method: 'token', 'token-file': path } };
        expect((await who(settings, conjur.env())).principal).toBe('acme:host:reader');
      }
      for (const text of ['nonsense', '{}', 'e30='])
        expect(await kindOf(who({}, { ...server(), CONJUR_AUTHN_TOKEN: text }))).toBe('Unauthenticated');
    });

    test('that has ended, unless its file has a new one', async () => {
      const path = file('token', await tokenOf());
      const fixed = start({}, { ...server(), CONJUR_AUTHN_TOKEN: await tokenOf() });
      const renewed = start({}, { ...server(), CONJUR_AUTHN_TOKEN_FILE: path });
      expect(await kindOf(renewed.identity(now()))).toBe('no error');
      await conjur.control('/clock', '540');
      await expect(fixed.identity(now())).rejects.toMatchObject({
        kind: 'Unauthenticated',
        message: 'Conjur rejects the access token (CONJUR_AUTHN_TOKEN)',
      });
      file('token', await tokenOf());
      expect(await kindOf(renewed.identity(now()))).toBe('no error');
    });
  });

  test('takes a page for somebody else’s, not for a missing secret', async () => {
    const web = createServer((_, response) => {
      response.writeHead(404, { 'Content-Type': 'text/html' }).end('<title>Not here</title>');
    });
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
    const { CONJUR_AUTHN_API_KEY: _, ...rest } = conjur.env();
    const token = await conjur.api('POST', `/authn/${ACCOUNT}/admin/authenticate`, conjur.keys['admin'], {
      'Content-Type': 'text/plain',
    });
    try {
      for (const env of [conjur.env(), { ...rest, CONJUR_AUTHN_TOKEN: token }])
        await expect(readOne(start({ url }, env), { name: 'a' })).rejects.toMatchObject({
          kind: 'Unavailable',
          message: 'the response is not from Conjur',
        });
    } finally {
      web.closeAllConnections();
      web.close();
    }
  });

  test('keeps a token for many calls, and fetches a new one when it has ended', async () => {
    const provider = start({}, conjur.env());
    await conjur.api('PATCH', '/policies/acme/policy/root', '- !variable sign-in/a', {
      'Content-Type': 'application/x-yaml',
    });
    await conjur.log();
    const signIns = async (): Promise<number> =>
      (await conjur.log()).filter((line) => line.includes('/authenticate')).length;
    await Promise.all(
      ['a', 'b', 'c'].map((one) => provider.put(`sign-in/${one}`, { value: Buffer.from('v') }, now())),
    );
    await readOne(provider, { name: 'sign-in/a' });
    expect(await signIns()).toBe(1);
    await conjur.control('/clock', '540');
    await provider.put('sign-in/a', { value: Buffer.from('later') }, now());
    expect(Buffer.from((await readOne(provider, { name: 'sign-in/a' })).value).toString()).toBe('later');
    expect(await signIns()).toBe(1);
  });

  describe('by authn-jwt', () => {
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const jwt = (claims: object = {}, key = conjur.jwtKey): string => {
      const exp = Math.floor(Date.now() / 1000) + 300;
      const all = {
        iss: 'https://ci.example.com',
        aud: 'conjur',
        sub: 'builds',
        project: 'payments',
        exp,
        ...claims,
      };
      const signed = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(all)}`;
      return `${signed}.${createSign('sha256').update(signed).sign(key, 'base64url')}`;
    };

    test('with a variable, as the CLI takes it', async () => {
      const env = { ...server(), CONJUR_AUTHN_JWT_SERVICE_ID: 'ci', CONJUR_AUTHN_JWT_TOKEN: jwt() };
      expect(await who({}, env)).toMatchObject({
        principal: 'acme:host:ci/builds',
        source: 'authn-jwt/ci with CONJUR_AUTHN_JWT_TOKEN',
      });
    });

    test('with a file and the host in the URL, from the settings', async () => {
      const path = file('jwt', `${jwt()}\n`, 0o644);
      const auth = { method: 'jwt', 'service-id': 'ci', 'jwt-file': path };
      const env = { ...server(), CONJUR_AUTHN_JWT_TOKEN: 'another' };
      expect((await who({ auth }, env)).source).toBe(`authn-jwt/ci with ${path}`);
      expect((await who({ auth: { ...auth, login: 'host/ci/builds' } }, env)).principal).toBe(
        'acme:host:ci/builds',
      );
    });

    test.each([
      [
        'another key',
        () =>
          jwt(
            {},
            generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
              type: 'pkcs8',
              format: 'pem',
            }) as string,
          ),
      ],
      ['another project', () => jwt({ project: 'other' })],
      ['another issuer', () => jwt({ iss: 'https://other.example.com' })],
      ['an end in the past', () => jwt({ exp: 1 })],
      ['a host without the permission', () => jwt({ sub: 'nobody' })],
      ['no JWT at all', () => 'x'],
    ])('not with %s', async (_title, make) => {
      const token = make();
      const env = { ...server(), CONJUR_AUTHN_JWT_SERVICE_ID: 'ci', CONJUR_AUTHN_JWT_TOKEN: token };
      const refused = who({}, env);
      await expect(refused).rejects.toMatchObject({
        kind: 'Unauthenticated',
        message: 'sign-in was refused (authn-jwt/ci with CONJUR_AUTHN_JWT_TOKEN)',
      });
    });
  });

  describe('by authn-iam', () => {
    const auth = {
      method: 'iam',
      'service-id': 'prod',
      login: 'ci/123456789012/deployer',
      region: 'eu-west-1',
    };
    const keys = {
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'an aws secret',
      AWS_SESSION_TOKEN: 'a session',
    };

    test('with AWS credentials of the host’s role', async () => {
      expect(await who({ auth }, { ...server(), ...keys })).toMatchObject({
        principal: 'acme:host:ci/123456789012/deployer',
        source: 'authn-iam/prod as host/ci/123456789012/deployer',
      });
      const env = {
        ...server(),
        ...keys,
        CONJUR_AUTHN_TYPE: 'iam',
        CONJUR_SERVICE_ID: 'prod',
        CONJUR_AUTHN_JWT_HOST_ID: 'host/ci/123456789012/deployer',
      };
      expect((await who({}, env)).principal).toBe('acme:host:ci/123456789012/deployer');
    });

    test.each([
      ['another secret key', auth, { ...keys, AWS_SECRET_ACCESS_KEY: 'wrong' }, 'Unauthenticated'],
      ['another role’s host', { ...auth, login: 'host/ci/123456789012/other' }, keys, 'Unauthenticated'],
      ['no region of AWS', { ...auth, region: 'evil.example.com/' }, keys, 'Usage'],
    ])('not with %s', async (_title, settings, env, kind) => {
      expect(await kindOf(who({ auth: settings }, { ...server(), ...env }))).toBe(kind);
    });
  });

  test('knows its native ids, its secrets, and what needs trust', () => {
    expect(descriptor.native?.('acme:variable:app/db:password')).toEqual({
      name: 'app/db:password',
      settings: { account: 'acme' },
    });
    for (const text of [
      'acme:user:ann',
      'conjur://app/db',
      'app/db',
      'acme:variable:',
      'arn:aws:secretsmanager:x',
    ])
      expect(descriptor.native?.(text)).toBeUndefined();
    const settings = {
      url: 'https://conjur.example.com',
      ca: 'ca.pem',
      account: 'acme',
      policy: 'app',
      auth: { method: 'jwt', netrc: 'n', 'token-file': 't', 'jwt-file': 'j' },
    };
    expect(
      descriptor
        .trustItems(settings)
        .map(({ setting }) => setting)
        .join(' '),
    ).toBe('url ca account policy auth.method auth.netrc auth.token-file auth.jwt-file');
    expect(descriptor.trustItems({})).toEqual([]);
  });
});
