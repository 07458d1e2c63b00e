/** MySQL and MariaDB through `mysql2`, which loads with the first connection. */
import { createHash, randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { SecretsError } from '../../../core/errors.ts';
import { codeOf } from '../../../files.ts';
import type { TargetFinding } from '../../target.ts';
import {
  bounded,
  type Connection,
  type DatabaseDriver,
  needsTls,
  Refused,
  type TlsSettings,
} from '../database/connection.ts';
import { IN_DOUBT } from '../network.ts';
import type { Login } from '../database/login.ts';

type Client = import('mysql2').Connection;

/** @param accountHost the host part of the accounts that an administrator changes */
export function mysqlDriver(accountHost: string): DatabaseDriver {
  return {
    schemes: ['mysql', 'mariadb'],
    port: 3306,
    checksUsers: true,
    connect: (login, tls, signal) => connect(login, tls, accountHost, signal),
  };
}

async function connect(
  login: Login,
  tls: TlsSettings,
  accountHost: string,
  signal: AbortSignal,
): Promise<Connection> {
  const { createConnection } = (await import('mysql2')).default;
  const { host, port, username, password, database } = login;
  const secure = needsTls(host, tls);
  if (secure && isIP(host) !== 0)
    throw new SecretsError('Invalid', `the certificate of ${host} can't be checked against an address`, {
      hint: 'use the server’s name',
    });
  const client = createConnection({
    ...(host.startsWith('/') ? { socketPath: host } : { host, port }),
    user: username,
    password,
    ...(database !== undefined && { database }),
    // verifyIdentity: without it the driver takes a certificate of any name.
    ...(secure && {
      ssl: { rejectUnauthorized: true, verifyIdentity: true, ...(tls.ca !== undefined && { ca: tls.ca }) },
    }),
    multipleStatements: false,
    // The caller's signal is the bound.
    connectTimeout: 0,
  });
  // The cut connection reports itself here too; each call has its own rejection.
  client.on('error', () => {});
  const cut = (): void => client.destroy();
  const session: Session = { client, cut, signal, username, password, accountHost };
  try {
    await bounded(() => whenConnected(client), cut, signal);
  } catch (thrown) {
    cut();
    throw connectError(thrown, login);
  }
  return {
    setPassword: (user, next, own) => setPassword(session, user, next, own),
    inspect: (user, own) => inspect(session, user, own),
    checkUser: async (user, own) => {
      try {
        await checkMethods(session, user, own, (await serverOf(session)).mariadb);
      } catch (thrown) {
        throw changeError(thrown, user);
      }
    },
    close: async () => {
      const bound = AbortSignal.any([signal, AbortSignal.timeout(2_000)]);
      const ended = (): Promise<void> => new Promise((resolve) => client.end(() => resolve()));
      await bounded(ended, cut, bound).catch(cut);
    },
  };
}

interface Session {
  readonly client: Client;
  readonly cut: () => void;
  readonly signal: AbortSignal;
  readonly username: string;
  readonly password: string;
  readonly accountHost: string;
}

function whenConnected(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    client.connect((error) => (error === null || error === undefined ? resolve() : reject(error)));
  });
}

/** Rows of a statement; values are escaped by the driver. */
async function query(
  { client, cut, signal }: Session,
  sql: string,
  values: readonly unknown[] = [],
  doubt = '',
): Promise<readonly Record<string, unknown>[]> {
  const [rows] = await bounded(() => client.promise().query(sql, [...values]), cut, signal, doubt);
  return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
}

async function serverOf(session: Session): Promise<{ mariadb: boolean; account: string; readOnly: boolean }> {
  const [row] = await query(
    session,
    'SELECT VERSION() AS version, CURRENT_USER() AS account, @@global.read_only AS read_only',
  );
  return {
    mariadb: /mariadb/i.test(String(row?.['version'])),
    account: String(row?.['account']),
    readOnly: Number(row?.['read_only']) === 1,
  };
}

/**
 * MariaDB takes the hash in place of the password, so that no log ever holds more than that. MySQL has no such form
 * that a user may use for itself; it takes the password out of what it logs, and keeps the user's plugin:
 * https://dev.mysql.com/doc/refman/8.4/en/password-logging.html
 */
async function setPassword(
  session: Session,
  username: string,
  password: string | undefined,
  own: boolean,
): Promise<void> {
  const next = password ?? randomBytes(32).toString('base64url');
  const account = [username, session.accountHost];
  try {
    const { mariadb } = await serverOf(session);
    await checkMethods(session, username, own, mariadb);
    if (!mariadb) {
      if (own) await changeOwn(session, next);
      else await query(session, 'ALTER USER ?@? IDENTIFIED BY ?', [...account, next], IN_DOUBT);
      return;
    }
    // SET PASSWORD FOR takes UPDATE on mysql, ALTER USER for oneself CREATE USER: each asks for more than the other.
    const sql = own ? 'SET PASSWORD = ?' : 'ALTER USER ?@? IDENTIFIED BY PASSWORD ?';
    await query(session, sql, [...(own ? [] : account), nativeHash(next)], IN_DOUBT);
  } catch (thrown) {
    throw changeError(thrown, username);
  }
}

