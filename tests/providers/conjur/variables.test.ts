import { ACCOUNT } from '../../backends/conjur.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { kindOf, readOne } from '../../contract/suite.ts';
import { bytes, now, useConjur } from './kit.ts';

describe('conjur variables', () => {
  const kit = useConjur();

  describe('what a host may not do', () => {
    let reader: Provider;
    beforeAll(async () => {
      for (const name of ['readable', 'listed', 'hidden', 'writable']) await kit.put(`shared/${name}`, name);
      reader = kit.as('host/reader');
    });

    test('is Denied with its name and the privilege where it sees the variable', async () => {
      expect(await kit.textOf('shared/readable', {}, reader)).toBe('readable');
      await expect(readOne(reader, { name: 'shared/listed' })).rejects.toMatchObject({
        kind: 'Denied',
        message: 'acme:host:reader does not have the privilege execute here',
        hint: expect.stringMatching(/!permit/),
      });
      await expect(kit.put('shared/readable', 'x', reader)).rejects.toMatchObject({
        kind: 'Denied',
        message: 'acme:host:reader does not have the privilege update here',
      });
      await expect(reader.delete('shared/readable', {}, now())).rejects.toMatchObject({
        kind: 'Denied',
        message: expect.stringMatching(/^acme:host:reader may not update the policy root/),
      });
      expect(await kit.textOf('shared/readable')).toBe('readable');
    });

    test('is NotFound where Conjur hides the variable, and says that both are possible', async () => {
      for (const name of ['shared/hidden', 'shared/nowhere'])
        await expect(readOne(reader, { name })).rejects.toMatchObject({
          kind: 'NotFound',
          message: 'not found, or acme:host:reader may not see it (Conjur doesn’t say which)',
        });
      expect(await kit.list('', reader)).toEqual(['shared/listed', 'shared/readable', 'shared/writable']);
      expect(await kit.list('', kit.as('host/stranger'))).toEqual([]);
    });

    test('is Denied when it would have to declare the variable first', async () => {
      await expect(kit.put('shared/new', 'x', reader)).rejects.toMatchObject({
        kind: 'Denied',
        message: expect.stringMatching(/^acme:host:reader may not update the policy root/),
        hint: expect.stringMatching(/declare the variable/),
      });
      expect(await kit.ids()).not.toContain('acme:variable:shared/new');
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
      expect((await kit.put('shared/writable', 'by reader', reader)).stages).toEqual(['current']);
      expect(await kindOf(readOne(reader, { name: 'shared/writable' }))).toBe('Denied');
      expect(await kit.textOf('shared/writable')).toBe('by reader');
    });

    test('is found by doctor', async () => {
      const findings = await kit.as('host/stranger').diagnose(now());
      expect(findings).toContainEqual(expect.objectContaining({ check: 'variables', status: 'warn' }));
      expect(findings).toContainEqual(
        expect.objectContaining({ detail: expect.stringMatching(/^may not declare variables/) }),
      );
      await kit.conjur.control('/clock', '200');
      const late = await kit.as('host/reader').diagnose(now());
      await kit.conjur.control('/clock', '0');
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
      await kit.put(name, name);
      expect(await kit.textOf(name)).toBe(name);
      expect(await kit.list(name)).toEqual([name]);
      expect((await kit.admin.describe(name, now())).nativeId).toBe(`acme:variable:${name}`);
      const both = await kit.admin.get([{ name }, { name: 'shared/readable' }], now());
      expect(both.map(({ ok }) => ok)).toEqual([true, true]);
      await kit.admin.delete(name, {}, now());
      expect(await kit.list(name)).toEqual([]);
      expect(await kit.ids()).not.toContain('acme:host:evil');
    });

    test.each(['a//b', '/a', 'a/', 'a/../b', './a', 'a.secrets-pending', 'ü'.repeat(513)])(
      'refuses %j before any call',
      async (name) => {
        await kit.conjur.log();
        expect(await kindOf(kit.put(name, 'x'))).toBe('Invalid');
        expect(await kindOf(readOne(kit.admin, { name }))).toBe('Invalid');
        expect(await kit.conjur.log()).toEqual([]);
      },
    );
  });

  describe('declaring variables', () => {
    test('goes to the branch that the store names, and nowhere else', async () => {
      const writer = kit.as('host/writer', { policy: 'app' });
      await kit.conjur.log();
      await kit.put('app/db/password', 'v', writer);
      expect((await kit.conjur.log()).filter((line) => line.startsWith('PATCH'))).toEqual([
        'PATCH /policies/acme/policy/app 201',
      ]);
      const shown = JSON.parse(
        await kit.conjur.api(
          'GET',
          `/resources/${ACCOUNT}/variable/${encodeURIComponent('app/db/password')}`,
        ),
      ) as Record<string, unknown>;
      expect(shown).toMatchObject({ policy: 'acme:policy:app', owner: 'acme:policy:app' });
      await kit.conjur.log();
      await expect(kit.put('other/x', 'v', writer)).rejects.toMatchObject({
        kind: 'Invalid',
        hint: expect.stringMatching(/begins with app\//),
      });
      expect((await kit.conjur.log()).filter((line) => line.startsWith('PATCH'))).toEqual([]);
      // Not the store's branch but the variable's own policy is asked to delete it.
      await kit.as('host/writer').delete('app/db/password', {}, now());
      expect(await kit.list('app/db')).toEqual([]);
    });

    test('waits for other loads of the same policy', async () => {
      const others = [kit.as('admin'), kit.as('admin'), kit.as('admin')];
      await kit.conjur.log();
      await kit.conjur.control('/meeting', '');
      await Promise.all(others.map((provider, index) => kit.put(`busy/${index}`, 'v', provider)));
      const lines = (await kit.conjur.log()).filter((line) => line.startsWith('PATCH'));
      expect(lines.some((line) => line.endsWith(' 409'))).toBe(true);
      expect(await kit.list('busy/')).toEqual(['busy/0', 'busy/1', 'busy/2']);
    });

    test('says so when the role may declare a variable but not write its value', async () => {
      await kit.conjur.policy(
        'root',
        `- !host declarer\n- !policy declared\n- !permit { role: !host declarer, privileges: [ read, update ], resource: !policy declared }\n`,
      );
      const provider = kit.as('host/declarer', { policy: 'declared' });
      await expect(kit.put('declared/x', 'v', provider)).rejects.toMatchObject({
        kind: 'Denied',
        message: 'the variable is declared, but has no value: acme:host:declarer may not see this variable',
      });
      await expect(readOne(kit.admin, { name: 'declared/x' })).rejects.toMatchObject({
        kind: 'NotFound',
        message: 'has no value yet',
      });
      // An administrator's write completes it.
      await kit.put('declared/x', 'v');
      expect(await kit.textOf('declared/x')).toBe('v');
    });

    test('keeps labels whatever they hold, and shows what rotators read', async () => {
      const labels = { 'a: b': '- !host x', '"': "'", '!delete': '*', empty: '', yes: 'no', __proto: '1' };
      await kit.admin.put('labels/odd', { value: bytes('v'), labels, description: '| d' }, now());
      const info = await kit.admin.describe('labels/odd', now());
      const { empty: _, ...shown } = labels;
      expect(info).toMatchObject({ labels: shown, description: '| d', currentVersion: '1' });
      await kit.conjur.policy(
        'root',
        '- !variable { id: labels/rotated, annotations: { rotation/rotator: postgresql/password, rotation/ttl: P1D } }',
      );
      await kit.put('labels/rotated', 'v');
      await kit.conjur.control(
        '/expires',
        JSON.stringify({ id: 'acme:variable:labels/rotated', at: '2031-02-03T04:05:06+00:00' }),
      );
      expect(await kit.admin.describe('labels/rotated', now())).toMatchObject({
        labels: { 'rotation/rotator': 'postgresql/password', 'rotation/ttl': 'P1D' },
        expiresAt: new Date('2031-02-03T04:05:06Z'),
      });
      expect((await kit.history('labels/rotated'))[0]?.expiresAt).toEqual(new Date('2031-02-03T04:05:06Z'));
      const expires = new Date('2032-01-01T00:00:00Z');
      await kit.admin.put('labels/odd', { value: bytes('w'), expiresAt: expires }, now());
      expect((await kit.admin.describe('labels/odd', now())).expiresAt).toEqual(expires);
    });

    test.each([{ a: 'x/../y' }, { a: 'line\u0001' }, { '': 'x' }, { description: 'x' }])(
      'refuses the labels %j, which a policy would not keep',
      async (labels) => {
        const write = { value: bytes('v'), labels };
        expect(await kindOf(kit.admin.put('labels/refused', write, now()))).toBe('Invalid');
        expect(await kit.list('labels/refused')).toEqual([]);
      },
    );
  });
});
