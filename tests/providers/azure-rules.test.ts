/** What is Azure's alone: its states, its soft delete, its words for a denial. */
import { open } from '../../src/providers/azure/index.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { scenarioFiles } from '../backends/azure.ts';
import type { Vault } from '../backends/azure/vault.ts';
import { describeWith } from '../backends/server.ts';
import { all, bytes, contextFor, errorOf, freshName, kindOf, now, readOne, textOf } from '../contract/kit.ts';
import { useAzure } from './azure-kit.ts';

describeWith('azure’s own rules', scenarioFiles, () => {
  const stores = useAzure();
  const { said, start, as } = stores;
  let store: Provider;
  const fresh = (): string => freshName({ open: () => store, separator: '-' });
  /** The vault itself, as another program would use it. */
  const raw = (): Vault => stores.azure.vault;
  const put = (text: string, name: string, more = {}): ReturnType<Provider['put']> =>
    store.put(name, { value: bytes(text), ...more }, now());
  const history = (name: string): ReturnType<typeof all<unknown>> =>
    all((store.history as NonNullable<Provider['history']>)(name, now()));

  beforeAll(() => {
    store = as('officer');
  });

  describe('values, tags and states', () => {
    test('bytes that are no text are base64, with the tag that the Azure CLI uses', async () => {
      const name = fresh();
      await store.put(name, { value: Uint8Array.from([0, 255, 1]) }, now());
      expect(raw().get(name, '')).toMatchObject({ value: 'AP8B', tags: { 'file-encoding': 'base64' } });
      expect((await store.describe(name, now())).labels).toEqual({});
      await put('text', name);
      expect(raw().get(name, '')).toMatchObject({ value: 'text', tags: {} });
    });

    test('text that the tag calls base64 and that is none is text', async () => {
      const name = fresh();
      raw().set(name, { value: 'not base64!', tags: { 'file-encoding': 'base64' } });
      expect(await textOf(store, { name })).toBe('not base64!');
    });

    test('25,600 bytes are the limit of what is sent, so of base64 too', async () => {
      const value = Buffer.alloc(19_201, 0xff);
      expect(await errorOf(store.put(fresh(), { value }, now()))).toMatchObject({
        kind: 'Invalid',
        message: expect.stringContaining('19201 bytes (25604 in base64); azure takes 25600'),
      });
      const name = fresh();
      await store.put(name, { value: value.subarray(1) }, now());
      expect((await readOne(store, { name })).value).toHaveLength(19_200);
    });

    test('a description is the content type, and stays like the labels; the date of expiry does not', async () => {
      const name = fresh();
      const expiresAt = new Date('2030-01-02T03:04:05Z');
      await put('one', name, { description: 'text/plain', labels: { team: 'pay' }, expiresAt });
      expect(await store.describe(name, now())).toMatchObject({
        description: 'text/plain',
        labels: { team: 'pay' },
        expiresAt,
        nativeId: `${stores.azure.server.url}/secrets/${name}`,
      });
      await put('two', name);
      const after = await store.describe(name, now());
      expect(after).toMatchObject({ description: 'text/plain', labels: { team: 'pay' } });
      expect(after.expiresAt).toBeUndefined();
    });

    test.each([
      ['16 labels', { labels: Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`l${n}`, ''])) }],
      ['a label of 257 characters', { labels: { [`l${'x'.repeat(256)}`]: '' } }],
      ['a label’s value of 257 characters', { labels: { l: 'x'.repeat(257) } }],
      ['a label of our own', { labels: { 'secrets-state': 'pending' } }],
      ['a description of 256 characters', { description: 'x'.repeat(256) }],
    ])('refuses %s before any call that writes', async (_title, more) => {
      const name = fresh();
      expect(await kindOf(put('x', name, more))).toBe('Invalid');
      expect(await kindOf(readOne(store, { name }))).toBe('NotFound');
    });

    test('a disabled version says so, and the labels of one survive the next write', async () => {
      const name = fresh();
      const { id } = await put('off', name, { labels: { team: 'pay' } });
      raw().update(name, id, { attributes: { enabled: false } });
      for (const request of [{ name }, { name, version: id }])
        expect(await errorOf(readOne(store, request))).toMatchObject({
          kind: 'Invalid',
          message: 'is disabled',
          hint: expect.stringContaining('--enabled true'),
        });
      expect(await history(name)).toMatchObject([{ id, state: 'disabled', stages: ['current'] }]);
      await put('on', name);
      expect((await store.describe(name, now())).labels).toEqual({ team: 'pay' });
      expect(await kindOf(readOne(store, { name, stage: 'previous' }))).toBe('Invalid');
      expect(await kindOf((store.makeCurrent as NonNullable<Provider['makeCurrent']>)(name, id, now()))).toBe(
        'Invalid',
      );
    });

    test('dates of validity are shown, and stop no reader, as Azure has it', async () => {
      const name = fresh();
      raw().set(name, { value: 'x', attributes: { nbf: 4_000_000_000, exp: 4_000_000_100 } });
      const late = await readOne(store, { name });
      expect(late).toMatchObject({ note: expect.stringContaining('not to be used before 2096-') });
      raw().set(name, { value: 'y', attributes: { exp: 1_000_000_000 } });
      expect(await readOne(store, { name })).toMatchObject({ note: expect.stringContaining('expired') });
    });

    test('a certificate’s secret is read and not written', async () => {
      const name = fresh();
      raw().addCertificateSecret(name);
      expect(await textOf(store, { name })).toBe('certificate');
      expect(await errorOf(put('x', name))).toMatchObject({
        kind: 'Invalid',
        message: expect.stringContaining('belongs to a certificate'),
      });
    });

    test('names in another case are the same secret', async () => {
      const name = fresh();
      await put('one', name);
      expect(await textOf(store, { name: name.toUpperCase() })).toBe('one');
    });

    test('the order of versions of the same second, or of old ones that name none before them, is right', async () => {
      const name = fresh();
      const ids: string[] = [];
      for (const text of ['1', '2', '3', '4', '5']) ids.push((await put(text, name)).id);
      expect(await history(name)).toMatchObject(ids.toReversed().map((id) => ({ id })));
      raw().age(name, [5000, 4000, 3000, 2000, 1000]);
      expect(await history(name)).toMatchObject(ids.toReversed().map((id) => ({ id })));
      expect(await textOf(store, { name, stage: 'previous' })).toBe('4');
    });
  });

  describe('soft delete', () => {
    test('waits for a slow vault, with progress, and its window is the vault’s', async () => {
      stores.azure.vault.slowness = 700;
      const name = fresh();
      await put('kept', name);
      expect(await errorOf(store.delete(name, { windowDays: 7 }, now()))).toMatchObject({
        kind: 'Invalid',
        message: 'the vault keeps deleted secrets for 90 days',
      });
      const { recoverableUntil } = await store.delete(name, { windowDays: 90 }, now());
      expect((recoverableUntil?.getTime() ?? 0) / 86_400_000 - Date.now() / 86_400_000).toBeCloseTo(90, 1);
      expect(said).toContain(`${name} is being deleted`);
      await store.restore?.(name, now());
      expect(said).toContain(`${name} is being restored`);
      expect(await textOf(store, { name })).toBe('kept');
      await store.purge?.(name, undefined, now());
      // The name is not free for a moment yet.
      await put('anew', name);
      expect(await textOf(store, { name })).toBe('anew');
    });

    test('a deleted secret in the way is a Conflict that says what to do', async () => {
      const name = fresh();
      await put('x', name);
      await store.delete(name, {}, now());
      expect(await errorOf(put('y', name))).toMatchObject({
        kind: 'Conflict',
        message: 'a deleted secret blocks this name',
        hint: expect.stringMatching(/restore.*purge/),
      });
      expect(await errorOf(store.delete(name, {}, now()))).toMatchObject({ message: 'is already deleted' });
    });

    test('purge protection is explained, before anything is deleted and after', async () => {
      const guarded = start(stores.azure.env('officer'), { vault: 'guarded' });
      const name = fresh();
      await guarded.put(name, { value: bytes('kept') }, now());
      const refused = {
        kind: 'Denied',
        message: 'the vault has purge protection: nobody can purge',
        hint: expect.stringContaining('secrets restore undoes that'),
      };
      expect(await errorOf(guarded.purge?.(name, undefined, now()) as Promise<void>)).toMatchObject(refused);
      expect(await textOf(guarded, { name })).toBe('kept');
      await guarded.delete(name, {}, now());
      expect(await errorOf(guarded.purge?.(name, undefined, now()) as Promise<void>)).toMatchObject(refused);
      const findings = await guarded.diagnose(now());
      expect(findings.map(({ check, status }) => `${check} ${status}`)).toEqual([
        'credential ok',
        'vault ok',
      ]);
    });

    test('who may delete and not purge is told what has happened', async () => {
      const name = fresh();
      await put('kept', name);
      const provider = as('officer-without-purge');
      expect(await errorOf(provider.purge?.(name, undefined, now()) as Promise<void>)).toMatchObject({
        kind: 'Denied',
        message: expect.stringMatching(/^is deleted and not purged: not allowed .*secrets\/purge\/action$/),
        hint: 'secrets restore undoes that',
      });
      await provider.restore?.(name, now());
      expect(await textOf(store, { name })).toBe('kept');
    });

    test('a single version can’t be purged', async () => {
      const name = fresh();
      const { id } = await put('x', name);
      expect(await kindOf(store.purge?.(name, id, now()) as Promise<void>)).toBe('Unsupported');
    });
  });

  test('in a list of mapped names, those that nothing maps to are counted, and their URL reads them', async () => {
    const name = `${fresh()}---odd`;
    raw().set(name, { value: 'odd' });
    raw().set(`${name.slice(0, -6)}--even`, { value: 'even' });
    const mapped = as('officer', { names: 'mapped' });
    const prefix = name.slice(0, -6);
    expect((await all(mapped.list({ prefix }, now()))).map((info) => info.name)).toEqual([`${prefix}/even`]);
    expect(said).toContain('1 names in the vault don’t follow the mapping; use the URLs of those secrets');
    expect(await textOf(as('officer', { names: 'plain' }), { name })).toBe('odd');
  });

  test.each([
    [{ vault: 'http://pay.vault.azure.net' }, /must be https/],
    [{ vault: 'https://u:p@pay.vault.azure.net' }, /only an address/],
    [{ vault: 'https://pay.vault.azure.net/secrets' }, /only an address/],
    [{ vault: 'a' }, /3 to 24 letters/],
    [{ vault: 'a--b' }, /3 to 24 letters/],
    [{ vault: 'nowhere.example' }, /neither a name nor a URL/],
    [{}, /no Azure key vault/],
    [{ vault: 'pay', 'authority-host': 'http://login.example' }, /https URL/],
  ])('the settings %j are refused', (settings, message) => {
    expect(() => open(settings, contextFor({}, '/nonexistent'))).toThrow(message);
  });
});
