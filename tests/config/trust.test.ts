import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../src/config/config.ts';
import { findPin, listPins, removePin, writePin } from '../../src/config/trust.ts';
import type { ProgramWorld } from '../../src/config/kinds.ts';
import { makeMachine, type Machine } from './setup.ts';

const YAML = `stores:
  v: { provider: vault, address: https://v.example }
  plain: { provider: aws, region: eu-west-1 }
env:
  NODE_OPTIONS: -r ./x.js
  A_TOKEN: v://a
`;
const hash = (text: string): string => createHash('sha256').update(text).digest('hex');

let machine: Machine;
let path: string;
let world: ProgramWorld;
beforeEach(() => {
  machine = makeMachine();
  path = machine.write('home/p/secrets.yaml', YAML);
  world = machine.world('home/p');
});
afterEach(() => machine.remove());

const load = (more: Partial<ProgramWorld> = {}, trust = false): Promise<Config> =>
  machine.load('home/p', { trust }, more);
const isTrusted = async (more: Partial<ProgramWorld> = {}): Promise<boolean> => {
  const { project, stores, env } = await load(more);
  const trusted = project?.trusted === true;
  // The file, its stores and its variables agree.
  expect(stores.get('v')?.untrusted === undefined).toBe(trusted);
  expect(env.get('NODE_OPTIONS')?.untrusted === undefined).toBe(trusted);
  return trusted;
};
const pin = async (): Promise<void> => {
  const { project } = await load();
  if (project === undefined) throw new Error('no project');
  writePin(world, project);
};
const record = (): string => {
  const folder = join(machine.home, '.local/state/secrets/trust');
  const [file, ...more] = readdirSync(folder);
  expect(more).toEqual([]);
  return join(folder, file as string);
};

test('each line that needs trust is known by its place, and marks what it is about', async () => {
  const { project, stores, env } = await load();
  expect(project).toMatchObject({ trusted: false, sha256: hash(YAML), realPath: path });
  expect(project?.lines.map(({ line, setting, value }) => [line, setting, value])).toEqual([
    [2, 'stores.v.address', 'https://v.example'],
    [5, 'env.NODE_OPTIONS', '-r ./x.js'],
  ]);
  expect(stores.get('plain')?.untrusted).toBeUndefined();
  expect(env.get('A')?.untrusted).toBeUndefined();
});

test('lines of every profile are shown, and only the chosen one’s count', async () => {
  machine.write(
    'home/p/secrets.yaml',
    'profiles:\n  ci:\n    stores: { v: { provider: vault, address: https://c.example } }\n    env: { PATH: /x }\n',
  );
  const plain = await load();
  expect(plain.project?.lines.map(({ setting }) => setting)).toEqual([
    'profiles.ci.stores.v.address',
    'profiles.ci.env.PATH',
  ]);
  expect(plain.stores.has('v')).toBe(false);
  const ci = await machine.load('home/p', { profile: 'ci' });
  expect(ci.stores.get('v')?.untrusted).toHaveLength(1);
  expect(ci.env.get('PATH')?.untrusted).toBeDefined();
});

test('--trust acts on it, this once', async () => {
  expect((await load({}, true)).project?.trusted).toBe(true);
  expect(await isTrusted()).toBe(false);
});

test('SECRETS_TRUSTED does so for this content alone', async () => {
  const env = { SECRETS_TRUSTED: hash(YAML) };
  expect(await isTrusted({ env })).toBe(true);
  expect(await isTrusted({ env: { SECRETS_TRUSTED: hash(YAML).toUpperCase() } })).toBe(true);
  for (const value of ['', '1', 'true', hash(YAML).slice(1), hash(`${YAML}\n`)])
    expect(await isTrusted({ env: { SECRETS_TRUSTED: value } })).toBe(false);
  expect((await load({ env: { SECRETS_TRUSTED: 'other' } })).warnings).toEqual([
    `SECRETS_TRUSTED is not the hash of ${path} as it is now`,
  ]);
  expect((await load({ env })).warnings).toEqual([]);
  machine.write('home/p/secrets.yaml', `${YAML}\n`);
  expect(await isTrusted({ env })).toBe(false);
});

