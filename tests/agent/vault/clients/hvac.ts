import { PYTHON, runClient } from '../../../backends/vault-clients.ts';
import { type Client, type ClientsPlace, outputOf, type Seen, STORES } from './place.ts';

const SCRIPT = `
import hvac, json, os, sys
c = hvac.Client(url=os.environ["VAULT_ADDR"], token=os.environ["VAULT_TOKEN"])
assert c.is_authenticated()
v2, v1 = c.secrets.kv.v2, c.secrets.kv.v1
seen = {}
for store, first in json.loads(sys.argv[1]).items():
  def read(name, version=None):
    return v2.read_secret_version(path=name, version=version, mount_point=store, raise_on_deleted_version=True)["data"]["data"]
  def missing():
    try: return read("payments/none")
    except hvac.exceptions.InvalidPath: return "missing"
  seen[store] = {
    "db": read("payments/db"), "v1": v1.read_secret("payments/db", mount_point="kv1/" + store)["data"],
    "text": read("text"), "bytes": read("bytes"), "first": read("turned", first), "last": read("turned"),
    "keys": v2.list_secrets("payments", mount_point=store)["data"]["keys"], "missing": missing(),
  }
print(json.dumps(seen))`;

export const HVAC: Client = {
  name: 'hvac',
  files: [PYTHON],
  async read({ env, first }: ClientsPlace) {
    const ended = await runClient(PYTHON, ['-c', SCRIPT, JSON.stringify(first)], { env });
    return JSON.parse(outputOf(ended)) as Readonly<Record<(typeof STORES)[number], Seen>>;
  },
};

const WRITES = `
import hvac, json, os, sys, time
c = hvac.Client(url=os.environ["VAULT_ADDR"], token=os.environ["VAULT_TOKEN"])
v2, v1 = c.secrets.kv.v2, c.secrets.kv.v1
def error(call):
  try: return call()
  except hvac.exceptions.VaultError as e: return type(e).__name__
stores = json.loads(sys.argv[1])
def write(store, value, cas, name="new/hvac"):
  return v2.create_or_update_secret(name, {"k": value}, cas=cas, mount_point=store)["data"]["version"]
first = {store: write(store, "one", 0) for store in stores}
again = {store: error(lambda: write(store, "other", 0)) for store in stores}
time.sleep(1.1) # AWS's versions are told apart by the second in which they were made.
seen = {}
for store in stores:
  def read(version=None):
    return v2.read_secret_version("new/hvac", version=version, mount_point=store, raise_on_deleted_version=True)["data"]
  turned = write(store, "two", first[store])
  v1.create_or_update_secret("new/flat", {"k": "flat"}, mount_point="kv1/" + store)
  last = read()
  seen[store] = {
    "first": "made" if first[store] > 0 else first[store], "again": again[store],
    "turned": "new" if turned == last["metadata"]["version"] > first[store] else turned,
    "old": read(first[store])["data"]["k"], "last": last["data"]["k"],
    "v1": v1.read_secret("new/flat", mount_point="kv1/" + store)["data"],
    "elsewhere": error(lambda: write(store, "x", None, "payments/db")),
  }
print(json.dumps(seen))`;

/** What came of the writes in each store. */
export async function hvacWrites({ env }: ClientsPlace): Promise<unknown> {
  const ended = await runClient(PYTHON, ['-c', WRITES, JSON.stringify(STORES)], { env });
  return JSON.parse(outputOf(ended)) as unknown;
}
