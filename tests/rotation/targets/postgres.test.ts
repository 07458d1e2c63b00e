/** What only PostgreSQL has; database.test.ts has the rest. */
import pg from 'pg';
import { postgres } from '../../../src/rotation/targets/postgres/descriptor.ts';
import { scramVerifier } from '../../../src/rotation/targets/postgres/verifier.ts';
import { POSTGRES, POSTGRES_18, type Postgres, startPostgres } from '../../backends/postgres.ts';
import { describeWith } from '../../backends/server.ts';
import { credential, known, never, openTarget, rotation } from './kit.ts';

test('the stored form is that of PostgreSQL', async () => {
  // Password, salt and iterations of the example in RFC 7677 §3.
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
  expect(await scramVerifier('pencil', salt)).toBe(
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
  await expect(scramVerifier('pässword')).rejects.toThrow('printable ASCII');
});

describe.each([POSTGRES, POSTGRES_18])('version $version', (programs) => {
  describeWith('PostgreSQL', programs.files, () => {
    let server: Postgres;
    beforeAll(async () => {
      server = await startPostgres({ programs });
      await server.sql(`
        CREATE ROLE rotator LOGIN CREATEROLE PASSWORD 'rotator-1';
        CREATE ROLE app LOGIN PASSWORD 'first'; CREATE ROLE boss LOGIN SUPERUSER PASSWORD 'first';
        CREATE ROLE timed LOGIN PASSWORD 'first' VALID UNTIL '2020-01-01'; CREATE ROLE team NOLOGIN`);
    });
    afterAll(() => server?.stop());

    const loginOf = (username: string, word: string) =>
      credential({ username, password: word, host: '127.0.0.1', port: server.port, dbname: 'postgres' });
    const asRotator = async (username: string) =>
      (
        await openTarget(
          postgres,
          { admin: 'ops://admin', username },
          { 'ops://admin': loginOf('rotator', 'rotator-1') },
        )
      ).target;

    test('from version 16 on CREATEROLE is not enough for a role that somebody else made', async () => {
      const target = await asRotator('app');
      const [current, next] = [loginOf('app', 'first'), loginOf('app', 'second')];
      const check = async () => (await target.check(known(current), never)).at(-1);
      const apply = () => target.apply(next, known(current, next), rotation(), never);
      if (programs.version >= 16) {
        expect(await check()).toMatchObject({
          status: 'fail',
          detail: 'the administrator lacks ADMIN OPTION on it',
        });
        await expect(apply()).rejects.toMatchObject({
          kind: 'Denied',
          message: 'no right to change the password of app',
          hint: 'it takes CREATEROLE, and ADMIN OPTION on the role from version 16 on',
        });
        await server.sql('GRANT app TO rotator WITH ADMIN TRUE, INHERIT FALSE, SET FALSE');
      }
      expect(await check()).toMatchObject({ status: 'ok', detail: 'CREATEROLE' });
      await apply();
      expect(await server.accepts('app', 'second')).toBe(true);
    });

    test('a password that can’t be set, or keys that are no password, are found before anything is stored', async () => {
      const current = loginOf('boss', 'first');
      const own = (await openTarget(postgres, {})).target;
      const found = async (sample: ReturnType<typeof credential>) =>
        (await own.check(known(current), never, sample)).filter(({ status }) => status === 'fail');
      expect(await found(loginOf('boss', 'next'))).toEqual([]);
      for (const [sample, detail] of [
        [loginOf('boss', 'pässword'), 'the password contains characters beyond printable ASCII'],
        [credential({ ...current.fields, note: 'next' }), 'none of the keys to rotate is the password'],
      ] as const)
        expect(await found(sample)).toEqual([expect.objectContaining({ kind: 'Invalid', detail })]);
    });

    test('a change of the role that another session makes meanwhile is said to be what it is', async () => {
      await server.sql("CREATE ROLE busy LOGIN PASSWORD 'first'");
      const { username: user, password } = server.admin;
      const other = new pg.Client({
        host: '127.0.0.1',
        port: server.port,
        user,
        password,
        database: 'postgres',
      });
      await other.connect();
      try {
        await other.query('BEGIN; ALTER ROLE busy CONNECTION LIMIT 5');
        const [current, next] = [loginOf('busy', 'first'), loginOf('busy', 'second')];
        const { target } = await openTarget(postgres, {});
        const change = target.apply(next, known(current, next), rotation(), never);
        change.catch(() => {});
        const waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        while (String((await server.column(waits))[0]) === '0')
          await new Promise((resolve) => setTimeout(resolve, 20));
        await other.query('COMMIT');
        await expect(change).rejects.toMatchObject({
          kind: 'Unavailable',
          message: 'another session changed busy at the same time, and the change was not made',
        });
        expect(await server.accepts('busy', 'first')).toBe(true);
      } finally {
        await other.end();
      }
    });

    test('says what hinders: a superuser, a role without sign-in, a date that has passed', async () => {
      for (const [name, detail] of [
        ['boss', 'only a superuser may change a superuser’s password'],
        ['team', 'the role may not sign in'],
        ['timed', 'its VALID UNTIL has passed'],
        ['ghost', 'no user ghost'],
      ] as const)
        expect(
          (await (await asRotator(name)).check(known(loginOf(name, 'first')), never)).at(-1),
        ).toMatchObject({ status: 'fail', detail });
      const target = await asRotator('boss');
      const boss = loginOf('boss', 'second');
      await expect(target.apply(boss, known(boss, boss), rotation(), never)).rejects.toMatchObject({
        kind: 'Denied',
      });
      const own = (await openTarget(postgres, {})).target;
      const nowhere = credential({ ...loginOf('app', 'second').fields, dbname: 'nope' });
      // The password is right, whatever comes after.
      expect(await own.verify(nowhere, never)).toBe('accepted');
      await expect(own.apply(nowhere, known(nowhere, nowhere), rotation(), never)).rejects.toMatchObject({
        kind: 'Invalid',
        message: 'no database nope',
      });
    });
  });
});
