/** The scenes that every database has to pass as a target; what only one of them has is in a file of its own. */
import { join } from 'node:path';
import { generate } from '../../../src/core/generate/generate.ts';
import { OPENSSL } from '../../backends/certificates.ts';
import type { Database } from '../../backends/database.ts';
import { describeWith, freePort } from '../../backends/server.ts';
import { DATABASES, type DatabaseKind } from './databases.ts';
import { credential, known, never, openTarget, rotate, rotation, text, timeIsUp } from './kit.ts';
import { startSilent } from './silent.ts';
import { makeServerCertificate, makeTemporary } from './temporary.ts';

const password = async (): Promise<string> => (await generate('ascii:32')).value;
const ADMIN = 'ops://admin';

for (const kind of DATABASES) describeWith(kind.title, kind.files, () => scenes(kind), kind.optional);

function scenes(kind: DatabaseKind): void {
  const { descriptor, odd, database } = kind;
  let server: Database;
  let admin: ReturnType<typeof credential>;
  /** Settings that every target here has. */
  let basics: { 'server-key'?: string };
  beforeAll(async () => {
    server = await kind.start();
    const users = [odd, 'plain', 'url', 'managed', 'app_a', 'app_b', 'moody', 'weak'];
    await server.sql(
      ...users.map((name) => kind.user(name, 'first')),
      ...kind.administrator('rotator-1', users),
    );
    admin = credential(fieldsOf('rotator', 'rotator-1'));
    basics = server.serverKey === undefined ? {} : { 'server-key': server.serverKey };
  });
  afterAll(() => server?.stop());

  const fieldsOf = (username: string, word: string) => ({
    engine: 'of the tests',
    username,
    password: word,
    host: '127.0.0.1',
    port: server.port,
    ...(database !== undefined && { dbname: database }),
  });
  const changes = (): number => server.log().split(kind.change).length - 1;

  test('a user without rights changes its own password, of any characters, which no log of the server holds', async () => {
    const { target, lines } = await openTarget(descriptor, basics);
    let current = credential(fieldsOf(odd, 'first'));
    expect(await target.check(known(current), never)).toEqual([
      { check: 'sign-in with the current credential', status: 'ok', detail: `as ${odd}` },
      {
        check: `right to change the password of ${odd}`,
        status: 'ok',
        detail: expect.stringMatching(/^its own/),
      },
    ]);
    const used: string[] = [];
    const before = changes();
    for (let round = 0; round < 3; round += 1) {
      const next = await password();
      used.push(next);
      const old = current;
      current = await rotate(target, current, credential({ ...current.fields, password: next }));
      expect(current.fields).toEqual(fieldsOf(odd, next));
      expect(await target.verify(old, never)).toBe('refused');
      expect(await server.accepts(odd, next)).toBe(true);
    }
    expect(changes()).toBe(before + 3);
    for (const word of used) expect(server.log() + lines.join()).not.toContain(word);
  });

  test('a URL as the whole value, or under a key, keeps all but its password', async () => {
    const { target } = await openTarget(descriptor, basics);
    const url = (word: string): string =>
      `${kind.scheme}://url:${word}@127.0.0.1:${server.port}/${database ?? ''}?application_name=shop`;
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
    const settings = {
      ...basics,
      host: '127.0.0.1',
      port: server.port,
      username: 'plain',
      ...(database !== undefined && { database }),
    };
    const { target } = await openTarget(descriptor, settings);
    const rotated = await rotate(target, credential('first'), credential('second'));
    expect(text(rotated)).toBe('second');
    expect(target.limitKey(undefined)).toBe(`127.0.0.1:${server.port}`);
  });

  test('an administrator with the least rights changes it, whatever it was', async () => {
    const { target } = await openTarget(
      descriptor,
      { ...basics, admin: ADMIN, username: 'managed' },
      { [ADMIN]: admin },
    );
    const current = credential(fieldsOf('managed', 'not the password'));
    expect(await target.verify(current, never)).toBe('refused');
    const findings = await target.check(known(current), never);
    // The administrator's change needs no old password, so a wrong one is said, and is no obstacle.
    expect(findings.map(({ status }) => status)).toEqual(['warn', 'ok', 'ok']);
    expect(findings[2]).toMatchObject({ detail: kind.right });
    const next = await password();
    await rotate(target, current, credential(fieldsOf('managed', next)));
    expect(await server.accepts('managed', next)).toBe(true);
    expect(await server.accepts('managed', 'first')).toBe(false);
    expect(server.log()).not.toContain(next);
  });

  test('apply always sets, which may be done again, and goes back to an older password', async () => {
    const { target } = await openTarget(descriptor, basics);
    const [one, two] = [credential(fieldsOf('moody', 'first')), credential(fieldsOf('moody', 'second'))];
    const now = rotation();
    const before = changes();
    for (let round = 0; round < 3; round += 1) await target.apply(two, known(one, two), now, never);
    expect(changes()).toBe(before + 3);
    // As after a crash between the two, and as `rollback` does.
    await target.apply(one, known(one, two), now, never);
    expect([await target.verify(one, never), await target.verify(two, never)]).toEqual([
      'accepted',
      'refused',
    ]);
    // Nobody knows the password.
    await server.sql(kind.set('moody', 'changed by hand'));
    await expect(target.apply(two, known(one, two), now, never)).rejects.toMatchObject({
      kind: 'Unauthenticated',
      message: "moody can't sign in with any known password",
    });
  });

  test('two users take turns; the older one is shut out when its grace time is over', async () => {
    const settings = { ...basics, admin: ADMIN, users: ['app_a', 'app_b'] };
    const { target } = await openTarget(descriptor, settings, { [ADMIN]: admin });
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
      'not one of the two',
    );
  });

  test('says what is missing: rights, users, a host, a database, sense in the settings', async () => {
    const weak = credential(fieldsOf('weak', 'first'));
    const { target } = await openTarget(
      descriptor,
      { ...basics, admin: 'ops://weak', username: 'managed' },
      { 'ops://weak': weak },
    );
    const current = credential(fieldsOf('managed', 'second'));
    const next = credential(fieldsOf('managed', 'third'));
    expect(await target.check(known(current), never)).toContainEqual(
      expect.objectContaining({ status: 'fail', detail: `the administrator lacks ${kind.right}` }),
    );
    await expect(target.apply(next, known(current, next), rotation(), never)).rejects.toMatchObject({
      kind: 'Denied',
    });

    const own = (await openTarget(descriptor, basics)).target;
    expect(await own.check(known(), never)).toMatchObject([{ status: 'fail' }]);
    const draft = credential({ ...current.fields, other: 'new' });
    await expect(own.propose?.(draft, known(current), rotation(), never)).rejects.toThrow('none of the keys');
    await expect(own.verify(credential({ username: 'a', password: 'b' }), never)).rejects.toThrow(
      'names no host',
    );
    const nowhere = (word: string) => credential({ ...fieldsOf('weak', word), dbname: 'nope' });
    expect(await own.verify(nowhere('first'), never)).toBe('accepted');
    expect(await own.verify(nowhere('other'), never)).toBe('refused');
    await expect(openTarget(descriptor, { users: ['a', 'b'] })).rejects.toThrow('need an administrator');
    await expect(openTarget(descriptor, { admin: 'x', users: ['a', 'a'] })).rejects.toThrow('two different');
    await expect(openTarget(descriptor, { password: 'x' })).rejects.toThrow('password');

    const absent = (
      await openTarget(descriptor, { ...basics, admin: ADMIN, username: 'ghost' }, { [ADMIN]: admin })
    ).target;
    const ghost = credential(fieldsOf('ghost', 'x'));
    await expect(absent.apply(ghost, known(ghost, ghost), rotation(), never)).rejects.toMatchObject({
      kind: 'NotFound',
    });
  });

  test('a server that is down, or silent, is Unavailable in time', async () => {
    const { target } = await openTarget(descriptor, basics);
    const down = credential({ ...fieldsOf('plain', 'x'), port: await freePort() });
    await expect(target.verify(down, never)).rejects.toMatchObject({ kind: 'Unavailable' });
    const silent = await startSilent();
    try {
      const deadline = timeIsUp();
      const at = credential({ ...fieldsOf('plain', 'x'), port: silent.port });
      const call = target.verify(at, deadline.signal);
      call.catch(() => {});
      await silent.connected;
      deadline.now();
      await expect(call).rejects.toMatchObject({
        kind: 'Unavailable',
        message: 'the database did not answer in time',
      });
      await silent.untilClosed();
    } finally {
      await silent.stop();
    }
  });

  test('a statement that waits for the server longer than allowed is in doubt, and apply finds out later', async () => {
    const { target } = await openTarget(descriptor, basics);
    await server.sql(kind.set('moody', 'first'));
    const [one, two] = [credential(fieldsOf('moody', 'first')), credential(fieldsOf('moody', 'second'))];
    const release = await kind.hold(server);
    try {
      const deadline = timeIsUp();
      const late = target.apply(two, known(one, two), rotation(), deadline.signal);
      late.catch(() => {});
      await release.waitedFor();
      deadline.now();
      await expect(late).rejects.toThrow('may have been made');
    } finally {
      await release();
    }
    await target.apply(two, known(one, two), rotation(), never);
    expect(await target.verify(two, never)).toBe('accepted');
  });
}

