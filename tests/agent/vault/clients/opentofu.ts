import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runClient, TOFU, VAULT_PROVIDER } from '../../../backends/vault-clients.ts';
import { type Client, type ClientsPlace, outputOf, type Seen, type StoreName, STORES } from './place.ts';

/** The provider as it was built, and no registry. */
export function useBuiltProvider(folder: string): Readonly<Record<string, string>> {
  const file = join(folder, 'cli.tfrc');
  writeFileSync(
    file,
    `provider_installation {
  dev_overrides { "registry.opentofu.org/hashicorp/vault" = "${VAULT_PROVIDER}" }
  direct {}
}
`,
  );
  return { TF_CLI_CONFIG_FILE: file, CHECKPOINT_DISABLE: '1', TF_IN_AUTOMATION: '1' };
}

const USES = `terraform {
  required_providers { vault = { source = "hashicorp/vault" } }
}
provider "vault" {}
`;

function reads(store: StoreName, first: number): string {
  const paths = {
    db: `${store}/payments/db`,
    v1: `kv1/${store}/payments/db`,
    text: `${store}/text`,
    bytes: `${store}/bytes`,
    last: `${store}/turned`,
  };
  const data = Object.entries(paths).map(
    ([name, path]) => `data "vault_generic_secret" "${store}_${name}" {\n  path = "${path}"\n}\n`,
  );
  const output = Object.keys(paths).map(
    (name) => `${name} = data.vault_generic_secret.${store}_${name}.data`,
  );
  return `${data.join('')}data "vault_generic_secret" "${store}_first" {
  path    = "${store}/turned"
  version = ${first}
}
output "${store}" {
  sensitive = true
  value     = { ${output.join(', ')}, first = data.vault_generic_secret.${store}_first.data }
}
`;
}

export const OPENTOFU: Client = {
  name: 'OpenTofu with the provider for Vault',
  files: [TOFU, VAULT_PROVIDER],
  // It has no data source that lists.
  cannot: ['keys'],
  onlyText: true,
  async read(place: ClientsPlace) {
    const cwd = place.folder('opentofu');
    const env = { ...place.env, ...useBuiltProvider(cwd) };
    const tofu = (...args: readonly string[]): ReturnType<typeof runClient> =>
      runClient(TOFU, [...args, '-no-color'], { env, cwd });
    writeFileSync(
      join(cwd, 'main.tf'),
      USES + STORES.map((store) => reads(store, place.first[store])).join(''),
    );
    outputOf(await tofu('apply', '-auto-approve'));
    const { outputs } = JSON.parse(readFileSync(join(cwd, 'terraform.tfstate'), 'utf8')) as {
      readonly outputs: Readonly<Record<string, { readonly value: Seen }>>;
    };
    const absent = STORES.map(
      (store) => `data "vault_generic_secret" "${store}" {\n  path = "${store}/payments/none"\n}\n`,
    );
    writeFileSync(join(cwd, 'main.tf'), USES + absent.join(''));
    const { stderr } = await tofu('plan');
    return Object.fromEntries(
      STORES.map((store) => {
        const said = stderr.includes(`no secret found at "${store}/payments/none"`);
        return [store, { ...outputs[store]?.value, missing: said ? 'missing' : stderr }];
      }),
    );
  },
};
