import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT as CHECKOUT } from '../e2e/program.ts';
import { makeMachine, type Machine } from './setup.ts';
import { mayMountAsUser, type Need, ROOT_USER, testNeeding } from '../needs.ts';

let machine: Machine;
beforeEach(() => {
  machine = makeMachine();
});
afterEach(() => machine.remove());

const message = (pattern: RegExp): string => expect.stringMatching(pattern) as string;
const ROOT = process.getuid?.() === 0;
/** Reads what belongs to somebody else, and not to root, whose files are anybody's. */
const SOMEBODY = (process.getuid?.() ?? 0) + 1;
const giveAway = (path: string): void => {
  if (ROOT) chownSync(path, 54_321, 54_321);
};

describe('the search', () => {
  beforeEach(() => mkdirSync(join(machine.home, 'p/q/r'), { recursive: true }));
  const found = async (cwd: string): Promise<string | undefined> => (await machine.load(cwd)).file;

  test('goes upward to the nearest file', async () => {
    const outer = machine.write('home/p/secrets.yaml', 'env: { A: outer }\n');
    expect(await found('home/p/q/r')).toBe(outer);
    const inner = machine.write('home/p/q/secrets.yaml', 'env: { A: inner }\n');
    expect(await found('home/p/q/r')).toBe(inner);
    expect(await found('home/p')).toBe(outer);
  });

  test.each(['.git as a folder', '.git as a file'])(
    'ends at the root of the repository: %s',
    async (kind) => {
      machine.write('home/p/secrets.yaml', 'env: {}\n');
      if (kind.endsWith('folder')) mkdirSync(join(machine.home, 'p/q/.git'));
      else machine.write('home/p/q/.git', 'gitdir: elsewhere\n');
      expect(await found('home/p/q/r')).toBeUndefined();
      // The root itself still counts.
      const own = machine.write('home/p/q/secrets.yaml', 'env: {}\n');
      expect(await found('home/p/q/r')).toBe(own);
    },
  );

  test('ends at HOME, which is looked at itself', async () => {
    machine.write('secrets.yaml', 'env: {}\n');
    expect(await found('home/p/q')).toBeUndefined();
    const own = machine.write('home/secrets.yaml', 'env: {}\n');
    expect(await found('home/p/q')).toBe(own);
  });

  test('knows HOME also by a link to it', async () => {
    machine.write('secrets.yaml', 'env: {}\n');
    symlinkSync(machine.home, join(machine.root, 'link'));
    const { file } = await machine.load('home/p', {}, { home: join(machine.root, 'link') });
    expect(file).toBeUndefined();
  });

  test('does not enter a folder of another user', async () => {
    giveAway(machine.write('home/p/secrets.yaml', 'env: {}\n'));
    for (const folder of ['p', 'p/q']) giveAway(join(machine.home, folder));
    const config = await machine.load('home/p/q', {}, { uid: SOMEBODY });
    expect(config).toMatchObject({ file: undefined, warnings: [] });
    // Where a file is passed over that the user may have meant, it is said.
    const here = await machine.load('home/p', {}, { uid: SOMEBODY });
    expect(here).toMatchObject({
      file: undefined,
      warnings: [message(/belongs to another user .*--config/)],
    });
  });

  // A checkout in a private home can't be run by somebody else.
  const version = ROOT
    ? spawnSync(process.execPath, [join(CHECKOUT, 'bin/secrets'), '--version'], {
        uid: 12_345,
        env: {},
        cwd: '/',
      })
    : undefined;
  const openCheckout: Need = {
    name: 'a checkout that other users can read',
    met: !ROOT || version?.status === 0,
    how: 'clone it outside of a private home',
    installable: false,
  };
  testNeeding(ROOT_USER, openCheckout)(
    'as another user, in a folder and with a HOME that are not theirs (needs root)',
    () => {
      giveAway(machine.write('open/secrets.yaml', 'env: { A: theirs }\n'));
      for (const folder of ['.', 'open']) chmodSync(join(machine.root, folder), 0o755);
      const run = (home: string): { status: number | null; stdout: string; stderr: string } =>
        spawnSync(process.execPath, [join(CHECKOUT, 'bin/secrets'), 'env', '--format', 'json'], {
          cwd: join(machine.root, 'open'),
          uid: 12_345,
          env: { HOME: home },
          encoding: 'utf8',
        });
      const elsewhere = run(join(machine.root, 'nowhere'));
      expect(elsewhere.stdout.replaceAll(/\s/g, '')).toBe('{}');
      expect(elsewhere.stderr).toMatch(/^secrets: warning: .*open\/secrets\.yaml is not read/);
      chmodSync(machine.home, 0o700);
      expect(run(machine.home)).toMatchObject({
        status: 4,
        stderr: message(/^secrets: cannot look for your settings: permission denied/),
      });
    },
  );

  testNeeding(ROOT_USER)('does not take a file of another user (needs root)', async () => {
    chownSync(machine.write('home/p/q/secrets.yaml', 'env: { A: theirs }\n'), 12_345, 12_345);
    machine.write('home/p/secrets.yaml', 'env: { A: ours }\n');
    const config = await machine.load('home/p/q');
    // Not the one above either: the search ends there.
    expect(config).toMatchObject({
      file: undefined,
      warnings: [message(/p\/q\/secrets\.yaml is not read.*uid 12345/)],
    });
    expect(config.env.size).toBe(0);
  });

  testNeeding(mayMountAsUser())('ends at the border of a file system', () => {
    const outer = machine.write('home/p/secrets.yaml', 'env: { LOG_LEVEL: outer }\n');
    const program = join(CHECKOUT, 'bin/secrets');
    const look = `'${process.execPath}' '${program}' env --format json`;
    const script = `mount -t tmpfs none q && mkdir q/s && cd q/s && ${look}; cd ../.. && ${look}`;
    const { stdout } = spawnSync('unshare', ['-rm', 'sh', '-c', script], {
      cwd: join(machine.home, 'p'),
      env: { HOME: machine.home, PATH: process.env['PATH'] },
      encoding: 'utf8',
    });
    expect(existsSync(outer)).toBe(true);
    expect(stdout.replaceAll(/\s/g, '')).toBe('{}{"LOG_LEVEL":"outer"}');
  });
});

