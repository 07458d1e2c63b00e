/** The local store in a git repository that two people change at the same time. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { makePlace, type Place } from '../../e2e/program.ts';
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
  const put = (who: 'ann' | 'bob', name: string, value: string): Promise<string> =>
    by(who, `printf '${value}' | secrets put --quiet ${name}`);
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
});
