/** A database credential in each form that it is written in, rotated in place against a real server. */
import { type AddressInfo, createServer } from 'node:net';
import { makeDraft } from '../../../src/rotation/draft.ts';
import { postgres } from '../../../src/rotation/targets/postgres/descriptor.ts';
import type { Credential, Target } from '../../../src/rotation/target.ts';
import { credentialOf } from '../../../src/rotation/place.ts';
import { type Postgres, POSTGRES_FILES, startPostgres } from '../../backends/postgres.ts';
import { describeWith } from '../../backends/server.ts';
import { known, never, openTarget, rotation, text } from './kit.ts';

/** A port of this machine at which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describeWith('forms of a PostgreSQL credential', POSTGRES_FILES, () => {
  let server: Postgres;
  let closed: number;
  let target: Target;
  const generator = { title: 'test', bits: 1, make: async () => ({ value: "n'e w\\1", bits: 1 }) };
  beforeAll(async () => {
    server = await startPostgres();
    closed = await closedPort();
    await server.sql('CREATE ROLE app LOGIN');
    ({ target } = await openTarget(postgres, {}));
  });
  beforeEach(() => server.sql(`ALTER ROLE app PASSWORD 'p'`));
  afterAll(async () => {
    await target?.close();
    await server?.stop();
  });

  const read = (value: string): Credential => credentialOf(Buffer.from(value));
  const rotated = async (value: string, previous?: string): Promise<string> => {
    const [current, older] = [read(value), previous === undefined ? undefined : read(previous)];
    const findings = await target.check(known(current, undefined, older), never);
    expect(findings.filter(({ status }) => status === 'fail')).toEqual([]);
    const draft = await makeDraft(current, target.passwordKeys?.(current) ?? [], generator);
    const now = rotation();
    const pending = (await target.propose?.(draft, known(current, undefined, older), now, never)) ?? draft;
    await target.apply(pending, known(current, pending, older), now, never);
    expect(await target.verify(pending, never)).toBe('accepted');
    expect(await target.verify(current, never)).toBe('refused');
    expect(await server.accepts('app', "n'e w\\1")).toBe(true);
    return text(pending);
  };

  test('several hosts, of which one is away', async () => {
    const url = (password: string): string =>
      `postgresql://app:${password}@127.0.0.1:${closed},127.0.0.1:${server.port}/postgres?target_session_attrs=read-write`;
    expect(await rotated(url('p'))).toBe(url('n%27e%20w%5C1'));
  });

  test('a URL of JDBC, a libpq string, one of ADO.NET', async () => {
    const jdbc = (password: string): string =>
      `jdbc:postgresql://127.0.0.1:${server.port}/postgres?user=app&password=${password}`;
    expect(await rotated(jdbc('p'))).toBe(jdbc('n%27e%20w%5C1'));
    await server.sql(`ALTER ROLE app PASSWORD 'p'`);
    const libpq = (password: string): string =>
      `host=127.0.0.1 port=${server.port} user=app password=${password}`;
    expect(await rotated(libpq('p'))).toBe(libpq("'n\\'e w\\\\1'"));
    await server.sql(`ALTER ROLE app PASSWORD 'p'`);
    const net = (password: string): string =>
      `Host=127.0.0.1;Port=${server.port};Username=app;Password=${password};Database=postgres`;
    expect(await rotated(net('p'))).toBe(net(`"n'e w\\1"`));
  });

  test('the published JSON without a database, whatever stood there before', async () => {
    const rds = (password: string): string =>
      `{"engine": "postgres", "username":"app", "password": ${JSON.stringify(password)}, "host":"127.0.0.1", "port": ${server.port}, "masterarn":"arn:aws:x"}`;
    expect(await rotated(rds('p'), '{"password":"p"}')).toBe(rds("n'e w\\1"));
    await server.sql(`ALTER ROLE app PASSWORD 'p'`);
    expect(await rotated(rds('p'), 'app:p@tcp(h:1)/x')).toBe(rds("n'e w\\1"));
  });

  test('a stored password that is wrong already is said at once', async () => {
    const wrong = read(`postgresql://app:wrong@127.0.0.1:${server.port}/postgres`);
    expect(await target.check(known(wrong), never)).toEqual([
      expect.objectContaining({
        check: 'sign-in with the current credential',
        status: 'fail',
        kind: 'Unauthenticated',
        hint: expect.stringContaining('secrets put'),
      }),
    ]);
    const { admin, port } = server;
    const own = { ...admin, host: '127.0.0.1', port, dbname: 'postgres' };
    const secrets = { 'ops://admin': read(JSON.stringify(own)) };
    const settings = { admin: 'ops://admin', username: 'app', database: 'postgres' };
    const byAdmin = (await openTarget(postgres, settings, secrets)).target;
    expect((await byAdmin.check(known(wrong), never))[0]).toMatchObject({
      status: 'warn',
      kind: 'Unauthenticated',
    });
  });

  test('another system’s URL is refused', async () => {
    const other = read('mysql://app:p@127.0.0.1/db');
    expect(await target.check(known(other), never)).toMatchObject([{ status: 'fail', kind: 'Invalid' }]);
  });
});