describe('a link', () => {
  test('within the project is followed', async () => {
    mkdirSync(join(machine.home, 'p/.git'), { recursive: true });
    mkdirSync(join(machine.home, 'p/q'));
    machine.write('home/p/config/secrets.yaml', 'env: { A: linked }\n');
    symlinkSync('../config/secrets.yaml', join(machine.home, 'p/q/secrets.yaml'));
    const { env, file, project } = await machine.load('home/p/q');
    expect(env.get('A')).toMatchObject({ value: 'linked' });
    expect(file).toBe(join(machine.home, 'p/q/secrets.yaml'));
    expect(project?.realPath).toBe(join(machine.home, 'p/config/secrets.yaml'));
  });

  test('out of the repository, or of its own folder, is refused: it would borrow the trust of another', async () => {
    machine.write('home/mine/secrets.yaml', 'env: {}\n');
    for (const [folder, git] of [
      ['theirs', true],
      ['loose', false],
    ] as const) {
      mkdirSync(join(machine.home, folder, git ? '.git' : 'x'), { recursive: true });
      symlinkSync('../mine/secrets.yaml', join(machine.home, folder, 'secrets.yaml'));
      await expect(machine.load(`home/${folder}`)).rejects.toMatchObject({
        kind: 'Policy',
        message: message(/is a link to a file outside of/),
      });
    }
    // Named, it is what the user means.
    const { file } = await machine.load('home/theirs', { file: 'secrets.yaml' });
    expect(file).toBe(join(machine.home, 'theirs/secrets.yaml'));
  });

  testNeeding(ROOT_USER)('to a file of another user is refused (needs root)', async () => {
    chownSync(machine.write('home/p/real.yaml', 'env: {}\n'), 12_345, 12_345);
    symlinkSync('real.yaml', join(machine.home, 'p/secrets.yaml'));
    await expect(machine.load('home/p')).rejects.toMatchObject({
      kind: 'Policy',
      message: message(/another user/),
    });
  });
});

describe('a named file', () => {
  test('is read wherever it is, by --config or SECRETS_CONFIG; the option wins', async () => {
    const one = machine.write('else/one.yaml', 'env: { A: one }\n');
    machine.write('else/two.yaml', 'env: { A: two }\n');
    machine.write('home/secrets.yaml', 'env: { A: found }\n');
    const env = { SECRETS_CONFIG: '../else/two.yaml' };
    expect((await machine.load('home', {}, { env })).env.get('A')).toMatchObject({ value: 'two' });
    expect((await machine.load('home', { file: one }, { env })).env.get('A')).toMatchObject({ value: 'one' });
  });

  test('that is not there is bad usage, not a search', async () => {
    machine.write('home/secrets.yaml', 'env: {}\n');
    await expect(machine.load('home', { file: 'nope.yaml' })).rejects.toMatchObject({
      kind: 'Usage',
      message: message(/^there is no .*nope\.yaml$/),
    });
  });
});

