import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from '../../src/providers/conjur/index.ts';
import type { Provider, SecretInfo, StoreSettings, VersionInfo } from '../../src/providers/provider.ts';
import { ACCOUNT, type Conjur, startConjur } from '../backends/conjur.ts';
import { freePort } from '../backends/server.ts';
import { contextFor, itKeepsTheContract, kindOf, readOne } from '../contract/suite.ts';

describe('conjur', () => {
  let conjur: Conjur;
  let home: string;
  let admin: Provider;
  const opened: Provider[] = [];
  const start = (settings: StoreSettings, env: Readonly<Record<string, string>>): Provider => {
    const provider = open(settings, contextFor(env, home));
    opened.push(provider);
    return provider;
  };
  const as = (login: string, settings: StoreSettings = {}): Provider => start(settings, conjur.env(login));
  const now = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(20_000) });
  const bytes = (text: string): Uint8Array => Buffer.from(text);
  const put = (name: string, text: string, provider = admin): Promise<VersionInfo> =>
    provider.put(name, { value: bytes(text) }, now());
  const textOf = async (name: string, more = {}, provider = admin): Promise<string> =>
    Buffer.from((await readOne(provider, { name, ...more })).value).toString();
  const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
    const found: T[] = [];
    for await (const item of items) found.push(item);
    return found;
  };
  const history = (name: string): Promise<VersionInfo[]> =>
    all((admin as Required<Provider>).history(name, now()));
  const list = async (prefix: string, provider = admin): Promise<string[]> =>
    (await all<SecretInfo>(provider.list({ prefix }, now()))).map(({ name }) => name);
  const ids = async (): Promise<string[]> =>
    (JSON.parse(await conjur.api('GET', `/resources/${ACCOUNT}/variable`)) as { id: string }[]).map(
      ({ id }) => id,
    );

  beforeAll(async () => {
    conjur = await startConjur();
    home = mkdtempSync(join(tmpdir(), 'secrets-conjur-home-'));
    admin = as('admin');
  });
  afterAll(async () => {
    await Promise.all(opened.map((provider) => provider.close()));
    const problems = await conjur.problems();
    await conjur.stop();
    rmSync(home, { recursive: true });
    expect(problems).toEqual([]);
  });

  describe('contract', () => {
    itKeepsTheContract({
      open: () => as('admin'),
      openStranger: () => start({}, { ...conjur.env(), CONJUR_AUTHN_API_KEY: 'x'.repeat(56) }),
      openUnreachable: async () => start({ url: `https://127.0.0.1:${await freePort()}` }, conjur.env()),
    });
  });

  describe('what a host may not do', () => {
    let reader: Provider;
    beforeAll(async () => {
      for (const name of ['readable', 'listed', 'hidden', 'writable']) await put(`shared/${name}`, name);
      reader = as('host/reader');
    });

    test('is Denied with its name and the privilege where it sees the variable', async () => {
      expect(await textOf('shared/readable', {}, reader)).toBe('readable');
      await expect(readOne(reader, { name: 'shared/listed' })).rejects.toMatchObject({
        kind: 'Denied',
        message: 'acme:host:reader does not have the privilege execute here',
        hint: expect.stringMatching(/!permit/),
      });
      await expect(put('shared/readable', 'x', reader)).rejects.toMatchObject({
        kind: 'Denied',
        message: 'acme:host:reader does not have the privilege update here',
      });
      await expect(reader.delete('shared/readable', {}, now())).rejects.toMatchObject({
        kind: 'Denied',
        message: expect.stringMatching(/^acme:host:reader may not update the policy root/),
      });
      expect(await textOf('shared/readable')).toBe('readable');
    });

    test('is NotFound where Conjur hides the variable, and says that both are possible', async () => {
      for (const name of ['shared/hidden', 'shared/nowhere'])
        await expect(readOne(reader, { name })).rejects.toMatchObject({
          kind: 'NotFound',
          message: 'is not there, or acme:host:reader may not see it: Conjur does not say which',
        });
      expect(await list('', reader)).toEqual(['shared/listed', 'shared/readable', 'shared/writable']);
      expect(await list('', as('host/stranger'))).toEqual([]);
    });

    test('is Denied when it would have to declare the variable first', async () => {
      await expect(put('shared/new', 'x', reader)).rejects.toMatchObject({
        kind: 'Denied',
        message: expect.stringMatching(/^acme:host:reader may not update the policy root/),
        hint: expect.stringMatching(/declare the variable/),
      });
      expect(await ids()).not.toContain('acme:variable:shared/new');
    });

    test('leaves a batch’s other members readable', async () => {
      const names = ['readable', 'listed', 'hidden', 'nowhere'].map((name) => ({ name: `shared/${name}` }));
      const results = await reader.get(names, now());
      expect(results.map((one) => (one.ok ? 'found' : one.error.kind))).toEqual([
        'found',
        'Denied',
        'NotFound',
        'NotFound',
      ]);
    });

    test('does not keep it from writing where it may only write', async () => {
      expect((await put('shared/writable', 'by reader', reader)).stages).toEqual(['current']);
      expect(await kindOf(readOne(reader, { name: 'shared/writable' }))).toBe('Denied');
      expect(await textOf('shared/writable')).toBe('by reader');
    });

    test('is found by doctor', async () => {
      const findings = await as('host/stranger').diagnose(now());
      expect(findings).toContainEqual(expect.objectContaining({ check: 'variables', status: 'warn' }));
      expect(findings).toContainEqual(
        expect.objectContaining({ detail: expect.stringMatching(/^may not declare variables/) }),
      );
      await conjur.control('/clock', '200');
      const late = await as('host/reader').diagnose(now());
      await conjur.control('/clock', '0');
      expect(late).toContainEqual(
        expect.objectContaining({ check: 'clock', status: 'warn', detail: expect.stringMatching(/behind/) }),
      );
    });
  });

  describe('names', () => {
    test.each([
      'odd/with space',
      'odd/a&b?c=d#e%20f+g',
      'odd/über/🔑',
      'odd/colon:and:colon',
      'odd/comma,inside',
      `odd/quote"and'quote`,
      'odd/- !host evil',
      'odd/!variable x',
      'odd/{a: b}',
      'odd/*alias',
      'odd/back\\slash',
      'odd/123',
      'odd/null',
      'odd/percent%2Fslash',
      'odd/~',
    ])('%j comes and goes as it is', async (name) => {
      await put(name, name);
      expect(await textOf(name)).toBe(name);
      expect(await list(name)).toEqual([name]);
      expect((await admin.describe(name, now())).nativeId).toBe(`acme:variable:${name}`);
      const both = await admin.get([{ name }, { name: 'shared/readable' }], now());
      expect(both.map(({ ok }) => ok)).toEqual([true, true]);
      await admin.delete(name, {}, now());
      expect(await list(name)).toEqual([]);
      expect(await ids()).not.toContain('acme:host:evil');
    });

    test.each(['a//b', '/a', 'a/', 'a/../b', './a', 'a.secrets-pending', 'ü'.repeat(513)])(
      'refuses %j before any call',
      async (name) => {
        await conjur.log();
        expect(await kindOf(put(name, 'x'))).toBe('Invalid');
        expect(await kindOf(readOne(admin, { name }))).toBe('Invalid');
        expect(await conjur.log()).toEqual([]);
      },
    );
  });

  describe('declaring variables', () => {
    test('goes to the branch that the store names, and nowhere else', async () => {
      const writer = as('host/writer', { policy: 'app' });
      await conjur.log();
      await put('app/db/password', 'v', writer);
      expect((await conjur.log()).filter((line) => line.startsWith('PATCH'))).toEqual([
        'PATCH /policies/acme/policy/app 201',
      ]);
      const shown = JSON.parse(
        await conjur.api('GET', `/resources/${ACCOUNT}/variable/${encodeURIComponent('app/db/password')}`),
      ) as Record<string, unknown>;
      expect(shown).toMatchObject({ policy: 'acme:policy:app', owner: 'acme:policy:app' });
      await conjur.log();
      await expect(put('other/x', 'v', writer)).rejects.toMatchObject({
        kind: 'Invalid',
        hint: expect.stringMatching(/begins with app\//),
      });
      expect((await conjur.log()).filter((line) => line.startsWith('PATCH'))).toEqual([]);
      // Not the store's branch but the variable's own policy is asked to delete it.
      await as('host/writer').delete('app/db/password', {}, now());
      expect(await list('app/db')).toEqual([]);
    });

    test('waits for other loads of the same policy', async () => {
      const others = [as('admin'), as('admin'), as('admin')];
      await conjur.log();
      await Promise.all(others.map((provider, index) => put(`busy/${index}`, 'v', provider)));
      const lines = (await conjur.log()).filter((line) => line.startsWith('PATCH'));
      expect(lines.some((line) => line.endsWith(' 409'))).toBe(true);
      expect(await list('busy/')).toEqual(['busy/0', 'busy/1', 'busy/2']);
    });

    test('says so when the role may declare a variable but not write its value', async () => {
      await conjur.policy(
        'root',
        `- !host declarer\n- !policy declared\n- !permit { role: !host declarer, privileges: [ read, update ], resource: !policy declared }\n`,
      );
      const provider = as('host/declarer', { policy: 'declared' });
      await expect(put('declared/x', 'v', provider)).rejects.toMatchObject({
        kind: 'Denied',
        message: 'the variable is declared, but has no value: acme:host:declarer may not see this variable',
      });
      await expect(readOne(admin, { name: 'declared/x' })).rejects.toMatchObject({
        kind: 'NotFound',
        message: 'has no value yet',
      });
      // An administrator's write completes it.
      await put('declared/x', 'v');
      expect(await textOf('declared/x')).toBe('v');
    });

    test('keeps labels whatever they hold, and shows what rotators read', async () => {
      const labels = { 'a: b': '- !host x', '"': "'", '!delete': '*', empty: '', yes: 'no', __proto: '1' };
      await admin.put('labels/odd', { value: bytes('v'), labels, description: '| d' }, now());
      const info = await admin.describe('labels/odd', now());
      const { empty: _, ...shown } = labels;
      expect(info).toMatchObject({ labels: shown, description: '| d', currentVersion: '1' });
      await conjur.policy(
        'root',
        '- !variable { id: labels/rotated, annotations: { rotation/rotator: postgresql/password, rotation/ttl: P1D } }',
      );
      await put('labels/rotated', 'v');
      await conjur.control(
        '/expires',
        JSON.stringify({ id: 'acme:variable:labels/rotated', at: '2031-02-03T04:05:06+00:00' }),
      );
      expect(await admin.describe('labels/rotated', now())).toMatchObject({
        labels: { 'rotation/rotator': 'postgresql/password', 'rotation/ttl': 'P1D' },
        expiresAt: new Date('2031-02-03T04:05:06Z'),
      });
      expect((await history('labels/rotated'))[0]?.expiresAt).toEqual(new Date('2031-02-03T04:05:06Z'));
      const expires = new Date('2032-01-01T00:00:00Z');
      await admin.put('labels/odd', { value: bytes('w'), expiresAt: expires }, now());
      expect((await admin.describe('labels/odd', now())).expiresAt).toEqual(expires);
    });

    test.each([{ a: 'x/../y' }, { a: 'line\u0001' }, { '': 'x' }, { description: 'x' }])(
      'refuses the labels %j, which a policy would not keep',
      async (labels) => {
        const write = { value: bytes('v'), labels };
        expect(await kindOf(admin.put('labels/refused', write, now()))).toBe('Invalid');
        expect(await list('labels/refused')).toEqual([]);
      },
    );
  });

  describe('versions', () => {
    test('are the last twenty, and an older one is NotFound', async () => {
      for (let count = 1; count <= 22; count += 1) await put('kept/a', `v${count}`);
      const found = await history('kept/a');
      expect(found.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, index) => String(22 - index)));
      expect(await textOf('kept/a', { version: '3' })).toBe('v3');
      expect(await kindOf(readOne(admin, { name: 'kept/a', version: '2' }))).toBe('NotFound');
      expect(await kindOf((admin as Required<Provider>).makeCurrent('kept/a', '2', now()))).toBe('NotFound');
      expect(await kindOf((admin as Required<Provider>).purge('kept/a', '3', now()))).toBe('Unsupported');
    });

    test('are not made for a value that is the newest already', async () => {
      const first = await put('kept/same', 'v');
      const second = await put('kept/same', 'v');
      expect(second).toMatchObject({ id: first.id, note: expect.stringMatching(/unchanged/) });
      expect(await history('kept/same')).toHaveLength(1);
    });

    test('are told apart when others write at the same moment', async () => {
      await put('kept/many', 'start');
      const texts = Array.from({ length: 8 }, (_, index) => `writer ${index}`);
      const written = await Promise.all(texts.map((text) => put('kept/many', text)));
      expect(new Set(written.map(({ id }) => id)).size).toBe(8);
      for (const [index, { id }] of written.entries())
        expect(await textOf('kept/many', { version: id })).toBe(texts[index]);
    });
  });

  describe('batches', () => {
    test('ask once for what fits in one request', async () => {
      const names = Array.from({ length: 40 }, (_, index) => `batch/${index}`);
      for (const name of names) await put(name, `value of ${name}`);
      await admin.put('batch/binary', { value: Uint8Array.from([0, 255, 254, 10]) }, now());
      await conjur.log();
      const results = await admin.get(
        [...names, 'batch/binary', ...names].map((name) => ({ name })),
        now(),
      );
      expect(await conjur.log()).toHaveLength(1);
      expect(results.every(({ ok }) => ok)).toBe(true);
      const [first] = results;
      expect(first).toMatchObject({ secret: { id: 'latest', stages: ['current'] } });
      expect(await textOf('batch/0', { version: 'latest' })).toBe('value of batch/0');
      const binary = results[40];
      expect(binary?.ok === true && [...binary.secret.value]).toEqual([0, 255, 254, 10]);
    });

    test('are parted where the request would be too long', async () => {
      const names = Array.from({ length: 12 }, (_, index) => `batch/${'n'.repeat(900)}${index}`);
      for (const name of names) await put(name, name);
      await conjur.log();
      const results = await admin.get(
        names.map((name) => ({ name })),
        now(),
      );
      expect(results.every(({ ok }) => ok)).toBe(true);
      expect(await conjur.log()).toHaveLength(2);
    });
  });

  describe('lists', () => {
    test('read all pages, and lose nothing when secrets go meanwhile', async () => {
      const names = Array.from({ length: 1100 }, (_, index) => `paged/${String(index).padStart(4, '0')}`);
      await conjur.policy('root', names.map((name) => `- !variable ${name}\n`).join(''));
      const found: string[] = [];
      for await (const { name } of admin.list({ prefix: 'paged/' }, now())) {
        if (found.length === 0)
          await conjur.policy(
            'root',
            names
              .slice(0, 5)
              .map((one) => `- !delete { record: !variable ${one} }\n`)
              .join(''),
          );
        found.push(name);
      }
      expect(found).toEqual(names);
      expect(await list('paged/')).toEqual(names.slice(5));
    });

    test.each([
      ['narrowed/team/', true],
      ['these/those/', false],
      ['a/b/', false],
      ['mail@example.com/team/', false],
      ['narrowed', false],
    ])('with the prefix %j use the search only where it loses nothing', async (prefix, searched) => {
      const name = `${prefix}${prefix.endsWith('/') ? '' : '-'}x1`;
      await put(name, 'v');
      await conjur.log();
      expect(await list(prefix)).toContain(name);
      expect((await conjur.log()).some((line) => line.includes('search='))).toBe(searched);
    });
  });

  describe('pending values', () => {
    const stage = (name: string, text: string): Promise<VersionInfo> =>
      admin.put(name, { value: bytes(text), stage: 'pending' }, now());
    const { makeCurrent, purge } = {
      makeCurrent: (name: string, id: string) => (admin as Required<Provider>).makeCurrent(name, id, now()),
      purge: (name: string, id?: string) => (admin as Required<Provider>).purge(name, id, now()),
    };
    const siblings = async (): Promise<string[]> =>
      (await ids()).filter((id) => id.endsWith('.secrets-pending'));

    test('live in a sibling that no list shows, and go with a promotion', async () => {
      await put('staged/a', 'old');
      const { id } = await stage('staged/a', 'new');
      expect(id).toMatch(/^pending:1-/);
      expect(await siblings()).toEqual(['acme:variable:staged/a.secrets-pending']);
      expect(await list('staged/')).toEqual(['staged/a']);
      expect(await textOf('staged/a')).toBe('old');
      expect((await history('staged/a')).map(({ stages }) => stages[0])).toEqual(['pending', 'current']);
      expect(await makeCurrent('staged/a', id)).toMatchObject({ id: '2', stages: ['current'] });
      expect(await siblings()).toEqual([]);
      expect(await textOf('staged/a', { stage: 'previous' })).toBe('old');
      expect(await kindOf(makeCurrent('staged/a', id))).toBe('NotFound');
      expect(await history('staged/a')).toHaveLength(2);
    });

    test('are never mistaken for a later one, though Conjur counts from 1 again', async () => {
      const first = await stage('staged/b', 'first');
      await purge('staged/b', first.id);
      const second = await stage('staged/b', 'second');
      expect(second.id).not.toBe(first.id);
      for (const work of [makeCurrent('staged/b', first.id), purge('staged/b', first.id)])
        expect(await kindOf(work)).toBe('NotFound');
      expect(await kindOf(readOne(admin, { name: 'staged/b', version: first.id }))).toBe('NotFound');
      expect(await textOf('staged/b', { version: second.id })).toBe('second');
      await makeCurrent('staged/b', second.id);
      expect(await textOf('staged/b')).toBe('second');
    });

    test('make no second version when a promotion is repeated that had lost its end', async () => {
      await put('staged/c', 'old');
      const { id } = await stage('staged/c', 'new');
      // What the first half of a promotion does, and somebody's later write.
      await put('staged/c', 'new');
      await put('staged/c', 'newer');
      expect(await makeCurrent('staged/c', id)).toMatchObject({ id: '2', stages: [] });
      expect(await textOf('staged/c')).toBe('newer');
      expect(await history('staged/c')).toHaveLength(3);
      expect(await siblings()).toEqual([]);
    });

    test('may have the value of an older version', async () => {
      await put('staged/d', 'one');
      await put('staged/d', 'two');
      const { id } = await stage('staged/d', 'one');
      expect(await makeCurrent('staged/d', id)).toMatchObject({ id: '3' });
      expect(await textOf('staged/d')).toBe('one');
    });

    test('go with the secret, in one document', async () => {
      await put('staged/e', 'v');
      await stage('staged/e', 'w');
      await conjur.log();
      await admin.delete('staged/e', {}, now());
      expect((await conjur.log()).filter((line) => line.startsWith('PATCH'))).toHaveLength(1);
      expect(await siblings()).toEqual([]);
      await stage('staged/f', 'only');
      await purge('staged/f');
      expect(await siblings()).toEqual([]);
    });

    test('take no labels and no condition', async () => {
      for (const more of [{ labels: { a: 'b' } }, { ifAbsent: true }, { ifVersion: '1' }]) {
        const write = { value: bytes('v'), stage: 'pending' as const, ...more };
        expect(await kindOf(admin.put('staged/g', write, now()))).toBe('Unsupported');
      }
      expect(await siblings()).toEqual([]);
    });
  });

  test('the check against the documents finds what does not fit them', async () => {
    const other = await startConjur();
    try {
      await other.api('GET', `/resources/${ACCOUNT}/variable?colour=red`);
      await other.api('GET', `/resources/${ACCOUNT}/variable?limit=x`).catch(() => undefined);
      await other.api('PATCH', `/policies/${ACCOUNT}/policy/root`, '- !variable x', {
        'Content-Type': 'application/json',
      });
      expect(await other.problems()).toEqual([
        expect.stringMatching(/no query parameter colour/),
        expect.stringMatching(/query limit: data must be integer/),
        expect.stringMatching(/content type "application\/json" is none of text\/yaml/),
      ]);
    } finally {
      await other.stop();
    }
  });
});
