import { judgeSharedGrants } from '../../src/core/findings/posture.ts';
import { judge, judgeNative } from '../../src/core/rotation/schedule.ts';
import { daysAgo, facts, judged, NOW, version } from './kit.ts';

const DAY_MS = 86_400_000;

function rulesOf(...args: Parameters<typeof judged>): readonly string[] {
  return judged(...args).map(({ rule }) => rule);
}

test('nothing is said of a secret that is well kept', () => {
  expect(judged(facts())).toEqual([]);
});

describe('never-rotated', () => {
  const only = (daysOld: number) => [version('1', daysOld, { stages: ['current'] })];
  test('a first value older than it may be', () => {
    const [found] = judged(facts({ versions: only(300) }));
    expect(found).toMatchObject({
      rule: 'never-rotated',
      severity: 'medium',
      store: 'prod',
      secret: 'pay/db',
      evidence: { ageDays: 300, limitDays: 180 },
    });
    expect(found?.message).toContain('300 days');
  });
  test.each([
    ['a young one', facts({ versions: only(179) }, { createdAt: daysAgo(179) })],
    [
      'one of a store that dropped the older ones',
      facts({ versions: only(200) }, { createdAt: daysAgo(300) }),
    ],
    ['one with two values', facts()],
    ['a store without versions', facts({ versions: undefined })],
  ])('not %s', (_, secret) => {
    expect(rulesOf(secret)).not.toContain('never-rotated');
  });
});

describe('overdue and rotation-stuck', () => {
  const scheduled = (ageDays: number, everyDays: number, pending = false) =>
    judge(
      {
        current: { id: '2', createdAt: daysAgo(ageDays) },
        pending: pending ? { id: '3', createdAt: daysAgo(1) } : undefined,
        holder: undefined,
      },
      {},
      everyDays * DAY_MS,
      300_000,
      NOW,
      () => 600_000,
    );
  test('one whose day is over', () => {
    const [found] = judged(facts({ schedule: scheduled(35, 30) }));
    expect(found).toMatchObject({
      rule: 'overdue',
      severity: 'high',
      evidence: { overdueDays: 5, everyDays: 30 },
    });
  });
  test('the label says how often, too', () => {
    const schedule = judge(
      { current: { id: '2', createdAt: daysAgo(10) }, pending: undefined, holder: undefined },
      { 'rotate-every': '1w' },
      undefined,
      300_000,
      NOW,
      () => 0,
    );
    expect(rulesOf(facts({ schedule }))).toEqual(['overdue']);
  });
  test('not one whose day is to come', () => {
    expect(rulesOf(facts({ schedule: scheduled(29, 30) }))).toEqual([]);
  });
  test.each([
    [true, 3, ['overdue']],
    [true, -3, []],
  ])('the service’s own schedule, enabled %s, missed by %s days: %j', (enabled, late, rules) => {
    const rotation = {
      by: 'aws lambda x',
      role: 'rotates' as const,
      enabled,
      settings: {},
      next: daysAgo(late),
    };
    const schedule = judgeNative(rotation, undefined, NOW);
    expect(rulesOf(facts({ schedule }, { rotation }))).toEqual(rules);
  });
  test('one that was begun and left', () => {
    expect(rulesOf(facts({ schedule: scheduled(5, 30, true) }))).toEqual(['rotation-stuck']);
  });
});

describe('expired and expiring', () => {
  test.each([
    [-1, ['expired']],
    [29, ['expiring']],
    [31, []],
  ])('in %s days: %j', (days, rules) => {
    expect(rulesOf(facts({}, { expiresAt: daysAgo(-days) }))).toEqual(rules);
  });
  test('the current version’s own date counts', () => {
    const versions = [version('2', 20, { stages: ['current'], expiresAt: daysAgo(3) }), version('1', 300)];
    expect(rulesOf(facts({ versions }))).toEqual(['expired']);
  });
});