describe('the user’s own file', () => {
  const OWN = 'home/.config/secrets/secrets.yaml';

  test('is joined with the project’s, which wins; its addresses are trusted', async () => {
    machine.write(
      OWN,
      'default: team\nstores: { team: { provider: vault, address: https://v.example } }\nenv: { A: own, B: own }\n',
    );
    machine.write('home/p/secrets.yaml', 'env: { B: project, C: team://c }\n');
    const { env, stores, defaultStore } = await machine.load('home/p');
    expect(defaultStore).toBe('team');
    expect(stores.get('team')).toEqual({
      name: 'team',
      provider: 'vault',
      source: 'user',
      settings: { address: 'https://v.example' },
    });
    expect([env.get('A'), env.get('B')]).toMatchObject([{ value: 'own' }, { value: 'project' }]);
    // The project knows the user's stores.
    expect(env.get('C')).toMatchObject({ kind: 'ref', ref: 'team://c' });
  });

  test('whose store a project’s takes the place of asks for trust', async () => {
    machine.write(OWN, 'stores: { team: { provider: vault, address: https://v.example } }\n');
    machine.write('home/p/secrets.yaml', 'stores:\n  team: { provider: local }\n');
    const { stores } = await machine.load('home/p');
    expect(stores.get('team')?.untrusted).toMatchObject([{ line: 2, setting: 'stores.team' }]);
  });

  test.each([0o660, 0o606])('that others can write (mode %o) is refused', async (mode) => {
    chmodSync(machine.write(OWN, 'env: {}\n'), mode);
    await expect(machine.load('home')).rejects.toMatchObject({
      kind: 'Policy',
      message: message(/others can change it/),
    });
  });

  test('of another user is refused', async () => {
    giveAway(machine.write(OWN, 'env: {}\n'));
    await expect(machine.load('home', {}, { uid: SOMEBODY })).rejects.toMatchObject({ kind: 'Policy' });
  });

  test('is found by XDG_CONFIG_HOME, and may be a link', async () => {
    machine.write('dotfiles/s.yaml', 'env: { A: dot }\n');
    mkdirSync(join(machine.root, 'xdg/secrets'), { recursive: true });
    symlinkSync(join(machine.root, 'dotfiles/s.yaml'), join(machine.root, 'xdg/secrets/secrets.yaml'));
    const { env } = await machine.load('home', {}, { env: { XDG_CONFIG_HOME: join(machine.root, 'xdg') } });
    expect(env.get('A')).toMatchObject({ value: 'dot' });
  });
});

describe('profiles', () => {
  const YAML = `
default: local
stores:
  team: { provider: local }
env: { A: base, B: base }
profiles:
  ci: { env: { B: ci }, default: other, stores: { other: { provider: local }, team: { provider: aws } } }
  prod: { env: { B: team://b } }
`;
  beforeEach(() => {
    machine.write('home/secrets.yaml', YAML);
  });

  test('set what they say in place of the rest, by option or SECRETS_PROFILE', async () => {
    for (const config of [
      await machine.load('home', { profile: 'ci' }),
      await machine.load('home', {}, { env: { SECRETS_PROFILE: 'ci' } }),
    ]) {
      expect(config).toMatchObject({ profile: 'ci', defaultStore: 'other' });
      expect(Object.fromEntries(config.env)).toMatchObject({ A: { value: 'base' }, B: { value: 'ci' } });
      expect(config.stores.get('team')?.provider).toBe('aws');
    }
    const plain = await machine.load('home');
    expect(plain).toMatchObject({ profile: undefined, defaultStore: 'local' });
    expect(plain.stores.has('other')).toBe(false);
    expect(plain.env.get('B')).toMatchObject({ value: 'base' });
  });

  test('that do not exist are an error with the near name', async () => {
    await expect(machine.load('home', { profile: 'prd' })).rejects.toMatchObject({
      kind: 'Usage',
      message: 'no profile named "prd"',
      hint: 'did you mean prod?',
    });
    await expect(machine.load('home', {}, { env: { SECRETS_PROFILE: 'xyz' } })).rejects.toMatchObject({
      hint: 'the profiles are ci, prod',
    });
  });

  test('without any file: by option an error, by the environment none', async () => {
    mkdirSync(join(machine.root, 'empty/.git'), { recursive: true });
    await expect(machine.load('empty', { profile: 'ci' })).rejects.toMatchObject({ kind: 'Usage' });
    expect((await machine.load('empty', {}, { env: { SECRETS_PROFILE: 'ci' } })).profile).toBe('ci');
  });

  test('are checked even when they are not chosen', async () => {
    machine.write('home/secrets.yaml', 'profiles:\n  ci:\n    env: { TOKEN: abcdefgh }\n');
    await expect(machine.load('home')).rejects.toMatchObject({
      message: message(/:3: the value of TOKEN looks/),
    });
  });
});

