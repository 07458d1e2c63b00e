import { startRecorder, type Recorder } from '../../backends/recorder.ts';
import { describeWith } from '../../backends/server.ts';
import { scenarioFiles } from '../../backends/vault.ts';
import { kindOf, readOne } from '../../contract/suite.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import type { VersionInfo } from '../../../src/core/secret.ts';
import { all, bytes, failure, type Kit, now, startKit } from './kit.ts';

describeWith('vault: pending versions', scenarioFiles, () => {
  let kit: Kit;
  let recorder: Recorder;
  let provider: Provider;
  beforeAll(async () => {
    kit = await startKit();
    recorder = await startRecorder(kit.vault.url);
    provider = kit.asRoot({ address: recorder.url });
  });
  afterEach(() => {
    recorder.intercept = () => undefined;
  });
  afterAll(async () => {
    await kit.stop();
    await recorder.stop();
  });

  let count = 0;
  const fresh = (): string => `app/${(count += 1)}`;
  const put = (name: string, text: string): Promise<VersionInfo> =>
    provider.put(name, { value: bytes(text) }, now());
  const stage = (name: string, text: string, more = {}): Promise<VersionInfo> =>
    provider.put(name, { value: bytes(text), stage: 'pending', ...more }, now());
  const promote = async (name: string, id: string): Promise<VersionInfo | undefined> =>
    provider.makeCurrent?.(name, id, now());
  const textOf = async (name: string): Promise<string> =>
    Buffer.from((await readOne(provider, { name })).value).toString();
  const versions = async (name: string): Promise<string[]> =>
    (await all(provider.history?.(name, now()))).map(({ id }) => id);
  const siblings = async (): Promise<string[]> => {
    const { data } = await kit.vault.api('GET', 'secret/metadata/app?list=true');
    return (data as { keys: string[] }).keys.filter((key) => key.includes('pending'));
  };
  const isSibling = (path: string): boolean => path.includes('.secrets-pending');

  test('lie at a path of their own, which no list shows and no secret may have', async () => {
    const name = fresh();
    const { id } = await stage(name, 'next');
    expect(id).toMatch(/^pending:1-\d{14,}$/);
    expect(await siblings()).toEqual(['1.secrets-pending']);
    const { data } = await kit.vault.api('GET', `secret/data/${name}.secrets-pending`);
    expect((data as { data: unknown }).data).toEqual({ value: 'next' });
    expect(await all(provider.list({ deleted: true }, now()))).toEqual([]);
    expect(await kindOf(put(`${name}.secrets-pending`, 'x'))).toBe('Invalid');
    await provider.purge?.(name, id, now());
    expect(await siblings().catch(() => [])).toEqual([]);
  });

  test('of the longest name are kept too', async () => {
    const name = 'n'.repeat(provider.rules.maxNameLength);
    const { id } = await stage(name, 'next');
    expect(await promote(name, id)).toMatchObject({ id: '1', stages: ['current'] });
    expect(await textOf(name)).toBe('next');
  });

  test.each(['lost', { status: 500 }] as const)(
    'are promoted once, when the sibling’s removal is answered with %j',
    async (answer) => {
      const name = fresh();
      await put(name, 'old');
      const { id } = await stage(name, 'next');
      recorder.intercept = ({ method, path }) =>
        method === 'DELETE' && isSibling(path) ? answer : undefined;
      const error = await failure(Promise.resolve(promote(name, id)));
      expect(error).toMatchObject({
        kind: 'Unavailable',
        message: expect.stringMatching(/version 2 is written and current/) as string,
      });
      recorder.intercept = () => undefined;
      if (answer !== 'lost') expect(await promote(name, id)).toMatchObject({ id: '2', stages: ['current'] });
      else expect(await kindOf(Promise.resolve(promote(name, id)))).toBe('NotFound');
      expect(await versions(name)).toEqual(['2', '1']);
      expect(await siblings()).toEqual([]);
    },
  );

  test('are promoted once, when the answer to the write is lost', async () => {
    const name = fresh();
    await put(name, 'old');
    const { id } = await stage(name, 'next');
    recorder.intercept = ({ method, path }) =>
      method === 'POST' && path === `/v1/secret/data/${name}` ? 'lost' : undefined;
    expect(await failure(Promise.resolve(promote(name, id)))).toMatchObject({
      kind: 'Unavailable',
      message: expect.stringMatching(/the change may have been made/) as string,
    });
    recorder.intercept = () => undefined;
    // Somebody goes on meanwhile: what they wrote stays current.
    await put(name, 'theirs');
    expect(await promote(name, id)).toMatchObject({ id: '2', stages: [] });
    expect(await versions(name)).toEqual(['3', '2', '1']);
    expect(await textOf(name)).toBe('theirs');
    expect(await siblings()).toEqual([]);
  });

  test('are promoted after a crash before the write, over what was written meanwhile', async () => {
    const name = fresh();
    await put(name, 'old');
    const { id } = await stage(name, 'next');
    recorder.intercept = ({ method, path }) =>
      method === 'POST' && path === `/v1/secret/data/${name}` ? { status: 500 } : undefined;
    expect(await kindOf(Promise.resolve(promote(name, id)))).toBe('Unavailable');
    recorder.intercept = () => undefined;
    await put(name, 'theirs');
    expect(await promote(name, id)).toMatchObject({ id: '3', stages: ['current'] });
    expect(await textOf(name)).toBe('next');
  });

  test('are promoted once by five at the same moment', async () => {
    const name = fresh();
    await put(name, 'old');
    const { id } = await stage(name, 'next');
    const kinds = await Promise.all(
      Array.from({ length: 5 }, () => kindOf(Promise.resolve(promote(name, id)))),
    );
    expect(kinds).toContain('no error');
    expect(kinds.filter((kind) => !/no error|Conflict|NotFound/.test(kind))).toEqual([]);
    expect(await versions(name)).toEqual(['2', '1']);
  });

  test('of an earlier claim are not taken for those of a later one', async () => {
    const name = fresh();
    const first = await stage(name, 'mine', { ifAbsent: true });
    await provider.purge?.(name, first.id, now());
    const second = await stage(name, 'theirs', { ifAbsent: true });
    expect(second.id).not.toBe(first.id);
    expect(await kindOf(readOne(provider, { name, version: first.id }))).toBe('NotFound');
    expect(await kindOf(Promise.resolve(promote(name, first.id)))).toBe('NotFound');
    expect(await kindOf(provider.purge?.(name, first.id, now()) ?? Promise.resolve())).toBe('NotFound');
    expect(await promote(name, second.id)).toMatchObject({ id: '1' });
  });

  test('that another client deleted softly can be claimed by one of ten', async () => {
    const name = fresh();
    await stage(name, 'old claim', { ifAbsent: true });
    await kit.vault.api('DELETE', `secret/data/${name}.secrets-pending`);
    expect(await kindOf(readOne(provider, { name, stage: 'pending' }))).toBe('NotFound');
    expect(await kindOf(all(provider.history?.(name, now())))).toBe('NotFound');
    const kinds = await Promise.all(
      Array.from({ length: 10 }, (_, index) => kindOf(stage(name, `claim ${index}`, { ifAbsent: true }))),
    );
    expect(kinds.toSorted()).toEqual([...Array.from({ length: 9 }, () => 'Conflict'), 'no error']);
    await provider.purge?.(name, undefined, now());
  });

  test('leave no orphan when a deletion or a purge was interrupted', async () => {
    const before = await siblings().catch(() => []);
    const name = fresh();
    await put(name, 'now');
    await stage(name, 'next');
    await kit.vault.api('DELETE', `secret/data/${name}`);
    await provider.delete(name, {}, now());
    expect(await kindOf(provider.delete(name, {}, now()))).toBe('NotFound');
    expect(await siblings().catch(() => [])).toEqual(before);
    await stage(name, 'next');
    await kit.vault.api('DELETE', `secret/metadata/${name}`);
    await provider.purge?.(name, undefined, now());
    expect(await kindOf(provider.purge?.(name, undefined, now()) ?? Promise.resolve())).toBe('NotFound');
    expect(await siblings().catch(() => [])).toEqual(before);
  });

  test('take no labels, and KV version 1 has none of them', async () => {
    expect(await kindOf(stage(fresh(), 'x', { labels: { a: '1' } }))).toBe('Unsupported');
    const old = kit.asRoot({ mount: 'kv1' });
    const write = { value: bytes('x'), stage: 'pending' as const };
    expect(await kindOf(old.put(fresh(), write, now()))).toBe('Unsupported');
    expect(kit.asRoot({ mount: 'kv1', 'kv-version': 1 }).capabilities.has('stages')).toBe(false);
  });

  test('don’t stand in the way of a policy that knows nothing of them', async () => {
    const name = fresh();
    await put(name, 'now');
    const token = await kit.tokenWith(
      `path "secret/data/${name}" { capabilities = ["read", "delete"] }
       path "secret/metadata/${name}" { capabilities = ["read"] }`,
    );
    const limited = kit.start({}, { VAULT_TOKEN: token });
    expect((await all(limited.history?.(name, now()))).map(({ id }) => id)).toEqual(['1']);
    await limited.delete(name, {}, now());
    expect(await kindOf(readOne(provider, { name }))).toBe('NotFound');
  });

  test('and all other writes work where the mount asks for compare-and-set', async () => {
    await kit.vault.api('POST', 'sys/mounts/strict', { type: 'kv', options: { version: '2' } });
    const strict = kit.asRoot({ mount: 'strict' });
    // A new mount upgrades itself for a moment; the provider waits for it.
    await strict.put('a', { value: bytes('1') }, now());
    await kit.vault.api('POST', 'strict/config', { cas_required: true });
    await Promise.all(['2', '3', '4'].map((text) => strict.put('a', { value: bytes(text) }, now())));
    expect((await readOne(strict, { name: 'a' })).id).toBe('4');
    const { id } = await strict.put('a', { value: bytes('5'), stage: 'pending' }, now());
    expect(await strict.makeCurrent?.('a', id, now())).toMatchObject({ id: '5' });
  });
});
