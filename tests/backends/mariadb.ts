/** Starts a real MariaDB server on loopback, in a private folder, with its general log on. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { ended, makePlace, textOf, untilAccepts } from './database.ts';
import { freePort } from './server.ts';
import type { KeyPair } from './tls.ts';

const found = (names: readonly string[]): string => names.find((path) => existsSync(path)) ?? names[0] ?? '';
const SERVER = found(['/usr/sbin/mariadbd', '/usr/sbin/mysqld']);
const INSTALL = found(['/usr/bin/mariadb-install-db', '/usr/bin/mysql_install_db']);
/** For `describeWith`. */
export const MARIADB_FILES: readonly string[] = [SERVER, INSTALL];

export interface Mariadb {
  readonly port: number;
  readonly admin: { readonly username: string; readonly password: string };
  /** Runs statements as root. */
  sql(...statements: readonly string[]): Promise<void>;
  /** Whether the sign-in succeeds; throws for anything but a refused password. */
  accepts(username: string, password: string): Promise<boolean>;
  /** Everything that the server has logged, statements among it. */
  log(): string;
  /** Ends the server at once; its data stays. */
  halt(): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
}

export async function startMariadb(options: { readonly tls?: KeyPair } = {}): Promise<Mariadb> {
  const place = makePlace('mariadb');
  const data = join(place.folder, 'data');
  const log = join(place.folder, 'log');
  place.run(INSTALL, [
    '--no-defaults',
    `--datadir=${data}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    '--skip-name-resolve',
  ]);
  const port = await freePort();
  const { tls } = options;
  const tlsArgs: string[] = [];
  if (tls !== undefined) {
    place.run('sh', ['-c', 'umask 077; cat > key.pem'], tls.key);
    place.run('sh', ['-c', 'cat > cert.pem'], tls.cert);
    tlsArgs.push(
      `--ssl-key=${join(place.folder, 'key.pem')}`,
      `--ssl-cert=${join(place.folder, 'cert.pem')}`,
    );
  }
  const start = async () => {
    const made = place.start(SERVER, [
      '--no-defaults',
      `--datadir=${data}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(place.folder, 'run', 's')}`,
      `--pid-file=${join(place.folder, 'run', 'pid')}`,
      '--skip-name-resolve',
      '--general-log=1',
      `--general-log-file=${log}`,
      '--innodb-flush-log-at-trx-commit=0',
      ...tlsArgs,
    ]);
    await untilAccepts(port, made);
    return made;
  };
  let child = await start();
  const admin = { username: 'root', password: 'root-5d0c77' };
  const asRoot = async (password: string, statements: readonly string[]): Promise<void> => {
    const client = await mysql.createConnection({ host: '127.0.0.1', port, user: admin.username, password });
    try {
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.end();
    }
  };
  await asRoot('', [
    `CREATE USER root@'%' IDENTIFIED BY '${admin.password}'`,
    "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION",
    'DROP USER IF EXISTS root@localhost, root@127.0.0.1, root@`::1`',
    "DELETE FROM mysql.global_priv WHERE User = ''",
    'FLUSH PRIVILEGES',
  ]);
  return {
    port,
    admin,
    sql: (...statements) => asRoot(admin.password, statements),
    accepts: (username, password) => accepts(port, username, password),
    log: () => textOf(log),
    halt: () => ended(child, 'SIGKILL'),
    resume: async () => {
      child = await start();
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
