/** A promotion that arrives late, in stores whose service takes conditions: it overwrites no later rotation. */
import { open as openAws } from '../../src/providers/aws/index.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { open as openVault } from '../../src/providers/vault/index.ts';
import { scenarioFiles as awsFiles, startAws } from '../backends/aws.ts';
import { describeWith } from '../backends/server.ts';
import { scenarioFiles as vaultFiles, startVault } from '../backends/vault.ts';
import { contextFor, now } from '../contract/kit.ts';
import { look } from './kit.ts';
import { startWire, type Wire } from './targets/wire.ts';

const HOME = '/nonexistent';

interface Lines {
  /** The same store, by a line that can be held up and without one. */
  readonly slow: Provider;
  readonly direct: Provider;
  readonly wire: Wire;
  stop(): Promise<void>;
}

const stores: readonly {
  readonly title: string;
  readonly files: readonly string[];
  /** A part of the request that makes a version current. */
  readonly promotion: string;
  start(): Promise<Lines>;
}[] = [
  {
    title: 'aws',
    files: awsFiles,
    promotion: 'UpdateSecretVersionStage',
    start: async () => {
      const server = await startAws();
      const wire = await startWire(Number(new URL(server.url).port));
      const slowly = { ...server.admin, AWS_ENDPOINT_URL: `http://127.0.0.1:${wire.port}` };
      return {
        slow: openAws({}, contextFor(slowly, HOME)),
        direct: openAws({}, contextFor(server.admin, HOME)),
        wire,
        stop: () => server.stop(),
      };
    },
  },
  {
    title: 'vault',
    files: vaultFiles,
    promotion: '"cas":',
    start: async () => {
      const server = await startVault();
      const wire = await startWire(Number(new URL(server.url).port));
      const env = { VAULT_ADDR: server.url, VAULT_TOKEN: server.token };
      const slowly = { ...env, VAULT_ADDR: `http://127.0.0.1:${wire.port}` };
      return {
        slow: openVault({}, contextFor(slowly, HOME)),
        direct: openVault({}, contextFor(env, HOME)),
        wire,
        stop: () => server.stop(),
      };
    },
  },
];

for (const { title, files, promotion, start } of stores)
  describeWith(`a promotion in ${title} that arrives late`, files, () => {
    let lines: Lines;
    beforeAll(async () => {
      lines = await start();
    });
    afterAll(async () => {
      await Promise.all([lines?.slow.close(), lines?.direct.close()]);
      await lines?.wire.stop();
      await lines?.stop();
    });

    /** A pending version, and its promotion on the way. */
    const begin = async (name: string) => {
      const { slow, direct, wire } = lines;
      const stage = async (by: Provider, value: string): Promise<string> =>
        (await by.put(name, { value: Buffer.from(value), stage: 'pending', ifAbsent: true }, now())).id;
      await direct.put(name, { value: Buffer.from('first') }, now());
      const mine = await stage(slow, 'mine');
      const late = wire.delay(promotion);
      const call = new AbortController();
      const ended = slow.makeCurrent?.(name, mine, { signal: call.signal, ifPending: true }).then(
        () => 'done',
        () => 'given up',
      );
      await late.kept;
      call.abort();
      expect(await ended).toBe('given up');
      const current = async () => Buffer.from((await look(direct, name)).current?.value ?? []).toString();
      return { mine, stage, late, current };
    };

    test('takes effect where nobody was faster', async () => {
      const { late, current } = await begin('late-and-alone');
      expect(await current()).toBe('first');
      await late.deliver();
      expect(await current()).toBe('mine');
    });

    test('changes nothing after the next rotation', async () => {
      const { direct } = lines;
      const name = 'late-promotion';
      const { mine, stage, late, current } = await begin(name);
      // Whoever takes it over undoes it, and another rotation follows.
      await direct.purge?.(name, mine, now());
      await direct.makeCurrent?.(name, await stage(direct, 'theirs'), { ...now(), ifPending: true });
      const before = await look(direct, name);
      expect(await current()).toBe('theirs');
      await late.deliver();
      expect(await look(direct, name)).toEqual(before);
    });
  });
