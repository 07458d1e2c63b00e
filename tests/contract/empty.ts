/** Secrets that somebody made without a value: the part of the contract suite for services that can have one. */
import type { Provider } from '../../src/providers/provider.ts';
import { all, bytes, type Contract, freshName, kindOf, now, readOne, textOf } from './kit.ts';

export function itTakesEmptySecrets(contract: Contract, opened: () => Provider): void {
  if (contract.makeEmpty === undefined) return;
  const made = async (): Promise<string> => {
    const name = freshName(contract);
    await contract.makeEmpty?.(name);
    return name;
  };

  describe('a secret without a value', () => {
    test('is listed and described, and get says that it has none yet', async () => {
      const provider = opened();
      const name = await made();
      const none = { kind: 'NotFound', message: 'has no value yet' };
      await expect(readOne(provider, { name })).rejects.toMatchObject(none);
      await expect(readOne(provider, { name, stage: 'current' })).rejects.toMatchObject(none);
      // With versions it says which one is missing, and with none at all that there is none.
      for (const stage of provider.capabilities.has('stages') ? ['previous', 'pending'] : [])
        await expect(readOne(provider, { name, stage })).rejects.toMatchObject({
          kind: 'NotFound',
          message: expect.stringMatching(
            /^has no (value yet|such version|previous version|pending version)$/,
          ),
        });
      const [one, two] = await provider.get([{ name }, { name: await made() }], now());
      expect([one, two]).toMatchObject([
        { ok: false, error: none },
        { ok: false, error: none },
      ]);
      expect((await all(provider.list({ prefix: name }, now()))).map((info) => info.name)).toEqual([name]);
      expect((await provider.describe(name, now())).currentVersion).toBeUndefined();
      if (provider.history !== undefined) expect(await all(provider.history(name, now()))).toEqual([]);
    });

    test('takes its first value', async () => {
      const provider = opened();
      const name = await made();
      const { id } = await provider.put(name, { value: bytes('first') }, now());
      expect(await textOf(provider, { name })).toBe('first');
      expect((await readOne(provider, { name })).id).toBe(id);
    });

    test('takes its first value under the condition that there is none, from one of many writers', async () => {
      const provider = opened();
      if (!provider.capabilities.has('cas')) return;
      const name = await made();
      const write = (text: string): Promise<string> =>
        kindOf(provider.put(name, { value: bytes(text), ifAbsent: true }, now()));
      const kinds = await Promise.all(['a', 'b', 'c', 'd'].map(write));
      expect(kinds.toSorted()).toEqual(['Conflict', 'Conflict', 'Conflict', 'no error']);
      expect(await textOf(provider, { name })).toBe(['a', 'b', 'c', 'd'][kinds.indexOf('no error')]);
      const late = provider.put(name, { value: bytes('e'), ifAbsent: true }, now());
      await expect(late).rejects.toMatchObject({ kind: 'Conflict', message: 'already exists' });
    });

    test('takes a pending version, which becomes its first value', async () => {
      const provider = opened();
      if (!provider.capabilities.has('stages') || contract.pendingNeedsCurrent !== undefined) return;
      const name = await made();
      const pending = await provider.put(name, { value: bytes('new'), stage: 'pending' }, now());
      expect(await kindOf(readOne(provider, { name }))).toBe('NotFound');
      await provider.makeCurrent?.(name, pending.id, now());
      expect(await textOf(provider, { name })).toBe('new');
    });

    test('is removed', async () => {
      const provider = opened();
      const name = await made();
      if (provider.purge === undefined) await provider.delete(name, {}, now());
      else await provider.purge(name, undefined, now());
      expect(await kindOf(provider.describe(name, now()))).toBe('NotFound');
    });
  });
}
