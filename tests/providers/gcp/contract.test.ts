import { ADMIN, type Account } from '../../backends/gcp.ts';
import { freePort } from '../../backends/server.ts';
import { itKeepsTheContract } from '../../contract/suite.ts';
import { sampled } from '../../size.ts';
import { type Bench, startBench } from './setup.ts';

// A small run has one of the two, another run the other.
describe.each(sampled(['rest', 'grpc'] as const, 2))('gcp over %s', (transport) => {
  let bench: Bench;
  let admin: Account;
  let nobody: Account;

  beforeAll(async () => {
    bench = await startBench(transport);
    admin = await bench.gcp.account('admin', ADMIN);
    nobody = await bench.gcp.account('nobody', []);
  });
  afterAll(() => bench.stop());

  itKeepsTheContract({
    separator: '-',
    open: () => bench.store(admin),
    openStranger: () => {
      const file = bench.gcp.file('stranger.json', { ...admin.key, client_email: 'who@else.example' });
      return bench.store({ ...admin, file });
    },
    openDenied: () => bench.store(nobody),
    openUnreachable: async () => bench.store(admin, { endpoint: `https://localhost:${await freePort()}` }),
    makeEmpty: async (name) => {
      const parent = `projects/${bench.gcp.project}`;
      await bench
        .native(admin)
        .createSecret({ parent, secretId: name, secret: { replication: { automatic: {} } } });
    },
    credentials: () => [admin.key['private_key'] ?? ''],
    // The proxy speaks HTTP/1.1 alone.
    ...(transport === 'rest' && {
      upstream: () => ({ url: bench.gcp.url, ca: bench.gcp.tls.cert, tls: bench.gcp.tls }),
      openThrough: (endpoint: string) => bench.store(admin, { endpoint }),
      lenientList: 'in proto3’s JSON an empty object is an empty page',
    }),
  });
});
