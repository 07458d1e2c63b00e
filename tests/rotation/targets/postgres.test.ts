import { join } from 'node:path';
import { generate } from '../../../src/core/generate.ts';
import { postgres } from '../../../src/rotation/targets/postgres/descriptor.ts';
import { scramVerifier } from '../../../src/rotation/targets/postgres/verifier.ts';
import { OPENSSL } from '../../backends/certificates.ts';
import { makeServerCertificate, makeTemporary } from './temporary.ts';
import { POSTGRES_FILES, type Postgres, startPostgres } from '../../backends/postgres.ts';
import { freePort, describeWith } from '../../backends/server.ts';
import { startSilent } from './silent.ts';
import { credential, known, never, openTarget, rotate, rotation, text } from './kit.ts';

const password = async (): Promise<string> => (await generate('ascii:32')).value;

test('the stored form is that of PostgreSQL', async () => {
  // Password, salt and iterations of the example in RFC 7677 §3.
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
  expect(await scramVerifier('pencil', salt)).toBe(
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
  await expect(scramVerifier('pässword')).rejects.toThrow('printable ASCII');
});

describeWith('PostgreSQL', POSTGRES_FILES, () => {
  let server: Postgres;
  let admin: ReturnType<typeof credential>;
  beforeAll(async () => {
    server = await startPostgres();
    admin = credential({ username: 'rotator', password: 'rotator-1', host: '127.0.0.1', port: server.port });
    await server.sql(`
      CREATE ROLE rotator LOGIN CREATEROLE PASSWORD 'rotator-1'; GRANT CONNECT ON DATABASE postgres TO rotator;
      CREATE ROLE "App ""7""" LOGIN PASSWORD 'first';
      CREATE ROLE plain LOGIN PASSWORD 'first'; CREATE ROLE url LOGIN PASSWORD 'first';
      CREATE ROLE managed LOGIN PASSWORD 'lost long ago';
      CREATE ROLE app_a LOGIN PASSWORD 'first-a'; CREATE ROLE app_b LOGIN PASSWORD 'first-b';
      CREATE ROLE moody LOGIN PASSWORD 'first'; CREATE ROLE timed LOGIN PASSWORD 'first' VALID UNTIL '2020-01-01';
    `);
  });
  afterAll(() => server?.stop());

  const fieldsOf = (username: string, word: string) => ({
    username,
    password: word,
    host: '127.0.0.1',
    port: server.port,
    dbname: 'postgres',
  });

  test('a user changes its own password, of any characters, which no log of the server holds', async () => {
    const { target, lines } = await openTarget(postgres, {});
    const username = 'App "7"';
    let current = credential(fieldsOf(username, 'first'));
    expect(await target.check(known(current), never)).toEqual([
      { check: 'sign-in with the current credential', status: 'ok', detail: `as ${username}` },
      { check: `right to change the password of ${username}`, status: 'ok', detail: 'its own' },
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
    expect(log).toContain('ALTER ROLE CURRENT_USER PASSWORD');
    for (const word of used) expect(log + lines.join()).not.toContain(word);
  });

  test('a URL as the whole value, or under a key, keeps all but its password', async () => {
    const { target } = await openTarget(postgres, {});
    const url = (word: string): string =>
      `postgresql://url:${word}@127.0.0.1:${server.port}/postgres?application_name=shop`;
    const next = `p/a:s@s?'${await password()}`;
    const whole = await rotate(target, credential(url('first')), credential(next));
    const parsed = new URL(text(whole));
    expect(decodeURIComponent(parsed.password)).toBe(next);
    expect(parsed.search).toBe('?application_name=shop');
    expect(await server.accepts('url', next)).toBe(true);

    const inKey = credential({ url: text(whole), other: 1 });
    const rotated = await rotate(target, inKey, credential({ url: 'by-key', other: 1 }));
    expect(rotated.fields).toEqual({ url: url('by-key'), other: 1 });
    // With the password under a key of its own, the URL follows.
    const both = credential({ ...fieldsOf('url', 'by-key'), url: url('by-key') });
    const followed = await rotate(target, both, credential({ ...both.fields, password: 'both' }));
    expect(followed.fields).toEqual({ ...fieldsOf('url', 'both'), url: url('both') });
  });

  test('a password alone takes the rest from the settings', async () => {
    const settings = { host: '127.0.0.1', port: server.port, database: 'postgres', username: 'plain' };
    const { target } = await openTarget(postgres, settings);
    const rotated = await rotate(target, credential('first'), credential('second'));
    expect(text(rotated)).toBe('second');
    expect(target.limitKey(undefined)).toBe(`127.0.0.1:${server.port}`);
  });

  test('an administrator changes it, whatever it was, with no right but CREATEROLE', async () => {
    const { target } = await openTarget(postgres, { admin: 'ops://admin' }, { 'ops://admin': admin });
    const current = credential(fieldsOf('managed', 'not the password'));
    expect(await target.verify(current, never)).toBe('refused');
    const findings = await target.check(known(current), never);
    expect(findings.map(({ status }) => status)).toEqual(['fail', 'ok', 'ok']);
    expect(findings[2]).toMatchObject({ detail: 'CREATEROLE' });
    await rotate(target, current, credential(fieldsOf('managed', 'second')));
    expect(await server.accepts('managed', 'second')).toBe(true);
    expect(await server.accepts('managed', 'lost long ago')).toBe(false);
  });

  test('apply is idempotent, and goes back to an older password', async () => {
    const { target } = await openTarget(postgres, {});
    const [one, two] = [credential(fieldsOf('moody', 'first')), credential(fieldsOf('moody', 'second'))];
    const now = rotation();
    const altered = (): number => server.log().split('ALTER ROLE').length;
    const before = altered();
    for (let round = 0; round < 3; round += 1) await target.apply(two, known(one, two), now, never);
    expect(altered()).toBe(before + 1);
    // As after a crash between the two, and as `rollback` does.
    await target.apply(one, known(one, two), now, never);
    expect([await target.verify(one, never), await target.verify(two, never)]).toEqual([
      'accepted',
      'refused',
    ]);
    // Nobody knows the password.
    await server.sql("ALTER ROLE moody PASSWORD 'changed by hand'");
    await expect(target.apply(two, known(one, two), now, never)).rejects.toMatchObject({
      kind: 'Unauthenticated',
      message: "moody can't sign in with any known password",
    });
  });

  test('two users take turns; the older one is shut out when its grace time is over', async () => {
    const settings = { admin: 'ops://admin', users: ['app_a', 'app_b'] };
    const { target } = await openTarget(postgres, settings, { 'ops://admin': admin });
    let current = credential(fieldsOf('app_a', 'first-a'));
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

  test('says what is missing: rights, users, a host, sense in the settings', async () => {
    const weak = credential(fieldsOf('plain', 'second'));
    await server.sql("ALTER ROLE plain PASSWORD 'second'");
    const { target } = await openTarget(postgres, { admin: 'ops://weak' }, { 'ops://weak': weak });
    const current = credential(fieldsOf('managed', 'second'));
    const next = credential(fieldsOf('managed', 'third'));
    expect(await target.check(known(current), never)).toContainEqual(
      expect.objectContaining({ status: 'fail', detail: 'the administrator lacks CREATEROLE' }),
    );
    await expect(target.apply(next, known(current, next), rotation(), never)).rejects.toMatchObject({
      kind: 'Denied',
    });

    const own = (await openTarget(postgres, {})).target;
    expect(await own.check(known(credential(fieldsOf('timed', 'first'))), never)).toMatchObject([
      { status: 'fail' },
    ]);
    expect(await own.check(known(), never)).toMatchObject([{ status: 'fail' }]);
    const draft = credential({ ...current.fields, other: 'new' });
    await expect(own.propose?.(draft, known(current), rotation(), never)).rejects.toThrow('none of the keys');
    await expect(own.verify(credential({ username: 'a', password: 'b' }), never)).rejects.toThrow(
      'names no host',
    );
    await expect(
      own.verify(credential({ ...fieldsOf('plain', 'second'), dbname: 'nope' }), never),
    ).rejects.toMatchObject({
      kind: 'Invalid',
      message: 'there is no database nope',
    });
    await expect(openTarget(postgres, { users: ['a', 'b'] })).rejects.toThrow('need an administrator');
    await expect(openTarget(postgres, { admin: 'x', users: ['a', 'a'] })).rejects.toThrow('two different');
    await expect(openTarget(postgres, { password: 'x' })).rejects.toThrow('password');

    const absent = (await openTarget(postgres, { admin: 'ops://admin' }, { 'ops://admin': admin })).target;
    const ghost = credential(fieldsOf('ghost', 'x'));
    await expect(absent.apply(ghost, known(ghost, ghost), rotation(), never)).rejects.toMatchObject({
      kind: 'NotFound',
    });
  });

  test('a server that is down, or silent, is Unavailable in time', async () => {
    const { target } = await openTarget(postgres, {});
    const down = credential({ ...fieldsOf('plain', 'x'), port: await freePort() });
    await expect(target.verify(down, never)).rejects.toMatchObject({ kind: 'Unavailable' });
    const silent = await startSilent();
    try {
      const started = Date.now();
      const signal = AbortSignal.timeout(200);
      const call = target.verify(credential({ ...fieldsOf('plain', 'x'), port: silent.port }), signal);
      await expect(call).rejects.toMatchObject({
        kind: 'Unavailable',
        message: 'the database did not answer in time',
      });
      expect(Date.now() - started).toBeLessThan(2_000);
      await silent.untilClosed();
    } finally {
      await silent.stop();
    }
  });

  test('a statement that waits for the server longer than allowed is in doubt, and apply finds out later', async () => {
    // The row of the role is locked by another session's change.
    const { target } = await openTarget(postgres, {});
    await server.sql("ALTER ROLE moody PASSWORD 'first'");
    const [one, two] = [credential(fieldsOf('moody', 'first')), credential(fieldsOf('moody', 'second'))];
    const holder = await lockRole(server);
    try {
      const late = target.apply(two, known(one, two), rotation(), AbortSignal.timeout(1_000));
      await expect(late).rejects.toThrow('may have been made');
    } finally {
      await holder();
    }
    await target.apply(two, known(one, two), rotation(), never);
    expect(await target.verify(two, never)).toBe('accepted');
  });
});

async function lockRole(server: Postgres): Promise<() => Promise<void>> {
  const { default: pg } = await import('pg');
  const { username, password: word } = server.admin;
  const client = new pg.Client({
    host: '127.0.0.1',
    port: server.port,
    user: username,
    password: word,
    database: 'postgres',
  });
  await client.connect();
  await client.query("BEGIN; ALTER ROLE moody VALID UNTIL 'infinity'");
  return async () => {
    await client.query('ROLLBACK');
    await client.end();
  };
}

describeWith('PostgreSQL over TLS', [...POSTGRES_FILES, OPENSSL], () => {
  let server: Postgres;
  const temporary = makeTemporary();
  const certificate = makeServerCertificate(temporary.folder, 'IP:127.0.0.1');
  beforeAll(async () => {
    server = await startPostgres({ tls: certificate });
    await server.sql("CREATE ROLE app LOGIN PASSWORD 'first'");
  });
  afterAll(async () => {
    await server?.stop();
    temporary.remove();
  });

  test('believes the authority that is named, and no other, and no other name', async () => {
    const login = {
      username: 'app',
      password: 'first',
      host: '127.0.0.1',
      port: server.port,
      dbname: 'postgres',
    };
    const { target } = await openTarget(postgres, { ca: certificate.ca });
    const rotated = await rotate(target, credential(login), credential({ ...login, password: 'second' }));
    expect(await target.verify(rotated, never)).toBe('accepted');
    const renamed = credential({ ...rotated.fields, host: 'localhost' });
    await expect(target.verify(renamed, never)).rejects.toMatchObject({
      kind: 'Unavailable',
      message: 'the certificate of localhost is not trusted (ERR_TLS_CERT_ALTNAME_INVALID)',
    });
    const { ca } = makeServerCertificate(temporary.folder, 'DNS:a', 'DNS:b');
    const wrong = (await openTarget(postgres, { ca })).target;
    await expect(wrong.verify(rotated, never)).rejects.toMatchObject({
      kind: 'Unavailable',
      message: expect.stringContaining('the certificate of 127.0.0.1 is not trusted'),
    });
    const missing = openTarget(postgres, { ca: join(temporary.folder, 'none.pem') });
    await expect(missing).rejects.toMatchObject({
      kind: 'Usage',
      message: expect.stringContaining('ENOENT'),
    });
  });
});
