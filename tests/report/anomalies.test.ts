import { ANOMALIES } from '../../src/core/findings/parameters.ts';
import { EventTable } from '../../src/core/findings/events.ts';
import { findAnomalies } from '../../src/core/findings/anomalies.ts';
import { networkOf } from '../../src/core/findings/network.ts';
import { measure, noFigures } from './figures.ts';
import { anomaliesIn, eventOf, normalLife, type Read } from './kit.ts';
import { KINDS } from './plants.ts';
import { sized } from '../size.ts';

const life = normalLife();

function found(
  reads: readonly Read[],
  ...more: Parameters<typeof anomaliesIn> extends [unknown, ...infer Rest] ? Rest : never
) {
  const inOrder = [...life, ...reads].toSorted((a, b) => a.day - b.day);
  return anomaliesIn(inOrder, ...more).findings;
}

function rulesOf(reads: readonly Read[]): readonly string[] {
  return [...new Set(found(reads).map(({ rule }) => rule))].toSorted();
}

const at = (hour: number, day = 36): number => day + hour / 24;

test('normal life has nothing unusual', () => {
  expect(found([])).toEqual([]);
});

describe('new-principal', () => {
  test('somebody of another team', () => {
    expect(found([{ day: at(10), who: 'dan', secret: 'pay/a', address: '203.0.113.9' }])).toMatchObject([
      {
        rule: 'new-principal',
        secret: 'pay/a',
        principal: 'dan',
        at: '2026-07-07T10:00:00.000Z',
        evidence: { readers: 3, days: 36, accesses: 1 },
      },
    ]);
  });
  test('somebody unknown, for what one job reads', () => {
    expect(rulesOf([{ day: at(10), who: 'x', secret: 'job/key', address: '52.10.1.9' }])).toEqual([
      'new-principal',
    ]);
  });
  test('somebody unknown, from a network that nobody came from', () => {
    expect(rulesOf([{ day: at(10), who: 'x', secret: 'pay/a', address: '5.6.7.8' }])).toEqual([
      'new-principal',
    ]);
  });
  test('not a new colleague who begins with the team’s secrets', () => {
    const reads = ['pay/a', 'pay/b', 'pay/c'].map((secret, n) => ({ day: at(10 + n), who: 'new', secret }));
    expect(rulesOf(reads)).toEqual([]);
  });
  test('not a colleague, for another secret of the team', () => {
    const reads = [0, 7].flatMap((day) => [
      { day: at(10, 28 + day), who: 'fox', secret: day === 0 ? 'pay/a' : 'pay/b' },
    ]);
    expect(rulesOf(reads)).toEqual([]);
  });
  test('not for a secret that is not known for long', () => {
    expect(rulesOf([{ day: at(10), who: 'dan', secret: 'new/secret', address: '203.0.113.9' }])).toEqual([]);
  });
  test('several secrets on one day are one finding', () => {
    const reads = ['pay/a', 'job/key'].map((secret, n) => ({
      day: at(10 + n / 60),
      who: 'dan',
      secret,
      address: '203.0.113.9',
    }));
    expect(found(reads)).toMatchObject([{ evidence: { accesses: 2, secrets: ['pay/a', 'job/key'] } }]);
  });
});

describe('new-network', () => {
  test('a principal that always came from one', () => {
    const [finding, ...others] = found([{ day: at(10), who: 'ann', secret: 'pay/a', address: '5.6.7.8' }]);
    expect(others).toEqual([]);
    expect(finding).toMatchObject({
      rule: 'new-network',
      severity: 'high',
      principal: 'ann',
      evidence: { network: '5.6.7.0/24', networks: 1, baseline: 0, threshold: ANOMALIES.travelRate },
    });
    expect(finding?.message).toContain('5.6.7.0/24');
  });
  test('not another address, nor another site of the same provider', () => {
    expect(rulesOf([{ day: at(10), who: 'ann', secret: 'pay/a', address: '198.51.100.99' }])).toEqual([]);
    expect(rulesOf([{ day: at(10), who: 'ann', secret: 'pay/a', address: '198.51.7.1' }])).toEqual([]);
  });
  test('not where a colleague comes from', () => {
    const bens = Array.from({ length: 5 }, (_, n) => ({
      day: at(10, n),
      who: 'ben',
      secret: 'pay/a',
      address: '91.2.3.4',
    }));
    expect(rulesOf([...bens, { day: at(10), who: 'ann', secret: 'pay/a', address: '91.2.3.9' }])).toEqual([]);
  });
  test('all who come from the same new one are one finding', () => {
    const reads = ['ann', 'ben', 'dan'].map((who, n) => ({
      day: at(10 + n),
      who,
      secret: who === 'dan' ? 'web/a' : 'pay/a',
      address: '34.1.2.3',
    }));
    const findings = found(reads);
    expect(findings).toMatchObject([{ rule: 'new-network', evidence: { principals: ['ann', 'dan'] } }]);
  });
  test('not a traveller', () => {
    const trips = [15, 20, 26].map((day) => ({
      day: at(10, day),
      who: 'ann',
      secret: 'pay/a',
      address: `${day}.1.1.1`,
    }));
    const again = found([...trips, { day: at(10), who: 'ann', secret: 'pay/a', address: '5.6.7.8' }]);
    expect(again.map(({ at: time }) => time?.slice(0, 10))).not.toContain('2026-07-07');
  });
});

