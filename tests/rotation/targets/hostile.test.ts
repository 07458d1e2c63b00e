/**
 * A database whose owner, or a server whose settings, would have an administrator do something else: nobody's rights grow,
 * and nothing that the owner wrote is run by anybody who may more than the owner.
 */
import pg from 'pg';
import mysqlClient from 'mysql2/promise';
import { mysql } from '../../../src/rotation/targets/mysql/descriptor.ts';
import { postgres } from '../../../src/rotation/targets/postgres/descriptor.ts';
import type { Database } from '../../backends/database.ts';
import { POSTGRES, POSTGRES_18, type Postgres, startPostgres } from '../../backends/postgres.ts';
import { describeWith } from '../../backends/server.ts';
import { MARIADB, MYSQL } from './databases.ts';
import { credential, known, never, openTarget, rotate } from './kit.ts';

const ADMIN = 'ops://admin';

/** What a driver of ours might call, in a schema that comes first: each notes who ran it, and grabs what it can. */
const TRAPS = [
  ['pg_is_in_recovery()', 'boolean', 'false'],
  ['now()', 'timestamptz', 'clock_timestamp()'],
  ['current_setting(text)', 'text', "'150000'"],
  ['set_config(text, text, boolean)', 'text', "''"],
  ['pg_has_role(oid, oid, text)', 'boolean', 'true'],
  ['pg_has_role(name, oid, text)', 'boolean', 'true'],
  ['same(name, name)', 'boolean', 'true'],
  ['same(name, text)', 'boolean', 'true'],
  ['same(oid, oid)', 'boolean', 'true'],
  ['same(text, text)', 'boolean', 'true'],
  ['less(timestamptz, timestamptz)', 'boolean', 'false'],
] as const;

const trap = ([signature, type, value]: (typeof TRAPS)[number]): string => `
  CREATE FUNCTION evil.${signature} RETURNS ${type} LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO evil.witness VALUES (session_user);
    BEGIN ALTER ROLE app SUPERUSER; EXCEPTION WHEN OTHERS THEN NULL; END;
    BEGIN ALTER ROLE app CREATEROLE; EXCEPTION WHEN OTHERS THEN NULL; END;
    RETURN ${value}; END $$`;

