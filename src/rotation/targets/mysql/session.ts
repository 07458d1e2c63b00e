/** One connection's statements, in a mode that nobody else chooses. */
import { codeOf } from '../../../platform/files.ts';
import { bounded } from '../database/connection.ts';

export interface Session {
  readonly client: import('mysql2').Connection;
  readonly cut: () => void;
  readonly signal: AbortSignal;
  readonly password: string;
  /** Host part of the account that is changed; `undefined`: the one that signs in, whichever that is. */
  readonly accountHost: string | undefined;
  /** Whether the settings name it. */
  readonly hostIsNamed: boolean;
  /** Whether it uses TLS. */
  readonly secure: boolean;
  /** Set by the first statement. */
  pinned?: Promise<void>;
}

/**
 * The server's own settings decide how texts are read (sql_mode, character set), so both are set first. With
 * NO_BACKSLASH_ESCAPES a literal has one special character, and `literal` and `accountName` need not know more.
 */
const PIN = [
  'SET NAMES utf8mb4',
  "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_BACKSLASH_ESCAPES'",
];

/** Rows of a statement, whose values are in it already. */
export async function query(
  session: Session,
  sql: string,
  doubt = '',
): Promise<readonly Record<string, unknown>[]> {
  session.pinned ??= (async () => {
    for (const statement of PIN) await send(session, statement);
  })();
  await session.pinned;
  const [rows] = await send(session, sql, doubt);
  return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
}

function send({ client, cut, signal }: Session, sql: string, doubt?: string): Promise<unknown[]> {
  return bounded(() => client.promise().query(sql), cut, signal, doubt);
}

/** A text in a statement, under the pinned mode. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** In backquotes, which no mode gives another meaning. */
export function accountName(username: string, host: string): string {
  const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``;
  return `${quoted(username)}@${quoted(host)}`;
}

/** Whether the error says that this connection lacks a right to look. */
export function isDenied(thrown: unknown): boolean {
  return [
    'ER_SPECIFIC_ACCESS_DENIED_ERROR',
    'ER_DBACCESS_DENIED_ERROR',
    'ER_TABLEACCESS_DENIED_ERROR',
    'ER_COLUMNACCESS_DENIED_ERROR',
  ].includes(codeOf(thrown) ?? '');
}
