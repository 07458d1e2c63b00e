import type { VersionInfo } from '../../../src/core/secret.ts';
import { ACCOUNT } from '../../backends/conjur.ts';
import { startFaultProxy } from '../../contract/fault-proxy.ts';
import { kindOf, readOne } from '../../contract/suite.ts';
import { bytes, now, useConjur } from './kit.ts';

describe('conjur values', () => {
  const kit = useConjur();

  describe('versions', () => {
    test('are the last twenty, and an older one is NotFound', async () => {
      for (let count = 1; count <= 22; count += 1) await kit.put('kept/a', `v${count}`);
      const found = await kit.history('kept/a');
      expect(found.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, index) => String(22 - index)));
      expect(await kit.textOf('kept/a', { version: '3' })).toBe('v3');
      expect(await kindOf(readOne(kit.admin, { name: 'kept/a', version: '2' }))).toBe('NotFound');
      expect(await kindOf(kit.admin.makeCurrent('kept/a', '2', now()))).toBe('NotFound');
      expect(await kindOf(kit.admin.purge('kept/a', '3', now()))).toBe('Unsupported');
    });

    test('are not made for a value that is the newest already', async () => {
      const first = await kit.put('kept/same', 'v');
      const second = await kit.put('kept/same', 'v');
      expect(second).toMatchObject({ id: first.id, note: expect.stringMatching(/unchanged/) });
      expect(await kit.history('kept/same')).toHaveLength(1);
    });

    test('are told apart when others write at the same moment', async () => {
      await kit.put('kept/many', 'start');
      const texts = Array.from({ length: 8 }, (_, index) => `writer ${index}`);
      const written = await Promise.all(texts.map((text) => kit.put('kept/many', text)));
      expect(new Set(written.map(({ id }) => id)).size).toBe(8);
      for (const [index, { id }] of written.entries())
        expect(await kit.textOf('kept/many', { version: id })).toBe(texts[index]);
    });
  });

  describe('batches', () => {
    test('ask once for what fits in one request', async () => {
      const names = Array.from({ length: 40 }, (_, index) => `batch/${index}`);
      for (const name of names) await kit.put(name, `value of ${name}`);
      await kit.admin.put('batch/binary', { value: Uint8Array.from([0, 255, 254, 10]) }, now());
      await kit.conjur.log();
      const results = await kit.admin.get(
        [...names, 'batch/binary', ...names].map((name) => ({ name })),
        now(),
      );
      expect(await kit.conjur.log()).toHaveLength(1);
      expect(results.every(({ ok }) => ok)).toBe(true);
      const [first] = results;
      expect(first).toMatchObject({ secret: { id: 'latest', stages: ['current'] } });
      expect(await kit.textOf('batch/0', { version: 'latest' })).toBe('value of batch/0');
      const binary = results[40];
      expect(binary?.ok === true && [...binary.secret.value]).toEqual([0, 255, 254, 10]);
    });

    test('are read one by one when something on the way has taken their encoding off', async () => {
      const values = new Map([
        ['batch/base64-like', 'aGVsbG8='],
        ['batch/plain', 'plain text'],
      ]);
      for (const [name, text] of values) await kit.put(name, text);
      const names = [...values.keys()];
      const ids = names.map((name) => `${ACCOUNT}:variable:${name}`);
      const answers = [
        // The header is gone and the values are still encoded; both are decoded; only the values are.
        [{}, (text: string) => Buffer.from(text).toString('base64')],
        [{}, (text: string) => text],
        [{ 'content-encoding': 'base64' }, (text: string) => text],
      ] as const;
      const proxy = await startFaultProxy({
        url: kit.conjur.url,
        ca: kit.conjur.tls.cert,
        tls: kit.conjur.tls,
      });
      try {
        for (const [headers, encoded] of answers) {
          const store = kit.as('admin', { url: proxy.url });
          await store.get([{ name: 'batch/plain' }], now());
          const body = JSON.stringify(
            Object.fromEntries(ids.map((id, at) => [id, encoded([...values.values()][at] ?? '')])),
          );
          proxy.fault(
            { answer: { status: 200, headers: { 'content-type': 'application/json', ...headers }, body } },
            { times: 1 },
          );
          const results = await store.get(
            names.map((name) => ({ name })),
            now(),
          );
          expect(
            results.map((one) => (one.ok ? Buffer.from(one.secret.value).toString() : one.error.message)),
          ).toEqual([...values.values()]);
        }
      } finally {
        await proxy.stop();
      }
    });

    test('are parted where the request would be too long', async () => {
      const names = Array.from({ length: 12 }, (_, index) => `batch/${'n'.repeat(900)}${index}`);
      for (const name of names) await kit.put(name, name);
      await kit.conjur.log();
      const results = await kit.admin.get(
        names.map((name) => ({ name })),
        now(),
      );
      expect(results.every(({ ok }) => ok)).toBe(true);
      expect(await kit.conjur.log()).toHaveLength(2);
    });
  });

  describe('lists', () => {
    test('read all pages, and lose nothing when secrets go meanwhile', async () => {
      const names = Array.from({ length: 1100 }, (_, index) => `paged/${String(index).padStart(4, '0')}`);
      await kit.conjur.policy('root', names.map((name) => `- !variable ${name}\n`).join(''));
      const found: string[] = [];
      for await (const { name } of kit.admin.list({ prefix: 'paged/' }, now())) {
        if (found.length === 0)
          await kit.conjur.policy(
            'root',
            names
              .slice(0, 5)
              .map((one) => `- !delete { record: !variable ${one} }\n`)
              .join(''),
          );
        found.push(name);
      }
      expect(found).toEqual(names);
      expect(await kit.list('paged/')).toEqual(names.slice(5));
    });

    test.each([
      ['narrowed/team/', true],
      ['these/those/', false],
      ['a/b/', false],
      ['mail@example.com/team/', false],
      ['narrowed', false],
    ])('with the prefix %j use the search only where it loses nothing', async (prefix, searched) => {
      const name = `${prefix}${prefix.endsWith('/') ? '' : '-'}x1`;
      await kit.put(name, 'v');
      await kit.conjur.log();
      expect(await kit.list(prefix)).toContain(name);
      expect((await kit.conjur.log()).some((line) => line.includes('search='))).toBe(searched);
    });
  });

  describe('pending values', () => {
    const stage = (name: string, text: string): Promise<VersionInfo> =>
      kit.admin.put(name, { value: bytes(text), stage: 'pending' }, now());
    const makeCurrent = (name: string, id: string): Promise<VersionInfo> =>
      kit.admin.makeCurrent(name, id, now());
    const purge = (name: string, id?: string): Promise<void> => kit.admin.purge(name, id, now());
    const siblings = async (): Promise<string[]> =>
      (await kit.ids()).filter((id) => id.endsWith('.secrets-pending'));

    test('live in a sibling that no list shows, and go with a promotion', async () => {
      await kit.put('staged/a', 'old');
      const { id } = await stage('staged/a', 'new');
      expect(id).toMatch(/^pending:1-/);
      expect(await siblings()).toEqual(['acme:variable:staged/a.secrets-pending']);
      expect(await kit.list('staged/')).toEqual(['staged/a']);
      expect(await kit.textOf('staged/a')).toBe('old');
      expect((await kit.history('staged/a')).map(({ stages }) => stages[0])).toEqual(['pending', 'current']);
      expect(await makeCurrent('staged/a', id)).toMatchObject({ id: '2', stages: ['current'] });
      expect(await siblings()).toEqual([]);
      expect(await kit.textOf('staged/a', { stage: 'previous' })).toBe('old');
      expect(await kindOf(makeCurrent('staged/a', id))).toBe('NotFound');
      expect(await kit.history('staged/a')).toHaveLength(2);
    });

    test('are never mistaken for a later one, though Conjur counts from 1 again', async () => {
      const first = await stage('staged/b', 'first');
      await purge('staged/b', first.id);
      const second = await stage('staged/b', 'second');
      expect(second.id).not.toBe(first.id);
      for (const work of [makeCurrent('staged/b', first.id), purge('staged/b', first.id)])
        expect(await kindOf(work)).toBe('NotFound');
      expect(await kindOf(readOne(kit.admin, { name: 'staged/b', version: first.id }))).toBe('NotFound');
      expect(await kit.textOf('staged/b', { version: second.id })).toBe('second');
      await makeCurrent('staged/b', second.id);
      expect(await kit.textOf('staged/b')).toBe('second');
    });

    test('make no second version when a promotion is repeated that had lost its end', async () => {
      await kit.put('staged/c', 'old');
      const { id } = await stage('staged/c', 'new');
      // What the first half of a promotion does, and somebody's later write.
      await kit.put('staged/c', 'new');
      await kit.put('staged/c', 'newer');
      expect(await makeCurrent('staged/c', id)).toMatchObject({ id: '2', stages: [] });
      expect(await kit.textOf('staged/c')).toBe('newer');
      expect(await kit.history('staged/c')).toHaveLength(3);
      expect(await siblings()).toEqual([]);
    });

    test('may have the value of an older version', async () => {
      await kit.put('staged/d', 'one');
      await kit.put('staged/d', 'two');
      const { id } = await stage('staged/d', 'one');
      expect(await makeCurrent('staged/d', id)).toMatchObject({ id: '3' });
      expect(await kit.textOf('staged/d')).toBe('one');
    });

    test('go with the secret, in one document', async () => {
      await kit.put('staged/e', 'v');
      await stage('staged/e', 'w');
      await kit.conjur.log();
      await kit.admin.delete('staged/e', {}, now());
      expect((await kit.conjur.log()).filter((line) => line.startsWith('PATCH'))).toHaveLength(1);
      expect(await siblings()).toEqual([]);
      await stage('staged/f', 'only');
      await purge('staged/f');
      expect(await siblings()).toEqual([]);
    });

    test('take no labels and no condition', async () => {
      for (const more of [{ labels: { a: 'b' } }, { ifAbsent: true }, { ifVersion: '1' }]) {
        const write = { value: bytes('v'), stage: 'pending' as const, ...more };
        expect(await kindOf(kit.admin.put('staged/g', write, now()))).toBe('Unsupported');
      }
      expect(await siblings()).toEqual([]);
    });
  });
});
