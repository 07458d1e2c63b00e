/** PostgreSQL through `pg`, which is loaded with the first connection. */
import { IN_DOUBT, SecretsError } from '../../../core/errors.ts';
import { isUntrusted } from '../../../platform/net/authority.ts';
import { codeOf } from '../../../platform/files.ts';
import type { TargetFinding } from '../../target.ts';
import {
  SessionRefused,
  bounded,
  type Connection,
  type DatabaseDriver,
  needsTls,
  SignInRefused,
  type TlsSettings,
} from '../database/connection.ts';
import { waitedTooLong } from '../database/fence.ts';
import type { Login } from '../database/login.ts';
import { otherAccount, placeOf } from '../database/proof.ts';
import { beginFenced, isBound } from './fence.ts';
import { checkPassword, scramVerifier } from './verifier.ts';

type Client = import('pg').Client;

export const postgresDriver: DatabaseDriver = {
  schemes: ['postgres', 'postgresql'],
  port: 5432,
  connect,
  checkPassword,
};

/**
 * For an administrator, overrides what a database or role has configured for its sessions (ALTER DATABASE … SET) before
 * the first name is resolved: startup parameters take precedence over both.
 * https://www.postgresql.org/docs/current/config-setting.html
 */
const PINNED = [
  'search_path=pg_catalog,pg_temp',
  'role=none',
  'default_transaction_read_only=off',
  'standard_conforming_strings=on',
]
  .map((setting) => `-c ${setting}`)
  .join(' ');

async function connect(
  login: Login,
  tls: TlsSettings,
  signal: AbortSignal,
  privileged = false,
): Promise<Connection> {
  const { Client } = (await import('pg')).default;
  const { host, port, username, password } = login;
  const secure = needsTls(host, tls);
  const seen = { cleartext: false, authenticated: false, scram: false };
  const client = new Client({
    host,
    port,
    user: username,
    // A function, because it is called after the server has said how it wants the password.
    password: async () => {
      if (seen.cleartext && !secure) throw wantsCleartext(login);
      return password;
    },
    database: login.database ?? 'postgres',
    ssl: secure && { rejectUnauthorized: true, ...(tls.ca !== undefined && { ca: tls.ca }) },
    sslnegotiation: 'postgres',
    application_name: 'secrets',
    connectionTimeoutMillis: 0,
    keepAlive: true,
  });
  const { connection, connectionParameters } = client as unknown as Internals;
  // If these are unset, the driver takes them from PG* environment variables.
  Object.assign(connectionParameters, {
    options: privileged ? PINNED : undefined,
    replication: undefined,
    application_name: 'secrets',
  });
  connection.on('authenticationCleartextPassword', () => (seen.cleartext = true));
  // The driver verifies the server's signature in this message, but accepts a server that leaves the message out.
  connection.on('authenticationSASLFinal', () => (seen.scram = true));
  connection.on('authenticationOk', () => (seen.authenticated = true));
  // The cut connection also reports its error here; each call has its own rejection.
  client.on('error', () => {});
  const cut = (): void => connection.stream?.destroy();
  try {
    await bounded(() => client.connect(), cut, signal);
  } catch (thrown) {
    cut();
    const error = connectError(thrown, login);
    const sessionFailed = ['42501', '3D000', '53300'].includes(codeOf(thrown) ?? '');
    if (!seen.authenticated || !sessionFailed || !(error instanceof SecretsError)) throw error;
    throw new SessionRefused(error, secure || seen.scram);
  }
  return {
    mutual: secure || seen.scram,
    checkAccount: (user) => checkAccount(client, user, cut, signal),
    fence: (user, fence) => fenceOff(client, user, fence, cut, signal),
    setPassword: (user, next) => setPassword(client, user, next, cut, signal),
    inspect: (user, own) => inspect(client, user, own, cut, signal),
    takesChanges: () => takesChanges(client, cut, signal),
    close: async () => {
      // A hanging server must not delay the end.
      await bounded(() => client.end(), cut, AbortSignal.any([signal, AbortSignal.timeout(2_000)])).catch(
        cut,
      );
    },
  };
}

async function fenceOff(
  client: Client,
  user: string,
  fence: Parameters<Connection['fence']>[1],
  cut: () => void,
  signal: AbortSignal,
): Promise<void> {
  const query = async (sql: string, values?: readonly unknown[]) => {
    const answer = await bounded(
      () => (values === undefined ? client.query(sql) : client.query(sql, [...values])),
      cut,
      signal,
    );
    // The result of several statements in one message has no rows of its own.
    return (answer.rows ?? []) as Record<string, unknown>[];
  };
  try {
    await beginFenced(query, user, fence);
  } catch (thrown) {
    throw thrown instanceof SecretsError ? thrown : sessionError(thrown);
  }
}