describe.each([POSTGRES, POSTGRES_18])('version $version', (programs) => {
  describeWith('PostgreSQL with a hostile owner of a database', programs.files, () => {
    let server: Postgres;
    const inApp = async (username: string, password: string, ...statements: readonly string[]) => {
      const client = new pg.Client({
        ...{ host: '127.0.0.1', port: server.port, user: username, password, database: 'app' },
      });
      await client.connect();
      try {
        const rows: unknown[] = [];
        for (const text of statements)
          for (const answer of [await client.query({ text, rowMode: 'array' })].flat())
            rows.push(...answer.rows);
        return rows.flat();
      } finally {
        await client.end();
      }
    };
    beforeAll(async () => {
      server = await startPostgres({ programs });
      await server.sql(
        "CREATE ROLE owner LOGIN PASSWORD 'owner-1'",
        "CREATE ROLE app LOGIN PASSWORD 'first'",
        "CREATE ROLE rotator LOGIN CREATEROLE PASSWORD 'rotator-1'",
        ...(programs.version < 16 ? [] : ['GRANT app TO rotator WITH ADMIN TRUE, INHERIT FALSE, SET FALSE']),
        'CREATE DATABASE app OWNER owner',
      );
      await inApp(
        'owner',
        'owner-1',
        'CREATE SCHEMA evil; CREATE TABLE evil.witness (who name); GRANT ALL ON SCHEMA evil TO PUBLIC',
        'GRANT ALL ON evil.witness TO PUBLIC',
        'ALTER DEFAULT PRIVILEGES IN SCHEMA evil GRANT ALL ON FUNCTIONS TO PUBLIC',
        ...TRAPS.map(trap),
        ...['name, name', 'name, text', 'oid, oid', 'text, text'].map((types) => {
          const [left = '', right = ''] = types.split(', ');
          return `CREATE OPERATOR evil.= (FUNCTION = evil.same, LEFTARG = ${left}, RIGHTARG = ${right})`;
        }),
        'CREATE OPERATOR evil.< (FUNCTION = evil.less, LEFTARG = timestamptz, RIGHTARG = timestamptz)',
        "CREATE VIEW evil.pg_roles AS SELECT *, evil.same('a'::text, 'b'::text) FROM pg_catalog.pg_roles",
        'CREATE DOMAIN evil.name AS text CHECK (evil.same(VALUE, VALUE))',
        'CREATE TYPE evil.pair AS (one text)',
        'CREATE FUNCTION evil.pair_text(evil.pair) RETURNS text LANGUAGE sql AS $$ SELECT evil.current_setting(($1).one) $$',
        'CREATE CAST (evil.pair AS text) WITH FUNCTION evil.pair_text(evil.pair) AS IMPLICIT',
        'ALTER DATABASE app SET search_path = evil, pg_catalog',
        'ALTER DATABASE app SET default_transaction_read_only = on',
        'ALTER DATABASE app SET standard_conforming_strings = off',
        'ALTER DATABASE app SET role = owner',
      );
      // One that a superuser has made in good faith, with a function that is the owner's.
      await server.sql('ALTER DATABASE app RESET default_transaction_read_only');
      await inApp(
        server.admin.username,
        server.admin.password,
        'SET role = none',
        `CREATE FUNCTION evil.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
           PERFORM evil.now(); END $$`,
        'ALTER FUNCTION evil.on_ddl() OWNER TO owner',
        'CREATE EVENT TRIGGER on_ddl ON ddl_command_start EXECUTE FUNCTION evil.on_ddl()',
      );
      await server.sql(
        'ALTER DATABASE app SET default_transaction_read_only = on',
        'ALTER ROLE rotator IN DATABASE app SET search_path = evil, pg_catalog',
        'ALTER ROLE app SET search_path = evil, pg_catalog',
      );
    });
    afterAll(() => server?.stop());

    const rights = () =>
      server.column(`
        SELECT concat_ws(' ', rolname, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication,
          (SELECT string_agg(roleid::regrole::text, ',' ORDER BY roleid) FROM pg_auth_members WHERE member = r.oid))
        FROM pg_roles r ORDER BY rolname`);
    const witnesses = () =>
      inApp(
        server.admin.username,
        server.admin.password,
        'SET search_path = pg_catalog; SET role = none',
        'SELECT DISTINCT who FROM evil.witness',
      );
    const at = (dbname?: string) => ({
      ...{ host: '127.0.0.1', port: server.port },
      ...(dbname !== undefined && { dbname }),
    });

    test('the traps catch who is careless', async () => {
      const { username, password } = server.admin;
      await inApp(
        username,
        password,
        'SET role = none',
        'SET default_transaction_read_only = off',
        'SELECT pg_is_in_recovery()',
      );
      expect(await witnesses()).toEqual([username]);
      expect(await rights()).toContainEqual(expect.stringMatching(/^app t t/));
      await server.sql('ALTER ROLE app NOSUPERUSER NOCREATEROLE');
      await inApp(
        username,
        password,
        'SET search_path = pg_catalog; SET role = none; SET default_transaction_read_only = off',
        'DELETE FROM evil.witness',
      );
      // The owner itself may make no such trigger.
      await expect(
        inApp(
          'owner',
          'owner-1',
          'SET default_transaction_read_only = off',
          'CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION evil.on_ddl()',
        ),
      ).rejects.toThrow('permission denied');
    });

    describe.each(['superuser', 'CREATEROLE'])('for an administrator with %s', (right) => {
      const adminAt = (dbname?: string) =>
        credential({
          ...at(dbname),
          ...(right === 'superuser' ? server.admin : { username: 'rotator', password: 'rotator-1' }),
        });

      test.each([
        ['elsewhere', undefined],
        ['in that database', 'app'],
      ])('%s, a plan and a rotation raise nobody’s rights', async (_where, dbname) => {
        await server.sql("ALTER ROLE app PASSWORD 'first'");
        const settings = { admin: ADMIN, username: 'app', database: 'app' };
        const { target } = await openTarget(postgres, settings, { [ADMIN]: adminAt(dbname) });
        const current = credential({ ...at('app'), username: 'app', password: 'first' });
        const before = await rights();
        const findings = await target.check(known(current), never);
        expect(findings.map(({ status }) => status)).toEqual(['ok', 'ok', 'ok']);
        await rotate(target, current, credential({ ...current.fields, password: 'second' }));
        expect(await rights()).toEqual(before);
        expect(await witnesses()).not.toContain(right === 'superuser' ? server.admin.username : 'rotator');
        expect(await server.accepts('app', 'second')).toBe(true);
      });

      test('a secret that names that database by itself is refused', async () => {
        const { target } = await openTarget(
          postgres,
          { admin: ADMIN, username: 'app' },
          { [ADMIN]: adminAt() },
        );
        const current = credential({ ...at('app'), username: 'app', password: 'first' });
        const sessions = (): number => server.log().split('database=app').length;
        const before = [await rights(), sessions()];
        expect(await target.check(known(current), never)).toMatchObject([
          { status: 'fail', detail: expect.stringContaining('(database)') },
        ]);
        await expect(
          rotate(target, current, credential({ ...current.fields, password: 'x' })),
        ).rejects.toThrow('(database)');
        expect([await rights(), sessions()]).toEqual(before);
      });
    });

    test('a superuser that changes its own password there lends it to nobody', async () => {
      await server.sql("CREATE ROLE dba SUPERUSER LOGIN PASSWORD 'first'");
      const { target } = await openTarget(postgres, {});
      const current = credential({ ...at('app'), username: 'dba', password: 'first' });
      const before = await rights();
      const findings = await target.check(known(current), never);
      expect(findings.map(({ status }) => status)).not.toContain('fail');
      await rotate(target, current, credential({ ...current.fields, password: 'second' }));
      expect(await rights()).toEqual(before);
      expect(await witnesses()).not.toContain('dba');
      expect(await server.accepts('dba', 'second')).toBe(true);
    });
  });
});

