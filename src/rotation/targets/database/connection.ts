/** What the PostgreSQL and the MySQL target ask of their drivers, and how a driver's call is ended in time. */
import { SecretsError } from '../../../core/errors.ts';
import type { TargetFinding } from '../../target.ts';
import type { ValueRefused } from '../../way-on.ts';
import { isLoopback } from '../../../platform/net/address.ts';
import type { Fence } from './fence.ts';
import type { Login } from './login.ts';

/** The server said that this name and password are wrong, or that the user may not sign in any more. */
export class Refused extends Error {
  constructor(cause: unknown) {
    super('the sign-in was refused', { cause });
  }
}

/**
 * The server let the user in, and then had no place for its session: a database that is missing or closed to it, too
 * many connections. The credential is proven all the same.
 */
export class Admitted extends Error {
  readonly reason: SecretsError;
  readonly mutual: boolean;
  constructor(reason: SecretsError, mutual: boolean) {
    super(reason.message, { cause: reason });
    this.reason = reason;
    this.mutual = mutual;
  }
}

/** The server refuses to set a password that the account has, or had not long ago. */
export class UsedBefore extends Error {
  readonly reason: ValueRefused;
  constructor(reason: ValueRefused) {
    super(reason.message, { cause: reason });
    this.reason = reason;
  }
}

/** One signed-in connection. */
export interface Connection {
  /** Whether the server has shown who it is: by its certificate, or by knowing the password (SCRAM). */
  readonly mutual: boolean;
  /**
   * That the account which signed in is the one whose password is changed, not one that a pooler, a proxy user or a
   * map puts in its place.
   * @throws SecretsError Unsupported naming both
   */
  checkAccount(username: string): Promise<void>;
  /**
   * Bounds what this session does in the server, and waits for changes of the same user that are under way there. What
   * it takes is held until `setPassword` has been answered, or the session is over.
   * @throws SecretsError Unavailable when somebody else holds it; then nothing was sent
   */
  fence(username: string, fence: Fence): Promise<void>;
  /**
   * Sets a password; `undefined` makes one that nobody knows, so that no password lets the user in.
   * @param own whether it is the connection's own user
   * @throws SecretsError Denied with the right that is missing, NotFound without such a user, Unavailable (with
   *   "may have been made" when the answer was lost), Invalid; UsedBefore
   */
  setPassword(username: string, password: string | undefined, own: boolean): Promise<void>;
  /**
   * Whether the user's password can be changed here, as findings; changes nothing.
   * @param isKnown whether a sign-in has shown that it comes to the account that is changed
   */
  inspect(username: string, own: boolean, isKnown: boolean): Promise<readonly TargetFinding[]>;
  /**
   * Before a new password is stored anywhere: whether this kind of user has one that can be set.
   * @throws SecretsError Unsupported when it has not
   */
  checkUser?(username: string, own: boolean): Promise<void>;
  /** Whether this server takes changes: no standby, not read-only. Without this method it does. */
  takesChanges?(): Promise<boolean>;
  close(): Promise<void>;
}

export interface DatabaseDriver {
  readonly schemes: readonly string[];
  readonly port: number;
  /** Whether its connections have `checkUser`. */
  readonly checksUsers?: boolean;
  /** Whether a user may have several accounts, of which the place that it signs in from chooses one. */
  readonly hasHostsInAccounts?: boolean;
  /** @throws SecretsError Invalid for a password that can't be set */
  checkPassword?(password: string): void;
  /**
   * @param privileged for an administrator: what the server has set for the session is overruled from its first byte
   * @throws Refused, Admitted, SecretsError Unavailable, Denied, Invalid, Unsupported
   */
  connect(login: Login, tls: TlsSettings, signal: AbortSignal, privileged?: boolean): Promise<Connection>;
}

export interface TlsSettings {
  /** PEM text of the authorities to believe in place of the public ones. */
  readonly ca: string | undefined;
}

/** TLS is left out where nobody can listen, unless an authority is named. */
export function needsTls(host: string, { ca }: TlsSettings): boolean {
  return !host.startsWith('/') && (ca !== undefined || !isLoopback(host));
}

/**
 * Waits for the driver, or for the signal: then `stop` must cut the connection. The driver's late answer is dropped.
 * @throws SecretsError Unavailable when the signal comes first
 */
export async function bounded<T>(
  work: () => Promise<T>,
  stop: () => void,
  signal: AbortSignal,
  doubt = '',
): Promise<T> {
  const late = (): SecretsError =>
    new SecretsError('Unavailable', `the database did not answer in time${doubt}`, {
      hint: 'try again, or allow more with --timeout',
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
    // What the cut connection reports after the abort.
    working.catch(() => {});
    return await Promise.race([working, aborted]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}
