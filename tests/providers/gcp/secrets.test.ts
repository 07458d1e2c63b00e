import { gcp as descriptor } from '../../../src/providers/gcp/descriptor.ts';
import { open } from '../../../src/providers/gcp/index.ts';
import { crc32c } from '../../../src/providers/gcp/crc32c.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { ADMIN, type Account } from '../../backends/gcp.ts';
import { contextFor } from '../../contract/suite.ts';
import { all, type Bench, bytes, failure, now, readText, startBench } from './setup.ts';

test('the checksum is CRC-32C, by the examples of RFC 3720, B.4', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e);
});

describe.each(['rest', 'grpc'] as const)('gcp over %s', (transport) => {
  let bench: Bench;
  let admin: Account;
  let store: Provider;
  let native: ReturnType<Bench['native']>;
  const full = (name: string): string => `projects/${bench.gcp.project}/secrets/${name}`;
  const put = (name: string, text: string, more = {}): Promise<{ id: string }> =>
    store.put(name, { value: bytes(text), ...more }, now());

  beforeAll(async () => {
    bench = await startBench(transport);
    admin = await bench.gcp.account('admin', ADMIN);
    store = bench.store(admin);
    native = bench.native(admin);
  });
  afterAll(() => bench.stop());

  test('a corrupted answer is an integrity error, and is not given out', async () => {
    await put('damaged', 'as it was');
    await bench.gcp.door('corrupt', { name: `${full('damaged')}/versions/1` });
    expect(await failure(readText(store, 'damaged'))).toMatch(/^Integrity: .*checksum does not match/);
  });

  test('sends its checksum with every version', async () => {
    await put('summed', 'x');
    const [version] = await native.getSecretVersion({ name: `${full('summed')}/versions/1` });
    expect(version.clientSpecifiedPayloadChecksum).toBe(true);
  });

  test('says why a disabled or destroyed version can’t be read, and what to do', async () => {
    for (const text of ['one', 'two', 'three']) await put('states', text);
    await native.disableSecretVersion({ name: `${full('states')}/versions/3` });
    expect(await failure(readText(store, 'states'))).toMatch(
      /^Invalid: its newest version \(3\) is disabled, .*secrets restore --version/,
    );
    expect(await failure(readText(store, 'states', { version: '3' }))).toMatch(
      /^Invalid: version 3 is disabled/,
    );
    expect(await readText(store, 'states', { stage: 'previous' })).toBe('two');
    await native.destroySecretVersion({ name: `${full('states')}/versions/3` });
    expect(await failure(readText(store, 'states'))).toMatch(
      /^NotFound: its newest version \(3\) is destroyed/,
    );
    expect(await failure(readText(store, 'states', { version: '3' }))).toMatch(
      /^NotFound: version 3 is destroyed/,
    );
    expect((await all(store.history?.('states', now()))).map(({ id, state }) => [id, state])).toEqual([
      ['3', 'destroyed'],
      ['2', 'enabled'],
      ['1', 'enabled'],
    ]);
    expect((await store.makeCurrent?.('states', '1', now()))?.id).toBe('4');
    expect(await readText(store, 'states')).toBe('one');
  });

  test('the previous version is found behind many destroyed ones', async () => {
    for (let number = 1; number <= 14; number += 1) await put('sparse', `v${number}`);
    for (let number = 2; number <= 13; number += 1) await store.purge?.('sparse', String(number), now());
    expect(await readText(store, 'sparse', { stage: 'previous' })).toBe('v1');
    await store.purge?.('sparse', '1', now());
    expect(await failure(readText(store, 'sparse', { stage: 'previous' }))).toMatch(
      /^NotFound: has no previous/,
    );
  });

  test('reads version aliases by stage and shows them in the history', async () => {
    await put('aliased', 'one');
    await put('aliased', 'two');
    await native.updateSecret({
      secret: { name: full('aliased'), versionAliases: { blue: 1 } },
      updateMask: { paths: ['version_aliases'] },
    });
    expect(await readText(store, 'aliased', { stage: 'blue' })).toBe('one');
    expect(await readText(store, 'aliased', { stage: 'latest' })).toBe('two');
    expect(await failure(readText(store, 'aliased', { stage: 'green' }))).toMatch(/^NotFound/);
    const history = await all(store.history?.('aliased', now()));
    expect(history.map(({ stages }) => stages)).toEqual([['current'], ['previous', 'blue']]);
    // A label leaves the aliases where they are.
    await put('aliased', 'three', { labels: { a: 'b' } });
    expect(await readText(store, 'aliased', { stage: 'blue' })).toBe('one');
  });

  test('keeps labels that Google’s labels can’t hold as annotations, and foreign annotations', async () => {
    await native.createSecret({
      parent: `projects/${bench.gcp.project}`,
      secretId: 'noted',
      secret: { replication: { automatic: {} }, annotations: { 'cost.centre': '42' } },
    });
    const labels = { team: 'pay', Owner: 'Jane Doe', tier: 'Gold' };
    const expiresAt = new Date('2031-01-01T00:00:00Z');
    await put('noted', 'one', { labels, description: 'what it is', expiresAt });
    const [raw] = await native.getSecret({ name: full('noted') });
    expect(raw.labels).toEqual({ team: 'pay' });
    expect(raw.annotations).toMatchObject({ 'cost.centre': '42', Owner: 'Jane Doe', tier: 'Gold' });
    expect(await store.describe('noted', now())).toMatchObject({
      labels: { ...labels, 'cost.centre': '42' },
      description: 'what it is',
      expiresAt,
      currentVersion: '1',
      nativeId: full('noted'),
    });
    // The expiry was that version's; the rest is the secret's.
    await put('noted', 'two', { labels: { Owner: null, tier: 'low' } });
    const info = await store.describe('noted', now());
    expect(info.expiresAt).toBeUndefined();
    expect(info.description).toBe('what it is');
    expect(info.labels).toEqual({ team: 'pay', tier: 'low', 'cost.centre': '42' });
    for (const bad of [{ 'a b': 'x' }, { 'secrets-write': 'x' }, { description: 'x' }, { ключ: 'Large' }])
      expect(await failure(put('noted', 'x', { labels: bad }))).toMatch(/^Invalid: gcp can’t keep/);
    expect(await readText(store, 'noted')).toBe('two');
  });

  test('deleted softly means disabled for everybody; what was disabled before stays so', async () => {
    for (const text of ['one', 'two', 'three']) await put('gone', text);
    await native.disableSecretVersion({ name: `${full('gone')}/versions/1` });
    expect(await store.delete('gone', {}, now())).toEqual({});
    await expect(native.accessSecretVersion({ name: `${full('gone')}/versions/2` })).rejects.toThrow(
      /DISABLED/,
    );
    expect(await failure(readText(store, 'gone', { version: '2' }))).toMatch(
      /^NotFound: is deleted; secrets restore/,
    );
    for (const more of [{}, { ifAbsent: true }, { ifVersion: '3' }])
      expect(await failure(put('gone', 'x', more))).toMatch(/^Conflict: a deleted secret blocks this name/);
    await store.restore?.('gone', now());
    expect(await readText(store, 'gone')).toBe('three');
    const states = (await all(store.history?.('gone', now()))).map(({ state }) => state);
    expect(states).toEqual(['enabled', 'enabled', 'disabled']);
    expect(await failure(store.restore?.('gone', now()) ?? Promise.resolve())).toMatch(/^NotFound/);
  });

  test('with a number of days Google itself removes it at their end, unless it is restored', async () => {
    await put('windowed', 'x');
    const { recoverableUntil } = await store.delete('windowed', { windowDays: 7 }, now());
    const days = ((recoverableUntil?.getTime() ?? 0) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(6.9);
    expect(days).toBeLessThanOrEqual(7);
    const [raw] = await native.getSecret({ name: full('windowed') });
    expect(Number(raw.expireTime?.seconds)).toBe(Math.floor((recoverableUntil?.getTime() ?? 0) / 1000));
    expect((await store.describe('windowed', now())).purgeAt).toEqual(recoverableUntil);
    await store.restore?.('windowed', now());
    const [restored] = await native.getSecret({ name: full('windowed') });
    expect(restored.expireTime ?? null).toBeNull();
    expect(restored.annotations).not.toHaveProperty('secrets-deleted');
  });

  test('an expiry of the secret’s own survives deletion and restoring', async () => {
    await put('ending', 'x');
    const seconds = Math.floor(Date.now() / 1000) + 30 * 86_400;
    const own = {
      secret: { name: full('ending'), expireTime: { seconds } },
      updateMask: { paths: ['expire_time'] },
    };
    await native.updateSecret(own);
    for (const query of [{}, { windowDays: 2 }, { windowDays: 90 }]) {
      await store.delete('ending', query, now());
      await store.restore?.('ending', now());
      const [raw] = await native.getSecret({ name: full('ending') });
      expect(Number(raw.expireTime?.seconds)).toBe(seconds);
    }
  });

  test('a version is destroyed at once, or later where the secret asks for it, with a warning', async () => {
    await put('shredded', 'one');
    await put('shredded', 'two');
    await store.purge?.('shredded', '1', now());
    for (const version of ['1', '9', 'x'])
      expect(await failure(store.purge?.('shredded', version, now()) ?? Promise.resolve())).toMatch(
        /^NotFound/,
      );
    const warnings: string[] = [];
    const slow = bench.store(admin, { 'version-destroy-days': 3 }, { warn: (line) => warnings.push(line) });
    await slow.put('delayed', { value: bytes('one') }, now());
    await slow.purge?.('delayed', '1', now());
    expect(warnings).toEqual([
      expect.stringMatching(/^version 1 is disabled now and will be destroyed at 20/),
    ]);
    const [version] = await all(slow.history?.('delayed', now()));
    expect(version).toMatchObject({
      state: 'disabled',
      note: expect.stringMatching(/^will be destroyed at 20/),
    });
    await native.enableSecretVersion({ name: `${full('delayed')}/versions/1` });
    expect(await readText(slow, 'delayed')).toBe('one');
  });

  test('new secrets are replicated as the store says', async () => {
    const placed = bench.store(admin, {
      replication: {
        locations: ['europe-west3', 'europe-west4'],
        'kms-key': 'projects/p/locations/l/keyRings/r/cryptoKeys/k',
      },
    });
    await placed.put('placed', { value: bytes('x') }, now());
    const [raw] = await native.getSecret({ name: full('placed') });
    expect(raw.replication?.userManaged?.replicas?.map(({ location }) => location)).toEqual([
      'europe-west3',
      'europe-west4',
    ]);
    await put('anywhere', 'x');
    const [usual] = await native.getSecret({ name: full('anywhere') });
    expect(usual.replication?.automatic).toBeTruthy();
  });

  test('a prefix is put before names and taken off in lists', async () => {
    const inside = bench.store(admin, { prefix: 'team-' });
    await inside.put('db', { value: bytes('v') }, now());
    expect(await readText(store, 'team-db')).toBe('v');
    expect((await all(inside.list({}, now()))).map(({ name }) => name)).toEqual(['db']);
  });

  test('names the principal and the role to grant in a denial', async () => {
    await put('guarded', 'x');
    const nobody = await bench.gcp.account('nobody', []);
    expect(await failure(readText(bench.store(nobody), 'guarded'))).toMatch(
      /^Denied: nobody@tests\.iam\.gserviceaccount\.com \(.*nobody\.json\) is not allowed to do this, or it does not exist; grant roles\/secretmanager\.secretAccessor/,
    );
    expect(await failure(bench.store(nobody).delete('guarded', {}, now()))).toMatch(/^Denied: .*viewer/);
    const elsewhere = bench.store(admin, { project: 'not-mine' });
    expect(await failure(readText(elsewhere, 'guarded'))).toMatch(/^Denied: .* may not use project not-mine/);
    const findings = await bench.store(nobody).diagnose(now());
    expect(findings.map(({ check, status }) => [check, status])).toEqual([
      ['credential', 'ok'],
      ['service', 'warn'],
    ]);
  });

  test('each role is enough for what the documentation says of it', async () => {
    const role = async (name: string): Promise<Provider> =>
      bench.store(await bench.gcp.account(name, [`roles/secretmanager.${name}`]));
    await put('shared', 'one');
    await put('shared', 'two');
    const reader = await role('secretAccessor');
    expect(await readText(reader, 'shared')).toBe('two');
    expect(await readText(reader, 'shared', { stage: 'previous' })).toBe('one');
    expect(await failure(reader.describe('shared', now()))).toMatch(/^Denied/);
    const adder = await role('secretVersionAdder');
    expect((await adder.put('shared', { value: bytes('three') }, now())).id).toBe('3');
    expect(await failure(readText(adder, 'shared'))).toMatch(/^Denied/);
    const viewer = await role('viewer');
    expect((await all(viewer.history?.('shared', now()))).length).toBe(3);
    expect(await failure(readText(viewer, 'shared'))).toMatch(/^Denied/);
    expect(await failure(reader.grants?.('shared', now()) ?? Promise.resolve())).toMatch(
      /^Denied: .*secretmanager.viewer/,
    );
    expect(await viewer.grants?.('shared', now())).toEqual([]);
    // A role on the one secret alone.
    const single = await bench.gcp.account('single', []);
    await native.setIamPolicy({
      resource: full('shared'),
      policy: {
        bindings: [
          { role: 'roles/secretmanager.secretAccessor', members: [`serviceAccount:${single.email}`] },
        ],
      },
    });
    expect(await readText(bench.store(single), 'shared')).toBe('three');
    expect(await failure(readText(bench.store(single), 'placed'))).toMatch(/^Denied/);
    expect(await viewer.grants?.('shared', now())).toEqual([
      {
        principal: `serviceAccount:${single.email}`,
        breadth: 'named',
        through: 'its policy, as roles/secretmanager.secretAccessor',
      },
    ]);
  });
});

describe('gcp', () => {
  let bench: Bench;
  let admin: Account;

  beforeAll(async () => {
    bench = await startBench();
    admin = await bench.gcp.account('admin', ADMIN);
  });
  afterAll(() => bench.stop());

  test('regional secrets live at their region’s endpoint, apart from global ones of the same name', async () => {
    const { location, regionalUrl, project } = bench.gcp;
    const global = bench.store(admin);
    const regional = bench.store(admin, { location, endpoint: regionalUrl });
    await global.put('twice', { value: bytes('global') }, now());
    await regional.put('twice', { value: bytes('regional') }, now());
    await regional.put('twice', { value: bytes('next'), stage: 'pending' }, now());
    expect(await readText(global, 'twice')).toBe('global');
    expect(await readText(regional, 'twice')).toBe('regional');
    expect((await regional.describe('twice', now())).nativeId).toBe(
      `projects/${project}/locations/${location}/secrets/twice`,
    );
    expect((await all(regional.list({}, now()))).map(({ name }) => name)).toEqual(['twice']);
    expect(await failure(readText(bench.store(admin, { location }), 'twice'))).toMatch(
      /not served at this endpoint/,
    );
  });

  test('takes native identifiers as they are', async () => {
    const { location, project, regionalUrl } = bench.gcp;
    const native = descriptor.native;
    expect(native?.(`projects/${project}/secrets/S_1-x`)).toEqual({
      name: 'S_1-x',
      settings: { project, location: null, prefix: null },
    });
    expect(native?.(`projects/123/secrets/s/versions/7`)).toMatchObject({ name: 's', version: '7' });
    expect(native?.('projects/p/secrets/s/versions/latest')).not.toHaveProperty('version');
    expect(native?.('projects/p/secrets/s/versions/blue')).toMatchObject({ stage: 'blue' });
    for (const text of [
      'projects/p/secrets/',
      'projects/p/secrets/a/b',
      'projects/p/locations/../secrets/s',
      'p/s',
    ])
      expect(native?.(text)).toBeUndefined();
    const found = native?.(`projects/${project}/locations/${location}/secrets/native`);
    const regional = bench.store(admin, { ...found?.settings, endpoint: regionalUrl });
    await regional.put('native', { value: bytes('v') }, now());
    expect(await readText(regional, found?.name ?? '')).toBe('v');
    // A store's own prefix and location don't apply to it.
    const own = bench.store(admin, {
      prefix: 'x-',
      location,
      ...native?.(`projects/${project}/secrets/plain`)?.settings,
    });
    await own.put('plain', { value: bytes('g') }, now());
    expect(await readText(bench.store(admin), 'plain')).toBe('g');
  });

  test('refuses names and values by Google’s rules before any call', async () => {
    const store = bench.store(admin);
    await bench.gcp.door('calls');
    for (const name of ['a/b', 'a.b', 'a b', 'ä', 'a'.repeat(256), 'x--secrets-pending']) {
      expect(await failure(store.put(name, { value: bytes('x') }, now()))).toMatch(
        /^Invalid: gcp allows names of/,
      );
      expect(await failure(readText(store, name))).toMatch(/^Invalid/);
    }
    expect(await failure(store.put('a', { value: bytes('') }, now()))).toMatch(
      /^Invalid: the value has 0 bytes/,
    );
    expect(await failure(readText(store, 'a', { version: 'latest/../1' }))).toMatch(/^NotFound/);
    expect(await all(store.list({ prefix: 'a/' }, now()))).toEqual([]);
    expect((await bench.gcp.door<{ calls: string[] }>('calls')).calls).toEqual([]);
  });

  test('refuses endpoints without TLS beyond this machine, and names that reach another host', () => {
    const opening = (settings: object) => () => open({ ...settings }, contextFor({}, '/nonexistent'));
    expect(opening({ endpoint: 'http://example.com' })).toThrow(/https/);
    expect(opening({ endpoint: 'ftp://127.0.0.1' })).toThrow(/https/);
    expect(opening({ endpoint: 'http://127.0.0.1:1', transport: 'grpc' })).toThrow(/grpc needs an https/);
    expect(opening({ 'universe-domain': 'evil.example/x' })).toThrow(/not a domain/);
    expect(opening({ ca: '/nonexistent/ca.pem' })).toThrow(/cannot read the CA/);
  });

  test.each(['rest', 'grpc'] as const)('verifies the server’s certificate over %s', async (transport) => {
    const endpoint = transport === 'grpc' ? bench.gcp.grpcUrl : bench.gcp.url;
    const settings = { endpoint, transport, credentials: admin.file };
    const store = open(settings, contextFor({}, '/nonexistent'));
    const error = await failure(readText(store, 'x'));
    await store.close();
    expect(error).toMatch(/^Unavailable: the server’s certificate is not trusted/);
  });
});
