/** Plugins as users meet them: the built program, a project with stores of plugins, and plugins that misbehave. */
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { makePlugins, type Plugins } from '../../backends/plugin.ts';
import { makePlace, type Outcome, type Place, ROOT } from '../../e2e/program.ts';
import { sampled } from '../../size.ts';

let plugins: Plugins;
let place: Place;
beforeAll(async () => {
  plugins = await makePlugins();
});
afterAll(() => plugins.remove());
beforeEach(async () => {
  place = await makePlace();
});
afterEach(() => place.remove());

const sh = (line: string, env: Readonly<Record<string, string>> = {}): Promise<Outcome> =>
  place.sh(line, { PATH: `${plugins.bin}:${place.env['PATH']}`, ...env });

function project(stores: Readonly<Record<string, object>>): void {
  writeFileSync(join(place.cwd, 'secrets.yaml'), JSON.stringify({ default: Object.keys(stores)[0], stores }));
}
const store = (plugin: string, mode = '', more: object = {}): object => ({
  provider: 'exec',
  plugin,
  settings: { folder: plugins.folder(), ...(mode !== '' && { mode }) },
  ...more,
});

test('the example serves a project, once its file is trusted', async () => {
  project({ team: store('files'), other: store('full') });
  const before = await sh('secrets get team://a');
  expect([before.code, before.stdout]).toEqual([8, '']);
  expect(before.stderr).toMatch(/is not trusted .*plugin/);
  const byDefault = await sh('secrets get a');
  expect([byDefault.code, byDefault.stdout]).toEqual([8, '']);
  expect(byDefault.stderr).toMatch(/default store team is not used/);
  const lines = await sh('secrets trust --dry-run');
  expect(lines.stdout).toMatch(/stores\.team\.plugin.*files/);
  expect(lines.stdout).toMatch(/the program secrets-provider-NAME of this name is run/);
  expect((await sh('secrets trust --yes')).code).toBe(0);
  const { stdout, stderr, code } = await sh(
    `printf v1 | secrets put --quiet a/b && secrets get a/b && echo && secrets list &&
     secrets copy team://a/b other://c --quiet && secrets exec -e A=a/b -e C=other://c -- sh -c 'echo $A $C' &&
     secrets history other://c --json >/dev/null && secrets delete other://c --quiet && secrets restore other://c &&
     secrets doctor`,
  );
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(stdout).toMatch(/^v1\na\/b\n.*\nv1 v1\n/);
  expect(stdout).toMatch(/ok +plugin +files: files 1\.0, protocol 1/);
});

test('a plugin that is not trusted is not run', async () => {
  plugins.install('marked', `#!/bin/sh\ntouch "$HOME/ran"\n`);
  project({ team: store('marked') });
  for (const command of [
    'get a',
    'list',
    'doctor',
    'stores --check',
    'exec -e A=a -- true',
    'list --all-stores',
  ])
    await sh(`secrets ${command}`);
  expect(existsSync(join(place.home, 'ran'))).toBe(false);
  await sh('secrets --trust get a');
  expect(existsSync(join(place.home, 'ran'))).toBe(true);
});

test('stores are listed at the same time, in the order of the file; one that hangs delays nobody’s lines', async () => {
  project({ silent: store('full', 'silent'), one: store('files'), two: store('full') });
  await sh('for s in one two; do printf v | secrets --trust put --quiet $s://a; done');
  // What is printed while the silent store is still waited for.
  const hurried = await sh(
    'secrets --trust list --all-stores --timeout 60s > listed & until [ "$(wc -l < listed)" -eq 2 ]; do sleep 0.1; done; cat listed; kill $!; wait $!',
  );
  expect([hurried.stdout, hurried.code]).toEqual(['one://a\ntwo://a\n', 143]);
  // The answers of the first come last.
  plugins.install('late', `#!/bin/sh\nsleep 1\nexec secrets-provider-files\n`);
  const folder = plugins.folder();
  const of = (plugin: string) => ({ provider: 'exec', plugin, settings: { folder } });
  project({ first: of('late'), second: of('files') });
  await sh('printf v | secrets --trust put --quiet second://b');
  expect((await sh('secrets --trust list --all-stores')).stdout).toBe('first://b\nsecond://b\n');
});

