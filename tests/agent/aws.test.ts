/** The command line through the agent and without it, against one store. */
import { scenarioFiles, startAws, type Aws } from '../backends/aws.ts';
import { describeWith } from '../backends/server.ts';
import { type FaultProxy, startFaultProxy } from '../contract/fault-proxy.ts';
import { type AgentPlace, makeAgentPlace } from './kit.ts';

const CANARY = 'canary-5f0c1b7e9d';

describeWith('the agent in front of AWS', scenarioFiles, () => {
  let aws: Aws;
  let proxy: FaultProxy;
  let env: Record<string, string>;
  let place: AgentPlace;

  beforeAll(async () => {
    aws = await startAws();
    proxy = await startFaultProxy({ url: aws.url });
    env = { ...aws.admin, AWS_ENDPOINT_URL: proxy.url };
  }, 120_000);
  afterAll(async () => {
    await proxy.stop();
    await aws.stop();
  });
  beforeEach(async () => {
    place = await makeAgentPlace();
    proxy.heal();
  });
  afterEach(() => place.remove());

  const put = async (name: string, value: string): Promise<void> => {
    const done = await place.sh(`printf '%s' '${value}' | secrets put --quiet aws://${name}`, env);
    expect(done).toEqual({ code: 0, stdout: '', stderr: '' });
  };

  test('the same output, errors and exit codes as without it', async () => {
    await put('same/text', CANARY);
    await put('same/map', '{"user":"u","port":5432}');
    const lines = [
      'secrets get aws://same/text',
      'secrets get --json aws://same/text aws://same/map#port',
      'secrets get aws://same/missing',
      'secrets get aws://same/missing aws://same/map#nokey aws://same/text',
      'secrets get --json "aws://same/text?version=00000000-0000-4000-8000-000000000000"',
      'secrets get --default none aws://same/missing',
      'secrets env -e A=aws://same/text --from aws://same/map',
      'secrets exec -e A=aws://same/text -- printenv A',
      'secrets exec --from aws://same/map -- printenv user',
      'secrets exec -e A=aws://same/missing -- true',
    ];
    const without = [];
    for (const line of lines) without.push(await place.sh(line, env));
    const agent = await place.start(env);
    for (const round of ['from the store', 'from memory']) {
      for (const [index, line] of lines.entries()) {
        const through = await place.sh(line, env);
        expect({ round, line, ...through }).toEqual({ round, line, ...without[index] });
      }
    }
    expect(without.map(({ code }) => code)).toEqual([0, 0, 3, 3, 3, 0, 0, 0, 0, 125]);
    expect(agent.output()).not.toContain(CANARY);
  }, 240_000);

  test('the same records, which say what came from memory', async () => {
    await put('record', CANARY);
    const before = place.records().length;
    const line = 'secrets get --reason why aws://record#none; secrets get aws://record aws://gone';
    await place.sh(line, env);
    const without = place.records().slice(before);
    const agent = await place.start(env);
    await place.sh(line, env);
    const through = place.records().slice(before + without.length);
    const own = ['seq', 'prev', 'hash', 'time', 'pid', 'durationMs', 'requestId', 'agent'];
    const plain = (record: object): object =>
      Object.fromEntries(Object.entries(record).filter(([name]) => !own.includes(name)));
    expect(through.map((one) => plain(one))).toEqual(without.map((one) => plain(one)));
    expect(through.map((one) => one.agent)).toEqual(['store', 'cache', undefined]);
    expect(through.map(({ outcome }) => outcome)).toEqual(['allowed', 'allowed', 'failed']);
    for (const { pid } of through) expect(pid).not.toBe(agent.pid);
    // The call that the service's own trail has is named once.
    expect(through.map(({ requestId }) => requestId !== undefined)).toEqual([true, false, false]);
  }, 120_000);

  test('many commands at once are one call, and none once it is held', async () => {
    await put('many', CANARY);
    await place.start(env);
    proxy.heal();
    const at = '(for i in 1 2 3 4 5 6; do secrets get --newline aws://many & done; wait)';
    const outcome = await place.sh(at, env);
    expect(outcome).toEqual({ code: 0, stderr: '', stdout: `${CANARY}\n`.repeat(6) });
    expect(proxy.requests).toHaveLength(1);
  }, 120_000);

  test('a put through the command line is seen at once, by another name of the store as well', async () => {
    await put('fresh', 'one');
    await place.start(env);
    await place.sh('printf "stores: { other: { provider: aws } }" > secrets.yaml', env);
    expect((await place.sh('secrets get aws://fresh', env)).stdout).toBe('one');
    await place.sh('printf two | secrets put other://fresh', env);
    expect((await place.sh('secrets get aws://fresh', env)).stdout).toBe('two');
  }, 120_000);

  test('memory answers while the store is away, and says so', async () => {
    await put('away', CANARY);
    const flags = ['--fresh', '1ms', '--ttl', '60s'];
    await place.start(env, ...flags);
    await place.sh('secrets get aws://away', env);
    proxy.fault('reset');
    const { stdout, stderr, code } = await place.sh('secrets get --json aws://away', env);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      value: CANARY,
      staleSince: expect.stringMatching(/^20.*Z$/) as string,
    });
    expect(stderr).toMatch(/^secrets: warning: aws:\/\/away: the store does not answer; .* read at 20.*Z\n$/);
    expect(place.records().at(-1)).toMatchObject({ secret: 'away', outcome: 'allowed', agent: 'stale' });
    const other = await place.sh('secrets get aws://never-read', env);
    expect(other.code).toBe(6);
  }, 120_000);

  test('other credentials are never given what the agent holds', async () => {
    await put('mine', CANARY);
    await place.start(env);
    await place.sh('secrets get aws://mine', env);
    const nobody = { ...aws.nobody, AWS_ENDPOINT_URL: proxy.url };
    const denied = await place.sh('secrets get --debug aws://mine', nobody);
    expect({ code: denied.code, stdout: denied.stdout }).toEqual({ code: 4, stdout: '' });
    expect(denied.stderr).toContain('it was started with other variables of a secret manager');
    proxy.heal();
    // It makes no difference here, and it might.
    await place.sh('secrets get aws://mine', { ...env, AWS_PROFILE: 'other' });
    expect(proxy.requests).toHaveLength(1);
    const status = await place.sh('secrets agent status', nobody);
    expect(status.stdout).toMatch(/^answers here\tno: it was started with other variables/m);
  }, 120_000);

  test('a sign-in that is changed in a file counts from the next read', async () => {
    await put('file', CANARY);
    const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: key, ...rest } = env;
    const sign = (who: Readonly<Record<string, string>>): string =>
      `mkdir -p ~/.aws && printf '[default]\naws_access_key_id = ${who['AWS_ACCESS_KEY_ID'] ?? ''}\n` +
      `aws_secret_access_key = ${who['AWS_SECRET_ACCESS_KEY'] ?? ''}\n' > ~/.aws/credentials`;
    await place.sh(sign({ AWS_ACCESS_KEY_ID: id ?? '', AWS_SECRET_ACCESS_KEY: key ?? '' }));
    await place.start(rest);
    expect((await place.sh('secrets get aws://file', rest)).stdout).toBe(CANARY);
    await place.sh(sign(aws.nobody));
    expect(await place.sh('secrets get aws://file', rest)).toMatchObject({ code: 4, stdout: '' });
  }, 120_000);

  test('an untrusted secrets.yaml decides nothing, and SECRETS_AGENT=0 and --no-agent turn it off', async () => {
    await put('trust', CANARY);
    await place.start(env);
    proxy.heal();
    await place.sh('printf "stores: { mine: { provider: aws, endpoint: %s } }" "$E" > secrets.yaml', {
      E: proxy.url,
    });
    const refused = await place.sh('secrets get mine://trust', env);
    expect({ code: refused.code, stdout: refused.stdout }).toEqual({ code: 8, stdout: '' });
    expect(proxy.requests).toHaveLength(0);
    await place.sh('secrets get aws://trust', env);
    for (const line of ['SECRETS_AGENT=0 secrets get aws://trust', 'secrets get --no-agent aws://trust'])
      expect((await place.sh(line, env)).stdout).toBe(CANARY);
    expect(proxy.requests).toHaveLength(3);
  }, 120_000);

  test('a killed agent fails nobody, and the next one takes its place', async () => {
    await put('killed', CANARY);
    const first = await place.start(env);
    proxy.fault('hang');
    const reading = place.sh('secrets get aws://killed', env);
    while (proxy.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    proxy.fault('hang', { times: 0 });
    first.signal('SIGKILL');
    await first.ended;
    expect(await reading).toEqual({ code: 0, stdout: CANARY, stderr: '' });
    expect((await place.sh('secrets get aws://killed', env)).stdout).toBe(CANARY);
    const second = await place.start(env);
    expect(second.socket).toBe(first.socket);
    expect((await place.sh('secrets get aws://killed', env)).stdout).toBe(CANARY);
  }, 120_000);

  test('no value is in a file, an argument, an environment or the output of the agent', async () => {
    await put('canary', CANARY);
    const agent = await place.start(env);
    for (const _ of ['store', 'memory'])
      expect((await place.sh('secrets get aws://canary', env)).stdout).toBe(CANARY);
    await place.sh('secrets agent status --json; secrets agent status', env);
    const found = await place.sh(
      `grep -rlF '${CANARY}' "$HOME" /proc/${agent.pid}/cmdline /proc/${agent.pid}/environ "$TMPDIR"; true`,
    );
    expect(found.stdout).toBe('');
    const stopped = await place.sh('secrets agent stop', env);
    expect(stopped.code).toBe(0);
    expect(await agent.ended).toBe(0);
    expect(agent.output()).not.toContain(CANARY);
  }, 120_000);
});
