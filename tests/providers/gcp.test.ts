import type { Provider, StoreSettings } from '../../src/providers/provider.ts';
import { open } from '../../src/providers/gcp/index.ts';
import { type Account, ADMIN, type Gcp, startGcp } from '../backends/gcp.ts';
import { freePort } from '../backends/server.ts';
import { contextFor, itKeepsTheContract } from '../contract/suite.ts';

describe.each(['rest', 'grpc'] as const)('gcp over %s', (transport) => {
  let gcp: Gcp;
  let admin: Account;
  let nobody: Account;
  const opened: Provider[] = [];
  const start = (account: Account, settings: StoreSettings = {}): Provider => {
    const endpoint = transport === 'grpc' ? gcp.grpcUrl : gcp.url;
    const all = { transport, endpoint, ca: gcp.ca.caFile, credentials: account.file, ...settings };
    const provider = open(all, contextFor({}, '/nonexistent'));
    opened.push(provider);
    return provider;
  };

  beforeAll(async () => {
    gcp = await startGcp();
    admin = await gcp.account('admin', ADMIN);
    nobody = await gcp.account('nobody', []);
  });
  afterAll(async () => {
    await Promise.all(opened.map((provider) => provider.close()));
    await gcp.stop();
  });

  itKeepsTheContract({
    separator: '-',
    open: () => start(admin),
    openStranger: () => {
      const stranger = gcp.file('stranger.json', { ...admin.key, client_email: 'who@else.example' });
      return start({ ...admin, file: stranger });
    },
    openDenied: () => start(nobody),
    openUnreachable: async () => start(admin, { endpoint: `https://127.0.0.1:${await freePort()}` }),
  });
});
