/** What the tests of Azure share: the test double, and stores on it. */
import { open } from '../../src/providers/azure/index.ts';
import type { Provider } from '../../src/providers/provider.ts';
import type { ProviderContext } from '../../src/providers/descriptor.ts';
import type { StoreSettings } from '../../src/core/trust.ts';
import { type Azure, type Env, startAzure } from '../backends/azure.ts';
import { contextFor } from '../contract/kit.ts';

export interface Stores {
  readonly azure: Azure;
  /** What stores warned of, and their debug lines, since the test's start. */
  readonly said: string[];
  /** A store in this environment; the test authority in its settings, since Node reads its own once. */
  start(env: Env, settings?: StoreSettings): Provider;
  /** A store with the credential of a role's application, straight to the server, past the proxy. */
  as(role: Parameters<Azure['env']>[0], settings?: StoreSettings): Provider;
}

/** Settings for the server as 127.0.0.1, which is no vault of Azure's. */
export const direct = (url: string): StoreSettings => ({
  vault: url,
  'disable-challenge-resource-verification': true,
});

/** Starts and ends the double around the tests of a `describe`; no exchange may break the published definition. */
export function useAzure(): Stores {
  let azure: Azure | undefined;
  const opened: Provider[] = [];
  const said: string[] = [];
  const running = (): Azure => {
    if (azure === undefined) throw new Error('not started yet');
    return azure;
  };
  const start = (env: Env, settings: StoreSettings = {}): Provider => {
    const context: ProviderContext = {
      ...contextFor(env, '/nonexistent'),
      warn: (message) => said.push(message),
      debug: (message) => said.push(message),
    };
    const provider = open({ ca: running().caFile, ...settings }, context);
    opened.push(provider);
    return provider;
  };
  beforeAll(async () => {
    azure = await startAzure();
    // The SDK reads the proxy's address from the process.
    Object.assign(process.env, azure.network);
  });
  beforeEach(() => {
    said.length = 0;
    running().vault.slowness = 0;
  });
  afterAll(async () => {
    await Promise.all(opened.map((provider) => provider.close()));
    await running().stop();
    expect(running().server.problems).toEqual([]);
  });
  return {
    get azure() {
      return running();
    },
    said,
    start,
    as: (role, settings = {}) => start(running().env(role), { ...direct(running().server.url), ...settings }),
  };
}
