/** What `history` says after each way that a rotation can go: which version has which stage, and nothing else has one. */
import { SecretsError } from '../../src/core/errors.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { describeWith } from '../backends/server.ts';
import { Death, FakeSystem, type Manner, MANNERS, rotateOn } from './kit.ts';
import { STORES } from './stores.ts';

const REPLACES = MANNERS[0] as Manner;
const call = () => ({ signal: AbortSignal.timeout(120_000) });

interface World {
  readonly provider: Provider;
  readonly name: string;
  readonly system: FakeSystem;
}

type Ending = 'done' | 'undone' | 'unchanged' | 'stuck' | 'died';
/** One run, and how it ends. */
type Run = (world: World) => Promise<Ending>;

const run =
  (options: Parameters<typeof rotateOn>[3] = {}): Run =>
  async ({ provider, name, system }) => {
    const outcome = await rotateOn(provider, name, system, options);
    return (outcome === 'died' ? outcome : outcome.ending) as Ending;
  };

const troubled =
  (error: SecretsError): Run =>
  async (world) => {
    world.system.trouble = (asked) => {
      if (asked === 'apply') throw error;
    };
    const ending = await run()(world);
    world.system.trouble = () => {};
    return ending;
  };

const rotate = run();
const refused = troubled(new SecretsError('Invalid', 'too weak'));
const unanswered = troubled(new SecretsError('Unavailable', 'no answer; the change may have been made'));
const dies: Run = async (world) => run({ death: new Death(8, 'before') })(world);
const resume = run({ intent: 'resume', takeOver: true });
const rollback = run({ intent: 'rollback', takeOver: true });
const toPrevious = run({ toPrevious: true });
const unmade = run({
  generator: {
    title: 'none',
    bits: 0,
    make: async () => {
      throw new SecretsError('Usage', 'nothing can be made');
    },
  },
});

const BEFORE = { current: 'first', previous: 'zero' };

/** Runs one after another with their endings; `1` and `2` are the values that were made and seen, by their order. */
const PATHS: readonly (readonly [string, readonly (readonly [Run, Ending])[], object])[] = [
  ['success', [[rotate, 'done']], { current: '1', previous: 'first' }],
  [
    'two successes',
    [
      [rotate, 'done'],
      [rotate, 'done'],
    ],
    { current: '2', previous: '1' },
  ],
  ['no value could be made', [[unmade, 'unchanged']], BEFORE],
  ['failure, undone', [[refused, 'undone']], BEFORE],
  [
    'failure, undone, success',
    [
      [refused, 'undone'],
      [rotate, 'done'],
    ],
    { current: '1', previous: 'first' },
  ],
  ['an answer that is lost', [[unanswered, 'stuck']], { ...BEFORE, pending: '1' }],
  ['death', [[dies, 'died']], { ...BEFORE, pending: '1' }],
  [
    'death, resumed',
    [
      [dies, 'died'],
      [resume, 'done'],
    ],
    { current: '1', previous: 'first' },
  ],
  [
    'death, rolled back',
    [
      [dies, 'died'],
      [rollback, 'undone'],
    ],
    BEFORE,
  ],
  [
    'an answer that is lost, rolled back, success',
    [
      [unanswered, 'stuck'],
      [rollback, 'undone'],
      [rotate, 'done'],
    ],
    { current: '2', previous: 'first' },
  ],
  [
    'success, to the previous value',
    [
      [rotate, 'done'],
      [toPrevious, 'done'],
    ],
    { current: 'first', previous: '1' },
  ],
  [
    'success, there and back again',
    [
      [rotate, 'done'],
      [toPrevious, 'done'],
      [toPrevious, 'done'],
    ],
    { current: '1', previous: 'first' },
  ],
  [
    'success, to the previous value, success',
    [
      [rotate, 'done'],
      [toPrevious, 'done'],
      [rotate, 'done'],
    ],
    { current: '2', previous: 'first' },
  ],
];

let count = 0;

for (const store of STORES.filter(({ title }) => ['local', 'aws', 'vault'].includes(title)))
  describeWith(`history in ${store.title}`, store.files, () => {
    let provider: Provider;
    let stop: () => Promise<void>;
    beforeAll(async () => {
      ({ provider, stop } = await store.start());
    });
    afterAll(async () => {
      await provider.close();
      await stop();
    });

    test.each(PATHS)('%s', async (_, runs, expected) => {
      count += 1;
      const world = {
        provider,
        name: `history/${process.pid}-${count}`,
        system: new FakeSystem(REPLACES, 'first'),
      };
      for (const password of ['zero', 'first'])
        await provider.put(world.name, { value: Buffer.from(JSON.stringify({ password })) }, call());
      const seen: string[] = [];
      for (const [step, ending] of runs) {
        expect(await step(world)).toBe(ending);
        for (const password of (await staged(world)).values())
          if (!seen.includes(password) && password.startsWith('generated')) seen.push(password);
      }
      const told = [...(await staged(world))].map(([stage, password]) => [
        stage,
        seen.includes(password) ? String(seen.indexOf(password) + 1) : password,
      ]);
      expect(Object.fromEntries(told)).toEqual(expected);
    });
  });

/** The value of each stage that `history` shows; a stage is on one version alone. */
async function staged({ provider, name }: World): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for await (const { id, stages, state } of provider.history?.(name, call()) ?? [])
    for (const stage of stages) {
      expect([stage, found.has(stage), state]).toEqual([stage, false, 'enabled']);
      // A pending version may be kept where it is read by its stage alone.
      const [answer] = await provider.get(
        [stage === 'pending' ? { name, stage } : { name, version: id }],
        call(),
      );
      if (answer?.ok !== true) throw new Error(`${stage} can't be read`);
      const { password } = JSON.parse(Buffer.from(answer.secret.value).toString()) as { password: string };
      found.set(stage, password);
    }
  return found;
}
