/** The provider with stores that are servers (AWS, Vault): the same promises, and what a store of its own kind adds. */
import { scenarioFiles, startAws } from '../backends/aws.ts';
import { scenarioFiles as vaultFiles, startVault } from '../backends/vault.ts';
import { startConjur } from '../backends/conjur.ts';
import { TOFU } from '../backends/vault-clients.ts';
import { describeWith } from '../backends/server.ts';
import { accesses, filesWith, makeProject, type Project } from './kit.ts';

const CANARY = 'c4n4ry-As7/Mw3+Zx9';
const APPLY = 'tofu apply -auto-approve';

describeWith('the provider on AWS', [TOFU, ...scenarioFiles], () => {
  let aws: Awaited<ReturnType<typeof startAws>>;
  let project: Project;
  beforeAll(async () => {
    aws = await startAws();
    project = await makeProject({ ...aws.admin, TF_LOG: 'TRACE', TF_LOG_PATH: 'trace.log' });
  });
  afterAll(async () => {
    await project.remove();
    await aws.stop();
  });

  test('writes and reads without a value in a file, and destroys so that it can be restored', async () => {
    const config = (version: number): string => `
variable "value" {
  type      = string
  ephemeral = true
}
resource "secrets_secret" "db" {
  ref              = "aws://app/db"
  value_wo         = var.value
  value_wo_version = ${version}
}
ephemeral "secrets_secret" "db" {
  ref = secrets_secret.db.version == "" ? "" : "aws://app/db#password"
}
resource "secrets_secret" "copy" {
  ref              = "aws://copy"
  value_wo         = ephemeral.secrets_secret.db.value
  value_wo_version = ${version}
}
`;
    const TF_VAR_value = JSON.stringify({ password: CANARY });
    project.write(config(1));
    const { stdout, stderr } = await project.ok(`${APPLY} && tofu plan -out plan.bin`, { TF_VAR_value });
    expect(stdout + stderr).not.toContain(CANARY);
    expect((await project.ok('secrets get aws://copy')).stdout).toBe(CANARY);
    project.write(config(2));
    await project.ok(APPLY, { TF_VAR_value: JSON.stringify({ password: `${CANARY}2` }) });
    expect((await project.ok('secrets get aws://copy')).stdout).toBe(`${CANARY}2`);
    await project.ok('tofu destroy -auto-approve', { TF_VAR_value });
    expect(await filesWith(project, CANARY)).toEqual([]);
    // AWS keeps the name of a deleted secret.
    const again = await project.sh(APPLY, { TF_VAR_value });
    expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/aws:\/\/app\/db: [^]*restore/)]);
    await project.ok('secrets restore aws://app/db');
    expect((await project.ok('secrets get aws://app/db#password')).stdout).toBe(`${CANARY}2`);
    const own = project.records().filter(({ command }) => command?.startsWith('terraform'));
    expect(accesses(own)).toEqual(
      expect.arrayContaining([
        'terraform resource: write aws://app/db allowed',
        'terraform ephemeral: read aws://app/db allowed',
        'terraform resource: delete aws://app/db allowed',
      ]),
    );
    expect(new Set(own.map(({ client }) => client))).toEqual(new Set(['OpenTofu']));
  });

  test('an ARN is another spelling of a name', async () => {
    const config = (ref: string, version: number): string =>
      `resource "secrets_secret" "a" {\n  ref = "${ref}"\n  value_wo = "v${version}"\n  value_wo_version = ${version}\n}\n`;
    project.write(config('aws://named', 1));
    await project.ok(APPLY);
    const { stdout } = await project.ok('secrets get aws://named --metadata --json');
    const { nativeId } = JSON.parse(stdout) as { nativeId: string };
    project.write(config(nativeId, 1));
    expect((await project.ok(APPLY)).stdout).toContain('0 added, 1 changed, 0 destroyed');
    project.write(config(nativeId, 2));
    expect((await project.ok(APPLY)).stdout).toContain('0 added, 1 changed, 0 destroyed');
    expect((await project.ok('secrets get aws://named')).stdout).toBe('v2');
    // Another name is another secret.
    project.write(config('aws://renamed', 2));
    expect((await project.ok(APPLY)).stdout).toContain('1 added, 0 changed, 1 destroyed');
    expect((await project.ok('secrets get aws://renamed')).stdout).toBe('v2');
    expect((await project.sh('secrets get aws://named')).code).toBe(3);
  });
});

