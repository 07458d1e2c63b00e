/** Grants in Conjur's double: what a principal's own credential can do before, during and after. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { changeAccess } from '../../src/access/change.ts';
import type { AccessWish } from '../../src/core/access/plan.ts';
import type { AccessControl } from '../../src/providers/capabilities/grants.ts';
import { ACCOUNT } from '../backends/conjur.ts';
import { kindOf, readOne } from '../contract/suite.ts';
import { ROOT } from '../e2e/program.ts';
import { all, now, type Store, useConjur } from '../providers/conjur/kit.ts';
import { failure } from '../providers/vault/kit.ts';
import { sized } from '../size.ts';

const NAMES = ['pay/db', 'pay/other', 'pay/db2', 'pay/db/deeper'];
const PRINCIPALS = ['host:ci/runner', 'user:alice', 'group:team', 'layer:web'];

describe('grants in conjur', () => {
  const kit = useConjur();

  type Granting = Store & { accessControl(): Promise<AccessControl> };
  const controlOf = (login = 'admin'): Promise<AccessControl> => (kit.as(login) as Granting).accessControl();
  const wish = (change: AccessWish['change'], principal: string, name = 'pay/db'): AccessWish => ({
    change,
    name,
    principal,
  });
  const change = async (...given: Parameters<typeof wish>) =>
    changeAccess(await controlOf(), wish(...given), now);

  /** What a login can do: read each secret, and anything else with the granted one. */
  async function readable(login: string): Promise<readonly string[]> {
    const own = kit.as(login);
    const found: string[] = [];
    for (const name of NAMES)
      if ((await readOne(own, { name }).catch(() => undefined)) !== undefined) found.push(name);
    if ((await kindOf(kit.put('pay/db', 'changed', own))) === 'no error') found.push('write');
    if ((await kindOf(own.delete('pay/db', {}, now()))) === 'no error') found.push('delete');
    return found;
  }

  /** Everything that grants could leave behind: every resource with its permits, and who holds what. */
  async function state(): Promise<unknown> {
    const resources = JSON.parse(await kit.conjur.api('GET', `/resources/${ACCOUNT}?limit=1000`)) as {
      readonly id: string;
    }[];
    return Promise.all(
      resources.map(async (one) => {
        const [, kind = '', id = ''] = one.id.split(':');
        if (!['host', 'user', 'group', 'layer', 'policy'].includes(kind)) return one;
        const path = `/roles/${ACCOUNT}/${kind}/${encodeURIComponent(id)}`;
        return [one, JSON.parse(await kit.conjur.api('GET', path))];
      }),
    );
  }

  beforeAll(async () => {
    await kit.conjur.policy(
      'root',
      `
- !host ci/runner
- !host ci/other
- !host teammate
- !host webserver
- !host operator
- !host keeper
- !user alice
- !group team
- !layer web
- !grant { role: !group team, member: !host teammate }
- !grant { role: !layer web, member: !host webserver }
- !policy pay
- !policy kept
- !permit { role: !host operator, privileges: [ read, update ], resource: !policy pay }
`,
    );
    await kit.conjur.policy('pay', '[ !variable db, !variable other, !variable db2, !variable db/deeper ]');
    await kit.conjur.policy('kept', '- !variable { id: own, owner: !host /keeper }');
    await kit.conjur.policy('root', '- !variable loose');
    for (const name of [...NAMES, 'loose']) await kit.put(name, name);
    await kit.put('kept/own', 'kept');
  });

  test.each([
    ['host:ci/runner', 'host/ci/runner'],
    ['user:alice', 'alice'],
    ['group:team', 'host/teammate'],
    ['layer:web', 'host/webserver'],
    [`${ACCOUNT}:host:ci/runner`, 'host/ci/runner'],
    ['host/ci/runner', 'host/ci/runner'],
  ])('%s reads the granted secret and nothing else, and nothing afterwards', async (principal, login) => {
    const before = await state();
    expect(await readable(login)).toEqual([]);
    const made = await change('grant', principal);
    expect(made.edits).toHaveLength(1);
    expect(await readable(login)).toEqual(['pay/db']);
    expect((await change('grant', principal)).edits).toEqual([]);
    await change('revoke', principal);
    expect(await readable(login)).toEqual([]);
    expect(await state()).toEqual(before);
    expect((await change('revoke', principal)).edits).toEqual([]);
  });

  test('the page shows the document that a grant loads', async () => {
    const page = readFileSync(join(ROOT, 'docs/conjur.md'), 'utf8');
    const shown = [...page.matchAll(/^```yaml\n(- !group[\s\S]*?)^```/gm)].map(([, text]) => text);
    const control = await controlOf();
    const { edits } = await control.plan(wish('grant', 'host:ci/runner'), now());
    expect(shown).toEqual([edits[0]?.after]);
  });

  test('a variable of the root policy can be granted as well', async () => {
    const before = await state();
    await change('grant', 'user:alice', 'loose');
    expect(Buffer.from((await readOne(kit.as('alice'), { name: 'loose' })).value).toString()).toBe('loose');
    await change('revoke', 'user:alice', 'loose');
    expect(await state()).toEqual(before);
  });

  test('one grant says nothing about another: of secrets and of principals', async () => {
    await change('grant', 'host:ci/runner');
    await change('grant', 'host:ci/runner', 'pay/other');
    await change('grant', 'user:alice');
    await change('revoke', 'host:ci/runner');
    expect(await readable('host/ci/runner')).toEqual(['pay/other']);
    expect(await readable('alice')).toEqual(['pay/db']);
    await change('revoke', 'host:ci/runner', 'pay/other');
    await change('revoke', 'user:alice');
  });

  test('a permit that others wrote stays, also for the same principal', async () => {
    const permit = (verb: string): string =>
      `- !${verb} { role: !host /ci/runner, privileges: [ execute ], resource: !variable db }`;
    await kit.conjur.policy('pay', permit('permit'));
    const before = await state();
    await change('grant', 'host:ci/runner');
    await change('revoke', 'host:ci/runner');
    expect(await state()).toEqual(before);
    expect(await readable('host/ci/runner')).toEqual(['pay/db']);
    await kit.conjur.policy('pay', permit('deny'));
    expect(await readable('host/ci/runner')).toEqual([]);
  });

  test('two grants at once to one principal both hold', async () => {
    const before = await state();
    for (let round = 0; round < sized(2, 8); round += 1) {
      // The next load into the policy waits until it was in the way of another.
      await kit.conjur.control('/meeting', '');
      await Promise.all(NAMES.slice(0, 2).map((name) => change('grant', 'host:ci/runner', name)));
      expect(await readable('host/ci/runner')).toEqual(['pay/db', 'pay/other']);
      for (const name of NAMES.slice(0, 2)) await change('revoke', 'host:ci/runner', name);
    }
    expect(await state()).toEqual(before);
  });

  test('a variable’s owner owns the grant, so that nobody else gains by it', async () => {
    const may = async (): Promise<unknown> => {
      const path = `/resources/${ACCOUNT}/variable/kept%2Fown?permitted_roles=true&privilege=execute`;
      return (JSON.parse(await kit.conjur.api('GET', path)) as string[]).toSorted();
    };
    const control = await controlOf('host/keeper');
    const refused = await failure(changeAccess(control, wish('grant', 'user:alice', 'kept/own'), now));
    expect([refused.kind, refused.message]).toEqual([
      'Denied',
      expect.stringContaining('may not update the policy kept'),
    ]);
    const before = (await may()) as string[];
    const { edits } = await change('grant', 'user:alice', 'kept/own');
    const group = `acme:group:kept/${/!group (.*)$/.exec(edits[0]?.place ?? '')?.[1]}`;
    expect(await may()).toEqual([...before, group, 'acme:user:alice'].toSorted());
    await change('revoke', 'user:alice', 'kept/own');
    expect(await may()).toEqual(before);
  });

  test('what somebody else made of a grant is not touched', async () => {
    const { edits } = await change('grant', 'user:alice');
    const group = /!group (.*)$/.exec(edits[0]?.place ?? '')?.[1];
    const grant = (verb: string): string => `- !${verb} { role: !group ${group}, member: !host /ci/other }`;
    await kit.conjur.policy('pay', grant('grant'));
    for (const verb of ['grant', 'revoke'] as const) {
      const refused = await failure(change(verb, 'user:alice'));
      expect([refused.kind, refused.message]).toEqual([
        'Conflict',
        expect.stringContaining('not as secrets wrote it'),
      ]);
    }
    await kit.conjur.policy('pay', grant('revoke'));
    await change('revoke', 'user:alice');
  });

  test('whoever would lock itself out is refused, and still has access', async () => {
    await change('grant', 'host:operator');
    const before = await state();
    const own = await controlOf('host/operator');
    const refused = await failure(changeAccess(own, wish('revoke', 'host:operator'), now));
    expect([refused.kind, refused.message]).toEqual([
      'Policy',
      expect.stringContaining('the change was undone'),
    ]);
    expect(await state()).toEqual(before);
    // It may update the policy without owning it, and doesn't see the groups that it declares.
    await changeAccess(own, wish('grant', 'user:alice'), now);
    expect(await readable('alice')).toEqual(['pay/db']);
    expect((await changeAccess(own, wish('grant', 'user:alice'), now)).edits).toEqual([]);
    await changeAccess(own, wish('revoke', 'user:alice'), now);
    expect(await readable('alice')).toEqual([]);
    await change('revoke', 'host:operator');
  });

  test.each([
    ['host:ci/runer', 'NotFound', 'did you mean host/ci/runner?'],
    ['hots:ci/runner', 'Usage', 'did you mean host:ci/runner?'],
    ['alice', 'Usage', 'such as host:ci/builds'],
    ['host:../ci', 'Usage', 'such as host:ci/builds'],
    ['*', 'Usage', 'such as host:ci/builds'],
  ])('%s is no principal: %s', async (principal, kind, hint) => {
    const before = await state();
    const refused = await failure(change('grant', principal));
    expect([refused.kind, refused.hint]).toEqual([kind, expect.stringContaining(hint)]);
    expect(await state()).toEqual(before);
  });

  test('a grant cannot end by itself, and a secret that is not there cannot be granted', async () => {
    const control = await controlOf();
    const until = new Date(Date.now() + 60_000);
    expect(await failure(control.plan({ ...wish('grant', 'user:alice'), until }, now()))).toMatchObject({
      kind: 'Unsupported',
      message: expect.stringContaining('end by themselves'),
    });
    expect((await failure(change('grant', 'user:alice', 'pay/none'))).kind).toBe('NotFound');
  });

  test('list shows owners, permits and grants, and a grant that nobody has', async () => {
    const control = await controlOf();
    for (const principal of PRINCIPALS) await change('grant', principal);
    const listed = await control.list('pay/db', now());
    expect(listed.map(({ principal, ours }) => [principal, ours])).toEqual([
      ['policy:pay', false],
      ...PRINCIPALS.map((principal) => [principal, true]),
    ]);
    const group = /^the group pay\/(.*)$/.exec(listed[1]?.through ?? '')?.[1];
    await kit.conjur.policy('pay', `- !revoke { role: !group ${group}, member: !host /ci/runner }`);
    expect((await control.list(undefined, now())).map(({ principal, idle }) => [principal, idle])).toEqual(
      expect.arrayContaining([
        ['host:ci/runner', 'it is not a member of the group'],
        ['user:alice', undefined],
      ]),
    );
    await kit.conjur.policy('pay', `- !grant { role: !group ${group}, member: !host /ci/runner }`);
    for (const principal of PRINCIPALS) await change('revoke', principal);
    expect(await control.list(undefined, now())).toEqual([]);
    expect(await all(kit.as('alice').list({}, now()))).toEqual([]);
  });

  test('list believes no group that only says that it is a grant', async () => {
    const control = await controlOf();
    const { edits } = await change('grant', 'user:alice');
    const group = /!group (.*)$/.exec(edits[0]?.place ?? '')?.[1] ?? '';
    const record = JSON.stringify({ variable: 'pay/db', principal: 'user:alice' });
    await kit.conjur.policy(
      'pay',
      `- !group { id: secrets-access-0-0, annotations: { secrets/grant: '${record}' } }
- !permit { role: !group secrets-access-0-0, privileges: [execute], resource: !variable db }
- !permit { role: !group ${group}, privileges: [execute], resource: !variable other }
- !grant { role: !group secrets-access-0-0, members: [!host /ci/other, !user /alice] }`,
    );
    const ours = async (name?: string) =>
      (await control.list(name, now())).filter((one) => one.ours).map((one) => [one.secret, one.principal]);
    expect(await ours()).toEqual([['pay/db', 'user:alice']]);
    expect(await ours('pay/other')).toEqual([]);
    expect((await control.list('pay/other', now())).map(({ principal }) => principal)).toContain(
      `group:pay/${group}`,
    );
    const grant = (verb: string): string => `- !${verb} { role: !group ${group}, member: !host /ci/other }`;
    await kit.conjur.policy('pay', grant('grant'));
    expect(await ours('pay/db')).toEqual([]);
    await kit.conjur.policy(
      'pay',
      `${grant('revoke')}
- !deny { role: !group ${group}, privileges: [execute], resource: !variable other }
- !delete { record: !group secrets-access-0-0 }`,
    );
    await change('revoke', 'user:alice');
  });

  test('check agrees with what Conjur then does, over generated policies', async () => {
    const control = await controlOf();
    const verdicts = new Map<string, number>();
    for (let round = 0; round < sized(25, 200); round += 1) {
      const { load, undo } = generated(round);
      await kit.conjur.policy('root', load);
      for (const [principal, login] of [
        ['host:ci/runner', 'host/ci/runner'],
        ['host:teammate', 'host/teammate'],
      ] as const) {
        const { verdict, why } = await control.check('pay/db', principal, now());
        const own = await kindOf(readOne(kit.as(login), { name: 'pay/db' }));
        expect({ round, load, why, verdict }).toEqual({
          ...{ round, load, why },
          verdict: own === 'no error' ? 'allowed' : 'denied',
        });
        const self = await (await controlOf(login)).check('pay/db', 'self', now()).catch(() => undefined);
        expect(self?.verdict ?? 'denied').toBe(verdict);
        verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
      }
      await kit.conjur.policy('root', undo);
    }
    for (const verdict of ['allowed', 'denied'])
      expect(verdicts.get(verdict) ?? 0).toBeGreaterThan(sized(5, 80));
  });
});

/** Permits and memberships that let some read, and the document that takes them back. */
function generated(round: number): { readonly load: string; readonly undo: string } {
  let state = round * 7919 + 17;
  const pick = <T>(list: readonly T[]): T => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return list[Math.floor((state / 2147483648) * list.length)] as T;
  };
  const roles = ['!host ci/runner', '!host teammate', '!group team', '!layer web', '!host ci/other'];
  const permits = Array.from({ length: pick([1, 2, 3]) }, () => {
    const variable = pick(['pay/db', 'pay/db', 'pay/other']);
    return `{ role: ${pick(roles)}, privileges: [ ${pick(['execute', 'read', 'update', 'read, execute'])} ], resource: !variable ${variable} }`;
  });
  const members = Array.from(
    { length: pick([0, 1]) },
    () => `{ role: !layer web, member: ${pick(['!host ci/runner', '!group team', '!host ci/other'])} }`,
  );
  return {
    load: [...permits.map((one) => `- !permit ${one}`), ...members.map((one) => `- !grant ${one}`)].join(
      '\n',
    ),
    undo: [...permits.map((one) => `- !deny ${one}`), ...members.map((one) => `- !revoke ${one}`)].join('\n'),
  };
}
