/**
 * Connection URLs for databases and brokers: with several hosts (libpq, MongoDB, JDBC), a driver in the scheme
 * (`postgresql+psycopg://`), the prefix `jdbc:`, and the password before the host or in the query.
 *
 * WHATWG's URL type can't parse several hosts and rewrites what it parses. A text that common parsers read
 * differently (two @, a # or / in the password, a + in the query) is rejected.
 */
import {
  type CredentialText,
  type Host,
  notUnderstood,
  type ParsedText,
  portOf,
  replaceable,
  type Slot,
  UNRESERVED,
} from './text.ts';

const TITLE = 'a connection URL';
/** Up to the hosts, which must not contain what ends them. */
const PARTS = /^([^@/?#]*@)?([^@/?#]*)(\/[^?#]*)?(\?[^#]*)?$/;
const JDBC = /^jdbc:(?:aws-wrapper:)?(postgresql|mysql|mariadb)(?::[a-z]+)?:\/\//i;
const ANY = /^([a-z][a-z0-9.-]*)(?:\+[a-z0-9+.-]+)?:\/\//i;

/** Whether a text is meant to be a URL. */
export function looksLikeUrl(text: string): boolean {
  return /^\s*(?:jdbc:|r2dbc:|[a-z][a-z0-9+.-]*:\/\/)/i.test(text);
}

/** @throws SecretsError Invalid */
export function readUrl(text: string): CredentialText {
  return replaceable(text, parseUrl(text), parseUrl);
}

/** A query parameter, decoded, and the range of its value. */
interface Parameter {
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

function parseUrl(text: string): ParsedText {
  const jdbc = JDBC.exec(text);
  const scheme = jdbc ?? ANY.exec(text);
  // eslint-disable-next-line no-control-regex
  if (scheme === null || /[\s\u0000-\u001f\u007f]/.test(text))
    throw notUnderstood(TITLE, 'is of a kind that is not known here');
  const system = (scheme[1] ?? '').toLowerCase();
  const from = scheme[0].length;
  const parts = PARTS.exec(text.slice(from));
  if (parts === null) throw notUnderstood(TITLE, 'programs read its @, /, ? or # in different ways');
  const [, user = '', hosts = '', path = '', query = ''] = parts;
  if (user === '' && `${path}${query}`.includes('@'))
    throw notUnderstood(TITLE, 'programs read its @ in different ways');
  const parameters = parametersOf(query, text.length - query.length);
  const signIn = user === '' ? {} : userOf(user.slice(0, -1), from);
  if (jdbc !== null && signIn.password !== undefined && system !== 'mysql')
    throw notUnderstood(TITLE, `JDBC’s driver for ${system} reads no password before the host`);
  const password = onlyOne('password', signIn.password, parameters.get('password'));
  const username = onlyOne('user name', signIn.username, parameters.get('user'));
  if (password === undefined) throw notUnderstood(TITLE, 'it has no password');
  const inQuery = (slot: Parameter | undefined): boolean =>
    slot !== undefined && slot.start >= text.length - query.length;
  // JDBC drivers differ in what they decode, so only what needs no decoding means the same to all of them.
  const plain = jdbc !== null && system === 'mariadb';
  if (plain && !UNRESERVED.test(text.slice(password.start, password.end)))
    throw notUnderstood(TITLE, 'the driver may not decode the password');
  if (inQuery(password) && text.slice(password.start, password.end).includes('+'))
    throw notUnderstood(TITLE, 'some programs read the + in its password as a space: write %2B or %20');
  const encode = plain ? (value: string): string => (UNRESERVED.test(value) ? value : '%') : percentEncoded;
  const slotOf = ({ start, end }: Parameter): Slot => ({ start, end, encode });
  return {
    title: TITLE,
    system,
    username: username?.value,
    password: password.value,
    hosts: hostsOf(hosts, parameters),
    database: decoded(path.slice(1)) || (parameters.get('dbname')?.value ?? undefined),
    passwordAt: slotOf(password),
    usernameAt: username && slotOf(username),
  };
}

function userOf(user: string, from: number): { username?: Parameter; password?: Parameter } {
  const colon = user.indexOf(':');
  const end = from + (colon === -1 ? user.length : colon);
  const name = user.slice(0, end - from);
  const username = { value: decoded(name), start: from, end };
  if (colon === -1) return { username };
  const word = user.slice(colon + 1);
  const password = { value: decoded(word), start: end + 1, end: from + user.length };
  return { ...(name !== '' && { username }), ...(word !== '' && { password }) };
}

function onlyOne(
  what: string,
  one: Parameter | undefined,
  other: Parameter | undefined,
): Parameter | undefined {
  if (one !== undefined && other !== undefined) throw notUnderstood(TITLE, `it has a second ${what}`);
  return one ?? other;
}

/** The parameters by name. @param from the index of the question mark */
function parametersOf(query: string, from: number): ReadonlyMap<string, Parameter> {
  const found = new Map<string, Parameter>();
  let start = from + 1;
  for (const parameter of query === '' ? [] : query.slice(1).split('&')) {
    const equals = parameter.indexOf('=');
    const name = decoded(equals === -1 ? parameter : parameter.slice(0, equals));
    const value = equals === -1 ? '' : parameter.slice(equals + 1);
    const end = start + parameter.length;
    if (found.has(name)) throw notUnderstood(TITLE, 'it has a parameter twice');
    found.set(name, { value: decoded(value), start: end - value.length, end });
    start = end + 1;
  }
  return found;
}

function hostsOf(hosts: string, parameters: ReadonlyMap<string, Parameter>): readonly Host[] {
  const named = hosts === '' ? [] : hosts.split(',').map(hostOf);
  const more = parameters.get('host')?.value;
  const ports = parameters.get('port')?.value;
  if (more === undefined && ports === undefined) return named;
  if (hosts !== '') {
    if (more !== undefined || named.some(({ port }) => port !== undefined))
      throw notUnderstood(TITLE, 'it names hosts or ports both in their place and in its parameters');
    return paired(
      named.map(({ name }) => name ?? ''),
      ports,
      TITLE,
    );
  }
  return paired(more?.split(',') ?? [''], ports, TITLE);
}

/** Hosts and ports paired as in libpq: one port for all, or one for each. */
export function paired(hosts: readonly string[], ports: string | undefined, title: string): readonly Host[] {
  const list = ports === undefined ? [] : ports.split(',');
  if (list.length > 1 && list.length !== hosts.length)
    throw notUnderstood(title, 'it names more or fewer ports than hosts');
  return hosts.map((name, index) => ({
    name: name === '' ? undefined : name,
    port: portOf((list.length === 1 ? list[0] : list[index]) ?? '', title),
  }));
}

function hostOf(host: string): Host {
  const [, bracketed, plain, port = ''] = /^(?:\[([^[\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(host) ?? [];
  const name = bracketed ?? (plain === undefined ? undefined : decoded(plain));
  if (name === undefined || /[()]/.test(name)) throw notUnderstood(TITLE, 'a host in it is not understood');
  return { name: name === '' ? undefined : name, port: portOf(port, TITLE) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw notUnderstood(TITLE, 'a % in it escapes nothing');
  }
}

/** RFC 3986 §2.1: everything except unreserved characters, including those that `encodeURIComponent` leaves. */
export function percentEncoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
