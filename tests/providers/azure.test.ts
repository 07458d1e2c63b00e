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

  /** Straight to the server, past the proxy: as 127.0.0.1 it is no vault of Azure's. */
  const direct = (url: string): StoreSettings => ({
    vault: url,
    'disable-challenge-resource-verification': true,
  });

  describe.each([
    ['mapped', undefined],
    ['plain', '-'],
  ] as const)('with %s names', (names, separator) => {
    const settings = (): StoreSettings => ({ names, ...direct(azure.server.url) });
    itKeepsTheContract({
      ...(separator !== undefined && { separator }),
      open: () => start(azure.env('officer'), settings()),
      openStranger: () => start({ ...azure.env('officer'), AZURE_CLIENT_SECRET: 'wrong' }, settings()),
      openDenied: () => start(azure.env('nobody'), settings()),
      openUnreachable: async () =>
        start(azure.env('officer'), { names, ...direct(`https://127.0.0.1:${await freePort()}`) }),
      // Faults are the same whatever a name is.
      ...(names === 'plain' && {
        upstream: () => ({ url: azure.server.url, ca: azure.tls.cert, tls: azure.tls }),
        openThrough: (url: string) => start(azure.env('officer'), { names, ...direct(url) }),
        credentials: () => azure.secrets,
      }),
    });
  });
});
