/** What passes between a database target and its server: never a password, and answers that get lost. */
import type { TargetDescriptor } from '../../../src/rotation/target.ts';
import { mysql } from '../../../src/rotation/targets/mysql/descriptor.ts';
import { postgres } from '../../../src/rotation/targets/postgres/descriptor.ts';
import { MARIADB_FILES, startMariadb } from '../../backends/mariadb.ts';
import { POSTGRES_FILES, startPostgres } from '../../backends/postgres.ts';
import { describeWith } from '../../backends/server.ts';
import { credential, known, never, openTarget, rotation } from './kit.ts';
import { startWire } from './wire.ts';

interface Server {
  readonly port: number;
  accepts(username: string, password: string): Promise<boolean>;
}

async function passes(descriptor: TargetDescriptor, server: Server, statement: string): Promise<void> {
  const wire = await startWire(server.port);
  try {
    const { target } = await openTarget(descriptor, {});
    const place = {
      host: '127.0.0.1',
      port: wire.port,
      ...(descriptor === postgres && { dbname: 'postgres' }),
    };
    const at = (password: string) => credential({ ...place, username: 'app', password });
    const [one, two] = [at('first-9c41'), at('second-9c41')];
    wire.loseAnswerTo(statement);
    const cut = target.apply(two, known(one, two), rotation(), never);
    await expect(cut).rejects.toMatchObject({
      kind: 'Unavailable',
      message: expect.stringMatching(/may have been made$/),
    });
    // It has been made; the next run believes no sign-in, and sets it again.
    expect(await server.accepts('app', 'second-9c41')).toBe(true);
    const before = wire.sent().toString('latin1').split(statement).length;
    await target.apply(two, known(one, two), rotation(), never);
    expect(await target.verify(two, never)).toBe('accepted');
    const sent = wire.sent().toString('latin1');
    expect(sent.split(statement)).toHaveLength(before + 1);
    for (const word of ['first-9c41', 'second-9c41']) expect(sent).not.toContain(word);
  } finally {
    await wire.stop();
  }
}

describeWith('PostgreSQL on the wire', POSTGRES_FILES, () => {
  test('no password passes, and a lost answer is found out', async () => {
    const server = await startPostgres();
    try {
      await server.sql("CREATE ROLE app LOGIN PASSWORD 'first-9c41'");
      await passes(postgres, server, 'ALTER ROLE');
    } finally {
      await server.stop();
    }
  });
});

describeWith('MariaDB on the wire', MARIADB_FILES, () => {
  test('no password passes, and a lost answer is found out', async () => {
    const server = await startMariadb();
    try {
      await server.sql("CREATE USER app@'%' IDENTIFIED BY 'first-9c41'");
      await passes(mysql, server, 'SET PASSWORD');
    } finally {
      await server.stop();
    }
  });
});
