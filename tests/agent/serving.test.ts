/** What the agent does when a store no longer knows it, with a store that the test holds. */
import { DEFAULTS } from '../../src/agent/serving-settings.ts';
import { Serving } from '../../src/agent/serving.ts';
import type { Access } from '../../src/audit/recording/recorder.ts';
import { SecretsError } from '../../src/core/errors.ts';
import type { Provider } from '../../src/providers/provider.ts';
import type { Session } from '../../src/session/session.ts';

const client = { door: 'vault' } as const;
const call = (): { readonly signal: AbortSignal } => ({ signal: new AbortController().signal });

/** An agent whose store knows a sign-in for so many calls; each opening is a new sign-in. */
function agentWith(...callsOfSignIns: readonly number[]): {
  readonly serving: Serving;
  readonly records: readonly Access[];
  readonly opened: () => number;
  /** How often the files with credentials were looked at. */
  readonly looked: () => number;
} {
  const left = [...callsOfSignIns];
  let opened = 0;
  let looked = 0;
  const credentialFiles = (): readonly string[] => {
    looked += 1;
    return [];
  };
  const open = (): Promise<Provider> => {
    let calls = left[opened] ?? 0;
    opened += 1;
    const check = (): void => {
      if (calls === 0) throw new SecretsError('Unauthenticated', 'the sign-in has ended');
      calls -= 1;
    };
    const provider: Partial<Provider> = {
      get: (requests) =>
        Promise.resolve(
          requests.map(({ name }) => {
            try {
              check();
            } catch (thrown) {
              return { ok: false, error: thrown as SecretsError };
            }
            const value = Buffer.from('v');
            return { ok: true, secret: { name, id: '1', state: 'enabled', stages: [], value } };
          }),
        ),
      describe: async (name) => {
        check();
        return { name };
      },
      list: async function* () {
        check();
        yield { name: 'a' };
        yield { name: 'b' };
      },
      put: async () => {
        check();
        return { id: '2', state: 'enabled', stages: [] };
      },
      close: async () => undefined,
    };
    return Promise.resolve(provider as Provider);
  };
  const records: Access[] = [];
  const recorder = {
    intend: () => Promise.resolve(undefined),
    record: async (accesses: readonly Access[]) => void records.push(...accesses),
  };
  const store = { name: 'prod', provider: 'test', settings: {}, source: 'user' };
  const session = {
    world: {
      env: {},
      home: '/nowhere',
      machineFolder: '/nowhere',
      cwd: '/nowhere',
      now: () => new Date(),
      providers: [{ kind: 'test', load: () => Promise.resolve({ open }), credentialFiles }],
    },
    stores: { providerContext: () => ({}), records: { recorder: () => Promise.resolve(recorder) } },
    storeConfig: () => Promise.resolve(store),
    config: () => Promise.resolve({ file: undefined }),
  } as unknown as Session;
  const reading = { ...DEFAULTS.reading, freshMs: 0 };
  const write = [{ store: 'prod', prefix: '' }];
  const serving = new Serving(session, { ...DEFAULTS, reading, write });
  return { serving, records, opened: () => opened, looked: () => looked };
}

const names = async (serving: Serving): Promise<readonly string[]> => {
  const found: string[] = [];
  for await (const { name } of serving.names(client, 'prod', '', call())) found.push(name);
  return found;
};

test.each([
  ['get', (serving: Serving) => serving.get(client, 'prod', { name: 'a' }, call())],
  ['describe', (serving: Serving) => serving.describe(client, 'prod', 'a', call())],
  ['names', names],
  ['put', (serving: Serving) => serving.put(client, 'prod', 'a', { value: Buffer.from('v') }, call())],
])('%s signs in anew once when the sign-in has ended', async (_what, ask) => {
  const { serving, opened } = agentWith(1, 1);
  await ask(serving);
  expect(await ask(serving)).toBeDefined();
  expect(opened()).toBe(2);
  await serving.close();
});

test('a sign-in that never worked isn’t repeated for the same client', async () => {
  const { serving, opened, records } = agentWith(0, 0, 1);
  const read = (): Promise<unknown> => serving.get(client, 'prod', { name: 'a' }, call());
  await expect(read()).rejects.toMatchObject({ kind: 'Unauthenticated' });
  expect(opened()).toBe(1);
  await expect(serving.describe(client, 'prod', 'a', call())).rejects.toMatchObject({
    kind: 'Unauthenticated',
  });
  expect(opened()).toBe(2);
  expect(await read()).toMatchObject({ from: 'store' });
  expect(records.map(({ error }) => error?.kind)).toEqual(['Unauthenticated', 'Unauthenticated', undefined]);
  await serving.close();
});

test('names can be left in the middle', async () => {
  const { serving } = agentWith(1);
  for await (const { name } of serving.names(client, 'prod', '', call())) {
    expect(name).toBe('a');
    break;
  }
  await serving.close();
});

test('requests of one turn of the event loop look at the files with credentials once, later ones again', async () => {
  const { serving, looked } = agentWith(100);
  const read = (): Promise<unknown> => serving.get(client, 'prod', { name: 'a' }, call());
  await Promise.all([read(), read(), read()]);
  expect(looked()).toBe(1);
  await new Promise((resolve) => setImmediate(resolve));
  await read();
  expect(looked()).toBe(2);
  await serving.close();
});
