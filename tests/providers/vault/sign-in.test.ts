import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { vault as descriptor } from '../../../src/providers/vault/descriptor.ts';
import { type Aws, scenarioFiles as awsFiles, startAws } from '../../backends/aws.ts';
import { describeWith } from '../../backends/server.ts';
import { scenarioFiles } from '../../backends/vault.ts';
import { type FaultProxy, startFaultProxy } from '../../contract/fault-proxy.ts';
import { kindOf } from '../../contract/suite.ts';
import { failure, type Kit, now, startKit } from './kit.ts';

const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A JSON Web Token (RFC 7519) with ES256 or RS256. */
function makeJwt(key: KeyObject, claims: object, more: object = {}): string {
  const alg = key.asymmetricKeyType === 'ec' ? 'ES256' : 'RS256';
  const iat = Math.floor(Date.now() / 1000);
  const body = `${base64url({ alg, typ: 'JWT', ...more })}.${base64url({ iat, nbf: iat, exp: iat + 300, ...claims })}`;
  const signature = sign('sha256', Buffer.from(body), { key, dsaEncoding: 'ieee-p1363' });
  return `${body}.${signature.toString('base64url')}`;
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
}

describeWith('vault: sign-in', scenarioFiles, () => {
  let kit: Kit;
  const servers: Server[] = [];
  beforeAll(async () => {
    kit = await startKit();
  });
  afterAll(async () => {
    await kit.stop();
    for (const server of servers) server.close();
  });
  const inFile = (name: string, text: string): string => {
    const file = join(kit.home, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };

  describe('with a JWT', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const claims = { sub: 'ci-job', aud: 'vault.example.com', project: 'acme/app' };
    beforeAll(async () => {
      const pem = publicKey.export({ type: 'spki', format: 'pem' });
      await kit.vault.api('POST', 'sys/auth/jwt', { type: 'jwt' });
      await kit.vault.api('POST', 'auth/jwt/config', { jwt_validation_pubkeys: [pem] });
      await kit.vault.api('POST', 'auth/jwt/role/ci', {
        role_type: 'jwt',
        user_claim: 'sub',
        bound_audiences: ['vault.example.com'],
        bound_claims: { project: 'acme/app' },
        token_policies: ['default'],
      });
    });
    const settings = { auth: { method: 'jwt', role: 'ci' } };

    test('takes it from VAULT_JWT, or from a file', async () => {
      const jwt = makeJwt(privateKey, claims);
      const identity = await kit.start(settings, { VAULT_JWT: jwt }).identity(now());
      expect(identity).toMatchObject({ principal: 'jwt-ci-job', source: 'JWT sign-in' });
      expect(identity.details).toMatchObject({ policies: 'default', 'signed in at': 'auth/jwt/login' });
      inFile('id-token', `${jwt}\n`);
      const fromFile = { auth: { ...settings.auth, 'token-file': 'id-token' } };
      expect((await kit.start(fromFile).identity(now())).principal).toBe('jwt-ci-job');
    });

    test.each([
      ['another audience', { ...claims, aud: 'other.example.com' }, /aud/],
      ['a wrong claim', { ...claims, project: 'acme/other' }, /claim/],
      ['no time left', { ...claims, iat: 1_000_000, nbf: 1_000_000, exp: 1_000_300 }, /expired/],
    ])('with %s is refused, with the reason', async (_title, wrong, reason) => {
      const jwt = makeJwt(privateKey, wrong);
      const error = await failure(kit.start(settings, { VAULT_JWT: jwt }).identity(now()));
      expect(error).toMatchObject({ kind: 'Unauthenticated', exitCode: 4 });
      expect(error.message).toMatch(/^JWT sign-in was refused: /);
      expect(error.message).toMatch(reason);
      for (const part of jwt.split('.')) expect(error.message).not.toContain(part);
    });

    test('of another key, for an unknown role, or without a token is refused', async () => {
      const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
      const attempts = [
        kit.start(settings, { VAULT_JWT: makeJwt(stranger, claims) }),
        kit.start({ auth: { method: 'jwt', role: 'none' } }, { VAULT_JWT: makeJwt(privateKey, claims) }),
        kit.start({ auth: { method: 'jwt', role: 'ci', mount: 'nowhere' } }, { VAULT_JWT: 'a.b.c' }),
        kit.start(settings),
      ];
      const kinds = await Promise.all(attempts.map((provider) => kindOf(provider.identity(now()))));
      expect(kinds).toEqual(attempts.map(() => 'Unauthenticated'));
    });

    test('is checked against a JWKS, at a mount of several segments', async () => {
      const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const keys = [{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'RS256', use: 'sig' }];
      const server = createServer((_request, response) => response.end(JSON.stringify({ keys })));
      servers.push(server);
      await kit.vault.api('POST', 'sys/auth/ci/oidc', { type: 'jwt' });
      await kit.vault.api('POST', 'auth/ci/oidc/config', { jwks_url: await listen(server) });
      const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'v', token_policies: 'default' };
      await kit.vault.api('POST', 'auth/ci/oidc/role/r', role);
      const jwt = makeJwt(pair.privateKey, { sub: 'job-7', aud: 'v' }, { kid: 'k1' });
      const provider = kit.start(
        { auth: { method: 'jwt', mount: '/ci/oidc/', role: 'r' } },
        { VAULT_JWT: jwt },
      );
      expect((await provider.identity(now())).details).toMatchObject({
        'signed in at': 'auth/ci/oidc/login',
      });
    });

    test('is repeated when its token can’t be renewed any longer', async () => {
      const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'v', token_policies: 'default' };
      await kit.vault.api('POST', 'auth/jwt/role/short', { ...role, token_ttl: '2s', token_max_ttl: '3s' });
      await kit.vault.api('POST', 'auth/jwt/role/batch', { ...role, token_ttl: '2s', token_type: 'batch' });
      const VAULT_JWT = makeJwt(privateKey, { sub: 'job', aud: 'v' });
      const warnings: string[] = [];
      const stop = new AbortController();
      const roles = ['short', 'batch'];
      const proxies = await Promise.all(roles.map(() => startFaultProxy({ url: kit.vault.url })));
      const providers = roles.map((name, index) =>
        kit.start({ address: proxies[index]?.url ?? '', auth: { method: 'jwt', role: name } }, { VAULT_JWT }),
      );
      const kept = providers.map(async (provider) =>
        provider.keepAlive?.((message) => warnings.push(message), stop.signal),
      );
      const signIns = (proxy: FaultProxy): number =>
        proxy.requests.filter(({ path }) => path.endsWith('/login')).length;
      while (proxies.some((proxy) => signIns(proxy) < 3))
        await new Promise((resolve) => setTimeout(resolve, 20));
      for (const provider of providers) expect(await kindOf(provider.identity(now()))).toBe('no error');
      stop.abort();
      await Promise.all(kept);
      await Promise.all(proxies.map((proxy) => proxy.stop()));
      expect(warnings).toEqual([]);
    });
  });

  test('a token that can’t be kept alive is warned of', async () => {
    const made = await kit.vault.api('POST', 'auth/token/create', { ttl: '2s', renewable: false });
    const { client_token: token } = made['auth'] as { client_token: string };
    const warnings: string[] = [];
    const provider = kit.start({}, { VAULT_TOKEN: token });
    await provider.keepAlive?.((message) => warnings.push(message), AbortSignal.timeout(20_000));
    expect(warnings).toEqual(['the Vault token ends soon and can’t be renewed']);
  });

  test('with Kubernetes, through the cluster’s token review', async () => {
    // As the Kubernetes API answers: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
    const reviewed: unknown[] = [];
    const server = createServer((request, response) => {
      let text = '';
      request.on('data', (piece: Buffer) => (text += piece.toString()));
      request.on('end', () => {
        const review = JSON.parse(text) as { spec: { token: string } };
        reviewed.push(request.url);
        const authenticated = review.spec.token === jwt;
        const username = 'system:serviceaccount:shop:payments';
        const groups = ['system:serviceaccounts'];
        response.writeHead(201, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ status: { authenticated, user: { username, uid: 'u-1', groups } } }));
      });
    });
    servers.push(server);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const account = { name: 'payments', uid: 'u-1' };
    const jwt = makeJwt(privateKey, {
      iss: 'kubernetes/serviceaccount',
      sub: 'system:serviceaccount:shop:payments',
      'kubernetes.io': { namespace: 'shop', serviceaccount: account },
    });
    await kit.vault.api('POST', 'sys/auth/kubernetes', { type: 'kubernetes' });
    await kit.vault.api('POST', 'auth/kubernetes/config', {
      kubernetes_host: await listen(server),
      disable_local_ca_jwt: true,
    });
    const role = { bound_service_account_namespaces: 'shop', token_policies: 'default' };
    await kit.vault.api('POST', 'auth/kubernetes/role/app', {
      ...role,
      bound_service_account_names: 'payments',
    });
    await kit.vault.api('POST', 'auth/kubernetes/role/other', {
      ...role,
      bound_service_account_names: 'other',
    });
    const auth = { method: 'kubernetes', role: 'app', 'token-file': inFile('account-token', jwt) };
    const provider = kit.start({ auth });
    expect((await provider.identity(now())).principal).toBe('kubernetes-shop-payments');
    expect(reviewed).toEqual(['/apis/authentication.k8s.io/v1/tokenreviews']);
    const refused = await failure(kit.start({ auth: { ...auth, role: 'other' } }).identity(now()));
    expect(refused.kind).toBe('Unauthenticated');
    expect(refused.message).toMatch(/^Kubernetes sign-in was refused: .*not authorized/);
    const outside = await failure(kit.start({ auth: { method: 'kubernetes', role: 'app' } }).identity(now()));
    expect(outside).toMatchObject({
      kind: 'Usage',
      message: expect.stringMatching(/service account/) as string,
    });
  });

  test('with AppRole, from a file and from a wrapped secret id', async () => {
    await kit.vault.api('POST', 'sys/auth/approle', { type: 'approle' });
    await kit.vault.api('POST', 'auth/approle/role/ci', { token_policies: 'default' });
    const { data } = await kit.vault.api('GET', 'auth/approle/role/ci/role-id');
    const VAULT_ROLE_ID = (data as { role_id: string }).role_id;
    const made = await kit.vault.api('POST', 'auth/approle/role/ci/secret-id', {});
    const file = inFile('secret-id', (made['data'] as { secret_id: string }).secret_id);
    const fromFile = kit.start({ auth: { method: 'approle', 'token-file': file } }, { VAULT_ROLE_ID });
    expect((await fromFile.identity(now())).principal).toBe('approle');
    const wrapped = await fetch(`${kit.vault.url}/v1/auth/approle/role/ci/secret-id`, {
      method: 'POST',
      headers: { 'X-Vault-Token': kit.vault.token, 'X-Vault-Wrap-TTL': '60s' },
    });
    const VAULT_SECRET_ID = ((await wrapped.json()) as { wrap_info: { token: string } }).wrap_info.token;
    const settings = { auth: { method: 'approle', wrapped: true } };
    const start = () => kit.start(settings, { VAULT_ROLE_ID, VAULT_SECRET_ID });
    expect((await start().identity(now())).principal).toBe('approle');
    const again = await failure(start().identity(now()));
    expect(again.kind).toBe('Unauthenticated');
    expect(again.message).toMatch(/^the wrapped secret id was refused/);
    expect(again.hint).toMatch(/works once/);
  });

  test.each(['hvs.a\nX-Evil: 1', 'hvs.ü', 'two words'])(
    'a token that can’t be one is refused without repeating it',
    async (VAULT_TOKEN) => {
      const error = await failure(kit.start({}, { VAULT_TOKEN }).identity(now()));
      expect(error.kind).toBe('Unauthenticated');
      expect(`${error.message} ${error.hint}`).not.toContain(VAULT_TOKEN);
    },
  );

  test.each(['..', 'a/../../sys/x', 'a//b', '/'])('the auth mount %j is refused', async (mount) => {
    const provider = kit.start({ auth: { method: 'jwt', mount } }, { VAULT_JWT: 'a.b.c' });
    expect(await kindOf(provider.identity(now()))).toBe('Usage');
  });

  test('what sends a credential somewhere needs trust', () => {
    const items = (settings: object): string[] =>
      descriptor.trustItems(settings as never).map(({ setting }) => setting);
    const everything = {
      address: 'https://v.example',
      mount: 'secret',
      namespace: 'team',
      ca: 'ca.pem',
      'tls-server-name': 'v',
      auth: { method: 'jwt', mount: 'ci', role: 'r', 'token-file': '/etc/token' },
    };
    expect(items(everything)).toEqual([
      'address',
      'mount',
      'namespace',
      'ca',
      'tls-server-name',
      'auth.method',
      'auth.mount',
      'auth.role',
      'auth.token-file',
    ]);
    expect(items({ auth: { method: 'kubernetes' } })).toEqual(['auth.method']);
    expect(items({ auth: { method: 'aws' } })).toEqual(['auth.method']);
    expect(items({ mount: 'secret', auth: { method: 'approle' } })).toEqual(['mount', 'auth.method']);
    expect(items({})).toEqual([]);
  });
});

