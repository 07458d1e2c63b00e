/** Versions of a secret in the local store: destroying one changes nothing else. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { StoreFolder } from '../../../src/providers/local/folder.ts';
import { open } from '../../../src/providers/local/index.ts';
import type { VersionInfo } from '../../../src/core/secret.ts';
import { contextFor, kindOf, readOne } from '../../contract/suite.ts';
import { entriesOf } from './place.ts';

const soon = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(120_000) });

describe('versions of the local store', () => {
  const home = mkdtempSync(join(tmpdir(), 'secrets-versions-'));
  const store = open({ key: { method: 'key-file' } }, contextFor({}, home));
  afterAll(() => rmSync(home, { recursive: true }));
  let count = 0;
  const historyOf = async (name: string): Promise<VersionInfo[]> => {
    const found: VersionInfo[] = [];
    for await (const version of store.history?.(name, soon()) ?? []) found.push(version);
    return found;
  };
  const pendingOf = (versions: readonly VersionInfo[]): string | undefined =>
    versions.find(({ stages }) => stages.includes('pending'))?.id;

  const step = fc.oneof(
    fc.record({
      kind: fc.constant('put' as const),
      stage: fc.constantFrom('current' as const, 'pending' as const),
      labels: fc.constantFrom(undefined, { a: '1' }, { a: '2', b: '1' }, { a: null }, { b: null }),
      description: fc.constantFrom(undefined, 'd', 'e'),
    }),
    fc.record({ kind: fc.constantFrom('delete' as const, 'restore' as const) }),
    fc.record({ kind: fc.constant('current' as const), version: fc.integer({ min: 1, max: 6 }) }),
  );

  test('destroying any version keeps everything that the secret is besides', async () => {
    let destroyed = 0;
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 3, maxLength: 9 }),
      fc.nat(9),
      async (steps, pick) => {
        const name = `property/${(count += 1)}`;
        await store.put(name, { value: Buffer.from('first') }, soon());
        for (const one of steps) {
          const work = async (): Promise<unknown> => {
            if (one.kind === 'delete') return store.delete(name, {}, soon());
            if (one.kind === 'restore') return store.restore?.(name, soon());
            if (one.kind === 'current') return store.makeCurrent?.(name, String(one.version), soon());
            const { kind, ...write } = one;
            return store.put(name, { ...write, value: Buffer.from(kind) }, soon());
          };
          // Some are refused: nothing to restore, no such version, a pending one of a deleted secret.
          await kindOf(work());
        }
        const before = await store.describe(name, soon());
        const versions = await historyOf(name);
        const others = versions.filter(({ id }) => id !== before.currentVersion);
        const gone = others[pick % Math.max(1, others.length)];
        if (gone === undefined) return;
        await store.purge?.(name, gone.id, soon());
        destroyed += 1;

        const after = await store.describe(name, soon());
        expect({ ...after, updatedAt: undefined }).toEqual({ ...before, updatedAt: undefined });
        const left = await historyOf(name);
        expect(left.map(({ id }) => id)).toEqual(versions.map(({ id }) => id));
        expect(left.find(({ id }) => id === gone.id)).toMatchObject({ state: 'destroyed', stages: [] });
        const pending = pendingOf(versions);
        expect(pendingOf(left)).toBe(pending === gone.id ? undefined : pending);
        if (after.deletedAt !== undefined) await store.restore?.(name, soon());
        expect(await kindOf(readOne(store, { name, version: gone.id }))).toBe('NotFound');
        expect((await readOne(store, { name })).id).toBe(before.currentVersion);
      },
    );
    await fc.assert(property, { numRuns: 60 });
    expect(destroyed).toBeGreaterThan(20);
  });

  test('a version’s file that is left, or came back, goes with the next that is destroyed, or a renewal', async () => {
    const name = 'left';
    const put = (text: string): Promise<VersionInfo> => store.put(name, { value: Buffer.from(text) }, soon());
    const entries = (): string[] => entriesOf(join(home, '.local/share/secrets/store'));
    const others = new Set(entries());
    const own = (): string[] => entries().filter((file) => !others.has(file));
    await put('1');
    const [first] = own() as [string];
    const bytes = readFileSync(first);
    await put('2');
    await store.purge?.(name, '1', soon());
    expect(own().length).toBe(2);
    const comeBack: readonly (() => Promise<unknown> | undefined)[] = [
      () => store.purge?.(name, '1', soon()),
      () => store.rekey?.({}, soon()),
    ];
    for (const work of comeBack) {
      writeFileSync(first, bytes);
      expect(await kindOf(readOne(store, { name, version: '1' }))).toBe('NotFound');
      await kindOf(Promise.resolve(work()));
      expect(own().length).toBe(2);
    }
    expect((await historyOf(name)).map(({ id, state }) => `${id} ${state}`)).toEqual([
      '2 enabled',
      '1 destroyed',
    ]);
  });

  test('a listing that misses a file and the entry that destroyed it is made again', async () => {
    const name = 'listed';
    for (const text of ['1', '2', '3']) await store.put(name, { value: Buffer.from(text) }, soon());
    await store.purge?.(name, '2', soon());
    const journal = await new StoreFolder({}, contextFor({}, home)).existing();
    if (journal === undefined) throw new Error('no store');
    const sid = journal.secretId(name);
    const whole = journal.files(sid);
    expect(whole.length).toBe(3);
    let listings = 0;
    // The file system's part in the race: the first listing began before the entry was there.
    journal.files = () => ((listings += 1) === 1 ? whole.slice(0, -1) : whole);
    expect(journal.load(sid).damage).toEqual([]);
    expect(listings).toBe(2);
    journal.files = () => whole.slice(0, -1);
    expect(journal.load(sid).damage.length).toBe(1);
  });

  test('the current version is not destroyed, and numbers are never used again', async () => {
    const name = 'numbers';
    for (const text of ['1', '2']) await store.put(name, { value: Buffer.from(text) }, soon());
    const purge = (version: string): Promise<string> =>
      kindOf(store.purge?.(name, version, soon()) ?? Promise.resolve());
    expect(await purge('2')).toBe('Conflict');
    await store.makeCurrent?.(name, '1', soon());
    expect(await purge('2')).toBe('no error');
    expect(await purge('2')).toBe('NotFound');
    expect((await store.put(name, { value: Buffer.from('3') }, soon())).id).toBe('3');
  });
});
