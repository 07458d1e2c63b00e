/** Programs that speak Vault, unchanged, read the local store, AWS and Vault through the agent, and see the same. */
import { scenarioFiles as awsFiles } from '../../../backends/aws.ts';
import { describeWith } from '../../../backends/server.ts';
import { scenarioFiles as vaultFiles } from '../../../backends/vault.ts';
import { HASHI_VAULT } from './ansible.ts';
import { CONSUL, renderedTwice } from './consul-template.ts';
import { OPERATOR } from './external-secrets.ts';
import { HVAC, hvacWrites } from './hvac.ts';
import { OPENTOFU } from './opentofu.ts';
import { CANARY, type ClientsPlace, expected, startClientsPlace, STORES } from './place.ts';
import { OWN_PROVIDER } from './own-provider.ts';
import { SPRING } from './spring-vault.ts';
import { VAULT_AGENT } from './vault-agent.ts';
import { commandWrites, VAULT_COMMAND } from './vault-cli.ts';

describeWith('the agent in front of local, AWS and Vault', [...awsFiles, ...vaultFiles], () => {
  let place: ClientsPlace;
  beforeAll(async () => {
    place = await startClientsPlace();
  }, 120_000);
  afterAll(() => place.stop());

  for (const client of [
    HVAC,
    CONSUL,
    OPENTOFU,
    HASHI_VAULT,
    OPERATOR,
    VAULT_COMMAND,
    VAULT_AGENT,
    SPRING,
    OWN_PROVIDER,
  ])
    describeWith(client.name, client.files, () => {
      test('reads the same from each store', async () => {
        const before = place.records().length;
        expect(await client.read(place)).toEqual(expected(client));
        const records = place.records().slice(before);
        const stores = records.map((record) => ('store' in record ? record.store : undefined));
        for (const store of STORES) expect(stores).toContain(store);
        expect(JSON.stringify(records)).not.toContain(CANARY);
      }, 240_000);
    });

  describeWith('hvac', HVAC.files, () => {
    test('writes where it may, each version after the one that it names', async () => {
      const one = { first: 'made', again: 'InvalidRequest', turned: 'new', old: 'one', last: 'two' };
      const all = { ...one, v1: { k: 'flat' }, elsewhere: 'Forbidden' };
      expect(await hvacWrites(place)).toEqual(Object.fromEntries(STORES.map((store) => [store, all])));
    }, 120_000);
  });

  describeWith('consul-template', CONSUL.files, () => {
    test('renders again what `secrets put` has changed', async () => {
      const all = (value: string): string => STORES.map(() => value).join();
      expect(await renderedTwice(place)).toEqual([all('before'), all('after')]);
    }, 180_000);
  });

  describeWith("Vault's command line", VAULT_COMMAND.files, () => {
    test.each(STORES)(
      'writes to %s where it may',
      async (store) => {
        const { data, version } = await commandWrites(place, store);
        expect(data).toEqual({ password: 'a "b" <é>\n', port: '5432', more: 'x' });
        expect(version).toBeGreaterThan(0);
      },
      120_000,
    );
  });
});
