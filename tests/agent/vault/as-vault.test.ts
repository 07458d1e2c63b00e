/** The door answers what the real Vault answers for the same secrets: both are asked the same, byte for byte. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Provider } from '../../../src/providers/provider.ts';
import { open as openVault } from '../../../src/providers/vault/index.ts';
import { describeWith } from '../../backends/server.ts';
import { scenarioFiles, startVault, type Vault } from '../../backends/vault.ts';
import { contextFor } from '../../contract/kit.ts';
import {
  CAPABILITIES,
  type Case,
  DELETED,
  get,
  list,
  post,
  READS,
  SECRETS,
  TOKENS,
  WRITES,
} from './cases.ts';
import { ask, localStore, openDoor, type Reply, storesOf, type TestDoor } from './kit.ts';

/** What can't be the same twice: ids, times, tokens, and who is recorded as a writer. */
function masked(text: string): string {
  return text
    .replaceAll(
      /"(request_id|client_token|id|accessor|uuid|cluster_id|cluster_name|build_date)":"[^"]*"/g,
      '"$1":"…"',
    )
    .replaceAll(/"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"TIME"')
    .replaceAll(/"(server_time_utc|creation_time|last_renewal_time)":\d+/g, '"$1":0')
    .replaceAll(/"(created_by|deleted_by|last_updated_by)":(?:null|\{[^}]*\})/g, '"$1":"…"')
    .replaceAll(/"ttl":(3599|3600),"type"/g, '"ttl":3600,"type"');
}

const POLICY = `
  path "STORE/*" { capabilities = ["read", "list"] }
  path "kv1/STORE/*" { capabilities = ["read", "list"] }
  path "auth/token/create" { capabilities = ["create", "update"] }`;
const WRITER = `
  path "STORE/data/new/*" { capabilities = ["create", "update", "read", "list"] }
  path "kv1/STORE/new/*" { capabilities = ["create", "update", "read", "list"] }`;

