import { scenarioFiles } from '../backends/azure.ts';
import { describeWith, freePort } from '../backends/server.ts';
import { itKeepsTheContract } from '../contract/suite.ts';
import { direct, useAzure } from './azure-kit.ts';

describeWith('azure', scenarioFiles, () => {
  const stores = useAzure();
  const { as, start } = stores;

  describe.each([
    ['mapped', undefined],
    ['plain', '-'],
  ] as const)('with %s names', (names, separator) => {
    itKeepsTheContract({
      ...(separator !== undefined && { separator }),
      open: () => as('officer', { names }),
      openStranger: () =>
        start(
          { ...stores.azure.env('officer'), AZURE_CLIENT_SECRET: 'wrong' },
          { names, ...direct(stores.azure.server.url) },
        ),
      openDenied: () => as('nobody', { names }),
      openUnreachable: async () =>
        as('officer', { names, ...direct(`https://127.0.0.1:${await freePort()}`) }),
      // Faults are the same whatever a name is.
      ...(names === 'plain' && {
        upstream: () => {
          const { server, tls } = stores.azure;
          return { url: server.url, ca: tls.cert, tls };
        },
        openThrough: (url: string) => as('officer', { names, ...direct(url) }),
        credentials: () => stores.azure.secrets,
      }),
    });
  });
});
