import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { spawn as spawnAtTerminal } from '@lydell/node-pty';
import { makePlace, type Place } from '../e2e/program.ts';

const YAML =
  'stores:\n  team:\n    provider: vault\n    address: http://127.0.0.1:1\nenv:\n  NODE_OPTIONS: --no-deprecation\n';
const HASH = createHash('sha256').update(YAML).digest('hex');

let place: Place;
let file: string;
beforeEach(async () => {
  place = await makePlace();
  file = join(place.cwd, 'secrets.yaml');
  await writeFile(file, YAML);
});
afterEach(() => place.remove());

const isTrusted = async (): Promise<boolean> => {
  const { stdout } = await place.sh('secrets stores --json');
  const stores = JSON.parse(stdout) as { name: string; untrusted?: true }[];
  return stores.find(({ name }) => name === 'team')?.untrusted !== true;
};

test('--dry-run shows the lines and accepts nothing', async () => {
  const { stdout, stderr, code } = await place.sh('secrets trust --dry-run');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toBe(
    [
      file,
      '  line 4: stores.team.address: http://127.0.0.1:1',
      '    your Vault credential is sent to this server',
      '  line 6: env.NODE_OPTIONS: --no-deprecation',
      '    this variable changes what programs run, or whom they believe',
      `  sha256 ${HASH}`,
      `${file}: would be trusted`,
      '',
    ].join('\n'),
  );
  expect(await isTrusted()).toBe(false);
});

test('without a terminal it shows the lines and refuses; --yes accepts them', async () => {
  const refused = await place.sh('secrets trust');
  expect(refused).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('use --yes; in CI set SECRETS_TRUSTED') as string,
  });
  expect(refused.stdout).toContain('line 4');
  expect(await isTrusted()).toBe(false);
  const accepted = await place.sh('secrets trust --yes');
  expect(accepted).toMatchObject({ code: 0, stderr: '' });
  expect(await isTrusted()).toBe(true);
  const [name] = await readdir(join(place.home, '.local/state/secrets/trust'));
  expect((await stat(join(place.home, '.local/state/secrets/trust', name ?? ''))).mode & 0o777).toBe(0o600);
  expect((await stat(join(place.home, '.local/state/secrets/trust'))).mode & 0o777).toBe(0o700);
  // A change asks again.
  await writeFile(file, `${YAML}# more\n`);
  expect(await isTrusted()).toBe(false);
  expect((await place.sh('secrets trust')).stdout).toContain('has changed since you trusted it');
});

test('stores, doctor and list say what is not trusted, and go on with the rest', async () => {
  await place.sh('printf v | secrets put --quiet own');
  expect((await place.sh('secrets stores')).stdout).toMatch(/^team\tvault\tproject\tnot trusted$/m);
  const check = await place.sh('secrets stores --check');
  expect(check).toMatchObject({
    code: 7,
    stdout: expect.stringMatching(/^team\t.*the store team is not used/m) as string,
  });
  const doctor = await place.sh('secrets doctor local');
  expect(doctor).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/warn trust .*2 settings.*stores\.team\.address in line 4/) as string,
  });
  await writeFile(file, `default: local\n${YAML}`);
  const list = await place.sh('secrets list local://; secrets list --all-stores');
  expect(list).toMatchObject({ code: 8, stdout: expect.stringMatching(/^own\n/) as string });
});

test('in CI, SECRETS_TRUSTED or --trust', async () => {
  const line = 'secrets exec -- sh -c \'printf %s "$NODE_OPTIONS"\'';
  expect((await place.sh(line)).code).toBe(125);
  expect(await place.sh(line, { SECRETS_TRUSTED: HASH })).toMatchObject({
    code: 0,
    stdout: '--no-deprecation',
  });
  expect(await place.sh(line.replace('exec', 'exec --trust'))).toMatchObject({
    code: 0,
    stdout: '--no-deprecation',
  });
  const { stdout } = await place.sh('secrets trust --dry-run --json | jq -r .sha256');
  expect(stdout.trim()).toBe(HASH);
});

test('an -e of the user’s own takes the place of a line that is not trusted', async () => {
  await place.sh('printf mine | secrets put --quiet own');
  const { stdout, code } = await place.sh(
    'secrets exec -e NODE_OPTIONS=local://own -- sh -c \'printf %s "$NODE_OPTIONS"\'',
  );
  expect({ stdout, code }).toEqual({ stdout: 'mine', code: 0 });
});

