/** The built agent in front of three stores that hold the same secrets, and what every client of Vault reads there. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProviderContext } from '../../../../src/providers/descriptor.ts';
import type { Provider } from '../../../../src/providers/provider.ts';
import { open as openAws } from '../../../../src/providers/aws/index.ts';
import { open as openLocal } from '../../../../src/providers/local/index.ts';
import { open as openVault } from '../../../../src/providers/vault/index.ts';
import { type Aws, startAws } from '../../../backends/aws.ts';
import { startVault, type Vault } from '../../../backends/vault.ts';
import type { Ended } from '../../../backends/vault-clients.ts';
import { contextFor } from '../../../contract/kit.ts';
import { type AgentPlace, makeAgentPlace } from '../../kit.ts';
import { ask } from '../kit.ts';

export const STORES = ['local', 'aws', 'vault'] as const;
export type StoreName = (typeof STORES)[number];

/** No output of a client may have it, where it isn't asked to print the value. */
export const CANARY = '5b1fa7c0';
const DB = { username: 'app', password: `canary "q" <é>&\u2028 \\ 😀 ${CANARY}`, port: 5432 };
const TEXT = 'two lines\n\tand a "quote"\n';
const BYTES = Buffer.from([0x00, 0xff, 0xfe, 0x80, 0x0a, 0xc3, 0x28]);

/** What a client says that it has read of a store. A client that can't ask for something leaves it out. */
export interface Seen {
  /** `payments/db` as KV version 2: a map, whose password has odd characters. */
  readonly db?: unknown;
  /** The same as KV version 1. */
  readonly v1?: unknown;
  /** `text`, which is no map. */
  readonly text?: unknown;
  /** `bytes`, which are no text. */
  readonly bytes?: unknown;
  /** The first version of `turned`, by its number. */
  readonly first?: unknown;
  /** The last one. */
  readonly last?: unknown;
  /** The names in `payments`. */
  readonly keys?: unknown;
  /** `missing` if the client says of `payments/none`, in its own way, that it isn't there. */
  readonly missing?: unknown;
}

export const EVERYTHING: Required<Seen> = {
  db: DB,
  v1: DB,
  text: { value: TEXT },
  bytes: { encoding: 'base64', value: BYTES.toString('base64') },
  first: { k: 'first' },
  last: { k: 'second' },
  keys: ['db', 'deep/'],
  missing: 'missing',
};

export interface ClientsPlace {
  readonly address: string;
  readonly token: string;
  /** VAULT_ADDR, VAULT_TOKEN, and a HOME that is empty. */
  readonly env: Readonly<Record<string, string>>;
  /** The number of the first version of `turned`, in each store. */
  readonly first: Readonly<Record<StoreName, number>>;
  readonly records: AgentPlace['records'];
  /** A line of bash where `secrets` has the same stores. */
  sh(line: string): ReturnType<AgentPlace['sh']>;
  /** A new folder for a client. */
  folder(name: string): string;
  stop(): Promise<void>;
}

/** One of them reads everything of all stores, in one run if it can. */
export interface Client {
  readonly name: string;
  /** What shows that it is installed. */
  readonly files: readonly string[];
  /** What it can't ask for. */
  readonly cannot?: readonly (keyof Seen)[];
  /** All its values are text. */
  readonly onlyText?: boolean;
  read(place: ClientsPlace): Promise<Readonly<Record<string, Seen>>>;
}

/** What a client has to see in each store. */
export function expected({ cannot = [], onlyText = false }: Client): Readonly<Record<string, Seen>> {
  const text = { ...DB, port: String(DB.port) };
  const all = { ...EVERYTHING, ...(onlyText && { db: text, v1: text }) };
  const seen = Object.fromEntries(
    Object.entries(all).filter(([name]) => !cannot.includes(name as keyof Seen)),
  );
  return Object.fromEntries(STORES.map((store) => [store, seen]));
}

export async function startClientsPlace(): Promise<ClientsPlace> {
  const [aws, vault, place] = await Promise.all([startAws(), startVault(), makeAgentPlace()]);
  const upstream = { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.token };
  await fill(place.home, aws, vault);
  const file = join(place.home, 'token');
  const env = { SECRETS_LOCAL_KEY_METHOD: 'key-file', ...aws.admin, ...upstream };
  const writes = STORES.flatMap((store) => ['--write', `${store}://new/`]);
  await place.start(env, '--vault', '127.0.0.1:0', '--token-file', file, ...writes);
  const status = await place.sh('secrets agent status --json');
  const [, door] = (JSON.parse(status.stdout) as { doors: readonly { address: string }[] }).doors;
  const address = door?.address ?? '';
  const token = readFileSync(file, 'utf8');
  const folder = (name: string): string => {
    const made = join(place.root, 'clients', name);
    mkdirSync(made, { recursive: true });
    return made;
  };
  const numbers = STORES.map(async (store) => [store, await firstOf(address, token, store)] as const);
  return {
    address,
    token,
    env: { HOME: folder('home'), TMPDIR: place.tmp, VAULT_ADDR: address, VAULT_TOKEN: token },
    first: Object.fromEntries(await Promise.all(numbers)) as ClientsPlace['first'],
    records: () => place.records(),
    sh: (line) => place.sh(line, env),
    folder,
    async stop() {
      await place.remove();
      await Promise.all([aws.stop(), vault.stop()]);
    },
  };
}

async function fill(home: string, aws: Aws, vault: Vault): Promise<void> {
  const context = (env: Readonly<Record<string, string>>): ProviderContext => contextFor(env, home);
  const providers: readonly Provider[] = [
    openLocal({ unlock: 'file' }, context({})) as Provider,
    openAws({}, context(aws.admin)) as Provider,
    openVault({}, context({ VAULT_ADDR: vault.url, VAULT_TOKEN: vault.token })) as Provider,
  ];
  const put = async (
    name: string,
    value: string | Buffer,
    labels: Record<string, string> = {},
  ): Promise<void> => {
    const call = { signal: AbortSignal.timeout(60_000) };
    const written = { value: Buffer.from(value as string), labels };
    for (const one of providers) await one.put(name, written, call);
  };
  await put('turned', '{"k":"first"}');
  // AWS's versions are told apart by the second in which they were made.
  const nextSecond = new Promise((resolve) => setTimeout(resolve, 1100));
  await put('payments/db', JSON.stringify(DB), { team: 'payments' });
  await put('payments/deep/key', '{"k":"deep"}');
  await put('text', TEXT);
  await put('bytes', BYTES);
  await nextSecond;
  await put('turned', '{"k":"second"}');
  await Promise.all(providers.map((one) => one.close()));
}

/** The number of the oldest version. */
async function firstOf(address: string, token: string, store: string): Promise<number> {
  const { body } = await ask(address, `/v1/${store}/metadata/turned`, { token });
  const { data } = JSON.parse(body) as { readonly data: { readonly versions: Record<string, unknown> } };
  return Math.min(...Object.keys(data.versions).map(Number));
}

/** The output of a client that succeeded and complained about nothing. */
export function outputOf({ code, stdout, stderr }: Ended): string {
  expect({ code, stderr: stderr.trim(), stdout: code === 0 ? '' : stdout }).toEqual({
    ...{ code: 0, stderr: '', stdout: '' },
  });
  return stdout;
}
