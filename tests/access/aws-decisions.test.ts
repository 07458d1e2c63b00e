/** What policies say about a secret in AWS where an emulator doesn't tell: spellings of ARNs, sessions, organizations. */
import { SecretsError } from '../../src/core/errors.ts';
import { AwsAccess } from '../../src/providers/aws/access.ts';
import { decide, tally } from '../../src/providers/aws/access-evaluate.ts';
import { simulate } from '../../src/providers/aws/access-iam.ts';
import { findPrincipal } from '../../src/providers/aws/access-principals.ts';
import type { AwsService } from '../../src/providers/aws/service.ts';
import { errorOf, now } from '../contract/kit.ts';

const SECRET = 'arn:aws:secretsmanager:eu-west-1:111111111111:secret:app/db-AbCdEf';
const ROLE = 'arn:aws:iam::111111111111:role/team/deploy';
const QUESTION = { secret: SECRET, principal: ROLE, account: '111111111111', now: new Date() };

function policy(...statements: readonly object[]): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: statements.map((one) => ({ Action: 'secretsmanager:*', ...one })),
  });
}

/** A service that answers every command so; an error is thrown. */
function answering(answerTo: object | ((command: string) => object)): AwsService {
  const sdk = new Proxy(
    {},
    {
      get: (_target, name) =>
        class {
          readonly command = String(name);
        },
    },
  );
  const send = async ({ command }: { readonly command: string }): Promise<object> => {
    const answer = typeof answerTo === 'function' ? (answerTo(command) as object) : answerTo;
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const call = async (_signal: AbortSignal, work: (tools: object, http: object) => unknown) =>
    work({ sdk, client: { send } }, {});
  return { iam: call, read: call, identity: async () => ({ principal: ROLE }) } as unknown as AwsService;
}

const accessOf = (service: AwsService): AwsAccess =>
  new AwsAccess(service, { now: () => new Date() } as never, { prefix: '', idOf: (name) => name });

const verdictOf = (...statements: readonly object[]): string =>
  decide([tally([{ title: 'own', text: policy(...statements) }], QUESTION)]).verdict;

test.each(['arn:aws:secretsmanager', 'arn:aws:secretsmanager:eu-west-1', 'arn', 'arn:aws:secretsmanager:*'])(
  'an ARN without its last parts is about all of them: %s',
  (arn) => {
    expect(verdictOf({ Effect: 'Allow', Resource: arn })).toBe('allowed');
    expect(verdictOf({ Effect: 'Allow', Resource: '*' }, { Effect: 'Deny', Resource: arn })).toBe('denied');
  },
);

test('whether a wildcard goes past a colon is not known', () => {
  const Resource = 'arn:aws:secretsmanager:*:secret:app/db-*';
  expect(verdictOf({ Effect: 'Allow', Resource })).toBe('unknown');
  expect(verdictOf({ Effect: 'Allow', Resource: '*' }, { Effect: 'Deny', Resource })).toBe('unknown');
  expect(verdictOf({ Effect: 'Allow', Resource: SECRET.replace(/-.{6}$/, '-??????') })).toBe('allowed');
});

test('a denial of one session of the role is not known for the role', () => {
  const denied = (AWS: string): string => {
    const Principal = { AWS };
    const text = policy({ Effect: 'Deny', Principal });
    const own = tally([{ title: 'own', text: policy({ Effect: 'Allow', Resource: '*' }) }], QUESTION);
    return decide([own, tally([{ title: 'its resource policy', text }], QUESTION, true)]).verdict;
  };
  expect(denied('arn:aws:sts::111111111111:assumed-role/deploy/ann')).toBe('unknown');
  expect(denied('arn:aws:sts::111111111111:assumed-role/other/ann')).toBe('allowed');
  expect(denied(ROLE)).toBe('denied');
});

const ALLOWING = tally(
  [{ title: 'its resource policy', text: policy({ Effect: 'Allow', Principal: { AWS: ROLE } }) }],
  QUESTION,
  true,
);

test.each([
  ['allowed', { EvalDecision: 'allowed' }],
  ['allowed', { EvalDecision: 'implicitDeny' }],
  ['denied', { EvalDecision: 'explicitDeny' }],
  ['unknown', { EvalDecision: 'allowed', MissingContextValues: ['aws:SourceIp'] }],
  ['unknown', { EvalDecision: 'implicitDeny', MissingContextValues: ['aws:SourceIp'] }],
  [
    'denied',
    { EvalDecision: 'implicitDeny', OrganizationsDecisionDetail: { AllowedByOrganizations: false } },
  ],
])('is %s by the secret’s own policy where the simulator says %j', async (verdict, result) => {
  const said = await simulate(answering({ EvaluationResults: [result] }), ROLE, QUESTION, now().signal);
  expect(decide([said ?? ALLOWING, ALLOWING]).verdict).toBe(verdict);
});

test.each(['role/deploy', ROLE])(
  'a role of the caller’s account is not taken for one of the secret’s: %s',
  async (text) => {
    const service = answering({ Role: { Arn: 'arn:aws:iam::222222222222:role/deploy' } });
    const place = { home: '111111111111', partition: 'aws' };
    const refused = await errorOf(findPrincipal(service, text, place, now().signal));
    expect([refused?.kind, refused?.message]).toEqual([
      'Unsupported',
      'the secret is in the account 111111111111, whose IAM can’t be asked with this credential',
    ]);
  },
);

test.each([
  ['Deny', ROLE, ['the secret’s resource policy denies it, which wins']],
  ['Deny', 'arn:aws:sts::111111111111:assumed-role/deploy/ann', ['the secret’s resource policy may deny it']],
  ['Allow', ROLE, []],
])('a grant says what keeps the principal out: %s for %s', async (Effect, AWS, notes) => {
  const boundary = 'arn:aws:iam::111111111111:policy/bounds';
  const answers: Readonly<Record<string, object>> = {
    DescribeSecretCommand: { ARN: SECRET },
    GetRoleCommand: { Role: { Arn: ROLE, PermissionsBoundary: { PermissionsBoundaryArn: boundary } } },
    GetResourcePolicyCommand: { ResourcePolicy: policy({ Effect, Principal: { AWS } }) },
  };
  const plan = await accessOf(answering((command) => answers[command] ?? {})).plan(
    { change: 'grant', name: 'app/db', principal: 'role/deploy' },
    now(),
  );
  expect(plan.edits).toHaveLength(1);
  expect(plan.notes).toEqual([`its permissions boundary ${boundary} must allow it too`, ...notes]);
});

test.each([
  ['allowed', {}],
  ['unknown', { KmsKeyId: 'alias/own' }],
  ['allowed', { KmsKeyId: 'alias/aws/secretsmanager' }],
  ['allowed', new SecretsError('Denied', 'no')],
])('self is %s where the secret is %j', async (verdict, described) => {
  const service = answering((command) =>
    command === 'DescribeSecretCommand'
      ? Object.assign(described, { ARN: SECRET })
      : new SecretsError('NotFound', 'no such version'),
  );
  expect((await accessOf(service).check('app/db', 'self', now())).verdict).toBe(verdict);
});
