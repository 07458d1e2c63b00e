/**
 * Who asked and which request it was, as each provider knows it after a call that was made anyway: against the real
 * Vault and its own audit file, moto, and the doubles of the other services.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { open as openAws } from '../../src/providers/aws/index.ts';
import type { Provider } from '../../src/providers/provider.ts';
import type { StoreSettings } from '../../src/core/trust.ts';
import { open as openVault } from '../../src/providers/vault/index.ts';
import { type Aws, scenarioFiles as awsFiles, startAws } from '../backends/aws.ts';
import { scenarioFiles as azureFiles } from '../backends/azure.ts';
import { describeWith } from '../backends/server.ts';
import { scenarioFiles as vaultFiles, startVault, type Vault } from '../backends/vault.ts';
import { contextFor, now, readOne } from '../contract/kit.ts';
import { useAzure } from '../providers/azure-kit.ts';
import { useConjur } from '../providers/conjur/kit.ts';
import { type Bench, startBench } from '../providers/gcp/setup.ts';

const value = Buffer.from('v');

/** Nothing is known before the first call; after a write and a read of the same secret both have said what they know. */
async function used(provider: Provider, name: string) {
  expect(provider.knownIdentity?.()).toBeUndefined();
  const written = await provider.put(name, { value }, now());
  const read = await readOne(provider, { name });
  return { known: provider.knownIdentity?.(), written: written.requestId, read: read.requestId };
}

describeWith('vault', vaultFiles, () => {
  let vault: Vault;
  let folder: string;
  let log: string;
  const start = (settings: StoreSettings, env: Readonly<Record<string, string>>): Provider =>
    openVault(settings, contextFor({ VAULT_ADDR: vault.url, ...env }, folder)) as Provider;
  /** The requests that Vault's own audit device has seen. */
  const requests = (): readonly { id: string; path: string; operation: string; agent: string }[] =>
    readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { type: string; request: Record<string, never> })
      .filter(({ type }) => type === 'request')
      .map(({ request }) => ({
        id: request['id'] ?? '',
        path: request['path'] ?? '',
        operation: request['operation'] ?? '',
        agent: String(
          (request['headers'] as unknown as Record<string, string[]> | undefined)?.['user-agent'],
        ),
      }));
  beforeAll(async () => {
    vault = await startVault();
    folder = mkdtempSync(join(tmpdir(), 'secrets-identities-'));
    log = join(folder, 'audit.log');
    await vault.api('PUT', 'sys/audit/file', { type: 'file', options: { file_path: log } });
    await vault.api('PUT', 'sys/config/auditing/request-headers/user-agent', { hmac: false });
  });
  afterAll(async () => {
    await vault.stop();
    rmSync(folder, { recursive: true });
  });

  test('a token says nothing but where it is from, until it was looked up anyway', async () => {
    const provider = start({ 'kv-version': 2 }, { VAULT_TOKEN: vault.token });
    const before = requests().length;
    const { known, written, read } = await used(provider, 'a');
    expect(known).toMatchObject({ source: 'VAULT_TOKEN' });
    expect(known?.principal).toBeUndefined();
    // Two calls, no third one for the identity; and Vault's own record has the same ids.
    const seen = requests().slice(before);
    expect(seen.map(({ id, path, operation }) => [id, path, operation])).toEqual([
      [written, 'secret/data/a', expect.stringMatching(/create|update/) as string],
      [read, 'secret/data/a', 'read'],
    ]);
    expect(seen.map(({ agent }) => agent)).toEqual([
      expect.stringMatching(/^secrets\/\d/) as string,
      expect.stringMatching(/^secrets\/\d/) as string,
    ]);
    await provider.identity(now());
    expect(provider.knownIdentity?.()).toEqual({ principal: 'root', source: 'VAULT_TOKEN' });
  });

  test('a login has said who it was', async () => {
    await vault.api('POST', 'sys/auth/approle', { type: 'approle' });
    await vault.api('PUT', 'sys/policies/acl/all', {
      policy: 'path "secret/*" { capabilities = ["create", "read", "update"] }',
    });
    await vault.api('POST', 'auth/approle/role/ci', { token_policies: 'all' });
    const { data } = await vault.api('GET', 'auth/approle/role/ci/role-id');
    const { data: made } = await vault.api('POST', 'auth/approle/role/ci/secret-id', {});
    const provider = start(
      { 'kv-version': 2, auth: { method: 'approle' } },
      {
        VAULT_ROLE_ID: (data as { role_id: string }).role_id,
        VAULT_SECRET_ID: (made as { secret_id: string }).secret_id,
      },
    );
    expect((await used(provider, 'b')).known).toEqual({ principal: 'ci', source: 'AppRole sign-in' });
  });

  test('KV version 1, which answers a write with nothing', async () => {
    const one = start({ mount: 'kv1', 'kv-version': 1 }, { VAULT_TOKEN: vault.token });
    const { written, read } = await used(one, 'c');
    expect(written).toBeUndefined();
    expect(requests().at(-1)).toMatchObject({ id: read, path: 'kv1/c', operation: 'read' });
  });
});