describeWith('vault: sign-in with AWS', [...scenarioFiles, ...awsFiles], () => {
  let kit: Kit;
  let aws: Aws;
  beforeAll(async () => {
    [kit, aws] = await Promise.all([startKit(), startAws()]);
    await kit.vault.api('POST', 'sys/auth/aws', { type: 'aws' });
    await kit.vault.api('POST', 'auth/aws/config/client', {
      sts_endpoint: aws.url,
      sts_region: 'us-east-1',
      iam_server_id_header_value: 'vault.example.com',
    });
    await kit.vault.api('POST', 'auth/aws/role/app', {
      auth_type: 'iam',
      bound_iam_principal_arn: 'arn:aws:iam::123456789012:user/admin',
      resolve_aws_unique_ids: false,
      token_policies: 'default',
    });
  });
  afterAll(async () => {
    await kit.stop();
    await aws.stop();
  });
  const auth = { method: 'aws', role: 'app', 'server-id': 'vault.example.com' };

  test('proves the identity, which Vault asks STS about', async () => {
    const identity = await kit.start({ auth }, aws.admin).identity(now());
    expect(identity.source).toBe('AWS sign-in');
    expect(identity.principal).toBe('aws-admin');
  });

  test('is refused for another user, another server, and a wrong key', async () => {
    const attempts = [
      kit.start({ auth }, aws.nobody),
      kit.start({ auth: { ...auth, 'server-id': 'other.example.com' } }, aws.admin),
      kit.start({ auth }, { ...aws.admin, AWS_SECRET_ACCESS_KEY: 'wrong' }),
    ];
    for (const provider of attempts) {
      const error = await failure(provider.identity(now()));
      expect(error.kind).toBe('Unauthenticated');
      expect(error.message).toMatch(/^AWS sign-in was refused: /);
      expect(error.message).not.toContain(aws.admin['AWS_SECRET_ACCESS_KEY']);
    }
  });
});
