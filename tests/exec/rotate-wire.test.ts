/** What looking for changes costs: the calls between the program and the real servers, and that none reads a value. */
import { scenarioFiles as awsFiles, startForScenarios as startAws } from '../backends/aws.ts';
import { describeWith } from '../backends/server.ts';
import { scenarioFiles as vaultFiles, startForScenarios as startVault } from '../backends/vault.ts';
import { type Counter, countCallsTo } from './counter.ts';
import { Box, type Running, until } from './setup.ts';

const SERVER = 'trap "exit 0" TERM; echo "has=$V,$W;"; while :; do sleep 0.05; done';
const ARGS = ['exec', '--restart-on-rotate', '--poll', '1s', '--debounce', '300ms', '--no-redact'];

interface Store {
  readonly title: string;
  readonly files: readonly string[];
  start(): Promise<{ readonly env: Readonly<Record<string, string>>; stop(): Promise<void> | void }>;
  readonly address: string;
  readonly prefix: string;
  /** A call that reads a value. */
  readonly reads: RegExp;
  /** A call that looks at versions. */
  readonly looks: RegExp;
}

const STORES: readonly Store[] = [
  {
    title: 'AWS Secrets Manager',
    files: awsFiles,
    start: startAws,
    address: 'AWS_ENDPOINT_URL',
    prefix: 'aws://',
    reads: /GetSecretValue/,
    looks: /^DescribeSecret$/,
  },
  {
    title: 'Vault',
    files: vaultFiles,
    start: startVault,
    address: 'VAULT_ADDR',
    prefix: 'vault://',
    reads: /^GET .*\/data\//,
    looks: /^GET .*\/metadata\//,
  },
];

for (const store of STORES)
  describeWith(`a program with secrets of ${store.title}`, store.files, () => {
    let box: Box;
    let counter: Counter;
    let env: Record<string, string>;
    let run: Running | undefined;
    const stops: (() => unknown)[] = [];
    beforeAll(async () => {
      box = new Box();
      const server = await store.start();
      counter = await countCallsTo(server.env[store.address] ?? '');
      env = { ...server.env, [store.address]: counter.url };
      stops.push(
        () => box.remove(),
        () => server.stop(),
        () => counter.close(),
      );
    });
    afterAll(async () => {
      run?.process.kill('SIGTERM');
      await run?.ended;
      for (const stop of stops) await stop();
    });
    // Not in this process's way: the counter is in it.
    const secrets = async (args: readonly string[], input = ''): Promise<string> => {
      const { code, stdout, stderr } = await box.run(args, { env, input });
      expect([args, code, stderr]).toEqual([args, 0, '']);
      return stdout;
    };

    test('is restarted by a rotation; until then no value is read', async () => {
      const [a, b] = [`${store.prefix}watched-a`, `${store.prefix}watched-b`];
      await secrets(['put', '--quiet', a], 'first');
      await secrets(['put', '--quiet', `${b}#key`], 'kept');
      let started = counter.calls.length;
      const looks = (): number =>
        counter.calls.slice(started).filter((call) => store.looks.test(call)).length;
      run = box.start([...ARGS, '-e', `V=${a}`, '-e', `W=${b}#key`, '--', 'sh', '-c', SERVER], { env });
      await run.saw('has=first,kept;');
      // What keeps the sign-in alive asks about it beside the program's start: it has by the second look.
      const seen = looks();
      await until(
        () => looks() >= seen + 4,
        () => JSON.stringify(counter.calls.slice(started)),
      );
      started = counter.calls.length;
      await until(
        () => looks() >= 6,
        () => JSON.stringify(counter.calls.slice(started)),
      );
      // Two secrets, one call each, and nothing else.
      expect(counter.calls.slice(started).filter((call) => !store.looks.test(call))).toEqual([]);
      const before = counter.calls.length;
      await secrets(['rotate', a, '--generate', 'hex:8', '--quiet']);
      const value = await secrets(['get', a]);
      await run.saw(`has=${value},kept;`);
      expect(counter.calls.slice(before).some((call) => store.reads.test(call))).toBe(true);
      const again = counter.calls.length;
      const later = looks() + 4;
      await until(
        () => looks() >= later,
        () => JSON.stringify(counter.calls.slice(again)),
      );
      expect(counter.calls.slice(again).filter((call) => store.reads.test(call))).toEqual([]);
      expect(run.output.stdout.match(/has=/g)).toHaveLength(2);
    });
  });

describeWith('a program with a secret of a store without versions (KV v1)', vaultFiles, () => {
  test('is restarted as well: its value is read and compared', async () => {
    const box = new Box();
    const server = await startVault();
    const counter = await countCallsTo(server.env['VAULT_ADDR'] ?? '');
    const env = { ...server.env, VAULT_ADDR: counter.url };
    let run: Running | undefined;
    try {
      const mounted = await fetch(`${counter.url}/v1/sys/mounts/old`, {
        method: 'POST',
        headers: { 'x-vault-token': server.env['VAULT_TOKEN'] ?? '' },
        body: JSON.stringify({ type: 'kv', options: { version: '1' } }),
      });
      expect(mounted.status).toBe(204);
      box.write('secrets.yaml', 'stores: { old: { provider: vault, mount: old } }\n');
      expect((await box.run(['trust', '--yes'], { env })).code).toBe(0);
      const put = async (value: string): Promise<void> => {
        const { code, stderr } = await box.run(['put', '--quiet', 'old://a'], {
          env,
          input: JSON.stringify({ key: value }),
        });
        expect([code, stderr]).toEqual([0, '']);
      };
      await put('first');
      run = box.start([...ARGS, '-e', 'V=old://a#key', '--', 'sh', '-c', SERVER], { env });
      await run.saw('has=first,;');
      const reads = (): number => counter.calls.filter((call) => call === 'GET /v1/old/a').length;
      const before = reads();
      await until(
        () => reads() >= before + 3,
        () => JSON.stringify(counter.calls),
      );
      expect(run.output.stdout.match(/has=/g)).toHaveLength(1);
      await put('second');
      await run.saw('has=second,;');
      // And the store is gone: the program has what it has.
      counter.close();
      const { output } = run;
      await until(
        () =>
          output.stderr.includes('keeps the secrets it has, for it can’t be seen whether they have changed'),
        () => output.stderr,
      );
      expect(output.stdout.match(/has=/g)).toHaveLength(2);
      run.process.kill('SIGTERM');
      expect((await run.ended).code).toBe(0);
    } finally {
      run?.process.kill('SIGTERM');
      await run?.ended;
      counter.close();
      await server.stop();
      box.remove();
    }
  });
});
