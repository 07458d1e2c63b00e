/** docs/terraform.md: its first example as printed, each cell of its table, and the encryption that it shows. */
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TOFU, VAULT_PROVIDER } from '../backends/vault-clients.ts';
import { describeWith } from '../backends/server.ts';
import { localStore, openDoor, storesOf } from '../agent/vault/kit.ts';
import { formsOf, watchProcesses } from '../e2e/leak-watch.ts';
import { ROOT } from '../e2e/program.ts';
import { INSTALL, testNeeding } from '../needs.ts';
import { filesWith, makeProject, type Project, REQUIRED } from './kit.ts';

const page = readFileSync(join(ROOT, 'docs/terraform.md'), 'utf8');
/** The page's code blocks of a language, in order. */
const blocks = (language: string): readonly string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map(([, text = '']) => text);

const AGENT = '`data "vault_generic_secret"` of the Vault provider, from Vault or from the agent';
const VAULT_PROVIDER_THERE = {
  name: "Vault's provider for OpenTofu",
  met: existsSync(VAULT_PROVIDER),
  how: INSTALL,
  installable: true,
};
const CANARY = 'c4n4ry-Ds7/Mw3+Zx9';
const APPLY = 'tofu apply -auto-approve';

describeWith('docs/terraform.md', [TOFU], () => {
  let project: Project;
  beforeEach(async () => {
    project = await makeProject();
    await project.ok('printf %s "$V" | secrets put db', { V: CANARY });
  });
  afterEach(() => project.remove());

  test('the first example', async () => {
    const [install = '', run = ''] = blocks('sh');
    const [main = ''] = blocks('hcl');
    await project.ok(`rm -rf ~/.terraform.d .terraform .terraform.lock.hcl && ${install}`);
    writeFileSync(join(project.place.cwd, 'main.tf'), main);
    const { stdout } = await project.ok(run.replaceAll('\n', ' && ').replace(/ && $/, ''));
    expect(stdout).toMatch(/app$/);
    const password = (await project.ok('secrets get payments/db#password')).stdout;
    expect(password).toMatch(/^\w{32}$/);
    expect(await filesWith(project, password)).toEqual([]);
  });

  test('the lines that installing prints are those of the page', async () => {
    const { stdout } = await project.ok('secrets terraform install');
    const [main = ''] = blocks('hcl');
    const required = /^terraform \{[^]*?^\}/m;
    expect(required.exec(stdout)?.[0]).toBe(required.exec(main)?.[0]);
    expect(required.exec(REQUIRED)?.[0]).toBe(required.exec(main)?.[0]);
  });

  // A resource that keeps what it is given in the state, as most do.
  const USED = 'resource "terraform_data" "use" {\n  input = @\n}\n';
  const variable = (trait: string): string => `variable "x" {\n  type = string\n  ${trait} = true\n}\n`;
  const WRITTEN = 'resource "secrets_secret" "use" {\n  ref = "copy"\n  value_wo = @\n}\n';
  const CASES = [
    {
      way: '`ephemeral "secrets_secret"`',
      main: `ephemeral "secrets_secret" "x" {\n  ref = "db"\n}\n${WRITTEN}`,
      value: 'ephemeral.secrets_secret.x.value',
      variable: false,
    },
    {
      way: '`secrets exec` with `TF_VAR_x`, and `variable "x"` with `ephemeral = true`',
      main: `${variable('ephemeral')}${WRITTEN}`,
      value: 'var.x',
      variable: true,
    },
    {
      way: '`secrets exec` with `TF_VAR_x`, and `variable "x"` with `sensitive = true`',
      main: `${variable('sensitive')}${USED}`,
      value: 'var.x',
      variable: true,
    },
    {
      way: '`data "secrets_secret"`',
      main: 'data "secrets_secret" "x" {\n  ref = "db"\n}\n',
      value: '',
      variable: false,
    },
  ];

  /** Plans and applies, and compares what is found with the row of the page. */
  async function whatIsSaid(
    way: string,
    start: string,
    env: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const row = page.split('\n').find((line) => line.startsWith(`| ${way} |`)) ?? '';
    const [, state = '', plan = '', environment = '', log = ''] = row.split(' | ');
    const trace = { TF_LOG: 'TRACE', TF_LOG_PATH: 'trace.log', ...env };
    const planning = () => project.ok(`${start} tofu plan -out plan.bin`, trace);
    const { sightings, seen } = await watchProcesses(planning, formsOf(CANARY), () => false);
    expect([...seen].some((command) => /^\S*tofu plan/.test(command))).toBe(true);
    await project.ok(`${start} tofu apply plan.bin`, trace);
    const found = await filesWith(project, CANARY);
    const yes = (cell: string): boolean => cell !== '' && !cell.startsWith('no');
    expect(row).not.toBe('');
    expect({
      state: found.includes('cwd/terraform.tfstate'),
      plan: found.some((path) => path.startsWith('plans/')),
      environment: sightings.some(({ where, command }) => where === 'environ' && /^\S*tofu /.test(command)),
      log: found.includes('cwd/trace.log'),
    }).toEqual({ state: yes(state), plan: yes(plan), environment: yes(environment), log: yes(log) });
  }

  test.each(CASES)('what the table says of $way', async ({ way, main, value, variable: isVariable }) => {
    project.write(main.replace('@', value));
    await whatIsSaid(way, isVariable ? 'secrets exec -e TF_VAR_x=db --' : '');
  });

  testNeeding(VAULT_PROVIDER_THERE)('what the table says of the Vault provider', async () => {
    const { local, remove } = localStore();
    const call = { signal: AbortSignal.timeout(60_000) };
    await local.put('db', { value: Buffer.from(JSON.stringify({ it: CANARY })) }, call);
    const door = await openDoor(storesOf({ local }));
    try {
      const { cwd, home } = project.place;
      writeFileSync(
        join(cwd, 'main.tf'),
        `terraform {\n  required_providers {\n    vault = { source = "hashicorp/vault" }\n  }\n}
provider "vault" {\n  address = "${door.address}"\n}
data "vault_generic_secret" "x" {\n  path = "secret/db"\n}\n`,
      );
      writeFileSync(
        join(home, 'rc'),
        `provider_installation {
  dev_overrides { "registry.opentofu.org/hashicorp/vault" = "${VAULT_PROVIDER}" }\n  direct {}\n}\n`,
      );
      const env = { VAULT_TOKEN: door.token, TF_CLI_CONFIG_FILE: join(home, 'rc') };
      await whatIsSaid(AGENT, '', env);
    } finally {
      await door.stop();
      await remove();
    }
  });

  test('a sensitive variable that nothing uses lies in a saved plan, and in no state', async () => {
    project.write(`${variable('sensitive')}resource "terraform_data" "use" {\n}\n`);
    await project.ok('secrets exec -e TF_VAR_x=db -- tofu plan -out plan.bin');
    await project.ok('tofu apply plan.bin');
    expect(await filesWith(project, CANARY)).toEqual(['plans/plan.bin/tfplan']);
  });

  test('OpenTofu refuses an ephemeral value in an ordinary attribute', async () => {
    project.write(
      `ephemeral "secrets_secret" "x" {\n  ref = "db"\n}\n${USED.replace('@', 'ephemeral.secrets_secret.x.value')}`,
    );
    const { code, stderr } = await project.sh('tofu plan');
    expect([code, stderr]).toEqual([1, expect.stringContaining('phemeral')]);
  });

  test('state and plan encrypted with a key that is a secret', async () => {
    const encryption = blocks('hcl').find((text) => text.includes('encryption {')) ?? '';
    const key = blocks('sh').find((text) => text.includes('base64:32')) ?? '';
    copyFileSync(join(ROOT, 'examples/terraform/state-key.sh'), join(project.place.cwd, 'state-key.sh'));
    await project.ok(key);
    project.write(`${encryption}data "secrets_secret" "x" {\n  ref = "db"\n}\n`);
    await project.ok(`tofu plan -out plan.bin && tofu apply plan.bin`);
    expect(await filesWith(project, CANARY)).toEqual([]);
    expect((await project.ok('tofu state pull')).stdout).toContain(CANARY);
    const made = (await project.ok('secrets get tofu/state-key')).stdout;
    expect(await filesWith(project, made)).toEqual([]);

    // Another key, with the old one as the fallback of one apply.
    await project.ok(key);
    expect((await project.sh('tofu plan')).code).toBe(1);
    const old = encryption
      .replace(
        'method "aes_gcm"',
        `key_provider "external" "old" {\n      command = ["./state-key.sh", "tofu/state-key?version=1"]\n    }\n    method "aes_gcm" "old" {\n      keys = key_provider.external.old\n    }\n    method "aes_gcm"`,
      )
      .replaceAll(
        'enforced = true',
        'enforced = true\n      fallback {\n        method = method.aes_gcm.old\n      }',
      );
    project.write(`${old}data "secrets_secret" "x" {\n  ref = "db"\n}\noutput "new" {\n  value = 1\n}\n`);
    await project.ok(APPLY);
    project.write(
      `${encryption}data "secrets_secret" "x" {\n  ref = "db"\n}\noutput "new" {\n  value = 1\n}\n`,
    );
    await project.ok('tofu plan');
  });
});
