/**
 * Files that unlock a store, as service managers and container runtimes mount them: owner, mode and links are the real
 * ones, and the reader is an ordinary user. The modes are those of systemd's credentials, Docker's secrets and
 * Kubernetes' volumes.
 */
import { chmodSync, chownSync, cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readUnlockFile } from '../../../src/platform/unlock-file.ts';
import { makePlace, type Outcome, type Place } from '../../e2e/program.ts';
import { makeStore } from './place.ts';
import { describeNeeding, ROOT_USER, testNeeding } from '../../needs.ts';

const UID = 12_345;
/** A group of the reader's that is not its first one, as `fsGroup` is. */
const FS_GROUP = 2_000;
const PASSPHRASE = 'correct horse battery staple';

let place: Place;
let mount: string;
beforeEach(async () => {
  place = await makePlace();
  mount = join(place.root, 'mount');
  mkdirSync(mount, { mode: 0o755 });
});
afterEach(() => place.remove());

const local = { SECRETS_LOCAL_KEY_METHOD: 'passphrase' };

function mountFile(name: string, uid: number, gid: number, mode: number): string {
  const path = join(mount, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `${PASSPHRASE}\n`);
  chownSync(path, uid, gid);
  chmodSync(path, mode);
  return path;
}

describe('what is handed over by a descriptor', () => {
  const get = (redirect: string, file: string): Promise<Outcome> =>
    place.sh(`SECRETS_PASSPHRASE_FILE=${file} secrets get a ${redirect}`);
  let template: Place;
  beforeAll(async () => {
    template = await makeStore({ a: 'one' }, { ...local, SECRETS_PASSPHRASE: PASSPHRASE });
  });
  beforeEach(() => cpSync(template.home, place.home, { recursive: true }));
  afterAll(() => template.remove());

  test.each([
    ['a pipe', "< <(printf '%s\\n' 'correct horse battery staple')", '/dev/stdin'],
    ['a pipe by number', "7< <(printf '%s\\n' 'correct horse battery staple')", '/dev/fd/7'],
    [
      'a pipe of a writer that is slow',
      "7< <(sleep 0.3; printf 'correct horse '; sleep 0.3; echo 'battery staple')",
      '/dev/fd/7',
    ],
    ['a here-document', "9<<< 'correct horse battery staple'", '/proc/self/fd/9'],
  ])('%s opens the store', async (_, redirect, file) => {
    expect(await get(redirect, file)).toEqual({ stdout: 'one', stderr: '', code: 0 });
  });

  test('process substitution, by the shell’s own name for it', async () => {
    const outcome = await place.sh(
      `read_it() { SECRETS_PASSPHRASE_FILE=$1 secrets get a; }; read_it <(echo '${PASSPHRASE}')`,
    );
    expect(outcome).toEqual({ stdout: 'one', stderr: '', code: 0 });
  });

  test('one that is closed, endless or empty is one clear line', async () => {
    expect((await get('', '/dev/fd/77')).stderr).toMatch(/^secrets: .*passphrase file is missing/);
    const endless = await get('7< /dev/zero', '/dev/fd/7');
    expect(endless).toMatchObject({ code: 2, stdout: '' });
    expect(endless.stderr).toMatch(/^secrets: .*the passphrase file is longer than 1048576 bytes[^\n]*\n$/);
    expect((await get('7< /dev/null', '/dev/fd/7')).code).toBe(4);
  });
});

/** What an ordinary user reads there; synchronous, so that nothing else runs as that user. */
function readAs(path: string): string | undefined {
  const groups = process.getgroups?.() ?? [];
  try {
    process.setgroups?.([FS_GROUP]);
    process.setegid?.(UID);
    process.seteuid?.(UID);
    return readUnlockFile(path, 'the passphrase file')?.toString();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
    process.setgroups?.(groups);
  }
}

