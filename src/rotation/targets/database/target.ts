/**
 * The rotation of a database user's password, the same for every database: the user changes its own, or an
 * administrator does, or two users take turns with an administrator's help.
 */
import { SecretsError, toSecretsError } from '../../../core/errors.ts';
import type {
  Credential,
  Known,
  RetirePhase,
  Target,
  TargetContext,
  TargetFinding,
  Verdict,
} from '../../target.ts';
import { type Connection, type DatabaseDriver, Refused, type TlsSettings } from './connection.ts';
import { readAuthority } from '../network.ts';
import { type Login, type LoginForm, loginOf, usernameOf, withNewPassword } from './login.ts';
import type { DatabaseSettings } from './settings.ts';

export class DatabaseTarget implements Target {
  readonly #driver: DatabaseDriver;
  readonly #settings: DatabaseSettings;
  readonly #context: TargetContext;
  readonly #form: LoginForm;
  readonly #tls: TlsSettings;

  /** @throws SecretsError Usage for settings that don't fit together, or a `ca` that can't be read */
  constructor(driver: DatabaseDriver, settings: DatabaseSettings, context: TargetContext) {
    const { users, admin, username, ca } = settings;
    if (users !== undefined && admin === undefined)
      throw new SecretsError('Usage', 'two users that take turns need an administrator', {
        reference: context.reference,
        hint: 'name the secret with its credential as admin of the target',
      });
    if (users !== undefined && (users[0] === users[1] || username !== undefined))
      throw new SecretsError('Usage', 'users names two different users, and username none', {
        reference: context.reference,
      });
    this.#driver = driver;
    this.#settings = settings;
    this.#context = context;
    this.#form = { schemes: driver.schemes, port: driver.port, defaults: settings };
    this.#tls = { ca: readAuthority(ca, context.folder) };
  }

  limitKey(current: Credential | undefined): string | undefined {
    try {
      const { host, port } = current === undefined ? this.#settings : loginOf(current, this.#form);
      return host === undefined ? undefined : `${host}:${port ?? this.#driver.port}`;
    } catch {
      return undefined;
    }
  }

