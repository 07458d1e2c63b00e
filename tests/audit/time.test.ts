import fc from 'fast-check';
import { isoTime } from '../../src/audit/log/time.ts';
import { sized } from '../size.ts';

test('times are written as the language writes them', () => {
  const first = Date.parse('0001-01-01T00:00:00Z');
  const last = Date.parse('9999-12-31T23:59:59.999Z');
  fc.assert(
    fc.property(fc.integer({ min: first, max: last }), (ms) => {
      expect(isoTime(ms)).toBe(new Date(ms).toISOString());
    }),
    { numRuns: sized(500, 5000) },
  );
  for (const text of ['1970-01-01', '2000-02-29', '1900-02-28', '2024-12-31', '2026-03-01', '2100-03-01'])
    expect(isoTime(Date.parse(`${text}T00:00:00.000Z`))).toBe(`${text}T00:00:00.000Z`);
});
