import { open } from '../../src/providers/azure/index.ts';
import type { Provider, StoreSettings } from '../../src/providers/provider.ts';
import { type Azure, type Env, scenarioFiles, startAzure } from '../backends/azure.ts';
import { describeWith, freePort } from '../backends/server.ts';
import { contextFor, itKeepsTheContract } from '../contract/suite.ts';

describeWith('azure', scenarioFiles, () => {
  let azure: Azure;
  const opened: Provider[] = [];
  /** A store with an application's credential; the test authority in its settings, since Node reads its own once. */
  const start = (env: Env, settings: StoreSettings = {}): Provider => {
    const provider = open({ ca: azure.caFile, ...settings }, contextFor(env, '/nonexistent'));
    opened.push(provider);
    return provider;
  };

  beforeAll(async () => {
    azure = await startAzure();
    // The SDK reads the proxy's address from the process.
    Object.assign(process.env, azure.network);
  });
  afterAll(async () => {
    await Promise.all(opened.map((provider) => provider.close()));
    await azure.stop();
    expect(azure.server.problems).toEqual([]);
  });

  describe('with mapped names', () => {
    const mapped = { names: 'mapped' };
    itKeepsTheContract({
      open: () => start(azure.env('officer'), mapped),
      openStranger: () => start({ ...azure.env('officer'), AZURE_CLIENT_SECRET: 'wrong' }, mapped),
      openDenied: () => start(azure.env('nobody'), mapped),
      openUnreachable: async () =>
        start(azure.env('officer'), { ...mapped, vault: `https://127.0.0.1:${await freePort()}` }),
    });
  });
});
