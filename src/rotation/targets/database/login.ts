/**
 * How a database's credential stands in a secret, and how another password gets in there. Three forms are known:
 * a JSON object with `username` and `password`, and `host`, `port`, `dbname` where it has them (the form of AWS's
 * database secrets: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html);
 * a connection URL, as the whole value or under a key; the password alone, with the rest in the target's settings.
 */
import { SecretsError } from '../../../core/errors.ts';
import { isJsonObject, type JsonValue } from '../../../core/json.ts';
import { utf8 } from '../../../output/shapes.ts';
import type { Credential } from '../../target.ts';

/** All that a sign-in needs. */
export interface Login {
  /** A name, an address, or the folder of a Unix socket (PostgreSQL) or its path (MySQL), which start with `/`. */
  readonly host: string;
  readonly port: number;
  readonly database: string | undefined;
  readonly username: string;
  readonly password: string;
}

/** What the settings say, for what the secret leaves out. */
export interface LoginDefaults {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly database?: string | undefined;
  readonly username?: string | undefined;
}

export interface LoginForm {
  /** Schemes of this database's URLs, without the colon. */
  readonly schemes: readonly string[];
  readonly port: number;
  readonly defaults: LoginDefaults;
}

type Fields = Readonly<Record<string, JsonValue>>;

const NAMES = {
  host: ['host', 'hostname', 'server'],
  port: ['port'],
  database: ['dbname', 'database', 'db'],
  username: ['username', 'user'],
  password: ['password'],
} as const;

/**
 * Reads a login. Settings fill in what the secret leaves out; they never replace what it says.
 * @throws SecretsError Invalid when something is missing
 */
export function loginOf(credential: Credential, form: LoginForm): Login {
  const part = partsOf(credential, form);
  const { defaults } = form;
  const username = part.username ?? defaults.username;
  if (username === undefined) throw lacks('user name', 'username');
  if (part.password === undefined)
    throw new SecretsError('Invalid', 'the secret holds no password', {
      hint: 'it needs a key password, a connection URL, or a password as its whole value',
    });
  const host = part.host ?? defaults.host;
  if (host === undefined) throw lacks('host', 'host');
  const port = Number(part.port ?? defaults.port ?? form.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new SecretsError('Invalid', 'the secret’s port is not a port number');
  return { host, port, username, password: part.password, database: part.database ?? defaults.database };
}

type Parts = { readonly [name in keyof typeof NAMES]: string | undefined };

function partsOf({ value, fields }: Credential, form: LoginForm): Parts {
  if (fields !== undefined) {
    const named = (names: readonly string[]): string | undefined => {
      const found = names.find((name) => Object.hasOwn(fields, name) && fields[name] !== '');
      const text = found === undefined ? undefined : fields[found];
      return typeof text === 'string' || typeof text === 'number' ? String(text) : undefined;
    };
    const url = urlsIn(fields, form)[0]?.url;
    const own = url === undefined ? undefined : fromUrl(url);
    const part = (name: keyof typeof NAMES): string | undefined => named(NAMES[name]) ?? own?.[name];
    return {
      host: part('host'),
      port: part('port'),
      database: part('database'),
      username: part('username'),
      password: part('password'),
    };
  }
  const text = utf8(value);
  if (text === undefined) throw new SecretsError('Invalid', 'the secret’s value is not UTF-8 text');
  const url = asUrl(text, form);
  if (url !== undefined) return fromUrl(url);
  return { host: undefined, port: undefined, database: undefined, username: undefined, password: text };
}

function fromUrl(url: URL): Parts {
  const decoded = (text: string): string | undefined => {
    try {
      return text === '' ? undefined : decodeURIComponent(text);
    } catch {
      throw new SecretsError('Invalid', 'the secret’s URL has a % that escapes nothing');
    }
  };
  return {
    host: decoded(url.hostname.replace(/^\[(.*)\]$/, '$1')) ?? decoded(url.searchParams.get('host') ?? ''),
    port: url.port === '' ? undefined : url.port,
    database: decoded(url.pathname.slice(1)),
    username: decoded(url.username),
    password: decoded(url.password),
  };
}

function asUrl(text: string, { schemes }: LoginForm): URL | undefined {
  const scheme = /^([a-z0-9+]+):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined || !schemes.includes(scheme.split('+', 1)[0] ?? '')) return undefined;
  return URL.canParse(text) ? new URL(text) : undefined;
}

