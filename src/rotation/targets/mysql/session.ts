/** Runs the statements of one connection in a pinned SQL mode. */
import { codeOf } from '../../../platform/files.ts';
import { bounded } from '../database/connection.ts';

export interface Session {
  readonly client: import('mysql2').Connection;
  readonly cut: () => void;
  readonly signal: AbortSignal;
  readonly password: string;
  /** The host part of the changed account; `undefined` for that of the signed-in account. */
  readonly accountHost: string | undefined;
  /** Whether the settings name the host. */
  readonly hostIsNamed: boolean;
  /** Whether the connection uses TLS. */
  readonly secure: boolean;
  /** Set by the first statement. */
  pinned?: Promise<void>;
}

/**
 * The server's settings decide how strings are read (sql_mode, character set), so both are set first. With
 * NO_BACKSLASH_ESCAPES a literal has a single special character, which is all that `literal` and `accountName` have to
 * escape.
 */
const PIN = [
  'SET NAMES utf8mb4',
  "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_BACKSLASH_ESCAPES'",
];

/** Runs a statement that already contains its values, and returns its rows. */
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

/** A string literal under the pinned mode. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Quoted with backquotes, which have the same meaning in every mode. */
export function accountName(username: string, host: string): string {
  const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``;
  return `${quoted(username)}@${quoted(host)}`;
}

/** Whether the error says that this connection lacks the right to look. */
export function isDenied(thrown: unknown): boolean {
  return [
    'ER_SPECIFIC_ACCESS_DENIED_ERROR',
    'ER_DBACCESS_DENIED_ERROR',
    'ER_TABLEACCESS_DENIED_ERROR',
    'ER_COLUMNACCESS_DENIED_ERROR',
  ].includes(codeOf(thrown) ?? '');
}
