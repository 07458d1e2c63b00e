/** Two machines at once in stores without a conditional write: with a lock in another store, and by best effort. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accessesIn, logOf, shortOf } from '../audit/program.ts';
import { ACCOUNT, startConjur } from '../backends/conjur.ts';
import { describeWith } from '../backends/server.ts';
import { scenarioFiles as vaultFiles, startVault, type Vault } from '../backends/vault.ts';
import { makePlace, type Outcome, type Place } from '../e2e/program.ts';
import type { Provider } from '../../src/providers/provider.ts';
import {
  expectNotLockedOut,
  expectSettled,
  FakeSystem,
  look,
  type Manner,
  MANNERS,
  rotateOn,
} from './kit.ts';
import { sized } from '../size.ts';
import { LOCK_STORES, LOCKED, type Started, UNCONDITIONAL } from './stores.ts';

const TURNS = sized(4, 12);
const [PASSWORD] = MANNERS as readonly [Manner];
const ISSUED = MANNERS.at(-1) as Manner;
const now = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(120_000) });

let count = 0;
async function fresh(provider: Provider, manner = PASSWORD): Promise<{ name: string; system: FakeSystem }> {
  count += 1;
  const name = `locked-${process.pid}-${count}`;
  const value = Buffer.from(JSON.stringify({ username: 'app', password: 'first' }));
  await provider.put(name, { value }, now());
  return { name, system: new FakeSystem(manner, 'first') };
}

/**
 * Whoever comes to change the system waits there until all others have come as far or have ended: so many runs overlap,
 * on any machine.
 */
function meet(system: FakeSystem, count: number): (run: Promise<Ending>) => Promise<Ending> {
  let there = 0;
  let go: () => void = () => {};
  const all = new Promise<void>((resolve) => (go = resolve));
  const arrive = (): void => {
    there += 1;
    if (there === count) go();
  };
  system.trouble = async (call) => {
    if (call !== 'apply' && call !== 'issue') return;
    arrive();
    await all;
  };
  return async (run) => {
    const ending = await run;
    arrive();
    return ending;
  };
}
type Ending = Awaited<ReturnType<typeof rotateOn>>;

const endings = (all: readonly Awaited<ReturnType<typeof rotateOn>>[]): string[] =>
  all.map((one) => (one === 'died' ? one : one.ending)).toSorted();

for (const store of LOCKED)
  describeWith(`two machines at once in ${store.title}`, store.files, () => {
    let started: Started;
    beforeAll(async () => {
      started = await store.start();
    });
    afterAll(async () => {
      await started.provider.close();
      await started.stop();
    });

    test.each([PASSWORD, ISSUED])(
      'exactly one rotates, turn after turn, of a system that $title',
      async (manner) => {
        const { provider, lock } = started;
        const { name, system } = await fresh(provider, manner);
        for (let turn = 1; turn <= TURNS; turn += 1) {
          const before = await look(provider, name);
          system.accepts.clear();
          system.accepts.add(String(before.current?.fields?.['password']));
          const met = meet(system, 3);
          const runs = Array.from({ length: 3 }, () => met(rotateOn(provider, name, system, { lock })));
          const ends = endings(await Promise.all(runs));
          // Whoever did not win has found the winner's claim.
          expect([turn, ends]).toEqual([turn, ['done', 'held', 'held']]);
          const after = await look(provider, name);
          expectSettled(system, after);
          expect(after.previous?.fields?.['password']).toBe(before.current?.fields?.['password']);
          expect(after.current?.fields?.['password']).not.toBe(before.current?.fields?.['password']);
        }
      },
      300_000,
    );

    test('nobody else sees a lock, and none is left', async () => {
      const { provider, lock } = started;
      const { name, system } = await fresh(provider);
      expect(await rotateOn(provider, name, system, { lock })).toMatchObject({ ending: 'done' });
      const names: string[] = [];
      for await (const { name: listed } of lock?.list({}, now()) ?? []) names.push(listed);
      expect(names).toEqual([]);
    });
  });