describeWith('the provider on Vault', [TOFU, ...vaultFiles], () => {
  let vault: Awaited<ReturnType<typeof startVault>>;
  let project: Project;
  beforeAll(async () => {
    vault = await startVault();
    project = await makeProject({ VAULT_ADDR: vault.url, VAULT_TOKEN: vault.token });
    await project.ok(
      `echo 'stores: { old: { provider: vault, address: "${vault.url}", mount: kv1 } }' > secrets.yaml; secrets trust --yes`,
    );
  });
  afterAll(async () => {
    await project.remove();
    await vault.stop();
  });

  test('reads the keys of a map, and writes one that other clients read', async () => {
    await vault.api('POST', 'secret/data/db', { data: { password: CANARY } });
    project.write(`
ephemeral "secrets_secret" "db" {
  ref = "vault://db"
}
resource "secrets_secret" "copy" {
  ref      = "vault://copy"
  value_wo = jsonencode({ user = "ann", password = ephemeral.secrets_secret.db.data["password"] })
}
`);
    await project.ok(APPLY);
    expect(await vault.api('GET', 'secret/data/copy')).toMatchObject({
      data: { data: { user: 'ann', password: CANARY } },
    });
    expect(await filesWith(project, CANARY)).toEqual([]);
    expect((await project.sh('tofu plan -detailed-exitcode')).code).toBe(0);
    await project.ok('tofu destroy -auto-approve && secrets restore vault://copy');
  });

  test('an imported secret without a value gets its first one, unless somebody else is first', async () => {
    await vault.api('POST', 'secret/metadata/empty', { max_versions: 5 });
    project.write(
      'resource "secrets_secret" "e" {\n  ref = "vault://empty"\n  value_wo = "mine"\n  value_wo_version = 1\n}\n',
    );
    await project.ok('tofu import secrets_secret.e vault://empty && tofu plan -out plan.bin');
    await project.ok('printf theirs | secrets put vault://empty');
    const refused = await project.sh('tofu apply plan.bin');
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('already exists')]);
    expect((await project.ok('secrets get vault://empty')).stdout).toBe('theirs');
    await project.ok('tofu state rm secrets_secret.e && secrets purge vault://empty --yes');
    await vault.api('POST', 'secret/metadata/empty', { max_versions: 5 });
    await project.ok(`tofu import secrets_secret.e vault://empty && ${APPLY}`);
    expect((await project.ok('secrets get vault://empty')).stdout).toBe('mine');
    await project.ok('tofu destroy -auto-approve');
  });

  test('without versions and soft delete it still overwrites nothing, and destroys nothing for good', async () => {
    await vault.api('POST', 'kv1/theirs', { value: 'theirs' });
    const config = (name: string, version: number): string =>
      `resource "secrets_secret" "x" {\n  ref = "old://${name}"\n  value_wo = "v${version}"\n  value_wo_version = ${version}\n}\n`;
    project.write(config('theirs', 1));
    const refused = await project.sh(APPLY);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining('already exists, and is not in the state'),
    ]);
    expect((await project.ok('secrets get old://theirs#value')).stdout).toBe('theirs');
    project.write(config('mine', 1));
    await project.ok(APPLY);
    project.write(config('mine', 2));
    const { stdout } = await project.ok(APPLY);
    expect(stdout).toContain('Warning: old://mine is overwritten, whatever it has');
    expect((await project.ok('secrets get old://mine')).stdout).toBe('v2');
    const kept = await project.sh('tofu destroy -auto-approve');
    expect([kept.code, kept.stderr]).toEqual([1, expect.stringContaining('secrets purge old://mine')]);
    expect((await project.ok('secrets get old://mine')).stdout).toBe('v2');
    await project.ok('secrets purge old://mine --yes && tofu destroy -auto-approve');
  });
});

describeWith('the provider on Conjur', [TOFU], () => {
  let conjur: Awaited<ReturnType<typeof startConjur>>;
  let project: Project;
  beforeAll(async () => {
    conjur = await startConjur();
    project = await makeProject(conjur.env());
  });
  afterAll(async () => {
    await project.remove();
    await conjur.stop();
  });

  test('a variable that is declared gets its first value; one that has a value keeps it', async () => {
    project.write(
      'resource "secrets_secret" "x" {\n  ref = "conjur://shared/writable"\n  value_wo = "mine"\n}\n',
    );
    await project.ok(APPLY);
    expect((await project.ok('secrets get conjur://shared/writable')).stdout).toBe('mine');
    await project.ok(
      'tofu state rm secrets_secret.x && printf theirs | secrets put conjur://shared/writable',
    );
    const refused = await project.sh(APPLY);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('already exists')]);
    expect((await project.ok('secrets get conjur://shared/writable')).stdout).toBe('theirs');
  });
});
