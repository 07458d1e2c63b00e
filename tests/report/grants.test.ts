import { grantsOf as awsGrants } from '../../src/providers/aws/grants.ts';
import { grantsOf as gcpGrants } from '../../src/providers/gcp/grants.ts';
import { grantsOn, rulesOf } from '../../src/providers/vault/grants.ts';

describe('an AWS resource policy', () => {
  const grants = (statement: object): readonly string[] =>
    awsGrants(JSON.stringify({ Version: '2012-10-17', Statement: statement })).map(
      ({ principal, breadth, conditional }) => `${breadth} ${principal}${conditional === true ? ' if' : ''}`,
    );
  const read = { Effect: 'Allow', Action: 'secretsmanager:GetSecretValue', Resource: '*' };
  test.each([
    [{ ...read, Principal: '*' }, ['public *']],
    [[{ ...read, Principal: { AWS: ['*'] } }], ['public *']],
    [
      { ...read, Principal: '*', Condition: { StringEquals: { 'aws:PrincipalOrgID': 'o-1' } } },
      ['public * if'],
    ],
    [
      { ...read, NotPrincipal: { AWS: 'arn:aws:iam::1:user/x' } },
      ['public everybody but a few (NotPrincipal)'],
    ],
    [
      { ...read, Principal: { AWS: 'arn:aws-cn:iam::123456789012:root' } },
      ['account arn:aws-cn:iam::123456789012:root'],
    ],
    [{ ...read, Principal: { AWS: '123456789012' } }, ['account 123456789012']],
    [
      { ...read, Principal: { AWS: 'arn:aws:iam::123456789012:role/a' } },
      ['named arn:aws:iam::123456789012:role/a'],
    ],
    [{ ...read, Principal: { Service: 'lambda.amazonaws.com' } }, ['named lambda.amazonaws.com']],
    [{ ...read, Effect: 'Deny', Principal: '*' }, []],
    [{ ...read, Action: 'secretsmanager:DescribeSecret', Principal: '*' }, []],
    [{ ...read, Action: ['s3:*', 'secretsmanager:Get?ecret*'], Principal: '*' }, ['public *']],
    [{ Effect: 'Allow', NotAction: 'secretsmanager:Delete*', Principal: '*', Resource: '*' }, ['public *']],
    [{ Effect: 'Allow', NotAction: 'secretsmanager:*', Principal: '*', Resource: '*' }, []],
  ])('%j: %j', (statement, expected) => {
    expect(grants(statement)).toEqual(expected);
  });
  test('no wildcards keep the report from ending', () => {
    const Action = [`${'*'.repeat(40)}x`, `${'*e'.repeat(20)}x`, `${'*'.repeat(40)}value`];
    expect(grants({ ...read, Action, Principal: '*' })).toEqual(['public *']);
    expect(grants({ ...read, Action: Action.slice(0, 2), Principal: '*' })).toEqual([]);
  });
  test.each(['', '[]', 'null', '{'])('%j is none', (text) => {
    expect(() => awsGrants(text)).toThrow('an invalid policy');
  });
});

test('a Google IAM policy', () => {
  const role = 'roles/secretmanager.secretAccessor';
  const members = [
    'allUsers',
    'allAuthenticatedUsers',
    'domain:example.com',
    'projectEditor:p',
    'group:g@example.com',
    'serviceAccount:s@p.iam.gserviceaccount.com',
  ];
  const bindings = [
    { role, members, condition: { expression: '' } },
    {
      role,
      members: ['allUsers'],
      condition: { expression: 'request.time < timestamp("2030-01-01T00:00:00Z")' },
    },
    { role: 'roles/secretmanager.viewer', members: ['allUsers'] },
  ];
  expect(gcpGrants({ bindings }).map(({ breadth, conditional }) => [breadth, conditional ?? false])).toEqual([
    ['public', false],
    ['wildcard', false],
    ['account', false],
    ['account', false],
    ['named', false],
    ['named', false],
    ['public', true],
  ]);
  expect(gcpGrants({ bindings: null })).toEqual([]);
});

describe('Vault’s policies', () => {
  const grants = (text: string, name = 'p'): readonly string[] =>
    grantsOn('secret/data/pay/db', 'secret/data/', [{ name, rules: rulesOf(text) }]).map(
      ({ breadth, through }) => `${breadth} ${through}`,
    );
  const path = (pattern: string, ...capabilities: string[]): string =>
    `path "${pattern}" { capabilities = ${JSON.stringify(capabilities)} }\n`;
  test.each([
    [path('secret/data/pay/db', 'read'), ['named the policy p, path secret/data/pay/db']],
    [path('secret/data/pay/*', 'read'), ['named the policy p, path secret/data/pay/*']],
    [path('secret/*', 'read'), ['account the policy p, path secret/*']],
    [path('*', 'read', 'sudo'), ['account the policy p, path *']],
    [path('secret/+/pay/db', 'read'), ['named the policy p, path secret/+/pay/db']],
    [path('secret/data/+', 'read'), []],
    [path('secret/data/pay/db', 'list', 'update'), []],
    [path('secret/metadata/*', 'read'), []],
    [path('secret/*', 'read') + path('secret/data/pay/*', 'deny'), []],
    [
      path('secret/*', 'deny') + path('secret/data/pay/db', 'read'),
      ['named the policy p, path secret/data/pay/db'],
    ],
    [`# path "secret/*" { capabilities = ["read"] }\n/* ${path('*', 'read')} */ // ${path('*', 'read')}`, []],
    ['path "secret/*" { policy = "write" }', ['account the policy p, path secret/*']],
    ['{"path":{"secret/*":{"capabilities":["read"]}}}', ['account the policy p, path secret/*']],
    [
      'path "secret/*" {\n  allowed_parameters = { "a" = [] }\n  capabilities = ["read"]\n}',
      ['account the policy p, path secret/*'],
    ],
    ['path "secret/* {', []],
    ['', []],
  ])('%j: %j', (text, expected) => {
    expect(grants(text)).toEqual(expected);
  });
  test.each([
    ['a brace within a text ends no block', `path "secret/*" { x = "}" capabilities = ["read"] }`],
    ['no comment begins within a text', 'path "secret/*" { x = "/* # //" capabilities = ["read"] } # */'],
    ['a quote may stand in a text', 'path "secret/*" { x = "\\"}" capabilities = ["read"] }'],
    [
      'a comment ends with its line',
      '# a "\npath "secret/*" { // }\n/* } */ capabilities = [ # ]\n"read"] }',
    ],
  ])('%s', (_, text) => {
    expect(grants(text)).toEqual(['account the policy p, path secret/*']);
  });
  // Where every beginning is looked at to the end of the text, some take minutes.
  test.each([
    '/*',
    '"\\',
    '\\"',
    'path "a" {',
    'path "a" { capabilities = [',
    'path "a" { policy = "',
    'path "',
    'path ',
    'capabilities = ["',
    '{',
    '#',
    ' ',
  ])('a megabyte of %j does not keep the report from ending', (part) => {
    const text = part.repeat(Math.ceil(2 ** 20 / part.length));
    const before = path('secret/*', 'read');
    for (const hostile of [text, `path "x" {${text}`, `path "x" { capabilities = [${text}`, `"${text}`])
      expect(rulesOf(before + hostile)[0]).toEqual({ path: 'secret/*', capabilities: ['read'] });
  });
  test('what the policy default grants, every token has', () => {
    expect(grants(path('secret/data/pay/*', 'read'), 'default')).toEqual([
      'wildcard the policy default, path secret/data/pay/*',
    ]);
  });
});
