/** Starts a real PostgreSQL server on loopback, in a private folder, that logs every statement and sign-in. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { ended, makePlace, textOf, untilAccepts } from './database.ts';
import { freePort } from './server.ts';
import type { KeyPair } from './tls.ts';

const ROOT = '/usr/lib/postgresql';
const versions = existsSync(ROOT) ? readdirSync(ROOT).toSorted((a, b) => Number(b) - Number(a)) : [];
const BIN = join(ROOT, versions[0] ?? '15', 'bin');
/** For `describeWith`. */
export const POSTGRES_FILES: readonly string[] = [join(BIN, 'postgres'), join(BIN, 'initdb')];

export interface Postgres {
  /** Its major version. */
  readonly version: number;
  readonly port: number;
  readonly admin: { readonly username: string; readonly password: string };
  /** Runs statements as the superuser. */
  sql(statements: string): Promise<void>;
  /** Whether the sign-in succeeds; throws for anything but a refused password. */
  accepts(username: string, password: string, host?: string): Promise<boolean>;
  /** Everything that the server has logged. */
  log(): string;
  /** Ends the server at once; its data stays. */
  halt(): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
}

export async function startPostgres(options: { readonly tls?: KeyPair } = {}): Promise<Postgres> {
  const place = makePlace('postgres');
  const admin = { username: 'admin', password: 'admin-0f9b1c' };
  const data = join(place.folder, 'data');
  const log = join(place.folder, 'log');
  const words = join(place.folder, 'password');
  writeFileSync(words, admin.password, { mode: 0o644 });
  place.run(join(BIN, 'initdb'), [
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
  const { tls } = options;
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
  const start = async () => {
    const made = place.start('sh', ['-c', `exec "$0" -D "$1" 2>> "$2"`, join(BIN, 'postgres'), data, log]);
    await untilAccepts(port, made);
    await untilReady(port, admin);
    return made;
  };
  let child = await start();
  return {
    version: Number(versions[0]),
    port,
    admin,
    sql: async (statements) => {
      const client = clientOf(port, admin.username, admin.password);
      await client.connect();
      try {
        await client.query(statements);
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
  const end = Date.now() + 30_000;
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
