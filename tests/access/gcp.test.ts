/** Grants in Google's double: what a principal's own credential can do before, during and after. */
import { changeAccess } from '../../src/access/change.ts';
import type { AccessWish } from '../../src/core/access/plan.ts';
import type { AccessControl } from '../../src/providers/capabilities/grants.ts';
import type { StoreSettings } from '../../src/core/trust.ts';
import type { Account } from '../backends/gcp.ts';
import { kindOf } from '../contract/suite.ts';
import { bytes, now, readText, type Bench, startBench, startMiddleman } from '../providers/gcp/setup.ts';
import { failure } from '../providers/vault/kit.ts';
import { sized } from '../size.ts';

const NAMES = ['app-db', 'app-other', 'app-db2'];
const FOREIGN = [
  { role: 'roles/secretmanager.viewer', members: ['user:ada@example.com', 'group:ops@example.com'] },
  {
    role: 'roles/secretmanager.secretAccessor',
    members: ['group:team@example.com'],
    condition: {
      title: 'until the audit',
      description: '',
      expression: 'request.time < timestamp("2030-01-01T00:00:00Z")',
    },
  },
  { role: 'roles/secretmanager.secretAccessor', members: ['user:zoe@example.com'] },
];

describe.each(['rest', 'grpc'] as const)('grants in gcp over %s', (transport) => {
  let bench: Bench;
  let admin: Account;
  const accounts = new Map<string, Account>();

  const controlOf = (account: Account, settings: StoreSettings = {}): Promise<AccessControl> => {
    const provider = bench.store(account, settings) as unknown as {
      accessControl(): Promise<AccessControl>;
    };
    return provider.accessControl();
  };
  const wish = (change: AccessWish['change'], principal: string, name = 'app-db'): AccessWish => ({
    change,
    name,
    principal,
  });
  const change = async (given: AccessWish, account = admin) =>
    changeAccess(await controlOf(account), given, now);
  const accountOf = (name: string): Account => accounts.get(name) as Account;

  /** What an account can do: read each secret, and anything else with the granted one. */
  async function readable(name: string): Promise<readonly string[]> {
    const own = bench.store(accountOf(name));
    const found: string[] = [];
    for (const secret of NAMES)
      if ((await readText(own, secret).catch(() => undefined)) !== undefined) found.push(secret);
    if ((await kindOf(own.put('app-db', { value: bytes('changed') }, now()))) === 'no error')
      found.push('write');
    if ((await kindOf(own.delete('app-db', {}, now()))) === 'no error') found.push('delete');
    return found;
  }

  const resource = (name: string): string => `projects/${bench.gcp.project}/secrets/${name}`;
  async function policyOf(name = 'app-db'): Promise<unknown> {
    const [policy] = await bench
      .native(admin)
      .getIamPolicy({ resource: resource(name), options: { requestedPolicyVersion: 3 } });
    return { version: policy.version, bindings: policy.bindings };
  }
  async function setPolicy(bindings: readonly object[], name = 'app-db'): Promise<void> {
    await bench
      .native(admin)
      .setIamPolicy({ resource: resource(name), policy: { version: 3, bindings: [...bindings] as never } });
  }

  beforeAll(async () => {
    bench = await startBench(transport);
    admin = await bench.gcp.account('admin', ['roles/secretmanager.admin']);
    for (const name of ['ci', 'other']) accounts.set(name, await bench.gcp.account(name, []));
    accounts.set('operator', await bench.gcp.account('operator', ['roles/iam.securityAdmin']));
    await bench.gcp.door('group', {
      group: 'group:deployers@example.com',
      members: [`serviceAccount:${accountOf('other').email}`],
    });
    const store = bench.store(admin);
    for (const name of NAMES) await store.put(name, { value: bytes(name) }, now());
  });
  afterAll(() => bench.stop());
  beforeEach(() => setPolicy(FOREIGN));

  test('a principal reads the granted secret and nothing else, and nothing afterwards', async () => {
    for (const [principal, name] of [
      ['sa/ci', 'ci'],
      [`serviceAccount:${accountOf('ci').email}`, 'ci'],
      ['group:deployers@example.com', 'other'],
    ] as const) {
      const before = await policyOf();
      expect(await readable(name)).toEqual([]);
      await change(wish('grant', principal));
      expect(await readable(name)).toEqual(['app-db']);
      expect((await change(wish('grant', principal))).edits).toEqual([]);
      await change(wish('revoke', principal));
      expect(await readable(name)).toEqual([]);
      expect(await policyOf()).toEqual(before);
      expect((await change(wish('revoke', principal))).edits).toEqual([]);
    }
  });

  test('what others granted stays, also to the same principal', async () => {
    const member = `serviceAccount:${accountOf('ci').email}`;
    await setPolicy([...FOREIGN, { role: 'roles/secretmanager.secretAccessor', members: [member] }]);
    const before = await policyOf();
    await change(wish('grant', 'sa/ci'));
    const during = (await policyOf()) as { readonly bindings: readonly unknown[] };
    expect(during.bindings.slice(0, -1)).toEqual((before as typeof during).bindings);
    await change(wish('revoke', 'sa/ci'));
    expect(await policyOf()).toEqual(before);
    expect(await readable('ci')).toEqual(['app-db']);
  });

  test('--for ends the grant by itself, and revoke removes what has ended', async () => {
    const before = await policyOf();
    const until = new Date(Math.floor(Date.now() / 1000 + 3600) * 1000);
    await change({ ...wish('grant', 'sa/ci'), until });
    expect(await readable('ci')).toEqual(['app-db']);
    const control = await controlOf(admin);
    const listed = await control.list('app-db', now());
    expect(listed.filter(({ ours }) => ours)).toEqual([
      expect.objectContaining({ principal: `serviceAccount:${accountOf('ci').email}`, until }),
    ]);
    await bench.gcp.door('later', { seconds: 3601 });
    try {
      expect(await readable('ci')).toEqual([]);
    } finally {
      await bench.gcp.door('later', { seconds: 0 });
    }
    // A new end takes the place of the old one.
    await change(wish('grant', 'sa/ci'));
    expect((await control.list(undefined, now())).map(({ until: end }) => end)).toEqual([undefined]);
    await change(wish('revoke', 'sa/ci'));
    expect(await policyOf()).toEqual(before);
  });

  test('a binding of ours that somebody else has edited is not touched', async () => {
    await change(wish('grant', 'sa/ci'));
    const { bindings } = (await policyOf()) as { readonly bindings: readonly { members: string[] }[] };
    const edited = bindings.map((one, index) =>
      index === bindings.length - 1 ? { ...one, members: [...one.members, 'user:eve@example.com'] } : one,
    );
    await setPolicy(edited);
    const refused = await failure(change(wish('revoke', 'sa/ci')));
    expect([refused.kind, refused.message]).toEqual([
      'Conflict',
      expect.stringContaining('not as secrets wrote it'),
    ]);
  });

  test('whoever would lock itself out is refused, and still has access', async () => {
    await change(wish('grant', 'sa/operator'));
    const before = await policyOf();
    const refused = await failure(change(wish('revoke', 'sa/operator'), accountOf('operator')));
    expect([refused.kind, refused.message]).toEqual([
      'Policy',
      expect.stringContaining('the change was undone'),
    ]);
    expect(await policyOf()).toEqual(before);
    expect(await readable('operator')).toEqual(['app-db']);
  });

  test.each([
    ['*', 'Usage', 'would make the secret public'],
    ['allUsers', 'Usage', 'would make the secret public'],
    ['allAuthenticatedUsers', 'Usage', 'would make the secret public'],
    ['domain:example.com', 'Policy', 'everybody in domain:example.com'],
    [
      'principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/*',
      'Policy',
      'everybody in principalSet:',
    ],
    ['group:team', 'Usage', '"team" is not an email address'],
    ['usr:ada@example.com', 'Usage', 'usr is not a kind of principal here'],
    ['ada@example.com', 'Usage', 'its kind is missing'],
    ['principal://elsewhere/x', 'Usage', 'principal is not a kind'],
    ['sa/nobody-there', 'Invalid', 'does not exist'],
  ])('%s is refused: %s', async (principal, kind, message) => {
    const before = await policyOf();
    const refused = await failure(change(wish('grant', principal)));
    expect([refused.kind, refused.message]).toEqual([kind, expect.stringContaining(message)]);
    expect(await policyOf()).toEqual(before);
  });

  test.each([
    'principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p-1.svc.id.goog/subject/ns/web/sa/api',
    'principal://iam.googleapis.com/locations/global/workforcePools/staff/subject/Ada@example.com',
  ])('an identity of a pool is granted as it is written: %s', async (principal) => {
    const before = await policyOf();
    expect((await change(wish('grant', principal))).principal).toBe(principal);
    await change(wish('revoke', principal));
    expect(await policyOf()).toEqual(before);
  });

  test('a broad grant is made when it is asked for, and taken back', async () => {
    const before = await policyOf();
    await change({ ...wish('grant', 'domain:example.com'), broad: true });
    const control = await controlOf(admin);
    expect((await control.list('app-db', now())).find(({ ours }) => ours)).toMatchObject({
      ...{ principal: 'domain:example.com', breadth: 'account' },
    });
    await change(wish('revoke', 'domain:example.com'));
    expect(await policyOf()).toEqual(before);
  });

  test('check knows which roles read, and says what it has not seen', async () => {
    const control = await controlOf(admin);
    const check = async (role: string) => {
      await setPolicy([{ role, members: [`serviceAccount:${accountOf('ci').email}`] }]);
      const { verdict, why } = await control.check('app-db', 'sa/ci', now());
      return [verdict, why];
    };
    expect(await check('roles/secretmanager.secretAccessor')).toEqual([
      'allowed',
      'roles/secretmanager.secretAccessor on the secret, unless a deny policy forbids it',
    ]);
    expect(await check('roles/editor')).toEqual([
      'unknown',
      'roles/editor on the secret depends on what that role allows',
    ]);
  });

  test('check agrees with what Google then does, over generated policies', async () => {
    const control = await controlOf(admin);
    const verdicts = new Map<string, number>();
    for (let round = 0; round < sized(20, 200); round += 1) {
      const bindings = generated(round, `serviceAccount:${accountOf('ci').email}`);
      await setPolicy(bindings);
      const { verdict, why } = await control.check('app-db', 'sa/ci', now());
      const own = await kindOf(readText(bench.store(accountOf('ci')), 'app-db'));
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
      if (verdict === 'allowed') expect({ round, bindings, why, own }).toMatchObject({ own: 'no error' });
      const self = await (await controlOf(accountOf('ci'))).check('app-db', 'self', now());
      expect({ round, bindings, verdict: self.verdict }).toMatchObject({
        verdict: own === 'no error' ? 'allowed' : 'denied',
      });
      // What can't be read is never called allowed; what can is found unless it comes through a group.
      if (own !== 'no error') expect(verdict).toBe('unknown');
    }
    for (const verdict of ['allowed', 'unknown'])
      expect(verdicts.get(verdict) ?? 0).toBeGreaterThan(sized(2, 40));
  });
});