for (const store of LOCK_STORES)
  describeWith(`locks of ${store.title}`, store.files, () => {
    let started: Started;
    beforeAll(async () => {
      started = await store.start();
    });
    afterAll(async () => {
      await started.provider.close();
      await started.stop();
    });

    test('are taken, released, and put aside after the lease when somebody died with nothing pending', async () => {
      const { provider, lock } = started;
      const { name, system } = await fresh(provider);
      expect(await rotateOn(provider, name, system, { lock })).toMatchObject({ ending: 'done' });
      // The lock is taken, and no value has become pending.
      const fails = new Proxy(provider, {
        get: (object, key) => {
          const found: unknown = Reflect.get(object, key);
          if (typeof found !== 'function') return found;
          if (key !== 'put') return (found as (...all: unknown[]) => unknown).bind(object);
          return () => new Promise(() => {});
        },
      });
      void rotateOn(fails, name, system, { lock, leaseMs: 2000 });
      const end = Date.now() + 120_000;
      let held = await rotateOn(provider, name, system, { lock, intent: 'resume' });
      while (held !== 'died' && held.ending !== 'held' && Date.now() < end)
        held = await rotateOn(provider, name, system, { lock, intent: 'resume' });
      expect(held).toMatchObject({
        ending: 'held',
        holder: { host: expect.stringMatching(/^machine-/), user: 'tester' },
      });
      expect(await rotateOn(provider, name, system, { lock })).toMatchObject({ ending: 'held' });
      expect(await rotateOn(provider, name, system, { lock, intent: 'resume', wait: true })).toMatchObject({
        ending: 'nothing',
      });
      expect(await rotateOn(provider, name, system, { lock })).toMatchObject({ ending: 'done' });
      expectSettled(system, await look(provider, name));
    });
  });

for (const store of UNCONDITIONAL)
  describeWith(`two machines at once in ${store.title}, without a lock`, store.files, () => {
    let started: Started;
    beforeAll(async () => {
      started = await store.start();
    });
    afterAll(async () => {
      await started.provider.close();
      await started.stop();
    });

    test('one at most wins, and a credential that works stays readable', async () => {
      const { provider } = started;
      for (let turn = 1; turn <= 4; turn += 1) {
        const { name, system } = await fresh(provider);
        const met = meet(system, 2);
        const meeting = system.trouble;
        system.trouble = async (call) => {
          expectNotLockedOut(system, await look(provider, name));
          await meeting(call);
        };
        const ends = endings(await Promise.all([1, 2].map(() => met(rotateOn(provider, name, system, {})))));
        const won = ends.filter((ending) => ending === 'done').length;
        expect([turn, won <= 1, ends.every((ending) => ['done', 'held', 'lost'].includes(ending))]).toEqual([
          turn,
          true,
          true,
        ]);
        expect(system.changes).toBe(won);
        if (won === 0)
          expect(await rotateOn(provider, name, system, { intent: 'resume', takeOver: true })).toMatchObject({
            ending: 'done',
          });
        expectSettled(system, await look(provider, name));
      }
    });
  });

