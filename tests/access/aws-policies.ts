/** Policies that decide about one secret in many ways, for what is compared with the service. */

/** A policy that opens no secret. */
export const NOTHING = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'sts:GetCallerIdentity', Resource: '*' }],
};

/** One to three statements in a user's policy, and mostly one or two in the secret's. */
export function generated(round: number, user: string, secret: string) {
  let state = round * 7919 + 23;
  const pick = <T>(list: readonly T[]): T => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return list[Math.floor((state / 2147483648) * list.length)] as T;
  };
  const actions = [
    { Action: 'secretsmanager:GetSecretValue' },
    { Action: ['secretsmanager:PutSecretValue', 'SecretsManager:getsecretvalue'] },
    { Action: 'secretsmanager:Get*' },
    { Action: 'secretsmanager:Describe*' },
    { Action: 'secretsmanager:G?tSecretValue' },
    { NotAction: 'secretsmanager:Delete*' },
    { NotAction: ['secretsmanager:Get*', 'iam:*'] },
    { Action: '*' },
  ];
  const start = secret.slice(0, secret.lastIndexOf('/'));
  const resources = [
    { Resource: secret },
    { Resource: '*' },
    { Resource: `${start}/*` },
    { Resource: [`${start}/other*`, `${secret.slice(0, -6)}??????`] },
    { Resource: `${start}/other*` },
    { NotResource: `${start}/other*` },
    { NotResource: `${start}/db*` },
    { Resource: `${start}/\${aws:username}*` },
  ];
  const conditions = [
    ...[{}, {}, {}, {}],
    { Condition: { DateLessThan: { 'aws:CurrentTime': '2020-01-01T00:00:00Z' } } },
    { Condition: { DateGreaterThan: { 'aws:CurrentTime': '2020-01-01T00:00:00Z' } } },
    { Condition: { StringEquals: { 'aws:PrincipalTag/team': 'web' } } },
  ];
  const principals = [
    { Principal: { AWS: user } },
    { Principal: { AWS: [user, 'arn:aws:iam::999999999999:root'] } },
    { Principal: { AWS: user.replace(/:user.*/, ':root') } },
    { Principal: { AWS: 'arn:aws:iam::999999999999:root' } },
    { Principal: { Service: 'lambda.amazonaws.com' } },
  ];
  const statement = (): object => ({
    Effect: pick(['Allow', 'Allow', 'Allow', 'Deny']),
    ...pick(actions),
    ...pick(resources),
    ...pick(conditions),
  });
  const many = (most: number): object[] => Array.from({ length: pick([1, 2, most]) }, statement);
  const identity = { Version: '2012-10-17', Statement: [...NOTHING.Statement, ...many(3)] };
  const theirs = many(2).map((one) => {
    const whose = pick(principals);
    // What is denied to a whole account is denied to whoever asks and to whoever would repair it.
    const isAccount = JSON.stringify(whose).includes(':root');
    return { ...one, ...whose, ...(isAccount && { Effect: 'Allow' }) };
  });
  const resource = pick([true, true, false]) ? { Version: '2012-10-17', Statement: theirs } : undefined;
  return { identity, resource };
}
