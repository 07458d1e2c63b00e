/** How the provider is installed, starts and ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { TOFU } from '../backends/vault-clients.ts';
import { describeWith } from '../backends/server.ts';
import { makePlace, NODE, type Place, PROGRAM } from '../e2e/program.ts';
import { filesWith, lineIn, makeProject, type Project, providersOf, until } from './kit.ts';

const SOURCE = 'secrets.localhost/cli/secrets';
const COOKIE = 'd602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2';

describe('secrets terraform install', () => {
  let place: Place;
  beforeEach(async () => {
    place = await makePlace();
  });
  afterEach(() => place.remove());

  test('writes one script for each platform, and nothing the second time', async () => {
    const first = await place.sh('umask 077; secrets terraform install --json');
    const { mirror, written } = JSON.parse(first.stdout) as { mirror: string; written: string[] };
    expect(mirror).toBe(join(place.home, '.terraform.d/plugins'));
    expect(written.map((path) => path.slice(mirror.length + 1))).toEqual(
      ['darwin_amd64', 'darwin_arm64', 'linux_amd64', 'linux_arm64'].map(
        (platform) => `${SOURCE}/0.1.0/${platform}/terraform-provider-secrets_v0.1.0`,
      ),
    );
    for (const path of written) expect(statSync(path).mode & 0o777).toBe(0o755);
    expect(new Set(written.map((path) => readFileSync(path, 'utf8'))).size).toBe(1);
    const again = await place.sh('secrets terraform install --json');
    expect((JSON.parse(again.stdout) as { written: string[] }).written).toEqual([]);
    writeFileSync(written[0] ?? '', 'something else');
    const third = await place.sh('secrets terraform install --json');
    expect((JSON.parse(third.stdout) as { written: string[] }).written).toEqual([written[0]]);
    // Others can read what root installs for all, whatever the umask is.
    for (const folder of ['', '.terraform.d', '.terraform.d/plugins', `.terraform.d/plugins/${SOURCE}`])
      expect(statSync(join(place.home, folder)).mode & 0o777).toBe(folder === '' ? 0o700 : 0o755);
    // Nothing else is in the home folder, no configuration of OpenTofu's either.
    expect(readdirSync(place.home)).toEqual(['.terraform.d']);
  });

  test('--dry-run writes nothing; a folder of its own comes with the lines that name it', async () => {
    const { stdout } = await place.sh('secrets terraform install --dry-run --mirror m');
    expect(stdout.split('\n').filter((line) => line.endsWith(': would be written'))).toHaveLength(4);
    expect(readdirSync(place.cwd)).toEqual([]);
    const real = await place.sh('secrets terraform install --mirror m');
    expect(real.stdout).toContain(`path    = "${join(place.cwd, 'm')}"`);
    expect(real.stdout).toContain('# In your CLI configuration (~/.tofurc, ~/.terraformrc):');
    expect(readdirSync(join(place.cwd, 'm'))).toEqual(['secrets.localhost']);
  });

  test('says where secrets is not found, and follows SECRETS_PROGRAM', async () => {
    const install = `'${NODE}' '${PROGRAM}' terraform install --dry-run`;
    const bare = { PATH: '/usr/bin:/bin' };
    expect((await place.sh(install, bare)).stderr).toContain(
      'secrets is not on PATH, where the provider looks',
    );
    expect((await place.sh(install, { ...bare, SECRETS_PROGRAM: PROGRAM })).stderr).toBe('');
    const wrong = await place.sh(install, { ...bare, SECRETS_PROGRAM: '/no/such/secrets' });
    expect(wrong.stderr).toContain('SECRETS_PROGRAM, which the provider runs, is not a program');
  });

  test.each([
    ['by a person', {}, 'run secrets terraform install'],
    [
      'with another protocol',
      { TF_PLUGIN_MAGIC_COOKIE: COOKIE, PLUGIN_PROTOCOL_VERSIONS: '4,5' },
      'use OpenTofu 1.11 or Terraform 1.11',
    ],
    [
      'without a certificate',
      { TF_PLUGIN_MAGIC_COOKIE: COOKIE, PLUGIN_PROTOCOL_VERSIONS: '5,6' },
      'TF_DISABLE_PLUGIN_TLS',
    ],
  ])('the provider does not start %s', async (_how, env, message) => {
    const { code, stderr } = await place.sh('secrets terraform serve', env);
    expect([code === 0, stderr]).toEqual([false, expect.stringContaining(message)]);
    expect(readdirSync(place.tmp)).toEqual([]);
  });
});

/** A server that takes connections and never answers. */
async function makeSilent(): Promise<{
  readonly server: Server;
  readonly asked: Promise<Socket>;
  port: number;
}> {
  const server = createServer();
  const asked = once(server, 'connection').then(([socket]) => {
    const connection = socket as Socket;
    connection.on('error', () => {});
    // One whose data nobody takes never ends.
    return connection.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, asked, port: (server.address() as AddressInfo).port };
}

describeWith('the provider in OpenTofu', [TOFU], () => {
  let project: Project;
  beforeEach(async () => {
    project = await makeProject();
  });
  afterEach(() => project.remove());

  test('init writes a lock file whose hash holds on every platform', async () => {
    const lock = readFileSync(join(project.place.cwd, '.terraform.lock.hcl'), 'utf8');
    expect(lock).toMatch(/^provider "secrets\.localhost\/cli\/secrets" \{\n +version += "0\.1\.0"$/m);
    const own = /"(h1:[^"]+)"/.exec(lock)?.[1];
    await project.ok(
      'tofu providers lock -fs-mirror ~/.terraform.d/plugins -platform=darwin_arm64 -platform=linux_arm64',
    );
    const all = readFileSync(join(project.place.cwd, '.terraform.lock.hcl'), 'utf8').match(/h1:[^"]+/g);
    expect(new Set(all)).toEqual(new Set([own]));
  });

  test('says what is missing where secrets is not on PATH', async () => {
    project.write('ephemeral "secrets_generate" "x" {\n}\n');
    const { code, stdout, stderr } = await project.sh('PATH=/usr/bin:/bin "$T" plan', { T: TOFU });
    expect([code, (stdout + stderr).replaceAll(/\s+/g, ' ')]).toEqual([
      1,
      expect.stringContaining('secrets is not on PATH'),
    ]);
  });

  test('a provider that is killed in the middle leaves no value in a log or a crash report', async () => {
    const canary = 'c4n4ry-Ks7/Mw3+Zx9';
    await project.ok('printf %s "$V" | secrets put a', { V: canary });
    project.write(`
ephemeral "secrets_secret" "a" {
  ref = "a"
}
resource "terraform_data" "wait" {
  depends_on = [ephemeral.secrets_secret.a]
  provisioner "local-exec" {
    command = "touch started; until test -e killed; do sleep 0.1; done"
  }
}
resource "secrets_secret" "b" {
  ref        = "b"
  value_wo   = ephemeral.secrets_secret.a.value
  depends_on = [terraform_data.wait]
}
`);
    const { place } = project;
    const applied = project.sh('tofu apply -auto-approve', { TF_LOG: 'TRACE', TF_LOG_PATH: 'trace.log' });
    await until(() => existsSync(join(place.cwd, 'started')));
    const running = providersOf(place);
    expect(running).toHaveLength(1);
    for (const pid of running) process.kill(pid, 'SIGKILL');
    await until(() => providersOf(place).length === 0);
    writeFileSync(join(place.cwd, 'killed'), '');
    const { code, stdout, stderr } = await applied;
    expect(code).toBe(1);
    // A call about a resource: b is the only one of this provider.
    expect(stderr.replaceAll(/\s+/g, ' ')).toMatch(
      /Error: Plugin did not respond .*GRPCProvider\)\.\w+Resource\w+ call/,
    );
    expect(stdout + stderr).not.toContain(canary);
    expect(await filesWith(project, canary)).toEqual([]);
    expect((await project.sh('secrets get b')).code).toBe(3);
  });

  test('a setting of the provider that is not known yet is an error on it', async () => {
    project.write(`
resource "terraform_data" "name" {
  input = "x"
}
provider "secrets" {
  profile = terraform_data.name.id
}
data "secrets_list" "all" {
}
`);
    const { code, stderr } = await project.sh('tofu plan');
    expect([code, stderr]).toEqual([1, expect.stringContaining('profile must be known')]);
    expect(lineIn(stderr)).toBe('profile = terraform_data.name.id');
  });

  test('leaves no process and no socket', async () => {
    project.write('ephemeral "secrets_generate" "x" {\n}\n');
    await project.ok('tofu plan');
    await until(() => providersOf(project.place).length === 0);
    expect(readdirSync(project.place.tmp)).toEqual([]);
  });

  test.each([
    ['Ctrl-C aborts a call in progress', 'SIGINT', true],
    ['a killed OpenTofu takes the provider with it', 'SIGKILL', false],
  ] as const)('%s', async (_what, signal, group) => {
    const { server, asked, port } = await makeSilent();
    const { place, env } = project;
    writeFileSync(
      join(place.cwd, 'secrets.yaml'),
      `stores: { slow: { provider: vault, address: "http://127.0.0.1:${port}" } }\n`,
    );
    await project.ok('secrets trust --yes');
    project.write(
      'provider "secrets" {\n  timeout = "200s"\n}\nephemeral "secrets_secret" "x" {\n  ref = "slow://x"\n}\n',
    );
    const tofu = spawn(TOFU, ['plan'], {
      cwd: place.cwd,
      env: { ...place.env, ...env, VAULT_TOKEN: 'hvs.test' },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let shown = '';
    for (const stream of [tofu.stdout, tofu.stderr])
      stream.on('data', (chunk: Buffer) => {
        shown += chunk.toString();
      });
    try {
      const socket = await asked;
      const gone = once(socket, 'close');
      const exit = once(tofu, 'close');
      expect(providersOf(place)).not.toEqual([]);
      // A terminal sends it to every process of the group.
      process.kill(group ? -(tofu.pid ?? 0) : (tofu.pid ?? 0), signal);
      expect(await exit).toEqual(group ? [1, null] : [null, signal]);
      await gone;
      await until(() => providersOf(place).length === 0);
      expect(readdirSync(place.tmp)).toEqual([]);
      if (group) expect(shown).toMatch(/Interrupt received[^]*Error: /);
    } finally {
      server.close();
      if (tofu.exitCode === null && tofu.signalCode === null) tofu.kill('SIGKILL');
    }
  });
});
