/** Decisions against a second engine, in bounded work for many policies and secrets, and by what was read first. */
import fc from 'fast-check';
import { ACTIONS, type PolicyAction } from '../../src/core/policy/actions.ts';
import type { PolicyRequest } from '../../src/core/policy/request.ts';
import { type LayerName, POLICY_FILE } from '../../src/policy/find.ts';
import { Policy } from '../../src/policy/policy.ts';
import { sized } from '../size.ts';
import { LOCAL, makePolicyMachine } from './kit.ts';
import { decideAgain, type GeneratedPolicy, type Test, toCedar } from './second-engine.ts';

const users = fc.constantFrom('ann', 'bob');
const groups = fc.constantFrom('dev', 'ops');
const stores = fc.constantFrom('local', 'prod');
const prefixes = fc.constantFrom('app/', 'app/db/', 'x/');
const names = fc.constantFrom('app/db', 'app/db/a', 'application', 'x/y', 'a"b\\c');

const contextTest: fc.Arbitrary<Test> = fc.oneof(
  fc.record({ kind: fc.constant('hour' as const), below: fc.integer({ min: 0, max: 24 }) }),
  fc.constant({ kind: 'terminal' as const }),
  fc.record({ kind: fc.constant('reason' as const), start: fc.constantFrom('', 'INC-', 'x') }),
);
const secretTest: fc.Arbitrary<Test> = fc.oneof(
  contextTest,
  fc.record({
    kind: fc.constant('label' as const),
    key: fc.constantFrom('env', 'team'),
    value: fc.constantFrom('test', 'prod'),
  }),
  fc.record({ kind: fc.constant('name' as const), start: fc.constantFrom('app', 'x/') }),
);
const combined = (leaf: fc.Arbitrary<Test>): fc.Arbitrary<Test> =>
  fc.oneof(
    leaf,
    fc.record({ kind: fc.constant('not' as const), of: leaf }),
    fc.record({ kind: fc.constantFrom('and' as const, 'or' as const), left: leaf, right: leaf }),
  );

const who: fc.Arbitrary<GeneratedPolicy['who']> = fc.oneof(
  fc.constant({ op: 'any' as const }),
  fc.record({ op: fc.constantFrom('is user' as const, 'in user' as const), id: users }),
  fc.record({ op: fc.constant('in group' as const), id: groups }),
  fc.constant({ op: 'is client' as const, id: 'vault' }),
  fc.constant({ op: 'any client' as const }),
);
const actions = fc.oneof(
  fc.constant([]),
  fc.uniqueArray(fc.constantFrom(...ACTIONS), { minLength: 1, maxLength: 4 }),
);

function policyWith(
  where: fc.Arbitrary<GeneratedPolicy['where']>,
  leaf: fc.Arbitrary<Test>,
  of: fc.Arbitrary<readonly PolicyAction[]> = actions,
): fc.Arbitrary<GeneratedPolicy> {
  const clause = fc.option(combined(leaf), { nil: undefined });
  const effect = fc.constantFrom('permit' as const, 'permit' as const, 'forbid' as const);
  return fc.record({ effect, who, actions: of, where, when: clause, unless: clause });
}

/** Of secrets alone. */
const ofSecrets = fc.uniqueArray(
  fc.constantFrom(...ACTIONS.filter((action) => action !== 'list' && action !== 'rekey')),
  { minLength: 1, maxLength: 4 },
);
const policies: fc.Arbitrary<GeneratedPolicy> = fc.oneof(
  policyWith(
    fc.oneof(
      fc.constant({ op: 'any' as const }),
      fc.record({ op: fc.constant('store' as const), store: stores }),
      fc.record({ op: fc.constant('prefix' as const), store: stores, name: prefixes }),
    ),
    contextTest,
  ),
  policyWith(
    fc.oneof(
      fc.constant({ op: 'secret' as const }),
      fc.record({ op: fc.constant('is' as const), store: stores, name: names }),
      fc.record({ op: fc.constant('secret in prefix' as const), store: stores, name: prefixes }),
    ),
    secretTest,
    ofSecrets,
  ),
);