/** MySQL, for oneself. A server may ask for the current password too (password_require_current). */
async function changeOwn(session: Session, next: string): Promise<void> {
  const sql = 'ALTER USER USER() IDENTIFIED BY ?';
  try {
    await query(session, sql, [next], IN_DOUBT);
  } catch (thrown) {
    if (codeOf(thrown) !== 'ER_MISSING_CURRENT_PASSWORD') throw thrown;
    await query(session, `${sql} REPLACE ?`, [next, session.password], IN_DOUBT);
  }
}

/** https://mariadb.com/kb/en/password/: `*` and SHA-1 of SHA-1, in upper case hexadecimal digits. */
export function nativeHash(password: string): string {
  const sha1 = (data: string | Buffer): Buffer => createHash('sha1').update(data).digest();
  return `*${sha1(sha1(password)).toString('hex').toUpperCase()}`;
}

/** The plugins whose password is set here; the server keeps the user's own. */
const PLUGINS = {
  mariadb: ['mysql_native_password'],
  mysql: ['caching_sha2_password', 'sha256_password', 'mysql_native_password'],
} as const;

/** @throws SecretsError Unsupported when the user signs in by anything but one password that can be set here */
async function checkMethods(
  session: Session,
  username: string,
  own: boolean,
  mariadb: boolean,
): Promise<void> {
  const methods = await methodsOf(session, username, own, mariadb);
  const known: readonly string[] = PLUGINS[mariadb ? 'mariadb' : 'mysql'];
  if (methods === undefined || (methods.length === 1 && known.includes(methods[0] ?? ''))) return;
  const hint =
    methods.length > 1
      ? 'leave it one: a user with several ways to sign in would lose the others'
      : `only passwords of ${known.join(', ')} are changed here`;
  throw new SecretsError('Unsupported', `${username} signs in by ${methods.join(' or ')}`, { hint });
}

/** How the user signs in, where this connection may know. */
async function methodsOf(
  session: Session,
  username: string,
  own: boolean,
  mariadb: boolean,
): Promise<readonly string[] | undefined> {
  const sql = own ? 'SHOW CREATE USER CURRENT_USER()' : 'SHOW CREATE USER ?@?';
  let rows: readonly Record<string, unknown>[];
  try {
    rows = await query(session, sql, own ? [] : [username, session.accountHost]);
  } catch (thrown) {
    // Its own right (SELECT on mysql) isn't asked for.
    if (
      ['ER_SPECIFIC_ACCESS_DENIED_ERROR', 'ER_DBACCESS_DENIED_ERROR', 'ER_TABLEACCESS_DENIED_ERROR'].includes(
        codeOf(thrown) ?? '',
      )
    )
      return undefined;
    throw thrown;
  }
  // Names are in backquotes, and may look like anything.
  const statement = String(Object.values(rows[0] ?? {})[0]).replaceAll(/`(?:[^`]|``)*`/g, '');
  const [, first = 'mysql_native_password', rest = ''] =
    / IDENTIFIED (?:VIA|WITH) '?(\w+)(.*)/s.exec(statement) ?? [];
  const others = mariadb ? rest.replaceAll(/'[^']*'/g, '').matchAll(/ OR (\w+)/g) : [];
  return [first, ...[...others].map(([, name = '']) => name)];
}

async function inspect(session: Session, username: string, own: boolean): Promise<readonly TargetFinding[]> {
  const check = `right to change the password of ${username}`;
  try {
    const { mariadb, account, readOnly } = await serverOf(session);
    if (readOnly)
      return [
        { check, status: 'fail', detail: 'this server is read-only', hint: 'use the primary’s address' },
      ];
    try {
      await checkMethods(session, username, own, mariadb);
    } catch (thrown) {
      if (!(thrown instanceof SecretsError) || thrown.kind !== 'Unsupported') throw thrown;
      return [{ check, status: 'fail', detail: thrown.message, hint: thrown.hint }];
    }
    if (own) return [{ check, status: 'ok', detail: `its own (${account})` }];
    const grants = (await query(session, 'SHOW GRANTS')).map((row) => String(Object.values(row)[0]));
    const has = grants.some((grant) =>
      /^GRANT (?:.*\b(?:CREATE USER|ALL PRIVILEGES)\b.*) ON \*\.\* /.test(grant),
    );
    const onMysql = grants.some((grant) =>
      /^GRANT .*\b(?:UPDATE|ALL PRIVILEGES)\b.* ON [`']?mysql[`']?\.\* /.test(grant),
    );
    if (has || onMysql) return [{ check, status: 'ok', detail: has ? 'CREATE USER' : 'UPDATE on mysql' }];
    const hint = 'GRANT CREATE USER ON *.* TO …';
    return [{ check, status: 'fail', detail: 'the administrator lacks CREATE USER', hint }];
  } catch (thrown) {
    throw changeError(thrown, username);
  }
}