describe('what is wrong in it', () => {
  const load = (yaml: string) => {
    machine.write('home/secrets.yaml', yaml);
    return machine.load('home');
  };

  test.each([
    ['\nstorez: {}\n', /:2: unknown key storez$/, 'did you mean stores?'],
    ['stores:\n  a: { provider: valt }\n', /:2: unknown provider of store a$/, 'did you mean vault?'],
    [
      'stores:\n  a:\n    provider: vault\n    adress: x\n',
      /:4: unknown key stores\.a\.adress$/,
      'did you mean address?',
    ],
    [
      'stores: { a: { provider: vault, auth: { method: token, tokenfile: x } } }',
      /unknown key .*tokenfile$/,
      'did you mean token-file?',
    ],
    ['profiles: { ci: { envv: {} } }', /unknown key profiles\.ci\.envv$/, 'did you mean env?'],
    ['default: locl\n', /:1: the default store is not among the stores$/, 'did you mean local?'],
    [
      'stores: { team: { provider: local } }\nenv:\n  A: tema://x\n',
      /:3: A: no store named tema$/,
      'did you mean team?',
    ],
    ['env: { A: { ref: nope://x } }', /A: no store named nope$/, message(/^the stores are/)],
    ['env: { PORT: 8080 }', /:1: env\.PORT must be a text or a map$/, 'put it in quotes'],
    [
      'stores: { a: { provider: aws, region: "evil.example/#" } }',
      /stores\.a\.region must be the name of a region/,
      undefined,
    ],
    [
      'stores: { v: { provider: vault, auth: { method: aws, region: "evil.example/#" } } }',
      /stores\.v\.auth\.region must be the name of a region/,
      undefined,
    ],
    [
      'stores: { aws: { provider: vault } }',
      /a store named aws must have the provider aws$/,
      'give it another name',
    ],
  ])('%j', async (yaml, expected, hint) => {
    await expect(load(yaml)).rejects.toMatchObject({ kind: 'Usage', message: message(expected), hint });
  });

  test('a known key keeps its meaning', async () => {
    const { env, stores } = await load(
      'stores: { v: { provider: vault, mount: kv } }\nenv: { A: info, U: "postgres://localhost/x", B: { ref: b, as: file, optional: true } }',
    );
    expect(Object.fromEntries(env)).toEqual({
      A: { kind: 'literal', value: 'info', untrusted: expect.anything() as unknown },
      U: { kind: 'literal', value: 'postgres://localhost/x', untrusted: expect.anything() as unknown },
      B: { kind: 'ref', ref: 'b', as: 'file', optional: true, untrusted: expect.anything() as unknown },
    });
    expect(stores.get('v')).toEqual({
      name: 'v',
      provider: 'vault',
      settings: { mount: 'kv' },
      source: 'project',
      untrusted: [expect.objectContaining({ setting: 'stores.v.mount' })],
    });
  });
});

test('without a file no YAML or schema library is loaded', () => {
  mkdirSync(join(machine.home, '.git'));
  // The launcher reads each file of the program once.
  const trace = `
    const fs = require('node:fs');
    const { basename } = require('node:path');
    const read = fs.readFileSync;
    const names = [];
    fs.readFileSync = (file, ...more) => (names.push(basename(String(file))), read(file, ...more));
    process.on('exit', () => fs.writeSync(1, names.join(' ')));
  `;
  machine.write('home/trace.cjs', trace);
  const list = (): string => {
    const { stdout } = spawnSync(
      process.execPath,
      ['-r', join(machine.home, 'trace.cjs'), join(CHECKOUT, 'bin/secrets'), 'stores', '--quiet'],
      { cwd: machine.home, env: { HOME: machine.home }, encoding: 'utf8' },
    );
    return stdout;
  };
  const without = list();
  machine.write('home/secrets.yaml', 'env: {}\n');
  const chunks = /\b(parse|schema|yaml|valibot|variables|trust)-[\w-]+\.js\b/;
  expect(without).toMatch(/\bmain\.js\b/);
  expect(without).not.toMatch(chunks);
  expect(list()).toMatch(chunks);
});
