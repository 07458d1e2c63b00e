/**
 * What a sign-in proves. It only proves a password if the server rejects a wrong one: a server (trust, peer,
 * auth_socket) or a pooler in front of it may accept any password.
 */
import { randomBytes } from 'node:crypto';
import { SecretsError } from '../../../core/errors.ts';
import {
  SessionRefused,
  type Connection,
  type DatabaseDriver,
  SignInRefused,
  type TlsSettings,
} from './connection.ts';
import { withSeveralHosts } from './hosts.ts';
import type { Login } from './login.ts';

/** What a successful sign-in has proven. */
export interface Admission {
  /** Whether the server has proven its identity. */
  readonly mutual: boolean;
  /** Whether the session could be asked for its account, and it is the right one. */
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
   * Signs in to do some work.
   * @returns undefined if the credential was refused
   */
  async open(login: Login, signal: AbortSignal, privileged = false): Promise<Connection | undefined> {
    try {
      return await this.#driver.connect(login, this.#tls, signal, privileged);
    } catch (thrown) {
      if (thrown instanceof SignInRefused) return undefined;
      throw thrown instanceof SessionRefused ? thrown.reason : thrown;
    }
  }

  /**
   * Whether the server accepts this password for the right account, and rejects a wrong one.
   * @param mutual whether the server has to prove its identity too. It does for passwords that were set here, which use
   *   SCRAM; it can't for an older password that is stored as MD5
   * @throws SecretsError Unsupported if a sign-in proves nothing there
   */
  async proves(login: Login, signal: AbortSignal, mutual = false): Promise<boolean> {
    const admitted = await this.admits(login, signal);
    if (admitted === undefined) return false;
    await this.control(login, signal);
    if (!mutual || admitted.mutual) return true;
    throw new SecretsError(
      'Unsupported',
      `${placeOf(login)} has not proven that it knows the password of ${login.username}`,
      { hint: 'use scram-sha-256, or TLS: name the authority of its certificate as ca' },
    );
  }

  /**
   * If the server accepts this password: checks that it signs in to the right account.
   * @throws SecretsError Unsupported if it signs in to another account
   */
  async checkAccount(login: Login, signal: AbortSignal): Promise<void> {
    await this.admits(login, signal);
  }

  /**
   * Whether the server accepts this password for the right account. It may accept a wrong one, too.
   * @returns undefined if the credential was refused
   * @throws SecretsError Unsupported if it signs in to another account
   */
  async admits(login: Login, signal: AbortSignal): Promise<Admission | undefined> {
    try {
      const connection = await this.#driver.connect(login, this.#tls, signal);
      await closing(connection, () => connection.checkAccount(login.username));
      return { mutual: connection.mutual, account: true };
    } catch (thrown) {
      if (thrown instanceof SignInRefused) return undefined;
      if (!(thrown instanceof SessionRefused)) throw thrown;
      const { mutual } = thrown;
      if (this.#driver.hasHostsInAccounts !== true || login.database === undefined)
        return { mutual, account: false };
      // Without that database the server may accept a session, which can be asked for its account.
      const elsewhere = await this.admits({ ...login, database: undefined }, signal);
      return { mutual, account: elsewhere?.account === true };
    }
  }

  /**
   * Tries a wrong password in the same place.
   * @throws SecretsError Unsupported if it is accepted
   */
  async control(login: Login, signal: AbortSignal): Promise<void> {
    const wrong = { ...login, password: randomBytes(24).toString('base64url') };
    try {
      const connection = await this.#driver.connect(wrong, this.#tls, signal);
      await connection.close();
    } catch (thrown) {
      if (thrown instanceof SignInRefused) return;
      if (!(thrown instanceof SessionRefused)) throw thrown;
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

/** @param actual the account of the session, in the server's words */
export function otherAccount(wanted: string, actual: string): SecretsError {
  return new SecretsError('Unsupported', `a sign-in as ${wanted} uses the account ${actual}`, {
    hint: 'its password is not the one that would be changed: use the address where it is, or name that account',
  });
}
