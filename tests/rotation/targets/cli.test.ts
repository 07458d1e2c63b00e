/** Every target through the built program, with the local store: the bundled drivers, the engine, trust, retirement. */
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { type Aws, scenarioFiles as AWS_FILES, startAws } from '../../backends/aws.ts';
import { type Mariadb, MARIADB_FILES, startMariadb } from '../../backends/mariadb.ts';
import { type Postgres, POSTGRES_FILES, startPostgres } from '../../backends/postgres.ts';
import { describeWith } from '../../backends/server.ts';
import { scenarioFiles as VAULT_FILES, startVault } from '../../backends/vault.ts';
import { makePlace, type Outcome, type Place } from '../../e2e/program.ts';

let place: Place;
beforeEach(async () => {
  place = await makePlace();
});
afterEach(() => place.remove());

const sh = (script: string, env: Record<string, string> = {}): Promise<Outcome> =>
  place.sh(script, { SECRETS_LOCAL_KEY_METHOD: 'key-file', ...env });

async function ok(script: string, env?: Record<string, string>): Promise<string> {
  const { code, stdout, stderr } = await sh(script, env);
  const told = stderr.replace(/^secrets: warning: made an encrypted store .*\n/, '');
  expect([script, code, told]).toEqual([script, 0, '']);
  return stdout;
}

const policies = (rotation: object): void =>
  writeFileSync(join(place.cwd, 'secrets.yaml'), JSON.stringify({ rotation }));

const put = async (name: string, value: object | string): Promise<void> => {
  writeFileSync(join(place.cwd, 'value'), typeof value === 'string' ? value : JSON.stringify(value));
  await ok(`secrets put --quiet ${name} --from-file value && rm value`);
};

const fieldsOf = async (name: string): Promise<Record<string, string>> =>
  JSON.parse(await ok(`secrets get ${name}`)) as Record<string, string>;

/** No file that the program left has the value in it; the store is encrypted. */
function nowhere(...values: readonly string[]): void {
  for (const entry of readdirSync(place.root, { recursive: true }) as string[]) {
    const path = join(place.root, entry);
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) continue;
    for (const value of values) expect([entry, readFileSync(path).includes(value)]).toEqual([entry, false]);
  }
}

describeWith('databases', [...POSTGRES_FILES, ...MARIADB_FILES], () => {
  let postgres: Postgres;
  let mariadb: Mariadb;
  beforeAll(async () => {
    [postgres, mariadb] = await Promise.all([startPostgres(), startMariadb()]);
    await postgres.sql(`CREATE ROLE app LOGIN PASSWORD 'first'; CREATE ROLE a LOGIN PASSWORD 'first';
      CREATE ROLE b LOGIN PASSWORD 'never used'; CREATE ROLE rotator LOGIN CREATEROLE PASSWORD 'rotator-1'`);
    await mariadb.sql("CREATE USER app@'%' IDENTIFIED BY 'first'");
  });
  afterAll(async () => {
    await Promise.all([postgres?.stop(), mariadb?.stop()]);
  });

  test('rotate, rotate back, and two users in turns', async () => {
    const at = (port: number) => ({ host: '127.0.0.1', port });
    const database = { ...at(postgres.port), dbname: 'postgres' };
    await put('pg', { username: 'app', password: 'first', ...database });
    await put('my', `mysql://app:first@127.0.0.1:${mariadb.port}/`);
    await put('turns', { username: 'a', password: 'first', ...database });
    await put('ops/admin', { username: 'rotator', password: 'rotator-1', ...database });
    policies({
      'local://pg': { keys: ['password'], generate: 'ascii:40', grace: '1h', target: { type: 'postgres' } },
      'local://my': { generate: 'alnum:40', target: { type: 'mysql' } },
      'local://turns': {
        keys: ['password'],
        grace: '1h',
        target: { type: 'postgres', admin: 'local://ops/admin', users: ['a', 'b'] },
      },
    });
    expect((await sh('secrets rotate pg')).code).toBe(8);
    await ok('secrets rotate pg my turns --dry-run --trust');
    expect(await postgres.accepts('app', 'first')).toBe(true);
    await ok('secrets rotate pg my turns --trust');
    const pg = await fieldsOf('pg');
    expect(pg['password']).toHaveLength(40);
    expect(await postgres.accepts('app', pg['password'] ?? '')).toBe(true);
    expect(await postgres.accepts('app', 'first')).toBe(false);
    const my = new URL(await ok('secrets get my'));
    expect(await mariadb.accepts('app', my.password)).toBe(true);
    const turns = await fieldsOf('turns');
    expect(turns['username']).toBe('b');
    // Through the grace time both work.
    expect(await postgres.accepts('b', turns['password'] ?? '')).toBe(true);
    expect(await postgres.accepts('a', 'first')).toBe(true);
    nowhere(pg['password'] ?? '', my.password, turns['password'] ?? '');
    expect(postgres.log() + mariadb.log()).not.toContain(pg['password']);
    expect(mariadb.log()).not.toContain(my.password);

    await ok('secrets rotate rollback --to-previous pg --trust');
    expect((await fieldsOf('pg'))['password']).toBe('first');
    expect(await postgres.accepts('app', 'first')).toBe(true);
  });

  test('a database that is down leaves the secret as it was', async () => {
    await put('my', { username: 'app', password: 'first', host: '127.0.0.1', port: mariadb.port });
    await mariadb.sql("SET PASSWORD FOR app@'%' = PASSWORD('first')");
    policies({ 'local://my': { keys: ['password'], target: { type: 'mysql' } } });
    await mariadb.halt();
    try {
      const { code, stderr } = await sh('secrets rotate my --trust');
      // The host is in the secret, whose content no message repeats.
      expect([code, stderr]).toEqual([6, expect.stringMatching(/cannot reach \*\*\*:\d+ \(ECONNREFUSED\)/)]);
    } finally {
      await mariadb.resume();
    }
    expect((await fieldsOf('my'))['password']).toBe('first');
    const { code } = await sh('secrets rotate resume my --trust');
    expect([0, 3]).toContain(code);
    await ok('secrets rotate my --trust');
    expect(await mariadb.accepts('app', (await fieldsOf('my'))['password'] ?? '')).toBe(true);
  });
});

