/** What keeps the local store from being read or written, each with its clear error and nothing half done. */
import { chmodSync, chownSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Outcome, Place } from '../../e2e/program.ts';
import { AS_ROOT, entriesOf, expectRefused, makeStore, STORE } from './place.ts';
import { mayMount, ROOT_USER, testNeeding } from '../../needs.ts';

const CAN_DROP = spawnSync('setpriv', ['--bounding-set=-all', '--inh-caps=-all', 'true']).status === 0;

describe('the local store refuses', () => {
  let place: Place;
  let store: string;
  let keys: string;
  let keyFile: string;
  const get = (): Promise<Outcome> => place.sh('secrets get app/db');
  const put = (): Promise<Outcome> => place.sh('printf new | secrets put app/db');
  beforeEach(async () => {
    place = await makeStore({ 'app/db': 'kept' });
    store = join(place.home, STORE);
    keys = join(place.home, '.config/secrets/keys');
    keyFile = join(keys, readdirSync(keys)[0] as string);
  });
  afterEach(() => place.remove());

  /** Moves something away and leaves a link to it in its place. */
  const replaceByLink = (path: string): void => {
    renameSync(path, `${path}-real`);
    symlinkSync(`${path}-real`, path);
  };

  test('a lost key file', async () => {
    rmSync(keyFile);
    for (const outcome of [await get(), await put()])
      expectRefused(outcome, 4, /the key file of the local store is missing: .*\.key.*\n?.*backup/);
    expect(readdirSync(keys)).toEqual([]);
  });

  test('a key file of another store, or what is none', async () => {
    const other = await makeStore({ x: 'y' });
    const folder = join(other.home, '.config/secrets/keys');
    renameSync(join(folder, readdirSync(folder)[0] as string), keyFile);
    await other.remove();
    expectRefused(await get(), 9, /the key file does not fit this store/);
    writeFileSync(keyFile, 'secrets-local-key-1:too short\n');
    expectRefused(await get(), 9, /the key file of the local store is invalid/);
  });

  test.each([
    ['a key file that the group can read', () => keyFile, 0o640, 'chmod 600'],
    ['a key file that others can read', () => keyFile, 0o604, 'chmod 600'],
    ['a folder that all can write', () => store, 0o777, 'chmod 700'],
    ['a folder that the group can read', () => store, 0o750, 'chmod 700'],
  ])('%s', async (_title, path, mode, command) => {
    chmodSync(path(), mode);
    for (const outcome of [await get(), await put()]) {
      expectRefused(outcome, 4, /is open to other users \(mode \d+\)/);
      expect(outcome.stderr).toContain(`${command} ${path()}`);
    }
    chmodSync(path(), path() === store ? 0o700 : 0o600);
    expect((await get()).stdout).toBe('kept');
  });

  testNeeding(ROOT_USER).each([
    ['a key file of another user', () => keyFile],
    ['a folder of another user', () => store],
    ['a folder of entries of another user', () => join(store, 'secrets')],
  ])('%s (needs root, to give it away)', async (_title, path) => {
    chownSync(path(), 65_534, 65_534);
    expectRefused(await put(), 4, /belongs to another user \(uid 65534\)/);
    chownSync(path(), 0, 0);
    expect((await get()).stdout).toBe('kept');
  });

  test.each([
    ['the store’s folder', () => store],
    ['the manifest', () => join(store, 'manifest-0000000001.json')],
    ['the folder of entries', () => join(store, 'secrets')],
    ['a secret’s folder', () => join(entriesOf(store)[0] as string, '..')],
    ['an entry', () => entriesOf(store)[0] as string],
    ['the key file', () => keyFile],
  ])('a link in the place of %s', async (_title, path) => {
    replaceByLink(path());
    for (const outcome of [await get(), await put()])
      expectRefused(
        outcome,
        4,
        /(is a symbolic link, and links are not followed|a symbolic link is not followed)/,
      );
  });

  test.each(['tmp', 'claims'])('to write or tidy up through a link in the place of %s', async (folder) => {
    const elsewhere = join(place.root, 'elsewhere');
    renameSync(join(store, folder), elsewhere);
    writeFileSync(join(elsewhere, 'precious'), 'x');
    await place.sh(`touch -d '1 day ago' ${elsewhere}/precious`);
    symlinkSync(elsewhere, join(store, folder));
    expectRefused(await put(), 4, /a symbolic link is not followed/);
    expect(readdirSync(elsewhere)).toEqual(['precious']);
    expect((await get()).stdout).toBe('kept');
  });

  test('a named pipe in the place of a file, without waiting for it', async () => {
    await place.sh(`rm ${keyFile} && mkfifo -m 600 ${keyFile}`);
    expectRefused(await get(), 2, /is not a regular file/);
  });

  test('entries without a manifest, and makes no new store over them', async () => {
    rmSync(join(store, 'manifest-0000000001.json'));
    for (const outcome of [await get(), await put(), await place.sh('secrets list')])
      expectRefused(outcome, 9, /has entries and no manifest/);
  });

  test('a manifest of a newer format', async () => {
    await place.sh(`sed -i 's/"format": 1/"format": 2/' ${store}/manifest-0000000001.json`);
    expectRefused(await get(), 2, /has format 2, this version reads 1.*/);
  });

  testNeeding(mayMount())(
    'to write on a read-only file system, and reads from it (needs root, to mount)',
    async () => {
      const outcome = await place.sh(`unshare -m bash -c '
        mount --bind ${store} ${store} && mount -o remount,bind,ro ${store} || exit 99
        secrets get app/db && echo && secrets list || exit 98
        printf new | secrets put app/db'`);
      expect(outcome.stdout).toBe('kept\napp/db\n');
      expect(outcome.stderr).toMatch(/the file system is read-only/);
      expect(outcome.code).toBe(4);
      expect((await get()).stdout).toBe('kept');
    },
  );

  test('to write in a folder without the right to, and reads from it', async () => {
    // Root is not stopped by modes until it lets go of its capabilities.
    if (AS_ROOT && !CAN_DROP) return expect(CAN_DROP).toBe(false);
    const as = AS_ROOT ? 'setpriv --bounding-set=-all --inh-caps=-all' : 'env';
    await place.sh(`chmod -R a-w ${store}`);
    expect((await place.sh(`${as} secrets get app/db`)).stdout).toBe('kept');
    expectRefused(await place.sh(`printf new | ${as} secrets put app/db`), 4, /permission denied: /);
    await place.sh(`chmod -R u+w ${store}`);
    expect((await put()).code).toBe(0);
  });

  testNeeding(mayMount())(
    'to write half of something on a full disk, and goes on when there is room (needs root, to mount)',
    async () => {
      const outcome = await place.sh(
        String.raw`unshare -m bash -c '
          mkdir -m 700 $HOME/small && mount -t tmpfs -o size=256k,mode=700 tmpfs $HOME/small || exit 99
          export SECRETS_LOCAL_PATH=$HOME/small/store
          printf first | secrets put --quiet full/a || exit 98
          head -c 20000 /dev/zero | secrets put full/big; echo "fits: $?"
          find $SECRETS_LOCAL_PATH -type f | sort > before
          for size in 300000 200000; do
            head -c $size /dev/zero | secrets put full/a; echo "too big: $?"
          done
          cat /dev/zero > $HOME/small/filler
          printf second | secrets put full/a; echo "old secret: $?"
          printf third | secrets put full/c; echo "new secret: $?"
          find $SECRETS_LOCAL_PATH -type f | sort | diff before - && echo unchanged
          secrets get full/a; echo; secrets list | sort
          rm $HOME/small/filler
          printf fourth | secrets put full/c; echo "with room: $?"
          secrets get full/c; echo; secrets history full/a --json | jq ".versions | length"'`,
      );
      expect(outcome.stdout.split('\n')).toEqual([
        ...['fits: 0', 'too big: 1', 'too big: 1', 'old secret: 1', 'new secret: 1', 'unchanged'],
        ...['first', 'full/a', 'full/big', 'with room: 0', 'fourth', '1', ''],
      ]);
      expect(outcome.stderr.match(/the disk is full: /g)?.length).toBe(4);
      expect(outcome.stderr).toContain('nothing was changed; make room and repeat');
    },
    300_000,
  );

  testNeeding(mayMount())(
    'to make a store on a full disk, and leaves none (needs root, to mount)',
    async () => {
      const { stdout, stderr } = await place.sh(
        String.raw`unshare -m bash -c '
          mkdir -m 700 $HOME/small && mount -t tmpfs -o size=64k,mode=700 tmpfs $HOME/small || exit 99
          export SECRETS_LOCAL_PATH=$HOME/small/store
          cat /dev/zero > $HOME/small/filler
          printf x | secrets put a; echo "full: $?"
          find $HOME/small -name "manifest*" | wc -l; ls $HOME/.config/secrets/keys | wc -l
          rm $HOME/small/filler
          printf x | secrets put --quiet a; secrets get a'`,
        { SECRETS_LOCAL_KEY_METHOD: 'key-file' },
      );
      expect(stderr).toMatch(/the disk is full/);
      expect(stdout.split('\n')).toEqual(['full: 1', '0', '1', 'x']);
    },
    300_000,
  );
});
