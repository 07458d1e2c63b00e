/** What only MariaDB or MySQL has; database.test.ts has the rest. */
import { mysql } from '../../../src/rotation/targets/mysql/descriptor.ts';
import { nativeHash } from '../../../src/rotation/targets/mysql/driver.ts';
import type { Database } from '../../backends/database.ts';
import { MARIADB_ED25519 } from '../../backends/mariadb.ts';
import { describeWith } from '../../backends/server.ts';
import { MARIADB, MYSQL } from './databases.ts';
import { credential, known, never, openTarget, rotate, rotation } from './kit.ts';

const ADMIN = 'ops://admin';

test('the stored form is that of mysql_native_password', () => {
  // The example of https://mariadb.com/kb/en/password/
  expect(nativeHash('notagoodpwd')).toBe('*3A70EE9FC6594F88CE9E959CD51C5A1C002DC937');
});

for (const kind of [MARIADB, MYSQL])
  describeWith(
    kind.title,
    kind.files,
    () => {
      let server: Database;
      beforeAll(async () => {
        server = await kind.start();
        await server.sql(
          ...kind.administrator('rotator-1', []),
          ...['locked', 'plain', 'old'].map((name) => kind.user(name, 'first')),
          "CREATE USER elsewhere@'127.0.0.%' IDENTIFIED BY 'first'",
          "ALTER USER locked@'%' ACCOUNT LOCK",
          "ALTER USER old@'%' PASSWORD EXPIRE",
        );
      });
      afterAll(() => server?.stop());

      const loginOf = (username: string, word: string) =>
        credential({ username, password: word, host: '127.0.0.1', port: server.port });
      const basics = () => (server.serverKey === undefined ? {} : { 'server-key': server.serverKey });
      const withAdmin = async (
        username: string,
        settings: object = {},
        admin = loginOf('rotator', 'rotator-1'),
      ) =>
        (await openTarget(mysql, { ...basics(), admin: ADMIN, username, ...settings }, { [ADMIN]: admin }))
          .target;

      /** As the engine asks, before it claims anything. */
      const refusal = async (target: Awaited<ReturnType<typeof withAdmin>>, username: string) => {
        const current = loginOf(username, 'first');
        const asked = target.propose?.(loginOf(username, 'next'), known(current), rotation(), never);
        return asked?.then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
      };

      test('the account’s host part is a setting', async () => {
        const [current, next] = [loginOf('elsewhere', 'first'), loginOf('elsewhere', 'second')];
        const target = await withAdmin('elsewhere');
        await expect(target.apply(next, known(current, next), rotation(), never)).rejects.toMatchObject({
          kind: 'NotFound',
        });
        await rotate(await withAdmin('elsewhere', { 'account-host': '127.0.0.%' }), current, next);
        expect(await server.accepts('elsewhere', 'second')).toBe(true);
      });

      test('a locked account and an expired password are no refusal; an administrator mends the latter', async () => {
        const own = (await openTarget(mysql, basics())).target;
        await expect(own.verify(loginOf('locked', 'first'), never)).rejects.toMatchObject({
          kind: 'Denied',
          message: 'the account is locked',
        });
        await expect(own.verify(loginOf('old', 'first'), never)).rejects.toMatchObject({
          kind: 'Denied',
          message: 'the password has expired',
        });
        const target = await withAdmin('old');
        const current = loginOf('old', 'first');
        await expect(target.check(known(current), never)).resolves.toMatchObject([
          { status: 'fail', detail: 'the password has expired' },
          { status: 'ok' },
          { status: 'ok' },
        ]);
        await rotate(target, current, loginOf('old', 'second'));
      });

      test('an address beyond loopback, whose certificate can’t be checked, is refused', async () => {
        const { target } = await openTarget(mysql, basics());
        const far = credential({ ...loginOf('plain', 'x').fields, host: '192.0.2.1' });
        await expect(target.verify(far, never)).rejects.toMatchObject({ kind: 'Invalid' });
      });

      /** Refused as the engine asks, before it claims anything, and whenever a password is to be set all the same. */
      const refuses = async (via: string, byItself: RegExp): Promise<void> => {
        await server.sql(`CREATE OR REPLACE USER u@'%' IDENTIFIED VIA ${via}`);
        const own = (await openTarget(mysql, basics())).target;
        // An administrator who may look into the accounts.
        const target = await withAdmin('u', {}, credential({ ...loginOf('', '').fields, ...server.admin }));
        const [current, next] = [loginOf('u', 'first'), loginOf('u', 'next')];
        for (const [one, message] of [
          [own, byItself],
          [target, /^u signs in by /],
        ] as const) {
          const expected = { kind: 'Unsupported', message: expect.stringMatching(message) };
          expect(await refusal(one, 'u')).toMatchObject(expected);
          await expect(one.apply(next, known(current, next), rotation(), never)).rejects.toMatchObject({
            kind: 'Unsupported',
          });
          expect(await one.check(known(current), never)).toContainEqual(
            expect.objectContaining({ status: 'fail', detail: expect.stringMatching(message) }),
          );
        }
      };

      if (kind === MARIADB) {
        test.each([
          "unix_socket OR mysql_native_password USING PASSWORD('first')",
          "mysql_native_password USING PASSWORD('first') OR unix_socket",
        ])('a user that signs in by %s is refused before anything is claimed', (via) =>
          refuses(via, /^u signs in by \w+ or \w+$/),
        );

        describeWith(
          'with the plugin ed25519',
          [MARIADB_ED25519],
          () => {
            beforeAll(() => server.sql("INSTALL SONAME 'auth_ed25519'"));
            test.each([
              "ed25519 USING PASSWORD('first')",
              "ed25519 USING PASSWORD('first') OR mysql_native_password USING PASSWORD('other')",
              "mysql_native_password USING PASSWORD('first') OR ed25519 USING PASSWORD('other')",
            ])('a user that signs in by %s is refused before anything is claimed', (via) =>
              refuses(via, /^(the user signs in by client_ed25519|u signs in by \w+ or \w+$)/),
            );
          },
          true,
        );
      } else {
        test('a user keeps its plugin, and one without a password of MySQL’s own is refused', async () => {
          await server.sql(
            "CREATE USER sha2@'%' IDENTIFIED WITH caching_sha2_password BY 'first'",
            "CREATE USER older@'%' IDENTIFIED WITH sha256_password BY 'first'",
            "INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'",
            "CREATE USER u@'%' IDENTIFIED WITH auth_socket",
          );
          const own = (await openTarget(mysql, basics())).target;
          await rotate(own, loginOf('sha2', 'first'), loginOf('sha2', 'second'));
          await rotate(await withAdmin('older'), loginOf('older', 'first'), loginOf('older', 'second'));
          const root = credential({ ...loginOf('', '').fields, ...server.admin });
          expect(await refusal(await withAdmin('u', {}, root), 'u')).toMatchObject({
            kind: 'Unsupported',
            message: 'u signs in by auth_socket',
          });
        });

        test('the current password is given where the server asks for it', async () => {
          await server.sql("CREATE USER careful@'%' IDENTIFIED BY 'first' PASSWORD REQUIRE CURRENT");
          const { target } = await openTarget(mysql, basics());
          await rotate(target, loginOf('careful', 'first'), loginOf('careful', 'second-of-careful'));
          expect(await server.accepts('careful', 'second-of-careful')).toBe(true);
          expect(server.log()).not.toContain('second-of-careful');
        });

        test('a password that the server’s rules refuse is said to be', async () => {
          await server.sql("INSTALL COMPONENT 'file://component_validate_password'");
          try {
            const { target } = await openTarget(mysql, basics());
            const [current, next] = [loginOf('plain', 'first'), loginOf('plain', 'short')];
            await expect(target.apply(next, known(current, next), rotation(), never)).rejects.toMatchObject({
              kind: 'Invalid',
              message: 'the database refused the new password (ER_NOT_VALID_PASSWORD)',
            });
          } finally {
            await server.sql("UNINSTALL COMPONENT 'file://component_validate_password'");
          }
        });
      }
    },
    kind.optional,
  );
