/** Renewal of the local store's key: who can read afterwards, and what happens at the same time. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { makePlace, type Outcome, type Place } from '../../e2e/program.ts';
import { sized } from '../../size.ts';
import { entriesOf, expectRefused, makeStore, STORE } from './place.ts';

let place: Place;
afterEach(() => place.remove());

const keyIdsOf = (store: string): Set<string> =>
  new Set(entriesOf(store).map((file) => readFileSync(file).subarray(4, 12).toString('hex')));

describe('secrets stores rekey', () => {
  test('seals every version anew under a new data key, and the old key file opens nothing', async () => {
    place = await makeStore({ 'a/b': 'one', c: 'three' });
    const store = join(place.home, STORE);
    const keys = join(place.home, '.config/secrets/keys');
    await place.sh(`printf two | secrets put a/b; secrets delete c; cp -r ${keys} ~/old-keys`);
    const [before] = [...keyIdsOf(store)];
    const outcome = await place.sh('secrets stores rekey --json');
    expect(outcome.stdout).toContain('"resealed": 4');
    const after = keyIdsOf(store);
    expect(after.size).toBe(1);
    expect(after.has(before ?? '')).toBe(false);
    expect(readdirSync(keys).length).toBe(1);
    const { stdout } = await place.sh(
      'secrets get a/b; secrets get "a/b?version=1"; secrets restore --quiet c; secrets get c',
    );
    expect(stdout).toBe('twoonethree');
    await place.sh(`rm ${keys}/*; cp ~/old-keys/* ${keys}`);
    expectRefused(await place.sh('secrets get a/b'), 4, /the key file of the local store is missing/);
  });

  test('changes the method, and a passphrase', async () => {
    place = await makeStore({ a: 'kept' });
    const env = { SECRETS_PASSPHRASE: 'first', SECRETS_NEW_PASSPHRASE: 'second' };
    await place.sh('secrets stores rekey --method passphrase', { SECRETS_PASSPHRASE: 'first' });
    expect((await place.sh('secrets get a', env)).stdout).toBe('kept');
    expect(readdirSync(join(place.home, '.config/secrets/keys'))).toEqual([]);
    await place.sh('secrets stores rekey', env);
    expectRefused(await place.sh('secrets get a', env), 4, /the passphrase is wrong/);
    expect((await place.sh('secrets get a', { SECRETS_PASSPHRASE: 'second' })).stdout).toBe('kept');
    expectRefused(await place.sh('secrets stores rekey', env), 4, /the passphrase is wrong/);
  });

  test('takes over the keys of a copy that was renewed under another passphrase', async () => {
    place = await makeStore({ a: 'one' });
    const copy = join(place.home, 'copy');
    await place.sh(`cp -a ~/${STORE} ${copy}`);
    const renew = (passphrase: string, folder: string): Promise<Outcome> =>
      place.sh('secrets stores rekey --quiet --method passphrase', {
        SECRETS_LOCAL_PATH: folder,
        SECRETS_PASSPHRASE: passphrase,
      });
    await place.sh('cp -a ~/.config/secrets/keys ~/kept');
    await renew('second', join(place.home, STORE));
    await place.sh('cp -a ~/kept/* ~/.config/secrets/keys');
    await renew('third', copy);
    await place.sh('printf two | secrets put --quiet b', {
      SECRETS_LOCAL_PATH: copy,
      SECRETS_PASSPHRASE: 'third',
    });
    await place.sh(`cp -an ${copy}/secrets ~/${STORE}`);
    const env = { SECRETS_PASSPHRASE: 'second' };
    expect((await place.sh('secrets get b', env)).code).toBe(9);
    const merge = `secrets stores rekey --quiet --merge ${copy}/manifest-0000000002.json`;
    expectRefused(await place.sh(merge, env), 4, /the passphrase is wrong/);
    expect((await place.sh(merge, { ...env, SECRETS_MERGE_PASSPHRASE: 'third' })).code).toBe(0);
    expect((await place.sh('secrets get a; secrets get b', env)).stdout).toBe('onetwo');
  });

  test('says when there is no store', async () => {
    place = await makePlace();
    expectRefused(await place.sh('secrets stores rekey'), 3, /no store in .* yet/);
  });

  test('loses nothing that is written and fails no read meanwhile', async () => {
    place = await makeStore({ shared: 'first', still: 'still' });
    const [writers, puts, rekeys] = sized([2, 4, 3], [3, 8, 6]) as [number, number, number];
    const count = writers * puts + 1;
    const { stdout, stderr } = await place.sh(
      `for w in $(seq ${writers}); do
         (for n in $(seq ${puts}); do printf "$w-$n" | secrets put --quiet shared || echo "put failed"; done) &
         writers="$writers $!"
       done
       (while [ ! -e stop ]; do
          [ "$(secrets get still)" = still ] || echo "get failed"
          secrets list >/dev/null || echo "list failed"
          secrets history shared >/dev/null || echo "history failed"
        done) & reader=$!
       for n in $(seq ${rekeys}); do secrets stores rekey --quiet || echo "rekey failed"; done
       wait $writers; touch stop; wait $reader
       secrets history shared --json | jq -r '.versions[].version' | sort -n | tr '\\n' ' '`,
    );
    expect(stderr).toBe('');
    expect(stdout).toBe(`${Array.from({ length: count }, (_, index) => index + 1).join(' ')} `);
    const { stdout: values } = await place.sh(
      `for n in $(seq ${count}); do secrets get "shared?version=$n" --newline; done | sort | uniq | wc -l`,
    );
    expect(values.trim()).toBe(String(count));
  });

  test('two at once: each does its work or says that another was faster', async () => {
    place = await makeStore({ a: 'kept' });
    const { stdout } = await place.sh(
      'for n in 1 2 3 4; do (secrets stores rekey --quiet 2>/dev/null; echo "$?") & done; wait',
    );
    const codes = stdout.trim().split('\n').toSorted();
    expect(codes).toContain('0');
    expect(codes.filter((code) => code !== '0' && code !== '5')).toEqual([]);
    const store = join(place.home, STORE);
    expect((await place.sh('secrets get a')).stdout).toBe('kept');
    expect(readdirSync(store).filter((file) => file.startsWith('manifest')).length).toBe(1);
    expect(readdirSync(join(place.home, '.config/secrets/keys')).length).toBe(1);
    expect((await place.sh('secrets doctor local')).code).toBe(0);
  });
});

describe('age recipients', () => {
  const recipients: Record<string, string> = {};
  const as = (who: string): Readonly<Record<string, string>> => ({
    SECRETS_AGE_IDENTITY: join(place.home, who),
  });
  const get = (who: string, name: string): Promise<Outcome> =>
    place.sh(`secrets get --trust ${name}`, as(who));

  beforeEach(async () => {
    place = await makePlace();
    for (const who of ['ann', 'bob', 'cy']) {
      const identity = await generateIdentity();
      recipients[who] = await identityToRecipient(identity);
      writeFileSync(join(place.home, who), `${identity}\n`, { mode: 0o600 });
    }
    writeFileSync(
      join(place.cwd, 'secrets.yaml'),
      `default: team\nstores:\n  team: { provider: local, path: team, key: { recipients: [${recipients['ann']}, ${recipients['bob']}] } }\n`,
    );
    await place.sh('printf one | secrets put --trust a', as('ann'));
  });

  test('are added and removed; one that was removed can’t read what is put afterwards', async () => {
    const add = `secrets stores rekey team --trust --add-recipient ${recipients['cy']} --remove-recipient ${recipients['bob']}`;
    expect((await get('bob', 'a')).stdout).toBe('one');
    cpSync(join(place.cwd, 'team'), join(place.root, 'kept-by-bob'), { recursive: true });
    expect((await place.sh(add, as('ann'))).code).toBe(0);
    await place.sh('printf two | secrets put --trust a', as('cy'));
    expect((await get('ann', 'a')).stdout).toBe('two');
    expect((await get('cy', 'a?version=1')).stdout).toBe('one');
    expectRefused(
      await get('bob', 'a'),
      4,
      /no identity in \$SECRETS_AGE_IDENTITY is a recipient of this store/,
    );
    // Not with the manifest that bob kept, either: its data key is no longer that of any entry.
    const team = join(place.cwd, 'team');
    rmSync(join(team, 'manifest-0000000002.json'));
    cpSync(join(place.root, 'kept-by-bob/manifest-0000000001.json'), join(team, 'manifest-0000000001.json'));
    for (const asked of ['a', 'a?version=1']) expect((await get('bob', asked)).code).toBe(9);
  });

  test('that would lock out the one who changes them are refused, and so is an unknown one', async () => {
    const rekey = (options: string, who = 'ann'): Promise<Outcome> =>
      place.sh(`secrets stores rekey team --trust ${options}`, as(who));
    const out = `--remove-recipient ${recipients['ann']}`;
    expectRefused(await rekey(out), 2, /none of your age identities would open the store after that/);
    expectRefused(
      await rekey(`--remove-recipient ${recipients['cy']}`),
      3,
      /is not a recipient of this store: age1/,
    );
    expectRefused(await rekey('--add-recipient age1nobody'), 2, /"age1nobody" is not an age recipient/);
    expectRefused(
      await rekey(`--add-recipient ${recipients['cy']}`, 'cy'),
      4,
      /no identity in \$SECRETS_AGE_IDENTITY is a recipient/,
    );
    expect((await rekey(out, 'bob')).code).toBe(0);
    expect((await get('bob', 'a')).stdout).toBe('one');
    expect((await get('ann', 'a')).code).toBe(4);
  });
});
