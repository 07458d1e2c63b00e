import type { AuditEvent } from '../../../src/core/audit/record.ts';
import {
  countsOf,
  timeline,
  type TimelineEntry,
  type TimelineQuery,
} from '../../../src/core/audit/timeline.ts';

const START = Date.parse('2026-11-24T09:00:00.000Z');
const at = (ms: number): string => new Date(START + ms).toISOString();
const QUERY: TimelineQuery = {
  since: new Date(START - 60_000),
  until: new Date(START + 3_600_000),
  windowMs: 2000,
  store: 'prod',
};

type Made = Partial<AuditEvent> & { readonly principal?: string };
const made = (origin: string, ms: number, { principal, ...more }: Made): AuditEvent => ({
  time: at(ms),
  origin,
  action: 'read',
  outcome: 'allowed',
  actor: principal === undefined ? {} : { principal },
  store: 'prod',
  secret: 'a',
  ...more,
});
const own = (ms: number, more: Made = {}): AuditEvent => made('secrets', ms, more);
const seen = (ms: number, more: Made = {}): AuditEvent => made('trail', ms, more);
const line = (
  trail: readonly AuditEvent[] | undefined,
  ours: readonly AuditEvent[],
  query: Partial<TimelineQuery> = {},
): TimelineEntry[] => timeline(trail, ours, { ...QUERY, ...query });
/** `through by`, and `alone` for what the trail lacks. */
const shapes = (entries: readonly TimelineEntry[]): string[] =>
  entries.map(({ through, by, inTrail }) => [through, by, inTrail === false ? 'alone' : ''].join(' ').trim());

describe('by the id of the request', () => {
  test('the same call is one, however far apart the clocks are', () => {
    const entries = line([seen(500_000, { requestId: 'r1' })], [own(0, { requestId: 'r1' })]);
    expect(shapes(entries)).toEqual(['yes request-id']);
    expect(entries[0]?.own?.origin).toBe('secrets');
  });

  test('another id is another call, at the same moment too', () => {
    const entries = line([seen(0, { requestId: 'r2' })], [own(0, { requestId: 'r1' })]);
    expect(shapes(entries).toSorted()).toEqual(['no', 'yes  alone']);
  });

  test('counts under another name of the store, which is shown for nothing else', () => {
    const trail = [seen(0, { requestId: 'r1' }), seen(1)];
    const ours = [own(0, { requestId: 'r1', store: 'other' }), own(1, { store: 'other' })];
    expect(shapes(line(trail, ours))).toEqual(['yes request-id', 'no']);
  });
});

describe('by the time', () => {
  test.each([
    [0, 0, 'yes time'],
    [-1999, 0, 'yes time'],
    [2000, 0, 'yes time'],
    [2001, 0, 'no'],
    [-2001, 0, 'no'],
    // The access took five seconds.
    [-6999, 5000, 'yes time'],
    [-7001, 5000, 'no'],
  ])('a call %i ms from the end of an access of %i ms: %s', (ms, durationMs, expected) => {
    // Not at whole seconds, which would be taken for cut off.
    const entries = line([seen(ms + 17)], [own(17, { durationMs })]);
    expect(shapes(entries)).toContain(expected);
  });

  test('a whole second is a time that was cut off', () => {
    expect(shapes(line([seen(0)], [own(2999)]))).toEqual(['yes time']);
    expect(shapes(line([seen(0)], [own(3000)]))).toEqual(['no', 'yes  alone']);
  });

  test('one for one: of two reads one came through', () => {
    const entries = line([seen(100), seen(101)], [own(102)]);
    expect(shapes(entries).toSorted()).toEqual(['no', 'yes time']);
  });

  test('finds as many pairs as there are', () => {
    const ours = Array.from({ length: 50 }, (_, index) => own(index * 1000 + 1));
    const trail = ours.map((_, index) => seen(index * 1000 + 1900)).toReversed();
    expect(new Set(shapes(line(trail, ours)))).toEqual(new Set(['yes time']));
  });

  test.each<[string, Made, Made]>([
    ['action', { action: 'write' }, { action: 'read' }],
    ['secret', { secret: 'b' }, {}],
    ['outcome', { outcome: 'denied' }, {}],
    ['version', { version: '2' }, { version: '1' }],
    ['role', { principal: 'arn:aws:iam::1:user/ann' }, { principal: 'arn:aws:iam::1:user/bob' }],
    ['account', { principal: 'a@p.iam' }, { principal: 'b@p.iam' }],
    ['host', { principal: 'acme:host:a' }, { principal: 'acme:user:b' }],
    ['client', {}, { client: 'curl/8' }],
  ])('another %s is another access', (_, ours, theirs) => {
    expect(shapes(line([seen(1, theirs)], [own(1, ours)])).toSorted()).toEqual(['no', 'yes  alone']);
  });

  test.each<[string, Made, Made]>([
    ['a version that only one knows', {}, { version: '3' }],
    ['a version that has a name', { version: 'latest' }, { version: '3' }],
    ['a pending version', { version: 'pending:1-2' }, { version: 'pending' }],
    ['an identity that is written in another way', { principal: 'ci' }, { principal: 'approle' }],
    ['an answer that was lost', { outcome: 'failed', error: 'Unavailable' }, {}],
    ['a refusal with another word', { outcome: 'denied' }, { outcome: 'failed' }],
  ])('%s is the same access', (_, ours, theirs) => {
    expect(shapes(line([seen(1, theirs)], [own(1, ours)]))).toEqual(['yes time']);
  });

  test('takes the one whose version and identity are the same', () => {
    const ours = [own(1, { pid: 1 }), own(2, { version: '7', pid: 2 })];
    const entries = line([seen(1, { version: '7' }), seen(2)], ours);
    expect(entries.map(({ own: record }) => record?.pid)).toEqual([2, 1]);
  });
});

