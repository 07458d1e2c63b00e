/** Google's own addresses, with nothing overridden, through the proxy that the environment names. */
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { ADMIN, type Account } from '../../backends/gcp.ts';
import { open } from '../../../src/providers/gcp/index.ts';
import { contextFor } from '../../contract/suite.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import type { StoreSettings } from '../../../src/core/trust.ts';
import { type Bench, bytes, failure, now, readText, startBench } from './setup.ts';

let bench: Bench;
let admin: Account;
let proxy: Server;
/** What the proxy was asked to connect to, with the credential for it. */
let asked: string[] = [];
const opened: Provider[] = [];
const direct = (env: Record<string, string>, settings: StoreSettings = {}): Provider => {
  const home = '/nonexistent';
  const base = { ca: bench.gcp.caFile, credentials: admin.file };
  const provider = open({ ...base, ...settings }, contextFor(env, home));
  opened.push(provider);
  return provider;
};
const address = (login = ''): string => `http://${login}127.0.0.1:${(proxy.address() as AddressInfo).port}`;

beforeAll(async () => {
  bench = await startBench();
  admin = await bench.gcp.account('admin', ADMIN);
  proxy = createServer().on('connect', (request, client, head) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim());
    const url = request.url?.includes('.rep.') === true ? bench.gcp.regionalUrl : bench.gcp.url;
    const server = connect(Number(new URL(url).port), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      server.write(head);
      server.pipe(client).pipe(server);
    });
    for (const socket of [client, server]) socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
});
beforeEach(() => {
  asked = [];
});
afterAll(async () => {
  await Promise.all(opened.map((provider) => provider.close()));
  proxy.close();
  await bench.stop();
});

test('global secrets are asked for at secretmanager.googleapis.com, over one connection', async () => {
  const store = direct({ HTTPS_PROXY: address('user:pass@') });
  await store.put('through', { value: bytes('v') }, now());
  expect(await readText(store, 'through')).toBe('v');
  expect(asked).toEqual([
    `secretmanager.googleapis.com:443 Basic ${Buffer.from('user:pass').toString('base64')}`,
  ]);
});

test('regional secrets are asked for at their region’s endpoint', async () => {
  const store = direct({ https_proxy: address() }, { location: bench.gcp.location });
  await store.put('there', { value: bytes('v') }, now());
  expect(await readText(store, 'there')).toBe('v');
  expect(asked).toEqual(['secretmanager.europe-west3.rep.googleapis.com:443']);
});

test('impersonation goes to Google’s addresses, the same way', async () => {
  const { email } = await bench.gcp.account('target', ADMIN);
  await bench.gcp.door('creator', { target: email, principal: `serviceAccount:${admin.email}` });
  const store = direct({ HTTPS_PROXY: address() }, { impersonate: email });
  expect(await readText(store, 'through')).toBe('v');
  expect(asked.map((line) => line.split('.', 1)[0]).toSorted()).toEqual([
    'iamcredentials',
    'oauth2',
    'secretmanager',
  ]);
});

test('a universe of its own has its own addresses', async () => {
  const key = bench.gcp.file('other.json', { ...admin.key, universe_domain: 'cloud.example' });
  const store = direct(
    { HTTPS_PROXY: address(), GOOGLE_CLOUD_UNIVERSE_DOMAIN: 'cloud.example' },
    { credentials: key },
  );
  // The double has no certificate for it, and so gets no token.
  expect(await failure(readText(store, 'through'))).toMatch(
    /^Unavailable: the server’s certificate is not trusted/,
  );
  expect(asked).toEqual(['secretmanager.cloud.example:443']);
});

test('hosts of NO_PROXY and loopback are reached without it; what is no URL is refused', async () => {
  const past = direct({ HTTPS_PROXY: address(), NO_PROXY: 'x.example,.googleapis.com' });
  await past.get([{ name: 'through' }], { signal: AbortSignal.timeout(300) });
  const loopback = direct({ HTTPS_PROXY: address() }, { endpoint: bench.gcp.url });
  expect(await readText(loopback, 'through')).toBe('v');
  expect(asked).toEqual([]);
  expect(await failure(readText(direct({ HTTPS_PROXY: 'none' }), 'x'))).toMatch(/^Usage: HTTPS_PROXY/);
});
