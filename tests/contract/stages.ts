/** The contract's part on stages: what `put` with stage `pending` keeps, claims, promotes and discards. */
import type { Provider } from '../../src/providers/provider.ts';
import type { VersionInfo } from '../../src/core/secret.ts';
import { all, bytes, type Contract, freshName, kindOf, now, readOne, textOf } from './kit.ts';

export function itKeepsStages(contract: Contract, provider: () => Provider): void {
  const staged = (): boolean => provider().capabilities.has('stages');
  const fresh = (): string => freshName(contract);
  const put = (name: string, text: string): Promise<VersionInfo> =>
    provider().put(name, { value: bytes(text) }, now());
  const stage = (name: string, text: string, more = {}): Promise<VersionInfo> =>
    provider().put(name, { value: bytes(text), stage: 'pending', ...more }, now());
  const pendingOf = (name: string): Promise<string> => textOf(provider(), { name, stage: 'pending' });
  const pendingKind = (name: string): Promise<string> =>
    kindOf(readOne(provider(), { name, stage: 'pending' }));
  const makeCurrent = async (name: string, id: string): Promise<VersionInfo | undefined> =>
    provider().makeCurrent?.(name, id, now());
  const purge = async (name: string, id?: string): Promise<void> => provider().purge?.(name, id, now());
  /** The versions that hold each stage. */
  const stages = async (name: string): Promise<Record<string, string[]>> => {
    const found: Record<string, string[]> = {};
    for (const { id, stages } of await all(provider().history?.(name, now()) ?? nothing()))
      for (const stage of stages) (found[stage] ??= []).push(id);
    return found;
  };

  describe('pending versions', () => {
    /** Every test of a store without stages asserts that it says so. */
    const whenStaged = (title: string, work: () => Promise<void>): void => {
      test(title, async () => {
        if (staged()) await work();
        else expect(await kindOf(stage(fresh(), 'next'))).toBe('Unsupported');
      });
    };

    whenStaged('are invisible to readers of the current one and to lists', async () => {
      const name = fresh();
      const first = await put(name, 'now');
      const pending = await stage(name, 'next');
      expect(pending.stages).toContain('pending');
      expect(pending.id).not.toBe(first.id);
      expect(await textOf(provider(), { name })).toBe('now');
      expect(await textOf(provider(), { name, stage: 'current' })).toBe('now');
      expect(await pendingOf(name)).toBe('next');
      expect(await textOf(provider(), { name, version: pending.id })).toBe('next');
      const infos = await all(provider().list({ prefix: name }, now()));
      expect(infos.map((info) => info.name)).toEqual([name]);
      const many = await provider().get([{ name }, { name, stage: 'pending' }, { name: fresh() }], now());
      expect(
        many.map((result) => (result.ok ? Buffer.from(result.secret.value).toString() : result.error.kind)),
      ).toEqual(['now', 'next', 'NotFound']);
    });

    whenStaged('are NotFound where there is none', async () => {
      const name = fresh();
      expect(await pendingKind(name)).toBe('NotFound');
      await put(name, 'now');
      expect(await pendingKind(name)).toBe('NotFound');
    });

    whenStaged('stand in the history, and leave current and previous where they are', async () => {
      const name = fresh();
      const [first, second] = [await put(name, 'one'), await put(name, 'two')];
      const pending = await stage(name, 'three');
      expect(await stages(name)).toMatchObject({
        current: [second.id],
        previous: [first.id],
        pending: [pending.id],
      });
      expect(await textOf(provider(), { name, stage: 'previous' })).toBe('one');
      await put(name, 'four');
      expect(await pendingOf(name)).toBe('three');
      expect(await textOf(provider(), { name, stage: 'previous' })).toBe('two');
    });

    whenStaged('replace an older one when not told otherwise', async () => {
      const name = fresh();
      await put(name, 'now');
      await stage(name, 'first');
      const second = await stage(name, 'second');
      expect(await pendingOf(name)).toBe('second');
      expect((await stages(name))['pending']).toEqual([second.id]);
    });

    whenStaged('are claimed by one: a second claim is a Conflict', async () => {
      if (!provider().capabilities.has('cas')) {
        expect(await kindOf(stage(fresh(), 'x', { ifAbsent: true }))).toBe('Unsupported');
        return;
      }
      const name = fresh();
      await put(name, 'now');
      const claim = await stage(name, 'mine', { ifAbsent: true });
      expect(await kindOf(stage(name, 'theirs', { ifAbsent: true }))).toBe('Conflict');
      expect(await pendingOf(name)).toBe('mine');
      await purge(name, claim.id);
      expect(await kindOf(stage(name, 'theirs', { ifAbsent: true }))).toBe('no error');
      await makeCurrent(name, (await readOne(provider(), { name, stage: 'pending' })).id);
      expect(await textOf(provider(), { name })).toBe('theirs');
      expect(await kindOf(stage(name, 'after', { ifAbsent: true }))).toBe('no error');
    });

    whenStaged('are claimed by one of ten at the same moment', async () => {
      if (!provider().capabilities.has('cas')) {
        expect(await kindOf(stage(fresh(), 'x', { ifAbsent: true }))).toBe('Unsupported');
        return;
      }
      const name = fresh();
      await put(name, 'now');
      const texts = Array.from({ length: 10 }, (_, index) => `claim ${index}`);
      const kinds = await Promise.all(texts.map((text) => kindOf(stage(name, text, { ifAbsent: true }))));
      expect(kinds.toSorted()).toEqual([...Array.from({ length: 9 }, () => 'Conflict'), 'no error']);
      expect(await pendingOf(name)).toBe(texts[kinds.indexOf('no error')]);
      expect(await textOf(provider(), { name })).toBe('now');
    });

    whenStaged('honour ifVersion as the current version’s id', async () => {
      if (!provider().capabilities.has('cas')) {
        expect(provider().capabilities.has('cas')).toBe(false);
        return;
      }
      const name = fresh();
      const first = await put(name, 'one');
      const second = await put(name, 'two');
      expect(await kindOf(stage(name, 'next', { ifVersion: first.id }))).toBe('Conflict');
      expect(await pendingKind(name)).toBe('NotFound');
      expect(await kindOf(stage(name, 'next', { ifVersion: second.id }))).toBe('no error');
    });

    whenStaged('are taken over from the one who holds them, once', async () => {
      if (!provider().capabilities.has('cas')) {
        expect(provider().capabilities.has('cas')).toBe(false);
        return;
      }
      const name = fresh();
      const old = await put(name, 'now');
      expect(await kindOf(stage(name, 'next', { ifPending: old.id }))).toBe('Conflict');
      expect(await pendingKind(name)).toBe('NotFound');
      const first = await stage(name, 'next', { ifAbsent: true });
      const kinds = await Promise.all(
        ['one', 'two', 'three'].map((text) => kindOf(stage(name, text, { ifPending: first.id }))),
      );
      expect(kinds.toSorted()).toEqual(['Conflict', 'Conflict', 'no error']);
      const taken = await readOne(provider(), { name, stage: 'pending' });
      expect(Buffer.from(taken.value).toString()).toBe(['one', 'two', 'three'][kinds.indexOf('no error')]);
      expect(taken.id).not.toBe(first.id);
      expect(await kindOf(stage(name, 'late', { ifPending: first.id }))).toBe('Conflict');
      // Also after it was discarded and claimed anew.
      await purge(name, taken.id);
      expect(await kindOf(stage(name, 'late', { ifPending: taken.id }))).toBe('Conflict');
      await stage(name, 'anew', { ifAbsent: true });
      expect(await kindOf(stage(name, 'late', { ifPending: taken.id }))).toBe('Conflict');
      expect(await textOf(provider(), { name })).toBe('now');
    });

    whenStaged('leave labels to be set beside them, without a version', async () => {
      const { setLabels } = provider();
      if (setLabels === undefined) {
        expect(provider().setLabels).toBeUndefined();
        return;
      }
      const name = fresh();
      await put(name, 'now');
      const pending = await stage(name, 'next');
      const before = (await all(provider().history?.(name, now()) ?? nothing())).length;
      await setLabels.call(provider(), name, { 'rotate-every': '30d', team: 'pay' }, now());
      await setLabels.call(provider(), name, { team: null }, now());
      expect((await provider().describe(name, now())).labels).toEqual({ 'rotate-every': '30d' });
      expect((await all(provider().history?.(name, now()) ?? nothing())).length).toBe(before);
      expect((await readOne(provider(), { name, stage: 'pending' })).id).toBe(pending.id);
      await makeCurrent(name, pending.id);
      expect((await provider().describe(name, now())).labels).toEqual({ 'rotate-every': '30d' });
      expect(await kindOf(setLabels.call(provider(), fresh(), { team: 'pay' }, now()))).toBe('NotFound');
    });

    whenStaged('become current when promoted, once', async () => {
      const name = fresh();
      await put(name, 'zero');
      const old = await put(name, 'old');
      const pending = await stage(name, 'next');
      const promoted = await makeCurrent(name, pending.id);
      expect(promoted?.stages).toContain('current');
      const after = async (): Promise<void> => {
        expect(await textOf(provider(), { name })).toBe('next');
        expect(await textOf(provider(), { name, stage: 'previous' })).toBe('old');
        expect(await pendingKind(name)).toBe('NotFound');
        expect(await stages(name)).toMatchObject({ current: [promoted?.id], previous: [old.id] });
        expect((await stages(name))['pending']).toBeUndefined();
      };
      await after();
      const before = (await all(provider().history?.(name, now()) ?? nothing())).length;
      // A second time, as after a crash: the same version or NotFound, and no further one.
      const again = makeCurrent(name, pending.id);
      expect(await kindOf(again)).toMatch(/^(no error|NotFound)$/);
      expect((await again.catch(() => promoted))?.id).toBe(promoted?.id);
      await after();
      expect((await all(provider().history?.(name, now()) ?? nothing())).length).toBe(before);
    });

    whenStaged('are discarded alone', async () => {
      const name = fresh();
      const [first, second] = [await put(name, 'one'), await put(name, 'two')];
      const pending = await stage(name, 'three');
      await purge(name, pending.id);
      expect(await pendingKind(name)).toBe('NotFound');
      expect(await textOf(provider(), { name })).toBe('two');
      expect(await stages(name)).toMatchObject({ current: [second.id], previous: [first.id] });
      expect((await stages(name))['pending']).toBeUndefined();
      expect(await kindOf(purge(name, pending.id))).toMatch(/^(no error|NotFound)$/);
    });

    whenStaged('go with the secret', async () => {
      const name = fresh();
      await put(name, 'now');
      await stage(name, 'next');
      await provider().delete(name, {}, now());
      expect(await pendingKind(name)).toBe('NotFound');
      const deleted = { prefix: name, deleted: true };
      if (provider().capabilities.has('soft-delete')) {
        const infos = await all(provider().list(deleted, now()));
        expect(infos.map((info) => info.name)).toEqual([name]);
        // Where writing it anew is allowed, nobody's unfinished rotation comes back with it.
        if ((await kindOf(put(name, 'revived'))) === 'no error') {
          expect(await pendingKind(name)).toBe('NotFound');
          await provider().delete(name, {}, now());
        }
        // Refused or kept, it does not bring the deleted value back.
        expect(await kindOf(stage(name, 'later'))).toMatch(/^(no error|Conflict)$/);
        expect(await kindOf(readOne(provider(), { name }))).toBe('NotFound');
        await purge(name);
      }
      expect(await all(provider().list(deleted, now()))).toEqual([]);
      await put(name, 'anew');
      expect(await pendingKind(name)).toBe('NotFound');
      expect(
        await kindOf(stage(name, 'next', provider().capabilities.has('cas') ? { ifAbsent: true } : {})),
      ).toBe('no error');
    });

    whenStaged('may come before the first current one', async () => {
      const name = fresh();
      if (contract.pendingNeedsCurrent !== undefined) {
        expect(await kindOf(stage(name, 'next'))).toBe('Unsupported');
        expect(await kindOf(readOne(provider(), { name }))).toBe('NotFound');
        return;
      }
      const discarded = await stage(name, 'never');
      await purge(name, discarded.id);
      expect(await pendingKind(name)).toBe('NotFound');
      const pending = await stage(name, 'first');
      expect(await kindOf(readOne(provider(), { name }))).toBe('NotFound');
      expect(await kindOf(provider().describe(name, now()))).toBe('NotFound');
      expect(await all(provider().list({ prefix: name }, now()))).toEqual([]);
      expect(await pendingOf(name)).toBe('first');
      await makeCurrent(name, pending.id);
      expect(await textOf(provider(), { name })).toBe('first');
      expect(await pendingKind(name)).toBe('NotFound');
    });
  });
}

async function* nothing(): AsyncGenerator<never> {
  // A store without history.
}
