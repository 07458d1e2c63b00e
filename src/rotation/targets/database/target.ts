/**
 * Rotates a database user's password, in the same way for every database: the user changes its own, or an administrator
 * does, or two users alternate with an administrator's help.
 */
import { SecretsError, toSecretsError } from '../../../core/errors.ts';
import type {
  Credential,
  Known,
  RetirePhase,
  Rotation,
  Target,
  TargetContext,
  TargetFinding,
  Verdict,
} from '../../target.ts';
import {
  type Connection,
  type DatabaseDriver,
  needsTls,
  type TlsSettings,
  PasswordReused,
} from './connection.ts';
import { readAuthority } from '../../../platform/net/authority.ts';
import { fenceOf } from './fence.ts';
import { ITSELF, NOT_VERIFIED, refusedSignIn, samePlace } from './findings.ts';
import { type Login, type LoginForm, loginOf, passwordKeys, withNewPassword } from './login.ts';
import { checkOptions } from './options.ts';
import { closing, SignIns } from './proof.ts';
import type { DatabaseSettings } from './settings.ts';
import { administratorOf, loginWithin, trustedBy } from './trusted.ts';

export class DatabaseTarget implements Target {
  readonly #driver: DatabaseDriver;
  readonly #settings: DatabaseSettings;
  readonly #context: TargetContext;
  readonly #form: LoginForm;
  readonly #tls: TlsSettings;
  readonly #signIns: SignIns;
  /** What `check` has just proven and needn't be proven again before the first effect: ways to sign in, and users. */
  readonly #shown = new Set<string>();
  /** Users for which a sign-in has shown the account. */
  readonly #accounts = new Set<string>();

  /** @throws SecretsError Usage for settings that don't fit together, or a `ca` that can't be read */
  constructor(driver: DatabaseDriver, settings: DatabaseSettings, context: TargetContext) {
    const { users, admin, username, ca } = settings;
    const unfit = (message: string, hint?: string): SecretsError =>
      new SecretsError('Usage', message, { reference: context.reference, hint });
    if (users !== undefined && admin === undefined)
      throw unfit(
        'two users that take turns need an administrator',
        'name the secret with its credential as admin of the target',
      );
    if (users !== undefined && (users[0] === users[1] || username !== undefined))
      throw unfit('users names two different users, and username none');
    if (admin !== undefined && users === undefined && username === undefined)
      throw unfit(
        'an administrator changes the password of the user that the target names, and it names none',
        'set username of the target',
      );
    this.#driver = driver;
    this.#settings = settings;
    this.#context = context;
    this.#form = { schemes: driver.schemes, port: driver.port, defaults: settings };
    this.#tls = { ca: readAuthority(ca, context.folder) };
    this.#signIns = new SignIns(driver, this.#tls);
  }

