/** A renewal of the local store's key that is killed leaves nothing for ever: the next one removes what it left. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inSession, KEYCHAIN } from '../../backends/keychain.ts';
import { describeWith } from '../../backends/server.ts';
import { type Place, makePlace, ROOT } from '../../e2e/program.ts';
import { makeStore, STORE } from './place.ts';

const KILLER = `--require=${join(ROOT, 'tests/rotation/kill-at.cjs')}`;

let place: Place;
afterEach(() => place.remove());

const keysFolder = (): string => join(place.home, '.config/secrets/keys');

/** Store and id of the current key. */
function currentKey(): string {
  const files = readdirSync(join(place.home, STORE)).filter((file) => file.startsWith('manifest-'));
  expect(files.length).toBe(1);
  const { store, key } = JSON.parse(readFileSync(join(place.home, STORE, String(files[0])), 'utf8')) as {
    store: string;
    key: { id: string };
  };
  return `${store}-${key.id}`;
}

test('no key file, note or manifest, wherever it was killed', async () => {
  place = await makeStore({ a: 'one' });
  const log = join(place.root, 'kill-log');
  await place.sh('secrets stores rekey --quiet', { NODE_OPTIONS: KILLER, KILL_LOG: log });
  const moments = Number(readFileSync(log, 'utf8'));
  expect(moments).toBeGreaterThan(8);
  for (let moment = 1; moment <= moments; moment += 1) {
    const { code } = await place.sh('secrets stores rekey --quiet; exit $?', {
      NODE_OPTIONS: KILLER,
      KILL_AT: `${moment} before`,
    });
    expect(code).toBe(137);
    // The last thing is a note of the current key, which needs nobody to do anything.
    const { stdout } = await place.sh('secrets get a; secrets doctor local');
    expect(stdout).toMatch(/^one.*warn key renewal .* (a renewal of the key was cut off|an older key)/s);
    expect(await place.sh('secrets stores rekey --quiet')).toMatchObject({ code: 0, stderr: '' });
    expect(readdirSync(keysFolder())).toEqual([`${currentKey()}.key`]);
  }
  expect((await place.sh('secrets get a; secrets doctor local')).stdout).not.toContain('warn key renewal');
}, 120_000);

test('no temporary file beside a key file that the settings name', async () => {
  place = await makeStore(
    { a: 'one' },
    { SECRETS_LOCAL_KEY_METHOD: 'passphrase', SECRETS_PASSPHRASE: 'first' },
  );
  const env = { SECRETS_PASSPHRASE: 'first' };
  mkdirSync(join(place.home, '.config/secrets'), { recursive: true, mode: 0o700 });
  writeFileSync(
    join(place.home, '.config/secrets/secrets.yaml'),
    `stores:\n  local: { provider: local, key: { file: ${place.home}/keys/mine } }\n`,
  );
  const rekey = 'secrets stores rekey --quiet --method key-file';
  expect(
    (await place.sh(`${rekey}; exit $?`, { ...env, NODE_OPTIONS: KILLER, KILL_AT: '1 before' })).code,
  ).toBe(137);
  expect(readdirSync(join(place.home, 'keys'))).toEqual([expect.stringMatching(/^mine\.[0-9a-f]{16}\.tmp$/)]);
  expect(await place.sh(rekey, env)).toMatchObject({ code: 0, stderr: '' });
  expect(readdirSync(join(place.home, 'keys'))).toEqual(['mine']);
  expect(readdirSync(keysFolder())).toEqual([]);
  expect((await place.sh('secrets get a')).stdout).toBe('one');
});

test('nothing after a failure; a key that another copy of the store needs stays', async () => {
  place = await makeStore({ a: 'one' });
  const failing = await place.sh('secrets stores rekey --quiet --method age');
  expect(failing.code).toBe(2);
  expect(readdirSync(keysFolder())).toEqual([`${currentKey()}.key`]);
  // Another copy of the store, whose renewal is killed with its new key in place, keeps that key.
  await place.sh(`cp -a ~/${STORE} ~/copy`);
  const copy = { SECRETS_LOCAL_PATH: join(place.home, 'copy') };
  const killed = { ...copy, NODE_OPTIONS: KILLER, KILL_AT: '5 before' };
  expect((await place.sh('secrets stores rekey --quiet; exit $?', killed)).code).toBe(137);
  expect((await place.sh('secrets get a', copy)).stdout).toBe('one');
  await place.sh('secrets stores rekey --quiet');
  expect(await place.sh('secrets get a', copy)).toMatchObject({ code: 0, stdout: 'one' });
});

describeWith('in the key chain', KEYCHAIN, () => {
  test('no entry, whether the new key was in place or not', async () => {
    place = await makePlace();
    const count = `(cd '${ROOT}' && '${process.execPath}' -e 'console.log(require("@napi-rs/keyring").findCredentials("secrets").length)')`;
    const { stdout } = await inSession(
      place,
      `printf one | secrets put --quiet a; ${count}
       for at in 1 3; do
         NODE_OPTIONS=${KILLER} KILL_AT="$at before" secrets stores rekey --quiet 2>/dev/null; ${count}
         secrets stores rekey --quiet; ${count}
       done
       secrets get a`,
    );
    expect(stdout.split('\n')).toEqual(['1', '2', '1', '2', '1', 'one']);
    expect(readdirSync(keysFolder())).toEqual([]);
  });
});
