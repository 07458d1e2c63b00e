/**
 * Rotations of AWS secrets that were made without a value. AWS makes a first version current at once, so that nothing
 * can be claimed before it; the double also has it the other way, since only the documentation says so.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open as openAws } from '../../src/providers/aws/index.ts';
import type { Provider } from '../../src/providers/provider.ts';
import type { Outcome } from '../../src/rotation/run.ts';
import { open as openNone } from '../../src/rotation/targets/none/index.ts';
import { startLabels, type Labels } from '../backends/aws/labels.ts';
import { type Aws, scenarioFiles, startAws } from '../backends/aws.ts';
import { describeWith } from '../backends/server.ts';
import { makePlace } from '../e2e/program.ts';
import { sized } from '../size.ts';
import { bytes, contextFor, now, readOne } from '../contract/kit.ts';
import { Death, FakeSystem, look, MANNERS, momentsOf, Pause, rotateOn, type RunOptions } from './kit.ts';

const LONG = 300_000;
const STRIDE = sized(6, 1);
const untold = { target: openNone };
const whole = { keys: [] };

interface World {
  readonly env: Readonly<Record<string, string>>;
  readonly provider: Provider;
  /** Makes a secret without a value. */
  make(name: string): Promise<unknown>;
  stop(): Promise<unknown>;
}

const labels = (firstIsCurrent: boolean) => async (): Promise<World> => {
  const double = await startLabels({ firstIsCurrent });
  return {
    env: double.env,
    provider: openAws({}, contextFor(double.env, '/nonexistent')),
    make: async (name) => double.make(name),
    stop: () => double.stop(),
  };
};

async function moto(): Promise<World> {
  const server: Aws = await startAws();
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
  const sdk = await import('@aws-sdk/client-secrets-manager');
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = server.admin;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new sdk.SecretsManagerClient({ region: 'eu-west-1', endpoint: server.url, credentials });
  return {
    env: server.admin,
    provider: openAws({}, contextFor(server.admin, '/nonexistent')),
    make: (Name) => client.send(new sdk.CreateSecretCommand({ Name })),
    stop: () => {
      client.destroy();
      return server.stop();
    },
  };
}