describe('odd-hours', () => {
  test('in the middle of the night', () => {
    expect(found([{ day: at(2), who: 'ann', secret: 'pay/a' }])).toMatchObject([
      {
        rule: 'odd-hours',
        principal: 'ann',
        evidence: { hour: 2, hours: '08, 10, 12, 14, 16', observed: 6, threshold: 4 },
      },
    ]);
  });
  test('a nightly job at noon', () => {
    expect(rulesOf([{ day: at(12), who: 'job', secret: 'job/key', address: '52.10.1.4' }])).toEqual([
      'odd-hours',
    ]);
  });
  test('not an hour of daylight saving, nor a late evening', () => {
    expect(rulesOf([7, 17, 19].map((hour) => ({ day: at(hour), who: 'ann', secret: 'pay/a' })))).toEqual([]);
  });
  test('not a second time', () => {
    const nights = [30, 36].map((day) => ({ day: at(2, day), who: 'ann', secret: 'pay/a' }));
    expect(found(nights)).toHaveLength(1);
  });
});

describe('high-rate', () => {
  const burst = (count: number, minutes: number): readonly Read[] =>
    Array.from({ length: count }, (_, n) => ({
      day: at(10 + (n / count) * (minutes / 60)),
      who: 'ann',
      secret: 'pay/a',
    }));
  test('many times the busiest hour', () => {
    const [finding, ...others] = found(burst(200, 30));
    expect(others).toEqual([]);
    expect(finding).toMatchObject({
      rule: 'high-rate',
      principal: 'ann',
      evidence: { baseline: 1, threshold: 60 },
    });
    expect(Number(finding?.evidence['observed'])).toBeGreaterThanOrEqual(200);
  });
  test('also across the end of an hour', () => {
    expect(rulesOf(burst(100, 50).map((read) => ({ ...read, day: read.day + 0.5 / 24 })))).toEqual([
      'high-rate',
    ]);
  });
  test('not a few more', () => {
    expect(rulesOf(burst(50, 30))).toEqual([]);
  });
  test('not where it is usual', () => {
    const usual = Array.from({ length: 20 }, (_, day) =>
      burst(50, 30).map((read) => ({ ...read, day: read.day - 36 + day })),
    ).flat();
    expect(rulesOf([...usual, ...burst(140, 30)])).toEqual([]);
    expect(rulesOf([...usual, ...burst(160, 30)])).toEqual(['high-rate']);
  });
});

describe('denial-burst', () => {
  const denied = (count: number, secret: (n: number) => string): readonly Read[] =>
    Array.from({ length: count }, (_, n) => ({
      day: at(10) + n / 5000,
      who: 'ann',
      secret: secret(n),
      outcome: 'denied' as const,
    }));
  test('many secrets that it never had', () => {
    expect(found(denied(9, (n) => `other/${n}`))).toMatchObject([
      { rule: 'denial-burst', severity: 'high', evidence: { observed: 9, baseline: 0, threshold: 6 } },
    ]);
  });
  test.each([
    ['one secret again and again', denied(200, () => 'other/a')],
    ['what it was given before: a policy broke', denied(9, (n) => `pay/${'abc'[n % 3]}`)],
    ['a few', denied(5, (n) => `other/${n}`)],
  ])('not %s', (_, reads) => {
    expect(rulesOf(reads)).toEqual([]);
  });
});

describe('bulk-read', () => {
  const bulk = (count: number, gapMinutes: number, who = 'ann'): readonly Read[] =>
    Array.from({ length: count }, (_, n) => ({
      day: at(10) + (n * gapMinutes) / 1440,
      who,
      secret: `store/${n}`,
    }));
  // Known for long, so that they are no new secrets: read by a backup from the first day on.
  const backup = Array.from({ length: 40 }, (_, day) =>
    Array.from({ length: 60 }, (_none, n) => ({
      day: day + 3.5 / 24 + n / 90_000,
      who: 'backup',
      secret: `store/${n}`,
      address: '52.10.1.8',
    })),
  ).flat();
  test('many secrets within minutes', () => {
    const findings = found([...backup, ...bulk(30, 0.2)]).filter(({ rule }) => rule === 'bulk-read');
    expect(findings).toMatchObject([
      { principal: 'ann', evidence: { observed: 31, baseline: 1, threshold: 20, secretCount: 31 } },
    ]);
    expect(findings[0]?.evidence['secrets']).toHaveLength(5);
  });
  test('not over hours', () => {
    expect(found([...backup, ...bulk(30, 20)]).filter(({ rule }) => rule === 'bulk-read')).toEqual([]);
  });
  test('not by whoever reads all of them every day', () => {
    expect(found(backup)).toEqual([]);
  });
  test('not secrets that are new', () => {
    expect(found(bulk(30, 0.2)).filter(({ rule }) => rule === 'bulk-read')).toEqual([]);
  });
});

