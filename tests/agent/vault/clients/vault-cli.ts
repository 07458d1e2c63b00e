import { runClient, VAULT_CLI } from '../../../backends/vault-clients.ts';
import { type Client, type ClientsPlace, outputOf, type Seen, type StoreName, STORES } from './place.ts';

/** Vault's own command line; its answer as JSON. */
async function vaultCli(env: ClientsPlace['env'], ...args: readonly string[]): Promise<unknown> {
  const ended = await runClient(VAULT_CLI, args, { env: { ...env, VAULT_FORMAT: 'json' } });
  return JSON.parse(outputOf(ended)) as unknown;
}

async function readStore({ env, first }: ClientsPlace, store: StoreName): Promise<Seen> {
  const get = async (...args: readonly string[]): Promise<unknown> => {
    const { data } = (await vaultCli(env, 'kv', 'get', ...args)) as {
      readonly data: { readonly data: unknown };
    };
    return data.data;
  };
  const v1 = (await vaultCli(env, 'read', `kv1/${store}/payments/db`)) as { readonly data: unknown };
  const none = await runClient(VAULT_CLI, ['kv', 'get', '-mount', store, 'payments/none'], { env });
  const isMissing = none.code === 2 && none.stderr.trim() === `No value found at ${store}/data/payments/none`;
  return {
    // Without -mount it asks which mount the path is in.
    db: await get(`${store}/payments/db`),
    v1: v1.data,
    text: await get('-mount', store, 'text'),
    bytes: await get('-mount', store, 'bytes'),
    first: await get('-mount', store, '-version', String(first[store]), 'turned'),
    last: await get('-mount', store, 'turned'),
    keys: await vaultCli(env, 'kv', 'list', `${store}/payments`),
    missing: isMissing ? 'missing' : none,
  };
}

export const VAULT_COMMAND: Client = {
  name: "Vault's command line",
  files: [VAULT_CLI],
  async read(place: ClientsPlace) {
    const seen = STORES.map(async (store) => [store, await readStore(place, store)] as const);
    return Object.fromEntries(await Promise.all(seen));
  },
};

/** Writes a map, then one more key of it, as people do. @returns what is there then */
export async function commandWrites(
  { env }: ClientsPlace,
  store: StoreName,
): Promise<{ readonly data: unknown; readonly version: number }> {
  const put = ['kv', 'put', '-mount', store, '-cas=0', 'new/command'];
  const json = { ...env, VAULT_FORMAT: 'json' };
  const input = JSON.stringify({ password: 'a "b" <é>\n', port: '5432' });
  outputOf(await runClient(VAULT_CLI, [...put, '-'], { env: json, input }));
  const again = await runClient(VAULT_CLI, [...put, 'k=v'], { env: json });
  expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('check-and-set parameter did not')]);
  await vaultCli(env, 'kv', 'patch', '-mount', store, '-method=rw', 'new/command', 'more=x');
  const elsewhere = await runClient(VAULT_CLI, ['kv', 'put', '-mount', store, 'other', 'k=v'], { env });
  expect([elsewhere.code, elsewhere.stderr]).toEqual([2, expect.stringContaining('permission denied')]);
  const { data } = (await vaultCli(env, 'kv', 'get', '-mount', store, 'new/command')) as {
    readonly data: { readonly data: unknown; readonly metadata: { readonly version: number } };
  };
  return { data: data.data, version: data.metadata.version };
}
