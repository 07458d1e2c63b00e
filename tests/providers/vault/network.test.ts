import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { type Recorder, startRecorder } from '../../backends/recorder.ts';
import { describeWith } from '../../backends/server.ts';
import { scenarioFiles } from '../../backends/vault.ts';
import { kindOf, readOne } from '../../contract/suite.ts';
import type { Finding, Provider } from '../../../src/providers/provider.ts';
import { all, bytes, failure, type Kit, now, startKit } from './kit.ts';

const finding = async (provider: Provider, check: string): Promise<Finding | undefined> =>
  (await provider.diagnose(now())).find((one) => one.check === check);

describeWith('vault: standby', scenarioFiles, () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await startKit(() => ({ standby: true }));
  });
  afterAll(() => kit.stop());
  const throughStandby = (env = {}): Provider => kit.asRoot({ address: kit.vault.standbyUrl }, env);

  test('redirects to the active node, for every kind of call', async () => {
    const provider = throughStandby();
    await provider.put('a', { value: bytes('1'), labels: { team: 'pay' } }, now());
    await provider.put('a', { value: bytes('2'), stage: 'pending' }, now());
    expect((await readOne(provider, { name: 'a' })).id).toBe('1');
    expect((await all(provider.list({}, now()))).map(({ name }) => name)).toEqual(['a']);
    await provider.delete('a', {}, now());
    expect(await kindOf(readOne(kit.asRoot(), { name: 'a' }))).toBe('NotFound');
    expect(await finding(provider, 'server')).toMatchObject({
      status: 'ok',
      detail: expect.stringMatching(/^Vault 1\.21\.0 at .*, a standby$/) as string,
    });
  });

  test('is named when VAULT_DISABLE_REDIRECTS is set', async () => {
    const error = await failure(readOne(throughStandby({ VAULT_DISABLE_REDIRECTS: 'true' }), { name: 'a' }));
    expect(error).toMatchObject({
      kind: 'Unavailable',
      message: expect.stringMatching(/is a standby/) as string,
    });
  });

  test('takes over when the active node is sealed, and secrets are still there', async () => {
    const provider = throughStandby();
    await provider.put('kept', { value: bytes('v') }, now());
    await kit.vault.api('PUT', 'sys/seal');
    const sealed = await failure(readOne(kit.asRoot(), { name: 'kept' }));
    expect(sealed).toMatchObject({ kind: 'Unavailable', message: 'Vault is sealed' });
    expect(await finding(kit.asRoot(), 'server')).toMatchObject({
      status: 'fail',
      detail: expect.stringMatching(/is sealed/) as string,
    });
    const end = Date.now() + 120_000;
    while ((await kindOf(readOne(provider, { name: 'kept' }))) !== 'no error' && Date.now() < end)
      await pause(100);
    expect(Buffer.from((await readOne(provider, { name: 'kept' })).value).toString()).toBe('v');
  });
});

