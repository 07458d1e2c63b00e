/** `ephemeral` and `data`, with the real OpenTofu on the local store: what is read, and what ends up where. */
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { TOFU } from '../backends/vault-clients.ts';
import { describeWith } from '../backends/server.ts';
import { accesses, filesWith, lineIn, makeProject, type Project, stateOf } from './kit.ts';

const CANARY = 'c4n4ry-Tq7/Mw3+Zx9';

describeWith('the blocks that read', [TOFU], () => {
  let project: Project;
  beforeEach(async () => {
    project = await makeProject();
    await project.ok('printf %s "$V" | secrets put app/db', {
      V: JSON.stringify({ user: 'ann', password: CANARY }),
    });
  });
  afterEach(() => project.remove());

  const TRACE = { TF_LOG: 'TRACE', TF_LOG_PATH: 'trace.log' };

  test('a value of an ephemeral resource is in no state, no plan file, no log and no temporary file', async () => {
    project.write(`
ephemeral "secrets_secret" "db" {
  ref = "app/db"
}
ephemeral "secrets_secret" "password" {
  ref = "local://app/db#password"
}
resource "secrets_secret" "copy" {
  ref              = "copy/db"
  value_wo         = ephemeral.secrets_secret.db.data["password"] == ephemeral.secrets_secret.password.value ? ephemeral.secrets_secret.db.value : "different"
  value_wo_version = 1
}
`);
    const planned = await project.ok('tofu plan -out plan.bin', TRACE);
    const applied = await project.ok('tofu apply plan.bin', TRACE);
    expect(planned.stdout + planned.stderr + applied.stdout + applied.stderr).not.toContain(CANARY);
    expect((await project.ok('secrets get copy/db#password')).stdout).toBe(CANARY);
    expect(readFileSync(join(project.place.cwd, 'trace.log'), 'utf8')).toContain('OpenEphemeralResource');
    expect(await filesWith(project, CANARY)).toEqual([]);
    expect((await project.sh('tofu plan -detailed-exitcode')).code).toBe(0);
  });

  test('every access is recorded, with the kind of block and the program that asked', async () => {
    project.write('ephemeral "secrets_secret" "db" {\n  ref = "app/db#user"\n}\n');
    await project.ok('tofu plan');
    const records = project.records().filter(({ command }) => command?.startsWith('terraform'));
    expect(accesses(records)).toEqual(['terraform ephemeral: read local://app/db allowed']);
    expect(records[0]).toMatchObject({ client: 'OpenTofu', keys: ['user'] });
  });

  test('data puts the value into the state and a saved plan, and says so', async () => {
    project.write('data "secrets_secret" "db" {\n  ref = "app/db#password"\n}\n');
    const { stdout } = await project.ok('tofu plan -out plan.bin && tofu apply plan.bin', TRACE);
    expect(stdout).toContain('Warning: This secret is stored in the state');
    expect(stdout).not.toContain(CANARY);
    expect(await filesWith(project, CANARY)).toEqual(['cwd/terraform.tfstate', 'plans/plan.bin/tfstate']);
    expect(stateOf(project)?.resources[0]?.instances[0]?.attributes).toMatchObject({
      ref: 'app/db#password',
      value: CANARY,
      version: '1',
    });
  });

  test.each([
    ['a malformed reference', 'ephemeral', 'ref = "local://app//db"', 'ref = "local://app//db"'],
    ['a store that is not there', 'ephemeral', 'ref = "prdo://app/db"', 'no store named prdo'],
    ['a missing secret', 'ephemeral', 'ref = "app/bd"', 'not found'],
    ['a missing key', 'data', 'ref = "app/db#passwrod"', 'has no key passwrod'],
    ['an encoding', 'data', 'ref = "app/db"\n  encoding = "hex"', 'the encoding is text or base64'],
  ])('%s is an error on its attribute', async (_what, kind, line, message) => {
    project.write(`${kind} "secrets_secret" "db" {\n  ${line}\n}\n`);
    const { stdout, stderr, code } = await project.sh('tofu plan');
    expect(code).toBe(1);
    const shown = stdout + stderr;
    expect(shown).toContain(message);
    expect(lineIn(shown)).toBe(line.split('\n').at(-1)?.trim());
  });

  test('a value that is no text comes as base64; one that OpenTofu would change is refused', async () => {
    await project.ok(String.raw`printf '\377\376' | secrets put bin && printf 'e\314\201' | secrets put nfd`);
    project.write('data "secrets_secret" "bin" {\n  ref = "bin"\n  encoding = "base64"\n}\n');
    await project.ok('tofu apply -auto-approve');
    expect(stateOf(project)?.resources[0]?.instances[0]?.attributes['value']).toBe('//4=');
    for (const [ref, message] of [
      ['bin', 'the value is not UTF-8 text'],
      ['nfd', 'would change'],
    ]) {
      project.write(`data "secrets_secret" "it" {\n  ref = "${ref}"\n}\n`);
      const { stderr, code } = await project.sh('tofu plan');
      expect([code, stderr]).toEqual([1, expect.stringContaining(message as string)]);
      expect(stderr.replaceAll(/\s+│?\s*/g, ' ')).toContain('Set encoding = "base64"');
    }
  });

  test('secrets_list gives names and references, secrets_generate a value that is kept nowhere', async () => {
    await project.ok('printf x | secrets put app/b');
    project.write(`
data "secrets_list" "app" {
  prefix = "app/"
}
output "refs" {
  value = data.secrets_list.app.refs
}
ephemeral "secrets_generate" "password" {
  spec = "hex:20"
}
resource "secrets_secret" "new" {
  ref      = "new"
  value_wo = ephemeral.secrets_generate.password.value
}
`);
    await project.ok('tofu apply -auto-approve');
    expect((await project.ok('tofu output -json refs')).stdout.trim()).toBe(
      '["local://app/b","local://app/db"]',
    );
    const made = (await project.ok('secrets get new')).stdout;
    expect(made).toMatch(/^[0-9a-f]{40}$/);
    expect(await filesWith(project, made)).toEqual([]);
  });

  test('a secrets.yaml that is not trusted, in the folder OpenTofu runs in, is as for any command', async () => {
    await project.ok(
      `echo 'stores: { team: { provider: vault, address: "https://vault.example" } }' > secrets.yaml`,
    );
    project.write('ephemeral "secrets_secret" "db" {\n  ref = "team://db"\n}\n');
    const { stderr, code } = await project.sh('tofu plan');
    expect(code).toBe(1);
    expect(stderr).toContain('secrets trust');
    expect(accesses(project.records())).toContain('terraform ephemeral: read team://db denied');
  });

  test('the settings of the provider block apply', async () => {
    await project.ok(
      `printf '%s\\n' 'stores: { elsewhere: { provider: local, path: ./s } }' 'profiles: { ci: { default: elsewhere } }' > secrets.yaml
      secrets trust --yes && printf x | secrets put elsewhere://app/only-there`,
    );
    const block = (settings: string): void =>
      project.write(
        `provider "secrets" {\n  ${settings}\n}\nephemeral "secrets_secret" "db" {\n  ref = "app/only-there"\n}\n`,
      );
    block('profile = "ci"\n  reason = "a deployment"');
    await project.ok('tofu plan');
    expect(project.records().at(-1)).toMatchObject({
      command: 'terraform ephemeral',
      store: 'elsewhere',
      secret: 'app/only-there',
      reason: 'a deployment',
    });
    for (const [line, message] of [
      ['store = "nowhere"', 'no store named nowhere'],
      ['profile = "nobody"', 'no profile named "nobody"'],
      ['timeout = "soon"', 'soon'],
    ] as const) {
      block(line);
      const { code, stderr } = await project.sh('tofu plan');
      expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
      expect(lineIn(stderr)).toBe(line);
    }
  });
});