describe('a pin', () => {
  test('is a private file in a private folder', async () => {
    await pin();
    expect(await isTrusted()).toBe(true);
    expect(statSync(record()).mode & 0o777).toBe(0o600);
    expect(statSync(join(record(), '..')).mode & 0o777).toBe(0o700);
    expect(JSON.parse(readFileSync(record(), 'utf8'))).toEqual({
      path,
      sha256: hash(YAML),
      trustedAt: '2026-01-02T03:04:05.000Z',
      lines: ['stores.v.address = https://v.example', 'env.NODE_OPTIONS = -r ./x.js'],
    });
  });

  test('is for this content: any change asks again, and the old content is trusted as before', async () => {
    await pin();
    for (const changed of [
      `${YAML}#\n`,
      YAML.replace('v.example', 'w.example'),
      YAML.replaceAll('\n', '\r\n'),
      `\ufeff${YAML}`,
    ]) {
      machine.write('home/p/secrets.yaml', changed);
      expect(await isTrusted()).toBe(false);
    }
    machine.write('home/p/secrets.yaml', YAML);
    expect(await isTrusted()).toBe(true);
  });

  test('is for this place: a copy, or the file moved elsewhere, asks again', async () => {
    await pin();
    machine.write('home/other/secrets.yaml', YAML);
    expect((await machine.load('home/other')).project?.trusted).toBe(false);
    renameSync(join(machine.home, 'p'), join(machine.home, 'moved'));
    expect((await machine.load('home/moved')).project?.trusted).toBe(false);
  });

  test('is for the real place: a link to the folder or the file changes nothing', async () => {
    await pin();
    symlinkSync('p', join(machine.home, 'link'));
    expect((await machine.load('home/link')).project?.trusted).toBe(true);
    symlinkSync('p/secrets.yaml', join(machine.home, 'one.yaml'));
    expect((await machine.load('home', { file: 'one.yaml' })).project?.trusted).toBe(true);
  });

  test('follows XDG_STATE_HOME, as the user’s own environment says it', async () => {
    const env = { XDG_STATE_HOME: join(machine.root, 'state') };
    const { project } = await load({ env });
    if (project === undefined) throw new Error('no project');
    writePin(machine.world('home/p', { env }), project);
    expect(await isTrusted({ env })).toBe(true);
    expect(await isTrusted()).toBe(false);
  });

  test('is for the lines that were shown: more of them in the same content ask again', async () => {
    machine.write('home/p/secrets.yaml', `${YAML}  B: x\n`);
    await pin();
    expect(await isTrusted()).toBe(true);
    // By now the user has a store of their own whose place the project's would take.
    machine.write('home/.config/secrets/secrets.yaml', 'stores: { plain: { provider: aws } }\n');
    const { stores, project } = await load();
    expect(project?.trusted).toBe(false);
    expect(stores.get('plain')?.untrusted).toMatchObject([{ setting: 'stores.plain', line: 3 }]);
    await pin();
    expect(await isTrusted()).toBe(true);
  });

  test('can be taken back', async () => {
    await pin();
    expect(listPins(world).map((one) => one.path)).toEqual([path]);
    expect(removePin(world, path)).toBe(true);
    expect(removePin(world, path)).toBe(false);
    expect(await isTrusted()).toBe(false);
    expect(listPins(world)).toEqual([]);
  });

  test.each(['', '{', 'null', '[]', '{"path":1}', '{"path":"/else","sha256":"x","trustedAt":"x"}', '\0'])(
    'that holds %j is none',
    async (content) => {
      await pin();
      writeFileSync(record(), content);
      expect(findPin(world, path)).toBeUndefined();
      expect(await isTrusted()).toBe(false);
      await pin();
      expect(await isTrusted()).toBe(true);
    },
  );

  test('that others could have written is not believed', async () => {
    await pin();
    const file = record();
    chmodSync(file, 0o666);
    await expect(load()).rejects.toMatchObject({
      kind: 'Denied',
      hint: expect.stringContaining('chmod 600') as string,
    });
    chmodSync(file, 0o600);
    chmodSync(join(file, '..'), 0o777);
    await expect(load()).rejects.toMatchObject({ kind: 'Denied' });
    expect(() => listPins(world)).toThrow(/open to other users/);
    await expect(pin()).rejects.toMatchObject({ kind: 'Denied' });
  });

  test('is not followed through a link, nor is its folder', async () => {
    await pin();
    const file = record();
    renameSync(file, `${file}.real`);
    symlinkSync(`${file}.real`, file);
    await expect(load()).rejects.toMatchObject({
      kind: 'Denied',
      message: expect.stringContaining('symbolic link') as string,
    });
    const folder = join(file, '..');
    renameSync(folder, `${folder}-real`);
    symlinkSync(`${folder}-real`, folder);
    await expect(load()).rejects.toMatchObject({ kind: 'Denied' });
  });

  test('does not matter to a file that needs no trust', async () => {
    const folder = join(machine.home, '.local/state/secrets/trust');
    mkdirSync(folder, { recursive: true, mode: 0o777 });
    chmodSync(folder, 0o777);
    machine.write('home/p/secrets.yaml', 'env: { A_TOKEN: local://a }\n');
    expect((await load()).project).toMatchObject({ lines: [], trusted: true });
  });
});

test('what is hashed is what was read: a change after the reading is not part of it', async () => {
  const { project, stores } = await load();
  machine.write('home/p/secrets.yaml', YAML.replace('v.example', 'evil.example'));
  // The user accepts what was shown …
  expect(project?.lines[0]?.value).toBe('https://v.example');
  if (project === undefined) throw new Error('no project');
  writePin(world, project);
  expect(stores.get('v')?.settings['address']).toBe('https://v.example');
  // … and not what lies there by now.
  expect(await isTrusted()).toBe(false);
});

test('bounds of rotations in a found file wait for trust: they would hold for the user’s own', async () => {
  machine.write('home/.config/secrets/secrets.yaml', 'rotation: { lease: 10m, parallel: 2 }\n');
  const theirs = { lease: '1s', parallel: 64, 'per-target': 64, jitter: '9w', lock: 'local' };
  machine.write('home/p/secrets.yaml', JSON.stringify({ rotation: theirs }));
  const { rotation, project } = await machine.load('home/p');
  expect(rotation).toEqual({
    lease: '10m',
    parallel: 2,
    lock: 'local',
    untrustedLock: [expect.objectContaining({ setting: 'rotation.lock' })],
  });
  expect(project?.trusted).toBe(false);
  expect(project?.lines.map(({ setting }) => setting).toSorted()).toEqual(
    Object.keys(theirs)
      .map((name) => `rotation.${name}`)
      .toSorted(),
  );
  expect((await machine.load('home/p', { trust: true })).rotation).toEqual(theirs);
});