describeWith('vault: what a server answers', scenarioFiles, () => {
  let kit: Kit;
  let recorder: Recorder;
  beforeAll(async () => {
    kit = await startKit();
    recorder = await startRecorder(kit.vault.url);
    await kit.asRoot().put('there', { value: bytes('v') }, now());
  });
  beforeEach(() => {
    recorder.intercept = () => undefined;
    recorder.requests.length = 0;
  });
  afterAll(async () => {
    await kit.stop();
    await recorder.stop();
  });
  const through = (settings = {}, env = {}): Provider =>
    kit.asRoot({ address: recorder.url, 'kv-version': 2, ...settings }, env);
  const read = (provider: Provider): Promise<unknown> => readOne(provider, { name: 'there' });

  describe('redirects', () => {
    test.each([
      [
        'http://vault.example.com:8200/v1/secret/data/there',
        /http:\/\/vault\.example\.com:8200 was not followed/,
      ],
      ['http://10.0.0.5/v1/x', /not followed/],
      ['ftp://127.0.0.1/v1/x', /not followed/],
      ['https://user:pw@127.0.0.1/v1/x', /not followed/],
      ['http://', /not followed/],
    ])('to %s is not followed', async (location, message) => {
      recorder.intercept = () => ({ status: 307, headers: { location } });
      const error = await failure(read(through()));
      expect(error.kind).toBe('Unavailable');
      expect(error.message).toMatch(message);
      expect(error.message).not.toContain('pw');
      expect(recorder.requests.length).toBe(1);
    });

    test('is followed once', async () => {
      recorder.intercept = ({ path }) => ({ status: 307, headers: { location: recorder.url + path } });
      const error = await failure(read(through()));
      expect(error).toMatchObject({ kind: 'Unavailable', message: 'the active Vault node redirects too' });
      expect(recorder.requests.length).toBe(2);
    });

    test('keeps method, body and token', async () => {
      const second = await startRecorder(kit.vault.url);
      recorder.intercept = ({ path }) => ({ status: 307, headers: { location: second.url + path } });
      await through().put('redirected', { value: bytes('whole') }, now());
      expect(second.requests[0]).toMatchObject({
        method: 'POST',
        path: '/v1/secret/data/redirected',
        headers: { 'x-vault-token': kit.vault.token },
      });
      await second.stop();
      recorder.intercept = () => ({ status: 307, headers: { location: `${second.url}/v1/x` } });
      const error = await failure(read(through()));
      expect(error.message).toBe(`cannot reach ${new URL(second.url).host} (ECONNREFUSED)`);
    });
  });

  describe('statuses', () => {
    test.each([
      [503, 'Vault is sealed', 'Unavailable', 'Vault is sealed'],
      [503, 'no active Vault instance found', 'Unavailable', 'Vault has no active node'],
      [503, '', 'Unavailable', 'Vault is under maintenance or overloaded'],
      [501, '', 'Unavailable', 'Vault is not initialised'],
      [473, '', 'Unavailable', 'this Vault node is a standby'],
      [412, '', 'Unavailable', 'this Vault node lags behind the active one'],
      [429, 'request path "x": rate limit quota exceeded', 'Throttled', 'Vault’s rate limit is reached'],
      [
        500,
        '1 error occurred:\n\t* internal error\n\n',
        'Unavailable',
        'Vault answered with status 500: internal error',
      ],
      [400, 'bad thing', 'Invalid', 'bad thing'],
    ] as const)('%d with %j is its own error', async (status, text, kind, message) => {
      recorder.intercept = () => ({ status, body: { errors: text === '' ? [] : [text] } });
      expect(await failure(read(through()))).toMatchObject({ kind, message });
    });

    test('a read is repeated when a node lags behind, a write is not sent twice', async () => {
      let failures = 2;
      recorder.intercept = () => ((failures -= 1) < 0 ? undefined : { status: 412 });
      expect(await kindOf(read(through()))).toBe('no error');
      expect(recorder.requests.length).toBe(3);
      recorder.requests.length = 0;
      recorder.intercept = () => ({ status: 412 });
      expect(await kindOf(through().put('x', { value: bytes('v') }, now()))).toBe('Unavailable');
      expect(recorder.requests.length).toBe(1);
    });

    test('a new mount that still upgrades itself is waited for', async () => {
      await kit.vault.api('POST', 'sys/mounts/new', { type: 'kv', options: { version: '2' } });
      expect((await kit.asRoot({ mount: 'new' }).put('x', { value: bytes('v') }, now())).id).toBe('1');
    });

    test('a secret’s name may look like a health check', async () => {
      const name = 'sys/health/probe';
      const provider = through();
      expect(await kindOf(readOne(provider, { name }))).toBe('NotFound');
      await provider.put(name, { value: bytes('v'), ifAbsent: true }, now());
      expect(await kindOf(provider.put(name, { value: bytes('v'), ifAbsent: true }, now()))).toBe('Conflict');
    });
  });

  describe('namespaces', () => {
    const headers = (): unknown[] => recorder.requests.map((one) => one.headers['x-vault-namespace']);

    test('VAULT_NAMESPACE is sent with each call; paths stay as they are', async () => {
      const provider = through({}, { VAULT_NAMESPACE: '/admin/team/' });
      await read(provider);
      await all(provider.list({}, now()));
      expect(recorder.requests.length).toBeGreaterThan(2);
      expect(new Set(headers())).toEqual(new Set(['admin/team']));
      expect(recorder.requests[0]?.path).toBe('/v1/secret/data/there');
      expect((await provider.identity(now())).details).toMatchObject({ namespace: 'admin/team' });
    });

    test('the setting comes before the variable, and sign-in happens there too', async () => {
      const auth = { method: 'jwt', role: 'r' };
      const provider = through({ namespace: 'ci', auth }, { VAULT_NAMESPACE: 'other', VAULT_JWT: 'a.b.c' });
      expect(await kindOf(provider.identity(now()))).toBe('Unauthenticated');
      expect(recorder.requests.map(({ path }) => path)).toEqual(['/v1/auth/jwt/login']);
      expect(headers()).toEqual(['ci']);
      expect(recorder.requests[0]?.headers['x-vault-token']).toBeUndefined();
    });

    test('without one no header is sent, whatever this process’s own environment has', async () => {
      process.env['VAULT_NAMESPACE'] = 'not-ours';
      process.env['VAULT_PREFIX'] = '/not-ours';
      try {
        await read(through());
      } finally {
        delete process.env['VAULT_NAMESPACE'];
        delete process.env['VAULT_PREFIX'];
      }
      expect(headers()).toEqual([undefined]);
    });

    test('health is asked outside of it', async () => {
      expect(await finding(through({ namespace: 'team' }), 'server')).toMatchObject({
        status: 'ok',
        detail: expect.stringMatching(/, namespace team$/) as string,
      });
      const health = recorder.requests.filter(({ path }) => path.startsWith('/v1/sys/health'));
      expect(health.map((one) => one.headers['x-vault-namespace'])).toEqual(health.map(() => undefined));
      expect(health.map((one) => one.headers['x-vault-token'])).toEqual(health.map(() => undefined));
    });

    test.each(['a b', 'a\nX-Evil: 1', '../root'])('%j is refused', (namespace) => {
      expect(() => through({ namespace })).toThrow(/not a path of namespaces/);
    });
  });

  test.each(['a/../b', '', '/', 'a//b', 'a\nb'])('the mount %j is refused', (mount) => {
    expect(() => through({ mount })).toThrow(/not the path of a KV engine/);
  });

  describe('doctor', () => {
    test('looks at server, clock, credential, engine and rights', async () => {
      const token = await kit.tokenWith(
        `path "secret/data/*" { capabilities = ["read", "create"] }
         path "secret/metadata/*" { capabilities = ["list"] }`,
        { display_name: 'ci', ttl: '1h' },
      );
      const findings = await kit.start({}, { VAULT_TOKEN: token }).diagnose(now());
      expect(findings.map(({ check, status }) => `${check} ${status}`)).toEqual([
        'server ok',
        'clock ok',
        'credential ok',
        'engine ok',
        'rights ok',
      ]);
      expect(findings.map(({ detail }) => detail)).toEqual([
        `Vault 1.21.0 at ${kit.vault.url}`,
        'agrees with the server’s',
        expect.stringMatching(/^token-ci from VAULT_TOKEN, policies default, tested-\d+, expires in 3\d+ s$/),
        'secret/ is KV version 2',
        'everywhere in secret/: list, read, create',
      ]);
      for (const { detail, hint } of findings) expect(`${detail} ${hint}`).not.toContain(token);
    });

    test('warns of a root token, and of rights on single secrets only', async () => {
      expect(await finding(kit.asRoot(), 'credential')).toMatchObject({
        status: 'warn',
        hint: expect.stringMatching(/root token/) as string,
      });
      const token = await kit.tokenWith('path "secret/data/one" { capabilities = ["read"] }');
      expect(await finding(kit.start({}, { VAULT_TOKEN: token }), 'rights')).toMatchObject({
        status: 'warn',
      });
    });

    test('warns of clocks that differ', async () => {
      const body = { initialized: true, sealed: false, standby: false, version: '1.21.0' };
      const theirs = Math.floor(Date.now() / 1000) + 3600;
      recorder.intercept = ({ path }) =>
        path.startsWith('/v1/sys/health')
          ? { status: 200, body: { ...body, server_time_utc: theirs } }
          : undefined;
      expect(await finding(through(), 'clock')).toMatchObject({
        status: 'warn',
        detail: expect.stringMatching(/^is 3\d{3} s behind the server’s$/) as string,
      });
    });

    test('says what is wrong with the first thing that is', async () => {
      const findings = await kit.start({}, { VAULT_TOKEN: 'hvs.nobody' }).diagnose(now());
      expect(findings.at(-1)).toMatchObject({ check: 'credential', status: 'fail' });
      const web = createServer((_request, response) => response.end('<html>'));
      await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
      const address = web.address();
      const port = typeof address === 'object' ? address?.port : 0;
      const other = await kit.asRoot({ address: `http://127.0.0.1:${port}` }).diagnose(now());
      web.close();
      expect(other).toEqual([
        expect.objectContaining({
          check: 'server',
          status: 'fail',
          detail: 'the response is not from Vault',
        }),
      ]);
    });
  });
});