test('two grants at once both hold: the one that comes second reads the policy again', async () => {
  const bench = await startBench();
  const admin = await bench.gcp.account('admin', ['roles/secretmanager.admin']);
  const principals = ['sa/one', 'sa/two'];
  const accounts = await Promise.all(['one', 'two'].map((name) => bench.gcp.account(name, [])));
  await bench.store(admin).put('app-db', { value: bytes('x') }, now());
  let waiting = 0;
  let open = (): void => {};
  const bothAreThere = new Promise<void>((resolve) => (open = resolve));
  // Both have read the policy, and neither has written it.
  const middleman = await startMiddleman(bench.gcp, async (request) => {
    if (!request.includes(':setIamPolicy')) return undefined;
    if ((waiting += 1) === 2) open();
    await bothAreThere;
    return undefined;
  });
  try {
    await Promise.all(
      principals.map(async (principal) => {
        const provider = bench.store(admin, { endpoint: middleman.url }) as unknown as {
          accessControl(): Promise<AccessControl>;
        };
        const wish: AccessWish = { change: 'grant', name: 'app-db', principal };
        await changeAccess(await provider.accessControl(), wish, now);
      }),
    );
    for (const account of accounts) expect(await readText(bench.store(account), 'app-db')).toBe('x');
    const writes = middleman.seen.filter((line) => line.includes(':setIamPolicy'));
    expect(writes.length).toBeGreaterThan(2);
  } finally {
    await middleman.stop();
    await bench.stop();
  }
});

/** Bindings that may let a principal read: of several roles, members and conditions. */
function generated(round: number, member: string): readonly object[] {
  let state = round * 7919 + 17;
  const pick = <T>(list: readonly T[]): T => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return list[Math.floor((state / 2147483648) * list.length)] as T;
  };
  const count = pick([1, 2, 3]);
  return Array.from({ length: count }, () => {
    const expression = pick([
      '',
      '',
      'request.time < timestamp("2099-01-01T00:00:00Z")',
      'request.time < timestamp("2020-01-01T00:00:00Z")',
      'resource.service == "secretmanager.googleapis.com"',
      'resource.service == "storage.googleapis.com"',
    ]);
    const who = pick([member, member, 'user:ada@example.com', 'allAuthenticatedUsers']);
    const isConditional = expression !== '' && !who.startsWith('all');
    return {
      role: pick([
        'roles/secretmanager.secretAccessor',
        'roles/secretmanager.secretAccessor',
        'roles/secretmanager.viewer',
        'roles/secretmanager.admin',
        'projects/tests/roles/own',
      ]),
      members: [who],
      ...(isConditional && { condition: { title: 'generated', expression } }),
    };
  });
}
