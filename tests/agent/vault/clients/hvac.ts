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
