/** MySQL and MariaDB through `mysql2`, which is loaded with the first connection. */
import { createHash, randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { IN_DOUBT, SecretsError } from '../../../core/errors.ts';
import { codeOf } from '../../../platform/files.ts';
import type { TargetFinding } from '../../target.ts';
import {
  bounded,
  type Connection,
  type DatabaseDriver,
  needsTls,
  type TlsSettings,
} from '../database/connection.ts';
import type { Login } from '../database/login.ts';
import { checkHosts, checkLockout, checkMethods, checkOwnAccount, checkRequirements } from './accounts.ts';
import { changeError, connectError, sessionError } from './errors.ts';
import { takeFence } from './fence.ts';
import { withoutClearText } from './plugins.ts';
import { checkValidation, reuseFindings } from './rules.ts';
import { accountName, literal, query, type Session } from './session.ts';

type Client = import('mysql2').Connection;

export interface MysqlOptions {
  /** The host part of the changed account, if the settings name it. */
  readonly accountHost?: string | undefined;
  /** Whether an administrator changes the account, and so has to name all of it: the host defaults to `%`. */
  readonly byAdmin?: boolean;
  /** PEM text of the server's RSA key, which encrypts passwords where there is no TLS. */
  readonly serverKey?: string | undefined;
}

export function mysqlDriver(options: MysqlOptions = {}): DatabaseDriver {
  return {
    schemes: ['mysql', 'mariadb'],
    port: 3306,
    checksUsers: true,
    hasHostsInAccounts: true,
    connect: (login, tls, signal, privileged) => connect(login, tls, options, signal, privileged === true),
  };
}

async function connect(
  login: Login,
  tls: TlsSettings,
  { accountHost, byAdmin = false, serverKey }: MysqlOptions,
  signal: AbortSignal,
  privileged: boolean,
): Promise<Connection> {
  const { password } = login;
  const secure = needsTls(login.host, tls);
  const { default: mysql } = await import('mysql2');
  const client = createClient(mysql, login, secure ? tls : undefined, serverKey, privileged);
  // The cut connection also reports its error here; each call has its own rejection.
  client.on('error', () => {});
  // The driver's own end keeps the connection half open until the server closes it too, which a waiting server doesn't.
  const cut = (): void => {
    client.destroy();
    (client as unknown as Internals).stream?.destroy();
  };
  const session: Session = {
    client,
    cut,
    signal,
    password,
    accountHost: accountHost ?? (byAdmin ? '%' : undefined),
    hostIsNamed: accountHost !== undefined,
    secure,
  };
  try {
    await bounded(() => whenConnected(client), cut, signal);
  } catch (thrown) {
    cut();
    throw connectError(thrown, login);
  }
  const guarded = (user: string, work: () => Promise<void>): Promise<void> =>
    work().catch((thrown: unknown) => {
      throw changeError(thrown, user);
    });
  return {
    // Without TLS the protocol can't prove the server's identity; the negative control takes its place.
    mutual: true,
    checkAccount: (user) => guarded(user, () => checkOwnAccount(session, user)),
    fence: async (user, fence) => {
      try {
        const { mariadb } = await serverOf(session);
        await takeFence((sql) => query(session, sql), user, fence, mariadb);
      } catch (thrown) {
        throw sessionError(thrown);
      }
    },
    setPassword: (user, next, own) => guarded(user, () => setPassword(session, user, next, own)),
    inspect: (user, own, isKnown) => inspect(session, user, own, isKnown),
    takesChanges: async () => !(await serverOf(session)).readOnly,
    checkUser: (user, own) => guarded(user, async () => checkUser(session, user, own, true)),
    close: async () => {
      const bound = AbortSignal.any([signal, AbortSignal.timeout(2_000)]);
      const ended = (): Promise<void> => new Promise((resolve) => client.end(() => resolve()));
      await bounded(ended, cut, bound).catch(cut);
    },
  };
}

/** @param tls missing: the connection is in plain text, to this machine */
function createClient(
  { createConnection, authPlugins }: typeof import('mysql2'),
  login: Login,
  tls: TlsSettings | undefined,
  serverKey: string | undefined,
  privileged: boolean,
): Client {
  const { host, port, username, password, database } = login;
  if (tls !== undefined && isIP(host) !== 0)
    throw new SecretsError('Invalid', `the certificate of ${host} can't be checked against an address`, {
      hint: 'use the server’s name',
    });
  return createConnection({
    ...(host.startsWith('/') ? { socketPath: host } : { host, port }),
    user: username,
    password,
    // An administrator doesn't need a database.
    ...(database !== undefined && !privileged && { database }),
    // verifyIdentity: without it the driver accepts a certificate for any name.
    ...(tls !== undefined
      ? {
          ssl: {
            rejectUnauthorized: true,
            verifyIdentity: true,
            ...(tls.ca !== undefined && { ca: tls.ca }),
          },
        }
      : { authPlugins: withoutClearText(authPlugins, login, serverKey) }),
    enableCleartextPlugin: false,
    // Otherwise the server could request any file of this machine.
    flags: ['-LOCAL_FILES'],
    multipleStatements: false,
    // The caller's signal is the limit.
    connectTimeout: 0,
  });
}

/** Internals that `mysql2` has no types for. */
interface Internals {
  readonly stream?: { destroy(): void };
}

function whenConnected(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    client.connect((error) => (error === null || error === undefined ? resolve() : reject(error)));
  });
}

