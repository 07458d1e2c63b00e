/** Vault's own command line prints the same in front of the agent as in front of Vault, refusals included. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeWith } from '../../../backends/server.ts';
import { startVault, type Vault, VAULT_SERVER } from '../../../backends/vault.ts';
import { runClient, VAULT_CLI } from '../../../backends/vault-clients.ts';
import { localStore, openDoor, storesOf, type TestDoor } from '../kit.ts';

const POLICY = `path "secret/*" { capabilities = ["read", "list"] }
path "auth/token/create" { capabilities = ["create", "update"] }`;

const SECRETS: readonly (readonly [name: string, ...versions: readonly object[]])[] = [
  ['payments/db', { password: 'a "b" <é>&', port: 5432, nested: { list: [1, null] } }],
  ['payments/deep/key', { k: 'v' }],
  ['turned', { k: 'first' }, { k: 'second' }],
  ['text', { value: 'two\nlines' }],
];

const LINES = [
  'status',
  'status -format=json',
  'token lookup',
  'token lookup -format=json',
  'token renew',
  'token capabilities secret/data/payments/db',
  'token capabilities sys/mounts',
  'token create -ttl=1h',
  'token create -ttl=1h -policy=secrets-read -explicit-max-ttl=2h -format=json',
  'token create -ttl=1h -period=1h',
  'token create -policy=root',
  'token lookup nope',
  'token revoke nope',
  'kv get secret/payments/db',
  'kv get -format=json secret/payments/db',
  'kv get -field=port secret/payments/db',
  'kv get -field=none secret/payments/db',
  'kv get -mount=secret text',
  'kv get -mount=secret -version=1 turned',
  'kv get -mount=secret -version=9 turned',
  'kv get secret/payments/none',
  'kv get nomount/x',
  'kv get secret',
  'kv list secret',
  'kv list secret/payments',
  'kv list secret/none',
  'kv metadata get secret/turned',
  'kv metadata get secret/payments/none',
  'read -format=json secret/data/payments/db',
  'read secret/turned',
  'read secret/none',
  'read sys/health',
  'list secret/metadata',
  'list secret/metadata/none',
  'kv put secret/x a=b',
  'kv patch secret/turned a=b',
  'kv delete secret/turned',
  'kv undelete -versions=1 secret/turned',
  'kv destroy -versions=1 secret/turned',
  'kv rollback -version=1 secret/turned',
  'kv metadata put -custom-metadata=a=b secret/turned',
  'kv metadata delete secret/turned',
  'write secret/data/x a=b',
  'secrets list',
  'policy list',
  'lease lookup nope',
  'operator seal',
  'token revoke -self',
  'token lookup',
];

/** What can't be the same twice, and who is recorded as a writer; columns are as wide as what is in them. */
function masked(text: string): string {
  return text
    .replaceAll(/127\.0\.0\.1:\d+/g, 'HOST')
    .replaceAll(/hvs\.[\w-]+/g, 'TOKEN')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')
    .replaceAll(/vault-cluster-\w+|secrets-agent/g, 'CLUSTER')
    .replaceAll(/(accessor\W+)\w{24}/g, '$1ACCESSOR')
    .replaceAll(/((?:server_time_utc|creation_time|last_renewal_time)\W+)\d+/g, '$10')
    .replaceAll(/(ttl\W+)(?:1h|59m\d\ds|3600|35\d\d)(?=\s|,)/g, '$11h')
    .replaceAll(/((?:created|deleted|last_updated)_by *) (?:<nil>|map\[[^\]]*\])/g, '$1 …')
    .replaceAll(/ +$/gm, '');
}

describeWith("Vault's command line", [VAULT_SERVER, VAULT_CLI], () => {
  let vault: Vault;
  let door: TestDoor;
  let home: ReturnType<typeof localStore>;
  let real: string;
  let own: string;

  beforeAll(async () => {
    vault = await startVault();
    home = localStore();
    const call = { signal: AbortSignal.timeout(60_000) };
    for (const [name, ...versions] of SECRETS)
      for (const version of versions) {
        await vault.api('POST', `secret/data/${name}`, { data: version });
        await home.local.put(name, { value: Buffer.from(JSON.stringify(version)) }, call);
      }
    await vault.api('PUT', 'sys/policies/acl/secrets-read', { policy: POLICY });
    const asked = { policies: ['secrets-read'], ttl: '1h', display_name: 'agent' };
    const made = await vault.api('POST', 'auth/token/create', asked);
    real = (made['auth'] as { client_token: string }).client_token;
    // Its token has a life, as the real one has.
    const tokenFile = join(home.home, 'token');
    door = await openDoor(storesOf({ local: home.local }), { tokenFile });
    own = readFileSync(tokenFile, 'utf8');
  });
  afterAll(async () => {
    await door.stop();
    await home.remove();
    await vault.stop();
  });

  test('prints what it prints of Vault', async () => {
    const run = async (line: string, VAULT_ADDR: string, VAULT_TOKEN: string): Promise<object> => {
      const env = { HOME: home.home, VAULT_ADDR, VAULT_TOKEN };
      const { code, stdout, stderr } = await runClient(VAULT_CLI, line.split(' '), { env });
      return { line, code, stdout: masked(stdout), stderr: masked(stderr) };
    };
    for (const line of LINES)
      expect(await run(line, door.address, own)).toEqual(await run(line, vault.url, real));
  }, 240_000);
});