test('every command over several stores asks them at the same time, and answers in the order that was given', async () => {
  // Each answers when the other one has been asked as well.
  plugins.install(
    'meeting',
    `#!/bin/sh\n: > "$HOME/asked.$$"\nuntil [ "$(ls "$HOME" | grep -c ^asked)" -ge 2 ]; do sleep 0.05; done\nexec secrets-provider-full\n`,
  );
  const names = ['one', 'two'] as const;
  const folders = names.map(() => plugins.folder());
  const using = (plugin: string): void =>
    project(
      Object.fromEntries(
        names.map((name, index) => [
          name,
          { provider: 'exec', plugin, settings: { folder: folders[index] } },
        ]),
      ),
    );
  using('full');
  await sh('for s in one two; do printf v | secrets --trust put --quiet $s://a; done');
  using('meeting');
  const answers = async (command: string): Promise<Outcome> => {
    await sh('rm -f ~/asked.*');
    return sh(`secrets --trust ${command}`);
  };
  const failed: string[] = [];
  const commands = [
    'get two://a one://a',
    'get --metadata two://a one://a',
    'list --all-stores',
    'stores --check',
    'doctor',
    'diff one:// two://',
    'sync one:// two:// --dry-run',
    'copy one:// two:// --dry-run',
    'rotate status',
    'audit report',
  ];
  for (const command of [...sampled(commands, 3), 'delete two://a one://a']) {
    const { code, stderr } = await answers(command);
    if (code !== 0) failed.push(`${command}: ${code} ${stderr}`);
  }
  expect(failed).toEqual([]);
  await sh('for s in one two; do secrets --trust restore $s://a; done');
  const order = async (command: string): Promise<readonly string[]> =>
    ((await answers(command)).stdout.match(/\b(one|two):\/\/a|"store": ?"\w+"/g) ?? []).map((found) =>
      found.includes('one') ? 'one' : 'two',
    );
  expect(await order('get --metadata two://a one://a')).toEqual(['two', 'one']);
  expect(await order('delete two://a one://a --json')).toEqual(['two', 'one']);
});

test('a store that hangs or crashes fails alone', async () => {
  project({ good: store('files'), silent: store('full', 'silent'), crashing: store('full', 'exit') });
  expect((await sh('printf v | secrets --trust put --quiet good://a')).code).toBe(0);
  const listed = await sh('secrets --trust list --all-stores --timeout 1s');
  expect([listed.stdout, listed.code]).toEqual(['good://a\n', 6]);
  expect(listed.stderr).toMatch(/silent.*did not answer in time/);
  expect(listed.stderr).toMatch(/crashing.*ended \(exit code 3\)/);
  const run = await sh(
    'secrets --trust exec --timeout 1s -e A=good://a -e B=silent://b -e C=crashing://c -- echo started',
  );
  expect([run.stdout, run.code]).toEqual(['', 125]);
  expect(run.stderr).toMatch(/silent:\/\/b: the plugin full did not answer in time/);
  expect(run.stderr).toMatch(/crashing:\/\/c: the plugin full ended/);
  expect(run.stderr).not.toMatch(/good:\/\/a/);
});

const LEAKY = [
  'value-in-stderr',
  'base64-in-stderr',
  'value-in-message',
  'junk',
  'crash-in-put',
  'environment',
];
test.each(sampled(LEAKY, 2))('no value reaches the screen: %s', async (mode) => {
  project({ s: store('full', mode) });
  const outcome = await sh('printf swordfish-4711 | secrets --trust --debug put s://a');
  const shown = outcome.stdout + outcome.stderr;
  expect(shown).not.toMatch(/swordfish|c3dvcmRmaXNo/);
  if (/stderr|environment/.test(mode))
    expect(shown).toMatch(/wrote \d+ bytes to stderr, which are not shown/);
  if (mode === 'junk') expect(outcome.stderr).toMatch(/not of the protocol; the change may have been made/);
});

test('a plugin gets the usual variables and those that its store names, never those of secrets', async () => {
  plugins.install('env', `#!/bin/sh\nenv > "$HOME/env"\npwd > "$HOME/pwd"\n`);
  project({ s: store('env', '', { env: ['MY_TOKEN'] }) });
  await sh('secrets --trust get s://a', {
    MY_TOKEN: 't',
    OTHER_TOKEN: 'o',
    AWS_SECRET_ACCESS_KEY: 'k',
    SECRETS_PASSPHRASE: 'p',
    LC_ALL: 'C',
    https_proxy: 'http://proxy.example',
    PATH: `here:${plugins.bin}:.:${place.env['PATH']}`,
  });
  const names = readFileSync(join(place.home, 'env'), 'utf8');
  expect(names).toMatch(/^MY_TOKEN=t$/m);
  expect(names).toMatch(/^https_proxy=/m);
  expect(names).toMatch(/^LC_ALL=C$/m);
  expect(names).not.toMatch(/OTHER_TOKEN|AWS_|SECRETS_/);
  expect(/^PATH=(.*)$/m.exec(names)?.[1]).toBe(`${plugins.bin}:${place.env['PATH']}`);
  expect(readFileSync(join(place.home, 'pwd'), 'utf8')).toBe('/\n');
});

