import { open } from '../../../../src/providers/vault/index.ts';
import { contextFor } from '../../../contract/kit.ts';
import { type Client, type ClientsPlace, EVERYTHING, type Seen, type StoreName, STORES } from './place.ts';

async function readStore({ env, first, folder }: ClientsPlace, mount: StoreName): Promise<Seen> {
  const call = { signal: AbortSignal.timeout(60_000) };
  const context = contextFor(env, folder('own-provider'));
  const read = async (from: string, name: string, version?: string): Promise<string> => {
    const provider = open({ mount: from }, context);
    const [result] = await provider.get([{ name, ...(version !== undefined && { version }) }], call);
    await provider.close();
    if (result?.ok !== true) return result?.error.kind ?? 'nothing';
    return Buffer.from(result.secret.value).toString(name === 'bytes' ? 'base64' : 'utf8');
  };
  const provider = open({ mount }, context);
  const names: string[] = [];
  for await (const { name } of provider.list({ prefix: 'payments/' }, call)) names.push(name);
  await provider.close();
  const json = async (...args: Parameters<typeof read>): Promise<unknown> =>
    JSON.parse(await read(...args)) as unknown;
  return {
    db: await json(mount, 'payments/db'),
    v1: await json(`kv1/${mount}`, 'payments/db'),
    first: await json(mount, 'turned', String(first[mount])),
    last: await json(mount, 'turned'),
    // This client has no maps of one key: it takes the text out of them.
    text: { value: await read(mount, 'text') },
    bytes: { encoding: 'base64', value: await read(mount, 'bytes') },
    keys: names.toSorted().join() === 'payments/db,payments/deep/key' ? EVERYTHING.keys : names,
    missing: (await read(mount, 'payments/none')) === 'NotFound' ? 'missing' : 'there',
  };
}

/** Our own provider for Vault, with the agent as its Vault. */
export const OWN_PROVIDER: Client = {
  name: 'the provider for Vault of `secrets` itself',
  files: [],
  async read(place: ClientsPlace) {
    const seen = STORES.map(async (store) => [store, await readStore(place, store)] as const);
    return Object.fromEntries(await Promise.all(seen));
  },
};
