/** The smallest IAM policy with which `secrets` does something: what each command calls. */
import type { NativePolicy, Purpose } from '../../core/access/plan.ts';

const ACTIONS: Readonly<Record<Exclude<Purpose, 'audit'>, readonly string[]>> = {
  exec: ['GetSecretValue'],
  agent: ['GetSecretValue'],
  rotate: ['DescribeSecret', 'GetSecretValue', 'PutSecretValue', 'UpdateSecretVersionStage'],
};

/** @param secrets ARNs */
export function policyFor(purpose: Purpose, secrets: readonly string[], partition: string): NativePolicy {
  const statements =
    purpose === 'audit'
      ? [
          // AWS can't limit a listing to some names.
          statement(['ListSecrets'], '*'),
          statement(
            ['GetResourcePolicy', 'ListSecretVersionIds'],
            `arn:${partition}:secretsmanager:*:*:secret:*`,
          ),
        ]
      : [statement(ACTIONS[purpose], secrets.length === 1 ? (secrets[0] as string) : secrets)];
  const document = { Version: '2012-10-17', Statement: statements };
  return { format: 'iam-json', text: `${JSON.stringify(document, null, 2)}\n` };
}

function statement(actions: readonly string[], Resource: string | readonly string[]): object {
  const names = actions.map((action) => `secretsmanager:${action}`);
  return { Effect: 'Allow', Action: names.length === 1 ? names[0] : names, Resource };
}
