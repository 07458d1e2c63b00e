/** The four ways to keep a store's key, each through the program. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { makePlace, type Outcome, type Place } from '../../e2e/program.ts';
import { Terminal } from '../../e2e/terminal.ts';
import { KEYCHAIN, inSession as runInSession } from '../../backends/keychain.ts';
import { describeWith } from '../../backends/server.ts';
import { sized } from '../../size.ts';
import { expectRefused, STORE } from './place.ts';

let place: Place;
beforeEach(async () => {
  place = await makePlace();
});
afterEach(() => place.remove());

const manifest = (): { readonly key: { readonly method: string } } =>
  JSON.parse(readFileSync(join(place.home, STORE, 'manifest-0000000001.json'), 'utf8')) as never;
const keyFiles = (): string[] => readdirSync(join(place.home, '.config/secrets/keys'));

describe('a key file', () => {
  test('is made where no key chain is reachable, and the user is told once', async () => {
    const first = await place.sh('printf one | secrets put a');
    expect(first.stderr).toMatch(
      /^secrets: warning: made an encrypted store in .*; its key is in .* \(no key chain can be used here\): back both up\n$/,
    );
    expect((await place.sh(`stat -c %a ~/.config/secrets/keys/*`)).stdout).toBe('600\n');
    for (const command of ['printf two | secrets put a', 'printf b | secrets put b', 'secrets list'])
      expect((await place.sh(command)).stderr).toBe('');
    expect(await place.sh('secrets get a')).toEqual({ code: 0, stdout: 'two', stderr: '' });
  });

  test('is one, and told of once, when several processes make the store at once', async () => {
    const processes = sized(6, 12);
    const { stdout, stderr } = await place.sh(
      `for n in $(seq ${processes}); do (printf "v$n" | secrets put "s$n"; echo "code $?") & done; wait`,
    );
    expect(stdout).toBe('code 0\n'.repeat(processes));
    expect(stderr.match(/warning: made an encrypted store/g)?.length).toBe(1);
    expect(keyFiles().length).toBe(1);
    for (let number = 1; number <= processes; number += 1)
      expect((await place.sh(`secrets get s${number}`)).stdout).toBe(`v${number}`);
  });

  test('that the settings name is made, or used when it is there, and stays when the store changes keys', async () => {
    writeFileSync(
      join(place.cwd, 'secrets.yaml'),
      'stores:\n  one: { provider: local, path: one, key: { file: ~/own/k } }\n  two: { provider: local, path: two, key: { file: ~/own/k } }\n',
    );
    const { stdout, stderr } = await place.sh(
      `for store in one two; do
         for n in 1 2 3 4; do (printf "v$n" | secrets put --trust --quiet "$store://s$n") & done; wait
       done
       SECRETS_PASSPHRASE=p secrets stores rekey one --method passphrase --trust
       SECRETS_PASSPHRASE=p secrets get --trust one://s3; secrets get --trust two://s4; stat -c ' %a' ~/own/k; ls ~/own`,
    );
    expect(stderr).toBe('');
    expect(stdout).toBe('v3v4 600\nk\n');
    expectRefused(await place.sh('secrets stores rekey two --trust'), 2, /the settings name the key file/);
  });
});

describe('a passphrase', () => {
  const env = { SECRETS_LOCAL_KEY_METHOD: 'passphrase', SECRETS_PASSPHRASE: 'caf\u00e9 au lait' };
  const get = (passphrase: Readonly<Record<string, string>>): Promise<Outcome> =>
    place.sh('secrets get a', passphrase);

  test('opens the store, however the keyboard composed it, and a wrong one does not', async () => {
    expect((await place.sh('printf one | secrets put a', env)).stderr).toBe('');
    expect(manifest().key.method).toBe('passphrase');
    expect((await get({ SECRETS_PASSPHRASE: 'cafe\u0301 au lait' })).stdout).toBe('one');
    expectRefused(
      await get({ SECRETS_PASSPHRASE: 'tea' }),
      4,
      /the passphrase is wrong, or the store’s manifest was changed/,
    );
    expectRefused(await get({}), 4, /needs a passphrase and there is no terminal to ask at/);
    const put = await place.sh('printf two | secrets put a', { SECRETS_PASSPHRASE: 'tea' });
    expectRefused(put, 4, /the passphrase is wrong/);
    expect((await get(env)).stdout).toBe('one');
  });

  test('comes from a file that is the user’s alone', async () => {
    const file = join(place.home, 'passphrase');
    writeFileSync(file, 'from a file\n', { mode: 0o600 });
    const from = { SECRETS_LOCAL_KEY_METHOD: 'passphrase', SECRETS_PASSPHRASE_FILE: file };
    await place.sh('printf one | secrets put a', from);
    expect((await get(from)).stdout).toBe('one');
    expect((await get({ SECRETS_PASSPHRASE: 'from a file' })).stdout).toBe('one');
    await place.sh(`chmod 644 ${file}`);
    expectRefused(await get(from), 4, /\$SECRETS_PASSPHRASE_FILE is open to other users \(mode 644\)/);
    expectRefused(
      await get({ SECRETS_PASSPHRASE_FILE: '/nowhere' }),
      4,
      /the passphrase file is missing: \$SECRETS_PASSPHRASE_FILE/,
    );
  });

  test('that is empty makes no store', async () => {
    const file = join(place.home, 'empty');
    writeFileSync(file, '\n', { mode: 0o600 });
    const from = { SECRETS_LOCAL_KEY_METHOD: 'passphrase', SECRETS_PASSPHRASE_FILE: file };
    expectRefused(await place.sh('printf one | secrets put a', from), 2, /the passphrase is empty/);
    expect((await place.sh('secrets list')).stdout).toBe('');
  });

  test('is asked for at a terminal, twice for a new store, and never shown', async () => {
    const terminal = new Terminal(place, { SECRETS_LOCAL_KEY_METHOD: 'passphrase' });
    const answer = async (question: RegExp, text: string): Promise<void> => {
      await terminal.until(question);
      await terminal.untilAsked();
      terminal.type(text);
    };
    try {
      terminal.type('echo typed > v; secrets put a --from-file v; echo "code=$?"\n');
      await answer(/Passphrase of store local/, 'c4nary phrase\r');
      await answer(/The same passphrase again/, 'c4nary phrase\r');
      await terminal.until(/code=0/);
      terminal.type('secrets get a; echo "code=$?"\n');
      await answer(/Passphrase of store local/, 'c4nary phrase\r');
      expect(await terminal.until(/code=0/)).toContain('typed');
      terminal.type('secrets get a; echo "code=$?"\n');
      await answer(/Passphrase of store local/, 'c4nary mistake\r');
      expect(await terminal.until(/code=4/)).toContain('the passphrase is wrong');
      terminal.type('secrets stores rekey; echo "code=$?"\n');
      await answer(/Passphrase of store local/, 'c4nary phrase\r');
      await answer(/New passphrase/, 'c4nary other\r');
      await answer(/The same passphrase again/, 'c4nary other\r');
      await terminal.until(/code=0/);
      const env = { SECRETS_PASSPHRASE: 'c4nary other' };
      expect((await place.sh('secrets get a', env)).stdout).toBe('typed\n');
      expect(terminal.seen).not.toContain('c4nary');
    } finally {
      terminal.close();
    }
  });

  test('typed in two ways makes no store', async () => {
    const terminal = new Terminal(place, { SECRETS_LOCAL_KEY_METHOD: 'passphrase' });
    try {
      terminal.type('echo typed > v; secrets put a --from-file v; echo "code=$?"\n');
      for (const [question, text] of [
        [/Passphrase of store local/, 'one\r'],
        [/again/, 'other\r'],
      ] as const) {
        await terminal.until(question);
        await terminal.untilAsked();
        terminal.type(text);
      }
      expect(await terminal.until(/code=2/)).toContain('the two passphrases differ');
    } finally {
      terminal.close();
    }
    expect((await place.sh('secrets list')).stdout).toBe('');
  });
});

describe('age recipients', () => {
  const identity = async (file: string): Promise<string> => {
    const secret = await generateIdentity();
    writeFileSync(join(place.home, file), `# created for a test\n${secret}\n`, { mode: 0o600 });
    return identityToRecipient(secret);
  };
  const as = (file: string): Readonly<Record<string, string>> => ({
    SECRETS_AGE_IDENTITY: join(place.home, file),
  });

  test('each open the store, and nobody else does', async () => {
    const [ann, bob] = [await identity('ann'), await identity('bob')];
    await identity('eve');
    writeFileSync(
      join(place.cwd, 'secrets.yaml'),
      `default: team\nstores:\n  team: { provider: local, path: team, key: { recipients: [${ann}, ${bob}] } }\n`,
    );
    expect((await place.sh('printf one | secrets put a --trust', as('ann'))).stderr).toBe('');
    expect((await place.sh('secrets get a --trust', as('bob'))).stdout).toBe('one');
    expectRefused(
      await place.sh('secrets get a --trust', as('eve')),
      4,
      /no identity in \$SECRETS_AGE_IDENTITY is a recipient of this store; ask a recipient to run: secrets stores rekey/,
    );
    expectRefused(
      await place.sh('secrets get a --trust'),
      4,
      /no age identity to open the store: .*age\.txt/,
    );
    await place.sh('chmod 640 ~/bob');
    expectRefused(
      await place.sh('secrets get a --trust', as('bob')),
      4,
      /\$SECRETS_AGE_IDENTITY is open to other users/,
    );
    writeFileSync(join(place.home, 'bad'), 'AGE-SECRET-KEY-1C4NARY\n', { mode: 0o600 });
    const bad = await place.sh('secrets get a --trust --debug', as('bad'));
    expect(bad.stderr).toMatch(/has a line that is not an identity/);
    expect(bad.stderr).not.toContain('C4NARY');
  });

  test('that are none make no store', async () => {
    const env = { SECRETS_LOCAL_KEY_METHOD: 'age' };
    expectRefused(
      await place.sh('printf one | secrets put a', env),
      2,
      /the key method age needs at least one recipient/,
    );
    writeFileSync(
      join(place.cwd, 'secrets.yaml'),
      'default: team\nstores:\n  team: { provider: local, path: team, key: { recipients: [age1nonsense] } }\n',
    );
    expectRefused(
      await place.sh('printf one | secrets put a --trust'),
      2,
      /"age1nonsense" is not an age recipient/,
    );
    expect((await place.sh('secrets list --trust')).stdout).toBe('');
  });
});

describeWith('the key chain', KEYCHAIN, () => {
  const inSession = (script: string, unlocked?: 'unlocked' | 'no'): Promise<Outcome> =>
    runInSession(place, script, unlocked);

  test('holds the key when it is reachable, and no key file is made', async () => {
    const { stdout, stderr } = await inSession(
      'printf one | secrets put a; secrets get a; secrets doctor >/dev/null; echo " $?"',
    );
    expect(stderr.replace(/^dbus-daemon.*\n/gm, '')).toBe('');
    expect(stdout).toBe('one 0\n');
    expect(manifest().key.method).toBe('keychain');
    expect((await place.sh('ls ~/.config/secrets/keys')).code).not.toBe(0);
    // Another session of the same user opens it too; without a session there is no way in.
    expect((await inSession('secrets get a')).stdout).toBe('one');
    expectRefused(await place.sh('secrets get a'), 6, /the key chain of this system is not reachable/);
    expectRefused(
      await place.sh('printf two | secrets put a'),
      6,
      /the key chain of this system is not reachable/,
    );
  });

  test('that stays locked is not waited for: a key file is made, and the user is told', async () => {
    await inSession('printf one | secrets put a');
    await place.sh('rm -r ~/.local/share/secrets');
    const { stdout, stderr } = await inSession('printf two | secrets put a; secrets get a', 'no');
    expect(stdout).toBe('two');
    expect(stderr).toMatch(/its key is in .* \(no key chain can be used here\): back both up/);
    expect(manifest().key.method).toBe('key-file');
    // Asked for by name, it is an error.
    const asked = await inSession(
      'printf b | SECRETS_LOCAL_PATH=~/other SECRETS_LOCAL_KEY_METHOD=keychain secrets put b',
      'no',
    );
    expect(asked.stderr).toMatch(/the key chain of this system is not reachable; unlock it/);
    expect(asked.code).toBe(6);
  });

  test('that lost the key says so', async () => {
    await inSession('printf one | secrets put a');
    await place.sh('rm ~/.local/share/keyrings/*');
    const { stdout, stderr } = await inSession('secrets get a; echo "code $?"');
    expect(stderr).toMatch(/the key chain has no key for the local store/);
    expect(stdout).toBe('code 4\n');
  });

  test('gets a new entry by a renewal, and loses the old one', async () => {
    const { stdout } = await inSession(
      `printf one | secrets put a
       secrets stores rekey --quiet; secrets get a; echo " $?"
       secrets stores rekey --quiet --method key-file; secrets get a; echo " $?"`,
    );
    expect(stdout).toBe('one 0\none 0\n');
    expect((await place.sh('secrets get a')).stdout).toBe('one');
    expect(keyFiles().length).toBe(1);
    expect((await inSession('secrets stores rekey --quiet --method keychain')).code).toBe(0);
    expect(keyFiles()).toEqual([]);
    expect((await inSession('secrets get a')).stdout).toBe('one');
  });
});