describe('honey-read', () => {
  test.each(['allowed', 'denied', 'failed'] as const)('%s', (outcome) => {
    const findings = found([{ day: 0.5, who: 'ann', secret: 'trap', outcome }], {}, ['trap']);
    expect(findings).toMatchObject([
      { rule: 'honey-read', severity: 'critical', secret: 'trap', evidence: { outcome } },
    ]);
  });
  test('not a look at its labels, nor another secret', () => {
    expect(found([{ day: 36, who: 'ann', secret: 'trap', action: 'describe' }], {}, ['trap'])).toEqual([]);
    expect(found([], {}, ['trap'])).toEqual([]);
  });
});

describe('learning', () => {
  test('nothing is unusual before there is a pattern, and that is said', () => {
    const { findings, notes } = anomaliesIn(
      [...normalLife(10), { day: 9.1, who: 'dan', secret: 'pay/a', address: '5.6.7.8' }].toSorted(
        (a, b) => a.day - b.day,
      ),
    );
    expect(findings).toEqual([]);
    expect(notes[0]).toMatch(/need 14 days of events to learn from; these span 9\.\d/);
    expect(notes[1]).toMatch(/of 6 principals/);
  });
  test('the parameters decide', () => {
    const read = { day: at(19), who: 'ann', secret: 'pay/a' };
    expect(found([read])).toEqual([]);
    expect(found([read], { hourGap: 3 })).toHaveLength(1);
  });
  test('no events, no notes', () => {
    expect(anomaliesIn([])).toEqual({ findings: [], notes: [] });
  });
});

describe('events', () => {
  test('come in any order', () => {
    const read = { day: at(2), who: 'ann', secret: 'pay/a' };
    expect(anomaliesIn([read, ...life].toReversed()).findings).toHaveLength(1);
  });
  test('that two origins tell of are one access', () => {
    const table = new EventTable();
    const event = eventOf({ day: 1, who: 'ann', secret: 'a' });
    table.add({ ...event, requestId: 'r1' });
    table.add({ ...event, origin: 'secrets', requestId: 'r1' });
    table.add({ ...event, origin: 'secrets' });
    expect(table.length).toBe(2);
    expect([...table.origins]).toEqual([
      ['cloudtrail', 1],
      ['secrets', 1],
    ]);
  });
  test('over the limit are counted', () => {
    const table = new EventTable(2);
    for (const day of [1, 2, 3]) table.add(eventOf({ day, who: 'ann', secret: 'a' }));
    expect([table.length, table.dropped]).toEqual([2, 1]);
  });
  test.each([
    ['203.0.113.77', '203.0.113.0/24', '203.0.0.0/16'],
    ['::ffff:203.0.113.77', '203.0.113.0/24', '203.0.0.0/16'],
    ['2001:0db8:00ab:1::5', '2001:db8:ab::/48', '2001:db8::/32'],
    ['2001:db8::5', '2001:db8:0::/48', '2001:db8::/32'],
    ['::1', '0:0:0::/48', '0:0::/32'],
    ['secretsmanager.amazonaws.com', 'secretsmanager.amazonaws.com', 'secretsmanager.amazonaws.com'],
    ['machine build-7', 'machine build-7', 'machine build-7'],
    ['1:2:3', '1:2:3', '1:2:3'],
  ])('the network of %s', (address, site, provider) => {
    expect(networkOf(address)).toEqual({ site, provider });
  });
});

test('on trails of a made-up organisation nearly all of the planted is found, and little else', () => {
  const figures = noFigures();
  for (const seed of [11, 12, 13]) measure(figures, seed);
  const all = KINDS.map((kind) => figures.planted.get(kind) ?? { planted: 0, found: 0 });
  const planted = all.reduce((sum, one) => sum + one.planted, 0);
  const found = all.reduce((sum, one) => sum + one.found, 0);
  const wrong = [...figures.wrong.values()].reduce((sum, count) => sum + count, 0);
  expect(planted).toBeGreaterThanOrEqual(120);
  expect(found / planted).toBeGreaterThanOrEqual(0.95);
  expect(wrong / figures.normal).toBeLessThanOrEqual(1 / 10_000);
});

const EVENTS = sized(250_000, 1_000_000);
test(`${EVENTS} events fit into bounded memory`, () => {
  const collect = (): number => {
    globalThis.gc?.();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return (heapUsed + arrayBuffers) / 1024 / 1024;
  };
  const before = collect();
  const table = new EventTable();
  for (let n = 0; n < EVENTS; n += 1)
    table.add(
      eventOf({
        day: (n * 100) / EVENTS,
        who: `p${n % 500}`,
        secret: `s${n % 3000}`,
        address: `10.${n % 200}.1.1`,
      }),
    );
  const { notes } = findAnomalies(table, ANOMALIES, () => false);
  expect(notes).toEqual([]);
  expect(table.length).toBe(EVENTS);
  // An object for each event would be some 400 MiB for a million.
  expect(collect() - before).toBeLessThan((250 * EVENTS) / 1_000_000);
});