describe('never-read and no-reader', () => {
  const unread = { lastSeenRead: undefined };
  test('by the service’s own word', () => {
    expect(judged(facts(unread, { lastReadAt: 'never' }))).toMatchObject([
      { rule: 'never-read', severity: 'low', evidence: { source: 'service' } },
    ]);
    expect(judged(facts(unread, { lastReadAt: daysAgo(100) }))).toMatchObject([
      { rule: 'no-reader', evidence: { lastReadDaysAgo: 100, limitDays: 90 } },
    ]);
    expect(judged(facts(unread, { lastReadAt: daysAgo(80) }))).toEqual([]);
  });
  test('by a trail that goes back to its making', () => {
    expect(judged(facts(unread))).toMatchObject([{ rule: 'never-read', severity: 'low' }]);
  });
  test('by a trail that is younger than it: nobody in its days', () => {
    const coverage = { from: daysAgo(120), trail: true };
    expect(judged(facts(unread), coverage)).toMatchObject([
      { rule: 'no-reader', evidence: { observedDays: 120, source: 'trail' } },
    ]);
  });
  test('our own log alone is a hint', () => {
    const coverage = { from: daysAgo(120), trail: false };
    expect(judged(facts(unread), coverage)).toMatchObject([{ rule: 'no-reader', severity: 'info' }]);
  });
  test.each([
    ['where the events are too few days', facts(unread), { from: daysAgo(89), trail: true }],
    ['where there are no events', facts(unread), { from: undefined, trail: false }],
    ['of a new secret', facts(unread, { createdAt: daysAgo(10) }), { from: daysAgo(400), trail: true }],
    ['of one that was read', facts(), { from: daysAgo(400), trail: true }],
  ])('nothing %s', (_, secret, coverage) => {
    expect(rulesOf(secret, coverage)).toEqual([]);
  });
});

describe('versions', () => {
  test.each(['disabled', 'deleted', 'destroyed'] as const)('a current one that is %s', (state) => {
    const versions = [version('2', 20, { state, stages: [] }), version('1', 300, { stages: ['previous'] })];
    expect(judged(facts({ versions }))).toMatchObject([
      { rule: 'disabled-current', evidence: { version: '2', state } },
    ]);
  });
  test('a pending one is not the current one', () => {
    const versions = [
      version('pending:1', 0, { state: 'disabled', stages: ['pending'] }),
      version('2', 20, { stages: ['current'] }),
      version('1', 300),
    ];
    expect(judged(facts({ versions }))).toEqual([]);
  });
  test.each([
    [10, []],
    [11, ['too-many-versions']],
  ])('%s that can be read: %j', (count, rules) => {
    const versions = Array.from({ length: count }, (_, n) =>
      version(`${n}`, n, { stages: n === 0 ? ['current'] : [] }),
    );
    const destroyed = version('x', 400, { state: 'destroyed' });
    expect(rulesOf(facts({ versions: [...versions, destroyed] }))).toEqual(rules);
  });
});

describe('broad-access', () => {
  const grant = (breadth: 'public' | 'wildcard' | 'account' | 'named', conditional = false) => ({
    principal: 'somebody',
    breadth,
    conditional,
    through: 'its policy',
  });
  test.each([
    ['public', false, 'critical'],
    ['public', true, 'high'],
    ['wildcard', false, 'high'],
    ['wildcard', true, 'medium'],
    ['account', false, 'medium'],
    ['account', true, 'low'],
  ] as const)('%s, conditional %s: %s', (breadth, conditional, severity) => {
    expect(judged(facts({ grants: [grant(breadth, conditional)] }))).toMatchObject([
      { rule: 'broad-access', severity, evidence: { principal: 'somebody', breadth } },
    ]);
  });
  test('not whom a policy names', () => {
    expect(judged(facts({ grants: [grant('named')] }))).toEqual([]);
  });
  test('a policy about many secrets is one finding', () => {
    const shared = { ...grant('account'), shared: true };
    const many = ['a', 'b', 'c'].map((name) => facts({ grants: [shared] }, { name }));
    expect(many.flatMap((one) => judged(one))).toEqual([]);
    expect(judgeSharedGrants(many)).toMatchObject([
      { rule: 'broad-access', evidence: { secretCount: 3, secrets: ['a', 'b', 'c'] } },
    ]);
  });
});

describe('unverified-rotation', () => {
  test.each([
    [{ type: 'http', verifies: false }, ['unverified-rotation']],
    [{ type: 'postgres', verifies: true }, []],
    [undefined, []],
  ])('%j: %j', (target, rules) => {
    expect(rulesOf(facts({ target }))).toEqual(rules);
  });
});

test('a finding’s fingerprint outlives its numbers, and no other finding has it', () => {
  const old = (days: number) =>
    facts({ versions: [version('1', days, { stages: ['current'] })] }, { createdAt: daysAgo(days) });
  const [one] = judged(old(200));
  const [later] = judged(old(260));
  expect(one?.message).not.toBe(later?.message);
  expect(one?.fingerprint).toBe(later?.fingerprint);
  expect(one?.fingerprint).toMatch(/^[0-9a-f]{32}$/);
  const [other] = judged({ ...old(200), store: 'test' });
  expect(other?.fingerprint).not.toBe(one?.fingerprint);
});