describeWith('rotation.lock of a project', vaultFiles, () => {
  let vault: Vault;
  let conjur: Awaited<ReturnType<typeof startConjur>>;
  let places: Place[] = [];
  beforeAll(async () => {
    [vault, conjur] = [await startVault(), await startConjur()];
  });
  afterAll(async () => {
    await Promise.all([vault.stop(), conjur.stop()]);
  });
  afterEach(async () => {
    for (const place of places) await place.remove();
    places = [];
  });

  const machine = async (rotation: object): Promise<Place> => {
    const place = await makePlace();
    places.push(place);
    writeFileSync(join(place.cwd, 'secrets.yaml'), JSON.stringify({ rotation }));
    return place;
  };
  const sh = (place: Place, script: string, env = {}): Promise<Outcome> =>
    place.sh(script, {
      ...conjur.env(),
      VAULT_ADDR: vault.url,
      VAULT_TOKEN: vault.token,
      SECRETS_LOCAL_KEY_METHOD: 'key-file',
      ...env,
    });
  const killer = join(process.cwd(), 'tests/rotation/kill-at.cjs');
  /** Kills a rotation when its value is pending. */
  const leave = async (place: Place, name: string): Promise<void> => {
    await sh(place, `printf v | secrets put --quiet conjur://${name}`);
    const killed = await sh(place, `secrets rotate conjur://${name} --trust --quiet; exit $?`, {
      NODE_OPTIONS: `--require=${killer}`,
      KILL_AT: '1 after',
      KILL_TEXT: `POST /secrets/${ACCOUNT}/variable/${name}.secrets-pending`,
    });
    if (killed.code !== 137) throw new Error(`it was not killed: ${killed.stderr}`);
    expect((await sh(place, `secrets get 'conjur://${name}?stage=pending'`)).code).toBe(0);
  };

  test('is read by status, and lets another machine resume and roll back', async () => {
    const policy = {
      lock: 'vault',
      'conjur://lock-a': { every: '30d' },
      'conjur://lock-b': { every: '30d' },
    };
    const [first, other] = [await machine(policy), await machine(policy)];
    await leave(first, 'lock-a');
    await leave(first, 'lock-b');
    const status = await sh(other, 'secrets rotate status --trust --json');
    expect(JSON.parse(status.stdout)).toMatchObject({
      secrets: ['lock-a', 'lock-b'].map((name) => ({
        reference: `conjur://${name}`,
        state: 'rotating',
        holder: { host: expect.any(String), user: expect.any(String), rotation: expect.any(String) },
      })),
    });
    expect(await sh(other, 'secrets rotate conjur://lock-a --trust')).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/a rotation is under way: \S+@\S+ since/),
    });
    expect(await sh(other, 'secrets rotate resume conjur://lock-a --take-over --trust')).toMatchObject({
      code: 0,
    });
    expect(await sh(other, 'secrets rotate rollback conjur://lock-b --take-over --trust')).toMatchObject({
      code: 0,
    });
    expect((await sh(other, 'secrets get conjur://lock-a')).stdout).toMatch(/^\w{32}$/);
    expect((await sh(other, 'secrets get conjur://lock-b')).stdout).toBe('v');
    expect(JSON.parse((await sh(other, 'secrets rotate status --trust --json')).stdout)).toMatchObject({
      secrets: [{ reference: 'conjur://lock-b' }, { reference: 'conjur://lock-a', state: 'ok' }],
    });
    // Rotations are of the secret; what the lock took are accesses of its own store.
    const accesses = accessesIn(logOf(other));
    expect(accesses.filter(({ action }) => action === 'rotate').map(shortOf)).toEqual([
      'rotate conjur://lock-a failed Conflict',
      'rotate conjur://lock-a allowed',
      'rotate conjur://lock-b allowed',
    ]);
    expect(accesses.map(({ store, action }) => `${action} ${store}`)).toContain('purge vault');
    // The lock held no value, and is gone.
    await expect(vault.api('LIST', 'secret/metadata')).rejects.toThrow(/404/);
  }, 300_000);

  test('a lock store that can’t be reached is the end before the beginning (exit 6)', async () => {
    const place = await machine({ lock: 'vault', 'conjur://away': { every: '30d' } });
    await sh(place, 'printf v | secrets put --quiet conjur://away');
    const away = { VAULT_ADDR: 'http://127.0.0.1:9' };
    const outcome = await sh(place, 'secrets rotate conjur://away --trust --timeout 5s', away);
    expect(outcome).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/conjur:\/\/away: the lock’s store vault: /),
    });
    expect((await sh(place, 'secrets get conjur://away')).stdout).toBe('v');
    expect(await sh(place, `secrets get 'conjur://away?stage=pending'`)).toMatchObject({ code: 3 });
    expect((await sh(place, 'secrets rotate conjur://away --trust --dry-run', away)).code).toBe(6);
  });

  test('a store without conditional writes keeps no locks, and one that there isn’t neither', async () => {
    const place = await machine({ lock: 'conjur', 'conjur://no': { every: '30d' }, 'local://fine': {} });
    await sh(
      place,
      'printf v | secrets put --quiet conjur://no; printf v | secrets put --quiet local://fine',
    );
    expect(await sh(place, 'secrets rotate conjur://no --trust')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/rotation\.lock: the store conjur has no conditional write/),
    });
    // A store that can hold its own claims needs no lock.
    expect(await sh(place, 'secrets rotate local://fine --trust')).toMatchObject({ code: 0 });
    // Who reads this file has not said that the lock's store is to be believed.
    expect(await sh(place, 'secrets rotate conjur://without-policy --generate hex:8')).toMatchObject({
      code: 8,
      stderr: expect.stringMatching(/rotation\.lock/),
    });
    const lost = await machine({ 'conjur://no': { lock: 'nowhere' } });
    expect(await sh(lost, 'secrets rotate conjur://no --trust')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/no store named nowhere/),
    });
    rmSync(join(lost.cwd, 'secrets.yaml'));
  });
});