const requests: fc.Arbitrary<PolicyRequest> = fc
  .record({
    id: users,
    of: fc.uniqueArray(groups),
    client: fc.option(fc.constant('vault'), { nil: undefined }),
    action: fc.constantFrom(...ACTIONS),
    store: stores,
    name: names,
    prefix: fc.option(prefixes, { nil: undefined }),
    labels: fc.dictionary(fc.constantFrom('env', 'team'), fc.constantFrom('test', 'prod')),
    hour: fc.integer({ min: 0, max: 23 }),
    terminal: fc.boolean(),
    reason: fc.option(fc.constantFrom('INC-1', 'xyz', ''), { nil: undefined }),
  })
  .map(({ id, of, client, action, store, name, prefix, labels, hour, terminal, reason }): PolicyRequest => ({
    principal: { id, uid: 1, groups: of, client },
    action,
    resource: {
      store,
      provider: 'local',
      name: action === 'rekey' ? undefined : action === 'list' ? prefix : name,
      labels: { ...labels },
    },
    circumstances: { command: 'get', ci: false, terminal, hour, weekday: 1, reason, host: 'h' },
  }));

const layerNames: readonly LayerName[] = ['machine', 'project'];

test('generated policies are decided as a second engine decides them', () => {
  let allowed = 0;
  let denied = 0;
  fc.assert(
    fc.property(
      fc.array(fc.array(policies, { maxLength: 6 }), { minLength: 1, maxLength: 2 }),
      fc.array(requests, { minLength: 20, maxLength: 20 }),
      (files, asked) => {
        const layers = files.map((own, index) => ({ name: layerNames[index] ?? 'project', policies: own }));
        const policy = Policy.of(
          layers.map(({ name, policies: own }) => ({
            layer: name,
            path: `/${name}/${POLICY_FILE}`,
            text: own.map((one, index) => toCedar(one, `p${index}`)).join('\n'),
          })),
        );
        for (const request of asked) {
          const decision = policy.decide(request);
          const again = decideAgain(layers, request);
          expect({
            request,
            allowed: decision.allowed,
            policies: [...decision.policies].toSorted(),
          }).toEqual({ request, allowed: again.allowed, policies: [...again.policies].toSorted() });
          if (decision.allowed) allowed += 1;
          else denied += 1;
        }
      },
    ),
    { numRuns: sized(60, 1000) },
  );
  // Neither answer is rare, or the comparison would say little.
  expect(Math.min(allowed, denied)).toBeGreaterThan((allowed + denied) / 20);
});

describe('a thousand policies and ten thousand secrets', () => {
  const text = Array.from(
    { length: 1000 },
    (_, n) =>
      `@id("team-${n}") permit (principal, action == Action::"read", resource in Prefix::"local://team-${n}/");`,
  ).join('\n');
  const policy = Policy.of([
    {
      layer: 'project',
      path: `/${POLICY_FILE}`,
      text: `${text}\n@id("no") forbid (principal, action == Action::"purge", resource);`,
    },
  ]);
  const request = (name: string): PolicyRequest => ({
    principal: { id: 'ann', uid: 1, groups: [], client: undefined },
    action: 'read',
    resource: { store: 'local', provider: 'local', name },
    circumstances: { command: 'get', ci: false, terminal: true, hour: 1, weekday: 1, host: 'h' },
  });

  test('each secret is decided by the policies about it, which Cedar parses once', () => {
    const before = policy.evaluations;
    for (let n = 0; n < 10_000; n += 1) {
      const decision = policy.decide(request(`team-${n % 1000}/secret-${n}`));
      if (!decision.allowed || decision.policies[0] !== `project:team-${n % 1000}`)
        throw new Error(`team-${n % 1000}: ${JSON.stringify(decision)}`);
    }
    // Once for each prefix, since no condition looks at the secret itself.
    expect(policy.evaluations - before).toBe(1000);
    // The ones that name the prefix, and the one about everything.
    expect(policy.largestSet).toBe(2);
    expect(policy.sets).toBeLessThanOrEqual(1001);
  });
});

test('a run decides by what it has read, whatever becomes of the file', () => {
  const machine = makePolicyMachine();
  try {
    machine.policy('project', '@id("a") permit (principal, action, resource);');
    const judge = machine.judge();
    machine.policy('project', '@id("b") forbid (principal, action, resource);');
    expect(judge.decide(LOCAL, 'read', 'x')).toEqual({ allowed: true, policies: ['project:a'] });
    expect(machine.judge().decide(LOCAL, 'read', 'x')).toMatchObject({
      allowed: false,
      policies: ['project:b'],
    });
  } finally {
    machine.remove();
  }
});
