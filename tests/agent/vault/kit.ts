/** A Vault door before stores of a test, and a client that can send anything. */
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DoorContext } from '../../../src/agent/doors.ts';
import type { AgentClient, AgentStores, Served } from '../../../src/agent/stores.ts';
import { openVaultDoor, type VaultDoor, type VaultDoorOptions } from '../../../src/agent/vault/door.ts';
import { requireMethod } from '../../../src/providers/capabilities/require.ts';
import { open as openLocal } from '../../../src/providers/local/index.ts';
import type { VersionInfo } from '../../../src/core/secret.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { contextFor } from '../../contract/kit.ts';

export interface TestStores extends AgentStores {
  /** Every client that asked for something, in order. */
  readonly asked: readonly (AgentClient & { readonly what: string })[];
  from: Served['from'];
}

/** Stores without a cache: each call goes to its provider. The first one is the default. */
export function storesOf(
  providers: Readonly<Record<string, Provider>>,
  write: readonly string[] = [],
): TestStores {
  const asked: (AgentClient & { readonly what: string })[] = [];
  const of = (client: AgentClient, what: string, store: string): Provider => {
    asked.push({ ...client, what });
    const provider = providers[store];
    if (provider === undefined) throw new Error(`no store ${store}`);
    return provider;
  };
  const stores: TestStores = {
    asked,
    from: 'store',
    list: () =>
      Promise.resolve(
        Object.keys(providers).map((name, index) => ({ name, provider: name, isDefault: index === 0 })),
      ),
    get: async (client, store, request, call) => {
      const [result] = await of(client, `get ${store}://${request.name}`, store).get([request], call);
      if (result === undefined) throw new Error('no result');
      if (!result.ok) throw result.error;
      return { secret: result.secret, fetchedAt: new Date(Date.now() - 40_000), from: stores.from };
    },
    describe: (client, store, name, call) =>
      of(client, `describe ${store}://${name}`, store).describe(name, call),
    versions: async (client, store, name, call) => {
      const provider = of(client, `versions ${store}://${name}`, store);
      const history = requireMethod(provider, 'history', `${store} keeps no versions`);
      const found: VersionInfo[] = [];
      for await (const version of history(name, call)) found.push(version);
      return found;
    },
    names: (client, store, prefix, call) =>
      of(client, `list ${store}://${prefix}`, store).list({ prefix }, call),
    mayWrite: (store, name) => write.some((prefix) => `${store}://${name}`.startsWith(prefix)),
    put: (client, store, name, written, call) =>
      of(client, `put ${store}://${name}`, store).put(name, written, call),
    refused: (client, { action, store, name }) => {
      asked.push({ ...client, what: `refused ${action} ${store ?? '?'}://${name ?? ''}` });
      return Promise.resolve();
    },
    clear: () => 0,
    status: () => ({ values: 0, bytes: 0, oldestMs: undefined, hits: 0, misses: 0, stores: 0 }),
  };
  return stores;
}

/** A folder of a test, and a local store in it. */
export function localStore(): { readonly home: string; readonly local: Provider; remove(): Promise<void> } {
  const home = mkdtempSync(join(tmpdir(), 'secrets-door-'));
  const local = openLocal({ unlock: 'file' }, contextFor({}, home)) as Provider;
  const remove = async (): Promise<void> => {
    await local.close();
    rmSync(home, { recursive: true });
  };
  return { home, local, remove };
}

export interface TestDoor extends VaultDoor {
  readonly token: string;
  readonly warnings: readonly string[];
  uses: () => number;
}

export async function openDoor(
  stores: AgentStores,
  options: Partial<VaultDoorOptions> = {},
  now: () => Date = () => new Date(),
): Promise<TestDoor> {
  const warnings: string[] = [];
  let uses = 0;
  const context: DoorContext = {
    stores,
    // The door uses no more of the world than this.
    world: { env: {}, now } as unknown as DoorContext['world'],
    used: () => (uses += 1),
    warn: (message) => warnings.push(message),
    debug: () => undefined,
  };
  const door = await openVaultDoor({ address: '127.0.0.1:0', ...options }, context);
  return { ...door, token: door.issue('test'), warnings, uses: () => uses };
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Asked {
  readonly method?: string;
  readonly token?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** One request with any method and path, sent as it is. `address` may be a Unix socket. */
export function ask(
  address: string,
  path: string,
  { method = 'GET', token, headers, body }: Asked = {},
): Promise<Reply> {
  const socketPath = /^unix:\/\/(.+)$/.exec(address)?.[1];
  const { hostname, port } = new URL(socketPath === undefined ? address : 'http://localhost');
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        ...(socketPath === undefined ? { host: hostname, port } : { socketPath }),
        method,
        path,
        agent: false,
        headers: {
          ...(token !== undefined && { 'X-Vault-Token': token }),
          ...(body !== undefined && { 'Content-Length': Buffer.byteLength(body) }),
          ...headers,
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
        );
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}
