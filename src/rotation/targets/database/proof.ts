/**
 * What a sign-in shows. It shows a password only where another one is refused: a server may let anybody in (trust, peer,
 * auth_socket), or a pooler may do so in its place.
 */
import { randomBytes } from 'node:crypto';
import { SecretsError } from '../../../core/errors.ts';
import { Admitted, type Connection, type DatabaseDriver, Refused, type TlsSettings } from './connection.ts';
import { withSeveralHosts } from './hosts.ts';
import type { Login } from './login.ts';

/** What a sign-in that was let in has shown. */
export interface Admission {
  /** Whether the server has shown who it is. */
  readonly mutual: boolean;
  /** Whether it could be asked for the account, which is the one that is meant. */
  readonly account: boolean;
}

export class SignIns {
  readonly #driver: DatabaseDriver;
  readonly #tls: TlsSettings;

  constructor(driver: DatabaseDriver, tls: TlsSettings) {
    this.#driver = withSeveralHosts(driver);
    this.#tls = tls;
  }

  /**
   * Signs in for work to be done.
   * @returns undefined when the credential was refused
   */
  async open(login: Login, signal: AbortSignal, privileged = false): Promise<Connection | undefined> {
    try {
      return await this.#driver.connect(login, this.#tls, signal, privileged);
    } catch (thrown) {
      if (thrown instanceof Refused) return undefined;
      throw thrown instanceof Admitted ? thrown.reason : thrown;
    }
  }

  /**
   * Whether this password lets the user in, as the account that is meant, and a wrong one does not.
   * @param mutual whether the server must have shown in turn who it is. A password that was set here is SCRAM's, which
   *   does; one that was kept as MD5 before can't
   * @throws SecretsError Unsupported when a sign-in proves nothing there
   */
  async proves(login: Login, signal: AbortSignal, mutual = false): Promise<boolean> {
    const admitted = await this.admits(login, signal);
    if (admitted === undefined) return false;
    await this.control(login, signal);
    if (!mutual || admitted.mutual) return true;
    throw new SecretsError(
      'Unsupported',
      `${placeOf(login)} has not shown that it knows the password of ${login.username}`,
      { hint: 'use scram-sha-256, or TLS: name the authority of its certificate as ca' },
    );
  }

  /**
   * Where this password lets the user in, that it does so as the account that is meant.
   * @throws SecretsError Unsupported when it is signed in as another account
   */
  async checkAccount(login: Login, signal: AbortSignal): Promise<void> {
    await this.admits(login, signal);
  }

  /**
   * Whether this password lets the user in, as the account that is meant. A wrong one may do so, too.
   * @returns undefined when the credential was refused
   * @throws SecretsError Unsupported when it is signed in as another account
   */
  async admits(login: Login, signal: AbortSignal): Promise<Admission | undefined> {
    try {
      const connection = await this.#driver.connect(login, this.#tls, signal);
      await closing(connection, () => connection.checkAccount(login.username));
      return { mutual: connection.mutual, account: true };
    } catch (thrown) {
      if (thrown instanceof Refused) return undefined;
      if (!(thrown instanceof Admitted)) throw thrown;
      const { mutual } = thrown;
      if (this.#driver.hasHostsInAccounts !== true || login.database === undefined)
        return { mutual, account: false };
      // Without the database that it has no place in, there may be a session that can be asked.
      const elsewhere = await this.admits({ ...login, database: undefined }, signal);
      return { mutual, account: elsewhere?.account === true };
    }
  }

  /**
   * Tries a wrong password in the same place.
   * @throws SecretsError Unsupported when it is let in
   */
  async control(login: Login, signal: AbortSignal): Promise<void> {
    const wrong = { ...login, password: randomBytes(24).toString('base64url') };
    try {
      const connection = await this.#driver.connect(wrong, this.#tls, signal);
      await connection.close();
    } catch (thrown) {
      if (thrown instanceof Refused) return;
      if (!(thrown instanceof Admitted)) throw thrown;
    }
    throw new SecretsError(
      'Unsupported',
      `${placeOf(login)} lets ${login.username} in with any password, so a sign-in there proves nothing`,
      { hint: 'make the server ask for the password, or set `verify: none` in the target' },
    );
  }
}

export async function closing(connection: Connection, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    await connection.close();
  }
}

export function placeOf({ host, port }: Pick<Login, 'host' | 'port'>): string {
  return host.startsWith('/') ? host : `${host}:${port}`;
}

/** @param actual the account that the sign-in came to, in the server's words */
export function otherAccount(wanted: string, actual: string): SecretsError {
  return new SecretsError('Unsupported', `a sign-in as ${wanted} comes to the account ${actual}`, {
    hint: 'its password is not the one that would be changed: use the address where it is, or name that account',
  });
}
