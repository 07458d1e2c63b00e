/** Where the crash tests rotate: the stores, and the systems whose logins are rotated. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { targets } from '../../src/rotation/targets/index.ts';
import type { StoreSettings } from '../../src/core/trust.ts';
import { scenarioFiles as azureFiles, startAzure } from '../backends/azure.ts';
import { startForScenarios as startGcp } from '../backends/gcp.ts';
import { findBackend } from '../e2e/backends.ts';

export interface CrashSystem {
  /** The `target:` of the policy. */
  readonly target: object;
  /** Puts the login back to the first password. */
  reset(): Promise<void>;
  /** The value of the secret for that first password. */
  readonly secret: Readonly<Record<string, string | number>>;
  /** Whether the application can sign in with this value of the secret. */
  accepts(password: string): Promise<boolean>;
  stop(): Promise<void>;
}

export interface CrashTarget {
  readonly title: string;
  /** Whether its code and its server are here. */
  usable(): Promise<boolean>;
  start(): Promise<CrashSystem>;
}

interface Database {
  readonly port: number;
  sql(...statements: readonly string[]): Promise<void>;
  accepts(username: string, password: string): Promise<boolean>;
  stop(): Promise<void>;
}

/** A database whose user changes its own password. `reset` is the statement that its administrator resets it with. */
function database(
  type: string,
  backend: string,
  create: string,
  reset: string,
  more: Readonly<Record<string, string>>,
): CrashTarget {
  const file = fileURLToPath(new URL(`../backends/${backend}.ts`, import.meta.url));
  const load = async (): Promise<Readonly<Record<string, unknown>>> =>
    (await import(file)) as Readonly<Record<string, unknown>>;
  return {
    title: backend,
    usable: async () => {
      if (!targets.some((kind) => kind.type === type) || !existsSync(file)) return false;
      const needs = (await load())[`${backend.toUpperCase()}_FILES`] as readonly string[];
      return needs.every((path) => existsSync(path));
    },
    start: async () => {
      const name = `start${backend.charAt(0).toUpperCase()}${backend.slice(1)}`;
      const server = await ((await load())[name] as () => Promise<Database>)();
      await server.sql(create);
      return {
        target: { type },
        reset: () => server.sql(reset),
        secret: { username: 'app', password: 'first', host: '127.0.0.1', port: server.port, ...more },
        accepts: (password) => server.accepts('app', password),
        stop: () => server.stop(),
      };
    },
  };
}

export const CRASH_TARGETS: readonly CrashTarget[] = [
  {
    title: 'no other system',
    usable: async () => true,
    start: async () => ({
      target: { type: 'none' },
      reset: async () => {},
      secret: { username: 'app', password: 'first' },
      accepts: async () => true,
      stop: async () => {},
    }),
  },
  database(
    'postgres',
    'postgres',
    "CREATE ROLE app LOGIN PASSWORD 'first'",
    "ALTER ROLE app PASSWORD 'first'",
    { dbname: 'postgres' },
  ),
  database(
    'mysql',
    'mariadb',
    "CREATE USER app@'%' IDENTIFIED BY 'first'",
    "ALTER USER app@'%' IDENTIFIED BY 'first'",
    { engine: 'mariadb' },
  ),
];

interface StartedStore {
  readonly env: Readonly<Record<string, string>>;
  /** Those with which this process reaches it; the program has the environment alone. */
  readonly settings?: StoreSettings;
  stop(): Promise<void>;
}

export interface CrashStore {
  readonly title: string;
  /** Its name for the program. */
  readonly store: string;
  /** The store that keeps the locks. */
  readonly lock?: string;
  /** With these targets alone. */
  readonly targets?: readonly string[];
  /** Takes its time, such as one that waits between two looks at a claim: half of the points are enough. */
  readonly slow?: boolean;
  start(): Promise<StartedStore | undefined>;
}

function backend(store: string): CrashStore {
  return {
    title: store,
    store,
    start: async () => {
      const found = await findBackend(store);
      return found.usable ? found.start() : undefined;
    },
  };
}

const gcp: CrashStore = {
  title: 'gcp',
  store: 'gcp',
  start: async () => {
    const { env, stop } = await startGcp();
    return { env, settings: { ca: env['NODE_EXTRA_CA_CERTS'] ?? '' }, stop };
  },
};

const azure: CrashStore = {
  title: 'azure',
  store: 'azure',
  start: async () => {
    if (!azureFiles.every((path) => existsSync(path))) return undefined;
    const server = await startAzure();
    // The SDK reads the proxy's address from the process.
    const before = Object.keys(server.network).map((name) => [name, process.env[name]] as const);
    Object.assign(process.env, server.network);
    const settings = {
      ca: server.caFile,
      vault: server.server.url,
      'disable-challenge-resource-verification': true,
    };
    const stop = async (): Promise<void> => {
      for (const [name, value] of before)
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      await server.stop();
    };
    return { env: server.env('officer'), settings, stop };
  },
};

function locked(store: CrashStore, lock: CrashStore): CrashStore {
  return {
    title: `${store.title}, locked in ${lock.title}`,
    store: store.store,
    lock: lock.store,
    targets: ['postgres'],
    slow: true,
    start: async () => {
      const locks = await lock.start();
      const secrets = locks && (await store.start());
      return (
        secrets && {
          ...secrets,
          env: { ...locks.env, ...secrets.env },
          stop: async () => {
            await secrets.stop();
            await locks.stop();
          },
        }
      );
    },
  };
}

const conjur = backend('conjur');

export const CRASH_STORES: readonly CrashStore[] = [
  ...['local', 'vault', 'aws'].map(backend),
  { ...gcp, targets: ['postgres'] },
  { ...azure, targets: ['postgres'], slow: true },
  { ...conjur, targets: ['postgres'], slow: true },
  locked(azure, backend('local')),
  locked(conjur, backend('vault')),
];