test('one clear line where there is no plugin to run', async () => {
  const line = async (command: string, env = {}): Promise<string> => {
    const { stderr, code } = await sh(command, env);
    expect(code).toBe(2);
    expect(stderr).not.toMatch(/\n\s+at /);
    return stderr;
  };
  expect(await line('secrets get exec://a')).toMatch(/the store exec names no plugin/);
  project({ s: { provider: 'exec', plugin: 'absent' } });
  expect(await line('secrets --trust get s://a')).toMatch(/no secrets-provider-absent on PATH/);
  // In the working directory, by a relative entry and by an empty one.
  mkdirSync(join(place.cwd, 'bin'));
  for (const path of ['secrets-provider-absent', 'bin/secrets-provider-absent']) {
    writeFileSync(join(place.cwd, path), '#!/bin/sh\ntouch "$HOME/ran"\n');
    chmodSync(join(place.cwd, path), 0o755);
  }
  expect(await line('secrets --trust get s://a', { PATH: `bin:.::${place.env['PATH']}` })).toMatch(/on PATH/);
  expect(existsSync(join(place.home, 'ran'))).toBe(false);
  plugins.install('closed', '#!/bin/sh\n', 0o644);
  project({ s: { provider: 'exec', plugin: 'closed' } });
  expect(await line('secrets --trust get s://a')).toMatch(/is not executable/);
  for (const wrong of [{ plugin: '../x' }, {}, { plugin: 'x', env: ['SECRETS_PASSPHRASE'] }]) {
    project({ s: { provider: 'exec', ...wrong } });
    expect(await line('secrets --trust get s://a')).toMatch(/secrets\.yaml:1: stores\.s/);
  }
});

const gone = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
};
async function until(holds: () => boolean): Promise<boolean> {
  for (const end = Date.now() + 120_000; Date.now() < end; await new Promise((go) => setTimeout(go, 50)))
    if (holds()) return true;
  return false;
}

describe('nothing is left behind', () => {
  // Ends neither with its input nor on SIGTERM, and has a child.
  const STUBBORN = `#!/bin/sh
trap '' TERM
sleep 1000 & echo $! > "$HOME/child"
echo $$ > "$HOME/pid"
while :; do sleep 1; done
`;
  // As plugins are: reading is what it does, and the end of the input is its end.
  const PLAIN = '#!/bin/sh\necho $$ > "$HOME/pid"\nwhile read -r line; do :; done\n';
  test.each([
    ['SIGINT', STUBBORN, 130],
    ['SIGTERM', STUBBORN, null],
    ['SIGHUP', STUBBORN, null],
    ['SIGKILL', PLAIN, null],
  ] as const)('when %s ends the program', async (signal, script, code) => {
    plugins.install('stays', script);
    project({ s: store('stays') });
    const PATH = `${plugins.bin}:${place.env['PATH']}`;
    const child = spawn(process.execPath, [join(ROOT, 'bin/secrets'), '--trust', 'get', 's://a'], {
      cwd: place.cwd,
      env: { ...place.env, PATH },
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => child.once('exit', (...how) => resolve(how)));
    const pidFile = join(place.home, 'pid');
    expect(await until(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8').endsWith('\n'))).toBe(true);
    child.kill(signal);
    expect(await ended).toEqual(code === null ? [null, signal] : [code, null]);
    for (const file of ['pid', 'child'].filter((name) => existsSync(join(place.home, name)))) {
      const pid = Number(readFileSync(join(place.home, file), 'utf8'));
      expect([file, await until(() => gone(pid))]).toEqual([file, true]);
    }
  });
});

describe('secrets doctor --plugin', () => {
  const validate = new Ajv2020({ strict: true }).compile(
    JSON.parse(readFileSync(join(ROOT, 'schemas/output/doctor.schema.json'), 'utf8')) as object,
  );

  test('tries a plugin by name or path, and says what fails', async () => {
    const good = await sh(`secrets doctor --plugin files --plugin-setting folder=${plugins.folder()} --json`);
    expect([good.code, good.stderr]).toEqual([0, '']);
    expect(validate(JSON.parse(good.stdout))).toBe(true);
    const bad = await sh(
      `secrets doctor --plugin '${plugins.bin}/secrets-provider-full' --plugin-setting folder=${plugins.folder()} --plugin-setting mode=trims`,
    );
    expect(bad.code).toBe(1);
    expect(bad.stdout).toMatch(
      /fail keeps unicode +get gives other bytes than were put\n +→ see docs\/plugins\.md/,
    );
    expect(bad.stdout).toMatch(/ok {3}keeps text/);
  });

  test.each([
    ['doctor --plugin absent', /no secrets-provider-absent on PATH/],
    ['doctor --plugin ./absent', /absent was not found/],
    ['doctor --plugin "A b"', /is not the name of a plugin/],
    ['doctor --plugin files --plugin-setting x', /is not NAME=VALUE/],
    ['doctor --plugin files local', /exclude each other/],
    ['doctor --plugin-env A', /need --plugin/],
  ])('%s', async (line, message) => {
    const { stderr, code } = await sh(`secrets ${line}`);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});
