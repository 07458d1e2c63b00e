/**
 * libpq connection strings: `host=h user=app password='it''s'`. Grammar and keywords:
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE
 */
import {
  type CredentialText,
  notUnderstood,
  type ParsedText,
  replaceable,
  type Slot,
  UNRESERVED,
} from './text.ts';
import { paired } from './url.ts';

const TITLE = 'a libpq connection string';

/** A text with any other keyword isn't a connection string. */
const WORDS: ReadonlySet<string> = new Set(
  `host hostaddr port dbname user password passfile require_auth channel_binding connect_timeout client_encoding
  options application_name fallback_application_name keepalives keepalives_idle keepalives_interval keepalives_count
  tcp_user_timeout replication gssencmode sslmode requiressl sslnegotiation sslcompression sslcert sslkey
  sslkeylogfile sslpassword sslcertmode sslrootcert sslcrl sslcrldir sslsni requirepeer ssl_min_protocol_version
  ssl_max_protocol_version min_protocol_version max_protocol_version krbsrvname gsslib gssdelegation service
  servicefile target_session_attrs load_balance_hosts scram_client_key scram_server_key oauth_issuer
  oauth_client_id oauth_client_secret oauth_scope`.split(/\s+/),
);

/** Whether a text starts like a connection string. */
export function looksLikeConninfo(text: string): boolean {
  const word = /^\s*([a-z_]+)\s*=/.exec(text)?.[1];
  return word !== undefined && WORDS.has(word);
}

/** @throws SecretsError Invalid */
export function readConninfo(text: string): CredentialText {
  return replaceable(text, parseConninfo(text), parseConninfo);
}

interface Setting {
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

function parseConninfo(text: string): ParsedText {
  const settings = settingsOf(text);
  const value = (word: string): string | undefined => settings.get(word)?.value || undefined;
  const password = settings.get('password');
  if (password === undefined || password.value === '') throw notUnderstood(TITLE, 'it has no password');
  const database = value('dbname');
  if (database !== undefined && /=|:\/\//.test(database))
    throw notUnderstood(TITLE, 'its dbname is a connection string itself');
  const hosts = value('host') ?? value('hostaddr');
  const username = settings.get('user');
  return {
    title: TITLE,
    system: 'postgresql',
    username: username?.value,
    password: password.value,
    hosts:
      hosts === undefined && value('port') === undefined
        ? []
        : paired(hosts?.split(',') ?? [''], value('port'), TITLE),
    database,
    passwordAt: slotOf(password),
    usernameAt: username && slotOf(username),
  };
}

function slotOf({ start, end }: Setting): Slot {
  return { start, end, encode: quoted };
}

function quoted(value: string): string {
  return value !== '' && UNRESERVED.test(value) ? value : `'${value.replaceAll(/[\\']/g, '\\$&')}'`;
}

function settingsOf(text: string): ReadonlyMap<string, Setting> {
  if (text.includes('\0')) throw notUnderstood(TITLE, 'it holds a NUL');
  const found = new Map<string, Setting>();
  const next =
    /[ \t\n\v\f\r]*(?:([^=\s]+)[ \t\n\v\f\r]*=[ \t\n\v\f\r]*('(?:[^'\\]|\\[^])*'|(?:[^'\\ \t\n\v\f\r]|\\[^])(?:[^\\ \t\n\v\f\r]|\\[^])*|)|$)/y;
  for (let at = 0; at < text.length; at = next.lastIndex) {
    next.lastIndex = at;
    const match = next.exec(text);
    if (match === null)
      throw notUnderstood(TITLE, 'it has a word without a value, or a quote without its end');
    const [, word, source = ''] = match;
    if (word === undefined) break;
    if (!WORDS.has(word)) throw notUnderstood(TITLE, 'it has a word that libpq does not know');
    if (found.has(word)) throw notUnderstood(TITLE, 'it has a word twice');
    const end = next.lastIndex;
    // A quoted value ends with its quote: libpq continues with the next keyword at once, other parsers don't.
    if (end < text.length && !/[ \t\n\v\f\r]/.test(text[end] as string))
      throw notUnderstood(TITLE, 'it has no space after a quoted value');
    const inner = source.startsWith("'") ? source.slice(1, -1) : source;
    found.set(word, { value: inner.replaceAll(/\\([^])/g, '$1'), start: end - source.length, end });
  }
  return found;
}
