/** Programs that speak Vault, unchanged, read the local store through the door. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeWith } from '../../backends/server.ts';
import {
  ANSIBLE,
  COLLECTIONS,
  CONSUL_TEMPLATE,
  PYTHON,
  runClient,
  TOFU,
  VAULT_PROVIDER,
} from '../../backends/vault-clients.ts';
import { localStore, openDoor, storesOf, type TestDoor } from './kit.ts';

const CANARY = 'canary "q" <é> 5b1f';

let home: ReturnType<typeof localStore>;
let folder: string;
let door: TestDoor;
let stores: ReturnType<typeof storesOf>;
let env: Readonly<Record<string, string>>;

beforeAll(async () => {
  home = localStore();
  folder = mkdtempSync(join(tmpdir(), 'secrets-clients-'));
  const call = { signal: AbortSignal.timeout(60_000) };
  const db = { username: 'app', password: CANARY, port: 5432 };
  for (const [name, value] of [
    ['payments/db', JSON.stringify(db)],
    ['payments/deep/key', 'k'],
    ['plain', 'text'],
  ] as const)
    await home.local.put(name, { value: Buffer.from(value) }, call);
  stores = storesOf({ local: home.local }, ['local://new/']);
  door = await openDoor(stores, { write: [{ store: 'local', prefix: 'new/' }] });
  env = { HOME: folder, VAULT_ADDR: door.address, VAULT_TOKEN: door.token };
});
afterAll(async () => {
  await door.stop();
  await home.remove();
  rmSync(folder, { recursive: true });
});

describeWith('hvac', [PYTHON], () => {
  const python = async (script: string): Promise<unknown> => {
    const start =
      'import hvac, json, os\nc = hvac.Client(url=os.environ["VAULT_ADDR"], token=os.environ["VAULT_TOKEN"])\nshow = lambda x: print(json.dumps(x))\n';
    const { code, stdout, stderr } = await runClient(PYTHON, ['-c', start + script], { env });
    expect([code, stderr]).toEqual([0, '']);
    return JSON.parse(stdout) as unknown;
  };

  test('signs in, reads, lists, and finds nothing where nothing is', async () => {
    const seen = await python(`
v2, v1 = c.secrets.kv.v2, c.secrets.kv.v1
read = lambda name: v2.read_secret_version(path=name, mount_point="local", raise_on_deleted_version=True)
def error(call):
  try: call()
  except Exception as e: return [type(e).__name__, str(e).split(",")[0]]
show([
  c.is_authenticated(), read("payments/db")["data"]["data"], v2.list_secrets("payments", mount_point="local")["data"]["keys"],
  v2.list_secrets("", mount_point="local")["data"]["keys"], v2.read_secret_metadata("plain", mount_point="local")["data"]["current_version"],
  v1.read_secret("payments/db", mount_point="kv1/local")["data"]["username"], v1.list_secrets("payments", mount_point="kv1/local")["data"]["keys"],
  error(lambda: read("none")), error(lambda: c.secrets.kv.v2.list_secrets("none", mount_point="local")),
  c.sys.read_health_status(method="GET")["sealed"], c.lookup_token()["data"]["policies"], c.read("local/data/plain")["data"]["data"],
])`);
    expect(seen).toEqual([
      true,
      { username: 'app', password: CANARY, port: 5432 },
      ['db', 'deep/'],
      ['payments/', 'plain'],
      1,
      'app',
      ['db', 'deep/'],
      ['InvalidPath', expect.any(String)],
      ['InvalidPath', expect.any(String)],
      false,
      ['default', 'secrets-read', 'secrets-write'],
      { value: 'text' },
    ]);
  }, 60_000);

  test('writes where it may, and is told where not', async () => {
    const seen = await python(`
v2 = c.secrets.kv.v2
def error(call):
  try: call()
  except Exception as e: return type(e).__name__
show([
  v2.create_or_update_secret("new/a", {"k": "one"}, cas=0, mount_point="local")["data"]["version"],
  error(lambda: v2.create_or_update_secret("new/a", {"k": "two"}, cas=0, mount_point="local")),
  v2.create_or_update_secret("new/a", {"k": "two"}, cas=1, mount_point="local")["data"]["version"],
  v2.read_secret_version("new/a", version=1, mount_point="local", raise_on_deleted_version=True)["data"]["data"],
  error(lambda: v2.create_or_update_secret("payments/db", {"k": "x"}, mount_point="local")),
])`);
    expect(seen).toEqual([1, 'InvalidRequest', 2, { k: 'one' }, 'Forbidden']);
  }, 60_000);

  test('is turned away with a token that has ended', async () => {
    const { code, stderr } = await runClient(
      PYTHON,
      [
        '-c',
        'import hvac, os\nc = hvac.Client(url=os.environ["VAULT_ADDR"], token="hvs.old")\nassert not c.is_authenticated()\nc.read("local/data/plain")',
      ],
      { env },
    );
    expect([code, stderr.includes('hvac.exceptions.Forbidden')]).toEqual([1, true]);
  }, 60_000);
});

describeWith('consul-template', [CONSUL_TEMPLATE], () => {
  const TEMPLATE =
    '{{ with secret "local/data/payments/db" }}{{ .Data.data.password }}:{{ .Data.data.port }}{{ end }}\n' +
    '{{ range secrets "local/metadata/payments" }}{{ . }} {{ end }}\n' +
    '{{ with secret "kv1/local/plain" }}{{ .Data.value }}{{ end }}';

  const render = async (address: string, token: string): Promise<string> => {
    writeFileSync(join(folder, 'in.tpl'), TEMPLATE);
    const { code, stderr } = await runClient(
      CONSUL_TEMPLATE,
      ['-once', '-vault-retry-attempts', '2', '-template', `${folder}/in.tpl:${folder}/out`],
      { env: { ...env, VAULT_ADDR: address, VAULT_TOKEN: token }, cwd: folder },
    );
    expect([code, stderr.includes(token)]).toEqual([0, false]);
    return readFileSync(join(folder, 'out'), 'utf8');
  };

  test('renders, over TCP and over a Unix socket', async () => {
    const expected = `${CANARY}:5432\ndb deep/ \ntext`;
    expect(await render(door.address, door.token)).toBe(expected);
    const socket = await openDoor(stores, { address: `unix://${folder}/run/vault.sock` });
    expect(await render(socket.address, socket.token)).toBe(expected);
    await socket.stop();
  }, 120_000);
});

describeWith('OpenTofu with the provider for Vault', [TOFU, VAULT_PROVIDER], () => {
  test('the usual example: a generic secret feeds a resource', async () => {
    const work = join(folder, 'tofu');
    mkdirSync(work);
    writeFileSync(
      join(work, 'main.tf'),
      `terraform {
  required_providers { vault = { source = "hashicorp/vault" } }
}
provider "vault" {
  address = "${door.address}"
}
data "vault_generic_secret" "db" {
  path = "secret/payments/db"
}
resource "terraform_data" "database" {
  input = data.vault_generic_secret.db.data["password"]
}
`,
    );
    writeFileSync(
      join(work, 'cli.tfrc'),
      `provider_installation {
  dev_overrides { "registry.opentofu.org/hashicorp/vault" = "${VAULT_PROVIDER}" }
  direct {}
}
`,
    );
    const before = stores.asked.length;
    const tofu = (...args: readonly string[]): ReturnType<typeof runClient> =>
      runClient(TOFU, args, {
        env: {
          ...env,
          TF_CLI_CONFIG_FILE: join(work, 'cli.tfrc'),
          CHECKPOINT_DISABLE: '1',
          TF_IN_AUTOMATION: '1',
        },
        cwd: work,
      });
    const applied = await tofu('apply', '-auto-approve', '-no-color');
    expect([applied.code, applied.stderr]).toEqual([0, '']);
    const state = JSON.parse(readFileSync(join(work, 'terraform.tfstate'), 'utf8')) as {
      resources: readonly { type: string; instances: readonly { attributes: Record<string, unknown> }[] }[];
    };
    const resource = state.resources.find(({ type }) => type === 'terraform_data');
    expect(resource?.instances[0]?.attributes['input']).toEqual({ type: 'string', value: CANARY });
    expect(applied.stdout).not.toContain(CANARY);
    // A child token of the provider's own read it.
    expect(stores.asked.slice(before).map(({ what }) => what)).toContain('get local://payments/db');
    const again = await tofu('plan', '-no-color', '-detailed-exitcode');
    expect(again.code).toBe(0);
  }, 240_000);
});

describeWith("Ansible's collection for Vault", [ANSIBLE, COLLECTIONS], () => {
  test('reads and lists', async () => {
    const lookup = (name: string, rest: string): string =>
      `{{ lookup('community.hashi_vault.${name}', ${rest}) }}`;
    const tasks = [
      {
        'ansible.builtin.copy': {
          dest: join(folder, 'ansible.json'),
          content: `{{ {'kv2': kv2, 'kv1': kv1, 'keys': keys, 'read': read, 'old': old} | to_json }}`,
        },
        no_log: true,
        vars: {
          kv2: lookup('vault_kv2_get', "'payments/db', engine_mount_point='local'"),
          kv1: lookup('vault_kv1_get', "'plain', engine_mount_point='kv1/local'"),
          keys: lookup('vault_list', "'local/metadata/payments'"),
          read: lookup('vault_read', "'local/data/plain'"),
          old: lookup('hashi_vault', "'secret=local/data/payments/db:password'"),
        },
      },
    ];
    writeFileSync(
      join(folder, 'play.yml'),
      JSON.stringify([{ hosts: 'localhost', gather_facts: false, tasks }]),
    );
    const { code, stdout, stderr } = await runClient(ANSIBLE, ['play.yml'], {
      cwd: folder,
      env: {
        ...env,
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
    const seen = JSON.parse(readFileSync(join(folder, 'ansible.json'), 'utf8')) as Record<
      string,
      Record<string, unknown>
    >;
    expect([seen['kv2']?.['secret'], seen['kv1']?.['secret'], seen['keys'], seen['read']]).toMatchObject([
      { password: CANARY, port: 5432 },
      { value: 'text' },
      { data: { keys: ['db', 'deep/'] } },
      { data: { data: { value: 'text' } } },
    ]);
    expect(JSON.stringify(seen['old'])).toContain('5b1f');
    expect(stdout + stderr).not.toContain('5b1f');
  }, 120_000);
});
