/** Translates MySQL's and MariaDB's errors. */
import { waitedTooLong } from '../database/fence.ts';
import { IN_DOUBT, SecretsError } from '../../../core/errors.ts';
import { isUntrusted } from '../../../platform/net/authority.ts';
import { codeOf } from '../../../platform/files.ts';
import { SessionRefused, SignInRefused, PasswordReused } from '../database/connection.ts';
import type { Login } from '../database/login.ts';
import { placeOf } from '../database/proof.ts';
import { ValueRefused } from '../../next-step.ts';
import { takesNoHash } from './rules.ts';

/**
 * MariaDB's own numbers, which the driver mistakes for other MySQL errors:
 * https://mariadb.com/kb/en/mariadb-error-codes/
 */
const MARIADB_BLOCKED = 4150;
const MARIADB_LOCKED = 4151;

function numberOf(thrown: unknown): unknown {
  return typeof thrown === 'object' && thrown !== null && 'errno' in thrown ? thrown.errno : undefined;
}

type Kind = 'Unavailable' | 'Denied' | 'Invalid' | 'NotFound' | 'Unsupported';

/** Errors that come after the password was accepted. */
const AFTER_SIGN_IN = [
  'ER_BAD_DB_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_TOO_MANY_USER_CONNECTIONS',
  'ER_USER_LIMIT_REACHED',
];

export function connectError(thrown: unknown, login: Login): Error {
  const error = signInError(thrown, login);
  const admitted = AFTER_SIGN_IN.includes(codeOf(thrown) ?? '') && error instanceof SecretsError;
  return admitted ? new SessionRefused(error, true) : error;
}

type Fail = (kind: Kind, message: string, hint: string) => SecretsError;

function failure(thrown: unknown): Fail {
  return (kind, message, hint) => new SecretsError(kind, message, { hint, cause: stripped(thrown) });
}

/** Codes: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html */
function signInError(thrown: unknown, login: Login): Error {
  if (thrown instanceof SecretsError) return thrown;
  const { database } = login;
  const code = codeOf(thrown) ?? '';
  const place = placeOf(login);
  const fail = failure(thrown);
  const method = /unknown plugin (\w+)/.exec(String(thrown))?.[1];
  if (method !== undefined)
    return fail(
      'Unsupported',
      `the user signs in by ${method}, which is not known here`,
      'give it a password of mysql_native_password, or of MySQL’s caching_sha2_password',
    );
  if (numberOf(thrown) === MARIADB_BLOCKED)
    return fail('Denied', 'the account is blocked: too many wrong passwords were tried', 'FLUSH PRIVILEGES');
  if (numberOf(thrown) === MARIADB_LOCKED)
    return fail('Denied', 'the account is locked', 'ALTER USER … ACCOUNT UNLOCK');
  switch (code) {
    case 'ER_ACCESS_DENIED_ERROR':
    case 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR':
      return new SignInRefused(stripped(thrown));
    case 'ER_DBACCESS_DENIED_ERROR':
      return fail(
        'Denied',
        'the user may not use this database',
        'grant it a right there, or leave dbname out',
      );
    case 'ER_BAD_DB_ERROR':
      return fail('Invalid', `no database ${database ?? ''}`, 'correct dbname in the secret');
    case 'ER_ACCOUNT_HAS_BEEN_LOCKED':
      return fail('Denied', 'the account is locked', 'ALTER USER … ACCOUNT UNLOCK');
    case 'ER_MUST_CHANGE_PASSWORD_LOGIN':
      return fail('Denied', 'the password has expired', 'an administrator can set it: name one as admin');
    case 'ER_HOST_NOT_PRIVILEGED':
    case 'ER_HOST_IS_BLOCKED':
      return fail('Denied', `${place} admits no sign-in from here`, 'look into the server’s log');
    case 'MYSQL_CLEAR_PASSWORD_NOT_ENABLED':
      return fail(
        'Unsupported',
        `${place} wants the password in clear text`,
        'give the user a password of mysql_native_password, or of MySQL’s caching_sha2_password',
      );
    default:
      break;
  }
  return connectionError(thrown, login);
}

/** The error for a connection that was not made, or not over TLS. */
function connectionError(thrown: unknown, login: Login): SecretsError {
  const code = codeOf(thrown) ?? '';
  const place = placeOf(login);
  const fail = failure(thrown);
  if (code.startsWith('ER_'))
    return fail('Unavailable', `${place} takes no sign-in now (${code})`, 'look into the server’s log');
  if (code === 'HANDSHAKE_NO_SSL_SUPPORT')
    return fail(
      'Unavailable',
      `${place} has no TLS`,
      'switch it on: plain text is for loopback addresses only',
    );
  if (isUntrusted(code) || code.includes('HANDSHAKE_SSL') || /certificate|altname/i.test(String(thrown)))
    return fail(
      'Unavailable',
      `the certificate of ${login.host} is not trusted (${code})`,
      'name its authority as ca',
    );
  return fail('Unavailable', `cannot reach ${place} (${code || 'broken connection'})`, 'check host and port');
}

export function changeError(thrown: unknown, username: string): Error {
  if (thrown instanceof SecretsError) return thrown;
  const code = codeOf(thrown) ?? '';
  const fail = failure(thrown);
  switch (code) {
    case 'ER_SPECIFIC_ACCESS_DENIED_ERROR':
    case 'ER_DBACCESS_DENIED_ERROR':
    case 'ER_TABLEACCESS_DENIED_ERROR':
    case 'ER_ACCESS_DENIED_ERROR':
    case 'ER_PASSWORD_NOT_ALLOWED':
      return fail('Denied', `no right to change the password of ${username}`, 'it takes CREATE USER');
    case 'ER_PASSWORD_NO_MATCH':
    case 'ER_CANNOT_USER':
      return fail('NotFound', `no account of ${username} at this host`, 'create it, or mend account-host');
    case 'ER_LOCK_WAIT_TIMEOUT':
      return waitedTooLong(username, stripped(thrown));
    case 'ER_STATEMENT_TIMEOUT':
    case 'ER_QUERY_TIMEOUT':
    case 'ER_QUERY_INTERRUPTED':
      return fail('Unavailable', `the database ended the change${IN_DOUBT}`, 'run the command again');
    case 'ER_CREDENTIALS_CONTRADICT_TO_HISTORY':
      return new PasswordReused(
        new ValueRefused(
          'Invalid',
          `the database refuses a password that ${username} had before`,
          {
            hint: 'ease PASSWORD HISTORY and PASSWORD REUSE INTERVAL of the account',
            cause: stripped(thrown),
          },
          true,
        ),
      );
    case 'ER_OPTION_PREVENTS_STATEMENT':
      if (/strict-password-validation/.test(String(thrown))) return takesNoHash();
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

/** For errors before any change was sent. */
export function sessionError(thrown: unknown): SecretsError {
  if (thrown instanceof SecretsError) return thrown;
  return new SecretsError('Unavailable', `the session was ended (${codeOf(thrown) ?? 'broken connection'})`, {
    hint: 'run the command again',
    cause: stripped(thrown),
  });
}

/** Only code and number: a driver's error contains the statement. */
function stripped(thrown: unknown): Error {
  return Object.assign(new Error('MySQL'), { code: codeOf(thrown), errno: numberOf(thrown) });
}
