/**
 * The target `vault-static-role`: Vault's database engine changes the password on request, and the secret follows. API:
 * https://developer.hashicorp.com/vault/api-docs/secret/databases#rotate-static-role-credentials
 *
 * The old password ends when Vault sets the new one. Until the store has the new password, only Vault does: if a run
 * dies in between, the next one finishes with Vault's password, without another change.
 */
import { timingSafeEqual } from 'node:crypto';
import { IN_DOUBT, SecretsError, toSecretsError } from '../../../core/errors.ts';
import type { NativeRotation } from '../../../core/rotation/native.ts';
import type { ProviderContext } from '../../../providers/descriptor.ts';
import { VaultClient } from '../../../providers/vault/client.ts';
import { asMap } from '../../../providers/vault/errors.ts';
import type { VaultSettings } from '../../../providers/vault/settings.ts';
import type {
  Credential,
  Known,
  Rotation,
  Target,
  TargetContext,
  TargetFinding,
  TargetSettings,
  Verdict,
} from '../../target.ts';
import {
  fieldsCredential,
  type LoginForm,
  loginOf,
  passwordKeys,
  usernameOf,
  withNewPassword,
} from '../database/login.ts';
import { DatabaseTarget } from '../database/target.ts';
import type { StaticRoleSettings } from './settings.ts';
import { ValueRefused } from '../../next-step.ts';

const FORM: LoginForm = {
  schemes: ['postgres', 'postgresql', 'mysql', 'mariadb'],
  port: 1,
  // Only the user name and the password are read.
  defaults: { host: 'vault', port: 1 },
};

interface StaticCredential {
  readonly username: string;
  readonly password: string;
  readonly rotatedAt: Date;
  /**
   * Seconds until Vault's next scheduled change, and between two of them; the latter is missing for a role with a cron
   * schedule.
   */
  readonly ttl: number | undefined;
  readonly period: number | undefined;
}

/** @throws SecretsError Usage for settings that don't fit */
export function open(settings: TargetSettings, context: TargetContext): Target {
  return new StaticRoleTarget(settings as unknown as StaticRoleSettings & VaultSettings, context);
}

class StaticRoleTarget implements Target {
  readonly #client: VaultClient;
  readonly #role: string;
  readonly #mount: string;
  readonly #login: Promise<DatabaseTarget> | undefined;

  constructor(settings: StaticRoleSettings & VaultSettings, context: TargetContext) {
    const { role, mount = 'database', login, ...vault } = settings;
    const { env, home, folder: cwd, now, warn, debug } = context;
    const store = `the Vault of ${context.reference}`;
    const own: ProviderContext = { store, env, home, cwd, now, warn, debug, askHidden: undefined };
    this.#client = new VaultClient(vault, own);
    this.#role = pathPart(role, 'role');
    this.#mount = mount
      .split('/')
      .map((part) => pathPart(part, 'mount'))
      .join('/');
    if (login !== undefined) this.#login = databaseOf(login, context);
    // The error is thrown where the target is first used.
    this.#login?.catch(() => {});
  }

  limitKey(): string {
    return `${this.#client.address} ${this.#mount}`;
  }

  async check(known: Known, signal: AbortSignal): Promise<readonly TargetFinding[]> {
    const check = `static role ${this.#role} in Vault`;
    try {
      const now = await this.#read(signal);
      const findings: TargetFinding[] = [
        { check, status: 'ok', detail: `user ${now.username}, changed ${now.rotatedAt.toISOString()}` },
      ];
      this.#checkUser(known.current, now);
      const same = known.current !== undefined && isSame(known.current, now);
      findings.push(
        same
          ? { check: 'the secret has Vault’s password', status: 'ok', detail: 'yes' }
          : {
              check: 'the secret has Vault’s password',
              status: 'warn',
              detail: 'no: Vault has changed it by itself',
              hint: 'rotate to update the secret',
            },
      );
      const login = await this.#login;
      if (login !== undefined && known.current !== undefined) await login.prove(known.current, known, signal);
      const path = `${this.#mount}/rotate-role/${this.#role}`;
      const rights = await this.#client.write('sys/capabilities-self', { paths: [path] }, signal);
      const list = asMap(rights['data'])[path] ?? rights['capabilities'];
      const may = Array.isArray(list) && list.some((one) => ['update', 'sudo', 'root'].includes(String(one)));
      const right = `right to ${path}`;
      findings.push(
        may
          ? { check: right, status: 'ok', detail: 'update' }
          : {
              check: right,
              status: 'fail',
              kind: 'Denied',
              detail: 'missing',
              hint: 'a policy must allow update there',
            },
      );
      return findings;
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const { kind, message, hint } = toSecretsError(thrown);
      return [{ check, status: 'fail', kind, detail: message, hint }];
    }
  }

