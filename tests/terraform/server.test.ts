/** The provider with a store that is a server (AWS): the same promises, and what a store of its own kind adds. */
import { scenarioFiles, startAws } from '../backends/aws.ts';
import { TOFU } from '../backends/opentofu.ts';
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
});
