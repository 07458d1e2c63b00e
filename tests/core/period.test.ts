import { checkPeriod, parseTime } from '../../src/core/period.ts';

const NOW = new Date('2026-11-24T09:15:00Z');

test.each([
  ['90m', '2026-11-24T07:45:00.000Z'],
  ['2w', '2026-11-10T09:15:00.000Z'],
  ['2026-11-20', '2026-11-20T00:00:00.000Z'],
  ['2026-11-20T08:00Z', '2026-11-20T08:00:00.000Z'],
  ['2026-11-20t08:00:00.5z', '2026-11-20T08:00:00.500Z'],
  ['2026-11-20 08:00+02:00', '2026-11-20T06:00:00.000Z'],
])('%s is %s', (text, time) => {
  expect(parseTime(text, NOW, '--since').toISOString()).toBe(time);
});

test.each(['', 'yesterday', '7', '2026-13-01', '2026-11-20T08:00', '2026-11-20T08:00:00', '-7d'])(
  '%j is no time, and the line names its option',
  (text) => {
    expect(() => parseTime(text, NOW, '--until')).toThrow(
      `--until ${JSON.stringify(text)} is not a valid time`,
    );
  },
);

test('a period ends after it begins', () => {
  checkPeriod({ since: NOW, until: NOW });
  expect(() => checkPeriod({ since: NOW, until: new Date(NOW.getTime() - 1) })).toThrow(
    'the period ends before it begins',
  );
});
