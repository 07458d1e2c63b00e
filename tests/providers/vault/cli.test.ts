import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makePlace, type Place } from '../../e2e/program.ts';
import { describeWith } from '../../backends/server.ts';
import { scenarioFiles } from '../../backends/vault.ts';
import { startFaultProxy } from '../../contract/fault-proxy.ts';
import { until } from '../../exec/setup.ts';
import { type Kit, startKit } from './kit.ts';

describeWith('vault: the program', scenarioFiles, () => {
  let kit: Kit;
  let place: Place;
  let root: Readonly<Record<string, string>>;
  beforeAll(async () => {
    [kit, place] = await Promise.all([startKit(), makePlace()]);
    root = { VAULT_ADDR: kit.vault.url, VAULT_TOKEN: kit.vault.token };
    await kit.vault.api('POST', 'secret/data/app', { data: { user: 'u', password: 'p' } });
  });
  afterAll(async () => {
    await kit.stop();
    await place.remove();
  });

  afterEach(() => place.sh('rm -f secrets.yaml secret-id'));

  test('exec keeps a token of six seconds alive while its program runs, and no longer', async () => {
    const proxy = await startFaultProxy({ url: kit.vault.url });
    const made = await kit.vault.api('POST', 'auth/token/create', { ttl: '6s', policies: ['root'] });
    const { client_token: token } = made['auth'] as { client_token: string };
    const env = { VAULT_ADDR: proxy.url, VAULT_TOKEN: token };
    const running = place.sh(
      `secrets exec --keep-credentials -e P=vault://app#password -- sh -c 'until [ -e go ]; do sleep 0.1; done; echo "$P $VAULT_TOKEN"'`,
      env,
    );
    const renewals = (): number => proxy.requests.filter(({ path }) => path.endsWith('/renew-self')).length;
    // Each comes when two thirds of its life have passed.
    await until(
      () => renewals() === 2,
      () => 'the second renewal',
    );
    writeFileSync(join(place.cwd, 'go'), '');
    expect(await running).toEqual({ code: 0, stdout: `p ${token}\n`, stderr: '' });
    // It did not wait for the next one.
    expect(renewals()).toBe(2);
    await proxy.stop();
    const { data } = await kit.vault.api('POST', 'auth/token/lookup', { token });
    expect(data).toMatchObject({ renewable: true });
  });

  test('a mount of KV version 1 that is found out is treated as one that is declared', async () => {
    const own = join(place.home, '.config/secrets');
    mkdirSync(own, { recursive: true });
    writeFileSync(
      join(own, 'secrets.yaml'),
      'stores:\n  found: { provider: vault, mount: kv1 }\n  declared: { provider: vault, mount: kv1, kv-version: 1 }\n',
    );
    await kit.vault.api('POST', 'kv1/d1', { user: 'u', password: 'old' });
    for (const store of ['found', 'declared']) {
      const refused = await place.sh(`secrets delete ${store}://d1`, root);
      expect(refused.code).toBe(2);
      expect(refused.stderr).toMatch(/can’t undo a deletion/);
      const ended = await place.sh(
        `set -e; printf ${store} | secrets put --quiet ${store}://d1#password
         printf '{"A":"1"}' | secrets import - ${store}://imported-${store} --quiet
         secrets copy ${store}://d1 ${store}://copied-${store} --quiet
         secrets sync ${store}://d ${store}://e/ --dry-run --quiet || true
         secrets get ${store}://copied-${store}#password`,
        root,
      );
      expect(ended).toMatchObject({ code: 0, stdout: expect.stringMatching(new RegExp(`${store}$`)) });
    }
    rmSync(join(own, 'secrets.yaml'));
  });

  test('a sign-in from a found secrets.yaml waits for trust', async () => {
    await kit.vault.api('POST', 'sys/auth/approle', { type: 'approle' });
    await kit.vault.api('PUT', 'sys/policies/acl/reader', {
      policy: 'path "secret/data/app" { capabilities = ["read"] }',
    });
    await kit.vault.api('POST', 'auth/approle/role/ci', { token_policies: 'reader' });
    const { data } = await kit.vault.api('GET', 'auth/approle/role/ci/role-id');
    const made = await kit.vault.api('POST', 'auth/approle/role/ci/secret-id', {});
    writeFileSync(join(place.cwd, 'secret-id'), (made['data'] as { secret_id: string }).secret_id);
    const yaml = `stores:
  team:
    provider: vault
    address: ${kit.vault.url}
    auth: { method: approle, role-id: ${(data as { role_id: string }).role_id}, token-file: secret-id }
`;
    writeFileSync(join(place.cwd, 'secrets.yaml'), yaml);
    const refused = await place.sh('secrets get team://app#password');
    expect(refused).toMatchObject({ code: 8, stdout: '' });
    expect(refused.stderr).toMatch(/token-file/);
    // Of the file with the secret id as well.
    const trusted = (await place.sh('secrets trust --dry-run --json | jq -r .sha256')).stdout.trim();
    expect(trusted).toMatch(/^[0-9a-f]{64}$/);
    const got = await place.sh('secrets get team://app#password', { SECRETS_TRUSTED: trusted });
    expect(got).toEqual({ code: 0, stdout: 'p', stderr: '' });
  });

  test('a pending version is read, shown, promoted and discarded by its id', async () => {
    await kit.vault.api('POST', 'secret/data/app.secrets-pending', { data: { user: 'u', password: 'next' } });
    const read = await place.sh('secrets get "vault://app?stage=pending#password"', root);
    expect(read).toEqual({ code: 0, stdout: 'next', stderr: '' });
    const shown = await place.sh('secrets history vault://app --json', root);
    expect(shown.code).toBe(0);
    const id = /pending:1-\d+/.exec(shown.stdout)?.[0] ?? '';
    expect(id).not.toBe('');
    expect((await place.sh(`secrets get 'vault://app?version=${id}#password'`, root)).stdout).toBe('next');
    expect((await place.sh('secrets list vault://', root)).stdout).toBe('app\n');
    expect((await place.sh(`secrets restore vault://app --version ${id}`, root)).code).toBe(0);
    expect((await place.sh('secrets get vault://app#password', root)).stdout).toBe('next');
    expect((await place.sh('secrets get "vault://app?stage=pending"', root)).code).toBe(3);
  });

  test('doctor says what it finds, without the token', async () => {
    const { stdout, stderr, code } = await place.sh('secrets doctor vault', root);
    expect(code).toBe(0);
    expect(stdout).toMatch(/root from VAULT_TOKEN/);
    expect(stdout + stderr).not.toContain(kit.vault.token);
  });
});
