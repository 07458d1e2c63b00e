import { writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
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

/** A machine in front of Vault: passes on what it is asked, but for what `instead` answers. */
async function startFront(to: string) {
  const front = {
    url: '',
    /** Paths of the changes that were passed on. */
    changes: [] as string[],
    /** @returns whether it has answered */
    instead: (_method: string, _path: string, _response: ServerResponse): boolean => false,
    stop: async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  const server = createServer((request, response) => {
    const { method = '', url = '' } = request;
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    const answer = async (): Promise<void> => {
      if (front.instead(method, url, response)) return;
      if (url.includes('/rotate-role/')) front.changes.push(url);
      const { host: _host, connection: _connection, 'content-length': _length, ...rest } = request.headers;
      const headers = rest as Record<string, string>;
      const body = chunks.length === 0 ? undefined : Buffer.concat(chunks);
      const forwarded = await fetch(to + url, { method, headers, body: body ?? null });
      response.writeHead(forwarded.status).end(Buffer.from(await forwarded.arrayBuffer()));
    };
    request.on('end', () => void answer());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  front.url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  return front;
}

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

  test('a role of another user is refused before Vault is asked to change anything', async () => {
    const before = await inVault();
    const place = await makePlace();
    const front = await startFront(vault.url);
    try {
      const root = { VAULT_ADDR: front.url, VAULT_TOKEN: vault.token };
      const sh = (script: string) => place.sh(script, root);
      const target = { type: 'vault-static-role', role: 'app' };
      const policy = { rotation: { 'vault://others': { every: '30d', target } } };
      await writeFile(join(place.cwd, 'secrets.yaml'), JSON.stringify(policy));
      for (const value of [
        { username: 'billing', password: before },
        { url: `postgresql://billing:${before}@127.0.0.1/postgres` },
      ]) {
        const current = credential(value);
        const message = 'the secret is for billing, and the static role app for app';
        const { target: opened } = await openRole();
        expect(await opened.check(known(current), never)).toContainEqual(
          expect.objectContaining({ status: 'fail', kind: 'Conflict', detail: message }),
        );
        await expect(opened.issue?.(known(current, current), rotation(), never)).rejects.toMatchObject({
          kind: 'Conflict',
          message,
        });
        expect(await opened.verify(current, never)).toBe('refused');
        await opened.close();
        expect(
          await sh(`printf %s '${JSON.stringify(value)}' | secrets put --quiet vault://others`),
        ).toMatchObject({ code: 0 });
        for (const more of ['', '--dry-run']) {
          const outcome = await sh(`secrets rotate vault://others --trust ${more}`);
          expect(outcome.code).not.toBe(0);
          expect(outcome.stdout + outcome.stderr).toContain(message);
        }
        expect(await sh("secrets get 'vault://others?stage=pending'")).toMatchObject({ code: 3 });
        expect(JSON.parse((await sh('secrets get vault://others')).stdout)).toEqual(value);
      }
      expect([front.changes, await inVault()]).toEqual([[], before]);
    } finally {
      await front.stop();
      await place.remove();
    }
  });

  test('a change after which Vault shows the old password is in doubt, whether it was made or not', async () => {
    const place = await makePlace();
    const front = await startFront(vault.url);
    try {
      const root = { VAULT_ADDR: front.url, VAULT_TOKEN: vault.token };
      const sh = (script: string) => place.sh(script, root);
      const target = { type: 'vault-static-role', role: 'app' };
      const policy = { rotation: { 'vault://doubt': { every: '30d', target } } };
      await writeFile(join(place.cwd, 'secrets.yaml'), JSON.stringify(policy));
      const put = async (): Promise<string> => {
        const password = await inVault();
        const value = JSON.stringify({ username: 'app', password });
        expect(await sh(`printf %s '${value}' | secrets put --quiet vault://doubt`)).toMatchObject({
          code: 0,
        });
        return password;
      };
      const inDoubt = async (before: string): Promise<void> => {
        expect(await sh('secrets rotate vault://doubt --trust')).toMatchObject({
          code: 6,
          stderr: expect.stringMatching(/Vault still shows the old password; the change may have been made/),
        });
        front.instead = () => false;
        // The claim stays, and with it the old password is what is read.
        expect((await sh('secrets get vault://doubt#password')).stdout).toBe(before);
      };
      const resumed = async (before: string): Promise<void> => {
        expect(await sh('secrets rotate resume vault://doubt --trust --take-over')).toMatchObject({
          code: 0,
        });
        const word = (await sh('secrets get vault://doubt#password')).stdout;
        expect([word, word === before]).toEqual([await inVault(), false]);
        expect(await postgres.accepts('app', word)).toBe(true);
      };

      // It was not: something in between says yes and does nothing.
      const first = await put();
      front.instead = (method, path, response) => {
        if (method === 'GET' || !path.endsWith('/rotate-role/app')) return false;
        response.writeHead(204).end();
        return true;
      };
      await inDoubt(first);
      expect([front.changes.length, await inVault()]).toEqual([0, first]);
      await resumed(first);
      expect(front.changes).toHaveLength(1);

      // It was: who answers reads is behind.
      const second = await put();
      const stale = await vault.api('GET', 'database/static-creds/app');
      front.instead = (method, path, response) => {
        if (method !== 'GET' || !path.endsWith('/static-creds/app')) return false;
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(stale));
        return true;
      };
      await inDoubt(second);
      expect([front.changes.length, (await inVault()) === second]).toEqual([2, false]);
      // What Vault has since is taken, without another change.
      await resumed(second);
      expect(front.changes).toHaveLength(2);
    } finally {
      await front.stop();
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
