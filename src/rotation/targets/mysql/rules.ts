/** The server's own rules for new passwords, as far as they decide whether a rotation or its rollback can work. */
import { SecretsError } from '../../../core/errors.ts';
import type { TargetFinding } from '../../target.ts';
import { definitionOf } from './accounts.ts';
import { literal, query, type Session } from './session.ts';

/**
 * MariaDB's password validation plugins inspect new passwords, so the server accepts no hash. The password would have
 * to be sent, and logged, in clear text. https://mariadb.com/kb/en/server-system-variables/#strict_password_validation
 * @throws SecretsError Unsupported
 */
export async function checkValidation(session: Session): Promise<void> {
  const { strict_password_validation: strict } = await variables(session, ['strict_password_validation']);
  if (strict !== 'ON') return;
  const plugins = await query(
    session,
    `SELECT PLUGIN_NAME AS name FROM information_schema.PLUGINS
     WHERE PLUGIN_TYPE = 'PASSWORD VALIDATION' AND PLUGIN_STATUS = 'ACTIVE'`,
  );
  if (plugins.length > 0) throw takesNoHash(plugins.map((plugin) => String(plugin['name'])).join(', '));
}

export function takesNoHash(plugins = 'a plugin'): SecretsError {
  return new SecretsError(
    'Unsupported',
    `the server accepts no password hash, because ${plugins} checks passwords in clear text`,
    { hint: 'SET GLOBAL strict_password_validation = OFF: generated passwords need no such check' },
  );
}

/**
 * Whether an old password can be set again. MySQL compares a new password with the ones that it keeps for the account,
 * including the current one. https://dev.mysql.com/doc/refman/8.4/en/password-management.html#password-reuse-policy
 */
export async function reuseFindings(
  session: Session,
  username: string | undefined,
): Promise<readonly TargetFinding[]> {
  const own = await variables(session, ['password_history', 'password_reuse_interval']);
  const definition = (await definitionOf(session, username)) ?? '';
  const ruled = (rule: RegExp, global = '0'): number => {
    const [, text = 'DEFAULT'] = rule.exec(definition) ?? [];
    return Number(text === 'DEFAULT' ? global : text);
  };
  const history = ruled(/ PASSWORD HISTORY (\d+|DEFAULT)/, own['password_history']);
  const days = ruled(/ PASSWORD REUSE INTERVAL (\d+|DEFAULT)/, own['password_reuse_interval']);
  // A history of one contains only the current password.
  const rules = [
    ...(history > 1 ? [`password history ${history}`] : []),
    ...(days > 0 ? [`reuse interval ${days} days`] : []),
  ];
  if (rules.length === 0) return [];
  return [
    {
      check: 'way back',
      status: 'warn',
      kind: 'Unsupported',
      detail: `the server refuses a password that the account had before (${rules.join(', ')}), so a rollback can’t set the old one again`,
      hint: 'finish an interrupted rotation with secrets rotate resume',
    },
  ];
}

/** The server's global variables; those that it doesn't have are missing. */
async function variables(
  session: Session,
  names: readonly string[],
): Promise<Readonly<Record<string, string | undefined>>> {
  const list = names.map(literal).join(', ');
  const rows = await query(session, `SHOW GLOBAL VARIABLES WHERE Variable_name IN (${list})`);
  return Object.fromEntries(rows.map((row) => [String(row['Variable_name']), String(row['Value'])]));
}
