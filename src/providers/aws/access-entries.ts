/** Grants as they are listed. */
import type { AccessEntry } from '../../core/access/plan.ts';
import { statementsIn } from './access-document.ts';
import type { Inline } from './access-iam.ts';
import { SID, untilOf } from './access-statement.ts';
import { grantsOf } from './grants.ts';

export function inlineEntry(
  secret: string,
  { kind, owner, policy, text }: Inline & { readonly text: string },
): AccessEntry {
  const [statement = {}] = statementsIn(text);
  const until = untilOf(statement);
  const through = `the inline policy ${policy}`;
  return { secret, principal: `${kind}/${owner}`, ours: true, through, until, breadth: 'named' };
}

export function resourceEntries(secret: string, text: string | undefined): readonly AccessEntry[] {
  if (text === undefined) return [];
  return statementsIn(text).flatMap((statement) => {
    const ours = String(statement['Sid'] ?? '').startsWith(SID);
    const until = ours ? untilOf(statement) : undefined;
    return grantsOf(JSON.stringify({ Statement: [statement] })).map(
      ({ principal, breadth, conditional, through }) => ({
        secret,
        principal,
        ours,
        through,
        breadth,
        ...(until === undefined ? conditional === true && { conditional } : { until }),
      }),
    );
  });
}
