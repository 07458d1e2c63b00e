/** Starts a real MariaDB or MySQL server on loopback, in a private folder, with its general log on. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { type Database, ended, makePlace, type Place, textOf, untilAccepts } from './database.ts';
import { freePort, WORK_DIR } from './server.ts';
import type { KeyPair } from './tls.ts';

const found = (names: readonly string[]): string => names.find((path) => existsSync(path)) ?? names[0] ?? '';
const SERVER = found(['/usr/sbin/mariadbd', '/usr/sbin/mysqld']);
const INSTALL = found(['/usr/bin/mariadb-install-db', '/usr/bin/mysql_install_db']);
/** For `describeWith`. */
export const MARIADB_FILES: readonly string[] = [SERVER, INSTALL];
const MARIADB_PLUGINS = join(WORK_DIR, 'mariadb-plugins');
/** For `describeWith`. */
export const MARIADB_ED25519 = join(MARIADB_PLUGINS, 'auth_ed25519.so');
/** For `describeWith`. */
export const MARIADB_REUSE = join(MARIADB_PLUGINS, 'password_reuse_check.so');

/** Debian's MySQL, unpacked beside the system by install.mjs, with its own C library. */
const MYSQL = join(WORK_DIR, 'mysql/usr');
const MYSQL_LIBRARIES = join(MYSQL, 'lib/x86_64-linux-gnu');
const MYSQL_LOADER = join(MYSQL_LIBRARIES, 'ld-linux-x86-64.so.2');
/** For `describeWith`. */
export const MYSQL_FILES: readonly string[] = [join(MYSQL, 'sbin/mysqld'), MYSQL_LOADER];

export interface ServerOptions {
  readonly tls?: KeyPair | undefined;
}

export type Mariadb = Database;

export function startMariadb(options: ServerOptions = {}): Promise<Database> {
  return start(options, {
    name: 'mariadb',
    prepare: (place, data) =>
      place.run(INSTALL, [
        '--no-defaults',
        `--datadir=${data}`,
        '--auth-root-authentication-method=normal',
        '--skip-test-db',
        '--skip-name-resolve',
      ]),
    command: [
      ...[SERVER, '--no-defaults', '--innodb-flush-log-at-trx-commit=0'],
      // As MySQL does by itself.
      '--disconnect-on-expired-password=ON',
      ...(existsSync(MARIADB_PLUGINS) ? [`--plugin-dir=${MARIADB_PLUGINS}`] : []),
    ],
    first: ['DROP USER IF EXISTS root@localhost, root@127.0.0.1, root@`::1`'],
    last: ["DELETE FROM mysql.global_priv WHERE User = ''", 'FLUSH PRIVILEGES'],
  });
}

export function startMysql(options: ServerOptions = {}): Promise<Database> {
  const [server = ''] = MYSQL_FILES;
  const command = [
    ...[MYSQL_LOADER, '--library-path', MYSQL_LIBRARIES, server, '--no-defaults'],
    ...[`--basedir=${MYSQL}`, `--plugin-dir=${join(MYSQL, 'lib/mysql/plugin')}`, '--mysqlx=OFF'],
    ...[
      '--innodb-flush-method=nosync',
      '--innodb-flush-log-at-trx-commit=0',
      '--skip-log-bin',
      '--secure-file-priv=NULL',
    ],
    '--innodb-redo-log-capacity=64M',
  ];
  return start(options, {
    name: 'mysql',
    prepare: (place, data) => {
      const [program = '', ...args] = command;
      place.run(program, [...args, '--initialize-insecure', `--datadir=${data}`]);
    },
    command,
    first: ["GRANT PROXY ON ''@'' TO root@'%' WITH GRANT OPTION", 'DROP USER IF EXISTS root@localhost'],
    last: [],
    hasKey: true,
  });
}

interface Kind {
  readonly name: string;
  /** Makes the data folder, with a root that has no password. */
  prepare(place: Place, data: string): void;
  readonly command: readonly string[];
  /** Statements that take the first root's accounts away. */
  readonly first: readonly string[];
  readonly last: readonly string[];
  /** Whether the server makes itself an RSA key. */
  readonly hasKey?: boolean;
}

async function start({ tls }: ServerOptions, kind: Kind): Promise<Database> {
  const place = makePlace(kind.name);
  const data = join(place.folder, 'data');
  const log = join(place.folder, 'log');
  kind.prepare(place, data);
  const port = await freePort();
  const tlsArgs: string[] = [];
  if (tls !== undefined) {
    place.run('sh', ['-c', 'umask 077; cat > key.pem'], tls.key);
    place.run('sh', ['-c', 'cat > cert.pem'], tls.cert);
    tlsArgs.push(
      `--ssl-key=${join(place.folder, 'key.pem')}`,
      `--ssl-cert=${join(place.folder, 'cert.pem')}`,
    );
  }
  const run = async () => {
    const [program = '', ...args] = kind.command;
    const made = place.start(program, [
      ...args,
      `--datadir=${data}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(place.folder, 'run', 's')}`,
      `--pid-file=${join(place.folder, 'run', 'pid')}`,
      '--skip-name-resolve',
      '--general-log=1',
      `--general-log-file=${log}`,
      ...tlsArgs,
    ]);
    await untilAccepts(port, made);
    // It listens at its port before its socket, and makes the socket before it listens there.
    await untilAccepts(join(place.folder, 'run', 's'), made);
    return made;
  };
  let child = await run();
  const admin = { username: 'root', password: 'root-5d0c77' };
  const asRoot = async (
    password: string,
    statements: readonly string[],
    socketPath?: string,
  ): Promise<readonly unknown[]> => {
    const where = socketPath === undefined ? { host: '127.0.0.1', port } : { socketPath };
    const client = await mysql.createConnection({ ...where, user: admin.username, password });
    try {
      const answers: unknown[] = [];
      for (const statement of statements) answers.push((await client.query(statement))[0]);
      return answers;
    } finally {
      await client.end();
    }
  };
  await asRoot(
    '',
    [
      `CREATE USER root@'%' IDENTIFIED BY '${admin.password}'`,
      "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION",
      ...kind.first,
      ...kind.last,
    ],
    join(place.folder, 'run', 's'),
  );
  const [rows] = await asRoot(admin.password, ['SELECT VERSION() AS version']);
  const [row] = rows as { version: string }[];
  return {
    port,
    admin,
    ...(kind.hasKey === true && { serverKey: join(data, 'public_key.pem') }),
    version: Number.parseInt(row?.version ?? '', 10),
    sql: async (...statements) => {
      await asRoot(admin.password, statements);
    },
    accepts: (username, password) => accepts(port, username, password),
    log: () => textOf(log),
    halt: () => ended(child, 'SIGKILL'),
    resume: async () => {
      child = await run();
    },
    stop: async () => {
      await ended(child, 'SIGKILL');
      place.remove();
    },
  };
}

async function accepts(port: number, user: string, password: string): Promise<boolean> {
  try {
    const client = await mysql.createConnection({ host: '127.0.0.1', port, user, password });
    await client.end();
    return true;
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === 'ER_ACCESS_DENIED_ERROR') return false;
    throw thrown;
  }
}
