import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Ended, runClient, VAULT_CLI } from '../../../backends/vault-clients.ts';
import { template } from './consul-template.ts';
import { type Client, type ClientsPlace, type Seen, type StoreName, STORES } from './place.ts';

/** Renders one template, and ends. Its token is in a file, as the agent of `secrets` writes it. */
function render({ address, token, env }: ClientsPlace, cwd: string, text: string): Promise<Ended> {
  writeFileSync(join(cwd, 'in'), text);
  writeFileSync(join(cwd, 'token'), token, { mode: 0o600 });
  writeFileSync(
    join(cwd, 'agent.hcl'),
    `exit_after_auth = true
vault {
  address = "${address}"
  retry { num_retries = -1 }
}
auto_auth {
  method "token_file" { config = { token_file_path = "${cwd}/token" } }
}
template_config { exit_on_retry_failure = true }
template {
  source      = "${cwd}/in"
  destination = "${cwd}/out"
}
`,
  );
  const { VAULT_ADDR: _address, VAULT_TOKEN: _token, ...rest } = env;
  return runClient(VAULT_CLI, ['agent', '-config', join(cwd, 'agent.hcl')], { env: rest, cwd });
}

async function missing(place: ClientsPlace, store: StoreName): Promise<unknown> {
  const cwd = place.folder(`vault-agent-${store}`);
  const text = `{{ with secret "${store}/data/payments/none" }}there{{ end }}`;
  const { code, stdout, stderr } = await render(place, cwd, text);
  const said = (stdout + stderr).includes(`no secret exists at ${store}/data/payments/none`);
  return code !== 0 && said ? 'missing' : { code, stdout, stderr };
}

export const VAULT_AGENT: Client = {
  name: "Vault's agent",
  files: [VAULT_CLI],
  async read(place: ClientsPlace) {
    const cwd = place.folder('vault-agent');
    const stores = STORES.map((store) => template(store, place.first[store]));
    const { code, stdout, stderr } = await render(place, cwd, `{${stores.join()}}`);
    expect({ code, said: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, said: '' });
    expect(stdout + stderr).not.toContain(place.token);
    const seen = JSON.parse(readFileSync(join(cwd, 'out'), 'utf8')) as Record<StoreName, Seen>;
    const gone = await Promise.all(STORES.map((store) => missing(place, store)));
    return Object.fromEntries(
      STORES.map((store, index) => [store, { ...seen[store], missing: gone[index] }]),
    );
  },
};