function urlsIn(fields: Fields, form: LoginForm): { readonly name: string; readonly url: URL }[] {
  return Object.entries(fields).flatMap(([name, text]) => {
    const url = typeof text === 'string' ? asUrl(text, form) : undefined;
    return url === undefined ? [] : [{ name, url }];
  });
}

/**
 * The credential to rotate to: the current one in its own form with the draft's new password, for that user. Every
 * connection URL in it that was for the old login is made to follow.
 * @param username the user, when it is to be another one
 * @throws SecretsError Invalid when the draft holds no new password
 */
export function withNewPassword(
  draft: Credential,
  current: Credential | undefined,
  form: LoginForm,
  username: string | undefined,
): Credential {
  if (draft.fields === undefined) {
    const password = utf8(draft.value) ?? '';
    const old = current === undefined ? undefined : asUrl(utf8(current.value) ?? '', form);
    if (old !== undefined) return textCredential(changed(old, password, username));
    if (username !== undefined && username !== form.defaults.username)
      throw new SecretsError('Invalid', 'the secret holds a password alone, and two users need a user name', {
        hint: 'make it a JSON object with username and password, or a connection URL',
      });
    return textCredential(password);
  }
  const old = current?.fields ?? {};
  const fields: Record<string, JsonValue> = { ...draft.fields };
  const oldUrls = urlsIn(old, form);
  // A rotated key that held a URL got a password in place of it.
  const replaced = oldUrls.find(({ name }) => fields[name] !== old[name]);
  const key = NAMES.password[0];
  const password = replaced === undefined ? fields[key] : fields[replaced.name];
  if (typeof password !== 'string' || password === '' || (password === old[key] && replaced === undefined))
    throw new SecretsError('Invalid', 'none of the keys to rotate is the password', {
      hint: 'name it in keys: [password], or the key that holds the connection URL',
    });
  const before = current === undefined ? undefined : partsOf(current, form);
  for (const { name, url } of oldUrls) {
    const own = fromUrl(url);
    if (own.password !== before?.password || own.username !== before?.username) continue;
    fields[name] = changed(url, password, username);
  }
  if (replaced !== undefined && fields[replaced.name] === password)
    throw new SecretsError(
      'Invalid',
      `the secret's ${replaced.name} is for another login than its password`,
      {
        hint: 'name the key password in keys, or take one of the two out of the secret',
      },
    );
  if (Object.hasOwn(fields, key)) fields[key] = password;
  if (username !== undefined) {
    const named = NAMES.username.find((name) => Object.hasOwn(fields, name));
    if (named !== undefined) fields[named] = username;
    else if (oldUrls.length === 0) fields[NAMES.username[0]] = username;
  }
  return fieldsCredential(fields);
}

function changed(url: URL, password: string, username: string | undefined): string {
  const copy = new URL(url);
  // The setters leave some characters as they are that other parsers trip over.
  copy.password = strictly(password);
  if (username !== undefined) copy.username = strictly(username);
  return copy.href;
}

function strictly(text: string): string {
  const percent = (char: string): string => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text).replace(/[!'()*]/g, percent);
}

function textCredential(text: string): Credential {
  return { value: Buffer.from(text), fields: undefined };
}

/** A credential of a JSON object, its value and its fields being the same thing. */
export function fieldsCredential(fields: Fields): Credential {
  if (!isJsonObject(fields)) throw new TypeError('not an object');
  return { value: Buffer.from(JSON.stringify(fields)), fields };
}

function lacks(what: string, setting: string): SecretsError {
  return new SecretsError('Invalid', `the secret names no ${what}`, {
    hint: `add it to the secret, or set ${setting} of the target`,
  });
}
