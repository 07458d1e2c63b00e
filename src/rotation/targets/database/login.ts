/**
 * Reads and replaces a database credential in a secret. Supported forms: a JSON object with `username` and `password`,
 * and optionally `host`, `port`, `dbname` (the form of AWS's database secrets:
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html); a connection URL
 * or string (src/core/credential), as the whole value or under a key; only the password, with the rest in the target's
 * settings.
 */
import { replaceSecrets, rotatedKeys } from '../../../core/credential/fields.ts';
import { isStructured, readText, replaceText } from '../../../core/credential/read.ts';
import type { CredentialText } from '../../../core/credential/text.ts';
import { JsonDocument } from '../../../core/document/document.ts';
import { SecretsError } from '../../../core/errors.ts';
import { isJsonObject, type JsonValue } from '../../../core/json.ts';
import { utf8 } from '../../../core/utf8.ts';
import { credentialOf } from '../../place.ts';
import type { Credential } from '../../target.ts';

/** Everything that a sign-in needs. */
export interface Login {
  /** A name, an address, or the folder of a Unix socket (PostgreSQL) or its path (MySQL), which start with `/`. */
  readonly host: string;
  readonly port: number;
  readonly database: string | undefined;
  readonly username: string;
  readonly password: string;
  /** More servers of the same database, tried if the first is unreachable or accepts no changes. */
  readonly others?: readonly { readonly host: string; readonly port: number }[];
}

/** Settings that fill in what the secret leaves out. */
export interface LoginDefaults {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly database?: string | undefined;
  readonly username?: string | undefined;
}

