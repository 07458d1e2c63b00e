import { runClient, SPRING_VAULT } from '../../../backends/vault-clients.ts';
import { type Client, type ClientsPlace, EVERYTHING, outputOf, type Seen, STORES } from './place.ts';

interface Read {
  readonly stores: Readonly<Record<string, Seen & { readonly property: string }>>;
  readonly session: object;
}

const [CLASSES = '', JARS = ''] = SPRING_VAULT;

export const SPRING: Client = {
  name: 'Spring Vault',
  files: SPRING_VAULT,
  async read({ env, first }: ClientsPlace) {
    // One short run: the compiler that makes long runs fast costs more than it gives.
    const java = ['-XX:TieredStopAtLevel=1', '-Xshare:auto', '-cp', `${CLASSES}:${JARS}/*`];
    const ended = await runClient('java', [...java, 'Main', JSON.stringify(first)], { env });
    const { stores, session } = JSON.parse(outputOf(ended)) as Read;
    expect(session).toEqual({ initialized: true, sameToken: true, renewed: true, afterStop: 'revoked' });
    const { password } = EVERYTHING.db as { readonly password: string };
    return Object.fromEntries(
      STORES.map((store) => {
        const { property, ...seen } = { ...stores[store] };
        expect({ store, property }).toEqual({ store, property: password });
        return [store, seen];
      }),
    );
  },
};