describeWith('aws', awsFiles, () => {
  let aws: Aws;
  const opened: Provider[] = [];
  const start = (env: Readonly<Record<string, string>>, settings: StoreSettings = {}): Provider => {
    const provider = openAws(settings, contextFor(env, '/nonexistent'));
    opened.push(provider);
    return provider;
  };
  beforeAll(async () => {
    aws = await startAws();
  });
  afterAll(async () => {
    await Promise.all(opened.map((provider) => provider.close()));
    await aws.stop();
  });

  test('the key that signed, and STS’s own word once it was asked', async () => {
    const provider = start(aws.admin);
    const { known, written, read } = await used(provider, 'a');
    expect(known).toEqual({
      principal: `access key ${aws.admin['AWS_ACCESS_KEY_ID']}`,
      source: 'environment variables',
    });
    expect(written).toMatch(/^[\w-]{20,}$/);
    expect(read).toMatch(/^[\w-]{20,}$/);
    expect(read).not.toBe(written);
    const { principal } = await provider.identity(now());
    expect(provider.knownIdentity?.()).toEqual({ principal, source: 'environment variables' });
    await readOne(provider, { name: 'a' });
    expect(provider.knownIdentity?.()?.principal).toBe(principal);
  });

  test('a role’s session has the ARN that STS gives it', async () => {
    const all = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };
    const role = await aws.makeRole('deployer', all);
    const provider = start({ ...aws.admin, USER: 'ann' }, { 'assume-role': role });
    const { known } = await used(provider, 'r');
    expect(known?.principal).toMatch(
      new RegExp(`^arn:aws:sts::\\d{12}:assumed-role/deployer/secrets-${userInfo().username}$`),
    );
    expect(known?.principal).toBe((await provider.identity(now())).principal);
  });

  test('who was refused', async () => {
    const provider = start(aws.nobody);
    await expect(readOne(provider, { name: 'a' })).rejects.toMatchObject({ kind: 'Denied' });
    expect(provider.knownIdentity?.()?.principal).toBe(`access key ${aws.nobody['AWS_ACCESS_KEY_ID']}`);
  });

  test('no credential, no identity', async () => {
    const provider = start({
      AWS_REGION: 'eu-west-1',
      AWS_ENDPOINT_URL: aws.url,
      AWS_EC2_METADATA_DISABLED: 'true',
    });
    await expect(readOne(provider, { name: 'a' })).rejects.toMatchObject({ kind: 'Unauthenticated' });
    expect(provider.knownIdentity?.()).toBeUndefined();
  });

  test('all of a batch have its request', async () => {
    const provider = start(aws.admin);
    await provider.put('b1', { value }, now());
    await provider.put('b2', { value }, now());
    const answers = await provider.get([{ name: 'b1' }, { name: 'b2' }], now());
    const ids = answers.map((answer) => (answer.ok ? answer.secret.requestId : ''));
    expect(ids[0]).toMatch(/^[\w-]{20,}$/);
    expect(ids[1]).toBe(ids[0]);
  });
});

describeWith('azure', azureFiles, () => {
  const stores = useAzure();

  test('what the token says', async () => {
    const provider = stores.as('officer');
    const { known, written, read } = await used(provider, 'a');
    expect(known).toEqual({
      principal: expect.stringContaining(`application ${stores.azure.clientId('officer')}`) as string,
      source: expect.any(String) as string,
    });
    expect(known?.principal).toBe((await provider.identity(now())).principal);
    expect(written).not.toBe(read);
    expect(read).toEqual(expect.any(String));
  });
});

describe('gcp', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await startBench();
  });
  afterAll(() => bench.stop());

  test('the service account', async () => {
    const account = await bench.gcp.account('audited', ['roles/secretmanager.admin']);
    expect((await used(bench.store(account), 'a')).known).toMatchObject({ principal: account.email });
  });
});

describe('conjur', () => {
  const kit = useConjur();

  test('the role of the login', async () => {
    const provider = kit.as('admin');
    expect((await used(provider, 'app/audited')).known).toEqual({
      principal: 'acme:user:admin',
      source: 'CONJUR_AUTHN_API_KEY of admin',
    });
  });
});
