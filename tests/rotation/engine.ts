/**
 * Rotations against real stores and a system in memory, interrupted at every call that leaves the process: before it
 * is sent and after it was done. Then another machine resumes or rolls back.
 */
import { SecretsError } from '../../src/core/errors.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { describeWith } from '../backends/server.ts';
import {
  Death,
  expectNotLockedOut,
  expectSettled,
  FakeSystem,
  look,
  type Manner,
  MANNERS,
  momentsOf,
  rotateOn,
  type RunOptions,
} from './kit.ts';
import type { Store } from './stores.ts';
import { sampled, sized, startOf } from '../size.ts';

const LONG = 600_000;
/**
 * Every call in the local store. In the others, whose every call is a request, the first, the last and every fourth
 * between, each test beginning at another one; a small run has every twentieth, and locally every sixth.
 */
const STRIDE = sized(20, 4, 1);
const LOCAL_STRIDE = sized(6, 1);
/** After how many calls the rotation dies that is then resumed or undone; in a store of requests one for each test. */
const LEFT = [6, 7, 8] as const;
let count = 0;
let offset = startOf(60);

const strideOf = (title: string): number => (title === 'local' ? LOCAL_STRIDE : STRIDE);

function pointsOf(calls: number, title: string): number[] {
  const all = Array.from({ length: calls }, (_, index) => index + 1);
  const stride = strideOf(title);
  offset += 1;
  return all.filter((point) => point === 1 || point === calls || point % stride === offset % stride);
}

function leftOf(title: string): readonly number[] {
  return strideOf(title) === 1 ? LEFT : LEFT.filter((_, index) => index === offset % 3);
}

/** In a store of requests a small run has half of the manners, others in each run. */
function mannersIn(title: string): readonly Manner[] {
  return title === 'local' ? MANNERS : sampled(MANNERS, 2);
}

