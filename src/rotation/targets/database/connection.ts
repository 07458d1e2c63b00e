/** The interface between the database targets and their drivers, and a deadline for a driver's calls. */
import { SecretsError } from '../../../core/errors.ts';
import type { TargetFinding } from '../../target.ts';
import type { ValueRefused } from '../../next-step.ts';
import { isLoopback } from '../../../platform/net/address.ts';
import type { Fence } from './fence.ts';
import type { Login } from './login.ts';

/** The server answered that the name and password are wrong, or that the user may no longer sign in. */
export class SignInRefused extends Error {
  constructor(cause: unknown) {
    super('the sign-in was refused', { cause });
  }
}

/**
 * The server accepted the credential but not the session: a database that is missing or closed to the user, too many
 * connections. The credential is proven all the same.
 */
export class SessionRefused extends Error {
  readonly reason: SecretsError;
  readonly mutual: boolean;
  constructor(reason: SecretsError, mutual: boolean) {
    super(reason.message, { cause: reason });
    this.reason = reason;
    this.mutual = mutual;
  }
}

/** The server refuses to set a password that the account has, or had recently. */
export class PasswordReused extends Error {
  readonly reason: ValueRefused;
  constructor(reason: ValueRefused) {
    super(reason.message, { cause: reason });
    this.reason = reason;
  }
}

/** One signed-in connection. */
export interface Connection {
  /** Whether the server has proven its identity: by its certificate, or by knowing the password (SCRAM). */
  readonly mutual: boolean;
  /**
   * Checks that the account of this session is the one whose password is changed, not one that a pooler, a proxy user
   * or a map substitutes.
   * @throws SecretsError Unsupported naming both
   */
  checkAccount(username: string): Promise<void>;
  /**
   * Limits this session in the server, and waits for changes of the same user that are already in progress there. The
   * lock is held until `setPassword` has been answered or the session ends.
   * @throws SecretsError Unavailable when another session holds the lock; nothing has been sent then
   */
  fence(username: string, fence: Fence): Promise<void>;
  /**
   * Sets a password; `undefined` sets one that nobody knows, which shuts the user out.
   * @param own whether it is the connection's own user
   * @throws SecretsError Denied naming the missing right, NotFound without such a user, Unavailable (with "may have
   *   been made" if the response was lost), Invalid; PasswordReused
   */
  setPassword(username: string, password: string | undefined, own: boolean): Promise<void>;
  /**
   * Findings about whether the user's password can be changed; changes nothing.
   * @param isKnown whether a sign-in has shown that it reaches the account that is changed
   */
  inspect(username: string, own: boolean, isKnown: boolean): Promise<readonly TargetFinding[]>;
  /**
   * Called before a new password is stored: checks that this kind of user has a password that can be set.
   * @throws SecretsError Unsupported if it hasn't
   */
  checkUser?(username: string, own: boolean): Promise<void>;
  /** Whether this server accepts changes: neither a standby nor read-only. If missing, it does. */
  takesChanges?(): Promise<boolean>;
  close(): Promise<void>;
}

export interface DatabaseDriver {
  readonly schemes: readonly string[];
  readonly port: number;
  /** Whether its connections have `checkUser`. */
  readonly checksUsers?: boolean;
  /** Whether one user name can have several accounts, selected by the host that the user connects from. */
  readonly hasHostsInAccounts?: boolean;
  /** @throws SecretsError Invalid for a password that can't be set */
  checkPassword?(password: string): void;
  /**
   * @param privileged for an administrator: overrides from the first byte what the server has configured for the
   *   session
   * @throws SignInRefused, SessionRefused, SecretsError Unavailable, Denied, Invalid, Unsupported
   */
  connect(login: Login, tls: TlsSettings, signal: AbortSignal, privileged?: boolean): Promise<Connection>;
}

export interface TlsSettings {
  /** PEM text of the authorities that replace the public ones. */
  readonly ca: string | undefined;
}

/** TLS can be left out where nobody can listen, unless an authority is configured. */
export function needsTls(host: string, { ca }: TlsSettings): boolean {
  return !host.startsWith('/') && (ca !== undefined || !isLoopback(host));
}

/**
 * Waits for the driver until the signal aborts; then `stop` has to cut the connection. A late response of the driver is
 * dropped.
 * @throws SecretsError Unavailable if the signal aborts first
 */
export async function bounded<T>(
  work: () => Promise<T>,
  stop: () => void,
  signal: AbortSignal,
  doubt = '',
): Promise<T> {
  const late = (): SecretsError =>
    new SecretsError('Unavailable', `the database did not answer in time${doubt}`, {
      hint: 'try again, or raise --timeout',
      cause: signal.reason,
    });
  if (signal.aborted) throw late();
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => {
      reject(late());
      stop();
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    const working = work();
    // Ignores the errors of the cut connection after an abort.
    working.catch(() => {});
    return await Promise.race([working, aborted]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}
