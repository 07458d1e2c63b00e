/**
 * Decides which user is changed, where, and by whom. Others may be able to write the rotated secret, so it can only
 * repeat what the settings say, and with an administrator it decides nothing but the password.
 */
import { SecretsError } from '../../../core/errors.ts';
import type { Credential, TargetContext } from '../../target.ts';
import { type Login, type LoginDefaults, type LoginForm, loginOf } from './login.ts';
import type { DatabaseSettings } from './settings.ts';

/** The rotated user's login according to the settings, or to the administrator's own secret. */
export type TrustedLogin = LoginDefaults;

/** The setting that each part of a login is checked against. */
const SETTINGS = ['username', 'host', 'port', 'database'] as const;

/** The administrator's login: from its own secret, then from the settings; never from the rotated secret. */
export async function administratorOf(
  settings: DatabaseSettings,
  form: LoginForm,
  context: TargetContext,
  signal: AbortSignal,
): Promise<Login> {
  const { admin = '', host, port } = settings;
  const secret = await context.read(admin, signal);
  try {
    return plain(loginOf(secret, { ...form, defaults: { host, port } }));
  } catch (thrown) {
    throw thrown instanceof SecretsError ? thrown.forReference(admin) : thrown;
  }
}

/** @param admin the administrator's own login, if there is one */
export function trustedBy(
  settings: DatabaseSettings,
  admin: Login | undefined,
  form: LoginForm,
): TrustedLogin {
  const { username, host, port, database } = settings;
  if (admin === undefined) return { username, host, port, database };
  const sameHost = host === undefined || host === admin.host;
  return {
    username,
    host: host ?? [admin, ...(admin.others ?? [])].map((one) => one.host).join(','),
    port: port ?? (sameHost ? admin.port : form.port),
    database: database ?? admin.database,
  };
}

/**
 * The rotated user's login.
 * @throws SecretsError Invalid naming the part in which the secret contradicts what is trusted
 */
export function loginWithin(
  credential: Credential,
  trusted: TrustedLogin,
  form: LoginForm,
  { admin, users }: DatabaseSettings,
): Login {
  const login = plain(loginOf(credential, { ...form, defaults: trusted }));
  if (users !== undefined && !users.includes(login.username))
    throw new SecretsError(
      'Invalid',
      `the secret's user ${login.username} is not one of the two that take turns`,
      {
        hint: 'store one of them in the secret, or correct users of the target',
      },
    );
  for (const name of SETTINGS) {
    const wanted = trusted[name];
    // Without an administrator the user acts for itself, with a password that only its own secret contains.
    const free = wanted === undefined && (admin === undefined || name === 'username');
    const given =
      name === 'host' || name === 'port'
        ? [login, ...(login.others ?? [])].map((one) => one[name])
        : [login[name]];
    if (!free && !given.every((one) => isSame(name, wanted, one)))
      throw contradicts(name, wanted === undefined);
  }
  return login;
}

/** @param one what is trusted; may contain several hosts separated by commas */
function isSame(name: string, one: unknown, other: unknown): boolean {
  if (name !== 'host') return String(one) === String(other);
  const hosts = String(one).toLowerCase().split(',');
  return hosts.some((host) => host.trim() === String(other).toLowerCase());
}

function contradicts(name: (typeof SETTINGS)[number], missing: boolean): SecretsError {
  const what = { username: 'user name', host: 'host', port: 'port', database: 'database' }[name];
  return new SecretsError(
    'Invalid',
    missing
      ? `the secret names a ${what} that its target does not name (${name})`
      : `the secret's ${what} is not the one of its target (${name})`,
    {
      hint: `if the secret is right, set ${name} of the target to it; whoever may write the secret does not decide that`,
    },
  );
}

/** A NUL ends a string in both databases' protocols, and the rest would be read as something else. */
function plain(login: Login): Login {
  for (const name of ['host', 'username', 'database', 'password'] as const)
    if (login[name]?.includes('\0') === true)
      throw new SecretsError('Invalid', `the secret's ${name} contains a NUL character`);
  return login;
}