/**
 * @throws SecretsError Unsupported for an account whose password can't be set, or that its user name doesn't identify
 */
async function checkUser(session: Session, username: string, own: boolean, isKnown: boolean): Promise<void> {
  const { mariadb } = await serverOf(session);
  await checkHosts(session, username, isKnown);
  if (!isKnown) await checkRequirements(session, username);
  await checkMethods(session, username, own, mariadb);
  if (mariadb) await checkValidation(session);
  await checkLockout(session, own ? undefined : username);
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
 * MariaDB accepts the hash instead of the password, so no log ever contains more than that. MySQL has no such form for
 * a user's own password; it removes the password from its logs, and keeps the user's plugin:
 * https://dev.mysql.com/doc/refman/8.4/en/password-logging.html
 */
async function setPassword(
  session: Session,
  username: string,
  password: string | undefined,
  own: boolean,
): Promise<void> {
  const next = password ?? randomBytes(32).toString('base64url');
  const account = accountName(username, session.accountHost ?? '%');
  const { mariadb } = await serverOf(session);
  await checkMethods(session, username, own, mariadb);
  if (mariadb) {
    const hash = literal(nativeHash(next));
    // SET PASSWORD FOR needs UPDATE on mysql, ALTER USER for oneself needs CREATE USER: each form is used where it
    // needs fewer rights.
    const sql = own ? `SET PASSWORD = ${hash}` : `ALTER USER ${account} IDENTIFIED BY PASSWORD ${hash}`;
    await query(session, sql, IN_DOUBT);
  } else if (own) await changeOwn(session, next);
  else await query(session, `ALTER USER ${account} IDENTIFIED BY ${literal(next)}`, IN_DOUBT);
}

/** A user's own password in MySQL. A server may require the current password too (password_require_current). */
async function changeOwn(session: Session, next: string): Promise<void> {
  const sql = `ALTER USER USER() IDENTIFIED BY ${literal(next)}`;
  try {
    await query(session, sql, IN_DOUBT);
  } catch (thrown) {
    if (codeOf(thrown) !== 'ER_MISSING_CURRENT_PASSWORD') throw thrown;
    await query(session, `${sql} REPLACE ${literal(session.password)}`, IN_DOUBT);
  }
}

/** https://mariadb.com/kb/en/password/: `*` and the SHA-1 of the SHA-1, in upper-case hexadecimal digits. */
export function nativeHash(password: string): string {
  const sha1 = (data: string | Buffer): Buffer => createHash('sha1').update(data).digest();
  return `*${sha1(sha1(password)).toString('hex').toUpperCase()}`;
}

async function inspect(
  session: Session,
  username: string,
  own: boolean,
  isKnown: boolean,
): Promise<readonly TargetFinding[]> {
  const check = `right to change the password of ${username}`;
  try {
    const { mariadb, account, readOnly } = await serverOf(session);
    if (readOnly)
      return [
        { check, status: 'fail', detail: 'this server is read-only', hint: 'use the primary’s address' },
      ];
    try {
      await checkUser(session, username, own, isKnown);
    } catch (thrown) {
      if (!(thrown instanceof SecretsError) || thrown.kind !== 'Unsupported') throw thrown;
      return [{ check, status: 'fail', kind: thrown.kind, detail: thrown.message, hint: thrown.hint }];
    }
    const reuse = mariadb ? [] : await reuseFindings(session, own ? undefined : username);
    if (own) return [{ check, status: 'ok', detail: `its own (${account})` }, ...reuse];
    const grants = (await query(session, 'SHOW GRANTS')).map((row) => String(Object.values(row)[0]));
    const has = grants.some((grant) =>
      /^GRANT (?:.*\b(?:CREATE USER|ALL PRIVILEGES)\b.*) ON \*\.\* /.test(grant),
    );
    const onMysql = grants.some((grant) =>
      /^GRANT .*\b(?:UPDATE|ALL PRIVILEGES)\b.* ON [`']?mysql[`']?\.\* /.test(grant),
    );
    if (has || onMysql)
      return [{ check, status: 'ok', detail: has ? 'CREATE USER' : 'UPDATE on mysql' }, ...reuse];
    const hint = 'GRANT CREATE USER ON *.* TO …';
    return [{ check, status: 'fail', detail: 'the administrator lacks CREATE USER', hint }];
  } catch (thrown) {
    throw changeError(thrown, username);
  }
}
