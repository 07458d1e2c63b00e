/** Where the crash tests rotate: the stores, and the systems whose logins are rotated. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { targets } from '../../src/rotation/targets/index.ts';
import type { StoreSettings } from '../../src/providers/provider.ts';
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

export interface CrashStore {
  readonly title: string;
  /** Settings are those with which this process reaches it; the program has the environment alone. */
  start(): Promise<
    | {
        readonly env: Readonly<Record<string, string>>;
        readonly settings?: StoreSettings;
        stop(): Promise<void>;
      }
    | undefined
  >;
}

export const CRASH_STORES: readonly CrashStore[] = [
  ...['local', 'vault', 'aws', 'conjur'].map((title) => ({
    title,
    start: async () => {
      const found = await findBackend(title);
      return found.usable ? found.start() : undefined;
    },
  })),
  {
    title: 'gcp',
    start: async () => {
      const { env, stop } = await startGcp();
      return { env, settings: { ca: env['NODE_EXTRA_CA_CERTS'] ?? '' }, stop };
    },
  },
  {
    title: 'azure',
    start: async () => {
      if (!azureFiles.every((path) => existsSync(path))) return undefined;
      const azure = await startAzure();
      const settings = {
        ca: azure.caFile,
        vault: azure.server.url,
        'disable-challenge-resource-verification': true,
      };
      // The SDK reads the proxy's address from the process.
      const before = Object.keys(azure.network).map((name) => [name, process.env[name]] as const);
      Object.assign(process.env, azure.network);
      const stop = async (): Promise<void> => {
        for (const [name, value] of before)
          if (value === undefined) delete process.env[name];
          else process.env[name] = value;
        await azure.stop();
      };
      return { env: azure.env('officer'), settings, stop };
    },
  },
];
