import { generate } from '../../../src/core/generate.ts';
import { mysql } from '../../../src/rotation/targets/mysql/descriptor.ts';
import { nativeHash } from '../../../src/rotation/targets/mysql/driver.ts';
import { OPENSSL } from '../../backends/certificates.ts';
import { type Mariadb, MARIADB_FILES, startMariadb } from '../../backends/mariadb.ts';
import { describeWith, freePort } from '../../backends/server.ts';
import { credential, known, never, openTarget, rotate, rotation, text } from './kit.ts';
import { startSilent } from './silent.ts';
import { makeServerCertificate, makeTemporary } from './temporary.ts';

const password = async (): Promise<string> => (await generate('ascii:32')).value;

test('the stored form is that of mysql_native_password', () => {
  // The example of https://mariadb.com/kb/en/password/
  expect(nativeHash('notagoodpwd')).toBe('*3A70EE9FC6594F88CE9E959CD51C5A1C002DC937');
});

describeWith('MariaDB', MARIADB_FILES, () => {
  let server: Mariadb;
  let admin: ReturnType<typeof credential>;
  beforeAll(async () => {
    server = await startMariadb();
    admin = credential({ username: 'rotator', password: 'rotator-1', host: '127.0.0.1', port: server.port });
    const users = ["ap''p`7`", 'plain', 'url', 'managed', 'app_a', 'app_b', 'moody', 'locked'];
    await server.sql(
      "CREATE USER rotator@'%' IDENTIFIED BY 'rotator-1'",
      "GRANT CREATE USER ON *.* TO rotator@'%'",
      ...users.map((user) => `CREATE USER '${user}'@'%' IDENTIFIED BY 'first'`),
      "CREATE USER elsewhere@'127.0.0.%' IDENTIFIED BY 'first'",
      "ALTER USER locked@'%' ACCOUNT LOCK",
    );
  });
  afterAll(() => server?.stop());

  const fieldsOf = (username: string, word: string) => ({
    engine: 'mariadb',
    username,
    password: word,
    host: '127.0.0.1',
    port: server.port,
  });

  test('a user without rights changes its own password, which no log of the server holds', async () => {
    const { target, lines } = await openTarget(mysql, {});
    const username = "ap'p`7`";
    let current = credential(fieldsOf(username, 'first'));
    expect(await target.check(known(current), never)).toEqual([
      { check: 'sign-in with the current credential', status: 'ok', detail: `as ${username}` },
      {
        check: `right to change the password of ${username}`,
        status: 'ok',
        detail: `its own (${username}@%)`,
      },
    ]);
    const used: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      const next = await password();
      used.push(next);
      const old = current;
      current = await rotate(target, current, credential({ ...current.fields, password: next }));
      expect(current.fields).toEqual(fieldsOf(username, next));
      expect(await target.verify(old, never)).toBe('refused');
      expect(await server.accepts(username, next)).toBe(true);
    }
    const log = server.log();
    expect(log).toContain("SET PASSWORD = '*");
    for (const word of used) expect(log + lines.join()).not.toContain(word);
  });

  test('a connection URL keeps all but its password; a password alone takes the rest from the settings', async () => {
    const { target } = await openTarget(mysql, {});
    const next = `p/a:s@s?'${await password()}`;
    const url = `mysql://url:first@127.0.0.1:${server.port}/?charset=utf8mb4`;
    const whole = await rotate(target, credential(url), credential(next));
    expect(decodeURIComponent(new URL(text(whole)).password)).toBe(next);
    expect(text(whole)).toMatch(/\/\?charset=utf8mb4$/);
    const settings = { host: '127.0.0.1', port: server.port, username: 'plain' };
    const plain = (await openTarget(mysql, settings)).target;
    expect(text(await rotate(plain, credential('first'), credential('second')))).toBe('second');
  });

  test('an administrator with no right but CREATE USER changes it, whatever it was', async () => {
    const { target } = await openTarget(mysql, { admin: 'ops://admin' }, { 'ops://admin': admin });
    const current = credential(fieldsOf('managed', 'not the password'));
    const findings = await target.check(known(current), never);
    expect(findings.map(({ status }) => status)).toEqual(['fail', 'ok', 'ok']);
    const next = await password();
    await rotate(target, current, credential(fieldsOf('managed', next)));
    expect(await server.accepts('managed', next)).toBe(true);
    expect(server.log()).not.toContain(next);
  });

  test('apply is idempotent, and goes back to an older password', async () => {
    const { target } = await openTarget(mysql, {});
    const [one, two] = [credential(fieldsOf('moody', 'first')), credential(fieldsOf('moody', 'second'))];
    const changes = (): number => server.log().split('SET PASSWORD').length;
    const before = changes();
    for (let round = 0; round < 3; round += 1) await target.apply(two, known(one, two), rotation(), never);
    expect(changes()).toBe(before + 1);
    await target.apply(one, known(one, two), rotation(), never);
    expect([await target.verify(one, never), await target.verify(two, never)]).toEqual([
      'accepted',
      'refused',
    ]);
    await server.sql("SET PASSWORD FOR moody@'%' = PASSWORD('changed by hand')");
    await expect(target.apply(two, known(one, two), rotation(), never)).rejects.toMatchObject({
      kind: 'Unauthenticated',
    });
  });

  test('two users take turns; the older one is shut out when its grace time is over', async () => {
    const settings = { admin: 'ops://admin', users: ['app_a', 'app_b'] };
    const { target } = await openTarget(mysql, settings, { 'ops://admin': admin });
    let current = credential(fieldsOf('app_a', 'first'));
    for (const username of ['app_b', 'app_a', 'app_b']) {
      const before = current;
      current = await rotate(target, before, credential({ ...before.fields, password: await password() }));
      expect(current.fields?.['username']).toBe(username);
      expect(await target.verify(before, never)).toBe('accepted');
      for (let round = 0; round < 2; round += 1) await target.retire?.(before, current, 'expired', never);
      expect(await target.verify(before, never)).toBe('refused');
      // The one in use is never shut out.
      await target.retire?.(current, current, 'expired', never);
      expect(await target.verify(current, never)).toBe('accepted');
    }
    const strange = credential(fieldsOf('plain', 'x'));
    await expect(target.propose?.(strange, known(strange), rotation(), never)).rejects.toThrow(
      'none of the two',
    );
  });

  test('the account’s host part is a setting', async () => {
    const secrets = { 'ops://admin': admin };
    const current = credential(fieldsOf('elsewhere', 'first'));
    const next = credential(fieldsOf('elsewhere', 'second'));
    const { target } = await openTarget(mysql, { admin: 'ops://admin' }, secrets);
    await expect(target.apply(next, known(current, next), rotation(), never)).rejects.toMatchObject({
      kind: 'NotFound',
    });
    const right = (await openTarget(mysql, { admin: 'ops://admin', 'account-host': '127.0.0.%' }, secrets))
      .target;
    await rotate(right, current, next);
    expect(await server.accepts('elsewhere', 'second')).toBe(true);
  });

  test('says what is missing: rights, a database, another kind of sign-in; a locked account is no refusal', async () => {
    const weak = credential(fieldsOf('app_a', 'second'));
    await server.sql(
      "SET PASSWORD FOR app_a@'%' = PASSWORD('second')",
      "SET PASSWORD FOR plain@'%' = PASSWORD('first')",
    );
    const { target } = await openTarget(mysql, { admin: 'ops://weak' }, { 'ops://weak': weak });
    const [current, next] = [credential(fieldsOf('plain', 'first')), credential(fieldsOf('plain', 'second'))];
    expect(await target.check(known(current), never)).toContainEqual(
      expect.objectContaining({ status: 'fail', detail: 'the administrator lacks CREATE USER' }),
    );
    await expect(target.apply(next, known(current, next), rotation(), never)).rejects.toMatchObject({
      kind: 'Denied',
    });
    const own = (await openTarget(mysql, {})).target;
    await expect(
      own.verify(credential({ ...fieldsOf('plain', 'first'), dbname: 'nope' }), never),
    ).rejects.toMatchObject({
      kind: expect.stringMatching(/Denied|Invalid/),
    });
    await expect(own.verify(credential(fieldsOf('locked', 'first')), never)).rejects.toMatchObject({
      kind: 'Denied',
      message: 'the account is locked',
    });
    await server.sql(
      "ALTER USER plain@'%' IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('first')",
    );
    await expect(own.check(known(current), never)).resolves.toMatchObject([
      { status: 'ok' },
      { status: 'fail' },
    ]);
    await expect(own.apply(next, known(current, next), rotation(), never)).rejects.toMatchObject({
      kind: 'Unsupported',
    });
  });

  test('a server that is down, silent, or far away without a name is refused in time', async () => {
    const { target } = await openTarget(mysql, {});
    const down = credential({ ...fieldsOf('plain', 'x'), port: await freePort() });
    await expect(target.verify(down, never)).rejects.toMatchObject({ kind: 'Unavailable' });
    const silent = await startSilent();
    try {
      const started = Date.now();
      const at = credential({ ...fieldsOf('plain', 'x'), port: silent.port });
      await expect(target.verify(at, AbortSignal.timeout(200))).rejects.toMatchObject({
        kind: 'Unavailable',
        message: 'the database did not answer in time',
      });
      expect(Date.now() - started).toBeLessThan(2_000);
      await silent.untilClosed();
    } finally {
      await silent.stop();
    }
    const far = credential({ ...fieldsOf('plain', 'x'), host: '192.0.2.1' });
    await expect(target.verify(far, never)).rejects.toMatchObject({ kind: 'Invalid' });
  });
});