describeWith('AWS access keys', AWS_FILES, () => {
  test('rotate: the new key works, the old one is deleted', async () => {
    const aws: Aws = await startAws();
    try {
      const Action = ['iam:*', 'secretsmanager:ListSecrets'];
      const Statement = [{ Effect: 'Allow', Action, Resource: '*' }];
      const env = await aws.makeUser('app', { Version: '2012-10-17', Statement });
      const { AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = env;
      await put('aws/app', { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY });
      policies({ 'local://aws/app': { target: { type: 'aws-iam', endpoint: aws.url } } });
      await ok('secrets rotate aws/app --trust');
      const next = await fieldsOf('aws/app');
      expect(next['AWS_ACCESS_KEY_ID']).not.toBe(AWS_ACCESS_KEY_ID);
      // The new key lists the account's secrets, the old one is unknown.
      const list = (id = '', key = ''): Promise<Outcome> =>
        sh('secrets list aws://', { ...env, AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: key });
      expect(await list(next['AWS_ACCESS_KEY_ID'], next['AWS_SECRET_ACCESS_KEY'])).toMatchObject({ code: 0 });
      expect(await list(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)).toMatchObject({ code: 4 });
      nowhere(next['AWS_SECRET_ACCESS_KEY'] ?? '');
    } finally {
      await aws.stop();
    }
  });
});

describeWith('Vault static roles', [...VAULT_FILES, ...POSTGRES_FILES], () => {
  test('rotate: Vault changes it, the store has it', async () => {
    const [vault, postgres] = await Promise.all([startVault(), startPostgres()]);
    try {
      await postgres.sql("CREATE ROLE vault LOGIN CREATEROLE PASSWORD 'vault-1'; CREATE ROLE app LOGIN");
      await vault.api('POST', 'sys/mounts/database', { type: 'database' });
      await vault.api('POST', 'database/config/shop', {
        plugin_name: 'postgresql-database-plugin',
        allowed_roles: 'app',
        connection_url: `postgresql://{{username}}:{{password}}@127.0.0.1:${postgres.port}/postgres?sslmode=disable`,
        username: 'vault',
        password: 'vault-1',
      });
      const role = { db_name: 'shop', username: 'app', rotation_period: '24h' };
      await vault.api('POST', 'database/static-roles/app', role);
      await put('app', {
        username: 'app',
        password: 'unknown',
        host: '127.0.0.1',
        port: postgres.port,
        dbname: 'postgres',
      });
      const login = { type: 'postgres' };
      policies({
        'local://app': { target: { type: 'vault-static-role', role: 'app', address: vault.url, login } },
      });
      await ok('secrets rotate app --trust', { VAULT_TOKEN: vault.token });
      const { password = '' } = await fieldsOf('app');
      expect(await postgres.accepts('app', password)).toBe(true);
      nowhere(password);
    } finally {
      await Promise.all([vault.stop(), postgres.stop()]);
    }
  });
});

describe('calls and programs', () => {
  test('rotate by HTTP and by hooks', async () => {
    let key = 'first';
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const holder = request.headers.authorization === `Bearer ${key}`;
        if (holder && request.method === 'PUT') key = (JSON.parse(body) as { key: string }).key;
        response.writeHead(holder ? 204 : 401).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const address = server.address();
      const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/key`;
      await put('api', 'first');
      await put('hook', { token: 'first', team: 'a' });
      const script = (name: string, body: string): string => {
        writeFileSync(join(place.cwd, name), `#!/bin/sh\n${body}\n`);
        chmodSync(join(place.cwd, name), 0o755);
        return `./${name}`;
      };
      const get = `jq -j .new.fields.token | sha256sum`;
      policies({
        'local://api': {
          target: {
            type: 'http',
            apply: {
              method: 'PUT',
              url,
              headers: { authorization: 'Bearer {{old}}' },
              body: { key: '{{new}}' },
            },
            verify: { url, headers: { authorization: 'Bearer {{new}}' } },
          },
        },
        'local://hook': {
          keys: ['token'],
          target: {
            type: 'program',
            apply: script('apply', `${get} > accepted`),
            verify: script('verify', `[ "$(${get})" = "$(cat accepted)" ] || exit 10`),
          },
        },
      });
      await ok(`printf first | sha256sum > accepted; secrets rotate api hook --trust`);
      expect(await ok('secrets get api')).toBe(key);
      expect(key).toHaveLength(32);
      const { token = '', team } = await fieldsOf('hook');
      expect(team).toBe('a');
      expect(await ok(`secrets get hook#token | sha256sum | cmp - accepted`)).toBe('');
      nowhere(key, token);
    } finally {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  });
});
