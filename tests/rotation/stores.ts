/** The stores that rotations are tried in, and pairs of one without conditional writes and one that keeps its locks. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open as openAws } from '../../src/providers/aws/index.ts';
import { open as openAzure } from '../../src/providers/azure/index.ts';
import { open as openConjur } from '../../src/providers/conjur/index.ts';
import { open as openGcp } from '../../src/providers/gcp/index.ts';
import { open as openLocal } from '../../src/providers/local/index.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { open as openVault } from '../../src/providers/vault/index.ts';
import { scenarioFiles as awsFiles, startAws } from '../backends/aws.ts';
import { scenarioFiles as azureFiles, startAzure } from '../backends/azure.ts';
import { startConjur } from '../backends/conjur.ts';
import { ADMIN, startGcp } from '../backends/gcp.ts';
import { scenarioFiles as vaultFiles, startVault } from '../backends/vault.ts';
import { contextFor } from '../contract/kit.ts';

export interface Started {
  readonly provider: Provider;
  /** Where the locks are. */
  readonly lock?: Provider;
  stop(): Promise<void>;
}

export interface Store {
  readonly title: string;
  readonly files: readonly string[];
  start(): Promise<Started>;
}

const HOME = '/nonexistent';

const local: Store = {
  title: 'local',
  files: [],
  start: async () => {
    const home = mkdtempSync(join(tmpdir(), 'secrets-rotation-'));
    const env = { SECRETS_LOCAL_KEY_METHOD: 'key-file' };
    return { provider: openLocal({}, contextFor(env, home)), stop: async () => {} };
  },
};

const aws: Store = {
  title: 'aws',
  files: awsFiles,
  start: async () => {
    const server = await startAws();
    return { provider: openAws({}, contextFor(server.admin, HOME)), stop: () => server.stop() };
  },
};

const vault: Store = {
  title: 'vault',
  files: vaultFiles,
  start: async () => {
    const server = await startVault();
    const env = { VAULT_ADDR: server.url, VAULT_TOKEN: server.token };
    return { provider: openVault({}, contextFor(env, HOME)), stop: () => server.stop() };
  },
};

const gcp: Store = {
  title: 'gcp',
  files: [],
  start: async () => {
    const server = await startGcp();
    const env = server.env(await server.account('rotations', ADMIN));
    return { provider: openGcp({ ca: server.caFile }, contextFor(env, HOME)), stop: () => server.stop() };
  },
};

export const azure: Store = {
  title: 'azure',
  files: azureFiles,
  start: async () => {
    const server = await startAzure();
    // The SDK reads the proxy's address from the process.
    const before = Object.keys(server.network).map((name) => [name, process.env[name]] as const);
    Object.assign(process.env, server.network);
    const settings = {
      ca: server.caFile,
      vault: server.server.url,
      'disable-challenge-resource-verification': true,
    };
    const provider = openAzure(settings, contextFor(server.env('officer'), HOME));
    return {
      provider,
      stop: async () => {
        for (const [name, value] of before)
          if (value === undefined) delete process.env[name];
          else process.env[name] = value;
        await server.stop();
        expect(server.server.problems).toEqual([]);
      },
    };
  },
};

export const conjur: Store = {
  title: 'conjur',
  files: [],
  start: async () => {
    const server = await startConjur();
    return {
      provider: openConjur({}, contextFor(server.env(), HOME)),
      stop: async () => {
        const problems = await server.problems();
        await server.stop();
        expect(problems).toEqual([]);
      },
    };
  },
};

/** Those with a conditional write. */
export const STORES: readonly Store[] = [local, aws, vault, gcp];
export const UNCONDITIONAL: readonly Store[] = [azure, conjur];

function locked(store: Store, locks: Store): Store {
  return {
    title: `${store.title}, locked in ${locks.title}`,
    files: [...store.files, ...locks.files],
    start: async () => {
      const [one, other] = [await locks.start(), await store.start()];
      return {
        provider: other.provider,
        lock: one.provider,
        stop: async () => {
          await one.provider.close();
          await Promise.all([one.stop(), other.stop()]);
        },
      };
    },
  };
}

export const LOCKED: readonly Store[] = [locked(azure, local), locked(conjur, vault)];
/** Each store keeps locks. */
export const LOCK_STORES: readonly Store[] = STORES.map((locks) => locked(conjur, locks));
