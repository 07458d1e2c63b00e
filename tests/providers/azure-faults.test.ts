/** Denials in the words of Azure's roles, sign-ins that are cut short, and servers that are not what they should be. */
import { open } from '../../src/providers/azure/index.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { scenarioFiles } from '../backends/azure.ts';
import { describeWith } from '../backends/server.ts';
import { startFaultProxy } from '../contract/fault-proxy.ts';
import {
  all,
  bytes,
  contextFor,
  errorOf,
  freshName,
  kindOf,
  now,
  readOne,
  textOf,
  within,
} from '../contract/kit.ts';
import { direct, useAzure } from './azure-kit.ts';

describeWith('azure’s denials and faults', scenarioFiles, () => {
  const stores = useAzure();
  const { said, start, as } = stores;
  let store: Provider;
  const fresh = (): string => freshName({ open: () => store, separator: '-' });
  const put = (text: string, name: string, more = {}): ReturnType<Provider['put']> =>
    store.put(name, { value: bytes(text), ...more }, now());

  beforeAll(() => {
    store = as('officer');
  });

  test('a denial names the principal, the action and the role that allows it', async () => {
    const name = fresh();
    await put('x', name);
    const who = `environment variables: application ${stores.azure.clientId('nobody')}, object `;
    expect(await errorOf(readOne(as('nobody'), { name }))).toMatchObject({
      kind: 'Denied',
      message: expect.stringMatching(
        new RegExp(
          `^not allowed \\(${who}[-0-9a-f]+\\): it lacks Microsoft.KeyVault/vaults/secrets/getSecret/action$`,
        ),
      ),
      hint: expect.stringContaining('Key Vault Secrets User'),
    });
    expect(await errorOf(as('user').put(name, { value: bytes('y') }, now()))).toMatchObject({
      kind: 'Denied',
      message: expect.stringContaining('secrets/setSecret/action'),
      hint: expect.stringContaining('Key Vault Secrets Officer'),
    });
    expect(await textOf(as('user'), { name })).toBe('x');
  });

  test('who may list and not read can list', async () => {
    const name = fresh();
    await put('x', name);
    const reader = as('reader');
    expect((await all(reader.list({ prefix: name }, now()))).map((info) => info.name)).toEqual([name]);
    expect(await kindOf(readOne(reader, { name }))).toBe('Denied');
    expect((await reader.diagnose(now())).map(({ status }) => status)).not.toContain('fail');
  });

  test.each([
    [401, 'Unauthenticated'],
    [403, 'Denied'],
    [404, 'Unavailable'],
    [409, 'Unavailable'],
    [500, 'Unavailable'],
  ])('a %s without a body is %s, in one line', async (status, kind) => {
    const name = fresh();
    const proxy = await startFaultProxy({
      url: stores.azure.server.url,
      ca: stores.azure.tls.cert,
      tls: stores.azure.tls,
    });
    try {
      const through = start(stores.azure.env('officer'), direct(proxy.url));
      await through.put(name, { value: bytes('x') }, now());
      proxy.fault({ answer: { status } });
      for (const work of [
        () => readOne(through, { name }),
        () => through.put(name, { value: bytes('y') }, now()),
        () => all(through.list({}, now())),
        () => through.delete(name, {}, now()),
      ]) {
        const error = await errorOf(work());
        expect(error?.kind).toBe(kind);
        expect(error?.message).not.toMatch(/undefined|TypeError/);
      }
    } finally {
      await proxy.stop();
    }
  });

  test('a clock that is wrong is found, and plain http is spoken on loopback', async () => {
    const proxy = await startFaultProxy({ url: stores.azure.server.url, ca: stores.azure.tls.cert });
    try {
      expect(proxy.url).toMatch(/^http:/);
      const through = start(stores.azure.env('officer'), direct(proxy.url));
      const name = fresh();
      await through.put(name, { value: bytes('x') }, now());
      expect(await textOf(through, { name })).toBe('x');
      const headers = {
        'content-type': 'application/json',
        date: new Date(Date.now() + 3_600_000).toUTCString(),
      };
      proxy.fault({ answer: { status: 200, headers, body: '{"value":[]}' } });
      expect(await through.diagnose(now())).toContainEqual(
        expect.objectContaining({
          check: 'clock',
          status: 'warn',
          detail: 'this machine’s clock is 60 minutes behind the vault’s',
        }),
      );
    } finally {
      await proxy.stop();
    }
  });

  test.each(['{}', '{"value":null}', '{"value":[{}]}', '{"value":[{"id":7}]}'])(
    'the page %s is no empty list, and no secret',
    async (body) => {
      const { server, tls } = stores.azure;
      const proxy = await startFaultProxy({ url: server.url, ca: tls.cert, tls });
      try {
        const through = start(stores.azure.env('officer'), direct(proxy.url));
        await through.diagnose(now());
        proxy.fault({ answer: { status: 200, headers: { 'content-type': 'application/json' }, body } });
        for (const work of [
          () => all(through.list({}, now())),
          () => readOne(through, { name: 'x' }),
          () => through.describe('x', now()),
        ])
          expect(await errorOf(work())).toMatchObject({
            kind: 'Unavailable',
            message: expect.stringContaining('a response that is not from Azure'),
          });
      } finally {
        await proxy.stop();
      }
    },
  );

  test('a page’s link to another server is not followed', async () => {
    const proxy = await startFaultProxy({
      url: stores.azure.server.url,
      ca: stores.azure.tls.cert,
      tls: stores.azure.tls,
    });
    try {
      const through = start(stores.azure.env('officer'), direct(proxy.url));
      await through.diagnose(now());
      const body = JSON.stringify({
        value: [],
        nextLink: `${stores.azure.server.url}/secrets?api-version=7.4`,
      });
      proxy.fault({ answer: { status: 200, headers: { 'content-type': 'application/json' }, body } });
      const before = stores.azure.server.log.length;
      expect(await errorOf(all(through.list({}, now())))).toMatchObject({
        kind: 'Unavailable',
        message: expect.stringContaining('redirects to another server'),
      });
      expect(stores.azure.server.log.length).toBe(before);
    } finally {
      await proxy.stop();
    }
  });

  test('a sign-in that was cut short is begun again by the next call', async () => {
    const name = fresh();
    await put('x', name);
    const provider = start(stores.azure.env('user'));
    for (const ms of [1, 5, 20, 40]) {
      const error = await errorOf(readOne(provider, { name }, within(ms)));
      expect(error?.kind ?? 'Unavailable').toBe('Unavailable');
    }
    expect(await textOf(provider, { name })).toBe('x');
  });

  test('who may set and not get can write, and is told what is lost', async () => {
    const name = fresh();
    await put('x', name, { labels: { team: 'pay' } });
    const writer = as('writer');
    await writer.put(name, { value: bytes('y') }, now());
    expect(said).toContainEqual(expect.stringContaining('labels of the previous version could not be read'));
    expect(await textOf(store, { name })).toBe('y');
  });

  test('a credential that is refused is asked of Entra once, not once a secret', async () => {
    const provider = start({ ...stores.azure.env('user'), AZURE_CLIENT_SECRET: 'wrong' });
    const names = Array.from({ length: 20 }, () => ({ name: fresh() }));
    const results = await provider.get(names, now());
    const kinds = results.map((result) => (result.ok ? 'found' : result.error.kind));
    expect(new Set(kinds)).toEqual(new Set(['Unauthenticated']));
    expect(said.filter((line) => line.startsWith('POST login.'))).toHaveLength(1);
  });

  test('a certificate of an unknown authority is refused, with the setting to use', async () => {
    const { ca: _ca, ...rest } = { ca: '', ...direct(stores.azure.server.url) };
    const provider = open(rest, contextFor(stores.azure.env('officer'), '/nonexistent'));
    expect(await errorOf(readOne(provider, { name: 'x' }))).toMatchObject({
      kind: 'Unavailable',
      message: expect.stringContaining('is not to be trusted'),
      hint: expect.stringContaining('ca'),
    });
  });

  test('a server that wants a token for another service gets none, unless that is asked for', async () => {
    const provider = start(stores.azure.env('officer'), { vault: stores.azure.server.url });
    expect(await errorOf(readOne(provider, { name: 'x' }))).toMatchObject({
      kind: 'Unauthenticated',
      message: expect.stringContaining('wants a token for another service'),
    });
  });
});