/** MariaDB's own number for a locked account, of which the driver knows no name. */
const MARIADB_LOCKED = 4151;

function numberOf(thrown: unknown): unknown {
  return typeof thrown === 'object' && thrown !== null && 'errno' in thrown ? thrown.errno : undefined;
}

type Kind = 'Unavailable' | 'Denied' | 'Invalid' | 'NotFound' | 'Unsupported';

/** Codes: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html */
function connectError(thrown: unknown, { host, port, database }: Login): Error {
  if (thrown instanceof SecretsError) return thrown;
  const code = codeOf(thrown) ?? '';
  const place = host.startsWith('/') ? host : `${host}:${port}`;
  const fail = (kind: Kind, message: string, hint: string): SecretsError =>
    new SecretsError(kind, message, { hint, cause: stripped(thrown) });
  const method = /unknown plugin (\w+)/.exec(String(thrown))?.[1];
  if (method !== undefined)
    return fail(
      'Unsupported',
      `the user signs in by ${method}, which is not known here`,
      'give it a password of mysql_native_password, or of MySQL’s caching_sha2_password',
    );
  if (numberOf(thrown) === MARIADB_LOCKED)
    return fail('Denied', 'the account is locked', 'ALTER USER … ACCOUNT UNLOCK');
  switch (code) {
    case 'ER_ACCESS_DENIED_ERROR':
    case 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR':
      return new Refused(stripped(thrown));
    case 'ER_DBACCESS_DENIED_ERROR':
      return fail(
        'Denied',
        'the user may not use this database',
        'grant it a right there, or leave dbname out',
      );
    case 'ER_BAD_DB_ERROR':
      return fail('Invalid', `there is no database ${database ?? ''}`, 'mend dbname in the secret');
    case 'ER_ACCOUNT_HAS_BEEN_LOCKED':
      return fail('Denied', 'the account is locked', 'ALTER USER … ACCOUNT UNLOCK');
    case 'ER_MUST_CHANGE_PASSWORD_LOGIN':
      return fail('Denied', 'the password has expired', 'an administrator can set it: name one as admin');
    case 'ER_HOST_NOT_PRIVILEGED':
    case 'ER_HOST_IS_BLOCKED':
      return fail('Denied', `${place} admits no sign-in from here`, 'look into the server’s log');
    default:
      break;
  }
  if (code.startsWith('ER_'))
    return fail('Unavailable', `${place} takes no sign-in now (${code})`, 'look into the server’s log');
  if (code === 'HANDSHAKE_NO_SSL_SUPPORT')
    return fail(
      'Unavailable',
      `${place} has no TLS`,
      'switch it on: plain text is for loopback addresses only',
    );
  if (/CERT|SIGN|ISSUER|ALTNAME|HANDSHAKE_SSL/.test(code) || /certificate|altname/i.test(String(thrown)))
    return fail(
      'Unavailable',
      `the certificate of ${host} is not trusted (${code})`,
      'name its authority as ca',
    );
  return fail('Unavailable', `cannot reach ${place} (${code || 'broken connection'})`, 'check host and port');
}

function changeError(thrown: unknown, username: string): SecretsError {
  if (thrown instanceof SecretsError) return thrown;
  const code = codeOf(thrown) ?? '';
  const fail = (kind: Kind, message: string, hint: string): SecretsError =>
    new SecretsError(kind, message, { hint, cause: stripped(thrown) });
  switch (code) {
    case 'ER_SPECIFIC_ACCESS_DENIED_ERROR':
    case 'ER_DBACCESS_DENIED_ERROR':
    case 'ER_TABLEACCESS_DENIED_ERROR':
    case 'ER_ACCESS_DENIED_ERROR':
    case 'ER_PASSWORD_NOT_ALLOWED':
      return fail('Denied', `no right to change the password of ${username}`, 'it takes CREATE USER');
    case 'ER_PASSWORD_NO_MATCH':
    case 'ER_CANNOT_USER':
      return fail(
        'NotFound',
        `there is no account of ${username} at this host`,
        'create it, or mend account-host',
      );
    case 'ER_OPTION_PREVENTS_STATEMENT':
      return fail('Unavailable', 'this server is read-only', 'use the primary’s address');
    default:
      break;
  }
  if (code.startsWith('ER_'))
    return fail(
      'Invalid',
      `the database refused the new password (${code})`,
      'look into its password policy',
    );
  return fail('Unavailable', `the database’s answer is missing${IN_DOUBT}`, 'run the command again');
}

/** Code and number alone: a driver's error holds the statement. */
function stripped(thrown: unknown): Error {
  return Object.assign(new Error('MySQL'), { code: codeOf(thrown), errno: numberOf(thrown) });
}
