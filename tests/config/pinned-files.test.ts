/** The files that a secrets.yaml names are trusted with it: a change to one asks again. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { ProjectFile } from '../../src/config/config.ts';
import { findPin, writePin } from '../../src/config/trust.ts';
import { expectContents } from '../../src/platform/pinned.ts';
import { readText } from '../../src/providers/vault/tls.ts';
import { runHook } from '../../src/rotation/targets/program/run.ts';
import { readUnlockFile } from '../../src/platform/unlock-file.ts';
import { makeMachine, type Machine } from './setup.ts';

let machine: Machine;
beforeEach(() => {
  machine = makeMachine();
  mkdirSync(join(machine.home, 'r/.git'), { recursive: true });
});
afterEach(() => machine.remove());

const write = (yaml: object): string => machine.write('home/r/p/secrets.yaml', JSON.stringify(yaml));
const file = (path: string, text = 'one'): string => machine.write(`home/r/${path}`, text);
const project = async (env: Record<string, string> = {}): Promise<ProjectFile> => {
  const config = await machine.load('home/r/p', {}, { env });
  if (config.project === undefined) throw new Error('no project');
  // The stores agree with the file.
  for (const { untrusted, source } of config.stores.values())
    if (source === 'project') expect(untrusted === undefined).toBe(config.project.trusted);
  return config.project;
};
const pin = async (env: Record<string, string> = {}): Promise<void> =>
  writePin(machine.world('home/r/p'), await project(env));
const names = async (env: Record<string, string> = {}): Promise<readonly string[]> =>
  (await project(env)).files.map(({ name }) => name);

const STORE = { stores: { g: { provider: 'gcp', project: 'p', credentials: './gcp.json' } } };

test('a credentials file: another content asks again, the old one is trusted as before', async () => {
  write(STORE);
  file('p/gcp.json', '{"type":"service_account"}');
  await pin();
  expect((await project()).trusted).toBe(true);
  file('p/gcp.json', '{"type":"external_account"}');
  expect((await project()).trusted).toBe(false);
  file('p/gcp.json', '{"type":"service_account"}');
  expect((await project()).trusted).toBe(true);
});

test.each([
  ['removed', () => rmSync(join(machine.home, 'r/p/gcp.json'))],
  [
    'made a link to another file',
    () => {
      rmSync(join(machine.home, 'r/p/gcp.json'));
      symlinkSync(file('other.json', 'two'), join(machine.home, 'r/p/gcp.json'));
    },
  ],
  [
    'made a folder',
    () => {
      rmSync(join(machine.home, 'r/p/gcp.json'));
      mkdirSync(join(machine.home, 'r/p/gcp.json'));
    },
  ],
])('one that is %s asks again', async (_, change) => {
  write(STORE);
  file('p/gcp.json');
  await pin();
  change();
  expect((await project()).trusted).toBe(false);
});

test('one that was not there and comes, or whose link leads elsewhere by now, asks again', async () => {
  write(STORE);
  await pin();
  expect((await project()).files).toMatchObject([{ name: 'gcp.json', sha256: 'missing' }]);
  expect((await project()).trusted).toBe(true);
  machine.write('elsewhere/one.json', 'one');
  machine.write('elsewhere/two.json', 'two');
  const link = join(machine.home, 'r/p/gcp.json');
  symlinkSync(join(machine.root, 'elsewhere/one.json'), link);
  expect((await project()).trusted).toBe(false);
  await pin();
  expect((await project()).trusted).toBe(true);
  symlinkSync(join(machine.root, 'elsewhere/two.json'), `${link}.new`);
  renameSync(`${link}.new`, link);
  expect((await project()).trusted).toBe(false);
});

test('each setting of each provider that names a file, also in a profile; not folders, logs or the user’s own', async () => {
  for (const name of ['k', 'i', 'ca.pem', 't', 'n', 'j', 'x.pem', 'f', 'ci.pem']) file(`p/${name}`);
  machine.write('home/own.pem', 'one');
  machine.write('elsewhere.pem', 'one');
  write({
    stores: {
      l: { provider: 'local', path: './s', key: { file: 'k', identity: 'i' } },
      v: {
        provider: 'vault',
        ca: './ca.pem',
        auth: { method: 'token', 'token-file': 't' },
        trail: { file: 'f' },
      },
      c: { provider: 'conjur', ca: '~/own.pem', auth: { method: 'jwt', netrc: 'n', 'jwt-file': 'j' } },
      a: {
        provider: 'azure',
        ca: join(machine.root, 'elsewhere.pem'),
        auth: { certificate: `${machine.home}/r/p/x.pem` },
      },
    },
    profiles: { ci: { stores: { v: { provider: 'vault', ca: 'ci.pem' } } } },
  });
  expect(await names()).toEqual(['ca.pem', 'ci.pem', 'i', 'j', 'k', 'n', 't', 'x.pem']);
});

test('hooks, programs and authorities of rotations, notifications and sinks, and scripts among the arguments', async () => {
  for (const name of [
    'p/apply',
    'tools/verify.sh',
    'p/x.js',
    'p/ca.pem',
    'p/told',
    'p/hook-ca.pem',
    'p/sink.pem',
    'p/conf',
  ])
    file(name);
  write({
    rotation: {
      notify: [{ program: './told' }, { url: 'https://x.example', ca: 'hook-ca.pem' }],
      'local://a': {
        target: {
          type: 'program',
          apply: './apply',
          verify: ['sh', '-c', 'exec ../tools/verify.sh --c=conf'],
        },
      },
      'local://b': { target: { type: 'program', apply: ['node', 'x.js', './missing.js'] } },
      'local://c': { target: { type: 'postgres', host: 'db', ca: 'ca.pem' } },
    },
    audit: { sinks: { s: { type: 'otlp', url: 'https://x.example/v1/logs', ca: 'sink.pem' } } },
  });
  expect(await names()).toEqual([
    '../tools/verify.sh',
    'apply',
    'ca.pem',
    'conf',
    'hook-ca.pem',
    'missing.js',
    'sink.pem',
    'told',
    'x.js',
  ]);
  await pin();
  for (const changed of ['tools/verify.sh', 'p/conf', 'p/missing.js']) {
    file(changed, 'two');
    expect((await project()).trusted).toBe(false);
    await pin();
    expect((await project()).trusted).toBe(true);
  }
});

test('programs that PATH finds in the repository, plugins too', async () => {
  const PATH = `${machine.home}/r/bin:/usr/bin:bin`;
  file('bin/secrets-provider-x');
  file('bin/hook');
  write({
    stores: { x: { provider: 'exec', plugin: 'x' } },
    rotation: { 'local://a': { target: { type: 'program', apply: 'hook' } } },
  });
  expect(await names({ PATH })).toEqual(['../bin/hook', '../bin/secrets-provider-x']);
  expect(await names({ PATH: '/usr/bin' })).not.toContain('../bin/hook');
});

test('a relative folder of PATH makes no program of a file that was not looked at', async () => {
  expectContents([], () => '');
  const folder = join(machine.home, 'r/p');
  for (const name of ['p/own-hook', 'p/bin/own-hook']) chmodSync(file(name, '#!/bin/sh\nexit 0\n'), 0o755);
  const run = (command: readonly string[], PATH: string): ReturnType<typeof runHook> =>
    runHook(
      command,
      {},
      [],
      '',
      { folder, env: { ...process.env, PATH }, credentialVariables: [] },
      new AbortController().signal,
    );
  for (const entry of ['bin', './bin', '.', '']) {
    const PATH = `${entry}:/usr/bin:/bin`;
    await expect(run(['own-hook'], PATH)).rejects.toMatchObject({ kind: 'Usage' });
    await expect(run(['sh', '-c', 'own-hook'], PATH)).resolves.toMatchObject({ code: 127 });
  }
  await expect(run(['own-hook'], 'bin')).rejects.toMatchObject({ kind: 'Usage' });
  await expect(run(['own-hook'], `${folder}/bin:/usr/bin:/bin`)).resolves.toMatchObject({ code: 0 });
});

test('SECRETS_TRUSTED is for all: what sha256sum says of the list that it prints', async () => {
  write({
    stores: { v: { provider: 'vault', ca: 'ca.pem', auth: { method: 'token', 'token-file': '../t' } } },
  });
  file('p/ca.pem');
  file('t');
  const { files, realPath } = await project();
  const list = execFileSync('sha256sum', [basename(realPath), ...files.map(({ name }) => name)], {
    cwd: dirname(realPath),
  });
  const hash = execFileSync('sha256sum', { input: list }).toString().slice(0, 64);
  const env = { SECRETS_TRUSTED: hash };
  expect((await project(env)).trusted).toBe(true);
  file('t', 'two');
  expect((await project(env)).trusted).toBe(false);
  expect((await machine.load('home/r/p', {}, { env })).warnings).toEqual([
    expect.stringContaining('and the files it names') as string,
  ]);
});

test('the hash is of what was read: a file that changes while the question is open is not accepted', async () => {
  write(STORE);
  file('p/gcp.json');
  const shown = await project();
  file('p/gcp.json', 'two');
  writePin(machine.world('home/r/p'), shown);
  expect((await project()).trusted).toBe(false);
  expect(findPin(machine.world('home/r/p'), shown.realPath)?.files).toEqual(shown.files);
});

test('one that changes between the look at trust and its use is not used', async () => {
  write({
    stores: { v: { provider: 'vault', ca: 'ca.pem', auth: { method: 'token', 'token-file': 't' } } },
    rotation: { 'local://a': { target: { type: 'program', apply: ['sh', 'hook.sh'] } } },
  });
  const ca = file('p/ca.pem');
  const token = file('p/t');
  const folder = dirname(ca);
  file('p/hook.sh', 'exit 0');
  await pin();
  expect((await project()).trusted).toBe(true);
  const hook = (): Promise<unknown> =>
    runHook(
      ['sh', 'hook.sh'],
      {},
      [],
      '',
      { folder, env: process.env, credentialVariables: [] },
      new AbortController().signal,
    );
  expect(readText(ca, 'the CA certificate')).toBe('one');
  await expect(hook()).resolves.toMatchObject({ code: 0 });

  // Now somebody writes what nobody has trusted, and puts the old content back afterwards.
  file('p/ca.pem', 'evil');
  expect(() => readText(ca, 'the CA certificate')).toThrow(/ca\.pem has changed since it was trusted/);
  file('p/ca.pem');
  expect(readText(ca, 'the CA certificate')).toBe('one');
  chmodSync(token, 0o600);
  expect(readUnlockFile(token, 'the token')?.toString()).toBe('one');
  writeFileSync(token, 'evil');
  expect(() => readUnlockFile(token, 'the token')).toThrow(/has changed since/);
  await expect(hook()).rejects.toMatchObject({ kind: 'Policy' });
  file('p/t');
  file('p/hook.sh', ': > ran');
  await expect(hook()).rejects.toMatchObject({ kind: 'Policy' });
  expect(existsSync(join(folder, 'ran'))).toBe(false);
});

test('a file that can’t be read, and a pipe, hang nothing', async () => {
  write({
    stores: { v: { provider: 'vault', ca: 'pipe', auth: { method: 'token', 'token-file': 'closed' } } },
  });
  execFileSync('mkfifo', [join(machine.home, 'r/p/pipe')]);
  writeFileSync(join(machine.home, 'r/p/closed'), 'x');
  chmodSync(join(machine.home, 'r/p/closed'), 0);
  expect((await names()).filter((name) => name !== 'closed')).toEqual([]);
});
