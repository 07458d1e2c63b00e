/** Pending versions in Azure: the sibling, its rights, and promotions that are broken off. */
import type { Provider } from '../../src/providers/provider.ts';
import { scenarioFiles } from '../backends/azure.ts';
import type { Vault } from '../backends/azure/vault.ts';
import { describeWith } from '../backends/server.ts';
import { startFaultProxy } from '../contract/fault-proxy.ts';
import { all, bytes, errorOf, freshName, kindOf, now, readOne, textOf } from '../contract/kit.ts';
import { direct, useAzure } from './azure-kit.ts';

describeWith('azure’s pending versions', scenarioFiles, () => {
  const stores = useAzure();
  const { start, as } = stores;
  let store: Provider;
  const fresh = (): string => freshName({ open: () => store, separator: '-' });
  /** The vault itself, as another program would use it. */
  const raw = (): Vault => stores.azure.vault;
  const put = (text: string, name: string, more = {}): ReturnType<Provider['put']> =>
    store.put(name, { value: bytes(text), ...more }, now());
  const history = (name: string): ReturnType<typeof all<unknown>> =>
    all((store.history as NonNullable<Provider['history']>)(name, now()));

  const sibling = (name: string): string => `${name}--secrets-pending`;

  beforeAll(() => {
    store = as('officer');
  });

  const stage = (text: string, name: string, more = {}): ReturnType<Provider['put']> =>
    put(text, name, { stage: 'pending', ...more });

  test('have a legal sibling, which no list shows and no name may have', async () => {
    const name = fresh();
    await put('now', name);
    const { id } = await stage('next', name);
    const { id: native } = raw().get(sibling(name), '') as { id: string };
    expect(id).toBe(`pending:${native.split('/').at(-1)}`);
    expect((await all(store.list({ prefix: name }, now()))).map((info) => info.name)).toEqual([name]);
    expect(await kindOf(readOne(store, { name: sibling(name) }))).toBe('Invalid');
    expect(await kindOf(put('x', sibling(name)))).toBe('Invalid');
  });

  test('are said to be missing, by their id where one was named', async () => {
    const name = fresh();
    await put('now', name);
    const hint = 'secrets history shows the versions';
    await expect(readOne(store, { name, stage: 'pending' })).rejects.toMatchObject({
      kind: 'NotFound',
      message: 'has no pending version',
      hint,
    });
    const id = 'f'.repeat(32);
    await expect(readOne(store, { name, version: `pending:${id}` })).rejects.toMatchObject({
      kind: 'NotFound',
      message: `has no pending version ${id}`,
      hint,
    });
  });

  test('leave no readable value behind, and no name that is blocked', async () => {
    const name = fresh();
    await put('now', name);
    for (const round of ['a', 'b', 'c']) {
      await stage(`older ${round}`, name);
      const { id } = await stage(`next ${round}`, name);
      if (round === 'b') await store.purge?.(name, id, now());
      else await store.makeCurrent?.(name, id, now());
      const { value } = raw().versions(sibling(name), '', 25) as unknown as {
        value: { attributes: { enabled: boolean } }[];
      };
      expect(value.map(({ attributes }) => attributes.enabled)).not.toContain(true);
    }
    // However many there have been, none of them is looked at again.
    expect(stores.azure.server.log).not.toContain(`GetSecretVersions tests/${sibling(name)}`);
    expect(await textOf(store, { name })).toBe('next c');
    expect(await history(name)).toHaveLength(3);
  });

  test('keep their labels, description and date for the version they become', async () => {
    const name = fresh();
    await put('now', name, { labels: { team: 'pay', tier: 'gold' }, description: 'old' });
    const expiresAt = new Date('2030-01-02T03:04:05Z');
    const { id } = await stage('next', name, { labels: { tier: 'silver' }, description: 'new', expiresAt });
    await store.makeCurrent?.(name, id, now());
    expect(await store.describe(name, now())).toMatchObject({
      labels: { team: 'pay', tier: 'silver' },
      description: 'new',
      expiresAt,
    });
    expect(await kindOf(stage('x', name, { labels: { tier: null } }))).toBe('Unsupported');
  });

  test.each(['lost', 'reset'] as const)(
    'a promotion that is broken off (%s) at any request is finished by the next, with one version',
    async (fault) => {
      const proxy = await startFaultProxy({
        url: stores.azure.server.url,
        ca: stores.azure.tls.cert,
        tls: stores.azure.tls,
      });
      try {
        for (let skip = 0, broken = true; broken; skip += 1) {
          const name = fresh();
          await put('now', name);
          const { id } = await stage('next', name);
          const through = start(stores.azure.env('officer'), direct(proxy.url));
          proxy.heal();
          proxy.fault(fault, { skip });
          broken = (await errorOf(through.makeCurrent?.(name, id, now()) as Promise<unknown>)) !== undefined;
          proxy.heal();
          expect(['now', 'next']).toContain(await textOf(store, { name }));
          expect((await store.makeCurrent?.(name, id, now()))?.stages).toEqual(['current']);
          expect(await textOf(store, { name })).toBe('next');
          expect(await history(name)).toHaveLength(2);
          expect(await kindOf(readOne(store, { name, stage: 'pending' }))).toBe('NotFound');
          expect(skip).toBeLessThan(20);
        }
      } finally {
        await proxy.stop();
      }
    },
  );

  test('a promotion asked for again after a later write gives the version it became', async () => {
    const name = fresh();
    await put('now', name);
    const { id } = await stage('next', name);
    const promoted = await store.makeCurrent?.(name, id, now());
    await put('later', name);
    expect(await store.makeCurrent?.(name, id, now())).toMatchObject({ id: promoted?.id, stages: [] });
    expect(await textOf(store, { name })).toBe('later');
  });

  test('need no right to purge, nor a vault that lets anybody', async () => {
    for (const provider of [
      as('officer-without-purge'),
      start(stores.azure.env('officer'), { vault: 'guarded' }),
    ]) {
      const name = fresh();
      const write = (text: string, more = {}): ReturnType<Provider['put']> =>
        provider.put(name, { value: bytes(text), ...more }, now());
      await write('now');
      await write('never', { stage: 'pending' });
      await provider.purge?.(name, (await readOne(provider, { name, stage: 'pending' })).id, now());
      const { id } = await write('next', { stage: 'pending' });
      await provider.makeCurrent?.(name, id, now());
      await write('unused', { stage: 'pending' });
      await provider.delete(name, {}, now());
      expect(await kindOf(write('x', { stage: 'pending' }))).toBe('Conflict');
      await provider.restore?.(name, now());
      expect(await textOf(provider, { name })).toBe('next');
      expect(await textOf(provider, { name, stage: 'pending' })).toBe('unused');
      await write('again', { stage: 'pending' });
      expect(await textOf(provider, { name, stage: 'pending' })).toBe('again');
    }
  });

  test('go for good with the secret, also when others deleted it', async () => {
    const name = fresh();
    await put('now', name);
    await stage('next', name);
    raw().delete(name);
    await store.purge?.(name, undefined, now());
    for (const gone of [name, sibling(name)]) {
      expect(() => raw().get(gone, '')).toThrow(/not found/);
      expect(() => raw().getDeleted(gone)).toThrow(/not found/i);
    }
  });

  test('a name too long for a sibling says so', async () => {
    const name = 'x'.repeat(111);
    await put('now', name);
    expect(await errorOf(stage('next', name))).toMatchObject({
      kind: 'Invalid',
      message: expect.stringContaining('at most 110 characters'),
    });
    await store.delete(name, {}, now());
  });
});