describe.each([
  ['moto', scenarioFiles, moto],
  ['a double that does as is documented', [], labels(true)],
  ['a double that gives a first version no label of its own', [], labels(false)],
] as const)('in %s', (_, files, start) => {
  describeWith('a secret without a value', files, () => {
    let world: World;
    let count = 0;
    beforeAll(async () => {
      world = await start();
    });
    afterAll(async () => {
      await world.provider.close();
      await world.stop();
    });

    const made = async (): Promise<string> => {
      count += 1;
      const name = `first-${count}`;
      await world.make(name);
      return name;
    };
    const rotate = async (name: string, options: RunOptions = {}, store = world.provider): Promise<Outcome> =>
      (await rotateOn(store, name, untold, { ...whole, ...options })) as Outcome;
    const valueOf = async (name: string): Promise<string> =>
      Buffer.from((await readOne(world.provider, { name })).value).toString();

    test('gets its first one, current and dated, with nothing pending or previous', async () => {
      const name = await made();
      const outcome = await rotate(name);
      expect(outcome).toMatchObject({ ending: 'done', error: undefined, before: undefined });
      const { current, pending, previous } = await look(world.provider, name);
      expect([current?.id, pending, previous]).toEqual([outcome.currentVersion, undefined, undefined]);
      expect(await valueOf(name)).toMatch(/^generated-/);
      const { labels: tags } = await world.provider.describe(name, now());
      expect(tags).toEqual({ 'last-rotated': expect.stringMatching(/^\d{8}t\d{6}z$/) });
      expect(await rotate(name)).toMatchObject({ ending: 'done', before: current?.id });
    });

    test('gets the keys that the policy names', async () => {
      const name = await made();
      expect(await rotate(name, { keys: ['password'] })).toMatchObject({ ending: 'done' });
      expect(JSON.parse(await valueOf(name))).toEqual({ password: expect.stringMatching(/^generated-/) });
    });

    test('may be missing altogether with --create', async () => {
      expect(await rotate('missing-1')).toMatchObject({
        ending: 'unchanged',
        error: { kind: 'NotFound', hint: expect.stringContaining('--create') },
      });
      expect(await rotate('missing-1', { create: true })).toMatchObject({ ending: 'done' });
    });

    test('is refused for a target that would hear of it too late, and stays without a value', async () => {
      for (const manner of MANNERS) {
        const name = await made();
        const system = new FakeSystem(manner, 'first');
        system.trouble = (call) => {
          throw new Error(`told the system: ${call}`);
        };
        for (const create of [false, true])
          expect(await rotateOn(world.provider, name, system, { create })).toMatchObject({
            ending: 'unchanged',
            error: {
              kind: 'Unsupported',
              message: expect.stringContaining('has no value yet'),
              hint: expect.stringContaining('secrets put'),
            },
          });
        const { current, pending } = await look(world.provider, name);
        expect([current, pending]).toEqual([undefined, undefined]);
        // What the hint says.
        await world.provider.put(name, { value: bytes('{"password":"first"}') }, now());
        system.trouble = () => {};
        expect(await rotateOn(world.provider, name, system, {})).toMatchObject({ ending: 'done' });
      }
    });

    test(
      'left by a run that dies at any call, it is rotated by the next, and none has to be resumed',
      async () => {
        const counted = new Death(Number.MAX_SAFE_INTEGER, 'before');
        await rotateOn(world.provider, await made(), untold, { ...whole, death: counted });
        expect(counted.calls).toBeGreaterThan(4);
        for (let at = 1; at <= counted.calls; at += 1)
          for (const when of ['before', 'after'] as const) {
            const name = await made();
            const death = new Death(at, when);
            expect(await rotateOn(world.provider, name, untold, { ...whole, death })).toBe('died');
            const left = await look(world.provider, name);
            expect([at, when, left.pending]).toEqual([at, when, undefined]);
            for (const intent of ['resume', 'rollback'] as const)
              expect(await rotate(name, { intent })).toMatchObject({ ending: 'nothing' });
            expect((await look(world.provider, name)).current?.id).toBe(left.current?.id);
            expect(await rotate(name)).toMatchObject({ ending: 'done', before: left.current?.id });
          }
      },
      LONG,
    );

    test(
      'gets one value of two runs at once, and the slower one says so',
      async () => {
        for (let at = 1; ; at += 1) {
          const name = await made();
          const pause = new Pause(at);
          const slow = rotate(name, {}, pause.of(world.provider));
          if ((await Promise.race([pause.reached, slow])) !== 'paused') break;
          const fast = await rotate(name);
          pause.release();
          const late = await slow;
          const current = (await look(world.provider, name)).current?.id;
          expect([at, fast.ending]).toEqual([at, 'done']);
          // Paused after its write, the slow one was first, and the fast one a rotation of its own.
          if (late.ending === 'done') expect([at, fast.currentVersion]).toEqual([at, current]);
          else
            expect([at, late]).toMatchObject([
              at,
              {
                ending: 'unchanged',
                error: {
                  kind: 'Conflict',
                  message: `changed while this rotation began: version ${current} is current now`,
                },
              },
            ]);
        }
        const name = await made();
        const all = await Promise.all([1, 2, 3, 4].map(() => rotate(name)));
        const current = (await look(world.provider, name)).current?.id;
        const first = all.filter(({ ending, before }) => ending === 'done' && before === undefined);
        expect(first).toHaveLength(1);
        // Who looks after the first write sees a value, and rotates it.
        const done = all.filter(({ ending }) => ending === 'done');
        expect(done.map(({ currentVersion }) => currentVersion)).toContain(current);
        for (const { ending, error } of all)
          expect([ending, error?.kind]).toEqual(
            ending === 'done' ? ['done', undefined] : [expect.stringMatching(/unchanged|held/), 'Conflict'],
          );
      },
      LONG,
    );
  });
});

const KILLER = fileURLToPath(new URL('kill-at.cjs', import.meta.url));