for (const kind of [MARIADB, MYSQL])
  describeWith(
    `${kind.title} with a hostile owner of a database, and odd settings`,
    kind.files,
    () => {
      let server: Database;
      /** A name and passwords that mean something else in another mode or character set. */
      const name = 'a\\\'b"`€p';
      const words = ["first\\' OR ", 'second\\\\\'"`', 'third\\'];
      const accountOf = (user: string): string => `\`${user.replaceAll('`', '``')}\`@'%'`;
      const literal = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
      const rows = async (sql: string, user = server.admin): Promise<unknown> => {
        const client = await mysqlClient.createConnection({
          ...{ host: '127.0.0.1', port: server.port, user: user.username, password: user.password },
        });
        try {
          return (await client.query(sql))[0];
        } finally {
          await client.end();
        }
      };
      const rights = () =>
        rows(
          'SELECT User, Host, Super_priv, Create_user_priv, Grant_priv, Insert_priv FROM mysql.user ORDER BY 1, 2',
        );
      beforeAll(async () => {
        server = await kind.start();
        await server.sql(
          'CREATE DATABASE app',
          "CREATE USER owner@'%' IDENTIFIED BY 'owner-1'",
          "GRANT ALL ON app.* TO owner@'%'",
          `CREATE USER ${accountOf(name)} IDENTIFIED BY ${literal(words[0] ?? '')}`,
          `GRANT SELECT ON app.* TO ${accountOf(name)}`,
          ...kind.administrator('rotator-1', []),
        );
        if (kind === MYSQL) await server.sql('SET GLOBAL log_bin_trust_function_creators = 1');
        const owner = { username: 'owner', password: 'owner-1' };
        await rows('CREATE TABLE app.witness (who text)', owner);
        for (const called of ['version', 'current_user', 'database'])
          await rows(
            `CREATE FUNCTION app.\`${called}\`() RETURNS text SQL SECURITY INVOKER BEGIN
               INSERT INTO app.witness VALUES (USER()); RETURN 'x'; END`,
            owner,
          );
      });
      afterAll(() => server?.stop());

      test.each([
        '',
        'NO_BACKSLASH_ESCAPES',
        'ANSI_QUOTES,PIPES_AS_CONCAT,IGNORE_SPACE',
        ...(kind === MARIADB ? ['ORACLE'] : []),
      ])(
        'sql_mode %j: an administrator and the user itself set the password that they were given',
        async (mode) => {
          await server.sql(`SET GLOBAL sql_mode = '${mode}'`, "SET GLOBAL init_connect = 'SET NAMES gbk'");
          const fieldsOf = (word: string) => ({
            ...{ host: '127.0.0.1', port: server.port, dbname: 'app' },
            ...{ username: name, password: word },
          });
          const key = server.serverKey === undefined ? {} : { 'server-key': server.serverKey };
          const before = await rights();
          for (const admin of [server.admin, { username: 'rotator', password: 'rotator-1' }, undefined]) {
            const secret = credential({ host: '127.0.0.1', port: server.port, ...admin });
            const settings = admin && { admin: ADMIN, username: name, database: 'app', 'account-host': '%' };
            const { target } = await openTarget(mysql, { ...key, ...settings }, { [ADMIN]: secret });
            for (const [from, to] of [
              [0, 1],
              [1, 2],
              [2, 0],
            ] as const) {
              const current = credential(fieldsOf(words[from] ?? ''));
              const findings = await target.check(known(current), never);
              expect(findings.filter(({ status }) => status === 'fail')).toEqual([]);
              await rotate(target, current, credential(fieldsOf(words[to] ?? '')));
            }
          }
          expect(await rights()).toEqual(before);
          expect(await rows('SELECT * FROM app.witness')).toEqual([]);
        },
      );
    },
    kind.optional,
  );