describeNeeding(ROOT_USER)('an ordinary user reads what root mounted', () => {
  beforeEach(() => chmodSync(place.root, 0o755));
  const works = (file: string): void => expect(readAs(file)).toBe(`${PASSPHRASE}\n`);
  const refused = (file: string, message: RegExp): void => expect(() => readAs(file)).toThrow(message);

  test.each([
    ['Docker’s secrets', 0, 0, 0o444],
    ['Kubernetes’ volumes without defaultMode', 0, 0, 0o644],
    ['Kubernetes’ volumes with fsGroup', 0, FS_GROUP, 0o440],
    ['systemd’s credentials without ACLs', UID, UID, 0o400],
    ['a file that another user shares with a group', UID + 1, FS_GROUP, 0o440],
  ])('%s', (_, uid, gid, mode) => {
    works(mountFile('pass', uid, gid, mode));
  });

  test('systemd’s credentials with an ACL', async () => {
    const file = mountFile('pass', 0, 0, 0o400);
    const { code } = await place.sh(`command -v setfacl && setfacl -m u:${UID}:r ${file}`);
    // Without ACLs here, what stat(2) shows of one: the mask stands in the group's place.
    if (code !== 0) chmodSync(file, 0o444);
    works(file);
  });

  test.each([
    ['root’s, and writable to all', 0, 0, 0o666, /can be written by other users \(mode 666\)/],
    ['root’s, and writable to a group', 0, FS_GROUP, 0o460, /can be written by other users \(mode 460\)/],
    ['another user’s, and readable to all', UID + 1, UID + 1, 0o444, /belongs to another user/],
    ['another user’s, writable to a group', UID + 1, FS_GROUP, 0o660, /belongs to another user/],
    ['one’s own, and readable to a group', UID, FS_GROUP, 0o640, /is open to other users \(mode 640\)/],
    ['one’s own, and readable to all', UID, UID, 0o644, /is open to other users \(mode 644\)/],
  ])('not what is %s', (_, uid, gid, mode, message) => {
    refused(mountFile('pass', uid, gid, mode), message);
  });

  describe('Kubernetes’ links', () => {
    const volume = (uid: number, mode: number): string => {
      mountFile('..2026_11_29/pass', uid, FS_GROUP, 0o440);
      symlinkSync('..2026_11_29', join(mount, '..data'));
      symlinkSync('..data/pass', join(mount, 'pass'));
      chmodSync(mount, mode);
      return join(mount, 'pass');
    };

    test('are followed, as in a volume that anybody could write to', () => {
      works(volume(0, 0o1777));
    });

    test('also to the next version', () => {
      const file = volume(0, 0o755);
      works(file);
      mountFile('..2026_11_30/pass', 0, 0, 0o444);
      rmSync(join(mount, '..data'));
      symlinkSync('..2026_11_30', join(mount, '..data'));
      works(file);
    });

    test('not out of the volume, not where another user could have made them, and no others', () => {
      const elsewhere = mountFile('../elsewhere/pass', 0, 0, 0o444);
      symlinkSync(join(elsewhere, '..'), join(mount, '..data'));
      symlinkSync('..data/pass', join(mount, 'pass'));
      refused(join(mount, 'pass'), /symbolic link/);
      rmSync(join(mount, 'pass'));
      rmSync(join(mount, '..data'));
      const file = volume(0, 0o777);
      refused(file, /symbolic link/);
      chmodSync(mount, 0o755);
      works(file);
      symlinkSync('pass', join(mount, 'other'));
      refused(join(mount, 'other'), /symbolic link/);
    });
  });

  test('a folder is no file, and a named pipe does not hang', async () => {
    refused(mount, /is not a regular file/);
    await place.sh(`mkfifo -m 0444 ${mount}/pipe`);
    refused(join(mount, 'pipe'), /is not a regular file/);
    expect(readAs(join(mount, 'none'))).toBeUndefined();
  });

  test('and a store opens with it', async () => {
    for (const folder of [place.home, place.cwd, place.tmp]) chownSync(folder, UID, UID);
    chmodSync(join(place.root, 'bin'), 0o755);
    const outcome = await place.sh(
      `setpriv --reuid ${UID} --regid ${UID} --clear-groups bash -c 'printf one | secrets put a && secrets get a'`,
      { ...local, SECRETS_PASSPHRASE_FILE: mountFile('pass', 0, 0, 0o444) },
    );
    expect(outcome).toMatchObject({ stdout: expect.stringMatching(/one$/) as string, code: 0 });
  });
});

testNeeding(ROOT_USER)(
  'root reads what is mounted by itself, and no key file left open (needs root)',
  async () => {
    const file = mountFile('pass', 0, 0, 0o644);
    const env = { ...local, SECRETS_PASSPHRASE_FILE: file };
    expect((await place.sh('printf one | secrets put a', env)).stderr).toMatch(/is open to other users/);
    const mounted = await place.sh(
      `unshare -m sh -c 'mount --bind ${file} ${file} && printf one | secrets put a && secrets get a'`,
      env,
    );
    // A container may not be allowed to mount anything.
    if (/unshare|mount:/.test(mounted.stderr)) return;
    expect(mounted).toMatchObject({ stdout: expect.stringMatching(/one$/) as string, code: 0 });
  },
);
