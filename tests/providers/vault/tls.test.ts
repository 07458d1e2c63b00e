import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeAuthority, makeCertificate, OPENSSL, type Pair } from '../../backends/certificates.ts';
import { describeWith } from '../../backends/server.ts';
import { scenarioFiles } from '../../backends/vault.ts';
import { makePlace } from '../../e2e/program.ts';
import { kindOf } from '../../contract/suite.ts';
import type { SecretsError } from '../../../src/core/errors.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { type Env, failure, type Kit, now, startKit } from './kit.ts';

describeWith('vault: TLS', [...scenarioFiles, OPENSSL], () => {
  let folder: string;
  let authority: Pair;
  let stranger: Pair;
  let server: Pair;
  let client: Pair;
  let kit: Kit;
  let address: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'secrets-tls-'));
    authority = makeAuthority(folder, 'authority');
    stranger = makeAuthority(folder, 'stranger');
    server = makeCertificate(folder, 'server', authority, ['DNS:localhost', 'DNS:vault.test']);
    client = makeCertificate(folder, 'client', authority, ['DNS:client']);
    kit = await startKit(() => ({ tls: server }));
    address = `https://localhost:${kit.vault.tlsPort}`;
  });
  afterAll(async () => {
    await kit.stop();
    rmSync(folder, { recursive: true });
  });
  const start = (env: Env = {}, settings = {}): Provider => kit.asRoot({ address, ...settings }, env);
  const kindFor = (env: Env, settings = {}): Promise<string> => kindOf(start(env, settings).identity(now()));
  const elsewhere = (): string => `https://127.0.0.1:${kit.vault.tlsPort}`;

  /** How a call ends at a web server with that certificate. */
  const throughWeb = async (
    pair: Pair,
    answer: (response: ServerResponse) => unknown,
  ): Promise<SecretsError> => {
    const files = { cert: readFileSync(pair.cert), key: readFileSync(pair.key) };
    const web = createServer(files, (_request, response) => answer(response));
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    const bound = web.address();
    const port = typeof bound === 'object' ? bound?.port : 0;
    try {
      const provider = start({ VAULT_CACERT: authority.cert }, { address: `https://localhost:${port}` });
      return await failure(provider.identity(now()));
    } finally {
      web.close();
      web.closeAllConnections();
    }
  };

  test('NODE_TLS_REJECT_UNAUTHORIZED turns nothing off here, and the child of exec has it', async () => {
    const place = await makePlace();
    const env = { VAULT_ADDR: address, VAULT_TOKEN: kit.vault.token, NODE_TLS_REJECT_UNAUTHORIZED: '0' };
    try {
      const refused = await place.sh('secrets get vault://a', env);
      expect(refused).toMatchObject({ code: 6, stdout: '' });
      expect(refused.stderr).toMatch(/certificate/);
      const child = await place.sh(
        "secrets exec --allow-empty -- sh -c 'echo $NODE_TLS_REJECT_UNAUTHORIZED'",
        env,
      );
      expect(child).toMatchObject({ code: 0, stdout: '0\n' });
    } finally {
      await place.remove();
    }
  });

  test('the authority comes from the setting and from each of Vault’s variables', async () => {
    const pem = readFileSync(authority.cert, 'utf8');
    const path = join(folder, 'many');
    mkdirSync(join(path, 'sub'), { recursive: true });
    for (const { cert } of [stranger, authority])
      copyFileSync(cert, join(path, cert.split('/').at(-1) ?? ''));
    writeFileSync(join(path, 'README'), 'not a certificate');
    expect(await kindFor({}, { ca: authority.cert })).toBe('no error');
    expect(await kindFor({ VAULT_CACERT: authority.cert })).toBe('no error');
    expect(await kindFor({ VAULT_CACERT_BYTES: pem })).toBe('no error');
    expect(await kindFor({ VAULT_CAPATH: path })).toBe('no error');
    // The setting comes first, then the text, then the file.
    expect(await kindFor({ VAULT_CACERT: stranger.cert }, { ca: authority.cert })).toBe('no error');
    expect(await kindFor({ VAULT_CACERT: stranger.cert, VAULT_CACERT_BYTES: pem })).toBe('no error');
    copyFileSync(authority.cert, join(kit.home, 'ca.pem'));
    expect(await kindFor({}, { ca: 'ca.pem' })).toBe('no error');
  });

  test.each([
    ['another authority', () => ({ VAULT_CACERT: stranger.cert })],
    ['the system’s authorities', () => ({})],
  ])('with %s the server is not believed, and nothing is sent', async (_title, env) => {
    const error = await failure(start(env()).identity(now()));
    expect(error).toMatchObject({ kind: 'Unavailable', exitCode: 6 });
    expect(error.message).toMatch(/^the certificate of localhost:\d+ is not trusted \([A-Z_]+\)$/);
    expect(error.hint).toMatch(/VAULT_CACERT/);
  });

  test('a certificate for another name is refused, unless VAULT_TLS_SERVER_NAME or the setting says so', async () => {
    const env = { VAULT_CACERT: authority.cert };
    const error = await failure(start(env, { address: elsewhere() }).identity(now()));
    expect(error.kind).toBe('Unavailable');
    expect(error.message).toMatch(/^the certificate of 127\.0\.0\.1:\d+ is for another name/);
    const named = { ...env, VAULT_TLS_SERVER_NAME: 'vault.test' };
    expect(await kindFor(named, { address: elsewhere() })).toBe('no error');
    expect(await kindFor(env, { address: elsewhere(), 'tls-server-name': 'vault.test' })).toBe('no error');
    expect(await kindFor({ ...env, VAULT_TLS_SERVER_NAME: 'other.test' })).toBe('Unavailable');
  });

  test('an expired certificate is named as such', async () => {
    const old = makeCertificate(folder, 'old', authority, ['DNS:localhost'], -1);
    const error = await throughWeb(old, () => undefined);
    expect(error.message).toMatch(/^the certificate of localhost:\d+ is out of date \(CERT_HAS_EXPIRED\)$/);
  });

  test.each(['1', 'true', 'TRUE', 'yes'])('VAULT_SKIP_VERIFY=%s is refused', async (VAULT_SKIP_VERIFY) => {
    const error = await failure(start({ VAULT_SKIP_VERIFY }).identity(now()));
    expect(error).toMatchObject({
      kind: 'Usage',
      message: expect.stringMatching(/TLS verification can’t be disabled/) as string,
    });
  });

  test('VAULT_SKIP_VERIFY=false and process.env’s change nothing', async () => {
    expect(await kindFor({ VAULT_SKIP_VERIFY: 'false', VAULT_CACERT: authority.cert })).toBe('no error');
    process.env['VAULT_SKIP_VERIFY'] = 'true';
    try {
      expect(await kindFor({})).toBe('Unavailable');
    } finally {
      delete process.env['VAULT_SKIP_VERIFY'];
    }
  });

  test('a file that is missing, or no certificate, is said so', async () => {
    const attempts: [Env, RegExp][] = [
      [{ VAULT_CACERT: join(folder, 'none.pem') }, /cannot read the CA certificate: .*none\.pem/],
      [{ VAULT_CACERT: authority.key }, /holds no certificate/],
      [{ VAULT_CACERT_BYTES: 'x' }, /VAULT_CACERT_BYTES holds no certificate/],
      [{ VAULT_CAPATH: join(folder, 'none') }, /cannot read the folder/],
      [{ VAULT_CLIENT_CERT: client.cert }, /needs both/],
      [{ VAULT_CLIENT_CERT: client.cert, VAULT_CLIENT_KEY: server.key }, /belong together/],
    ];
    for (const [env, message] of attempts) {
      const error = await failure(start(env).identity(now()));
      expect(error.kind).toBe('Usage');
      expect(error.message).toMatch(message);
    }
  });

  test('https never steps down to http for a redirect', async () => {
    const location = `${kit.vault.url}/v1/x`;
    const error = await throughWeb(server, (response) => response.writeHead(307, { location }).end());
    expect(error.kind).toBe('Unavailable');
    expect(error.message).toMatch(/not followed/);
  });

  test('a client certificate is shown, and signs in', async () => {
    const strict = await startKit(() => ({ tls: { ...server, clientCa: authority.cert } }));
    try {
      const env = { VAULT_CACERT: authority.cert };
      const both = { ...env, VAULT_CLIENT_CERT: client.cert, VAULT_CLIENT_KEY: client.key };
      const at = { address: `https://localhost:${strict.vault.tlsPort}` };
      expect(await kindOf(strict.asRoot(at, both).identity(now()))).toBe('no error');
      const none = await failure(strict.asRoot(at, env).identity(now()));
      expect(none.kind).toBe('Unavailable');
      expect(none.hint).toMatch(/VAULT_CLIENT_CERT/);
      await strict.vault.api('POST', 'sys/auth/cert', { type: 'cert' });
      const certificate = readFileSync(authority.cert, 'utf8');
      await strict.vault.api('POST', 'auth/cert/certs/ci', { certificate, token_policies: 'default' });
      const signIn = strict.start({ ...at, auth: { method: 'cert', role: 'ci' } }, both);
      expect(await signIn.identity(now())).toMatchObject({
        principal: 'cert-ci',
        source: 'certificate sign-in',
      });
      const wrong = strict.start({ ...at, auth: { method: 'cert', role: 'none' } }, both);
      expect(await kindOf(wrong.identity(now()))).toBe('Unauthenticated');
    } finally {
      await strict.stop();
    }
  });
});
