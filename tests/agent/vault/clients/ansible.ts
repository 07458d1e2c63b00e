import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ANSIBLE, COLLECTIONS, PYTHON, runClient } from '../../../backends/vault-clients.ts';
import {
  CANARY,
  type Client,
  type ClientsPlace,
  EVERYTHING,
  type Seen,
  type StoreName,
  STORES,
} from './place.ts';

const lookup = (name: string, rest: string): string => `lookup('community.hashi_vault.${name}', ${rest})`;

/** What one store holds, as an expression of Jinja. */
function reads(store: StoreName, first: number): string {
  const v2 = (name: string, rest = ''): string =>
    `${lookup('vault_kv2_get', `'${name}', engine_mount_point='${store}'${rest}`)}.secret`;
  const seen = {
    db: v2('payments/db'),
    v1: `${lookup('vault_kv1_get', `'payments/db', engine_mount_point='kv1/${store}'`)}.secret`,
    text: `${lookup('vault_read', `'${store}/data/text'`)}.data.data`,
    bytes: lookup('hashi_vault', `'secret=${store}/data/bytes'`),
    first: v2('turned', `, version=${first}`),
    last: v2('turned'),
    keys: `${lookup('vault_list', `'${store}/metadata/payments'`)}.data['keys']`,
  };
  return `{${Object.entries(seen)
    .map(([name, one]) => `'${name}': ${one}`)
    .join()}}`;
}

export const HASHI_VAULT: Client = {
  name: "Ansible's collection for Vault",
  files: [ANSIBLE, COLLECTIONS],
  async read(place: ClientsPlace) {
    const cwd = place.folder('ansible');
    const seen = STORES.map((store) => `'${store}': ${reads(store, place.first[store])}`);
    const tasks = [
      {
        'ansible.builtin.copy': { dest: join(cwd, 'seen.json'), content: `{{ {${seen.join()}} | to_json }}` },
        no_log: true,
      },
      // The collection's module, beside its lookups.
      {
        'community.hashi_vault.vault_kv2_get': { path: 'payments/db', engine_mount_point: 'aws' },
        register: 'module',
        no_log: true,
      },
      ...STORES.map((store) => ({
        'ansible.builtin.set_fact': {
          none: `{{ ${lookup('vault_kv2_get', `'payments/none', engine_mount_point='${store}'`)} }}`,
        },
        register: store,
        ignore_errors: true,
      })),
      {
        'ansible.builtin.copy': {
          dest: join(cwd, 'missing.json'),
          content: `{{ {${STORES.map((store) => `'${store}': ${store}.msg`).join()}} | to_json }}`,
        },
      },
      {
        'ansible.builtin.copy': { dest: join(cwd, 'module.json'), content: '{{ module.secret | to_json }}' },
        no_log: true,
      },
    ];
    const play = [{ hosts: 'localhost', gather_facts: false, tasks }];
    writeFileSync(join(cwd, 'play.yml'), JSON.stringify(play));
    const { code, stdout, stderr } = await runClient(ANSIBLE, ['play.yml'], {
      cwd,
      env: {
        ...place.env,
        ANSIBLE_HASHI_VAULT_AUTH_METHOD: 'token',
        ANSIBLE_COLLECTIONS_PATH: COLLECTIONS,
        ANSIBLE_PYTHON_INTERPRETER: PYTHON,
        ANSIBLE_LOCALHOST_WARNING: 'false',
        ANSIBLE_INVENTORY_UNPARSED_WARNING: 'false',
        ANSIBLE_NOCOLOR: '1',
        LC_ALL: 'C.UTF-8',
      },
    });
    expect([code, code === 0 ? '' : stdout + stderr]).toEqual([0, '']);
    expect(stdout + stderr).not.toContain(CANARY);
    const read = (name: string): Record<string, unknown> =>
      JSON.parse(readFileSync(join(cwd, name), 'utf8')) as Record<string, unknown>;
    expect(read('module.json')).toEqual(EVERYTHING.db);
    const [found, gone] = [read('seen.json') as Record<string, Seen>, read('missing.json')];
    return Object.fromEntries(
      STORES.map((store) => {
        const said = String(gone[store]).includes("Invalid or missing path ['payments/none']");
        return [store, { ...found[store], missing: said ? 'missing' : gone[store] }];
      }),
    );
  },
};
