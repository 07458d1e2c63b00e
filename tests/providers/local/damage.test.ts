/** Damaged files in the local store: an integrity error of the secret concerned, and all others read. */
import { copyFileSync, cpSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Outcome, Place } from '../../e2e/program.ts';
import { entriesOf, expectRefused, flip, makeStore, putInto, STORE } from './place.ts';

describe('a damaged local store', () => {
  let place: Place;
  let store: string;
  /** Entries by secret, in order. */
  const files: Record<string, string[]> = {};
  const get = (reference: string): Promise<Outcome> => place.sh(`secrets get '${reference}'`);

  beforeEach(async () => {
    place = await makeStore({});
    store = join(place.home, STORE);
    const known = new Set<string>();
    for (const [name, ...values] of [
      ['bad/one', 'old', 'newer', 'newest'],
      ['good/two', 'two'],
      ['good/three', 'three'],
    ] as const) {
      await putInto(
        place,
        values.map((value) => [name, value]),
      );
      files[name] = entriesOf(store).filter((file) => !known.has(file));
      for (const file of files[name]) known.add(file);
    }
  });
  afterEach(() => place.remove());

  const entry = (name: string, index: number): string => files[name]?.at(index) as string;
  const others = async (): Promise<void> => {
    expect((await get('good/two')).stdout).toBe('two');
    expect((await get('good/three')).stdout).toBe('three');
  };

  test.each<[string, () => void]>([
    ['cut in the middle', () => truncateSync(entry('bad/one', -1), 60)],
    ['cut to nothing', () => truncateSync(entry('bad/one', -1), 0)],
    ['edited', () => flip(entry('bad/one', -1), 70)],
    ['longer', () => writeFileSync(entry('bad/one', -1), 'x', { flag: 'a' })],
    ['another secret’s', () => copyFileSync(entry('good/two', -1), entry('bad/one', -1))],
    ['an older one of the same secret', () => copyFileSync(entry('bad/one', 0), entry('bad/one', -1))],
  ])('says that the newest file of a secret is %s, and reads all the rest', async (_title, harm) => {
    harm();
    expectRefused(await get('bad/one'), 9, /bad\/one.*was changed or damaged: .*\.sealed/);
    await others();
    expect((await get('bad/one?version=1')).stdout).toBe('old');
    expectRefused(await get('bad/one?version=3'), 9, /the history of bad\/one is damaged/);

    const list = await place.sh('secrets list');
    expect(list.stdout.trim().split('\n').toSorted()).toEqual(['good/three', 'good/two']);
    expect(list.stderr).toMatch(/damaged in the local store: bad\/one/);
    expect(list.code).toBe(9);
    const history = await place.sh('secrets history bad/one');
    expect(history.stderr).toMatch(/the history of bad\/one is damaged/);
    expect(history.code).toBe(9);
    const doctor = await place.sh('secrets doctor local');
    expect(`${doctor.stdout}${doctor.stderr}`).toMatch(/damaged: bad\/one/);
    expect(doctor.code).not.toBe(0);

    // The way out: a new version, or the file back.
    expect((await place.sh('printf mended | secrets put --quiet bad/one')).code).toBe(0);
    expect((await get('bad/one')).stdout).toBe('mended');
  });

  test('gives several secrets: the good ones are not held back by the bad one’s error', async () => {
    truncateSync(entry('bad/one', -1), 60);
    const { code, stderr } = await place.sh('secrets get --json good/two bad/one good/three');
    expect(stderr).toMatch(/bad\/one/);
    expect(stderr).not.toMatch(/good\//);
    expect(code).toBe(9);
  });

  test('names a secret by its folder when nothing of it can be read', async () => {
    flip(entry('good/two', 0), 50);
    expectRefused(await get('good/two'), 9, /good\/two/);
    expect((await place.sh('secrets list')).stderr).toContain(
      `(hidden name) ${basename(dirname(entry('good/two', 0)))}`,
    );
  });

  test('finds a file that is missing in the middle, or has another number', async () => {
    const kept = readFileSync(entry('bad/one', 1));
    rmSync(entry('bad/one', 1));
    expect((await get('bad/one')).stdout).toBe('newest');
    const history = await place.sh('secrets history bad/one');
    expect(history.stderr).toMatch(/a file of its history is missing/);
    expect(history.code).toBe(9);
    writeFileSync(entry('bad/one', 1), kept);
    expect((await place.sh('secrets history bad/one')).code).toBe(0);
    const moved = entry('bad/one', 0).replace('0000000001-', '0000000004-');
    renameSync(entry('bad/one', 0), moved);
    expectRefused(await get('bad/one'), 9, /was changed or damaged/);
  });

  test('does not take an older value for the current one when the newer one’s file is gone', async () => {
    // The newest entry, a restore, says nothing of what is current: that hangs on the entries before it.
    const before = new Set(entriesOf(store));
    await place.sh('secrets delete bad/one; secrets restore --quiet bad/one');
    const [deletion] = entriesOf(store).filter((file) => !before.has(file));
    expect((await get('bad/one')).stdout).toBe('newest');
    const newest = readFileSync(entry('bad/one', -1));
    rmSync(entry('bad/one', -1));
    expectRefused(await get('bad/one'), 9, /a file of its history is missing/);
    expectRefused(await get('bad/one?stage=previous'), 9, /the history of bad\/one is damaged/);
    writeFileSync(entry('bad/one', -1), newest);
    expect((await get('bad/one')).stdout).toBe('newest');
    // What was damaged after the newest readable value may have been a newer one.
    flip(deletion as string, 60);
    expectRefused(await get('bad/one'), 9, /was changed or damaged/);
    await others();
  });

  test('does not take another value for the current one when the one that the user went back to is damaged', async () => {
    const before = new Set(entriesOf(store));
    expect((await place.sh('secrets restore --quiet bad/one --version 2')).code).toBe(0);
    expect(entriesOf(store).filter((file) => !before.has(file)).length).toBe(1);
    expect((await get('bad/one')).stdout).toBe('newer');
    const second = readFileSync(entry('bad/one', 1));
    for (const harm of [() => flip(entry('bad/one', 1), 60), () => rmSync(entry('bad/one', 1))]) {
      harm();
      expectRefused(await get('bad/one'), 9, /the history of bad\/one is damaged/);
      expectRefused(await get('bad/one?stage=previous'), 9, /the history of bad\/one is damaged/);
      const history = await place.sh('secrets history bad/one --json');
      expect(history.stdout).not.toContain('"current"');
      expect(history.code).toBe(9);
      expect((await place.sh('secrets list')).stderr).toMatch(/damaged in the local store: bad\/one/);
      // Nor does what hangs on the current value go on without it.
      for (const command of [
        'printf x | secrets put bad/one --if-absent',
        'printf x | secrets put bad/one --if-version 3',
        'secrets purge --yes bad/one --version 1',
      ])
        expectRefused(await place.sh(command), 9, /the history of bad\/one is damaged/);
      expect((await get('bad/one?version=3')).stdout).toBe('newest');
      writeFileSync(entry('bad/one', 1), second);
      expect((await get('bad/one')).stdout).toBe('newer');
    }
    await others();
  });

  test('finds a file that is missing before a version that is destroyed', async () => {
    expect((await place.sh('secrets purge --yes bad/one --version 2')).code).toBe(0);
    expect((await place.sh('secrets history bad/one')).code).toBe(0);
    rmSync(entry('bad/one', 0));
    const history = await place.sh('secrets history bad/one');
    expect(history.stderr).toMatch(/a file of its history is missing/);
    expect(history.code).toBe(9);
  });

  test('takes no notice of what is not an entry, and of the damaged file of a destroyed version', async () => {
    for (const path of ['.DS_Store', 'secrets/.DS_Store', 'secrets/Notes', 'secrets/x~'])
      writeFileSync(join(store, path), 'x');
    const second = readFileSync(entry('bad/one', 1));
    await place.sh('secrets purge --yes bad/one --version 2');
    writeFileSync(entry('bad/one', 1), second.subarray(0, 50), { mode: 0o600 });
    expect(await place.sh('secrets history bad/one; secrets list; secrets doctor local')).toMatchObject({
      code: 0,
      stderr: '',
    });
  });

  test('refuses a secret’s folder under another name, and entries of another store', async () => {
    const folder = dirname(entry('good/two', 0));
    const target = dirname(entry('good/three', 0));
    rmSync(target, { recursive: true });
    cpSync(folder, target, { recursive: true });
    expectRefused(await get('good/three'), 9, /good\/three.*was changed or damaged/);
    expect((await get('good/two')).stdout).toBe('two');

    const other = await makeStore({ 'good/two': 'foreign' });
    copyFileSync(entriesOf(join(other.home, STORE))[0] as string, entry('good/two', 0));
    await other.remove();
    expectRefused(await get('good/two'), 9, /good\/two.*was changed or damaged/);
  });

  test.each([
    ['"names": "hidden"', '"names": "visible"'],
    ['"revision": 1', '"revision": 2'],
    ['"sealed": "', '"sealed": "AAAA'],
    ['{', ''],
  ])('refuses a manifest where %s became %s', async (from, to) => {
    const path = join(store, 'manifest-0000000001.json');
    const text = readFileSync(path, 'utf8');
    expect(text).toContain(from);
    writeFileSync(path, text.replace(from, to));
    expectRefused(
      await get('good/two'),
      9,
      /the local store’s manifest (was changed|is not JSON|has another revision)/,
    );
    writeFileSync(path, text);
    await others();
  });
});
