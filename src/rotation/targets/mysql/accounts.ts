/** Finds out which account a sign-in reaches, and how that account authenticates. */
import { SecretsError } from '../../../core/errors.ts';
import { otherAccount } from '../database/proof.ts';
import { accountName, isDenied, literal, query, type Session } from './session.ts';

/**
 * Checks that this connection's account is the one whose password is changed: a user may have a row for each host, and
 * a proxy user acts as another user. https://dev.mysql.com/doc/refman/8.4/en/connection-access.html
 * @throws SecretsError Unsupported
 */
export async function checkOwnAccount(session: Session, username: string): Promise<void> {
  const [row] = await query(session, 'SELECT CURRENT_USER() AS account, @@proxy_user AS proxy');
  const account = String(row?.['account']);
  const at = account.lastIndexOf('@');
  const proxied = row?.['proxy'] !== null && row?.['proxy'] !== '';
  const { accountHost } = session;
  const sameHost =
    accountHost === undefined || account.slice(at + 1).toLowerCase() === accountHost.toLowerCase();
  if (account.slice(0, at) !== username || proxied || !sameHost)
    throw otherAccount(accountHost === undefined ? username : `${username}@${accountHost}`, account);
  await checkLockout(session, undefined);
}

/**
 * Checks that the user name identifies a single account, if this connection may look. A configured host selects the
 * account that is changed, but only a sign-in shows whether the application reaches the same one.
 * @param isKnown whether a sign-in has shown that
 * @throws SecretsError Unsupported
 */
export async function checkHosts(session: Session, username: string, isKnown: boolean): Promise<void> {
  if (session.hostIsNamed && isKnown) return;
  let rows: readonly Record<string, unknown>[];
  try {
    rows = await query(session, `SELECT Host AS host FROM mysql.user WHERE User = ${literal(username)}`);
  } catch (thrown) {
    if (isDenied(thrown)) return;
    throw thrown;
  }
  if (rows.length < 2) return;
  const hosts = rows.map((row) => String(row['host'])).join(', ');
  throw new SecretsError('Unsupported', `${username} has an account at each of ${hosts}`, {
    hint: session.hostIsNamed
      ? 'no sign-in has shown which one the application comes to: put a password that works with secrets put'
      : 'name the one that the application signs in as: account-host',
  });
}

/**
 * Checks that an account without an observed sign-in requires nothing but a password: the server's answer to a missing
 * certificate is the same as to a wrong password.
 * https://dev.mysql.com/doc/refman/8.4/en/create-user.html#create-user-tls
 * @throws SecretsError Unsupported
 */
export async function checkRequirements(session: Session, username: string): Promise<void> {
  const definition = (await definitionOf(session, username)) ?? '';
  const [, wanted = 'NONE'] = / REQUIRE (NONE|SSL|X509|SUBJECT|ISSUER|CIPHER)\b/.exec(definition) ?? [];
  if (wanted === 'NONE' || (wanted === 'SSL' && session.secure)) return;
  throw new SecretsError('Unsupported', `${username} has to sign in with more than a password (${wanted})`, {
    hint:
      wanted === 'SSL'
        ? 'use TLS: name the authority of the server’s certificate as ca'
        : 'no certificates of clients are used here: let the account REQUIRE SSL',
  });
}

/**
 * The negative control tries a wrong password, which must not happen if a single mistake locks the account.
 * @throws SecretsError Unsupported
 */
export async function checkLockout(session: Session, username: string | undefined): Promise<void> {
  const definition = (await definitionOf(session, username)) ?? '';
  // MariaDB's variable, for all accounts; MySQL has none like it.
  const [global] = await query(session, "SHOW GLOBAL VARIABLES LIKE 'max_password_errors'");
  const strict = global !== undefined && Number(Object.values(global)[1]) <= 1;
  if (!strict && !/ FAILED_LOGIN_ATTEMPTS 1(?!\d)/.test(definition)) return;
  throw new SecretsError(
    'Unsupported',
    'one wrong password locks the account, and verification needs one attempt',
    {
      hint: 'allow at least two (FAILED_LOGIN_ATTEMPTS, max_password_errors), or set `verify: none` in the target',
    },
  );
}

/** The account's CREATE USER statement without quoted names; `undefined` if this connection may not see it. */
export async function definitionOf(
  session: Session,
  username: string | undefined,
): Promise<string | undefined> {
  const name = username === undefined ? 'CURRENT_USER()' : accountName(username, session.accountHost ?? '%');
  try {
    const [row] = await query(session, `SHOW CREATE USER ${name}`);
    // Names are in backquotes and can contain anything.
    return String(Object.values(row ?? {})[0]).replaceAll(/`(?:[^`]|``)*`/g, '');
  } catch (thrown) {
    // The right for this (SELECT on mysql) isn't required.
    if (isDenied(thrown)) return undefined;
    throw thrown;
  }
}

/** The plugins whose passwords can be set here; the server keeps the user's own plugin. */
const PLUGINS = {
  mariadb: ['mysql_native_password'],
  mysql: ['caching_sha2_password', 'sha256_password', 'mysql_native_password'],
} as const;

/** @throws SecretsError Unsupported if the user authenticates with anything but one password that can be set here */
export async function checkMethods(
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

/** The user's authentication methods, if this connection may see them. */
async function methodsOf(
  session: Session,
  username: string,
  own: boolean,
  mariadb: boolean,
): Promise<readonly string[] | undefined> {
  const statement = await definitionOf(session, own ? undefined : username);
  if (statement === undefined) return undefined;
  const [, first = 'mysql_native_password', rest = ''] =
    / IDENTIFIED (?:VIA|WITH) '?(\w+)(.*)/s.exec(statement) ?? [];
  const others = mariadb ? rest.replaceAll(/'[^']*'/g, '').matchAll(/ OR (\w+)/g) : [];
  return [first, ...[...others].map(([, name = '']) => name)];
}