describeWith('the program, killed at any moment', scenarioFiles, () => {
  test(
    'leaves a secret that the next rotation takes up, and that nobody has to mend',
    async () => {
      const world = await moto();
      const place = await makePlace();
      try {
        const run = async (at: number, when: string): Promise<{ code: number | null; points: number }> => {
          const name = `killed-${at}-${when}`;
          await world.make(name);
          writeFileSync(
            join(place.cwd, 'secrets.yaml'),
            JSON.stringify({ rotation: { [`aws://${name}`]: { every: '30d' } } }),
          );
          const log = join(place.root, 'points');
          const { code } = await place.sh('secrets rotate --due --trust --json; exit $?', {
            ...world.env,
            NODE_OPTIONS: `--require=${KILLER}`,
            KILL_AT: `${at} ${when}`,
            KILL_LOG: log,
            KILL_TEXT: 'x-amz-target',
          });
          return { code, points: when === 'never' ? Number(readFileSync(log, 'utf8')) : 0 };
        };
        const whole = await run(0, 'never');
        expect([whole.code, whole.points > 5]).toEqual([0, true]);
        const points = Array.from({ length: whole.points }, (_, index) => index + 1);
        for (const [at, when] of momentsOf(points.filter((point) => point % STRIDE === 0))) {
          expect([at, when, (await run(at, when)).code]).toEqual([at, when, 137]);
          const left = await look(world.provider, `killed-${at}-${when}`);
          expect(left.pending).toBeUndefined();
          const status = await place.sh('secrets rotate status --trust --json', world.env);
          const state = left.current === undefined ? 'never' : 'ok';
          expect([at, when, JSON.parse(status.stdout)]).toMatchObject([at, when, { secrets: [{ state }] }]);
          const next = await place.sh(`secrets rotate aws://killed-${at}-${when} --trust --json`, world.env);
          expect([at, when, next.code]).toEqual([at, when, 0]);
        }
      } finally {
        await place.remove();
        await world.provider.close();
        await world.stop();
      }
    },
    LONG,
  );
});

describe.each([true, false])('with a first version that is current at once: %s', (firstIsCurrent) => {
  let double: Labels;
  let provider: Provider;
  beforeEach(async () => {
    double = await startLabels({ firstIsCurrent });
    provider = openAws({}, contextFor(double.env, '/nonexistent'));
  });
  afterEach(async () => {
    await provider.close();
    await double.stop();
  });
  const rotate = async (options: RunOptions = {}): Promise<Outcome> =>
    (await rotateOn(provider, 'a', untold, { ...whole, ...options })) as Outcome;

  test('a write whose answer is lost is recognised', async () => {
    double.make('a');
    double.lost = 'PutSecretValue';
    // Each try of the SDK is answered by none.
    const outcome = await rotate();
    double.lost = undefined;
    if (firstIsCurrent) {
      expect(outcome).toMatchObject({ ending: 'done', error: undefined });
      expect(double.labels('a')).toEqual([['AWSCURRENT']]);
    } else {
      expect(outcome).toMatchObject({ ending: 'unchanged', error: { kind: 'Unavailable' } });
      expect(double.labels('a')).toEqual([]);
      expect(await rotate()).toMatchObject({ ending: 'done', before: undefined });
      expect(double.labels('a')).toEqual([['AWSCURRENT']]);
    }
  });

  test('who may create no secret gives one that is there its first value', async () => {
    double.make('a');
    double.denied = ['CreateSecret'];
    expect(await rotate()).toMatchObject({ ending: 'done' });
    expect(double.labels('a')).toEqual([['AWSCURRENT']]);
    const again = provider.put('a', { value: bytes('x'), ifAbsent: true }, now());
    await expect(again).rejects.toMatchObject({ kind: 'Conflict' });
    const missing = provider.put('b', { value: bytes('x'), ifAbsent: true }, now());
    await expect(missing).rejects.toMatchObject({ kind: 'Denied' });
  });

  test('by its ARN too, under which none is created', async () => {
    const arn = double.make('a');
    const byArn = openAws({ arn: true }, contextFor(double.env, '/nonexistent'));
    await byArn.put(arn, { value: bytes('x'), ifAbsent: true }, now());
    expect(double.labels('a')).toEqual([['AWSCURRENT']]);
    const again = byArn.put(arn, { value: bytes('y'), ifAbsent: true }, now());
    await expect(again).rejects.toMatchObject({ kind: 'Conflict', message: 'already exists' });
    const missing = byArn.put(arn.replace(':a-', ':b-'), { value: bytes('y'), ifAbsent: true }, now());
    await expect(missing).rejects.toMatchObject({ kind: 'NotFound' });
    expect(double.actions).not.toContain('CreateSecret');
    await byArn.close();
  });
});