  limitKey(current: Credential | undefined): string | undefined {
    try {
      const { host, port } =
        current === undefined || this.#settings.host !== undefined
          ? this.#settings
          : loginOf(current, this.#form);
      return host === undefined ? undefined : `${host}:${port ?? this.#driver.port}`;
    } catch {
      return undefined;
    }
  }

  passwordKeys(current: Credential): readonly string[] {
    return passwordKeys(current, this.#form);
  }

  async check(known: Known, signal: AbortSignal, sample?: Credential): Promise<readonly TargetFinding[]> {
    const findings = await this.#look(known, signal);
    if (sample === undefined || findings.some(({ status }) => status === 'fail')) return findings;
    try {
      await this.#fit(sample, known, signal);
      return findings;
    } catch (thrown) {
      if (signal.aborted) throw toSecretsError(thrown);
      const { kind, message, hint } = toSecretsError(thrown);
      return [...findings, { check: 'new credential', status: 'fail', kind, detail: message, hint }];
    }
  }

  async #look(known: Known, signal: AbortSignal): Promise<readonly TargetFinding[]> {
    const { admin } = this.#settings;
    const findings: TargetFinding[] = [];
    const failed = (check: string, thrown: unknown): void => {
      if (signal.aborted) throw toSecretsError(thrown);
      const { kind, message, hint, reference = '' } = toSecretsError(thrown);
      // The message has to say which of two secrets it means: the rotated one or the administrator's.
      const detail = reference === admin ? `${reference}: ${message}` : message;
      findings.push({ check, status: 'fail', kind, detail, hint });
    };
    if (known.current !== undefined) {
      const check = 'sign-in with the current credential';
      let login: Login;
      try {
        login = await this.#login(known.current, signal);
      } catch (thrown) {
        // A credential that contradicts the target is not sent anywhere.
        failed(check, thrown);
        return findings;
      }
      try {
        findings.push(...(await this.#checkCurrent(check, login, signal)));
      } catch (thrown) {
        failed(check, thrown);
      }
    } else if (admin === undefined) {
      failed('current credential', this.#noSecret());
    }
    if (admin === undefined) return findings;
    const check = `sign-in as administrator (${admin})`;
    try {
      const { connection, login } = await this.#asAdmin(signal);
      await closing(connection, async () => {
        findings.push({ check, status: 'ok', detail: `as ${login.username}` });
        const user = known.current && (await this.#readable(known.current, signal));
        if (user !== undefined) findings.push(...samePlace(user, login));
        const { users, username = '' } = this.#settings;
        for (const user of users ?? [username]) {
          if (user === login.username) findings.push(ITSELF);
          const isKnown = users !== undefined || !this.#verifies || this.#accounts.has(user);
          findings.push(...(await connection.inspect(user, false, isKnown)));
          this.#shown.add(userKey(user));
        }
      });
    } catch (thrown) {
      failed(check, thrown);
    }
    return findings;
  }

  async #checkCurrent(check: string, login: Login, signal: AbortSignal): Promise<readonly TargetFinding[]> {
    const { admin } = this.#settings;
    const findings: TargetFinding[] = [];
    if (admin !== undefined) return this.#checkProof(check, login, signal);
    const connection = await this.#signIns.open(login, signal);
    if (connection === undefined) throw refusedSignIn(undefined);
    await closing(connection, async () => {
      await connection.checkAccount(login.username);
      findings.push({ check, status: 'ok', detail: `as ${login.username}` });
      findings.push(...(await connection.inspect(login.username, true, true)));
      this.#shown.add(userKey(login.username));
    });
    if (!this.#verifies) return [...findings, NOT_VERIFIED];
    await this.#signIns.control(login, signal);
    this.#shown.add(wayKey(login));
    return findings;
  }

  /** With an administrator, the stored password need not work and the user needs no session; only proof is required. */
  async #checkProof(check: string, login: Login, signal: AbortSignal): Promise<readonly TargetFinding[]> {
    if (!this.#verifies) return [NOT_VERIFIED];
    const admitted = await this.#signIns.admits(login, signal);
    await this.#signIns.control(login, signal);
    this.#shown.add(wayKey(login));
    if (admitted?.account === true) this.#accounts.add(login.username);
    if (admitted !== undefined) return [{ check, status: 'ok', detail: `as ${login.username}` }];
    const detail = 'refused: the stored password is wrong already, and will be replaced';
    return [{ check, status: 'warn', kind: 'Unauthenticated', detail }];
  }

  async propose(
    draft: Credential,
    known: Known,
    _rotation: unknown,
    signal: AbortSignal,
  ): Promise<Credential> {
    const { proposed, username } = await this.#fit(draft, known, signal);
    if (this.#driver.checksUsers === true && !this.#shown.delete(userKey(username)))
      await this.#checkUser(username, known, signal);
    return proposed;
  }

  /**
   * The draft in the secret's form, for the next user.
   * @throws SecretsError Invalid if such a credential can't be used to sign in, or can't be set
   */
  async #fit(
    draft: Credential,
    known: Known,
    signal: AbortSignal,
  ): Promise<{ readonly proposed: Credential; readonly username: string }> {
    const { users } = this.#settings;
    let next: string | undefined;
    if (users !== undefined) {
      const now =
        known.current === undefined ? undefined : (await this.#login(known.current, signal)).username;
      next = users[0] === now ? users[1] : users[0];
    }
    const proposed = withNewPassword(draft, known.current, this.#form, next);
    // A credential that can't be used to sign in must not get into the store.
    const { username, password } = await this.#login(proposed, signal);
    this.#driver.checkPassword?.(password);
    return { proposed, username };
  }

  /** Problems with the sign-in itself are found and reported when the password is about to be set. */
  async #checkUser(username: string, known: Known, signal: AbortSignal): Promise<void> {
    const own = this.#settings.admin === undefined;
    try {
      if (own && known.current === undefined) return;
      const connection = own
        ? await this.#signIns.open(await this.#login(known.current as Credential, signal), signal)
        : (await this.#asAdmin(signal)).connection;
      if (connection !== undefined)
        await closing(connection, async () => connection.checkUser?.(username, own));
    } catch (thrown) {
      if (signal.aborted || toSecretsError(thrown).kind === 'Unsupported') throw thrown;
      this.#context.debug(`how ${username} signs in is not known: ${toSecretsError(thrown).message}`);
    }
  }

  async prove(credential: Credential, known: Known, signal: AbortSignal): Promise<void> {
    const login = await this.#login(credential, signal);
    if (!this.#verifies || this.#shown.delete(wayKey(login))) return;
    // If a password of the user is known, check the account with it first, because one wrong attempt might lock the
    // account.
    const current = known.current === undefined ? undefined : await this.#login(known.current, signal);
    if (current?.username === login.username) await this.#signIns.checkAccount(current, signal);
    await this.#signIns.control(login, signal);
  }

  async apply(credential: Credential, known: Known, rotation: Rotation, signal: AbortSignal): Promise<void> {
    const login = await this.#login(credential, signal);
    if (this.#settings.admin !== undefined) {
      const { connection } = await this.#asAdmin(signal);
      await closing(connection, () => this.#change(connection, login, false, rotation, signal));
      return;
    }
    for (const candidate of [...(await this.#othersOf(login, known, signal)), login]) {
      const connection = await this.#signIns.open(candidate, signal);
      if (connection === undefined) continue;
      await closing(connection, async () => {
        await connection.checkAccount(login.username);
        await this.#change(connection, login, true, rotation, signal);
      });
      return;
    }
    throw new SecretsError('Unauthenticated', `${login.username} can't sign in with any known password`, {
      reference: this.#context.reference,
      hint: 'if it was changed by hand, set it in the database to the stored value, or name an admin in the target',
    });
  }

  /**
   * A server with a password history rejects the password that is already set. While the fence is held, no earlier
   * change is on its way, so a sign-in proves that it is this password.
   */
  async #change(
    connection: Connection,
    login: Login,
    own: boolean,
    rotation: Rotation,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await change(connection, login.username, login.password, own, rotation);
    } catch (thrown) {
      if (!(thrown instanceof PasswordReused)) throw thrown;
      if (!this.#verifies || !(await this.#signIns.proves(login, signal))) throw thrown.reason;
    }
  }

  async #othersOf(login: Login, known: Known, signal: AbortSignal): Promise<readonly Login[]> {
    const others = new Map<string, Login>();
    for (const one of [known.current, known.pending, known.previous]) {
      const other = one === undefined ? undefined : await this.#readable(one, signal);
      if (other?.username === login.username && other.password !== login.password)
        others.set(other.password, other);
    }
    return [...others.values()];
  }

  /** A version that can't be read as a login of this target can't be used to sign in. */
  async #readable(credential: Credential, signal: AbortSignal): Promise<Login | undefined> {
    try {
      return await this.#login(credential, signal);
    } catch (thrown) {
      if (toSecretsError(thrown).kind !== 'Invalid') throw thrown;
      this.#context.debug(`a version is no login of this target: ${toSecretsError(thrown).message}`);
      return undefined;
    }
  }

  async verify(credential: Credential, signal: AbortSignal): Promise<Verdict> {
    const login = await this.#login(credential, signal);
    if (!this.#verifies) return 'unknown';
    return (await this.#signIns.proves(login, signal, true)) ? 'accepted' : 'refused';
  }

  /** A single user's old password ended when the new one was set; of two users, the older one is shut out. */
  async retire(
    old: Credential,
    current: Credential,
    phase: RetirePhase,
    signal: AbortSignal,
    rotation?: Rotation,
  ): Promise<void> {
    const { users } = this.#settings;
    if (users === undefined || phase !== 'expired') return;
    const inUse = await this.#login(current, signal);
    const login = await this.#readable(old, signal);
    if (login === undefined || login.username === inUse.username) return;
    // If the user has another password by now, a later rotation or a person has set it.
    if (this.#verifies && !(await this.#signIns.proves(login, signal))) return;
    const { connection } = await this.#asAdmin(signal);
    await closing(connection, () => change(connection, login.username, undefined, false, rotation));
  }

  async close(): Promise<void> {}

  get #verifies(): boolean {
    return this.#settings.verify !== 'none';
  }

  /**
   * The rotated user's login, within what is trusted.
   * @throws SecretsError Invalid naming the part that the secret contradicts
   */
  async #login(credential: Credential, signal: AbortSignal): Promise<Login> {
    const { admin } = this.#settings;
    const login =
      admin === undefined
        ? undefined
        : await administratorOf(this.#settings, this.#form, this.#context, signal);
    const own = loginWithin(
      credential,
      trustedBy(this.#settings, login, this.#form),
      this.#form,
      this.#settings,
    );
    if (admin !== undefined) checkOptions(credential, needsTls(own.host, this.#tls));
    return own;
  }

  async #asAdmin(signal: AbortSignal): Promise<{ readonly connection: Connection; readonly login: Login }> {
    const { admin = '' } = this.#settings;
    const login = await administratorOf(this.#settings, this.#form, this.#context, signal);
    try {
      const connection = await this.#signIns.open(login, signal, true);
      if (connection === undefined) throw refusedSignIn(admin);
      return { connection, login };
    } catch (thrown) {
      throw toSecretsError(thrown).forReference(admin);
    }
  }

  #noSecret(): SecretsError {
    return new SecretsError('NotFound', 'the secret has no value yet', {
      reference: this.#context.reference,
      hint: 'store the user’s first credential there, or name an admin in the target',
    });
  }
}

/** Everything about a login except the password. */
function wayKey({ host, port, database, username, others }: Login): string {
  return JSON.stringify([host, port, database, username, others]);
}

function userKey(username: string): string {
  return JSON.stringify(username);
}

/**
 * Every password change goes through here: limited in time, after earlier changes, and only while the run holds the
 * claim.
 */
async function change(
  connection: Connection,
  username: string,
  password: string | undefined,
  own: boolean,
  rotation: Rotation | undefined,
): Promise<void> {
  await connection.fence(username, fenceOf(rotation));
  await rotation?.hold?.();
  await connection.setPassword(username, password, own);
}