for (const kind of DATABASES.filter(({ certificates }) => certificates.length > 0))
  describeWith(
    `${kind.title} over TLS`,
    [...kind.files, OPENSSL],
    () => {
      test.each(kind.certificates)('with a certificate for %s: %s', async (name, believed) => {
        const temporary = makeTemporary();
        const certificate = makeServerCertificate(temporary.folder, `DNS:${name}`);
        const server = await kind.start(certificate);
        try {
          await server.sql(kind.user('app', 'first', true));
          const { database } = kind;
          const login = {
            username: 'app',
            password: 'first',
            host: 'localhost',
            port: server.port,
            ...(database !== undefined && { dbname: database }),
          };
          const { target } = await openTarget(kind.descriptor, { ca: certificate.ca });
          if (believed) {
            await rotate(target, credential(login), credential({ ...login, password: 'second' }));
            const { ca } = makeServerCertificate(temporary.folder, 'DNS:a', 'DNS:b');
            const wrong = (await openTarget(kind.descriptor, { ca })).target;
            await expect(wrong.verify(credential(login), never)).rejects.toThrow('is not trusted');
          } else {
            await expect(target.verify(credential(login), never)).rejects.toMatchObject({
              kind: 'Unavailable',
              message: expect.stringMatching(/^the certificate of localhost is not trusted/),
            });
          }
          const missing = openTarget(kind.descriptor, { ca: join(temporary.folder, 'none.pem') });
          await expect(missing).rejects.toMatchObject({
            kind: 'Usage',
            message: expect.stringContaining('ENOENT'),
          });
        } finally {
          await server.stop();
          temporary.remove();
        }
      });
    },
    kind.optional,
  );