async function takesChanges(client: Client, cut: () => void, signal: AbortSignal): Promise<boolean> {
  const answer = await bounded(
    () => client.query('SELECT pg_catalog.pg_is_in_recovery() AS standby'),
    cut,
    signal,
  );
  return (answer.rows as Record<string, unknown>[])[0]?.['standby'] !== true;
}

/** Internals that `pg` has no types for. */
interface Internals {
  readonly connection: {
    readonly stream?: { destroy(): void };
    on(event: `authentication${string}`, listener: () => void): void;
  };
  readonly connectionParameters: Record<string, unknown>;
}

function wantsCleartext(login: Login): SecretsError {
  return new SecretsError(
    'Unsupported',
    `${placeOf(login)} requests the password in clear text, without TLS`,
    {
      hint: 'use scram-sha-256 in pg_hba.conf, or TLS: name the authority of its certificate as ca',
    },
  );
}

/** A pooler may sign in everybody as its own user, and a map as another one. */
async function checkAccount(
  client: Client,
  username: string,
  cut: () => void,
  signal: AbortSignal,
): Promise<void> {
  let actual: unknown;
  try {
    const answer = await bounded(() => client.query('SELECT session_user AS account'), cut, signal);
    actual = (answer.rows as Record<string, unknown>[])[0]?.['account'];
  } catch (thrown) {
    throw changeError(thrown, username);
  }
  if (actual !== username) throw otherAccount(username, String(actual));
}

async function setPassword(
  client: Client,
  username: string,
  password: string | undefined,
  cut: () => void,
  signal: AbortSignal,
): Promise<void> {
  const verifier = password === undefined ? 'NULL' : `'${await scramVerifier(password)}'`;
  // The same message makes the change and commits the fence's transaction, so nothing is left to send afterwards.
  const statement = `ALTER ROLE ${client.escapeIdentifier(username)} PASSWORD ${verifier}; COMMIT`;
  try {
    await bounded(() => client.query(statement), cut, signal, IN_DOUBT);
  } catch (thrown) {
    throw changeError(thrown, username);
  }
}

/** Schema-qualifies every name and operator: anybody may have created what a search_path finds first. */
const RIGHTS = `
  SELECT pg_catalog.pg_is_in_recovery() AS standby, me.rolsuper AS super, me.rolcreaterole AS createrole,
    pg_catalog.current_setting('server_version_num') AS version, target.rolsuper AS target_super,
    target.rolcanlogin AS target_login,
    target.rolvaliduntil OPERATOR(pg_catalog.<) pg_catalog.now() AS expired,
    pg_catalog.pg_has_role(me.oid, target.oid, 'MEMBER WITH ADMIN OPTION') AS admin
  FROM pg_catalog.pg_roles me
    LEFT JOIN pg_catalog.pg_roles target ON target.rolname OPERATOR(pg_catalog.=) $1::pg_catalog.name
  WHERE me.rolname OPERATOR(pg_catalog.=) current_user`;

async function inspect(
  client: Client,
  username: string,
  own: boolean,
  cut: () => void,
  signal: AbortSignal,
): Promise<readonly TargetFinding[]> {
  const check = `right to change the password of ${username}`;
  let row: Record<string, unknown> | undefined;
  try {
    const answer = await bounded(() => client.query(RIGHTS, [username]), cut, signal);
    row = (answer.rows as Record<string, unknown>[])[0];
  } catch (thrown) {
    throw changeError(thrown, username);
  }
  const fail = (detail: string, hint: string): readonly TargetFinding[] => [
    { check, status: 'fail', detail, hint },
  ];
  if (row === undefined || row['target_login'] === null)
    return fail(`no user ${username}`, 'create it: see the documentation of the target');
  if (row['standby'] === true) return fail('this server is a read-only standby', 'use the primary’s address');
  if (row['target_login'] !== true) return fail('the role may not sign in', `ALTER ROLE … LOGIN`);
  if (row['expired'] === true) return fail('its VALID UNTIL has passed', 'ALTER ROLE … VALID UNTIL');
  if (own || row['super'] === true) return [{ check, status: 'ok', detail: own ? 'its own' : 'superuser' }];
  if (row['target_super'] === true)
    return fail('only a superuser may change a superuser’s password', 'let it change its own');
  if (row['createrole'] !== true)
    return fail('the administrator lacks CREATEROLE', 'ALTER ROLE … CREATEROLE');
  // Since version 16, CREATEROLE alone is not enough: https://www.postgresql.org/docs/16/sql-alterrole.html
  if (Number(row['version']) >= 160_000 && row['admin'] !== true)
    return fail('the administrator lacks ADMIN OPTION on it', 'GRANT … TO … WITH ADMIN OPTION');
  return [{ check, status: 'ok', detail: 'CREATEROLE' }];
}

/** Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html */
function connectError(thrown: unknown, login: Login): Error {
  if (thrown instanceof SecretsError) return thrown;
  const { host, database } = login;
  const code = codeOf(thrown) ?? '';
  const place = placeOf(login);
  const fail = (
    kind: 'Unavailable' | 'Denied' | 'Invalid' | 'Unsupported',
    message: string,
    hint: string,
  ): SecretsError => new SecretsError(kind, message, { hint, cause: stripped(thrown) });
  // 28000 is also "no pg_hba.conf entry", which says nothing about the credential; the routine tells them apart.
  const switchedOff = code === '28000' && routineOf(thrown) === 'InitializeSessionUserId';
  if (code === '28P01' || switchedOff) return new SignInRefused(stripped(thrown));
  if (code === '28000')
    return fail('Denied', `${place} admits no such sign-in from here`, 'look into pg_hba.conf');
  // protocol_violation: how poolers respond to a startup parameter.
  if (code === '08P01')
    return fail(
      'Unsupported',
      `${place} does not take the settings of an administrator's session`,
      'is it a pooler? name the server’s own address in the administrator’s secret',
    );
  if (code === '42501')
    return fail('Denied', 'the user may not connect to this database', 'GRANT CONNECT ON DATABASE');
  if (code === '3D000')
    return fail('Invalid', `no database ${database ?? 'postgres'}`, 'correct dbname in the secret');
  if (/^[0-9A-Z]{5}$/.test(code) && /\d/.test(code))
    return fail('Unavailable', `${place} takes no sign-in now (${code})`, 'look into the server’s log');
  if (isUntrusted(code))
    return fail(
      'Unavailable',
      `the certificate of ${host} is not trusted (${code})`,
      'name its authority as ca',
    );
  if (/not support SSL/.test(String(thrown)))
    return fail(
      'Unavailable',
      `${place} has no TLS`,
      'switch it on: plain text is for loopback addresses only',
    );
  return fail('Unavailable', `cannot reach ${place} (${code || 'broken connection'})`, 'check host and port');
}

function changeError(thrown: unknown, username: string): SecretsError {
  if (thrown instanceof SecretsError) return thrown;
  const code = codeOf(thrown) ?? '';
  const fail = (kind: 'Unavailable' | 'Denied' | 'Invalid' | 'NotFound', message: string, hint: string) =>
    new SecretsError(kind, message, { hint, cause: stripped(thrown) });
  if (isBound(thrown)) return waitedTooLong(username, stripped(thrown));
  if (code === '42501')
    return fail(
      'Denied',
      `no right to change the password of ${username}`,
      'it takes CREATEROLE, and ADMIN OPTION on the role from version 16 on',
    );
  if (code === '42704') return fail('NotFound', `no user ${username} in the database`, 'create it first');
  if (code === '25006') return fail('Unavailable', 'this server is read-only', 'use the primary’s address');
  // The change waited for another session's change of the role, which succeeded: "tuple concurrently updated".
  if (code === 'XX000' && routineOf(thrown) === 'simple_heap_update')
    return fail(
      'Unavailable',
      `another session changed ${username} at the same time, and the change was not made`,
      'run the command again',
    );
  if (/^[0-9A-Z]{5}$/.test(code) && !code.startsWith('57P') && !code.startsWith('08') && /\d/.test(code))
    return fail('Invalid', `the database refused the new password (${code})`, 'look into the server’s log');
  return fail('Unavailable', `the database’s answer is missing${IN_DOUBT}`, 'run the command again');
}

/** For errors before any change was sent. */
function sessionError(thrown: unknown): SecretsError {
  if (codeOf(thrown) === '25006')
    return new SecretsError('Unavailable', 'this server is read-only', { hint: 'use the primary’s address' });
  return new SecretsError('Unavailable', `the session was ended (${codeOf(thrown) ?? 'broken connection'})`, {
    hint: 'run the command again',
    cause: stripped(thrown),
  });
}

function routineOf(thrown: unknown): unknown {
  return typeof thrown === 'object' && thrown !== null && 'routine' in thrown ? thrown.routine : undefined;
}

/** Only name and code: a driver's error may contain the statement and its configuration. */
function stripped(thrown: unknown): Error {
  return Object.assign(new Error('PostgreSQL'), { code: codeOf(thrown), routine: routineOf(thrown) });
}