  async check(known: Known, signal: AbortSignal): Promise<readonly TargetFinding[]> {
    const { admin } = this.#settings;
    const findings: TargetFinding[] = [];
    const failed = (check: string, thrown: unknown): void => {
      if (signal.aborted) throw toSecretsError(thrown);
      const { message, hint } = thrown instanceof Refused ? refusedSignIn(admin) : toSecretsError(thrown);
      findings.push({ check, status: 'fail', detail: message, hint });
    };
    if (known.current !== undefined) {
      const check = 'sign-in with the current credential';
      try {
        const login = loginOf(known.current, this.#form);
        const connection = await this.#driver.connect(login, this.#tls, signal);
        try {
          findings.push({ check, status: 'ok', detail: `as ${login.username}` });
          if (admin === undefined) findings.push(...(await connection.inspect(login.username, true)));
        } finally {
          await connection.close();
        }
      } catch (thrown) {
        failed(check, thrown);
      }
    } else if (admin === undefined) {
      failed('current credential', this.#noSecret());
    }
    if (admin !== undefined) {
      const check = `sign-in as administrator (${admin})`;
      try {
        const own = this.#settings.users ?? [usernameOf(known.current, this.#form)];
        const { connection, login } = await this.#asAdmin(known.current ?? known.pending, signal);
        try {
          findings.push({ check, status: 'ok', detail: `as ${login.username}` });
          findings.push(...this.#samePlace(known.current, login));
          for (const user of own)
            if (user !== undefined) findings.push(...(await connection.inspect(user, false)));
        } finally {
          await connection.close();
        }
      } catch (thrown) {
        failed(check, thrown);
      }
    }
    return findings;
  }

  async propose(
    draft: Credential,
    known: Known,
    _rotation: unknown,
    signal: AbortSignal,
  ): Promise<Credential> {
    const { users } = this.#settings;
    let next: string | undefined;
    if (users !== undefined) {
      const now = usernameOf(known.current, this.#form);
      if (now !== undefined && !users.includes(now))
        throw new SecretsError('Invalid', `the secret's user ${now} is none of the two that take turns`, {
          reference: this.#context.reference,
          hint: 'put one of them into the secret, or mend users of the target',
        });
      next = users[0] === now ? users[1] : users[0];
    }
    const proposed = withNewPassword(draft, known.current, this.#form, next);
    // What can't be signed in with must not get into the store.
    const { username } = loginOf(proposed, this.#form);
    if (this.#driver.checksUsers === true) await this.#checkUser(username, known, signal);
    return proposed;
  }

  /** What hinders the sign-in itself is found, and told, when the password is to be set. */
  async #checkUser(username: string, known: Known, signal: AbortSignal): Promise<void> {
    const own = this.#settings.admin === undefined;
    try {
      if (own && known.current === undefined) return;
      const connection = own
        ? await this.#signIn(loginOf(known.current as Credential, this.#form), signal)
        : (await this.#asAdmin(known.current, signal)).connection;
      if (connection !== undefined)
        await closing(connection, async () => connection.checkUser?.(username, own));
    } catch (thrown) {
      if (signal.aborted || toSecretsError(thrown).kind === 'Unsupported') throw thrown;
      this.#context.debug(`how ${username} signs in is not known: ${toSecretsError(thrown).message}`);
    }
  }

  async apply(credential: Credential, known: Known, _rotation: unknown, signal: AbortSignal): Promise<void> {
    const login = loginOf(credential, this.#form);
    if (this.#settings.admin !== undefined) {
      if (await this.#accepts(login, signal)) return;
      const { connection } = await this.#asAdmin(credential, signal);
      await closing(connection, () => connection.setPassword(login.username, login.password, false));
      return;
    }
    const others = [known.current, known.pending, known.previous]
      .flatMap((one) => (one === undefined ? [] : [loginOf(one, this.#form)]))
      .filter((other) => other.username === login.username && other.password !== login.password);
    // The wanted one first: then there is nothing to do.
    for (const candidate of [login, ...others]) {
      const connection = await this.#signIn(candidate, signal);
      if (connection === undefined) continue;
      await closing(connection, async () => {
        if (candidate !== login) await connection.setPassword(login.username, login.password, true);
      });
      return;
    }
    throw new SecretsError('Unauthenticated', `${login.username} can't sign in with any known password`, {
      reference: this.#context.reference,
      hint: 'was it changed by hand? set it in the database to what the store has, or name an admin in the target',
    });
  }

  async verify(credential: Credential, signal: AbortSignal): Promise<Verdict> {
    return (await this.#accepts(loginOf(credential, this.#form), signal)) ? 'accepted' : 'refused';
  }

  /** A single user's old password ended when the new one came; of two users the older one is shut out. */
  async retire(old: Credential, current: Credential, phase: RetirePhase, signal: AbortSignal): Promise<void> {
    const { users } = this.#settings;
    if (users === undefined || phase !== 'expired') return;
    const login = loginOf(old, this.#form);
    const inUse = loginOf(current, this.#form).username;
    // Another password of that user is a later rotation's, or a person's.
    if (login.username === inUse || !users.includes(login.username)) return;
    if (!(await this.#accepts(login, signal))) return;
    const { connection } = await this.#asAdmin(current, signal);
    await closing(connection, () => connection.setPassword(login.username, undefined, false));
  }

  async close(): Promise<void> {}

  async #accepts(login: Login, signal: AbortSignal): Promise<boolean> {
    const connection = await this.#signIn(login, signal);
    await connection?.close();
    return connection !== undefined;
  }

  async #signIn(login: Login, signal: AbortSignal): Promise<Connection | undefined> {
    try {
      return await this.#driver.connect(login, this.#tls, signal);
    } catch (thrown) {
      if (thrown instanceof Refused) return undefined;
      throw thrown;
    }
  }

  /** Signs in with the other secret; what it doesn't say (host, port, database) is as for the rotated user. */
  async #asAdmin(
    credential: Credential | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly connection: Connection; readonly login: Login }> {
    const { admin = '', host, port, database } = this.#settings;
    const own = credential === undefined ? undefined : loginOf(credential, this.#form);
    // The settings before the rotated secret: who may write to that one must not choose where this password goes.
    const defaults = {
      host: host ?? own?.host,
      port: port ?? own?.port,
      database: database ?? own?.database,
    };
    const secret = await this.#context.read(admin, signal);
    try {
      const login = loginOf(secret, { ...this.#form, defaults });
      return { connection: await this.#driver.connect(login, this.#tls, signal), login };
    } catch (thrown) {
      throw (thrown instanceof Refused ? refusedSignIn(admin) : toSecretsError(thrown)).forReference(admin);
    }
  }

  /** Another name of the same server is fine (a pooler, a replica's address), another server is not. */
  #samePlace(current: Credential | undefined, admin: Login): readonly TargetFinding[] {
    if (current === undefined) return [];
    const { host } = loginOf(current, this.#form);
    if (host === admin.host) return [];
    const detail = `the administrator signs in at ${admin.host}, the user at ${host}`;
    return [{ check: 'hosts', status: 'warn', detail, hint: 'are they the same database?' }];
  }

  #noSecret(): SecretsError {
    return new SecretsError('NotFound', 'the secret has no value yet', {
      reference: this.#context.reference,
      hint: 'put the user’s first credential there, or name an admin in the target',
    });
  }
}

async function closing(connection: Connection, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    await connection.close();
  }
}

function refusedSignIn(admin: string | undefined): SecretsError {
  return new SecretsError('Unauthenticated', 'the database refused the user name or password', {
    hint:
      admin === undefined
        ? 'was the password changed by hand? set it in the database to what the store has, or name an admin'
        : 'check the user and the password in that secret',
  });
}
