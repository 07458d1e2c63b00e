/** The databases that the target's scenes are played with, and how each says what they need. */
import { mysql } from '../../../src/rotation/targets/mysql/descriptor.ts';
import { postgres } from '../../../src/rotation/targets/postgres/descriptor.ts';
import type { TargetDescriptor } from '../../../src/rotation/target.ts';
import type { Database } from '../../backends/database.ts';
import { MARIADB_FILES, MYSQL_FILES, startMariadb, startMysql } from '../../backends/mariadb.ts';
import { POSTGRES, POSTGRES_18, type PostgresPrograms, startPostgres } from '../../backends/postgres.ts';
import type { KeyPair } from '../../backends/tls.ts';

export interface Hold {
  (): Promise<void>;
  /** Resolves once another session waits for it. */
  waitedFor(): Promise<void>;
}

/** @param count how many sessions wait */
const holdOf = (release: () => Promise<void>, count: () => Promise<number>): Hold =>
  Object.assign(release, {
    waitedFor: async () => {
      while ((await count()) === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    },
  });

export interface DatabaseKind {
  readonly title: string;
  readonly files: readonly string[];
  /** May be missing in CI too. */
  readonly optional: boolean;
  readonly descriptor: TargetDescriptor;
  /** Of its URLs. */
  readonly scheme: string;
  /** A database that every user may connect to, if one has to be named. */
  readonly database: string | undefined;
  /** A name that has to be quoted. */
  readonly odd: string;
  /** What an administrator has to have. */
  readonly right: string;
  /** What the server's log has for each change that a user makes of its own password; others may look so too. */
  readonly change: string;
  start(tls?: KeyPair): Promise<Database>;
  /** A statement that makes a user, for TLS alone where that is the user's property. */
  user(name: string, password: string, tls?: boolean): string;
  /** Statements that make an administrator `rotator` with the least rights over these users. */
  administrator(password: string, users: readonly string[]): readonly string[];
  /** A statement that sets a password by hand. */
  set(name: string, password: string): string;
  /** Keeps changes of passwords from coming to an end, in another session, until what it returns is called. */
  hold(server: Database): Promise<Hold>;
  /** Names in a server's certificate, and whether it is believed as `localhost`. */
  readonly certificates: readonly (readonly [string, boolean])[];
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

function postgresKind(programs: PostgresPrograms, certificates: DatabaseKind['certificates']): DatabaseKind {
  const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
  return {
    title: `PostgreSQL ${programs.version}`,
    files: programs.files,
    optional: false,
    descriptor: postgres,
    scheme: 'postgresql',
    database: 'postgres',
    odd: 'App "7"',
    right: 'CREATEROLE',
    change: "PASSWORD 'SCRAM-SHA-256$",
    start: (tls) => startPostgres({ programs, tls }),
    user: (name, password) => `CREATE ROLE ${quoted(name)} LOGIN PASSWORD ${literal(password)}`,
    administrator: (password, users) => [
      `CREATE ROLE rotator LOGIN CREATEROLE PASSWORD ${literal(password)}`,
      ...(programs.version < 16
        ? []
        : [`GRANT ${users.map(quoted).join(', ')} TO rotator WITH ADMIN TRUE, INHERIT FALSE, SET FALSE`]),
    ],
    set: (name, password) => `ALTER ROLE ${quoted(name)} PASSWORD ${literal(password)}`,
    hold: async ({ port, admin }) => {
      const { default: pg } = await import('pg');
      const client = new pg.Client({
        host: '127.0.0.1',
        port,
        user: admin.username,
        password: admin.password,
        database: 'postgres',
      });
      await client.connect();
      // The row of the role is locked.
      await client.query("BEGIN; ALTER ROLE moody VALID UNTIL 'infinity'");
      const release = async (): Promise<void> => {
        await client.query('ROLLBACK');
        await client.end();
      };
      const waiting = 'SELECT count(*)::int AS waiting FROM pg_locks WHERE NOT granted';
      return holdOf(release, async () => {
        const { rows } = await client.query<{ waiting: number }>(waiting);
        return rows[0]?.waiting ?? 0;
      });
    },
    certificates,
  };
}

function mysqlKind(
  own: Pick<DatabaseKind, 'title' | 'files' | 'optional' | 'scheme' | 'change' | 'start' | 'certificates'>,
): DatabaseKind {
  const account = (name: string): string => `${literal(name)}@'%'`;
  return {
    ...own,
    descriptor: mysql,
    database: undefined,
    odd: "ap'p`7`",
    right: 'CREATE USER',
    user: (name, password, tls) =>
      `CREATE USER ${account(name)} IDENTIFIED BY ${literal(password)}${tls === true ? ' REQUIRE SSL' : ''}`,
    administrator: (password) => [
      `CREATE USER rotator@'%' IDENTIFIED BY ${literal(password)}`,
      "GRANT CREATE USER ON *.* TO rotator@'%'",
    ],
    set: (name, password) => `ALTER USER ${account(name)} IDENTIFIED BY ${literal(password)}`,
    hold: async ({ port, admin }) => {
      const { createConnection } = await import('mysql2/promise');
      const { username: user, password } = admin;
      const client = await createConnection({ host: '127.0.0.1', port, user, password });
      await client.query('FLUSH TABLES WITH READ LOCK');
      const release = async (): Promise<void> => {
        await client.query('UNLOCK TABLES');
        await client.end();
      };
      const waiting =
        "SELECT id FROM information_schema.processlist WHERE user = 'moody' AND state LIKE 'Waiting for %'";
      return holdOf(release, async () => {
        const [rows] = await client.query(waiting);
        return (rows as readonly unknown[]).length;
      });
    },
  };
}

const BOTH = [
  ['localhost', true],
  ['db.example.com', false],
] as const;

export const POSTGRESQL = postgresKind(POSTGRES, BOTH);
export const POSTGRESQL_18 = postgresKind(POSTGRES_18, []);
export const MARIADB = mysqlKind({
  title: 'MariaDB',
  files: MARIADB_FILES,
  optional: false,
  scheme: 'mariadb',
  change: "SET PASSWORD = '*",
  start: (tls) => startMariadb({ tls }),
  certificates: BOTH,
});
export const MYSQL = mysqlKind({
  title: 'MySQL',
  files: MYSQL_FILES,
  optional: true,
  scheme: 'mysql',
  change: 'IDENTIFIED BY <secret>',
  start: (tls) => startMysql({ tls }),
  certificates: [['localhost', true]],
});

export const DATABASES = [POSTGRESQL, POSTGRESQL_18, MARIADB, MYSQL];
