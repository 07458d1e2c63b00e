/**
 * The built program, killed with SIGKILL between the things that it does to the world during a rotation: each write to
 * a store, a server or a file. Then a machine with none of the first one's files resumes, or rolls back.
 */
import { readFileSync } from 'node:fs';
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseJson } from '../../src/core/json.ts';
import type { Provider } from '../../src/providers/provider.ts';
import type { StoreSettings } from '../../src/core/trust.ts';
import { providers } from '../../src/providers/registry.ts';
import { bytes, contextFor, now } from '../contract/kit.ts';
import { makePlace, type Outcome, type Place } from '../e2e/program.ts';
import {
  CRASH_STORES,
  CRASH_TARGETS,
  type CrashStore,
  type CrashSystem,
  type CrashTarget,
} from './crash-worlds.ts';
import { momentsOf } from './kit.ts';
import { sampled, sized, startOf } from '../size.ts';

const KILLER = fileURLToPath(new URL('kill-at.cjs', import.meta.url));
const LONG = 1_200_000;
/**
 * Each test tries the first, the last and three in the middle, and every sixth between; each begins at another one, so that
 * together they try all; in a slow store half as many. A small run has half of the pairs, tries one point in the middle
 * and every twenty-fourth, and ends each pair's rotations in one of the two ways.
 */
const STRIDE = sized(24, 6, 1);
/** Every store takes it. */
const NAME = 'crash-db';

interface Events {
  readonly outcome: string;
  readonly events: readonly { readonly step: string; readonly outcome: string }[];
}

class Bench {
  readonly #store: string;
  readonly #lock: string | undefined;
  readonly #env: Readonly<Record<string, string>>;
  readonly #settings: StoreSettings;
  readonly system: CrashSystem;
  /** Where the `local` store lies for all machines, as a shared folder would. */
  readonly #shared: string;
  #first: Place | undefined;
  /** The store as the test itself reads and prepares it; it looks at what is there at each call. */
  #provider: Promise<Provider> | undefined;
  readonly #places: Place[] = [];

  constructor(
    { store, lock }: CrashStore,
    { env, settings = {} }: { env: Readonly<Record<string, string>>; settings?: StoreSettings },
    system: CrashSystem,
    shared: string,
  ) {
    this.#store = store;
    this.#lock = lock;
    this.#env = env;
    this.#settings = settings;
    this.system = system;
    this.#shared = shared;
  }

  get #policy(): string {
    return JSON.stringify({
      default: this.#store,
      rotation: {
        ...(this.#lock !== undefined && { lock: this.#lock }),
        [NAME]: { every: '30d', keys: ['password'], generate: 'alnum:24', target: this.system.target },
      },
    });
  }

