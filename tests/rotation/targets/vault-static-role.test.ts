import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { vaultStaticRole } from '../../../src/rotation/targets/vault-static-role/descriptor.ts';
import { POSTGRES_FILES, type Postgres, startPostgres } from '../../backends/postgres.ts';
import { describeWith } from '../../backends/server.ts';
import { makePlace } from '../../e2e/program.ts';
import { scenarioFiles, startVault, type Vault } from '../../backends/vault.ts';
import { credential, known, never, openTarget, rotation, text } from './kit.ts';

/** The policy of docs/rotation-targets.md. */
const POLICY = `
path "database/static-creds/app" { capabilities = ["read"] }
path "database/rotate-role/app" { capabilities = ["update"] }
`;

describeWith('Vault static roles', [...scenarioFiles, ...POSTGRES_FILES], () => {
  let vault: Vault;
  let postgres: Postgres;
  let env: Record<string, string>;
  beforeAll(async () => {
    [vault, postgres] = await Promise.all([startVault(), startPostgres()]);
    await postgres.sql(
      "CREATE ROLE vault LOGIN CREATEROLE PASSWORD 'vault-1'; CREATE ROLE app LOGIN PASSWORD 'first'",
    );
    await vault.api('POST', 'sys/mounts/database', { type: 'database' });
    await vault.api('POST', 'database/config/shop', {
      plugin_name: 'postgresql-database-plugin',
      allowed_roles: 'app',
      connection_url: `postgresql://{{username}}:{{password}}@127.0.0.1:${postgres.port}/postgres?sslmode=disable`,
      username: 'vault',
      password: 'vault-1',
      password_authentication: 'scram-sha-256',
    });
    await vault.api('POST', 'database/static-roles/app', {
      db_name: 'shop',
      username: 'app',
      rotation_period: '24h',
      rotation_statements: [`ALTER ROLE "{{name}}" PASSWORD '{{password}}'`],
    });
    await vault.api('PUT', 'sys/policies/acl/rotate', { policy: POLICY });
    const { auth } = await vault.api('POST', 'auth/token/create', { policies: ['rotate'] });
    env = { VAULT_ADDR: vault.url, VAULT_TOKEN: (auth as { client_token: string }).client_token };
  });
  afterAll(async () => {
    await Promise.all([vault?.stop(), postgres?.stop()]);
  });

  const inVault = async (): Promise<string> => {
    const { data } = await vault.api('GET', 'database/static-creds/app');
    return (data as { password: string }).password;
  };
  const openRole = async (settings: object = {}) =>
    openTarget(vaultStaticRole, { role: 'app', ...settings }, {}, { env });
  const secretOf = (word: string) =>
    credential({
      username: 'app',
      password: word,
      host: '127.0.0.1',
      port: postgres.port,
      dbname: 'postgres',
    });

  test('Vault is asked to change the password, which the database then takes', async () => {
    const { target, lines } = await openRole({ login: { type: 'postgres' } });
    const first = await inVault();
    const current = secretOf(first);
    expect((await target.check(known(current), never)).map(({ status }) => status)).toEqual([
      'ok',
      'ok',
      'ok',
    ]);
    const pending = (await target.issue?.(known(current, current), rotation(), never)) ?? current;
    const word = String(pending.fields?.['password']);
    expect(word).not.toBe(first);
    expect(pending.fields).toEqual({ ...current.fields, password: await inVault() });
    await target.apply(pending, known(current, pending), rotation(), never);
    expect([await target.verify(pending, never), await target.verify(current, never)]).toEqual([
      'accepted',
      'refused',
    ]);
    expect(await postgres.accepts('app', word)).toBe(true);
    await expect(target.apply(current, known(current, pending), rotation(), never)).rejects.toMatchObject({
      kind: 'Unsupported',
    });
    expect(lines.join()).not.toContain(word);
    await target.close();
  });

  test('a run that died after Vault’s change is finished without another', async () => {
    const { target } = await openRole();
    const current = secretOf(await inVault());
    const now = rotation();
    const started = { ...now, startedAt: new Date(Date.now() - 1_000) };
    const lost = await target.issue?.(known(current, current), started, never);
    const again = await target.issue?.(known(current, current), started, never);
    expect(again?.fields).toEqual(lost?.fields);
    // The next rotation changes it anew.
    const next = await target.issue?.(
      known(again, again),
      { ...now, startedAt: new Date(Date.now() + 1_000) },
      never,
    );
    expect(next?.fields?.['password']).not.toBe(again?.fields?.['password']);
    await target.close();
  });

  test('a URL and a password alone are kept in their form', async () => {
    const { target } = await openRole({
      login: { type: 'postgres', host: '127.0.0.1', port: postgres.port, database: 'postgres' },
    });
    const url = `postgresql://app:old@127.0.0.1:${postgres.port}/postgres`;
    for (const [current, form] of [
      [credential(url), (word: string) => url.replace('old', word)],
      [credential('old'), (word: string) => word],
      [
        credential({ url, other: 1 }),
        (word: string) => JSON.stringify({ url: url.replace('old', word), other: 1 }),
      ],
    ] as const) {
      const issued = await target.issue?.(known(current, current), rotation(), never);
      const word = encodeURIComponent(await inVault());
      expect(issued && text(issued)).toBe(form(word));
    }
    await target.close();
  });

  test('tells Vault’s own schedule, and whether the secret has fallen behind it', async () => {
    const { target } = await openRole();
    const current = secretOf(await inVault());
    const told = await target.schedule?.(known(current), never);
    expect(told).toMatchObject({
      by: 'vault static role app',
      enabled: true,
      everyMs: 86_400_000,
      lastRotated: expect.any(Date),
      behind: false,
    });
    const ahead = (told?.next?.getTime() ?? 0) - Date.now();
    expect(ahead).toBeGreaterThan(23 * 3_600_000);
    expect(ahead).toBeLessThanOrEqual(86_400_000);
    await vault.api('POST', 'database/rotate-role/app');
    expect(await target.schedule?.(known(current), never)).toMatchObject({ behind: true });
    await target.close();
  });

  test('status shows it, and --due brings a secret up to date that Vault has left behind', async () => {
    const place = await makePlace();
    try {
      const root = { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.token };
      const sh = (script: string) => place.sh(script, root);
      const target = { type: 'vault-static-role', role: 'app' };
      const rotation = { 'vault://app': { every: '30d', target } };
      await writeFile(join(place.cwd, 'secrets.yaml'), JSON.stringify({ rotation }));
      const value = JSON.stringify({ username: 'app', password: await inVault() });
      expect(await sh(`printf %s '${value}' | secrets put --quiet vault://app`)).toMatchObject({ code: 0 });
      const row = async (): Promise<Record<string, unknown> | undefined> => {
        const { stdout } = await sh('secrets rotate status --json --trust');
        return (JSON.parse(stdout) as { secrets: Record<string, unknown>[] }).secrets[0];
      };
      expect(await row()).toMatchObject({
        state: 'ok',
        by: 'vault static role app',
        everySeconds: 2_592_000,
        native: { role: 'rotates', everySeconds: 86_400, next: expect.any(String) },
      });
      expect(await sh('secrets rotate --due --trust --json')).toMatchObject({ code: 0, stdout: '' });
      await vault.api('POST', 'database/rotate-role/app');
      expect(await row()).toMatchObject({ state: 'overdue' });
      expect(await sh('secrets rotate --due --trust')).toMatchObject({ code: 0 });
      expect((await sh('secrets get vault://app#password')).stdout).toBe(await inVault());
      expect(await row()).toMatchObject({ state: 'ok' });
      // What is not trusted asks no Vault but the store's own.
      const { stdout } = await sh('secrets rotate status --json');
      expect(JSON.parse(stdout)).toMatchObject({ secrets: [{ state: 'ok', by: 'secrets' }] });
    } finally {
      await place.remove();
    }
  });

  test('says what is missing', async () => {
    const { target } = await openTarget(vaultStaticRole, { role: 'other' }, {}, { env });
    expect(await target.check(known(), never)).toMatchObject([{ status: 'fail' }]);
    await expect(target.issue?.(known(), rotation(), never)).rejects.toMatchObject({ kind: 'Denied' });
    const root = { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.token };
    const absent = (await openTarget(vaultStaticRole, { role: 'other' }, {}, { env: root })).target;
    await expect(absent.issue?.(known(), rotation(), never)).rejects.toMatchObject({ kind: 'NotFound' });
    await expect(openTarget(vaultStaticRole, { role: '../x' }, {}, { env })).rejects.toMatchObject({
      kind: 'Usage',
    });
    await expect(openTarget(vaultStaticRole, {}, {}, { env })).rejects.toThrow('role');
    // Its own policy has no right to read the role only.
    await vault.api('PUT', 'sys/policies/acl/read', { policy: POLICY.split('\n').slice(0, 2).join('\n') });
    const { auth } = await vault.api('POST', 'auth/token/create', { policies: ['read'] });
    const weak = { VAULT_ADDR: vault.url, VAULT_TOKEN: (auth as { client_token: string }).client_token };
    const reader = (await openTarget(vaultStaticRole, { role: 'app' }, {}, { env: weak })).target;
    expect(await reader.check(known(), never)).toContainEqual(
      expect.objectContaining({ check: 'right to database/rotate-role/app', status: 'fail' }),
    );
    for (const one of [target, absent, reader]) await one.close();
  });
});
