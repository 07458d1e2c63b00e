/** Grants in AWS, on moto with IAM enforced: what a principal's own credential can do before, during and after. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { changeAccess } from '../../src/access/change.ts';
import type { AccessWish } from '../../src/core/access/plan.ts';
import { AwsAccess } from '../../src/providers/aws/access.ts';
import { open } from '../../src/providers/aws/index.ts';
import { AwsService } from '../../src/providers/aws/service.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { type Aws, type Env, scenarioFiles, startAws } from '../backends/aws.ts';
import { describeWith } from '../backends/server.ts';
import { bytes, errorOf, kindOf, now, pause } from '../contract/kit.ts';
import { contextFor, readOne } from '../contract/suite.ts';
import { sized } from '../size.ts';
import { generated, NOTHING } from './aws-policies.ts';

const NAMES = ['app/db', 'app/other', 'app/db2'];
describeWith('grants in aws', scenarioFiles, () => {
  let aws: Aws;
  let home: string;
  let control: AwsAccess;
  const opened: { close(): Promise<void> }[] = [];
  const secrets = new Map<string, string>();

  /** @param pausing awaited before each write of a resource policy */
  function controlWith(env: Env, pausing?: () => Promise<void>): AwsAccess {
    const context = contextFor(env, home);
    const service = new AwsService({}, context);
    opened.push(service);
    const paused = new Proxy(service, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        const call = value.bind(target) as (...args: unknown[]) => Promise<unknown>;
        if (name !== 'write' || pausing === undefined) return call;
        return async (...args: unknown[]) => {
          await pausing();
          return call(...args);
        };
      },
    });
    return new AwsAccess(paused, context, { prefix: '', idOf: (name) => name });
  }

  function store(env: Env, settings: object = {}): Provider {
    const provider = open(settings as never, contextFor(env, home)) as Provider;
    opened.push(provider);
    return provider;
  }

  /** What a credential can do: read each secret, and anything else with the granted one. */
  async function can(provider: Provider): Promise<readonly string[]> {
    const found: string[] = [];
    for (const name of NAMES)
      if ((await kindOf(readOne(provider, { name }))) === 'no error') found.push(name);
    if ((await kindOf(provider.put('app/db', { value: bytes('x') }, now()))) === 'no error')
      found.push('put');
    if ((await kindOf(provider.describe('app/db', now()))) === 'no error') found.push('describe');
    return found;
  }

  const wish = (
    change: AccessWish['change'],
    principal: string,
    more: Partial<AccessWish> = {},
  ): AccessWish => ({ change, name: 'app/db', principal, ...more });
  const change = (...given: Parameters<typeof wish>) => changeAccess(control, wish(...given), now);

  const policyOf = async (name: string): Promise<string | undefined> => {
    const service = new AwsService({}, contextFor(aws.admin, home));
    opened.push(service);
    const answer = await service.read(now().signal, ({ sdk, client }, http) =>
      client.send(new sdk.GetResourcePolicyCommand({ SecretId: name }), http),
    );
    return answer.ResourcePolicy;
  };
  const setPolicy = async (name: string, text: string | undefined): Promise<void> => {
    const service = new AwsService({}, contextFor(aws.admin, home));
    opened.push(service);
    await service.write(now().signal, ({ sdk, client }, http): Promise<unknown> =>
      text === undefined
        ? client.send(new sdk.DeleteResourcePolicyCommand({ SecretId: name }), http)
        : client.send(new sdk.PutResourcePolicyCommand({ SecretId: name, ResourcePolicy: text }), http),
    );
  };
  const iam = async <T>(work: Parameters<AwsService['iam']>[1]): Promise<T> => {
    const service = new AwsService({}, contextFor(aws.admin, home));
    opened.push(service);
    return (await service.iam(now().signal, work)) as T;
  };

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'secrets-access-'));
    aws = await startAws();
    control = controlWith(aws.admin);
    const admin = store(aws.admin);
    for (const name of NAMES) {
      await admin.put(name, { value: bytes(name) }, now());
      secrets.set(name, (await admin.describe(name, now())).nativeId as string);
    }
  });
  afterAll(async () => {
    await Promise.all(opened.map((one) => one.close()));
    await aws.stop();
    rmSync(home, { recursive: true });
  });

  test('a user reads the granted secret and nothing else, and after the revocation nothing', async () => {
    const alice = store(await aws.makeUser('alice', NOTHING));
    expect(await can(alice)).toEqual([]);
    expect((await change('grant', 'user:alice')).principal).toMatch(/^arn:aws:iam::\d{12}:user\/alice$/);
    expect(await can(alice)).toEqual(['app/db']);
    expect((await change('grant', 'user/alice')).edits).toEqual([]);
    await change('grant', 'user/alice', { name: 'app/other' });
    await change('revoke', 'user/alice');
    expect(await can(alice)).toEqual(['app/other']);
    await change('revoke', 'user/alice', { name: 'app/other' });
    expect(await can(alice)).toEqual([]);
    const left = await iam<{ PolicyNames: string[] }>(({ sdk, client }, http) =>
      client.send(new sdk.ListUserPoliciesCommand({ UserName: 'alice' }), http),
    );
    expect(left.PolicyNames).toEqual(['own']);
    expect((await change('revoke', 'user/alice')).edits).toEqual([]);
  });

  test('a role, by its name, its ARN or a session of it', async () => {
    const arn = await aws.makeRole('deploy', NOTHING);
    const session = arn.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/') + '/s';
    const role = store(aws.admin, { 'assume-role': arn });
    for (const principal of ['role/deploy', arn, session]) {
      await change('grant', principal);
      expect(await can(role)).toEqual(['app/db']);
      await change('revoke', 'role/deploy');
      expect(await can(role)).toEqual([]);
    }
  });

  test('a role whose path names a user: the grant is the role’s', async () => {
    const mixed = store(await aws.makeUser('mixed', NOTHING));
    await iam(({ sdk, client }, http) =>
      client.send(
        new sdk.CreateRoleCommand({ RoleName: 'mixed', Path: '/x:user/', AssumeRolePolicyDocument: '{}' }),
        http,
      ),
    );
    expect((await change('grant', 'role/mixed')).principal).toMatch(/:role\/x:user\/mixed$/);
    expect(await can(mixed)).toEqual([]);
    expect((await change('revoke', 'role/mixed')).edits).toHaveLength(1);
  });

  test('a group’s members', async () => {
    const bob = store(await aws.makeUser('bob', NOTHING));
    await iam(async ({ sdk, client }, http) => {
      await client.send(new sdk.CreateGroupCommand({ GroupName: 'oncall' }), http);
      await client.send(new sdk.AddUserToGroupCommand({ GroupName: 'oncall', UserName: 'bob' }), http);
    });
    await change('grant', 'group:oncall');
    expect(await can(bob)).toEqual(['app/db']);
    expect(await control.check('app/db', 'user:bob', now())).toMatchObject({ verdict: 'allowed' });
    await change('revoke', 'group:oncall');
    expect(await can(bob)).toEqual([]);
  });

  test('a grant with an end ends by itself, and a new one without keeps none', async () => {
    const carol = store(await aws.makeUser('carol', NOTHING));
    const until = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3000);
    await change('grant', 'user:carol', { until });
    expect(await can(carol)).toEqual(['app/db']);
    const [entry] = await control.list('app/db', now());
    expect(entry).toMatchObject({ principal: 'user/carol', ours: true, until });
    await pause(until.getTime() - Date.now() + 50);
    expect(await can(carol)).toEqual([]);
    expect(await control.check('app/db', 'user:carol', now())).toMatchObject({ verdict: 'denied' });
    await change('grant', 'user:carol');
    expect(await can(carol)).toEqual(['app/db']);
    await change('revoke', 'user:carol');
  });

  const FOREIGN: readonly (readonly [string, string | undefined])[] = [
    ['none', undefined],
    [
      'one with a layout, numbers and escapes of its own',
      '{ "Version" : "2012-10-17",\n\t"Id":"\\u0061b",\n "Statement": [\n   {"Sid":"x","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:root"},"Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"NumericLessThan":{"a:b":1.10}}}\n ,  {"Effect":"Deny","Principal":"*","Action":"secretsmanager:PutSecretValue","Resource":"*"} ]  }\n',
    ],
    [
      'one in one line',
      '{"Statement":[{"Effect":"Deny","Principal":"*","Action":"secretsmanager:DeleteSecret","Resource":"*"}],"Version":"2012-10-17"}',
    ],
  ];
  test.each(FOREIGN)('a resource policy keeps every other byte: %s', async (_title, before) => {
    const dave = store(
      await aws.makeUser(`dave-${FOREIGN.findIndex(([, text]) => text === before)}`, NOTHING),
    );
    const { principal } = await dave.identity(now());
    await setPolicy('app/db', before);
    const { edits } = await change('grant', principal, { through: 'resource' });
    expect(await can(dave)).toEqual(['app/db']);
    const after = (await policyOf('app/db')) as string;
    expect(edits.map((edit) => edit.after)).toEqual([after]);
    if (before !== undefined) {
      const added = after.indexOf('{"Sid":"SecretsAccess');
      expect(before.startsWith(after.slice(0, added).replace(/,\s*$/, ''))).toBe(true);
      expect(
        before.endsWith(after.slice(after.indexOf('}', after.indexOf('"Resource":"*"', added)) + 1)),
      ).toBe(true);
    }
    await change('revoke', principal);
    expect(await policyOf('app/db')).toBe(before);
    expect(await can(dave)).toEqual([]);
    await setPolicy('app/db', undefined);
  });

  test('a single statement that is no list stays as it is inside one', async () => {
    const own = '{"Effect":"Deny","Principal":"*","Action":"secretsmanager:DeleteSecret","Resource":"*"}';
    await setPolicy('app/db', `{"Version":"2012-10-17","Statement":${own}}`);
    await aws.makeUser('single', NOTHING);
    await change('grant', 'user:single', { through: 'resource' });
    await change('revoke', 'user:single');
    expect(await policyOf('app/db')).toBe(`{"Version":"2012-10-17","Statement":[${own}]}`);
    await setPolicy('app/db', undefined);
  });

  test('two grants at once in one resource policy both hold', async () => {
    for (let round = 0; round < sized(2, 10); round += 1) {
      const pair = [
        store(await aws.makeUser(`twice-${round}-0`, NOTHING)),
        store(await aws.makeUser(`twice-${round}-1`, NOTHING)),
      ];
      let waiting = 0;
      let go = (): void => {};
      const bothAreThere = new Promise<void>((resolve) => (go = resolve));
      // Both have read the policy, and neither has written it.
      const gate = async (): Promise<void> => {
        if ((waiting += 1) === 2) go();
        await bothAreThere;
      };
      await Promise.all(
        [0, 1].map((n) =>
          changeAccess(
            controlWith(aws.admin, gate),
            wish('grant', `user:twice-${round}-${n}`, { through: 'resource' }),
            now,
          ),
        ),
      );
      expect(await Promise.all(pair.map(can))).toEqual([['app/db'], ['app/db']]);
      await setPolicy('app/db', undefined);
    }
  });

  test('what somebody else made of a grant is not touched', async () => {
    await aws.makeUser('erin', NOTHING);
    await change('grant', 'user:erin');
    const { PolicyNames: names } = await iam<{ PolicyNames: string[] }>(({ sdk, client }, http) =>
      client.send(new sdk.ListUserPoliciesCommand({ UserName: 'erin' }), http),
    );
    const policy = names.find((name) => name.startsWith('secrets-access-')) as string;
    await iam(({ sdk, client }, http) =>
      client.send(
        new sdk.PutUserPolicyCommand({
          UserName: 'erin',
          PolicyName: policy,
          PolicyDocument: JSON.stringify({
            Version: '2012-10-17',
            Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
          }),
        }),
        http,
      ),
    );
    for (const verb of ['grant', 'revoke'] as const)
      expect(await errorOf(change(verb, 'user:erin'))).toMatchObject({
        ...{ kind: 'Conflict', message: expect.stringContaining('not as secrets wrote it') },
      });
  });

  test('whoever would lock itself out is refused, and still has access', async () => {
    const rights = {
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Action: ['iam:*', 'sts:*', 'secretsmanager:DescribeSecret'], Resource: '*' },
        { Effect: 'Allow', Action: 'secretsmanager:*ResourcePolicy', Resource: '*' },
      ],
    };
    const env = await aws.makeUser('operator', rights);
    await change('grant', 'user:operator');
    const refused = await errorOf(changeAccess(controlWith(env), wish('revoke', 'user:operator'), now));
    expect(refused).toMatchObject({
      kind: 'Policy',
      message: expect.stringContaining('no longer be able to read'),
    });
    expect(await can(store(env))).toEqual(['app/db', 'describe']);
    // Its own policy for all secrets is left: nothing is lost.
    const admin = await errorOf(changeAccess(control, wish('revoke', 'user:admin'), now));
    expect(admin).toBeUndefined();
  });

  test.each([
    ['role/deplyo', 'NotFound', 'did you mean role/deploy?'],
    ['usr:alice', 'Usage', 'did you mean user:alice?'],
    ['*', 'Policy', '--broad'],
    ['account/999999999999', 'Policy', '--broad'],
    ['arn:aws:iam::999999999999:root', 'Policy', '--broad'],
    ['arn:aws:iam::999999999999:role/*', 'Usage', 'such as'],
    ['arn:aws:s3:::bucket', 'Usage', 'such as'],
    ['role/../x', 'Usage', 'such as'],
    ['alice', 'Usage', 'such as'],
  ])('%s is refused: %s', async (principal, kind, hint) => {
    const refused = await errorOf(change('grant', principal));
    expect([refused?.kind, refused?.hint]).toEqual([kind, expect.stringContaining(hint)]);
  });

  test('an account is granted only with --broad, and nobody ever makes a secret public', async () => {
    await change('grant', 'account/999999999999', { broad: true });
    expect(await policyOf('app/db')).toContain('arn:aws:iam::999999999999:root');
    expect(await control.list('app/db', now())).toContainEqual(
      expect.objectContaining({ ours: true, breadth: 'account' }),
    );
    await change('revoke', 'account/999999999999');
    expect(await policyOf('app/db')).toBeUndefined();
    expect((await errorOf(change('grant', '*', { broad: true })))?.kind).toBe('Unsupported');
  });

  test('list of a store shows what secrets granted, wherever it is', async () => {
    await aws.makeUser('frank', NOTHING);
    await change('grant', 'user:frank', { name: 'app/other' });
    await change('grant', 'user:frank', { name: 'app/db2', through: 'resource' });
    const listed = (await control.list(undefined, now())).filter(({ principal }) =>
      principal.endsWith('user/frank'),
    );
    expect(listed.map(({ secret, ours }) => [secret, ours]).toSorted()).toEqual([
      ['app/db2', true],
      ['app/other', true],
    ]);
    for (const name of ['app/other', 'app/db2']) await change('revoke', 'user:frank', { name });
    expect(
      (await control.list(undefined, now())).filter(({ principal }) => principal.endsWith('user/frank')),
    ).toEqual([]);
  });

  test('a plan that is out of date is refused', async () => {
    await aws.makeUser('gina', NOTHING);
    const plan = await control.plan(wish('grant', 'user:gina', { through: 'resource' }), now());
    await setPolicy('app/db', FOREIGN[2]?.[1]);
    expect((await errorOf(control.apply(plan, now())))?.kind).toBe('Conflict');
    expect(await policyOf('app/db')).toBe(FOREIGN[2]?.[1]);
    await setPolicy('app/db', undefined);
  });

  describe.each(['simulator', 'policies'] as const)('check, by the %s', (way) => {
    test('agrees with what AWS then does, over generated policies', async () => {
      const env = await aws.makeUser(`checked-${way}`, NOTHING);
      const user = store(env);
      const { principal } = await user.identity(now());
      const asker = await aws.makeUser(`asks-${way}`, {
        Version: '2012-10-17',
        Statement: [
          { Effect: 'Allow', Action: '*', Resource: '*' },
          ...(way === 'policies'
            ? [{ Effect: 'Deny', Action: 'iam:SimulatePrincipalPolicy', Resource: '*' }]
            : []),
        ],
      });
      const asking = controlWith(asker);
      const verdicts = { allowed: 0, denied: 0, unknown: 0 };
      for (let round = 0; round < sized(20, 200); round += 1) {
        const { identity, resource } = generated(round, principal, secrets.get('app/db') as string);
        await iam(({ sdk, client }, http) =>
          client.send(
            new sdk.PutUserPolicyCommand({
              UserName: `checked-${way}`,
              PolicyName: 'own',
              PolicyDocument: JSON.stringify(identity),
            }),
            http,
          ),
        );
        await setPolicy('app/db', resource === undefined ? undefined : JSON.stringify(resource));
        const { verdict, why, by } = await asking.check('app/db', `user:checked-${way}`, now());
        const isRead = (await kindOf(readOne(user, { name: 'app/db' }))) === 'no error';
        verdicts[verdict] += 1;
        expect(by).toBe(way === 'simulator' ? 'service' : 'policies');
        if (verdict !== 'unknown')
          expect({ round, identity, resource, why, verdict }).toEqual({
            ...{ round, identity, resource, why, verdict: isRead ? 'allowed' : 'denied' },
          });
      }
      await setPolicy('app/db', undefined);
      expect(Math.min(verdicts.allowed, verdicts.denied)).toBeGreaterThan(sized(2, 30));
      expect(verdicts.unknown).toBeLessThan(sized(12, 100));
    });
  });
});