  /** @throws SecretsError Conflict if the secret belongs to another user than the role */
  #checkUser(current: Credential | undefined, { username }: StaticCredential): void {
    const own = usernameOf(current, FORM);
    if (own === undefined || own === username) return;
    throw new SecretsError(
      'Conflict',
      `the secret is for ${own}, and the static role ${this.#role} for ${username}`,
      {
        hint: 'correct role of the target, or the user name in the secret',
      },
    );
  }

  async issue(known: Known, rotation: Rotation, signal: AbortSignal): Promise<Credential> {
    let now = await this.#read(signal);
    this.#checkUser(known.current, now);
    // Vault changed the password after this rotation started, and the secret doesn't have it yet: an earlier attempt
    // did it, or Vault's own schedule.
    const fresh = now.rotatedAt >= rotation.startedAt && !(known.current && isSame(known.current, now));
    if (!fresh) {
      const before = now;
      await this.#client.write(`${this.#mount}/rotate-role/${this.#role}`, {}, signal);
      now = await this.#read(signal);
      // A standby that answers reads may lag behind and return the password that has just ended.
      if (now.password === before.password)
        throw new SecretsError('Unavailable', `Vault still shows the old password${IN_DOUBT}`, {
          hint: 'run secrets rotate resume',
        });
    }
    const { current } = known;
    const { username, password } = now;
    if (current === undefined) return fieldsCredential({ username, password });
    if (current.fields === undefined)
      return withNewPassword({ value: Buffer.from(password), fields: undefined }, current, FORM, undefined);
    // A secret without a password key contains the password in a URL.
    const [key = 'password'] = passwordKeys(current, FORM);
    const draft = fieldsCredential({ ...current.fields, [key]: password });
    const named = usernameOf(current, FORM) === undefined ? username : undefined;
    return withNewPassword(draft, current, FORM, named);
  }

  /** Only Vault sets this password: there is either nothing to do or nothing that can be done. */
  async apply(
    credential: Credential,
    _known: Known,
    _rotation: Rotation,
    signal: AbortSignal,
  ): Promise<void> {
    if (isSame(credential, await this.#read(signal))) return;
    throw new ValueRefused(
      'Unsupported',
      `Vault does not take an older password for the role ${this.#role}`,
      {
        hint: 'discard the pending version, which secrets history shows, with secrets purge --version; then rotate again for the password that Vault has',
      },
      true,
    );
  }

  async verify(credential: Credential, signal: AbortSignal): Promise<Verdict> {
    const login = await this.#login;
    if (login !== undefined) return login.verify(credential, signal);
    return isSame(credential, await this.#read(signal)) ? 'accepted' : 'refused';
  }

  async schedule(
    { current }: Known,
    signal: AbortSignal,
  ): Promise<NativeRotation & { readonly behind: boolean }> {
    const now = await this.#read(signal);
    const { rotatedAt, ttl, period } = now;
    return {
      by: `vault static role ${this.#role}`,
      role: 'rotates',
      enabled: ttl !== undefined,
      settings: {},
      everyMs: period === undefined ? undefined : period * 1000,
      lastRotated: rotatedAt,
      next: ttl === undefined ? undefined : new Date(Date.now() + ttl * 1000),
      behind: current === undefined || !isSame(current, now),
    };
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  async #read(signal: AbortSignal): Promise<StaticCredential> {
    const missing = (): SecretsError =>
      new SecretsError('NotFound', `Vault has no static role ${this.#role} at ${this.#mount}`, {
        hint: 'check role and mount of the target',
      });
    const path = `${this.#mount}/static-creds/${this.#role}`;
    const { found, body } = await this.#client.read(path, signal).catch((thrown: unknown) => {
      // Vault answers 400 for a missing role, 404 for a missing mount.
      throw thrown instanceof SecretsError && /unknown role/.test(thrown.message) ? missing() : thrown;
    });
    if (!found) throw missing();
    const {
      username,
      password,
      last_vault_rotation: rotated,
      ttl,
      rotation_period: period,
    } = asMap(body['data']);
    const rotatedAt = new Date(String(rotated));
    if (typeof username !== 'string' || typeof password !== 'string' || Number.isNaN(rotatedAt.getTime()))
      throw new SecretsError('Unavailable', 'the response is not from Vault’s database engine', {
        hint: 'only roles with a password are rotated here',
      });
    return { username, password, rotatedAt, ttl: secondsOf(ttl), period: secondsOf(period) };
  }
}

async function databaseOf(
  { type, ...settings }: NonNullable<StaticRoleSettings['login']>,
  context: TargetContext,
): Promise<DatabaseTarget> {
  if (type === 'postgres') {
    const { postgresDriver } = await import('../postgres/driver.ts');
    return new DatabaseTarget(postgresDriver, settings, context);
  }
  const { mysqlDriver } = await import('../mysql/driver.ts');
  return new DatabaseTarget(mysqlDriver(), settings, context);
}

function isSame(credential: Credential, { username, password }: StaticCredential): boolean {
  const own = loginOf(credential, { ...FORM, defaults: { ...FORM.defaults, username } });
  const [one, other] = [Buffer.from(own.password), Buffer.from(password)];
  return own.username === username && one.length === other.length && timingSafeEqual(one, other);
}

function secondsOf(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 ? value : undefined;
}

function pathPart(part: string, setting: string): string {
  if (/^[\w.@~-]+$/.test(part) && !/^\.{1,2}$/.test(part)) return part;
  throw new SecretsError('Usage', `${setting} of the target is not a name in Vault: ${JSON.stringify(part)}`);
}
