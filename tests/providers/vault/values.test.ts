import { describeWith } from '../../backends/server.ts';
import { scenarioFiles } from '../../backends/vault.ts';
import { keyText, withKeys } from '../../../src/core/document/secret.ts';
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
    ['a number beyond a float64', '{"n":1e400}', { value: '{"n":1e400}' }],
    ['a number too small for one', '{"n":1e-400}', { value: '{"n":1e-400}' }],
    ['half of a surrogate pair', '{"n":"\\ud800"}', { value: '{"n":"\\ud800"}' }],
    ['a key that is there twice', '{"n":1,"n":2}', { value: '{"n":1,"n":2}' }],
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

  /** The text of Vault's answer, which the tests' own parser would round. */
  const raw = async (path: string): Promise<string> => {
    const response = await fetch(`${kit.vault.url}/v1/${path}`, {
      headers: { 'X-Vault-Token': kit.vault.token },
    });
    return response.text();
  };
  const post = async (path: string, body: string): Promise<void> => {
    const headers = { 'X-Vault-Token': kit.vault.token };
    expect((await fetch(`${kit.vault.url}/v1/${path}`, { method: 'POST', headers, body })).ok).toBe(true);
  };
  test('every number of a map is exact in KV version 1, whoever wrote it', async () => {
    const numbers =
      '{"b":1.10,"c":-0,"d":12345678901234567890,"e":0.12345678901234567890,"f":1E+2,"g":1e-400}';
    const provider = kit.asRoot({ mount: 'kv1' });
    await post('kv1/exact', numbers);
    const theirs = await readOne(provider, { name: 'exact' });
    expect(Buffer.from(theirs.value).toString()).toBe(numbers);
    await provider.put('exact', withKeys(theirs, new Map([['b', 'new']])), now());
    expect(await raw('kv1/exact')).toContain(numbers.replace('1.10', '"new"'));
    await provider.put('ours', { value: bytes(numbers) }, now());
    expect(await raw('kv1/ours')).toContain(numbers);
  });

  test('in KV version 2 a map stays one, its numbers as Vault gives them to every client', async () => {
    const provider = kit.asRoot();
    await post(
      'secret/data/exact',
      '{"data":{"id":1234567890123456789,"password":"old","rate":1.5,"tiny":1e-7}}',
    );
    const given = /"data":({"id"[^}]*})/.exec(await raw('secret/data/exact'))?.[1] ?? '';
    const theirs = await readOne(provider, { name: 'exact' });
    expect(Buffer.from(theirs.value).toString()).toBe(given);
    await provider.put('exact', withKeys(theirs, new Map([['password', 'new']])), now());
    expect(await raw('secret/data/exact')).toContain(given.replace('"old"', '"new"'));
  });

  test('a text is not turned into a map by a key, nor a map into a text', async () => {
    const provider = kit.asRoot();
    await provider.put('text', { value: bytes('plain') }, now());
    const text = await readOne(provider, { name: 'text' });
    expect(() => withKeys(text, new Map([['x', 'y']]))).toThrow(
      'its value is text under the single key value',
    );
    expect(keyText(text, 'value')).toBe('plain');
    await provider.put('text', withKeys(text, new Map([['value', 'new']])), now());
    expect(await kept('text')).toEqual({ value: 'new' });

    await kit.vault.api('POST', 'secret/data/json', { data: { value: '{"a":1}' } });
    const json = await readOne(provider, { name: 'json' });
    expect([keyText(json, 'value'), keyText(json, 'a')]).toEqual(['{"a":1}', '1']);
    await provider.put('json', withKeys(json, new Map([['b', 'x']])), now());
    expect(await kept('json')).toEqual({ value: '{"a":1,"b":"x"}' });

    await provider.put('bytes', { value: Uint8Array.from([255, 0]) }, now());
    const binary = await readOne(provider, { name: 'bytes' });
    expect(() => withKeys(binary, new Map([['x', 'y']]))).toThrow('its value is not JSON');
    expect(() => keyText(binary, 'value')).toThrow('its value is not JSON');
  });

  test('a map with the two keys of kept bytes that holds none is somebody’s map', async () => {
    const provider = kit.asRoot();
    for (const [name, value] of [
      ['hello', 'aGVsbG8='],
      ['no-base64', '/w'],
    ] as const) {
      await kit.vault.api('POST', `secret/data/${name}`, { data: { value, encoding: 'base64' } });
      const map = await readOne(provider, { name });
      expect(JSON.parse(Buffer.from(map.value).toString())).toEqual({ value, encoding: 'base64' });
    }
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
