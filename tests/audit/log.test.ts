import { statSync } from 'node:fs';
import type { AuditLog } from '../../src/core/audit/record.ts';
import { event } from './events.ts';
import { buildProgram, chainProblems, type LogPlace, logPlace, runWriter } from './kit.ts';
import { sized } from '../size.ts';

let place: LogPlace;
beforeEach(() => {
  place = logPlace();
});
afterEach(() => place.remove());

test('records stand in one chain that begins with a signed checkpoint', async () => {
  const log = place.open();
  for (let n = 0; n < 600; n += 1) await log.append([event(n)]);
  expect(place.records().filter(({ kind }) => kind === 'access')).toHaveLength(600);
  expect(chainProblems(place.lines())).toEqual([]);
  expect(
    place
      .records()
      .filter(({ kind }) => kind === 'checkpoint')
      .map(({ seq }) => seq),
  ).toEqual([1, 256, 512]);
  expect(statSync(place.path).mode & 0o777).toBe(0o600);
  expect(statSync(place.folder).mode & 0o777).toBe(0o700);
});

const APPENDS = sized(25, 200);

test(`16 processes with ${APPENDS} appends each keep one chain`, async () => {
  const writer = await buildProgram('writer');
  const outcomes = await Promise.all(
    Array.from({ length: 16 }, (_, index) =>
      runWriter(writer, { options: place.options, appends: APPENDS, from: index * 1000 }),
    ),
  );
  expect(outcomes).toEqual(Array.from({ length: 16 }, () => ({ code: 0, signal: null, stderr: '' })));
  expect(chainProblems(place.lines())).toEqual([]);
  const secrets = place
    .records()
    .filter(({ kind }) => kind === 'access')
    .map(({ secret }) => secret);
  expect(new Set(secrets).size).toBe(16 * APPENDS);
  expect(secrets).toHaveLength(16 * APPENDS);
  expect(place.files()).toEqual(['audit.head', 'audit.jsonl', 'audit.pub', 'signing.key']);
}, 300_000);

test('a full file is closed, and closed ones are kept by number and by age', async () => {
  let now = Date.UTC(2026, 10, 1);
  const clock = { rotateSize: 4096, now: () => new Date(now) };
  const closed = (): number => place.files().filter((file) => /-\d+\.jsonl$/.test(file)).length;
  const log = place.open(clock);
  const write = async (writer: AuditLog, count: number): Promise<void> => {
    for (let n = 0; n < count; n += 1) {
      now += 60_000;
      await writer.append([event(n, { time: new Date(now).toISOString() })]);
    }
  };
  await write(log, 60);
  expect(closed()).toBeGreaterThan(5);
  expect(chainProblems(place.all())).toEqual([]);
  const before = closed();
  await write(place.open({ ...clock, keepFiles: 3 }), 10);
  expect([before > 3, closed()]).toEqual([true, 3]);
  // All that is older than an hour goes, when the next file is closed.
  now += 7_200_000;
  await write(place.open({ ...clock, keepMs: 3_600_000 }), 20);
  const last = place
    .whole()
    .filter(({ retention }) => retention !== undefined)
    .at(-1);
  expect(last?.retention?.to).toBeGreaterThan(0);
  expect(place.whole()[0]?.seq).toBe((last?.retention?.to ?? 0) + 1);
  expect(place.records().some(({ kind }) => kind === 'rotation')).toBe(true);
  expect(chainProblems(place.all())).toEqual([]);
});
