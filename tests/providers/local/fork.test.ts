/** The local store in a git repository that two people change at the same time. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { makePlace, type Outcome, type Place } from '../../e2e/program.ts';
import { makeManifest, printManifest } from '../../../src/providers/local/manifest.ts';
import { open } from '../../../src/providers/local/index.ts';
import { contextFor, now } from '../../contract/kit.ts';
import { expectRefused } from './place.ts';

interface Version {
  readonly version: string;
  readonly stages: readonly string[];
  readonly note?: string;
}

describe('a store in two clones of a git repository', () => {
  let place: Place;
  const recipients: Record<string, string> = {};
  /** Runs lines of bash in one person's clone, as that person. */
  const by = async (who: 'ann' | 'bob', script: string, fails = false): Promise<string> => {
    const { code, stdout, stderr } = await place.sh(`umask 022; cd ~/${who} && ${script}`, {
      ...identityOf(who),
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_AUTHOR_NAME: who,
      GIT_AUTHOR_EMAIL: `${who}@example.com`,
      GIT_COMMITTER_NAME: who,
      GIT_COMMITTER_EMAIL: `${who}@example.com`,
      USER: who,
    });
    if (fails === (code === 0)) throw new Error(`${who}: ${script}: ${code} ${stdout} ${stderr}`);
    return fails ? stderr : stdout;
  };
  const identityOf = (who: string): Readonly<Record<string, string>> => ({
    SECRETS_LOCAL_PATH: `${place.home}/${who}/store`,
    SECRETS_AGE_IDENTITY: `${place.home}/${who}.txt`,
  });
  const put = async (who: 'ann' | 'bob', name: string, value: string): Promise<void> => {
    const settings = { key: { recipients: Object.values(recipients) } };
    const store = open(settings, contextFor({ ...identityOf(who), USER: who }, place.home));
    await store.put(name, { value: Buffer.from(value) }, now());
    await store.close();
  };
  const commit = (who: 'ann' | 'bob'): Promise<string> => by(who, 'git add -A && git commit -qm changes');
  const merge = (who: 'ann' | 'bob', other: string): Promise<string> =>
    by(who, `git pull -q --no-rebase --no-edit ../${other} main && git status --porcelain`);
  const history = async (who: 'ann' | 'bob', name: string): Promise<readonly Version[]> =>
    (JSON.parse(await by(who, `secrets history ${name} --json`)) as { versions: Version[] }).versions;

  beforeEach(async () => {
    place = await makePlace();
    for (const who of ['ann', 'bob']) {
      const identity = await generateIdentity();
      recipients[who] = await identityToRecipient(identity);
      writeFileSync(join(place.home, `${who}.txt`), `${identity}\n`, { mode: 0o600 });
    }
    mkdirSync(join(place.home, 'ann'));
    mkdirSync(join(place.home, '.config/secrets'), { recursive: true, mode: 0o700 });
    writeFileSync(
      join(place.home, '.config/secrets/secrets.yaml'),
      `stores:\n  local: { provider: local, key: { recipients: [${recipients['ann']}, ${recipients['bob']}] } }\n`,
    );
    await put('ann', 'app/db', 'one');
    await by('ann', 'git init -q -b main . && git add -A && git commit -qm store && git clone -q . ../bob');
  });
  afterEach(() => place.remove());

  test('keeps both sides’ versions, shows the fork, and the next put goes on top', async () => {
    await put('ann', 'app/db', 'by ann');
    await put('ann', 'ann/own', 'x');
    await put('bob', 'app/db', 'by bob');
    await put('bob', 'app/db', 'by bob, too');
    await put('bob', 'bob/own', 'y');
    await commit('ann');
    await commit('bob');
    expect(await merge('ann', 'bob')).toBe('');
    await merge('bob', 'ann');

    const versions = await history('ann', 'app/db');
    expect(versions.map(({ version }) => version.replace(/\..*/, ''))).toEqual(['3', '2', '2', '1']);
    const forks = versions.filter(({ version }) => version.startsWith('2.'));
    expect(forks.map(({ note }) => note)).toEqual(Array(2).fill('two branches wrote version 2'));
    // By number, then time: ann's was written first.
    const [later, earlier] = forks.map(({ version }) => version);
    expect(later).toMatch(/^2\.[0-9a-f]{8}$/);
    expect(await by('ann', `secrets get 'app/db?version=${earlier}'`)).toBe('by ann');
    expect(await by('ann', `secrets get 'app/db?version=${later}'`)).toBe('by bob');
    expect(await by('ann', 'secrets history app/db')).toContain('two branches wrote version 2');
    const ambiguous = await place.sh("secrets get 'app/db?version=2'", identityOf('ann'));
    expectRefused(ambiguous, 2, /version 2 was written on two branches/);
    expect(ambiguous.stderr).toContain(`name one of ${earlier}, ${later}`);

    expect(await by('ann', 'secrets get app/db')).toBe('by bob, too');
    await put('ann', 'app/db', 'on top');
    expect((await history('ann', 'app/db'))[0]).toMatchObject({ version: '4', stages: ['current'] });
    await commit('ann');
    await merge('bob', 'ann');
    expect(await by('bob', 'secrets get app/db')).toBe('on top');
    expect(await history('bob', 'app/db')).toEqual(await history('ann', 'app/db'));
    expect((await by('bob', 'secrets list | sort')).split('\n')).toEqual([
      'ann/own',
      'app/db',
      'bob/own',
      '',
    ]);
  });

  test('orders a fork by time whoever merges, and makes neither side’s value disappear', async () => {
    await put('bob', 'app/db', 'earlier');
    await put('ann', 'app/db', 'later');
    await commit('ann');
    await commit('bob');
    await merge('ann', 'bob');
    await merge('bob', 'ann');
    expect(await by('ann', 'secrets get app/db')).toBe('later');
    expect(await by('bob', 'secrets get app/db')).toBe('later');
    expect(await by('bob', "secrets get 'app/db?stage=previous'")).toBe('earlier');
    const current = (await history('bob', 'app/db'))[0] as Version;
    // A condition on the forked version works by its whole name, and not by the number alone.
    expect(await by('bob', 'printf z | secrets put app/db --if-version 2', true)).toMatch(
      /its current version is 2\./,
    );
    await by('bob', `printf z | secrets put --quiet app/db --if-version ${current.version}`);
    expect(await by('bob', 'secrets get app/db')).toBe('z');
  });

  test('a deletion on one branch outlives a version that is destroyed on the other', async () => {
    await put('ann', 'app/db', 'two');
    await by('ann', 'printf three | secrets put --quiet app/db --label team=ann');
    await by('ann', 'secrets restore --quiet app/db --version 2');
    await commit('ann');
    await merge('bob', 'ann');
    await by('ann', 'secrets delete app/db');
    await put('ann', 'late/label', 'x');
    await by('bob', 'secrets purge --yes app/db --version 1');
    await commit('ann');
    await commit('bob');
    expect(await merge('ann', 'bob')).toBe('');
    await by('ann', 'secrets get app/db', true);
    expect(await by('ann', 'secrets list')).toBe('late/label\n');
    await by('ann', 'secrets restore --quiet app/db');
    expect(await by('ann', 'secrets get app/db')).toBe('two');
    // Nor does it bring labels back that the other branch changed.
    await commit('ann');
    await merge('bob', 'ann');
    await by('ann', 'printf three | secrets put --quiet app/db --label team=new');
    await by('bob', 'secrets purge --yes app/db --version 3');
    await commit('ann');
    await commit('bob');
    await merge('ann', 'bob');
    expect(await by('ann', 'secrets list --long --json')).toContain('"team":"new"');
  });

  test('a purge does not merge with a new version: the history is damaged until it is purged again', async () => {
    await by('ann', 'secrets purge --yes app/db');
    await put('bob', 'app/db', 'late');
    await commit('ann');
    await commit('bob');
    expect(await merge('ann', 'bob')).toBe('');
    expect(await by('ann', 'secrets get app/db')).toBe('late');
    expect(await by('ann', 'secrets history app/db', true)).toMatch(/a file of its history is missing/);
    await by('ann', 'secrets purge --yes app/db');
    await put('ann', 'app/db', 'anew');
    expect((await history('ann', 'app/db')).map(({ version }) => version)).toEqual(['1']);
  });

  test('merges a renewal of the key with versions that were written under the old one', async () => {
    await by('ann', `secrets stores rekey --quiet --remove-recipient ${recipients['bob']}`);
    await put('ann', 'app/db', 'only for ann');
    await put('bob', 'app/db', 'by bob');
    await put('bob', 'bob/own', 'y');
    await commit('ann');
    await commit('bob');
    expect(await merge('ann', 'bob')).toBe('');
    expect((await history('ann', 'app/db')).length).toBe(3);
    expect(await by('ann', 'secrets get app/db')).toBe('by bob');
    expect(await by('ann', 'secrets get bob/own')).toBe('y');
    expect(await by('ann', 'secrets doctor local')).toMatch(/2 entries are sealed under an older key/);
    await by('ann', 'secrets stores rekey --quiet');
    expect(await by('ann', 'secrets doctor local')).not.toMatch(/older key/);
    await commit('ann');
    await merge('bob', 'ann');
    const refused = await place.sh('secrets get app/db', identityOf('bob'));
    expectRefused(refused, 4, /no identity in \$SECRETS_AGE_IDENTITY is a recipient of this store/);
  });

  describe('a renewal of the key on each branch', () => {
    const manifestOf = (who: string): string =>
      readdirSync(join(place.home, who, 'store'))
        .filter((file) => file.startsWith('manifest-'))
        .join();

    test('is merged by one that takes the keys of the other over, and nothing is lost', async () => {
      await put('ann', 'app/db', 'two');
      await put('ann', 'ann/gone', 'x');
      await commit('ann');
      await merge('bob', 'ann');
      for (const who of ['ann', 'bob'] as const) {
        await put(who, `${who}/before`, `of ${who}`);
        await by(who, 'secrets stores rekey --quiet');
        await put(who, `${who}/own`, `of ${who}`);
      }
      await put('bob', 'app/db', 'by bob');
      // One of a version's two files is removed, and the other is sealed anew.
      await by('ann', 'secrets purge --yes app/db --version 1; secrets purge --yes ann/gone');
      await commit('ann');
      await commit('bob');
      expect(manifestOf('ann')).toBe(manifestOf('bob'));

      // A merge as it comes leaves the manifest of one side whole, and a way to the other.
      await by('ann', 'git fetch -q ../bob main && git merge -q --no-commit FETCH_HEAD', true);
      expect(await by('ann', 'secrets get ann/own')).toBe('of ann');
      await by('ann', 'git merge --abort && git merge -q --no-commit -X ours FETCH_HEAD || true');
      expect(await by('ann', 'secrets get app/db', true)).toMatch(
        /sealed under a key that the store does not have/,
      );
      const theirs = `git show MERGE_HEAD:store/${manifestOf('bob')}`;
      await by('ann', `secrets stores rekey --merge <(${theirs})`);
      expect(manifestOf('ann')).toBe('manifest-0000000003.json');
      await commit('ann');
      for (const who of ['ann', 'bob'] as const) {
        expect(await by(who, 'secrets get app/db')).toBe('by bob');
        for (const whose of ['ann', 'bob'] as const)
          for (const name of ['before', 'own'])
            expect(await by(who, `secrets get ${whose}/${name}`)).toBe(`of ${whose}`);
        expect(await by(who, 'secrets get "app/db?version=2"')).toBe('two');
        expect(await by(who, 'secrets doctor local')).not.toMatch(/^ {2}(fail|warn) (entries|key)/m);
        if (who === 'ann') await merge('bob', 'ann');
      }
      // It can be repeated; there is nothing new then.
      await by(
        'bob',
        `secrets stores rekey --quiet --merge <(git show HEAD~1:store/manifest-0000000002.json)`,
      );
      expect(await by('bob', 'secrets get ann/own')).toBe('of ann');
    });

    test('and another number of times: the manifest of the other lies there, and is not removed unread', async () => {
      await by('ann', 'secrets stores rekey --quiet');
      await put('ann', 'app/db', 'by ann');
      await by('bob', 'secrets stores rekey --quiet && secrets stores rekey --quiet');
      await put('bob', 'bob/own', 'of bob');
      await commit('ann');
      await commit('bob');
      await by('ann', 'git fetch -q ../bob main && git merge -q --no-commit -X ours FETCH_HEAD; git add -A');
      expect(manifestOf('ann')).toBe('manifest-0000000002.json,manifest-0000000003.json');
      await by('ann', 'secrets get app/db', true);
      const refused = await by('ann', 'secrets stores rekey', true);
      expect(refused).toMatch(/another branch renewed the key, too: .*manifest-0000000002\.json/);
      const command = /secrets stores rekey --merge \S+/.exec(refused)?.[0] ?? '';
      await by('ann', command);
      expect(manifestOf('ann')).toBe('manifest-0000000004.json');
      expect(await by('ann', 'secrets get app/db')).toBe('by ann');
      expect(await by('ann', 'secrets get bob/own')).toBe('of bob');
    });

    test('keeps those recipients whom both branches have, and says who is left out', async () => {
      await by('ann', `secrets stores rekey --quiet --remove-recipient ${recipients['bob']}`);
      const cy = await identityToRecipient(await generateIdentity());
      await by('bob', `secrets stores rekey --quiet --add-recipient ${cy}`);
      await put('bob', 'bob/own', 'of bob');
      await commit('ann');
      await commit('bob');
      await by('ann', 'git fetch -q ../bob main && git merge -q --no-commit -X ours FETCH_HEAD; git add -A');
      const { stderr } = await place.sh(
        `cd ~/ann; git show MERGE_HEAD:store/${manifestOf('bob')} >~/theirs; secrets stores rekey --merge ~/theirs`,
        identityOf('ann'),
      );
      expect(stderr).toContain('these recipients were only in one branch, and are not kept');
      for (const recipient of [cy, recipients['bob'] ?? '']) expect(stderr).toContain(recipient);
      expect(await by('ann', 'secrets get bob/own')).toBe('of bob');
      const { key } = JSON.parse(readFileSync(join(place.home, 'ann/store', manifestOf('ann')), 'utf8')) as {
        key: { recipients: string[] };
      };
      expect(key.recipients).toEqual([recipients['ann']]);
    });

    test('takes over no manifest of another store, nor one that no reader of this store has made', async () => {
      const other = { ...identityOf('ann'), SECRETS_LOCAL_PATH: join(place.home, 'other') };
      await place.sh('printf x | secrets put --quiet x', other);
      const of = (folder: string): string => join(folder, 'manifest-0000000001.json');
      const rekey = (path: string): Promise<Outcome> =>
        place.sh(`secrets stores rekey --merge ${path}`, identityOf('ann'));
      expectRefused(await rekey(of(join(place.home, 'other'))), 2, /is the manifest of another store/);
      const { store } = JSON.parse(readFileSync(of(join(place.home, 'ann/store')), 'utf8')) as {
        store: string;
      };
      // Who may write to the repository knows the store's id and the recipients: enough for a manifest of their own.
      const forged = join(place.home, 'forged.json');
      const keys = {
        store,
        revision: 2,
        names: 'hidden' as const,
        currentId: 'f'.repeat(16),
        dataKeys: new Map([['f'.repeat(16), randomBytes(32)]]),
        nameKey: randomBytes(32),
      };
      const { ageEncrypt } = await import('../../../src/providers/local/age.ts');
      const to = [recipients['ann'] ?? ''];
      const wrapped = await ageEncrypt(keys.dataKeys.get(keys.currentId) as Buffer, to);
      const record = { id: keys.currentId, method: 'age' as const, wrapped, recipients: to };
      writeFileSync(forged, printManifest(makeManifest(keys, record)));
      expectRefused(await rekey(forged), 9, /has other keys than a branch of this store/);
      expectRefused(await rekey('/dev/null'), 9, /is not JSON/);
      expectRefused(await rekey(join(place.home, 'none')), 1, /cannot read the other manifest/);
      expect(manifestOf('ann')).toBe('manifest-0000000001.json');
      writeFileSync(
        of(join(place.home, 'ann/store')),
        '{\n<<<<<<< HEAD\n  "format": 1,\n=======\n  "format": 1\n>>>>>>> other\n',
      );
      const conflict = await place.sh('secrets get app/db', identityOf('ann'));
      expectRefused(conflict, 9, /contains a merge conflict/);
      expect(conflict.stderr).toContain('secrets stores rekey --merge');
    });
  });
});
