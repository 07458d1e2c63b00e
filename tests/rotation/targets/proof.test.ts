/** What a sign-in proves: nothing where any password lets in, where another account answers, or where the server may lie. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { postgres } from '../../../src/rotation/targets/postgres/descriptor.ts';
import { mysql } from '../../../src/rotation/targets/mysql/descriptor.ts';
import type { Database } from '../../backends/database.ts';
import { POSTGRES, POSTGRES_18, type Postgres, startPostgres } from '../../backends/postgres.ts';
import { describeWith } from '../../backends/server.ts';
import { makePlace, type Outcome } from '../../e2e/program.ts';
import { MARIADB, MYSQL } from './databases.ts';
import { type Front, startFront } from './front.ts';
import { credential, known, never, openTarget, rotate, rotation } from './kit.ts';

const ADMIN = 'ops://admin';

describe.each([POSTGRES, POSTGRES_18])('version $version', (programs) => {
  describeWith('PostgreSQL where sign-ins are not by password', programs.files, () => {
    let server: Postgres;
    const me = userInfo().username;
    beforeAll(async () => {
      server = await startPostgres({
        programs,
        hba: [
          'host all trusting 127.0.0.1/32 trust',
          'host all clear 127.0.0.1/32 password',
          'host all plain 127.0.0.1/32 md5',
          'local all mapped peer map=everybody',
        ],
        ident: [`everybody ${me} mapped`],
      });
      await server.sql(
        ...['trusting', 'clear', 'mapped', 'plain'].map(
          (name) => `CREATE ROLE ${name} LOGIN PASSWORD 'first'`,
        ),
        "CREATE ROLE rotator LOGIN CREATEROLE PASSWORD 'rotator-1'",
        ...(programs.version < 16 ? [] : ['GRANT trusting, clear, mapped, plain TO rotator WITH ADMIN TRUE']),
      );
    });
    afterAll(() => server?.stop());

    const fieldsOf = (username: string, password: string) => ({
      username,
      password,
      host: username === 'mapped' ? server.socket : '127.0.0.1',
      port: server.port,
      dbname: 'postgres',
    });
    const open = async (username: string, admin: boolean, more: object = {}) => {
      const { host } = fieldsOf(username, '');
      const settings = { ...(admin && { admin: ADMIN, username, host, port: server.port }), ...more };
      const secrets = { [ADMIN]: credential(fieldsOf('rotator', 'rotator-1')) };
      return (await openTarget(postgres, settings, secrets)).target;
    };
    const verifierOf = (name: string) =>
      server.column(`SELECT rolpassword FROM pg_authid WHERE rolname = '${name}'`);

    test.each([
      ['trusting', true, /lets trusting in with any password/],
      ['trusting', false, /lets trusting in with any password/],
      ['mapped', true, /lets mapped in with any password/],
      ['mapped', false, /lets mapped in with any password/],
      ['clear', true, /requests the password in clear text, without TLS/],
      ['clear', false, /requests the password in clear text, without TLS/],
    ])('%s, by an administrator: %s, is refused in the plan and in the run', async (name, admin, message) => {
      const target = await open(name, admin);
      const current = credential(fieldsOf(name, 'first'));
      const next = credential(fieldsOf(name, 'second'));
      const refused = { kind: 'Unsupported', message: expect.stringMatching(message) };
      expect(await target.check(known(current), never)).toContainEqual(
        expect.objectContaining({ status: 'fail', detail: expect.stringMatching(message) }),
      );
      await expect(target.prove?.(next, known(current), never)).rejects.toMatchObject(refused);
      await expect(target.verify(current, never)).rejects.toMatchObject(refused);
    });

    test.each([true, false])(
      '`verify: none` is the way out, and says so; by an administrator: %s',
      async (admin) => {
        const target = await open('trusting', admin, { verify: 'none' });
        const [current, next] = [
          credential(fieldsOf('trusting', 'any')),
          credential(fieldsOf('trusting', 'x')),
        ];
        await target.prove?.(next, known(current), never);
        expect(await target.check(known(current), never)).toContainEqual(
          expect.objectContaining({ check: 'verification', status: 'warn' }),
        );
        const before = await verifierOf('trusting');
        await target.apply(next, known(current, next), rotation(), never);
        expect(await verifierOf('trusting')).not.toEqual(before);
        expect(await target.verify(next, never)).toBe('unknown');
        expect(postgres.verifies?.({ verify: 'none' })).toBe(false);
      },
    );

    test.each([true, false])(
      'a password that was kept as MD5 is one of SCRAM afterwards; by an administrator: %s',
      async (admin) => {
        await server.sql("SET password_encryption = 'md5'; ALTER ROLE plain PASSWORD 'first'");
        expect(await verifierOf('plain')).toEqual([expect.stringMatching(/^md5/)]);
        const target = await open('plain', admin);
        const current = credential(fieldsOf('plain', 'first'));
        const next = credential(fieldsOf('plain', 'second'));
        expect((await target.check(known(current), never)).map(({ status }) => status)).not.toContain('fail');
        await target.prove?.(next, known(current), never);
        await rotate(target, current, next);
        expect(await verifierOf('plain')).toEqual([expect.stringMatching(/^SCRAM/)]);
      },
    );

    test('a role that acts as another one changes its own password, not that one’s', async () => {
      await server.sql(
        "CREATE ROLE team NOLOGIN; CREATE ROLE member LOGIN PASSWORD 'first' IN ROLE team",
        'ALTER ROLE member SET role = team',
      );
      const target = await open('member', false);
      const current = credential(fieldsOf('member', 'first'));
      await rotate(target, current, credential(fieldsOf('member', 'second')));
      expect(await verifierOf('team')).toEqual([null]);
      expect(await server.accepts('member', 'second')).toBe(true);
    });
  });
});

describeWith('a rotation by the program', POSTGRES.files, () => {
  test('where anybody is let in, nothing is stored and nothing changed', async () => {
    const [server, place] = await Promise.all([
      startPostgres({ hba: ['host all app 127.0.0.1/32 trust'] }),
      makePlace(),
    ]);
    try {
      await server.sql("CREATE ROLE app LOGIN PASSWORD 'first'");
      const sh = (script: string): Promise<Outcome> =>
        place.sh(script, { SECRETS_LOCAL_KEY_METHOD: 'key-file' });
      const at = { host: '127.0.0.1', port: server.port, dbname: 'postgres' };
      const put = async (name: string, value: object): Promise<void> => {
        writeFileSync(join(place.cwd, 'value'), JSON.stringify(value));
        expect(await sh(`secrets put --quiet ${name} --from-file value`)).toMatchObject({ code: 0 });
      };
      await put('app', { ...at, username: 'app', password: 'zeroth' });
      await put('app', { ...at, username: 'app', password: 'first' });
      await put('admin', { ...at, ...server.admin });
      const verifier = () => server.column("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'");
      const before = await verifier();
      const versions = (await sh('secrets history app')).stdout;
      for (const settings of [{}, { admin: 'local://admin', username: 'app' }]) {
        const target = { type: 'postgres', ...settings };
        const rotation = { 'local://app': { keys: ['password'], grace: '1h', target } };
        writeFileSync(join(place.cwd, 'secrets.yaml'), JSON.stringify({ rotation }));
        for (const command of ['rotate app --dry-run', 'rotate app', 'rotate rollback --to-previous app']) {
          const { code, stderr } = await sh(`secrets ${command} --trust`);
          expect([command, code === 0, stderr]).toEqual([
            command,
            false,
            expect.stringMatching(/lets app in with any password, so a sign-in there proves nothing/),
          ]);
        }
      }
      expect(await verifier()).toEqual(before);
      expect((await sh('secrets history app')).stdout).toBe(versions);
      expect((await sh('secrets get app#password')).stdout).toBe('first');
    } finally {
      await Promise.all([server.stop(), place.remove()]);
    }
  });
});

describe('a server of PostgreSQL’s protocol that is something else', () => {
  let front: Front;
  afterEach(() => front?.stop());
  const at = (host = '127.0.0.1') =>
    credential({ username: 'app', password: 'right-7d21', host, port: front.port || 5432 });

  test('signs everybody in as one user of its own', async () => {
    front = await startFront({ asks: 'md5', password: 'right-7d21', sessionUser: 'pool' });
    const { target } = await openTarget(postgres, {});
    const message = 'a sign-in as app uses the account pool';
    for (const call of [
      target.verify(at(), never),
      target.prove?.(at(), known(at()), never),
      target.apply(at(), known(at()), rotation(), never),
    ])
      await expect(call).rejects.toMatchObject({ kind: 'Unsupported', message });
    expect(await target.check(known(at()), never)).toContainEqual(
      expect.objectContaining({ status: 'fail', detail: message }),
    );
    expect(front.received()).not.toContain('ALTER');
  });

  test('knows no password that it could have been told, and is not believed', async () => {
    front = await startFront({ asks: 'md5', password: 'right-7d21', sessionUser: 'app' });
    const { target } = await openTarget(postgres, {});
    await expect(target.verify(at(), never)).rejects.toMatchObject({
      kind: 'Unsupported',
      message: expect.stringMatching(/has not proven that it knows the password of app$/),
    });
    expect(await target.verify(credential({ ...at().fields, password: 'wrong' }), never)).toBe('refused');
  });

  test.each(['loopback', 'socket'])(
    'wants the password in clear text on a %s, and does not get it',
    async (where) => {
      const folder = mkdtempSync(join(tmpdir(), 'front-'));
      try {
        const socket = where === 'socket' ? { at: join(folder, '.s.PGSQL.5432') } : {};
        front = await startFront({ asks: 'cleartext', sessionUser: 'app', ...socket });
        const login = where === 'socket' ? at(folder) : at();
        const settings = { admin: ADMIN, username: 'app' };
        const { target } = await openTarget(postgres, settings, { [ADMIN]: login });
        for (const call of [
          target.verify(login, never),
          target.apply(login, known(login), rotation(), never),
        ])
          await expect(call).rejects.toMatchObject({
            kind: 'Unsupported',
            message: expect.stringMatching(/requests the password in clear text, without TLS$/),
          });
        expect(front.received()).toContain('user\0app');
        expect(front.received()).not.toContain('right-7d21');
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );
});

for (const kind of [MARIADB, MYSQL])
  describeWith(
    `accounts of ${kind.title}`,
    kind.files,
    () => {
      let server: Database;
      beforeAll(async () => {
        server = await kind.start();
        await server.sql(
          ...kind.administrator('rotator-1', []),
          ...['%', '127.0.0.1'].map((host) => `CREATE USER bob@'${host}' IDENTIFIED BY 'first'`),
        );
      });
      afterAll(() => server?.stop());

      const loginOf = (username: string, word: string) =>
        credential({ username, password: word, host: '127.0.0.1', port: server.port });
      const open = async (settings: object, admin = loginOf('rotator', 'rotator-1')) => {
        const key = server.serverKey === undefined ? {} : { 'server-key': server.serverKey };
        return (await openTarget(mysql, { ...key, ...settings }, { [ADMIN]: admin })).target;
      };
      const [current, next] = [() => loginOf('bob', 'first'), () => loginOf('bob', 'second')];

      test.each([
        ['an administrator, at %', { admin: ADMIN, username: 'bob' }],
        ['an administrator, at a named host', { admin: ADMIN, username: 'bob', 'account-host': '%' }],
        ['the user itself, at a named host', { 'account-host': '%' }],
      ])(
        'a user with several: the one that signs in is not the one that is changed by %s',
        async (_, settings) => {
          const target = await open(settings);
          const message = 'a sign-in as bob@% uses the account bob@127.0.0.1';
          expect(await target.check(known(current()), never)).toContainEqual(
            expect.objectContaining({ status: 'fail', detail: message }),
          );
          const refused = { kind: 'Unsupported', message };
          await expect(target.prove?.(next(), known(current()), never)).rejects.toMatchObject(refused);
          await expect(target.verify(current(), never)).rejects.toMatchObject(refused);
        },
      );

      test('an administrator who may look wants the host named', async () => {
        const root = credential({ ...current().fields, ...server.admin });
        const target = await open({ admin: ADMIN, username: 'bob' }, root);
        const message = expect.stringMatching(/^bob has an account at each of (%, 127.0.0.1|127.0.0.1, %)$/);
        await expect(target.propose?.(next(), known(current()), rotation(), never)).rejects.toMatchObject({
          kind: 'Unsupported',
          message,
        });
        const named = await open({ admin: ADMIN, username: 'bob', 'account-host': '127.0.0.1' }, root);
        await rotate(named, current(), next());
        await rotate(await open({}), next(), current());
      });

      test('a sign-in that says no account, or was refused, is no reason to change one of several', async () => {
        await server.sql(
          "CREATE USER eve@'%' IDENTIFIED BY 'another application'",
          "CREATE USER eve@'127.0.0.1' IDENTIFIED BY 'first'",
        );
        const root = credential({ ...current().fields, ...server.admin });
        const several = /^eve has an account at each of (%, 127.0.0.1|127.0.0.1, %)$/;
        const settings = { admin: ADMIN, username: 'eve', 'account-host': '%' };
        for (const [database, password, detail] of [
          // The server ends this session before it can be asked, as the account that is not changed.
          ['missing', 'first', /^a sign-in as eve@% uses the account eve@127.0.0.1$/],
          ['missing', 'wrong', several],
          [undefined, 'wrong', several],
          [undefined, 'another application', several],
        ] as const) {
          const target = await open({ ...settings, ...(database !== undefined && { database }) }, root);
          const login = credential({
            ...loginOf('eve', password).fields,
            ...(database !== undefined && { dbname: database }),
          });
          expect([password, await target.check(known(login), never)]).toEqual([
            password,
            expect.arrayContaining([
              expect.objectContaining({ status: 'fail', detail: expect.stringMatching(detail) }),
            ]),
          ]);
        }
        // With one account there is no doubt.
        await server.sql("DROP USER eve@'127.0.0.1'");
        const target = await open(settings, root);
        const statuses = (await target.check(known(loginOf('eve', 'wrong')), never)).map(
          ({ status }) => status,
        );
        expect(statuses).toEqual(['warn', 'ok', 'ok']);
      });

      test('a refusal for want of TLS is not one of the password', async () => {
        await server.sql("CREATE USER guarded@'%' IDENTIFIED BY 'first' REQUIRE SSL");
        const root = credential({ ...current().fields, ...server.admin });
        const target = await open({ admin: ADMIN, username: 'guarded' }, root);
        expect(await target.check(known(loginOf('guarded', 'first')), never)).toContainEqual(
          expect.objectContaining({
            status: 'fail',
            detail: 'guarded has to sign in with more than a password (SSL)',
          }),
        );
      });

      if (kind === MARIADB)
        test('where one mistake locks an account, none is made', async () => {
          // A right password takes back the mistakes of before, which would count.
          expect(await server.accepts('bob', 'first')).toBe(true);
          await server.sql('SET GLOBAL max_password_errors = 1');
          try {
            const target = await open({ 'account-host': '127.0.0.1' });
            await expect(target.prove?.(next(), known(current()), never)).rejects.toThrow(
              'one wrong password locks the account',
            );
            expect(await server.accepts('bob', 'first')).toBe(true);
            // Somebody else makes one.
            expect(await server.accepts('bob', 'mistaken')).toBe(false);
            await expect(target.verify(current(), never)).rejects.toMatchObject({
              kind: 'Denied',
              message: 'the account is blocked: too many wrong passwords were tried',
            });
          } finally {
            await server.sql('SET GLOBAL max_password_errors = 100', 'FLUSH PRIVILEGES');
          }
        });

      if (kind === MYSQL)
        test('a proxy user, and an account that one mistake locks, are refused', async () => {
          await server.sql(
            'SET GLOBAL check_proxy_users = ON',
            'SET GLOBAL sha256_password_proxy_users = ON',
            "CREATE USER shared@'%' IDENTIFIED BY 'first'",
            "CREATE USER front@'%' IDENTIFIED WITH sha256_password BY 'first'",
            "GRANT PROXY ON shared@'%' TO front@'%'",
            "CREATE USER strict@'%' IDENTIFIED BY 'first' FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME UNBOUNDED",
          );
          for (const settings of [{}, { admin: ADMIN }])
            for (const [username, message] of [
              ['front', /^a sign-in as front(@%)? uses the account shared@%$/],
              ['strict', /^one wrong password locks the account/],
            ] as const) {
              const target = await open({ ...settings, username });
              const login = loginOf(username, 'first');
              await expect(target.prove?.(login, known(login), never)).rejects.toMatchObject({
                kind: 'Unsupported',
                message: expect.stringMatching(message),
              });
            }
          expect(await server.accepts('strict', 'first')).toBe(true);
        });
    },
    kind.optional,
  );