  /** A machine that has the project's secrets.yaml and the store's key, and nothing else. */
  async machine(): Promise<Place> {
    const place = await makePlace();
    this.#places.push(place);
    await writeFile(join(place.cwd, 'secrets.yaml'), this.#policy);
    if (this.#store === 'local' || this.#lock === 'local') {
      const keys = '.config/secrets/keys';
      await mkdir(join(place.home, keys), { recursive: true, mode: 0o700 });
      for (const file of this.#first === undefined ? [] : await readdir(join(this.#first.home, keys)))
        await copyFile(join(this.#first?.home ?? '', keys, file), join(place.home, keys, file));
      for (const folder of ['.config', '.config/secrets', keys])
        await place.sh(`chmod 700 "$HOME/${folder}"; chmod 600 "$HOME/${keys}"/* 2>/dev/null || true`);
    }
    if (this.#first === undefined && this.#lock === 'local')
      await this.run(place, 'printf x | secrets put --quiet local://other');
    this.#first ??= place;
    return place;
  }

  run(place: Place, line: string, env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    return place.sh(line, {
      SECRETS_LOCAL_PATH: this.#shared,
      SECRETS_LOCAL_KEY_METHOD: 'key-file',
      ...this.#env,
      ...env,
    });
  }

  async #open(): Promise<Provider> {
    const descriptor = providers.find(({ kind }) => kind === this.#store);
    if (descriptor === undefined || this.#first === undefined) throw new Error('no store');
    const env = { ...this.#env, SECRETS_LOCAL_PATH: this.#shared, SECRETS_LOCAL_KEY_METHOD: 'key-file' };
    return (await descriptor.load()).open(this.#settings, contextFor(env, this.#first.home));
  }

  /** The secret and its system as at the beginning. */
  async reset(): Promise<void> {
    await this.system.reset();
    const provider = await (this.#provider ??= this.#open());
    await provider.purge?.(NAME, undefined, now()).catch(() => undefined);
    await provider.put(NAME, { value: bytes(JSON.stringify(this.system.secret)) }, now());
  }

  async rotate(place: Place, killAt: string): Promise<Outcome & { readonly points: number }> {
    const log = join(place.root, 'points');
    const outcome = await this.run(place, `secrets rotate ${NAME} --trust --json; exit $?`, {
      NODE_OPTIONS: `--require=${KILLER}`,
      KILL_AT: killAt,
      KILL_LOG: log,
    });
    return { ...outcome, points: killAt === '0 never' ? Number(readFileSync(log, 'utf8')) : 0 };
  }

  /** The password of each stage that there is. */
  async passwords(): Promise<Readonly<Record<'current' | 'pending' | 'previous', string | undefined>>> {
    const provider = await (this.#provider ??= this.#open());
    const [current, pending, previous] = await Promise.all(
      ['current', 'pending', 'previous'].map(async (stage) => {
        const [answer] = await provider.get([{ name: NAME, stage }], now());
        if (answer?.ok !== true) return undefined;
        return String((parseJson(answer.secret.value) as { password: string }).password);
      }),
    );
    return { current, pending, previous };
  }

  async remove(): Promise<void> {
    await (await this.#provider)?.close();
    for (const place of this.#places.splice(0)) await place.remove();
  }
}

/** Of so many points those that are tried. */
function pointsOf(count: number, from: number, slow = false): readonly number[] {
  const stride = slow && STRIDE > 1 ? STRIDE * 2 : STRIDE;
  const all = Array.from({ length: count }, (_, index) => index + 1);
  const parts = sized([1 / 2], [1 / 3, 1 / 2, 2 / 3]);
  const always = [1, ...parts.map((part) => Math.ceil(count * part)), count];
  return all.filter((point) => always.includes(point) || (point + from) % stride === 0);
}
let offset = startOf(STRIDE);

/** Each system is started once, for all stores. */
const systems = new Map<CrashTarget, Promise<CrashSystem>>();
function systemOf(target: CrashTarget): Promise<CrashSystem> {
  const started = systems.get(target) ?? target.start();
  systems.set(target, started);
  return started;
}
afterAll(async () => {
  for (const system of systems.values()) await (await system).stop();
});
const INTENTS = ['resume', 'rollback'] as const;

/** The ways in which the rotations of a pair are ended; of a small run those of one pair differ from the next one's. */
function intentsOf(pair: number): readonly (typeof INTENTS)[number][] {
  return INTENTS.filter((_, index) => (index + pair) % sized(2, 1) === startOf(2));
}

async function usablePairs(): Promise<
  readonly (readonly [string, string, CrashStore, CrashTarget, number])[]
> {
  const pairs: (readonly [string, string, CrashStore, CrashTarget, number])[] = [];
  for (const target of CRASH_TARGETS)
    if (await target.usable())
      for (const store of CRASH_STORES)
        if (store.targets?.includes(target.title) !== false)
          pairs.push([store.title, target.title, store, target, pairs.length]);
  return sampled(pairs, 2);
}

describe.each(await usablePairs())(
  'killed while rotating in %s, for %s',
  (_store, _target, store, target, pair) => {
    let bench: Bench | undefined;
    let stops: (() => Promise<void>)[] = [];
    beforeAll(async () => {
      const backend = await store.start();
      if (backend === undefined) return;
      const system = await systemOf(target);
      const shared = await makePlace();
      stops = [() => backend.stop(), () => shared.remove()];
      bench = new Bench(store, backend, system, join(shared.root, 'store'));
    });
    afterAll(async () => {
      await bench?.remove();
      for (const stop of stops) await stop();
    });

    test.each(intentsOf(pair))(
      'everywhere, another machine can %s it',
      async (intent) => {
        if (bench === undefined) {
          // .ci/run installs the servers; without one there is nothing to rotate in.
          expect(process.env['SECRETS_TEST_BACKENDS']).not.toBe('required');
          return;
        }
        const { system } = bench;
        const machine = await bench.machine();
        await bench.reset();
        const whole = await bench.rotate(machine, '0 never');
        expect([whole.code, whole.stderr]).toEqual([0, '']);
        expect(whole.points).toBeGreaterThan(5);
        const other = await bench.machine();
        const seen = new Set<string>();
        offset += 1;
        for (const [point, when] of momentsOf(pointsOf(whole.points, offset, store.slow))) {
          const where = `${point} ${when}`;
          await bench.reset();
          const killed = await bench.rotate(machine, where);
          // A rotation's number of steps may differ by one or two: it may have come to its end.
          expect([where, [0, 137].includes(killed.code)]).toEqual([where, true]);
          const dead = await bench.passwords();
          const known = [dead.current, dead.pending].filter((password) => password !== undefined);
          const working = await Promise.all(known.map((password) => system.accepts(password)));
          expect([where, working.includes(true)]).toEqual([where, true]);

          const ended = await bench.run(other, `secrets rotate ${intent} ${NAME} --take-over --trust --json`);
          expect([where, ended.code, ended.stderr]).toEqual([where, 0, '']);
          const { outcome, events } = JSON.parse(ended.stdout) as Events;
          seen.add(outcome);
          expect(events[0]).toMatchObject({ step: 'begin', outcome: intent });
          expect(events.at(-1)).toMatchObject({ step: 'end', outcome });

          const { current, pending, previous } = await bench.passwords();
          expect([where, pending]).toEqual([where, undefined]);
          expect([where, await system.accepts(current ?? '')]).toEqual([where, true]);
          if (outcome === 'undone') expect([where, current]).toEqual([where, 'first']);
          if (outcome === 'done') expect([where, previous]).toEqual([where, 'first']);
        }
        expect([...seen]).toEqual(
          expect.arrayContaining(['nothing', intent === 'resume' ? 'done' : 'undone']),
        );
        expect(dirname(machine.home)).not.toBe(dirname(other.home));
      },
      LONG,
    );
  },
);
