/** The local store after `kill -9` before each single system call that changes its files: strace sends the signal. */
import { join } from 'node:path';
import { readdirSync, readFileSync } from 'node:fs';
import { type Place, makePlace } from '../../e2e/program.ts';
import { describeWith } from '../../backends/server.ts';
import { contextFor, readOne } from '../../contract/suite.ts';
import { open } from '../../../src/providers/local/index.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import type { VersionInfo } from '../../../src/core/secret.ts';
import { sized } from '../../size.ts';
import { makeStore, STORE } from './place.ts';

const CALLS = ['mkdir', 'openat', 'write', 'fsync', 'link', 'rename', 'unlink'];
/** Opening and writing is also what Node.js does to start: only some of those calls are the store's. */
const STEP: Readonly<Record<string, number>> = { openat: 3, write: 2 };
/** A small run tries every so many of these moments, and begins each kind at another one. */
const EVERY = sized(6, 1);
const soon = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(120_000) });
const KEY_FILE = { SECRETS_LOCAL_KEY_METHOD: 'key-file' };

/** Runs a command again and again, killed before one call more each time, until it comes to its end for each call. */
async function killEverywhere(
  place: () => Place | Promise<Place>,
  command: string,
  after: (place: Place, acknowledged: boolean) => Promise<void>,
): Promise<number> {
  let kills = 0;
  for (const [index, call] of CALLS.entries()) {
    const step = (STEP[call] ?? 1) * EVERY;
    for (let when = 1 + (index % EVERY); ; when += step) {
      const here = await place();
      const { stdout, stderr } = await here.sh(
        `printf killed | strace -f -o /dev/null -e trace=${call} -e inject=${call}:signal=KILL:when=${when} secrets ${command}; echo "code $?"`,
        KEY_FILE,
      );
      const code = /code (\d+)\n$/.exec(stdout)?.[1];
      if (code !== '0' && code !== '137') throw new Error(`${call} ${when}: ${stdout}${stderr}`);
      await after(here, code === '0');
      if (code === '0') break;
      kills += 1;
    }
  }
  return kills;
}

const storeOf = (place: Place): Provider => open({}, contextFor({}, place.home));

async function valuesOf(store: Provider, name: string): Promise<string[]> {
  const versions: VersionInfo[] = [];
  for await (const version of store.history?.(name, soon()) ?? []) versions.unshift(version);
  expect(versions.map(({ id }) => id)).toEqual(versions.map((_, index) => String(index + 1)));
  const values: string[] = [];
  for (const { id } of versions)
    values.push(Buffer.from((await readOne(store, { name, version: id })).value).toString());
  return values;
}

describeWith('killed anywhere', ['/usr/bin/strace'], () => {
  let place: Place;
  afterEach(() => place.remove());

  test('a put leaves a store that reads, holds what was acknowledged, and takes the next put', async () => {
    place = await makeStore({ 'app/db': 'first' });
    const acknowledged = ['first'];
    let rounds = 0;
    const kills = await killEverywhere(
      () => place,
      'put --quiet app/db',
      async (_, done) => {
        if (done) acknowledged.push('killed');
        const store = storeOf(place);
        const next = `after ${(rounds += 1)}`;
        await readOne(store, { name: 'app/db' });
        await store.put('app/db', { value: Buffer.from(next) }, soon());
        acknowledged.push(next);
        const values = await valuesOf(store, 'app/db');
        expect(values.at(-1)).toBe(next);
        // A put that was killed took place or did not; nothing else is there.
        const certain = values.filter((value) => value !== 'killed');
        expect(certain).toEqual(acknowledged.filter((value) => value !== 'killed'));
        expect(readdirSync(join(place.home, STORE, 'claims'))).toEqual([]);
      },
    );
    expect(kills).toBeGreaterThan(15 / EVERY);
  }, 300_000);

  test('the first put leaves no store or a whole one, and the next put works', async () => {
    const places: Place[] = [];
    const fresh = async (): Promise<Place> => {
      places.push(await makePlace());
      return places.at(-1) as Place;
    };
    place = await fresh();
    try {
      const kills = await killEverywhere(fresh, 'put --quiet app/db', async (here) => {
        const store = storeOf(here);
        const [before] = await store.get([{ name: 'app/db' }], soon());
        if (before?.ok === false) expect(before.error.kind).toBe('NotFound');
        const again = open({}, contextFor(KEY_FILE, here.home));
        await again.put('app/db', { value: Buffer.from('second') }, soon());
        const value = Buffer.from((await readOne(storeOf(here), { name: 'app/db' })).value).toString();
        expect(value).toBe('second');
      });
      expect(kills).toBeGreaterThan(20 / EVERY);
    } finally {
      for (const one of places) if (one !== place) await one.remove();
    }
  }, 300_000);

  test('a renewal of the key leaves a store that reads and takes writes, and can be repeated', async () => {
    place = await makeStore({ a: 'a1', b: 'b1' });
    await place.sh('printf a2 | secrets put a; mkdir ~/template; cp -a ~/.local ~/.config ~/template');
    // Each time the same store: one that grew would have more calls every time.
    const again = async (): Promise<Place> => {
      await place.sh('rm -rf ~/.local ~/.config; cp -a ~/template/. ~');
      return place;
    };
    const kills = await killEverywhere(again, 'stores rekey --quiet', async () => {
      await storeOf(place).put('b', { value: Buffer.from('b2') }, soon());
      for (let turn = 0; turn < 2; turn += 1) {
        expect(await valuesOf(storeOf(place), 'a')).toEqual(['a1', 'a2']);
        expect(await valuesOf(storeOf(place), 'b')).toEqual(['b1', 'b2']);
        // Repeated, it does what was left, and leaves one manifest and no entry under an old key.
        await storeOf(place).rekey?.({}, soon());
      }
      const findings = await storeOf(place).diagnose(soon());
      expect(findings.map(({ check, status }) => `${check} ${status}`)).toEqual([
        'folder ok',
        'key ok',
        'entries ok',
      ]);
      const manifests = readdirSync(join(place.home, STORE)).filter((file) => file.startsWith('manifest'));
      expect(manifests.length).toBe(1);
      expect(manifests[0]).toMatch(/000000000[34]\.json$/);
      // Nothing is left of a key that opens nothing, or opens old copies.
      const { store, key } = JSON.parse(
        readFileSync(join(place.home, STORE, String(manifests[0])), 'utf8'),
      ) as {
        store: string;
        key: { id: string };
      };
      expect(readdirSync(join(place.home, '.config/secrets/keys'))).toEqual([`${store}-${key.id}.key`]);
    });
    expect(kills).toBeGreaterThan(20 / EVERY);
  }, 300_000);
});