test('--list and --revoke, also of a file that is gone', async () => {
  await place.sh('secrets trust --yes');
  const list = async (): Promise<string> =>
    (await place.sh('secrets trust --list')).stdout.replaceAll(/\d{4}-\d\d-\d\d/g, 'DATE');
  expect(await list()).toBe(`${file}\tDATE\ttrusted\n`);
  await writeFile(file, `${YAML}#\n`);
  expect(await list()).toBe(`${file}\tDATE\tchanged\n`);
  await rm(file);
  expect(await list()).toBe(`${file}\tDATE\tgone\n`);
  expect((await place.sh('secrets trust --revoke --dry-run secrets.yaml')).stdout).toContain(
    'would not be trusted any more',
  );
  expect(await list()).not.toBe('');
  expect((await place.sh('secrets trust --revoke secrets.yaml')).code).toBe(0);
  expect(await list()).toBe('');
  expect((await place.sh('secrets trust --revoke secrets.yaml')).code).toBe(3);
});

test('--revoke takes a file that can’t be read as a configuration', async () => {
  await place.sh('secrets trust --yes');
  await writeFile(file, '}');
  expect((await place.sh('secrets trust --revoke')).code).toBe(0);
  await writeFile(file, YAML);
  expect(await isTrusted()).toBe(false);
});

test('a file without such lines needs no trust, and no file is not found', async () => {
  await writeFile(file, 'env: { A_TOKEN: local://a }\n');
  expect(await place.sh('secrets trust --json | jq -r .state')).toMatchObject({
    stdout: 'nothing-to-trust\n',
    code: 0,
  });
  await rm(file);
  expect((await place.sh('secrets trust')).code).toBe(3);
});

test('a named file is trusted by itself, wherever one stands', async () => {
  await mkdir(join(place.home, 'else'));
  await writeFile(join(place.home, 'else/s.yaml'), YAML);
  expect((await place.sh('secrets trust --yes ~/else/s.yaml')).code).toBe(0);
  expect(await isTrusted()).toBe(false);
  const { stdout } = await place.sh('cd /; secrets stores --json --config ~/else/s.yaml');
  expect(stdout).not.toContain('untrusted');
});

test('many at once leave one whole record each', async () => {
  const files = Array.from({ length: 6 }, (_, index) => join(place.home, `f${index}.yaml`));
  for (const one of files) await writeFile(one, YAML);
  const work = files
    .flatMap((one) => [one, one])
    .map(
      (one) =>
        new Promise((resolve) => {
          spawn('secrets', ['trust', '--yes', one], { cwd: place.cwd, env: place.env }).once(
            'close',
            resolve,
          );
        }),
    );
  expect(await Promise.all(work)).toEqual(work.map(() => 0));
  const { stdout } = await place.sh('secrets trust --list');
  expect(stdout.match(/\ttrusted$/gm)).toHaveLength(files.length);
  const names = await readdir(join(place.home, '.local/state/secrets/trust'));
  expect(names.every((name) => /^[0-9a-f]{64}\.json$/.test(name))).toBe(true);
});

describe('at a terminal', () => {
  const answer = (text: string, meanwhile?: () => Promise<void>): Promise<{ seen: string; code: number }> =>
    new Promise((resolve, reject) => {
      let seen = '';
      let answered = false;
      const pty = spawnAtTerminal('secrets', ['trust'], { cwd: place.cwd, cols: 200, env: place.env });
      pty.onData((data) => {
        seen += data;
        if (answered || !seen.includes('Type yes')) return;
        answered = true;
        (meanwhile?.() ?? Promise.resolve()).then(() => pty.write(`${text}\r`), reject);
      });
      pty.onExit(({ exitCode }) => resolve({ seen, code: exitCode }));
    });

  test('it shows the lines, then asks', async () => {
    const { seen, code } = await answer('yes');
    expect(seen).toMatch(
      /line 4: stores\.team\.address: http:\/\/127\.0\.0\.1:1[^]*Act on these 2 lines from now on\?/,
    );
    expect(code).toBe(0);
    expect(await isTrusted()).toBe(true);
  });

  test.each(['no', '', 'y'])('the answer %j is none', async (text) => {
    expect((await answer(text)).code).toBe(1);
    expect(await isTrusted()).toBe(false);
  });

  test('what is changed while it asks is not trusted', async () => {
    const { code } = await answer('yes', () => writeFile(file, YAML.replace(':1\n', ':2\n')));
    expect(code).toBe(0);
    expect(await readFile(file, 'utf8')).toContain(':2\n');
    expect(await isTrusted()).toBe(false);
    await writeFile(file, YAML);
    expect(await isTrusted()).toBe(true);
  });
});
