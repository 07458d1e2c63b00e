/** What single programs that speak Vault do beside reading; tests/agent/vault/clients has what all of them read. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeWith } from '../../backends/server.ts';
import { CONSUL_TEMPLATE, PYTHON, runClient } from '../../backends/vault-clients.ts';
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
  test('renders over a Unix socket', async () => {
    const socket = await openDoor(stores, { address: `unix://${folder}/run/vault.sock` });
    const template = '{{ with secret "local/data/payments/db" }}{{ .Data.data.password }}{{ end }}';
    writeFileSync(join(folder, 'in.tpl'), template);
    const { code, stderr } = await runClient(
      CONSUL_TEMPLATE,
      ['-once', '-vault-retry-attempts', '2', '-template', `${folder}/in.tpl:${folder}/out`],
      { env: { ...env, VAULT_ADDR: socket.address, VAULT_TOKEN: socket.token }, cwd: folder },
    );
    expect([code, stderr.includes(socket.token)]).toEqual([0, false]);
    expect(readFileSync(join(folder, 'out'), 'utf8')).toBe(CANARY);
    await socket.stop();
  }, 120_000);
});
