import { parse } from 'yaml';
import { commands } from '../../../src/commands/index.ts';
import { TOOL_NAMES } from '../../../src/commands/reference.cli.ts';
import { checkPlaceInTemplate } from '../../../src/core/native-reference/aws.ts';
import type { NativeSecret } from '../../../src/core/native-reference/secret.ts';
import { namesFor, TOOLS, toolFor } from '../../../src/core/native-reference/tools.ts';

const TITLES = { aws: 'AWS Secrets Manager', azure: 'Azure Key Vault', gcp: 'Google', vault: 'Vault' };

function secret(provider: string, more: Partial<NativeSecret> = {}): NativeSecret {
  const title = (TITLES as Readonly<Record<string, string>>)[provider] ?? provider;
  const ids: Readonly<Record<string, string>> = {
    aws: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:payments/db-AbCdEf',
    azure: 'https://pay.vault.azure.net/secrets/payments-db',
    gcp: 'projects/acme/secrets/payments-db',
  };
  const name = provider === 'azure' || provider === 'gcp' ? 'payments-db' : 'payments/db';
  return {
    text: `${provider}://${name}`,
    store: 'prod',
    provider,
    title,
    name,
    id: ids[provider],
    place: {},
    ...more,
  };
}

function written(tool: string, of: NativeSecret): string {
  return toolFor(tool, of).write(of, namesFor(of));
}

const ARN = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:payments/db-AbCdEf';

