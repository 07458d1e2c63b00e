/** A Conjur server and stores on it, for one test file; every exchange must fit the OpenAPI documents. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from '../../../src/providers/conjur/index.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import type { StoreSettings } from '../../../src/core/trust.ts';
import type { VersionInfo } from '../../../src/core/secret.ts';
import { ACCOUNT, type Conjur, startConjur } from '../../backends/conjur.ts';
import { contextFor, readOne } from '../../contract/suite.ts';

/** Every method that the interface leaves to the provider is there. */
export type Store = Required<Pick<Provider, 'history' | 'makeCurrent' | 'purge'>> & Provider;

export const now = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(120_000) });
export const bytes = (text: string): Uint8Array => Buffer.from(text);

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

export interface Kit {
  readonly conjur: Conjur;
  /** A store of the account's administrator. */
  readonly admin: Store;
  start(settings: StoreSettings, env: Readonly<Record<string, string>>): Store;
  as(login: string, settings?: StoreSettings): Store;
  put(name: string, text: string, provider?: Provider): Promise<VersionInfo>;
  textOf(name: string, more?: object, provider?: Provider): Promise<string>;
  history(name: string): Promise<VersionInfo[]>;
  list(prefix: string, provider?: Provider): Promise<string[]>;
  /** The ids of all variables, as the service tells its administrator. */
  ids(): Promise<string[]>;
}

/** Starts the server before the file's tests and checks its exchanges after them. */
export function useConjur(): Kit {
  let conjur: Conjur;
  let home: string;
  let admin: Store;
  const opened: Provider[] = [];
  const start: Kit['start'] = (settings, env) => {
    const provider = open(settings, contextFor(env, home)) as Store;
    opened.push(provider);
    return provider;
  };
  const as: Kit['as'] = (login, settings = {}) => start(settings, conjur.env(login));
  beforeAll(async () => {
    conjur = await startConjur();
    home = mkdtempSync(join(tmpdir(), 'secrets-conjur-home-'));
    admin = as('admin');
  });
  afterAll(async () => {
    await Promise.all(opened.map((provider) => provider.close()));
    const problems = await conjur.problems();
    await conjur.stop();
    rmSync(home, { recursive: true });
    expect(problems).toEqual([]);
  });
  return {
    get conjur() {
      return conjur;
    },
    get admin() {
      return admin;
    },
    start,
    as,
    put: (name, text, provider = admin) => provider.put(name, { value: bytes(text) }, now()),
    textOf: async (name, more = {}, provider = admin) =>
      Buffer.from((await readOne(provider, { name, ...more })).value).toString(),
    history: (name) => all(admin.history(name, now())),
    list: async (prefix, provider = admin) =>
      (await all(provider.list({ prefix }, now()))).map(({ name }) => name),
    ids: async () => {
      const listed = await conjur.api('GET', `/resources/${ACCOUNT}/variable`);
      return (JSON.parse(listed) as { id: string }[]).map(({ id }) => id);
    },
  };
}
