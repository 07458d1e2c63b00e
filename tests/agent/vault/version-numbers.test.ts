/** A store whose versions have random ids: their numbers come from the store's clock, also right after a write. */
import type { VersionInfo } from '../../../src/core/secret.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { ask, localStore, openDoor, storesOf, type TestDoor } from './kit.ts';

const STORED = new Date('2026-03-01T00:00:00.900Z');
const NUMBER = STORED.getTime() / 1000 - 0.9;

let home: ReturnType<typeof localStore>;
let door: TestDoor;
let isTold = true;

beforeAll(async () => {
  home = localStore();
  const named = (version: VersionInfo, createdAt: Date): VersionInfo => ({
    ...version,
    id: `random-${version.id}`,
    createdAt,
  });
  const stores = storesOf({ cloud: home.local as Provider }, ['cloud://']);
  door = await openDoor(
    {
      ...stores,
      // The clock of this machine is two seconds ahead.
      put: async (...args) => named(await stores.put(...args), new Date(STORED.getTime() + 2000)),
      versions: async (...args) => {
        if (!isTold) throw new Error('not allowed');
        return (await stores.versions(...args)).map((version) => named(version, STORED));
      },
    },
    { write: [{ store: 'cloud', prefix: '' }] },
  );
});
afterAll(async () => {
  await door.stop();
  await home.remove();
});

async function write(name: string): Promise<{ readonly status: number; readonly version: number }> {
  const body = JSON.stringify({ data: { k: 'v' } });
  const reply = await ask(door.address, `/v1/cloud/data/${name}`, {
    ...{ method: 'POST', token: door.token, body },
  });
  const { data } = JSON.parse(reply.body) as { readonly data: { readonly version: number } };
  return { status: reply.status, version: data.version };
}

test('a write answers the number that the version has from then on', async () => {
  expect(await write('one')).toEqual({ status: 200, version: NUMBER });
});

test('a store that does not tell its versions fails no write', async () => {
  isTold = false;
  expect(await write('two')).toEqual({ status: 200, version: NUMBER + 2 });
});
