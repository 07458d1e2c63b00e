/** The agent in front of a Vault that comes and goes. */
import { describeWith } from '../backends/server.ts';
import { scenarioFiles, startVault, type Vault } from '../backends/vault.ts';
import { type FaultProxy, startFaultProxy } from '../contract/fault-proxy.ts';
import { type AgentPlace, makeAgentPlace } from './kit.ts';

describeWith('the agent in front of Vault', scenarioFiles, () => {
  let vault: Vault;
  let proxy: FaultProxy;
  let env: Record<string, string>;
  let place: AgentPlace;

  beforeAll(async () => {
    vault = await startVault();
    proxy = await startFaultProxy({ url: vault.url });
    env = { VAULT_ADDR: proxy.url, VAULT_TOKEN: vault.token };
    await vault.api('POST', 'secret/data/a', { data: { value: 'one' } });
  }, 120_000);
  afterAll(async () => {
    await proxy.stop();
    await vault.stop();
  });
  beforeEach(async () => {
    place = await makeAgentPlace();
    proxy.heal();
  });
  afterEach(() => place.remove());

  test('a Vault that was away when it was first asked is asked again', async () => {
    await place.start(env);
    proxy.fault('reset');
    expect((await place.sh('secrets get vault://a', env)).code).toBe(6);
    proxy.heal();
    expect(await place.sh('secrets get vault://a', env)).toEqual({ code: 0, stdout: 'one', stderr: '' });
    expect(place.records().at(-1)).toMatchObject({ outcome: 'allowed', agent: 'store' });
  }, 120_000);
});
