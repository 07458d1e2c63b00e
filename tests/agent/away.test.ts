/** The agent in front of a Vault that comes and goes. */
import { join } from 'node:path';
import { askAgent } from '../../src/platform/agent/connect.ts';
import type { World } from '../../src/platform/world.ts';
import { agentIdentity } from '../../src/session/agent-identity.ts';
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

  test('exec opens the stores itself if the sign-in has to outlive the start', async () => {
    await place.start(env);
    const line = 'secrets exec -e A=vault://a';
    for (const flags of ['', '--keep-credentials', '--restart-on-rotate'])
      expect((await place.sh(`${line} ${flags} -- printenv A`, env)).stdout).toBe('one\n');
    expect(place.records().map(({ agent }) => agent)).toEqual(['store', undefined, undefined]);
  }, 120_000);

  test('a change is seen at once, also by a command that doesn’t ask the agent itself', async () => {
    await place.start(env);
    const get = async (): Promise<string> => (await place.sh('secrets get vault://changed', env)).stdout;
    await place.sh('printf one | secrets put vault://changed', env);
    expect(await get()).toBe('one');
    await place.sh('printf two | SECRETS_AGENT=0 secrets put vault://changed', env);
    expect(await get()).toBe('two');
  }, 120_000);

  test('a change that the agent can’t be told of is said once', async () => {
    const agent = await place.start(env);
    agent.signal('SIGSTOP');
    await place.sh('printf "A=1\nB=2\n" > .env');
    const { code, stderr } = await place.sh('secrets import .env vault://told/', env);
    agent.signal('SIGCONT');
    expect(code).toBe(0);
    expect(stderr.match(/the agent has not been told of the change/g)).toHaveLength(1);
    expect(stderr).toContain('it does not answer; run secrets agent clear');
  }, 120_000);

  test('a request for more than an answer holds is refused, not recorded, and the agent goes on', async () => {
    await vault.api('POST', 'secret/data/large', { data: { value: 'x'.repeat(512 * 1024) } });
    const agent = await place.start(env);
    expect((await place.sh('secrets get vault://a', env)).code).toBe(0);
    const world = { env: { ...place.env, ...env }, home: place.home, uid: process.getuid?.() } as World;
    const path = join(place.home, '.local/state/secrets/audit/audit.jsonl');
    const before = place.records().length;
    const { hello } = await askAgent(agent.socket, { op: 'status' });
    const { answer } = await askAgent(agent.socket, {
      op: 'read',
      identity: { ...agentIdentity(world, { log: 'best-effort', path }), version: hello.version },
      mode: 'best-effort',
      store: { name: 'vault', provider: 'vault', settings: {} },
      cwd: place.cwd,
      credentials: '',
      client: { command: 'get', pid: 1 },
      requests: Array.from({ length: 1000 }, () => ({ name: 'large' })),
      waitMs: 30_000,
    });
    expect(answer).toEqual({ refused: 'store', detail: 'the values are too large' });
    expect(place.records()).toHaveLength(before);
    expect((await place.sh('secrets agent status', env)).code).toBe(0);
  }, 120_000);
});