export interface LoginForm {
  /** The schemes of this database's URLs, without the colon. */
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
 * Reads a login. Settings fill in what the secret leaves out; they never replace what it contains.
 * @throws SecretsError Invalid if something is missing
 */
export function loginOf(credential: Credential, form: LoginForm): Login {
  const part = partsOf(credential, form);
  const { defaults } = form;
  const username = part.username ?? defaults.username;
  if (username === undefined) throw lacks('user name', 'username', defaults);
  if (part.password === undefined)
    throw new SecretsError('Invalid', 'the secret has no password', {
      hint: 'it needs a key password, a connection URL, or a password as its whole value',
    });
  const [first, ...others] = placesOf(part, form);
  if (first === undefined) throw lacks('host', 'host', defaults);
  return {
    ...first,
    username,
    password: part.password,
    database: part.database ?? defaults.database,
    ...(others.length > 0 && { others }),
  };
}

function placesOf(part: Parts, { defaults, port }: LoginForm): { host: string; port: number }[] {
  const named = part.hosts.length === 0 ? [{ name: undefined, port: undefined }] : part.hosts;
  return named.flatMap(({ name = defaults.host, port: own }) => {
    if (name === undefined) return [];
    const number = Number(own ?? part.port ?? defaults.port ?? port);
    if (!Number.isInteger(number) || number < 1 || number > 65_535)
      throw new SecretsError('Invalid', 'the secret’s port is not a port number');
    return name.split(',').map((host) => ({ host: host.trim(), port: number }));
  });
}

/** Only the user name; `undefined` if neither the secret nor the settings have one. */
export function usernameOf(credential: Credential | undefined, form: LoginForm): string | undefined {
  return (credential && partsOf(credential, form).username) ?? form.defaults.username;
}

/** The parts of a login in the secret, before the settings fill in the rest. */
interface Parts {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly port: string | undefined;
  readonly hosts: readonly { readonly name: string | undefined; readonly port: number | undefined }[];
}

function partsOf(credential: Credential, form: LoginForm): Parts {
  const { fields } = credential;
  if (fields !== undefined) {
    const named = (part: keyof typeof NAMES): string | undefined => {
      const found = NAMES[part].find((name) => Object.hasOwn(fields, name) && fields[name] !== '');
      const text = found === undefined ? undefined : fields[found];
      return typeof text === 'string' || typeof text === 'number' ? String(text) : undefined;
    };
    const own = loginTexts(fields, form)[0]?.text;
    const host = named('host');
    return {
      username: named('username') ?? own?.username,
      password: named('password') ?? own?.password,
      database: named('database') ?? own?.database,
      port: named('port') ?? (host === undefined ? undefined : portOf(own)),
      hosts: host === undefined ? (own?.hosts ?? []) : [{ name: host, port: undefined }],
    };
  }
  const text = utf8(credential.value);
  if (text === undefined) throw new SecretsError('Invalid', 'the secret’s value is not UTF-8 text');
  const read = readText(text);
  const none = { username: undefined, database: undefined, port: undefined, hosts: [] };
  if (!isStructured(read)) return { ...none, password: read.password };
  if (!isFor(read, form))
    throw new SecretsError('Invalid', `the secret is ${read.title} of ${read.system ?? 'another system'}`, {
      hint: 'use the target of that system',
    });
  return { ...read, port: undefined };
}

function portOf(text: CredentialText | undefined): string | undefined {
  const port = text?.hosts[0]?.port;
  return port === undefined ? undefined : String(port);
}

function isFor({ system }: CredentialText, { schemes }: LoginForm): boolean {
  return system === undefined || schemes.includes(system);
}

/** The keys that contain a connection URL or string of this database. */
function loginTexts(
  fields: Fields,
  form: LoginForm,
): readonly { readonly name: string; readonly text: CredentialText }[] {
  return Object.entries(fields).flatMap(([name, value]) => {
    const text = typeof value === 'string' ? structured(value) : undefined;
    return text === undefined || !isFor(text, form) ? [] : [{ name, text }];
  });
}

function structured(value: string): CredentialText | undefined {
  try {
    const read = readText(value);
    return isStructured(read) ? read : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The key of a JSON secret that is the password, or a connection string that contains it; empty for any other secret.
 */
export function passwordKeys(credential: Credential, form: LoginForm): readonly string[] {
  const { fields } = credential;
  if (fields === undefined) return [];
  if (typeof fields[PASSWORD] === 'string') return [PASSWORD];
  return loginTexts(fields, form)
    .slice(0, 1)
    .map(({ name }) => name);
}

const PASSWORD = NAMES.password[0];

/**
 * The credential to rotate to: the current one in its own form with the draft's new password, for that user. Every
 * connection string in it that belonged to the old login is updated, and every other byte stays.
 * @param username the user, if it changes
 * @throws SecretsError Invalid if the draft contains no new password, or the current credential's form is not supported
 */
export function withNewPassword(
  draft: Credential,
  current: Credential | undefined,
  form: LoginForm,
  username: string | undefined,
): Credential {
  const old = current?.fields ?? {};
  const { fields } = draft;
  if (fields === undefined) return textWith(draft, current, form, username);
  const texts = loginTexts(old, form);
  const isNew = (name: string): boolean => fields[name] !== old[name];
  const key = texts.find(({ name }) => isNew(name))?.name ?? PASSWORD;
  const given = isNew(PASSWORD) ? fields[PASSWORD] : fields[key];
  const password = typeof given === 'string' ? (structured(given)?.password ?? given) : undefined;
  if (password === undefined || password === '' || !isNew(key))
    throw new SecretsError('Invalid', 'none of the keys to rotate is the password', {
      hint: 'name it in keys: [password], or the key that holds the connection URL',
    });
  return fieldsWith(password, isNew(PASSWORD) ? PASSWORD : key, draft, current, form, username);
}

function textWith(
  draft: Credential,
  current: Credential | undefined,
  form: LoginForm,
  username: string | undefined,
): Credential {
  const text = utf8(draft.value) ?? '';
  const read = readText(current === undefined ? text : (utf8(current.value) ?? ''));
  if (!isStructured(read) && username !== undefined && username !== form.defaults.username)
    throw new SecretsError('Invalid', 'the secret has only a password, and two users need a user name', {
      hint: 'make it a JSON object with username and password, or a connection URL',
    });
  const password = structured(text)?.password ?? text;
  return { value: Buffer.from(replaceText(read, password, username)), fields: undefined };
}

function fieldsWith(
  password: string,
  key: string,
  draft: Credential,
  current: Credential | undefined,
  form: LoginForm,
  username: string | undefined,
): Credential {
  const old = current?.fields;
  const before =
    current === undefined || old === undefined ? JsonDocument.of([]) : JsonDocument.parse(current.value);
  const secrets = new Map([[key, password]]);
  let next = replaceSecrets(before, rotatedKeys(before, [key]), secrets, username);
  // Other keys that rotate in the same draft, and their companions.
  const after = JsonDocument.parse(draft.value);
  const more = after.keys.filter((name) => {
    const [was, is, now] = [before, after, next].map((one) => sourceIn(one, name));
    return is !== was && now === was;
  });
  next = next.edit(new Map(more.map((name) => [name, { json: sourceIn(after, name) ?? 'null' }])));
  if (username !== undefined) {
    const named = NAMES.username.find((name) => next.member(name) !== undefined);
    if (named !== undefined) next = next.edit(new Map([[named, username]]));
    else if (loginTexts(old ?? {}, form).length === 0)
      next = next.edit(new Map([[NAMES.username[0], username]]));
  }
  const credential = credentialOf(next.bytes);
  if (partsOf(credential, form).password === password) return credential;
  throw new SecretsError('Invalid', `the secret's ${key} is for another login than its password`, {
    hint: 'name the key password in keys, or take one of the two out of the secret',
  });
}

function sourceIn(document: JsonDocument, key: string): string | undefined {
  const node = document.member(key);
  return node === undefined ? undefined : document.sourceOf(node);
}

/** A credential that is a JSON object: its value and its fields are the same. */
export function fieldsCredential(fields: Fields): Credential {
  if (!isJsonObject(fields)) throw new TypeError('not an object');
  return { value: Buffer.from(JSON.stringify(fields)), fields };
}

/** @param defaults contains the setting's key, even if undefined, when the setting could fill the gap */
function lacks(what: string, setting: keyof LoginDefaults, defaults: LoginDefaults): SecretsError {
  return new SecretsError('Invalid', `the secret names no ${what}`, {
    hint: `add it to the secret${setting in defaults ? `, or set ${setting} of the target` : ''}`,
  });
}
