import { describeWith } from '../../backends/server.ts';
import { scenarioFiles } from '../../backends/vault.ts';
import { readOne } from '../../contract/suite.ts';
import { bytes, type Kit, now, startKit } from './kit.ts';

describeWith('vault: what is kept', scenarioFiles, () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await startKit();
  });
  afterAll(() => kit.stop());
  const kept = async (name: string): Promise<unknown> => {
    const { data } = await kit.vault.api('GET', `secret/data/${name}`);
    return (data as { data: unknown }).data;
  };

  test.each([
    ['an object', '{"user":"u","port":5432}', { user: 'u', port: 5432 }],
    ['text', 'plain', { value: 'plain' }],
    ['bytes', Buffer.from([0xff, 0]), { value: '/wA=', encoding: 'base64' }],
    ['an empty object', '{}', { value: '{}' }],
    ['an object that looks like kept text', '{"value":"v"}', { value: '{"value":"v"}' }],
    ['a whole number of 20 digits', '{"n":12345678901234567890}', { value: '{"n":12345678901234567890}' }],
    ['a fraction of 20 digits', '{"n":-0.12345678901234567890}', { value: '{"n":-0.12345678901234567890}' }],
    ['digits in a text', '{"n":"12345678901234567890","m":1e20}', { n: '12345678901234567890', m: 1e20 }],
  ])('%s has its form in Vault, and reads as it was', async (_title, text, form) => {
    const provider = kit.asRoot();
    const name = `form/${_title.replaceAll(' ', '-')}`;
    const value = Buffer.from(text as string);
    await provider.put(name, { value }, now());
    expect(await kept(name)).toEqual(form);
    const read = Buffer.from((await readOne(provider, { name })).value);
    if (typeof form === 'object' && 'value' in form) expect(read).toEqual(value);
    else expect(JSON.parse(read.toString())).toEqual(form);
  });

  test('an old version is made current in the form that another client gave it', async () => {
    const provider = kit.asRoot();
    await kit.vault.api('POST', 'secret/data/theirs', { data: { value: '{"a":1}' } });
    await provider.put('theirs', { value: bytes('new') }, now());
    expect(await provider.makeCurrent?.('theirs', '1', now())).toMatchObject({ id: '3' });
    expect(await kept('theirs')).toEqual({ value: '{"a":1}' });
    expect(await provider.makeCurrent?.('theirs', '3', now())).toMatchObject({ id: '3' });
  });
});