describeWith('MariaDB over TLS', [...MARIADB_FILES, OPENSSL], () => {
  test.each([
    ['localhost', 'accepted'],
    ['db.example.com', 'not trusted'],
  ])('with a certificate for %s: %s', async (name, outcome) => {
    const temporary = makeTemporary();
    const certificate = makeServerCertificate(temporary.folder, `DNS:${name}`);
    const server = await startMariadb({ tls: certificate });
    try {
      await server.sql("CREATE USER app@'%' IDENTIFIED BY 'first' REQUIRE SSL");
      const login = { username: 'app', password: 'first', host: 'localhost', port: server.port };
      const { target } = await openTarget(mysql, { ca: certificate.ca });
      if (outcome === 'accepted') {
        expect(await target.verify(credential(login), never)).toBe('accepted');
        const { ca } = makeServerCertificate(temporary.folder, 'DNS:a', 'DNS:b');
        const wrong = (await openTarget(mysql, { ca })).target;
        await expect(wrong.verify(credential(login), never)).rejects.toThrow('is not trusted');
      } else {
        await expect(target.verify(credential(login), never)).rejects.toThrow('is not trusted');
      }
      const plain = (await openTarget(mysql, {})).target;
      // The user may not sign in without TLS.
      expect(await plain.verify(credential(login), never)).toBe('refused');
    } finally {
      await server.stop();
      temporary.remove();
    }
  });
});