describeWith('the door beside the real Vault', scenarioFiles, () => {
  let vault: Vault;
  const homes: ReturnType<typeof localStore>[] = [];
  const doors: TestDoor[] = [];

  beforeAll(async () => {
    vault = await startVault();
    // Its place is taken by kv1/STORE/.
    await vault.api('DELETE', 'sys/mounts/kv1');
  });
  afterAll(async () => {
    await Promise.all(doors.map((door) => door.stop()));
    await Promise.all(homes.map((home) => home.remove()));
    await vault.stop();
  });

  /** Fills a mount of the real Vault, and a store of the same name. */
  const both = async (
    store: string,
    provider: Provider,
  ): Promise<{ readonly real: string; readonly door: TestDoor }> => {
    for (const [mount, version] of [
      [store, '2'],
      [`kv1/${store}`, '1'],
    ] as const)
      await vault.api('POST', `sys/mounts/${mount}`, { type: 'kv', options: { version } });
    const call = { signal: AbortSignal.timeout(60_000) };
    for (const [name, ...versions] of SECRETS)
      for (const version of versions) {
        await untilUpgraded(() => vault.api('POST', `${store}/data/${name}`, { data: version }));
        await vault.api('POST', `kv1/${store}/${name}`, version);
        // The only key of a map with a text is where Vault's stores keep a text.
        const { value, ...more } = version as { readonly value?: string };
        const text = value !== undefined && Object.keys(more).length === 0 ? value : JSON.stringify(version);
        await provider.put(name, { value: Buffer.from(text) }, call);
      }
    await vault.api('DELETE', `${store}/data/${DELETED}`);
    await vault.api('DELETE', `kv1/${store}/${DELETED}`);
    await provider.delete(DELETED, {}, call);
    const policies = [
      ['secrets-read', POLICY],
      ['secrets-write', WRITER],
    ] as const;
    for (const [name, policy] of policies)
      await vault.api('PUT', `sys/policies/acl/${name}`, { policy: policy.replaceAll('STORE', store) });
    const made = await vault.api('POST', 'auth/token/create', {
      policies: ['secrets-read'],
      ttl: '1h',
      display_name: 'agent',
    });
    const door = await openDoor(storesOf({ [store]: provider }, [`${store}://new/`]), {
      tokenFile: undefined,
    });
    doors.push(door);
    return { real: (made['auth'] as { client_token: string }).client_token, door };
  };

  const compare = async (
    cases: readonly Case[],
    store: string,
    [real, ours]: readonly [string, string],
    address: string,
  ): Promise<void> => {
    const seen = async (url: string, token: string, [path, asked]: Case): Promise<unknown> => {
      const reply = await ask(url, `/v1/${path.replaceAll('STORE', store)}`, { token, ...asked });
      return { asked: `${asked?.method ?? 'GET'} ${path} ${asked?.body ?? ''}`, ...visible(reply) };
    };
    const [theirs, own]: [unknown[], unknown[]] = [[], []];
    for (const one of cases) {
      theirs.push(await seen(vault.url, real, one));
      own.push(await seen(address, ours, one));
    }
    expect(own).toEqual(theirs);
  };

  test('reads of the local store', async () => {
    const home = localStore();
    homes.push(home);
    const { real, door } = await both('local', home.local);
    await compare(READS, 'local', [real, door.token], door.address);
  }, 120_000);

  test('reads of a store in Vault itself', async () => {
    const home = mkdtempSync(join(tmpdir(), 'secrets-door-'));
    await vault.api('POST', 'sys/mounts/upstream', { type: 'kv', options: { version: '2' } });
    const upstream = openVault(
      { mount: 'upstream' },
      contextFor({ VAULT_ADDR: vault.url, VAULT_TOKEN: vault.token }, home),
    );
    const { real, door } = await both('team', upstream);
    await compare(READS, 'team', [real, door.token], door.address);
    await upstream.close();
    rmSync(home, { recursive: true });
  }, 120_000);

  test('tokens, capabilities and leases', async () => {
    const home = localStore();
    homes.push(home);
    const { real, door } = await both('tokens', home.local);
    // A token with a life, as the real one has.
    const file = join(home.home, 'token');
    const again = await openDoor(storesOf({ tokens: home.local }), { tokenFile: file });
    doors.push(again);
    const own = readFileSync(file, 'utf8');
    await compare(TOKENS, 'tokens', [real, own], again.address);
    const paths = CAPABILITIES.map((all): Case => post('sys/capabilities-self', { paths: all }));
    // The keys beside the envelope have no order in Vault.
    for (const [path, asked] of paths) {
      const [body] = [asked?.body?.replaceAll('STORE', 'tokens') ?? ''];
      const replies = await Promise.all(
        (
          [
            [vault.url, real],
            [again.address, own],
          ] as const
        ).map(([url, token]) => ask(url, `/v1/${path}`, { method: 'POST', token, body })),
      );
      const [theirs, ours] = replies.map((reply) => JSON.parse(masked(reply.body)) as unknown);
      expect(ours).toEqual(theirs);
    }
    await door.stop();
  }, 120_000);

  test('a token with a number of uses has no children', async () => {
    const home = localStore();
    homes.push(home);
    const { real, door } = await both('uses', home.local);
    const replies = [];
    for (const [url, token] of [
      [vault.url, real],
      [door.address, door.token],
    ] as const) {
      const create = (by: string, body: object): Promise<Reply> =>
        ask(url, '/v1/auth/token/create', { method: 'POST', token: by, body: JSON.stringify(body) });
      const { body } = await create(token, { ttl: '1h', num_uses: 3 });
      const { auth } = JSON.parse(body) as { readonly auth: { readonly client_token: string } };
      replies.push(visible(await create(auth.client_token, { ttl: '1h' })));
    }
    expect(replies[1]).toEqual(replies[0]);
    expect(replies[1]).toMatchObject({ status: 400 });
  }, 120_000);

  test('writes, where they are allowed', async () => {
    const home = localStore();
    homes.push(home);
    await both('written', home.local);
    const made = await vault.api('POST', 'auth/token/create', {
      policies: ['secrets-read', 'secrets-write'],
    });
    const door = await openDoor(storesOf({ written: home.local }, ['written://new/']), {
      write: [{ store: 'written', prefix: 'new/' }],
    });
    doors.push(door);
    const real = (made['auth'] as { client_token: string }).client_token;
    await compare(WRITES, 'written', [real, door.token], door.address);
  }, 120_000);

  test('requests without a token, and with a wrong one', async () => {
    const home = localStore();
    homes.push(home);
    const { door } = await both('closed', home.local);
    const some = [
      ...[
        'STORE/data/app/db',
        'kv1/STORE/plain',
        'auth/token/lookup-self',
        'nomount/x',
        'sys/mounts',
        '',
      ].map(get),
      ...['STORE', 'kv1/STORE/app', 'nomount'].map((path) => get(`sys/internal/ui/mounts/${path}`)),
      list('STORE/metadata'),
      post('STORE/data/app/db', { data: {} }),
      post('auth/token/create', {}),
      post('auth/token/revoke-self'),
    ];
    await compare(
      [...some, get('sys/internal/ui/mounts'), get('sys/health')],
      'closed',
      ['', ''],
      door.address,
    );
    await compare(some, 'closed', ['hvs.wrong', 'hvs.wrong'], door.address);
  }, 120_000);

  test('paths outside of the API', async () => {
    const home = localStore();
    homes.push(home);
    const { door } = await both('pages', home.local);
    for (const path of ['/', '/v2/x', '/ui/', '/v1/sys/health/']) {
      const [theirs, own] = [await ask(vault.url, path), await ask(door.address, path)];
      expect([path, visible(own)]).toEqual([path, visible(theirs)]);
    }
  }, 120_000);
});

/** What a client sees of an answer. */
function visible({ status, headers, body }: Reply): object {
  const { 'content-type': type, 'cache-control': cache, 'content-length': length } = headers;
  return { status, type, cache, hasLength: length !== undefined, body: masked(body) };
}

async function untilUpgraded(write: () => Promise<unknown>): Promise<void> {
  const end = Date.now() + 120_000;
  for (;;)
    try {
      await write();
      return;
    } catch (thrown) {
      if (Date.now() > end) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
}
