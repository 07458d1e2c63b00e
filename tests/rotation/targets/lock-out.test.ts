/** What could lock an application out although no step of a rotation fails: tried with a real server, by the program. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { POSTGRES_FILES, type Postgres, startPostgres } from '../../backends/postgres.ts';
import { describeWith } from '../../backends/server.ts';
import { makePlace, type Outcome, type Place } from '../../e2e/program.ts';

const DAY_MS = 86_400_000;
const CLOCK = join(process.cwd(), 'tests/rotation/shift-clock.cjs');

describeWith('an administrator, and users in turns', POSTGRES_FILES, () => {
  let server: Postgres;
  let place: Place;
  beforeAll(async () => {
    server = await startPostgres();
    await server.sql("CREATE ROLE dba SUPERUSER LOGIN PASSWORD 'first'");
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    place = await makePlace();
    await server.sql(
      'DROP ROLE IF EXISTS a, b',
      "CREATE ROLE a LOGIN PASSWORD 'first'; CREATE ROLE b LOGIN PASSWORD 'never used'",
    );
    await put('admin', 'dba');
  });
  afterEach(() => place.remove());

  const sh = (script: string, env: Readonly<Record<string, string>> = {}): Promise<Outcome> =>
    place.sh(script, { SECRETS_LOCAL_KEY_METHOD: 'key-file', ...env });
  const put = async (name: string, username: string, password = 'first'): Promise<void> => {
    const at = { host: '127.0.0.1', port: server.port, dbname: 'postgres' };
    writeFileSync(join(place.cwd, 'value'), JSON.stringify({ username, password, ...at }));
    expect(await sh(`secrets put --quiet ${name} --from-file value`)).toMatchObject({ code: 0 });
  };
  const policies = (rotation: object): void =>
    writeFileSync(join(place.cwd, 'secrets.yaml'), JSON.stringify({ rotation }));
  const current = async (): Promise<{ username: string; password: string }> =>
    JSON.parse((await sh('secrets get app')).stdout) as { username: string; password: string };
  const works = async (): Promise<boolean> => {
    const { username, password } = await current();
    return server.accepts(username, password);
  };

  test.each([
    ['the administrator’s own secret', 'admin'],
    ['another secret of the same user', 'app'],
  ])('%s is not rotated by the administrator', async (_, name) => {
    await put('app', 'dba');
    const target = { type: 'postgres', admin: 'local://admin', username: 'dba' };
    policies({ [`local://${name}`]: { target } });
    for (const command of [`rotate ${name} --dry-run`, `rotate ${name}`])
      expect([command, await sh(`secrets ${command} --trust`)]).toEqual([
        command,
        expect.objectContaining({
          code: 2,
          stderr: expect.stringMatching(
            /is the user whose password would be changed, and would be locked out/,
          ),
        }),
      ]);
    expect(await server.accepts('dba', 'first')).toBe(true);
    expect((await sh(`secrets history ${name}`)).stdout.trimEnd().split('\n')).toHaveLength(1);
    // As the documentation says.
    policies({ 'local://admin': { target: { type: 'postgres' } } });
    expect(await sh('secrets rotate admin --trust')).toMatchObject({ code: 0 });
    await server.sql("ALTER ROLE dba PASSWORD 'first'");
  });

  const turns = { type: 'postgres', admin: 'local://admin', users: ['a', 'b'] };
  const policy = { every: '30d', grace: '1d', target: turns };

  test('a rotation that can’t begin ends no grace time', async () => {
    await put('app', 'a');
    policies({ 'local://app': policy });
    expect(await sh('secrets rotate app --trust')).toMatchObject({ code: 0 });
    expect(await current()).toMatchObject({ username: 'b' });
    policies({ 'local://app': { ...policy, keys: ['note'] } });
    expect(await sh('secrets rotate app --trust')).toMatchObject({ code: 2 });
    expect(await server.accepts('a', 'first')).toBe(true);
    expect(await works()).toBe(true);
    // One that can does: a third credential has no user.
    policies({ 'local://app': policy });
    expect(await sh('secrets rotate app --trust')).toMatchObject({ code: 0 });
    expect(await server.accepts('a', 'first')).toBe(false);
    expect(await works()).toBe(true);
  });

  test('a clock that was behind ends no grace time', async () => {
    await put('app', 'a');
    policies({ 'local://app': policy });
    const behind = { NODE_OPTIONS: `--require=${CLOCK}`, CLOCK_OFF: String(-10 * DAY_MS) };
    expect(await sh('secrets rotate app --trust', behind)).toMatchObject({ code: 0 });
    const ahead = (days: number) => ({ ...behind, CLOCK_OFF: String(days * DAY_MS) });
    // The clock is right again; how long ago the rotation was, nobody knows.
    expect(await sh('secrets rotate --due --trust')).toMatchObject({ code: 0 });
    expect(await server.accepts('a', 'first')).toBe(true);
    expect(await sh('secrets rotate --due --trust', ahead(0.9))).toMatchObject({ code: 0 });
    expect(await server.accepts('a', 'first')).toBe(true);
    expect(await sh('secrets rotate --due --trust', ahead(1.1))).toMatchObject({ code: 0 });
    expect(await server.accepts('a', 'first')).toBe(false);
    expect(await works()).toBe(true);
  });
});