/** Defines the tests of these stores: each has a test file of its own, so that several run at a time. */
export function defineEngineTests(stores: readonly Store[]): void {
  for (const store of stores)
    describeWith(`rotations in ${store.title}`, store.files, () => {
      let provider: Provider;
      let lock: Provider | undefined;
      let stop: () => Promise<void>;
      beforeAll(async () => {
        ({ provider, lock, stop } = await store.start());
      });
      afterAll(async () => {
        await provider.close();
        await stop();
      });

      const rotate = (name: string, system: FakeSystem, options: RunOptions): ReturnType<typeof rotateOn> =>
        rotateOn(provider, name, system, { lock, ...options });
      const fresh = async (manner: Manner): Promise<{ name: string; system: FakeSystem }> => {
        count += 1;
        const name = `rotated-${process.pid}-${count}`;
        const value = Buffer.from(JSON.stringify({ username: 'app', password: 'first' }));
        await provider.put(name, { value }, { signal: AbortSignal.timeout(120_000) });
        return { name, system: new FakeSystem(manner, 'first') };
      };

      describe.each(mannersIn(store.title))('of a system that $title', (manner) => {
        test('end with a new current value, the old one as previous, and nothing pending', async () => {
          const { name, system } = await fresh(manner);
          const outcome = await rotate(name, system, {});
          expect(outcome).toMatchObject({ ending: 'done', error: undefined });
          const seen = await look(provider, name);
          expectSettled(system, seen);
          expect(seen.current?.fields?.['username']).toBe('app');
          expect(seen.current?.fields?.['password']).not.toBe('first');
          expect(seen.previous?.fields?.['password']).toBe('first');
          const { labels = {} } = await provider.describe(name, { signal: AbortSignal.timeout(120_000) });
          expect(labels).toEqual({
            'last-rotated': expect.stringMatching(/^\d{8}t\d{6}z$/),
            ...(!manner.replaces && { 'retire-previous': expect.stringMatching(/^\d{8}t\d{6}z$/) }),
          });
        });

        test.each(['resume', 'rollback'] as const)(
          'that die at any call are ended by %s on another machine',
          async (intent) => {
            const counted = new Death(Number.MAX_SAFE_INTEGER, 'before');
            const first = await fresh(manner);
            await rotate(first.name, first.system, { death: counted });
            expect(counted.calls).toBeGreaterThan(8);
            for (const [at, when] of momentsOf(pointsOf(counted.calls, store.title))) {
              const { name, system } = await fresh(manner);
              const death = new Death(at, when);
              expect(await rotate(name, system, { death })).toBe('died');
              const dead = await look(provider, name);
              expectNotLockedOut(system, dead);
              const outcome = await rotate(name, system, { intent, takeOver: true });
              const seen = await look(provider, name);
              expectSettled(system, seen);
              const where = `${at} ${when}`;
              const promoted = dead.current?.fields?.['password'] !== 'first';
              const begun = dead.pending !== undefined;
              const expected = !begun ? 'nothing' : promoted || intent === 'resume' ? 'done' : 'undone';
              expect([where, outcome === 'died' ? outcome : outcome.ending]).toEqual([where, expected]);
              // Nothing is left to be resumed; what was replaced still has its end.
              if (promoted && !begun && !manner.replaces) {
                const { labels } = await provider.describe(name, { signal: AbortSignal.timeout(120_000) });
                expect([where, labels?.['retire-previous']]).toEqual([where, expect.any(String)]);
              }
              const isNew = seen.current?.fields?.['password'] !== 'first';
              expect([where, isNew]).toEqual([where, promoted || (begun && intent === 'resume')]);
              if (isNew) expect(seen.previous?.fields?.['password']).toBe('first');
              // What was given up is gone from a system that can forget.
              if (!isNew && !manner.replaces) expect([...system.accepts]).toEqual(['first']);
              // And the next rotation finds nothing in its way.
              if (!manner.issues || !isNew)
                expect(await rotate(name, system, {})).toMatchObject({ ending: 'done' });
            }
          },
          LONG,
        );

        test(
          'whose resuming or undoing dies at any call are ended by the next',
          async () => {
            for (const intent of ['resume', 'rollback'] as const)
              for (const left of leftOf(store.title)) {
                const begin = async (): Promise<{ name: string; system: FakeSystem }> => {
                  const made = await fresh(manner);
                  await rotate(made.name, made.system, { death: new Death(left, 'after') });
                  return made;
                };
                const counted = new Death(Number.MAX_SAFE_INTEGER, 'before');
                const first = await begin();
                await rotate(first.name, first.system, { intent, takeOver: true, death: counted });
                for (const at of pointsOf(counted.calls, store.title)) {
                  const { name, system } = await begin();
                  const death = new Death(at, 'after');
                  await rotate(name, system, { intent, takeOver: true, death });
                  expectNotLockedOut(system, await look(provider, name));
                  await rotate(name, system, { intent, takeOver: true });
                  expectSettled(system, await look(provider, name));
                }
              }
          },
          LONG,
        );
      });

      describe('of a system in trouble', () => {
        const manner = MANNERS[0] as Manner;
        const down = (): never => {
          throw new SecretsError('Unavailable', 'no answer');
        };

        test('that refuses the new value keep the old one', async () => {
          const { name, system } = await fresh(manner);
          system.trouble = (call) => {
            if (call === 'apply') throw new SecretsError('Invalid', 'too weak');
          };
          expect(await rotate(name, system, {})).toMatchObject({
            ending: 'undone',
            error: { message: 'too weak' },
          });
          expectSettled(system, await look(provider, name));
        });

        test('that says yes and does nothing keep the old one', async () => {
          const { name, system } = await fresh(manner);
          system.lies = true;
          expect(await rotate(name, system, {})).toMatchObject({ ending: 'undone' });
          expectSettled(system, await look(provider, name));
        });

        test('that goes away in the middle wait to be resumed, or undone, without a lease', async () => {
          for (const intent of ['resume', 'rollback'] as const) {
            const { name, system } = await fresh(manner);
            let calls = 0;
            system.trouble = () => {
              calls += 1;
              if (calls > 1) down();
            };
            expect(await rotate(name, system, {})).toMatchObject({ ending: 'stuck' });
            expectNotLockedOut(system, await look(provider, name));
            system.trouble = () => {};
            expect(await rotate(name, system, { intent })).toMatchObject({
              ending: intent === 'resume' ? 'done' : 'undone',
            });
            expectSettled(system, await look(provider, name));
          }
        });

        test('whose answer to the change is lost go on when it was made', async () => {
          const { name, system } = await fresh(manner);
          const target = system.target();
          const lossy = {
            ...target,
            apply: async (...args: Parameters<typeof target.apply>): Promise<void> => {
              await target.apply(...args);
              throw new SecretsError('Unavailable', 'no answer in time; the change may have been made');
            },
          };
          expect(await rotate(name, system, { target: lossy })).toMatchObject({ ending: 'done' });
          expectSettled(system, await look(provider, name));
        });

        test('whose change arrives late never throw its value away', async () => {
          const { name, system } = await fresh(manner);
          const target = system.target();
          let late: () => Promise<void> = async () => {};
          const lossy = {
            ...target,
            apply: async (...args: Parameters<typeof target.apply>): Promise<void> => {
              late = () => target.apply(...args);
              throw new SecretsError('Unavailable', 'no answer in time; the change may have been made');
            },
          };
          expect(await rotate(name, system, { target: lossy })).toMatchObject({ ending: 'stuck' });
          // Nobody may undo it before the lease is over: the change is still on its way.
          expect(await rotate(name, system, { intent: 'rollback' })).toMatchObject({
            ending: 'held',
          });
          await late();
          expectNotLockedOut(system, await look(provider, name));
          expect(await rotate(name, system, { intent: 'rollback', takeOver: true })).toMatchObject({
            ending: 'undone',
          });
          expectSettled(system, await look(provider, name));
        });
      });

      describe('at the same time', () => {
        const manner = MANNERS[0] as Manner;

        test('one wins; the others say who holds it since when', async () => {
          const { name, system } = await fresh(manner);
          let release: () => void = () => {};
          const gate = new Promise<void>((resolve) => {
            release = resolve;
          });
          system.trouble = (call) => (call === 'apply' ? gate : undefined);
          // One is at the gate; the others end. A run that only looks after the gate is open is a second rotation.
          let ended = 0;
          let open: () => void = () => {};
          const othersEnded = new Promise<void>((resolve) => {
            open = resolve;
          });
          const runs = [1, 2, 3, 4].map(async () => {
            const outcome = await rotate(name, system, {});
            if ((ended += 1) === 3) open();
            return outcome;
          });
          await othersEnded;
          const late = await rotate(name, system, {});
          expect(late).toMatchObject({
            ending: 'held',
            holder: { host: expect.stringMatching(/^machine-\d+$/), user: 'tester', since: expect.any(Date) },
          });
          release();
          const endings = (await Promise.all(runs)).map((run) => (run === 'died' ? run : run.ending));
          expect(endings.toSorted()).toEqual(['done', 'held', 'held', 'held']);
          expect(system.changes).toBe(1);
          expectSettled(system, await look(provider, name));
        });

        test('one that begins and ends between another’s look and its claim wins, and the other changes nothing', async () => {
          const { name, system } = await fresh(manner);
          // Stops before the first write of a run: its claim, or its lock.
          let arrive: () => void = () => {};
          const arrived = new Promise<void>((resolve) => {
            arrive = resolve;
          });
          let release: () => void = () => {};
          const gate = new Promise<void>((resolve) => {
            release = resolve;
          });
          const slowly = <T extends Provider>(store: T): T =>
            new Proxy(store, {
              get: (object, key) => {
                const found: unknown = Reflect.get(object, key);
                if (typeof found !== 'function') return found;
                const method = found as (...args: unknown[]) => unknown;
                if (key !== 'put') return method.bind(object);
                return async (...args: unknown[]) => {
                  arrive();
                  await gate;
                  return method.apply(object, args);
                };
              },
            });
          const slow = rotateOn(slowly(provider), name, system, { lock: lock && slowly(lock) });
          await arrived;
          expect(await rotate(name, system, {})).toMatchObject({ ending: 'done' });
          const between = await look(provider, name);
          release();
          expect(await slow).toMatchObject({
            ending: 'unchanged',
            error: {
              kind: 'Conflict',
              message: `changed while this rotation began: version ${between.current?.id} is current now`,
            },
          });
          expect(system.changes).toBe(1);
          expect(await look(provider, name)).toEqual(between);
          expectSettled(system, between);
          // Nor is anything in the way of the next.
          expect(await rotate(name, system, {})).toMatchObject({
            ending: 'done',
            before: between.current?.id,
          });
        });

        test('a dead holder is taken over after its lease, never before, whatever the clocks say', async () => {
          const { name, system } = await fresh(manner);
          const leaseMs = 3000;
          const tomorrow = (): Date => new Date(Date.now() + 86_400_000);
          const death = new Death(Infinity, 'before');
          // It holds the claim when it is about to tell the system.
          system.trouble = (call) => (call === 'apply' ? death.now() : undefined);
          await rotate(name, system, { leaseMs, death });
          system.trouble = () => {};
          const started = performance.now();
          expect(await rotate(name, system, { intent: 'resume', leaseMs, now: tomorrow })).toMatchObject({
            ending: 'held',
          });
          const two = await Promise.all(
            [tomorrow, () => new Date()].map((now) =>
              rotate(name, system, { intent: 'resume', leaseMs, now, wait: true }),
            ),
          );
          expect(performance.now() - started).toBeGreaterThan(leaseMs);
          const endings = two.map((run) => (run === 'died' ? run : run.ending)).toSorted();
          // Who comes second finds it held, or done meanwhile.
          expect([
            ['done', 'done'],
            ['done', 'held'],
            ['done', 'nothing'],
          ]).toContainEqual(endings);
          expect(system.changes).toBe(1);
          expectSettled(system, await look(provider, name));
        });

        test('a holder that was only slow finds that it has lost, and changes nothing any more', async () => {
          for (const intent of ['resume', 'rollback'] as const) {
            const { name, system } = await fresh(manner);
            let release: () => void = () => {};
            const gate = new Promise<void>((resolve) => {
              release = resolve;
            });
            const asked = new Promise<void>((resolve) => {
              system.trouble = async (call) => {
                if (call !== 'verify') return;
                system.trouble = () => {};
                resolve();
                await gate;
              };
            });
            const slow = rotate(name, system, { leaseMs: 1000 });
            await asked;
            const other = await rotate(name, system, { intent, leaseMs: 1000, wait: true });
            expect(other).toMatchObject({ ending: intent === 'resume' ? 'done' : 'undone' });
            const settled = await look(provider, name);
            release();
            expect(await slow).toMatchObject({ ending: 'lost' });
            expect((await look(provider, name)).current?.value).toEqual(settled.current?.value);
            expectSettled(system, await look(provider, name));
          }
        });
      });

      test('back to the previous value', async () => {
        const { name, system } = await fresh(MANNERS[0] as Manner);
        await rotate(name, system, {});
        const between = await look(provider, name);
        expect(await rotate(name, system, { toPrevious: true })).toMatchObject({ ending: 'done' });
        const seen = await look(provider, name);
        expectSettled(system, seen);
        expect(seen.current?.fields?.['password']).toBe('first');
        expect(seen.previous?.value).toEqual(between.current?.value);
      });
    });
}
