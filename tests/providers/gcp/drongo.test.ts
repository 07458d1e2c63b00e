/**
 * The same adapter against an emulator that others wrote, as far as that goes: it serves REST without TLS, knows no
 * annotations, etags, checksums or pages, and reads `latest` past disabled versions. See tests/backends/README.md.
 */
import { join } from 'node:path';
import { open } from '../../../src/providers/gcp/index.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { describeWith, type Server, startServer, WORK_DIR } from '../../backends/server.ts';
import { contextFor } from '../../contract/suite.ts';
import { all, bytes, failure, now, readText } from './setup.ts';

const DRONGO = join(WORK_DIR, 'drongo-venv', 'bin', 'drongo');

describeWith('gcp on drongo', [DRONGO], () => {
  let server: Server;
  let store: Provider;
  const put = (name: string, text: string, more = {}): Promise<{ id: string }> =>
    store.put(name, { value: bytes(text), ...more }, now());

  beforeAll(async () => {
    server = await startServer({
      command: DRONGO,
      args: (port) => ['server', '--host', '127.0.0.1', '--port', String(port)],
    });
    const env = { CLOUDSDK_AUTH_ACCESS_TOKEN: 'any', GOOGLE_CLOUD_PROJECT: 'tests' };
    store = open({ endpoint: server.url }, contextFor(env, '/nonexistent'));
  });
  afterAll(async () => {
    await store.close();
    await server.stop();
  });

  test.each([
    ['unicode', bytes('héllo 🔑 \u0000 end')],
    ['bytes that are not UTF-8', Uint8Array.from([0, 255, 254, 128, 10, 13])],
    ['the largest value', Buffer.alloc(65_536, 'm')],
  ])('keeps %s as it is', async (title, value) => {
    const name = title.replaceAll(' ', '-');
    const { id } = await store.put(name, { value }, now());
    const [result] = await store.get([{ name }], now());
    expect(result?.ok === true && Buffer.from(result.secret.value).equals(value)).toBe(true);
    expect(result?.ok === true && result.secret.id).toBe(id);
  });

  test('a secret or version that is not there is NotFound', async () => {
    expect(await failure(readText(store, 'nowhere'))).toMatch(/^NotFound/);
    expect(await failure(store.describe('nowhere', now()))).toMatch(/^NotFound/);
    expect(await failure(all(store.history?.('nowhere', now())))).toMatch(/^NotFound/);
    expect(await failure(store.purge?.('nowhere', undefined, now()) ?? Promise.resolve())).toMatch(
      /^NotFound/,
    );
    await put('somewhere', 'x');
    expect(await failure(readText(store, 'somewhere', { version: '2' }))).toMatch(/^NotFound/);
  });

  test('keeps versions, newest first, and brings an old one back', async () => {
    for (const text of ['one', 'two', 'three']) await put('versions', text);
    const history = await all(store.history?.('versions', now()));
    expect(history.map(({ id, stages }) => [id, ...stages])).toEqual([
      ['3', 'current'],
      ['2', 'previous'],
      ['1'],
    ]);
    expect(await readText(store, 'versions', { version: '1' })).toBe('one');
    expect(await readText(store, 'versions', { stage: 'previous' })).toBe('two');
    expect((await store.makeCurrent?.('versions', '1', now()))?.id).toBe('4');
    expect(await readText(store, 'versions')).toBe('one');
    await store.purge?.('versions', '2', now());
    expect(await failure(readText(store, 'versions', { version: '2' }))).toMatch(
      /^NotFound: version 2 is destroyed/,
    );
  });

  test('writes a new secret only once under ifAbsent, one after the other', async () => {
    await put('single', 'one', { ifAbsent: true });
    expect(await failure(put('single', 'two', { ifAbsent: true }))).toMatch(/^Conflict: already exists/);
    expect(await failure(put('single', 'two', { ifVersion: '7' }))).toMatch(/^Conflict/);
  });

  test('keeps labels', async () => {
    await put('labelled', 'one', { labels: { team: 'pay', tier: 'gold' } });
    await put('labelled', 'two', { labels: { tier: null, zone: 'eu' } });
    expect((await store.describe('labelled', now())).labels).toEqual({ team: 'pay', zone: 'eu' });
  });

  test('lists by prefix, and purges', async () => {
    const names = Array.from({ length: 30 }, (_, index) => `listed-${String(index).padStart(2, '0')}`);
    for (const name of names) await put(name, 'x');
    expect((await all(store.list({ prefix: 'listed-' }, now()))).map(({ name }) => name)).toEqual(names);
    await store.purge?.('listed-00', undefined, now());
    expect((await all(store.list({ prefix: 'listed-0' }, now()))).length).toBe(9);
  });

  test('reads many at once, in the order asked', async () => {
    await put('many-a', 'a');
    await put('many-b', 'b');
    const results = await store.get(
      ['many-b', 'many-x', 'many-a'].map((name) => ({ name })),
      now(),
    );
    expect(
      results.map((result) => (result.ok ? Buffer.from(result.secret.value).toString() : result.error.kind)),
    ).toEqual(['b', 'NotFound', 'a']);
  });
});
