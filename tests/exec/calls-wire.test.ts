/** 60 references over three stores: what goes over the wire, counted between the program and the real servers. */
import { scenarioFiles as awsFiles, startForScenarios as startAws } from '../backends/aws.ts';
import { describeWith } from '../backends/server.ts';
import { scenarioFiles as vaultFiles, startForScenarios as startVault } from '../backends/vault.ts';
import { type Counter, countCallsTo } from './counter.ts';
import { Box, REPLACING_NODE } from './setup.ts';
import { testNeeding } from '../needs.ts';

describeWith('exec with 60 references', [...awsFiles, ...vaultFiles], () => {
  let box: Box;
  const stops: (() => unknown)[] = [];
  let toAws: Counter;
  let toVault: Counter;
  let env: Record<string, string>;

  beforeAll(async () => {
    box = new Box();
    const aws = await startAws();
    const vault = await startVault();
    toAws = await countCallsTo(aws.env['AWS_ENDPOINT_URL'] ?? '');
    toVault = await countCallsTo(vault.env['VAULT_ADDR'] ?? '');
    stops.push(
      () => box.remove(),
      () => toAws.close(),
      () => toVault.close(),
      () => aws.stop(),
      () => vault.stop(),
    );
    const direct = { ...aws.env, ...vault.env };
    env = { ...direct, AWS_ENDPOINT_URL: toAws.url, VAULT_ADDR: toVault.url };
    const numbers = [...Array(30).keys()];
    const lines = numbers.map((number) => `$S put --quiet aws://many/${number} <<< aws-${number}`);
    const keys = (store: string): string =>
      `printf '{"user":"${store}-user","password":"${store}-password"}' | $S put --quiet ${store}://pair`;
    const vaults = numbers
      .slice(0, 10)
      .map((number) => `$S put --quiet vault://many/${number} <<< v-${number}`);
    const script = [...lines, ...vaults, keys('aws'), keys('vault'), keys('local')].join(' && ');
    const made = await box.run(['--version'], {
      env: direct,
      before: ['bash', '-c', `S="$*"; S="\${S% --version}"; ${script}`, 'bash'],
    });
    expect(made).toMatchObject({ code: 0, stderr: '' });
  }, 300_000);
  afterAll(async () => {
    for (const stop of stops) await stop();
  });

  test('asks AWS for twenty at a time, Vault once for each secret, and nobody twice', async () => {
    const refs: string[] = [];
    for (let number = 0; number < 30; number += 1) refs.push(`A${number}=aws://many/${number}`);
    for (let number = 0; number < 10; number += 1) refs.push(`V${number}=vault://many/${number}`);
    // Both keys of a secret, and the same key twice: 20 references to three secrets.
    for (const store of ['aws', 'vault', 'local']) {
      for (const [index, key] of ['user', 'password', 'user', 'password', 'user', 'user'].entries())
        refs.push(`${store.toUpperCase()}_${index}=${store}://pair#${key}`);
    }
    refs.push('LAST_USER=local://pair#user', 'LAST_PASSWORD=local://pair#password');
    expect(refs).toHaveLength(60);
    const { code, stdout, stderr } = await box.run(
      [
        'exec',
        ...refs.flatMap((ref) => ['-e', ref]),
        '--',
        'sh',
        '-c',
        'echo $A29 $V9 $AWS_1 $VAULT_0 $LAST_USER',
      ],
      { env },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe('aws-29 v-9 aws-password vault-user local-user\n');
    // 31 secrets, 20 in each batch.
    expect(toAws.calls).toEqual(['BatchGetSecretValue', 'BatchGetSecretValue']);
    const reads = toVault.calls.filter((call) => call.startsWith('GET /v1/secret/data/'));
    expect(reads).toHaveLength(11);
    expect(new Set(reads).size).toBe(11);
    // Which version of KV the mount has, and how long the token lives.
    expect(toVault.calls.length - reads.length).toBeLessThanOrEqual(2);
  });

  testNeeding(REPLACING_NODE)(
    'no wrapper stays for a Vault token, unless the program has it too and it is kept alive',
    async () => {
      for (const [more, stays] of [
        [[], false],
        [['--keep-credentials'], true],
      ] as const) {
        const words = ['exec', ...more, '-e', 'A=vault://pair#user', '--', 'sh', '-c', 'echo $$ $A'];
        const running = box.start(words, { env });
        const [pid, value] = (await running.ended).stdout.trim().split(' ');
        expect(value).toBe('vault-user');
        expect(pid !== String(running.process.pid)).toBe(stays);
      }
    },
  );
});
