import { existsSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { spawn as spawnAtTerminal } from '@lydell/node-pty';
import { makePlace, type Place } from '../e2e/program.ts';
import { ORDINARY_USER, testNeeding } from '../needs.ts';

let place: Place;
let file: string;
beforeEach(async () => {
  place = await makePlace();
  file = join(place.cwd, 'secrets.yaml');
});
afterEach(() => place.remove());

const VALUES = ['hunter2-database', 'canary-token', 'canary-secret-key'];
const ENV = {
  VAULT_ADDR: 'https://vault.example.com:8200',
  VAULT_TOKEN: 'canary-token',
  AWS_ACCESS_KEY_ID: 'canary-id',
  AWS_SECRET_ACCESS_KEY: 'canary-secret-key',
  AWS_REGION: 'eu-west-1',
};

test('with nothing to find it is the local store, and works at once', async () => {
  expect(await place.sh('secrets init')).toEqual({ stdout: '', stderr: '', code: 0 });
  expect(await readFile(file, 'utf8')).toMatch(
    /^# .*\ndefault: local\n\n# .*\nenv:\n# {2}DATABASE_URL: local:\/\/cwd-env#DATABASE_URL\n$/,
  );
  expect((await lstat(file)).mode & 0o777).toBe(0o644);
  expect(await place.sh('secrets exec --allow-empty -- true')).toEqual({
    stdout: '',
    stderr: '',
    code: 0,
  });
  expect(await readdir(place.cwd)).toEqual(['secrets.yaml']);
});

test('writes down what it finds, and no value of it', async () => {
  await writeFile(
    join(place.cwd, '.env'),
    'DATABASE_URL=postgres://app:hunter2-database@db/x\nexport API_KEY="canary-token"\nPORT=8080\n',
  );
  await writeFile(
    join(place.cwd, '.env.production'),
    'API_KEY=x\nSESSION_KEY=canary-secret-key\nNODE_OPTIONS=-r x\n',
  );
  await writeFile(join(place.cwd, '.env.bak'), 'OLD=x\n');
  expect(await place.sh('secrets init', ENV)).toMatchObject({ stderr: '', code: 0 });
  const text = await readFile(file, 'utf8');
  for (const value of VALUES) expect(text).not.toContain(value);
  expect(text).toContain(
    'stores:\n  aws:\n    provider: aws\n    region: eu-west-1\n  vault:\n    provider: vault\n    address: https://vault.example.com:8200\n',
  );
  expect(text).toContain(
    'env:\n  DATABASE_URL: local://cwd-env#DATABASE_URL\n  API_KEY: local://cwd-env#API_KEY\n  SESSION_KEY: local://cwd-env#SESSION_KEY\n',
  );
  expect(text).toMatch(/^# {2}PORT: ''/m);
  expect(text).toContain('# NODE_OPTIONS changes what programs run: left out');
  expect(text).not.toContain('OLD');
  // The next steps that the file speaks of work as they are.
  expect(
    (
      await place.sh(
        'for k in DATABASE_URL API_KEY SESSION_KEY; do printf $k | secrets put --quiet "local://cwd-env#$k"; done',
      )
    ).code,
  ).toBe(0);
  expect((await place.sh('secrets env --format json', ENV)).stdout).toContain('"SESSION_KEY": "SESSION_KEY"');
});

test('trusts the addresses that it took from the user’s own environment', async () => {
  await place.sh('secrets init', ENV);
  expect((await place.sh('secrets stores --json')).stdout).not.toContain('untrusted');
  await writeFile(file, (await readFile(file, 'utf8')).replace('8200', '8201'));
  expect((await place.sh('secrets stores --json')).stdout).toContain('untrusted');
});

test('the default is --store, or the one kind of store that is found, or local', async () => {
  const chosen = async (line: string, env: Readonly<Record<string, string>> = {}): Promise<string> =>
    (await place.sh(`secrets init --dry-run --json ${line} | jq -r .default`, env)).stdout.trim();
  expect(await chosen('')).toBe('local');
  expect(await chosen('', { VAULT_ADDR: ENV.VAULT_ADDR })).toBe('vault');
  expect(await chosen('', ENV)).toBe('local');
  expect(await chosen('--store aws', ENV)).toBe('aws');
  expect(await place.sh('secrets init --store valt')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('did you mean vault?') as string,
  });
});

test('--dry-run prints the file and writes nothing', async () => {
  const { stdout, code } = await place.sh('secrets init --dry-run', ENV);
  expect(code).toBe(0);
  expect(await readdir(place.cwd)).toEqual([]);
  expect(existsSync(join(place.home, '.local'))).toBe(false);
  await place.sh('secrets init', ENV);
  expect(await readFile(file, 'utf8')).toBe(stdout);
});

test.each([
  ['a file', () => writeFile(file, 'mine\n')],
  ['a folder', () => mkdir(file)],
  ['a link to nothing', () => symlink('elsewhere.yaml', file)],
])('never overwrites %s', async (_, make) => {
  await make();
  const before = (await lstat(file)).mtimeMs;
  for (const line of ['secrets init', 'secrets init --yes', 'secrets init --dry-run'])
    expect(await place.sh(line)).toMatchObject({
      code: 5,
      stdout: '',
      stderr: expect.stringContaining('already exists') as string,
    });
  expect((await lstat(file)).mtimeMs).toBe(before);
  expect(await readdir(place.cwd)).toEqual(['secrets.yaml']);
});

test('of many at once one writes, the others are refused', async () => {
  const { stdout } = await place.sh(
    'for i in 1 2 3 4 5 6; do (secrets init 2>/dev/null; echo $?) & done; wait',
  );
  expect(stdout.trim().split('\n').toSorted()).toEqual(['0', '5', '5', '5', '5', '5']);
  expect(await readdir(place.cwd)).toEqual(['secrets.yaml']);
});

test('says that a file above no longer counts here', async () => {
  await writeFile(file, 'env: {}\n');
  const { stderr, code } = await place.sh('mkdir below; cd below; secrets init');
  expect({ stderr, code }).toEqual({
    stderr: `secrets: warning: below this folder the new file counts, not ${file}\n`,
    code: 0,
  });
});

test('finds each kind of store by its own signs, and any other by its credential variables', async () => {
  const found = async (prepare: string, env: Readonly<Record<string, string>>): Promise<unknown> =>
    JSON.parse((await place.sh(`${prepare}; secrets init --dry-run --json | jq -c .stores`, env)).stdout);
  expect(
    await found(':', { CONJUR_APPLIANCE_URL: 'https://conjur.example.com', CONJUR_ACCOUNT: 'acme' }),
  ).toEqual([{ name: 'conjur', provider: 'conjur', evidence: '$CONJUR_APPLIANCE_URL' }]);
  expect(await found(':', { AZURE_KEYVAULT_NAME: 'payments-prod' })).toEqual([
    { name: 'azure', provider: 'azure', evidence: '$AZURE_KEYVAULT_NAME' },
  ]);
  const files = '~/.aws/config ~/.azure/azureProfile.json ~/.vault-token';
  expect(await found(`mkdir ~/.aws ~/.azure; touch ${files}`, {})).toEqual([
    { name: 'aws', provider: 'aws', evidence: '~/.aws/config' },
    { name: 'azure', provider: 'azure', evidence: '~/.azure/azureProfile.json' },
    { name: 'vault', provider: 'vault', evidence: '~/.vault-token' },
  ]);
});

test('leaves out what the environment holds that no secrets.yaml may', async () => {
  const { stdout } = await place.sh('secrets init --dry-run', {
    ...ENV,
    VAULT_ADDR: 'https://me:hunter2-database@vault.example.com',
    AWS_REGION: 'evil.example/#',
  });
  expect(stdout).toMatch(/vault:\n {4}provider: vault\n\n/);
  expect(stdout).not.toMatch(/hunter2|evil/);
});

testNeeding(ORDINARY_USER)(
  'a folder that can’t be written is said to be so (needs a user, not root)',
  async () => {
    await chmod(place.cwd, 0o500);
    expect((await place.sh('secrets init')).code).toBe(4);
  },
);

test('at a terminal it asks for the store when there are several, and takes Enter', async () => {
  const answer = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      let seen = '';
      let answered = false;
      const pty = spawnAtTerminal('secrets', ['init'], {
        cwd: place.cwd,
        cols: 200,
        env: { ...place.env, ...ENV },
      });
      pty.onData((data) => {
        seen += data;
        if (answered || !seen.includes('Enter for')) return;
        answered = true;
        pty.write(`${text}\r`);
      });
      pty.onExit(({ exitCode }) => {
        if (exitCode !== 0) reject(new Error(seen));
        else readFile(file, 'utf8').then(resolve, reject);
      });
    });
  expect(await answer('vault')).toMatch(/^default: vault$/m);
  await place.sh('rm secrets.yaml');
  expect(await answer('')).toMatch(/^default: local$/m);
});
