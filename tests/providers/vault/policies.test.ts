import { readFileSync } from 'node:fs';
import { describeWith } from '../../backends/server.ts';
import { scenarioFiles } from '../../backends/vault.ts';
import { kindOf, readOne } from '../../contract/suite.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { all, bytes, type Kit, now, startKit } from './kit.ts';

const page = readFileSync(new URL('../../../docs/vault.md', import.meta.url), 'utf8');
const policies = [...page.matchAll(/```hcl\n([^`]*)```/g)].map(([, text]) => text ?? '');

/** The policies of docs/vault.md allow what the page says, and not more. */
describeWith('vault: the documented policies', scenarioFiles, () => {
  const name = 'payments/db';
  let kit: Kit;
  beforeAll(async () => {
    kit = await startKit();
  });
  beforeEach(async () => {
    const root = kit.asRoot();
    await root.put(name, { value: bytes('1') }, now());
    await root.put(name, { value: bytes('2') }, now());
  });
  afterEach(() => kit.asRoot().purge?.(name, undefined, now()));
  afterAll(() => kit.stop());

  const withPolicy = async (index: number): Promise<Provider> =>
    kit.start({}, { VAULT_TOKEN: await kit.tokenWith(policies[index] ?? '') });
  const read = (provider: Provider, stage?: string): Promise<string> =>
    kindOf(readOne(provider, { name, stage }));
  const put = (provider: Provider, more = {}): Promise<string> =>
    kindOf(provider.put(name, { value: bytes('3'), ...more }, now()));

  test('to read', async () => {
    const provider = await withPolicy(0);
    expect(await read(provider)).toBe('no error');
    expect(await read(provider, 'previous')).toBe('Denied');
    expect(await put(provider)).toBe('Denied');
    expect(await kindOf(readOne(provider, { name: 'payments/other' }))).toBe('Denied');
  });

  test('to read versions', async () => {
    const provider = await withPolicy(1);
    expect(await read(provider, 'previous')).toBe('no error');
    expect((await all(provider.history?.(name, now()))).map(({ id }) => id)).toEqual(['2', '1']);
    expect(await put(provider)).toBe('Denied');
  });

  test('to write', async () => {
    const provider = await withPolicy(2);
    expect(await put(provider, { labels: { team: 'pay' }, ifVersion: '2' })).toBe('no error');
    await provider.delete(name, {}, now());
    await provider.restore?.(name, now());
    expect(await provider.makeCurrent?.(name, '1', now())).toMatchObject({ id: '4' });
    expect(await put(provider, { stage: 'pending' })).toBe('Denied');
    expect(await kindOf(provider.purge?.(name, undefined, now()) ?? Promise.resolve())).toBe('Denied');
  });

  test('to rotate', async () => {
    const provider = await withPolicy(3);
    const claim = { value: bytes('next'), stage: 'pending', ifAbsent: true } as const;
    const first = await provider.put(name, claim, now());
    expect(await kindOf(provider.put(name, claim, now()))).toBe('Conflict');
    await provider.purge?.(name, first.id, now());
    const second = await provider.put(name, claim, now());
    expect(await read(provider, 'pending')).toBe('no error');
    expect(await provider.makeCurrent?.(name, second.id, now())).toMatchObject({ id: '3' });
    expect((await all(provider.history?.(name, now()))).map(({ id }) => id)).toEqual(['3', '2', '1']);
    expect(await kindOf(provider.delete(name, {}, now()))).toBe('Denied');
  });
});
