/**
 * Connection strings of ADO.NET and ODBC: `Server=h;User ID=app;Password="a;b"`. They differ in quoting; ODBC's are
 * recognised by their driver or data source. Grammars:
 * https://learn.microsoft.com/dotnet/framework/data/adonet/connection-strings and
 * https://learn.microsoft.com/sql/odbc/reference/syntax/sqldriverconnect-function#comments
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

const TITLE = 'a connection string of ADO.NET or ODBC';

/** The keywords for the parts of a sign-in, as the providers of the common databases spell them. */
const WORDS = {
  username: ['user id', 'userid', 'uid', 'user', 'username', 'user name'],
  password: ['password', 'pwd'],
  host: ['server', 'host', 'data source', 'datasource', 'address', 'addr', 'network address', 'servername'],
  port: ['port'],
  database: ['database', 'initial catalog', 'db', 'dbname'],
} as const;
type Part = keyof typeof WORDS;
const ODBC = ['driver', 'dsn', 'filedsn'];

/** Whether a text contains a password in the form of these strings. */
export function looksLikeKeywords(text: string): boolean {
  return /(?:^|;)\s*(?:password|pwd)\s*=/i.test(text) && text.includes(';');
}

/** @throws SecretsError Invalid */
export function readKeywords(text: string): CredentialText {
  return replaceable(text, parseKeywords(text), parseKeywords);
}

interface Setting {
  readonly word: string;
  /** As written, including quotes. */
  readonly source: string;
  readonly start: number;
  readonly end: number;
}

function parseKeywords(text: string): ParsedText {
  const settings = settingsOf(text);
  const odbc = settings.some(({ word }) => ODBC.includes(word));
  const find = (part: Part): (Setting & { readonly value: string }) | undefined => {
    const found = settings.filter(({ word }) => (WORDS[part] as readonly string[]).includes(word));
    if (found.length > 1) throw notUnderstood(TITLE, `it names its ${part} twice`);
    const [setting] = found;
    return setting && { ...setting, value: unquoted(setting.source, odbc) };
  };
  const [username, password, host, port, database] = (
    ['username', 'password', 'host', 'port', 'database'] as const
  ).map(find);
  if (password === undefined || password.value === '') throw notUnderstood(TITLE, 'it has no password');
  if (username === undefined && host === undefined && database === undefined && !odbc)
    throw notUnderstood(TITLE, 'it names no user, server or database');
  const slotOf = ({ start, end }: Setting): Slot => ({ start, end, encode: (value) => quoted(value, odbc) });
  return {
    title: TITLE,
    system: undefined,
    username: username?.value,
    password: password.value,
    hosts: hostsOf(host?.value, port?.value),
    database: database?.value || undefined,
    passwordAt: slotOf(password),
    usernameAt: username && slotOf(username),
  };
}

function settingsOf(text: string): readonly Setting[] {
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(text))
    throw notUnderstood(TITLE, 'it holds control characters');
  const found: Setting[] = [];
  const next =
    /\s*(?:;|$|([A-Za-z][\w .-]*?)\s*=\s*("(?:[^"]|"")*"|'(?:[^']|'')*'|\{(?:[^}]|\}\})*\}|[^;"'{=\s][^;]*?|)\s*(?:;|$))/dy;
  for (let at = 0; at < text.length; at = next.lastIndex) {
    next.lastIndex = at;
    const match = next.exec(text);
    if (match === null) throw notUnderstood(TITLE, 'one of its parts is not a word with a value');
    const [, word, source = ''] = match;
    const [start, end] = match.indices?.[2] ?? [0, 0];
    if (word !== undefined) found.push({ word: word.toLowerCase(), source, start, end });
  }
  return found;
}

function unquoted(source: string, odbc: boolean): string {
  const mark = source[0];
  if (mark === '{' || mark === '"' || mark === "'") {
    if ((mark === '{') !== odbc)
      throw notUnderstood(TITLE, 'ADO.NET and ODBC read its quotes in different ways');
    const end = mark === '{' ? '}' : mark;
    return source.slice(1, -1).replaceAll(end + end, end);
  }
  return source;
}

function quoted(value: string, odbc: boolean): string {
  if (value !== '' && UNRESERVED.test(value)) return value;
  if (odbc) return `{${value.replaceAll('}', '}}')}}`;
  return value.includes('"') && !value.includes("'") ? `'${value}'` : `"${value.replaceAll('"', '""')}"`;
}

/** `tcp:h,1433` of SQL Server, `h1,h2` and `h:5432` of Npgsql. */
function hostsOf(hosts: string | undefined, port: string | undefined): readonly Host[] {
  if (hosts === undefined || hosts === '') return [];
  const shared = portOf(port ?? '', TITLE);
  const names = hosts
    .replace(/^tcp:/i, '')
    .split(',')
    .map((name) => name.trim());
  const [first = '', second = ''] = names;
  if (names.length === 2 && /^\d+$/.test(second)) return [{ name: first, port: portOf(second, TITLE) }];
  return names.map((name) => {
    const [, host = name, own = ''] = /^([^:]+):(\d+)$/.exec(name) ?? [];
    return { name: host, port: own === '' ? shared : portOf(own, TITLE) };
  });
}
