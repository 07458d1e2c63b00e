/** Finding the project, and what is said of credentials that can't be used. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Provider } from '../../../src/providers/provider.ts';
import type { StoreSettings } from '../../../src/core/trust.ts';
import { ADMIN, type Account, type Env } from '../../backends/gcp.ts';
import { type Bench, bytes, failure, now, readText, startBench } from './setup.ts';

let bench: Bench;
let admin: Account;
/** As `admin`, with a key that asks for tokens at the double's endpoint. */
let granted: Account;

const withFile = (content: object): Provider =>
  bench.found(
    { GOOGLE_APPLICATION_CREDENTIALS: bench.gcp.file(`${Math.random()}.json`, content) },
    undefined,
    {
      project: bench.gcp.project,
    },
  );

beforeAll(async () => {
  bench = await startBench();
  admin = await bench.gcp.account('admin', ADMIN);
  granted = await bench.gcp.account('granted', ADMIN, `${bench.gcp.url}/token`);
  await bench.store(admin).put('known', { value: bytes('v') }, now());
});
afterAll(() => bench.stop());

describe('the project', () => {
  test('comes from the settings, the variables, the key, or gcloud’s active configuration, in this order', async () => {
    const config = join(bench.gcp.folder, 'gcloud');
    mkdirSync(join(config, 'configurations'), { recursive: true });
    const write = (name: string, project: string): void =>
      writeFileSync(
        join(config, 'configurations', `config_${name}`),
        `[auth]\nproject = wrong\n[core]\naccount = a@b\nproject = ${project}\n[compute]\nproject = wrong\n`,
      );
    write('default', 'of-default');
    write('work', 'of-work');
    const { token = '' } = await bench.gcp.door('token', { principal: 'user:x' });
    const project = async (env: Env, settings: StoreSettings = {}): Promise<string | undefined> =>
      (await bench.found({ CLOUDSDK_CONFIG: config, ...env }, undefined, settings).identity(now())).details?.[
        'project'
      ];
    const key = { GOOGLE_APPLICATION_CREDENTIALS: admin.file };
    const bare = { CLOUDSDK_AUTH_ACCESS_TOKEN: token };
    expect(await project({ ...key, GOOGLE_CLOUD_PROJECT: 'of-env' }, { project: 'of-settings' })).toBe(
      'of-settings',
    );
    expect(await project({ ...key, GOOGLE_CLOUD_PROJECT: 'of-env' })).toBe('of-env');
    expect(await project({ ...key, CLOUDSDK_CORE_PROJECT: 'of-gcloud-env' })).toBe('of-gcloud-env');
    expect(await project(key)).toBe(bench.gcp.project);
    expect(await project(bare)).toBe('of-default');
    expect(await project({ ...bare, CLOUDSDK_ACTIVE_CONFIG_NAME: 'work' })).toBe('of-work');
    writeFileSync(join(config, 'active_config'), 'work');
    expect(await project(bare)).toBe('of-work');
  });

  test('that is nowhere to be found is asked for', async () => {
    const store = bench.found({ CLOUDSDK_AUTH_ACCESS_TOKEN: 'x' });
    expect(await failure(readText(store, 'known'))).toMatch(
      /^Usage: no Google Cloud project; .*GOOGLE_CLOUD_PROJECT/,
    );
  });
});

describe('a credential that can’t be used', () => {
  test.each([
    ['is missing', { credentials: '/nonexistent/key.json' }, /^Unauthenticated: cannot read .*\(ENOENT\)/],
    ['is of another type', { type: 'magic' }, /^Unauthenticated: .* type that is not supported/],
    [
      'has no key',
      { type: 'service_account', client_email: 'a@b' },
      /^Unauthenticated: .*not a usable credential/,
    ],
    ['is a user’s and half', { type: 'authorized_user', client_id: 'x' }, /^Unauthenticated: .*not a usable/],
    ['has no source', { type: 'external_account', audience: 'x' }, /^Unauthenticated: .*not a usable/],
    ['impersonates nobody', { type: 'impersonated_service_account' }, /^Unauthenticated: .*not a usable/],
    [
      'asks in the clear',
      { type: 'service_account', token_uri: 'http://example.com' },
      /^Usage: token_uri .*https/,
    ],
    [
      'exchanges in the clear',
      { type: 'external_account', token_url: 'http://x.example' },
      /^Usage: token_url/,
    ],
    [
      'is of another universe',
      { type: 'service_account', universe_domain: 'other.example' },
      /^Usage: .* is for other\.example/,
    ],
  ])('because it %s says so', async (_title, content, expected) => {
    const store = 'credentials' in content ? bench.found({}, undefined, content) : withFile(content);
    expect(await failure(readText(store, 'known'))).toMatch(expected);
  });

  test('is never quoted', async () => {
    const path = join(bench.gcp.folder, 'broken.json');
    writeFileSync(path, '{"private_key": "hush-hush');
    const broken = bench.found({ GOOGLE_APPLICATION_CREDENTIALS: path });
    const forged = withFile({
      ...granted.key,
      private_key: '-----BEGIN PRIVATE KEY-----\nhush-hush\n-----END PRIVATE KEY-----\n',
    });
    for (const store of [broken, forged]) {
      const text = await failure(readText(store, 'known'));
      expect(text).toMatch(/^Unauthenticated/);
      expect(text).not.toMatch(/hush/);
    }
  });
});

test('a token endpoint that hangs or can’t be reached ends in time', async () => {
  const silent = createServer((socket) => socket.on('error', () => undefined).resume());
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  const slow = withFile({ ...admin.key, token_uri: `http://127.0.0.1:${port}/token` });
  const [result] = await slow.get([{ name: 'known' }], { signal: AbortSignal.timeout(500) });
  expect(result?.ok === false && result.error.kind).toBe('Unavailable');
  await slow.close();
  await new Promise((resolve) => silent.close(resolve));
  const nobody = withFile({ ...admin.key, token_uri: `http://127.0.0.1:${port}/token` });
  expect(await failure(readText(nobody, 'known'))).toMatch(
    /^Unavailable: cannot sign in with .*ECONNREFUSED/,
  );
});

test('calls are counted for the quota project, over both transports', async () => {
  for (const [transport, endpoint] of [
    ['rest', bench.gcp.url],
    ['grpc', bench.gcp.grpcUrl],
  ] as const)
    expect(
      await readText(bench.store(admin, { transport, endpoint, 'quota-project': 'payer' }), 'known'),
    ).toBe('v');
  expect((await bench.gcp.door<{ quota: string[] }>('quota')).quota).toEqual(['payer', 'payer']);
});
