/** The statement that a grant writes, in a policy of a principal or of a secret. */
import { canonicalJson } from '../../core/audit/chain.ts';
import type { Statement } from './access-document.ts';
import { READ } from './access-evaluate.ts';

/** What the ids of our statements start with: letters and digits alone. */
export const SID = 'SecretsAccess';

export function readStatement(parts: Statement, until: Date | undefined): Statement {
  const { Sid, Principal, Resource } = parts;
  return {
    ...(Sid !== undefined && { Sid }),
    Effect: 'Allow',
    ...(Principal !== undefined && { Principal }),
    Action: READ,
    ...(Resource !== undefined && { Resource }),
    ...(until !== undefined && {
      Condition: { DateLessThan: { 'aws:CurrentTime': until.toISOString().replace('.000Z', 'Z') } },
    }),
  };
}

/** Whether these statements are one that a grant writes, with whatever end. */
export function isOurs(statements: readonly Statement[], parts: Statement): boolean {
  const [statement] = statements;
  if (statements.length !== 1 || statement === undefined) return false;
  const until = untilOf(statement);
  // AWS replaces the ARN of a principal that was deleted by its former id.
  const principal = JSON.stringify(statement['Principal']);
  const isGone = /^\{"AWS":"A[A-Z0-9]{15,}"\}$/.test(principal ?? '');
  const expected = isGone ? { ...parts, Principal: statement['Principal'] as Statement } : parts;
  return isSame(statement, readStatement(expected, until));
}

export function untilOf({ Condition: condition }: Statement): Date | undefined {
  const text = /^\{"DateLessThan":\{"aws:CurrentTime":"([^"]+)"\}\}$/.exec(
    JSON.stringify(condition) ?? '',
  )?.[1];
  const date = new Date(text ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

export function isSame(first: Statement | undefined, second: Statement): boolean {
  return first !== undefined && canonicalJson(first) === canonicalJson(second);
}