test('steps of GitHub say which sign-in they need, and the address of Lambda which header', () => {
  expect(written('github', secret('aws'))).toMatch(/^# After .*aws-actions\/configure-aws-credentials/);
  expect(written('github', secret('gcp'))).toMatch(/^# After .*google-github-actions\/auth/);
  expect(written('github', secret('vault', { key: 'a' }))).toMatch(/^# .*Add role: /);
  expect(TOOLS['lambda']?.note).toContain('X-Aws-Parameters-Secrets-Token');
});

test('references to Google say which project they mean', () => {
  for (const tool of ['github', 'gitlab', 'cloud-run'])
    expect([tool, written(tool, secret('gcp'))]).toEqual([tool, expect.stringContaining('acme')]);
  expect(written('cloud-run', secret('gcp'))).toContain(
    'run.googleapis.com/secrets: "payments-db:projects/acme/secrets/payments-db"',
  );
});

test.each<[string, string, Partial<NativeSecret>, string]>([
  ['cloudformation', 'aws', {}, '{{resolve:secretsmanager:payments/db}}'],
  [
    'cloudformation',
    'aws',
    { key: 'password' },
    '{{resolve:secretsmanager:payments/db:SecretString:password}}',
  ],
  [
    'cloudformation',
    'aws',
    { stage: 'previous' },
    '{{resolve:secretsmanager:payments/db:SecretString::AWSPREVIOUS}}',
  ],
  [
    'cloudformation',
    'aws',
    { key: 'password', version: 'v-1' },
    '{{resolve:secretsmanager:payments/db:SecretString:password::v-1}}',
  ],
  ['cdk', 'aws', { stage: 'current' }, 'SecretValue.secretsManager("payments/db")'],
  [
    'cdk',
    'aws',
    { key: 'password', stage: 'AWSPREVIOUS' },
    'SecretValue.secretsManager("payments/db", { jsonField: "password", versionStage: "AWSPREVIOUS" })',
  ],
  [
    'lambda',
    'aws',
    { version: 'v-1' },
    'http://localhost:2773/secretsmanager/get?secretId=payments%2Fdb&versionId=v-1',
  ],
  [
    'azure-app',
    'azure',
    { version: 'a'.repeat(32) },
    `@Microsoft.KeyVault(SecretUri=https://pay.vault.azure.net/secrets/payments-db/${'a'.repeat(32)})`,
  ],
])('%s for %s %j', (tool, provider, more, expected) => {
  expect(written(tool, secret(provider, more))).toBe(`${expected}\n`);
});

test.each<[Partial<NativeSecret>, string]>([
  [{}, ARN],
  [{ key: 'password' }, `${ARN}:password::`],
  [{ key: 'password', stage: 'previous' }, `${ARN}:password:AWSPREVIOUS:`],
  [{ version: 'v-1' }, `${ARN}:::v-1`],
])('ecs %j', (more, valueFrom) => {
  const name = more.key === undefined ? 'DB' : 'DB_PASSWORD';
  expect(JSON.parse(written('ecs', secret('aws', more)))).toEqual({ secrets: [{ name, valueFrom }] });
});

/** What has no counterpart, and a part of what is said instead. */
test.each<[string, string, Partial<NativeSecret>, RegExp]>([
  ['cloudformation', 'gcp', {}, /can’t read from this store/],
  ['github', 'azure', {}, /can’t read from this store/],
  ['external-secrets', 'local', {}, /can’t read from this store/],
  ['cloudformation', 'aws', { key: '/a/b' }, /JSON Pointer/],
  ['cloudformation', 'aws', { key: 'a:b' }, /these characters/],
  ['cloudformation', 'aws', { key: 'a}}' }, /these characters/],
  ['cloudformation', 'aws', { key: 'a\\' }, /these characters/],
  ['cloudformation', 'aws', { stage: 'pending' }, /pending version may not work/],
  ['cdk', 'aws', { stage: 'AWSPENDING' }, /pending version may not work/],
  ['ecs', 'aws', { stage: 'a:b' }, /this stage/],
  ['lambda', 'aws', { key: 'password' }, /whole secrets/],
  ['eks-csi', 'aws', { key: 'a.b' }, /these characters/],
  ['external-secrets', 'vault', { key: 'a.b' }, /these characters/],
  ['external-secrets', 'vault', { stage: 'previous' }, /no stage previous/],
  ['external-secrets', 'conjur', { version: '3' }, /only the current version/],
  ['kubernetes', 'vault', {}, /single keys/],
  ['kubernetes', 'gcp', { key: 'a' }, /whole secrets/],
  ['github', 'aws', { stage: 'previous' }, /only the current version/],
  ['github', 'aws', { key: 'a' }, /whole secrets/],
  ['github', 'vault', { key: 'a', name: 'a b\nc' }, /path with these characters/],
  ['gitlab', 'azure', { key: 'a' }, /whole secrets/],
  ['gitlab', 'vault', { key: 'a', version: '2' }, /only the current version/],
  ['azure-app', 'azure', { stage: 'previous' }, /no stage previous/],
  ['azure-app', 'azure', { key: 'a' }, /whole secrets/],
  ['cloud-run', 'gcp', { id: 'projects/p/locations/l/secrets/s' }, /regional/],
  ['github', 'gcp', { id: 'projects/p/locations/l/secrets/s' }, /regional/],
  ['gitlab', 'gcp', { id: 'projects/p/locations/l/secrets/s' }, /regional/],
  ['github', 'gcp', { id: undefined }, /didn’t give/],
])('%s for %s %j is refused with what to do', (tool, provider, more, message) => {
  let refusal: unknown;
  try {
    written(tool, secret(provider, more));
  } catch (thrown) {
    refusal = thrown;
  }
  expect(refusal).toMatchObject({
    kind: 'Unsupported',
    message: expect.stringMatching(message) as string,
    hint: expect.stringMatching(/\w/) as string,
    reference: expect.stringContaining(provider) as string,
  });
});

test.each([
  ['Parameters.DbPassword', /property itself/],
  ['Outputs.Password', /ARN/],
  ['AWS::EC2::Instance.UserData', /secrets exec/],
  ['AWS::EC2::Instance.Metadata', /secrets exec/],
  ['AWS::Lambda::Function.Environment.Variables.PASSWORD', /--for lambda/],
  ['AWS::ECS::TaskDefinition.ContainerDefinitions.Environment', /--for ecs/],
  ['AWS::SSM::Parameter.Value', /write-only property/],
])('into %s is refused with the right way', (place, hint) => {
  expect(() => checkPlaceInTemplate(place, 'aws://a')).toThrow(
    expect.objectContaining({ kind: 'Unsupported', hint: expect.stringMatching(hint) as string }) as Error,
  );
});

test('into a property that AWS never shows is allowed', () => {
  expect(() => checkPlaceInTemplate('AWS::RDS::DBInstance.MasterUserPassword', 'aws://a')).not.toThrow();
});

test('the names of a variable and an object are legal whatever the secret is called', () => {
  for (const name of ['payments/db', '1', 'Ünïcode/é', '---', 'a'.repeat(300), 'x.y_z/Q']) {
    const { variable, object } = namesFor({ name, key: undefined, text: name });
    expect(variable).toMatch(/^[A-Za-z_]\w*$/);
    expect(object).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
  }
});

test('a name with any character stays one value in a manifest', () => {
  for (const name of ['a"b: c', "it's #1", 'x\u2028y\u0085z', '{{ x }}', '- a', '\ufeffa'])
    for (const version of ['1.1', '1.2'] as const) {
      const printed = written('external-secrets', secret('vault', { name }));
      const { spec } = parse(printed, { version }) as { spec: { data: { remoteRef: { key: string } }[] } };
      expect(spec.data[0]?.remoteRef.key).toBe(name);
    }
});

test('the help lists the tools that there are', () => {
  expect([...TOOL_NAMES]).toEqual(Object.keys(TOOLS));
  expect(commands.map(({ name }) => name)).toContain('reference');
});
