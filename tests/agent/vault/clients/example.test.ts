/**
 * The usual configuration for Vault, `provider "vault" { address = "http://127.0.0.1:8200" }` and a generic secret that
 * feeds a resource, with OpenTofu and HashiCorp's provider as docs/agent-vault.md prints it. Only the port is another.
 */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeWith, freePort } from '../../../backends/server.ts';
import { TOFU, VAULT_PROVIDER } from '../../../backends/vault-clients.ts';
import { ROOT } from '../../../e2e/program.ts';
import { type AgentPlace, makeAgentPlace } from '../../kit.ts';

const ADDRESS = '127.0.0.1:8200';
const page = readFileSync(join(ROOT, 'docs/agent-vault.md'), 'utf8');
const main = readFileSync(join(ROOT, 'examples/terraform/vault-provider/main.tf'), 'utf8');
const [, commands = ''] = /^## OpenTofu and Terraform\n[^]*?^```sh\n([^]*?)^```$/m.exec(page) ?? [];

test('the page shows the example as it is', () => {
  expect(page).toContain(`\`\`\`hcl\n${main}\`\`\``);
  expect(main).toMatch(/^provider "vault" \{ address = "http:\/\/127\.0\.0\.1:8200" \}$/m);
  expect(main).toMatch(/^data "vault_generic_secret" "/m);
});

describeWith('OpenTofu with the provider for Vault', [TOFU, VAULT_PROVIDER], () => {
  let place: AgentPlace;
  beforeEach(async () => {
    place = await makeAgentPlace();
  });
  afterEach(async () => {
    await place.sh('secrets agent stop');
    await place.remove();
  });

  test('a generic secret feeds a resource', async () => {
    const here = `127.0.0.1:${await freePort()}`;
    // Where OpenTofu looks for providers by itself.
    const plugins = '.terraform.d/plugins/registry.opentofu.org/hashicorp/vault/1.9.0';
    const platform = process.arch === 'arm64' ? 'linux_arm64' : 'linux_amd64';
    const folder = join(place.home, plugins, platform);
    mkdirSync(folder, { recursive: true });
    const program = join(folder, 'terraform-provider-vault_v1.9.0');
    symlinkSync(join(VAULT_PROVIDER, 'terraform-provider-vault'), program);
    symlinkSync(TOFU, join(place.root, 'bin/tofu'));
    writeFileSync(join(place.cwd, 'main.tf'), main.replaceAll(ADDRESS, here));
    const env = {
      SECRETS_LOCAL_KEY_METHOD: 'key-file',
      CHECKPOINT_DISABLE: '1',
      TF_CLI_ARGS: '-no-color',
      TF_CLI_ARGS_apply: '-auto-approve',
      TF_CLI_ARGS_plan: '-detailed-exitcode',
    };
    expect(commands).toContain(ADDRESS);
    const done = await place.sh(`set -e\n${commands.replaceAll(ADDRESS, here)}`, env);
    expect({ code: done.code, stderr: done.stderr }).toEqual({ code: 0, stderr: '' });
    expect(done.stdout).toMatch(/Apply complete! Resources: 1 added/);
    const state = JSON.parse(readFileSync(join(place.cwd, 'terraform.tfstate'), 'utf8')) as {
      resources: readonly { type: string; instances: readonly { attributes: Record<string, unknown> }[] }[];
    };
    const resource = state.resources.find(({ type }) => type === 'terraform_data');
    expect(resource?.instances[0]?.attributes['input']).toEqual({ type: 'string', value: 's3cret' });
    expect((await place.sh('tofu plan', env)).code).toBe(0);
    // This version of the provider doesn't mark it as sensitive; the page says what does.
    expect(done.stdout).toMatch(/input .*"s3cret"/);
    const value = 'data.vault_generic_secret.db.data["password"]';
    const hidden = main.replaceAll(ADDRESS, here).replace(value, `sensitive(${value})`);
    writeFileSync(join(place.cwd, 'main.tf'), hidden);
    const { stdout } = await place.sh('rm terraform.tfstate && tofu plan', env);
    expect([stdout.includes('(sensitive value)'), stdout.includes('s3cret')]).toEqual([true, false]);
    const reads = place.records().filter((record) => 'action' in record && record.action === 'read');
    expect(reads.at(-1)).toMatchObject({ store: 'local', secret: 'db', outcome: 'allowed' });
  }, 240_000);
});