describe('parts of an access', () => {
  test('what a command calls beside is its own', () => {
    const trail = [
      seen(1, { action: 'list', secret: undefined }),
      seen(2, { action: 'describe', secret: 'team/a' }),
      seen(3, { action: 'describe', secret: 'other' }),
    ];
    expect(shapes(line(trail, [own(5, { action: 'list', secret: 'team/' })]))).toEqual([
      'yes part',
      'yes part',
      'no',
    ]);
    // A promotion reads what it makes current.
    const promotion = [seen(1), seen(2, { action: 'write' })];
    expect(shapes(line(promotion, [own(3, { action: 'promote' })]))).toEqual(['yes part', 'yes part']);
  });

  test('only what copies values reads them beside, and not without end', () => {
    for (const action of ['write', 'list', 'describe', 'delete', 'purge', 'label', 'rotate'] as const)
      expect(shapes(line([seen(1)], [own(2, { action })]))).toContain('no');
    expect(shapes(line([seen(1, { version: 'pending' })], [own(2, { action: 'write' })]))).toEqual([
      'yes part',
    ]);
    const many = Array.from({ length: 6 }, (_, index) => seen(index));
    expect(
      shapes(line(many, [own(9, { action: 'promote' })])).filter((shape) => shape === 'no'),
    ).toHaveLength(2);
    expect(shapes(line([seen(1, { client: 'curl/8' })], [own(2, { action: 'promote' })]))).toContain('no');
  });

  test('a change is no part of a read, nor of the same change unless the client is known', () => {
    const write = seen(1, { action: 'write', requestId: 'x' });
    for (const action of ['read', 'list', 'describe'] as const)
      expect(shapes(line([write], [own(2, { action })]))).toContain('no');
    const put = own(2, { action: 'write', requestId: 'y' });
    expect(shapes(line([write], [put]))).toEqual(['no', 'yes  alone']);
    expect(shapes(line([{ ...write, client: 'secrets/1.0' }], [put]))).toEqual(['yes part']);
    expect(shapes(line([seen(1, { action: 'label' })], [put]))).toEqual(['yes part']);
  });

  test('a rotation as a whole, and what we refused, is not missing in the trail', () => {
    const ours = [own(2, { action: 'rotate' }), own(3, { outcome: 'denied', error: 'Policy' })];
    expect(line([], ours).map(({ inTrail }) => inTrail)).toEqual([undefined, undefined]);
  });

  test('a read that gave a value out is no part of another read', () => {
    const trail = [
      seen(1, { requestId: 'x' }),
      seen(2, { action: 'describe' }),
      seen(3, { outcome: 'denied' }),
    ];
    expect(shapes(line(trail, [own(3, { requestId: 'y' })]))).toEqual([
      'no',
      'yes part',
      'yes part',
      'yes  alone',
    ]);
  });

  test('a record of a read is not in the trail by its parts', () => {
    const entries = line([seen(1, { action: 'describe' })], [own(2)]);
    expect(countsOf(entries)).toEqual({ accesses: 2, through: 2, client: 0, outside: 0, notInTrail: 1 });
  });
});

test('a client that calls itself secrets is told from others, and from what our log has', () => {
  const clients = ['secrets/1.2.0', 'aws-sdk-js/3 (secrets/1.2.0)', 'Boto3/1.2', 'my-secrets/1', 'secrets'];
  const entries = line(
    clients.map((client, index) => seen(index * 9000, { client })),
    [],
  );
  expect(entries.map(({ through }) => through)).toEqual(['client', 'client', 'no', 'no', 'no']);
});

test('shows the period alone: records at its ends are for comparison', () => {
  const since = new Date(START);
  const ours = [own(-500, { pid: 1 }), own(100, { secret: 'b' }), own(200, { store: 'other' })];
  expect(shapes(line([seen(10)], ours, { since, secret: 'a' }))).toEqual(['yes time']);
  expect(shapes(line([], ours, { since, secret: 'a' }))).toEqual([]);
});

test('without a trail there is our own log, and nothing is missing', () => {
  const entries = line(undefined, [own(2), own(1)]);
  expect(entries.map(({ event, inTrail }) => [event.time, inTrail])).toEqual([
    [at(1), undefined],
    [at(2), undefined],
  ]);
});

test('is quick on many accesses of one secret', () => {
  const count = 20_000;
  const ours = Array.from({ length: count }, (_, index) => own(index * 7));
  const trail = Array.from({ length: count }, (_, index) => seen(index * 7 + 3));
  const started = process.cpuUsage();
  expect(countsOf(line(trail, ours))).toMatchObject({ accesses: count, through: count });
  expect(process.cpuUsage(started).user).toBeLessThan(20_000_000);
});
