/** Grants in Azure's double: what a principal's own credential can do before, during and after. */
import { randomUUID } from 'node:crypto';
import { changeAccess } from '../../src/access/change.ts';
import type { AccessWish } from '../../src/core/access/plan.ts';
import type { AccessControl } from '../../src/providers/capabilities/grants.ts';
import { scenarioFiles } from '../backends/azure.ts';
import { vaultId } from '../backends/azure/arm.ts';
import { describeWith } from '../backends/server.ts';
import { bytes, kindOf, now, readOne } from '../contract/kit.ts';
import { useAzure } from '../providers/azure-kit.ts';
import { failure } from '../providers/vault/kit.ts';
import { sized } from '../size.ts';

const NAMES = ['app-db', 'app-other', 'app-db2'];
const USER = '4633458b-17de-408a-b874-0445c86b69e6';
const READER = '21090545-7ca7-4776-b22c-e363652d74d2';
const OFFICER = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7';

describeWith('grants in azure', scenarioFiles, () => {
  const kit = useAzure();
  type Role = Parameters<typeof kit.azure.env>[0];

  const controlOf = (role: Role = 'officer'): Promise<AccessControl> =>
    (
      kit.start(kit.azure.env(role)) as unknown as { accessControl(): Promise<AccessControl> }
    ).accessControl();
  const sp = (role: Role): string => `sp:${kit.azure.objectId(role)}`;
  const wish = (change: AccessWish['change'], principal: string, name = 'app-db'): AccessWish => ({
    change,
    name,
    principal,
  });
  const change = async (given: AccessWish, role: Role = 'officer') =>
    changeAccess(await controlOf(role), given, now);

  /** What an application can do: read each secret, and anything else with the granted one. */
  async function readable(role: Role): Promise<readonly string[]> {
    const own = kit.start(kit.azure.env(role));
    const found: string[] = [];
    for (const name of NAMES)
      if ((await readOne(own, { name }).catch(() => undefined)) !== undefined) found.push(name);
    if ((await kindOf(own.put('app-db', { value: bytes('changed') }, now()))) === 'no error')
      found.push('write');
    if ((await kindOf(own.delete('app-db', {}, now()))) === 'no error') found.push('delete');
    return found;
  }

  /** Somebody else's role assignment. */
  function assign(principalId: string, role: string, scope: string): string {
    const name = randomUUID();
    const id = `${scope}/providers/Microsoft.Authorization/roleAssignments/${name}`;
    const roleDefinitionId = `/providers/Microsoft.Authorization/roleDefinitions/${role}`;
    const properties = { principalId, principalType: 'ServicePrincipal', roleDefinitionId, scope };
    kit.azure.arm.assignments.set(id.toLowerCase(), { id, name, properties });
    return id.toLowerCase();
  }
  const state = (): unknown => structuredClone([...kit.azure.arm.assignments]);
  const scopeOf = (name: string): string => `${vaultId('tests')}/secrets/${name}`;

  beforeAll(async () => {
    const officer = kit.start(kit.azure.env('officer'));
    for (const name of NAMES) await officer.put(name, { value: bytes(name) }, now());
  });
  beforeEach(() => {
    kit.azure.arm.assignments.clear();
    kit.azure.arm.pausing = undefined;
    for (const role of [READER, OFFICER]) assign(kit.azure.objectId('writer'), role, scopeOf('app-other'));
    assign(kit.azure.objectId('writer'), READER, vaultId('tests'));
  });

  test('a principal reads the granted secret and nothing else, and nothing afterwards', async () => {
    const group = randomUUID();
    kit.azure.arm.directory.set(group, 'Group');
    kit.azure.arm.members.set(group, [kit.azure.objectId('nobody')]);
    for (const principal of [sp('nobody'), sp('nobody').replace(':', '/').toUpperCase(), `group:${group}`]) {
      const before = state();
      expect(await readable('nobody')).toEqual([]);
      expect((await change(wish('grant', principal))).edits).toHaveLength(1);
      expect(await readable('nobody')).toEqual(['app-db']);
      expect((await change(wish('grant', principal))).edits).toEqual([]);
      await change(wish('revoke', principal));
      expect(await readable('nobody')).toEqual([]);
      expect(state()).toEqual(before);
      expect((await change(wish('revoke', principal))).edits).toEqual([]);
    }
  });

  test('an assignment that others made is neither doubled nor removed', async () => {
    assign(kit.azure.objectId('nobody'), USER, scopeOf('app-db'));
    const before = state();
    expect((await change(wish('grant', sp('nobody')))).edits).toEqual([]);
    expect((await change(wish('revoke', sp('nobody')))).edits).toEqual([]);
    expect(state()).toEqual(before);
    expect(await readable('nobody')).toEqual(['app-db']);
    // With a condition it may give nothing, and Azure takes no second one.
    for (const [key, one] of kit.azure.arm.assignments)
      if (one.properties['scope'] === scopeOf('app-db'))
        kit.azure.arm.assignments.set(key, { ...one, properties: { ...one.properties, condition: '@x' } });
    expect(await failure(change(wish('grant', sp('nobody'))))).toMatchObject({
      ...{ kind: 'Conflict', message: 'somebody else has assigned this role with a condition' },
    });
    expect((await change(wish('revoke', sp('nobody')))).edits).toEqual([]);
  });

  test('two grants at once both hold, of one principal and of the same secret', async () => {
    const before = state();
    let waiting = 0;
    let open = (): void => {};
    const allAreThere = new Promise<void>((resolve) => (open = resolve));
    // All have read, and none has written.
    kit.azure.arm.pausing = async () => {
      if ((waiting += 1) === 3) open();
      await allAreThere;
    };
    const wishes = [
      wish('grant', sp('nobody')),
      wish('grant', sp('nobody'), 'app-other'),
      wish('grant', sp('nobody')),
    ];
    await Promise.all(wishes.map((one) => change(one)));
    expect(await readable('nobody')).toEqual(['app-db', 'app-other']);
    for (const name of ['app-db', 'app-other']) await change(wish('revoke', sp('nobody'), name));
    expect(state()).toEqual(before);
  });

  test('a grant that somebody else has edited is not touched', async () => {
    const { edits } = await change(wish('grant', sp('nobody')));
    const key = edits[0]?.place.toLowerCase() ?? '';
    const made = kit.azure.arm.assignments.get(key);
    const properties = { ...made?.properties, roleDefinitionId: `/x/${OFFICER}` };
    kit.azure.arm.assignments.set(key, { id: key, name: made?.name ?? '', properties });
    const refused = await failure(change(wish('revoke', sp('nobody'))));
    expect([refused.kind, refused.message]).toEqual([
      'Conflict',
      expect.stringContaining('not as secrets wrote it'),
    ]);
  });

  test('whoever would lock itself out is refused, and still has access', async () => {
    await change(wish('grant', sp('nobody')));
    kit.azure.arm.administrators.add(kit.azure.objectId('nobody'));
    const before = state();
    const refused = await failure(change(wish('revoke', sp('nobody')), 'nobody'));
    kit.azure.arm.administrators.delete(kit.azure.objectId('nobody'));
    expect([refused.kind, refused.message]).toEqual([
      'Policy',
      expect.stringContaining('the change was undone'),
    ]);
    expect(state()).toEqual(before);
    expect(await readable('nobody')).toEqual(['app-db']);
  });

  test.each([
    ['sp:99999999-9999-4999-8999-999999999999', 'NotFound', 'no such principal'],
    ['user:ada@example.test', 'Usage', 'assigns roles to object ids'],
    ['usr:99999999-9999-4999-8999-999999999999', 'Usage', 'usr is not a kind'],
    ['*', 'Usage', 'none for everybody'],
  ])('%s is refused: %s', async (principal, kind, message) => {
    const before = state();
    const refused = await failure(change(wish('grant', principal)));
    expect([refused.kind, refused.message]).toEqual([kind, expect.stringContaining(message)]);
    expect(state()).toEqual(before);
  });

  test('what Azure can’t do is refused with the reason', async () => {
    const control = await controlOf();
    const until = new Date(Date.now() + 60_000);
    const plan = (given: AccessWish) => failure(control.plan(given, now()));
    expect(await plan({ ...wish('grant', sp('nobody')), until })).toMatchObject({
      ...{ kind: 'Unsupported', message: expect.stringContaining('don’t end by themselves') as string },
    });
    kit.azure.arm.withPolicies.add('tests');
    const refused = await plan(wish('grant', sp('nobody')));
    kit.azure.arm.withPolicies.delete('tests');
    expect([refused.kind, refused.message]).toEqual([
      'Unsupported',
      expect.stringContaining('uses access policies'),
    ]);
    expect(await failure(change(wish('grant', sp('nobody')), 'user'))).toMatchObject({
      ...{
        kind: 'NotFound',
        message: expect.stringContaining('no subscription that you may read') as string,
      },
    });
  });

  test('list shows who may read, and what secrets granted', async () => {
    await change(wish('grant', sp('nobody')));
    await change(wish('grant', sp('user'), 'app-other'));
    const control = await controlOf();
    const short = (await control.list(undefined, now())).map(({ secret, principal }) => [secret, principal]);
    expect(short).toEqual([
      ['app-db', sp('nobody')],
      ['app-other', sp('user')],
    ]);
    const listed = await control.list('app-other', now());
    expect(listed.map(({ principal, ours, through }) => [principal, ours, through])).toEqual([
      [sp('writer'), false, 'Key Vault Secrets Officer'],
      [sp('user'), true, 'Key Vault Secrets User'],
    ]);
  });

  test('check agrees with what Azure then does, over generated assignments', async () => {
    const control = await controlOf();
    const own = await controlOf('nobody');
    const verdicts = new Map<string, number>();
    for (let round = 0; round < sized(25, 200); round += 1) {
      kit.azure.arm.assignments.clear();
      let seed = round * 7919 + 17;
      const pick = <T>(list: readonly T[]): T => {
        seed = (seed * 1103515245 + 12345) % 2147483648;
        return list[Math.floor((seed / 2147483648) * list.length)] as T;
      };
      for (let count = pick([1, 2, 3]); count > 0; count -= 1)
        assign(
          kit.azure.objectId(pick(['nobody', 'nobody', 'writer'])),
          pick([USER, READER, OFFICER]),
          pick([scopeOf('app-db'), scopeOf('app-db2'), vaultId('tests'), vaultId('guarded')]),
        );
      const { verdict, why } = await control.check('app-db', sp('nobody'), now());
      if (verdict === 'allowed') expect(why).toContain('unless a deny assignment forbids it');
      const isRead =
        (await kindOf(readOne(kit.start(kit.azure.env('nobody')), { name: 'app-db' }))) === 'no error';
      expect([round, state(), verdict]).toEqual([round, state(), isRead ? 'allowed' : 'unknown']);
      const self = await own.check('app-db', 'self', now());
      expect(self.verdict).toBe(isRead ? 'allowed' : 'denied');
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
    }
    for (const verdict of ['allowed', 'unknown'])
      expect(verdicts.get(verdict) ?? 0).toBeGreaterThan(sized(3, 40));
  });
});
