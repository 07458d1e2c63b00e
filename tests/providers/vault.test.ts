import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from '../../src/providers/vault/index.ts';
import { keyText } from '../../src/core/document/secret.ts';
import type { Provider } from '../../src/providers/provider.ts';
import type { StoreSettings } from '../../src/core/trust.ts';
import { describeWith, freePort } from '../backends/server.ts';
import { scenarioFiles, startVault, type Vault } from '../backends/vault.ts';
import { type Contract, contextFor, itKeepsTheContract, kindOf, readOne } from '../contract/suite.ts';

describeWith('vault', scenarioFiles, () => {
  let vault: Vault;
  let home: string;
  const opened: Provider[] = [];
  const start = (settings: StoreSettings, env: Readonly<Record<string, string>>): Provider => {
    const provider = open(settings, contextFor({ VAULT_ADDR: vault.url, ...env }, home));
    opened.push(provider);
    return provider;
  };
  const asRoot = (settings: StoreSettings = {}): Provider => start(settings, { VAULT_TOKEN: vault.token });
  const now = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(120_000) });
  const value = Buffer.from('v');
  const tokenWith = async (policy: string, more: object = {}): Promise<string> => {
    await vault.api('PUT', 'sys/policies/acl/tested', { policy });
    const made = await vault.api('POST', 'auth/token/create', { policies: ['tested'], ...more });
    return (made['auth'] as { client_token: string }).client_token;
  };

  beforeAll(async () => {
    vault = await startVault();
    home = mkdtempSync(join(tmpdir(), 'secrets-vault-'));
  });
  afterAll(async () => {
    await Promise.all(opened.map((provider) => provider.close()));
    await vault.stop();
    rmSync(home, { recursive: true });
  });

  const others = {
    openStranger: () => start({}, { VAULT_TOKEN: 'hvs.nobody' }),
    openDenied: async () =>
      start(
        {},
        {
          VAULT_TOKEN: await tokenWith(
            'path "sys/internal/ui/mounts/*" { capabilities = ["read"] }\npath "secret/data/none" { capabilities = ["read"] }',
          ),
        },
      ),
    openUnreachable: async () =>
      start({ address: `http://127.0.0.1:${await freePort()}` }, { VAULT_TOKEN: 'x' }),
  };
  const through = (settings: StoreSettings = {}): Partial<Contract> => ({
    upstream: () => ({ url: vault.url }),
    openThrough: (address) => asRoot({ ...settings, address }),
    credentials: () => [vault.token],
  });
  describe('KV version 2, found out', () => {
    const makeEmpty = (name: string): Promise<unknown> =>
      vault.api('POST', `secret/metadata/${name}`, { custom_metadata: { owner: 'terraform' } });
    itKeepsTheContract({ open: () => asRoot(), makeEmpty, ...others, ...through() });
  });
  describe('KV version 1, known from the settings', () => {
    const settings = { mount: 'kv1', 'kv-version': 1 };
    itKeepsTheContract({ open: () => asRoot(settings), ...through(settings) });
  });

  describe('KV version 1, found out', () => {
    const settings = { mount: 'kv1' };
    const prepared = async (more: StoreSettings = {}): Promise<Provider> => {
      const provider = asRoot({ ...settings, ...more });
      await provider.prepare?.(now());
      return provider;
    };
    itKeepsTheContract({
      ...through(settings),
      open: () => prepared(),
      openThrough: (address) => prepared({ address }),
    });
  });

  test('finds KV version 1 out by itself', async () => {
    const provider = asRoot({ mount: 'kv1' });
    await provider.put('found', { value }, now());
    expect((await readOne(provider, { name: 'found' })).id).toBe('current');
    expect(await kindOf(provider.restore?.('found', now()) ?? Promise.resolve())).toBe('Unsupported');
  });

  test('works at a mount path of several segments', async () => {
    await vault.api('POST', 'sys/mounts/team/a/kv', { type: 'kv', options: { version: '2' } });
    const provider = asRoot({ mount: 'team/a/kv/' });
    const deadline = Date.now() + 120_000;
    while ((await kindOf(provider.put('x', { value }, now()))) !== 'no error' && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(Buffer.from((await readOne(provider, { name: 'x' })).value)).toEqual(value);
  });

  test('says that a mount is missing', async () => {
    expect(await kindOf(readOne(asRoot({ mount: 'nowhere' }), { name: 'x' }))).toMatch(/NotFound|Denied/);
  });

  test('reads what Vault’s own clients wrote, key by key', async () => {
    await vault.api('POST', 'secret/data/theirs', { data: { user: 'u', port: 5432 } });
    const secret = await readOne(asRoot(), { name: 'theirs' });
    expect(Buffer.from(secret.value).toString()).toBe('{"port":5432,"user":"u"}');
    expect(keyText(secret, 'port')).toBe('5432');
  });

  test('takes the token of ~/.vault-token', async () => {
    const file = join(home, '.vault-token');
    writeFileSync(file, `${vault.token}\n`, { mode: 0o600 });
    chmodSync(file, 0o600);
    expect((await start({}, {}).identity(now())).source).toBe('~/.vault-token');
    rmSync(file);
    expect(await kindOf(start({}, {}).identity(now()))).toBe('Unauthenticated');
  });

  test('signs in with AppRole', async () => {
    await vault.api('POST', 'sys/auth/approle', { type: 'approle' });
    await vault.api('POST', 'auth/approle/role/ci', { token_policies: 'default' });
    const role = await vault.api('GET', 'auth/approle/role/ci/role-id');
    const made = await vault.api('POST', 'auth/approle/role/ci/secret-id', {});
    const roleId = (role['data'] as { role_id: string }).role_id;
    const secretId = (made['data'] as { secret_id: string }).secret_id;
    const settings = { auth: { method: 'approle', 'role-id': roleId } };
    expect((await start(settings, { VAULT_SECRET_ID: secretId }).identity(now())).principal).toBe('approle');
    expect(await kindOf(start(settings, { VAULT_SECRET_ID: 'wrong' }).identity(now()))).toBe(
      'Unauthenticated',
    );
  });

  test('signs in with userpass', async () => {
    await vault.api('POST', 'sys/auth/userpass', { type: 'userpass' });
    await vault.api('POST', 'auth/userpass/users/ann', { password: 'right', token_policies: 'default' });
    const settings = { auth: { method: 'userpass', username: 'ann' } };
    expect((await start(settings, { VAULT_PASSWORD: 'right' }).identity(now())).principal).toBe(
      'userpass-ann',
    );
    expect(await kindOf(start(settings, { VAULT_PASSWORD: 'wrong' }).identity(now()))).toBe(
      'Unauthenticated',
    );
  });

  test('unwraps a wrapped token, once', async () => {
    const response = await fetch(`${vault.url}/v1/auth/token/create`, {
      method: 'POST',
      headers: { 'X-Vault-Token': vault.token, 'X-Vault-Wrap-TTL': '60s' },
      body: JSON.stringify({ policies: ['default'] }),
    });
    const { wrap_info: wrap } = (await response.json()) as { wrap_info: { token: string } };
    const settings = { auth: { method: 'token', wrapped: true } };
    const env = { VAULT_TOKEN: wrap.token };
    expect((await start(settings, env).identity(now())).source).toBe('VAULT_TOKEN, unwrapped');
    expect(await kindOf(start(settings, env).identity(now()))).toBe('Unauthenticated');
  });

  test('names the credential in a denial', async () => {
    const token = await tokenWith('path "secret/data/allowed" { capabilities = ["read"] }');
    const denied = readOne(start({}, { VAULT_TOKEN: token }), { name: 'other' });
    await expect(denied).rejects.toMatchObject({
      kind: 'Denied',
      message: expect.stringMatching(/VAULT_TOKEN.*tested/),
    });
  });

  test('keeps a short token alive while a command runs', async () => {
    const token = await tokenWith('path "secret/data/none" { capabilities = ["read"] }', {
      ttl: '3s',
      renewable: true,
    });
    const provider = start({}, { VAULT_TOKEN: token });
    const warnings: string[] = [];
    const stop = new AbortController();
    const kept = provider.keepAlive?.((message) => warnings.push(message), stop.signal);
    // Renewed once its first life would have been over.
    for (let renewed = 0, born = 0; renewed <= born + 3;) {
      const { data } = await vault.api('POST', 'auth/token/lookup', { token });
      const { creation_time: created = 0, last_renewal_time: last = 0 } = data as Record<string, number>;
      [born, renewed] = [created, last];
    }
    expect(await kindOf(provider.identity(now()))).toBe('no error');
    stop.abort();
    await kept;
    expect(warnings).toEqual([]);
  });

  test('tells a rate limit from other trouble, and gives up in time', async () => {
    await vault.api('POST', 'sys/quotas/rate-limit/tight', { path: 'kv1/', rate: 1, interval: '60s' });
    try {
      const provider = asRoot({ mount: 'kv1', 'kv-version': 1 });
      await provider.get([{ name: 'a' }], now());
      expect(await kindOf(readOne(provider, { name: 'a' }))).toBe('Throttled');
    } finally {
      await vault.api('DELETE', 'sys/quotas/rate-limit/tight');
    }
  });

  test('says that Vault is sealed', async () => {
    await vault.api('PUT', 'sys/seal');
    try {
      await expect(readOne(asRoot(), { name: 'x' })).rejects.toMatchObject({
        kind: 'Unavailable',
        message: 'Vault is sealed',
      });
    } finally {
      await vault.api('PUT', 'sys/unseal', { key: vault.unsealKey });
    }
  });

  test.each([
    ['http://vault.example.com', /must be https/],
    ['not a url', /not a URL/],
    ['https://user:pw@vault.example.com', /must not contain/],
    ['', /no Vault address/],
  ])('refuses the address %j', (address, message) => {
    expect(() => open({}, contextFor({ VAULT_ADDR: address }, '/nonexistent'))).toThrow(message);
  });
});
