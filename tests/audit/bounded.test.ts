/**
 * However long a log is, a reader holds one buffer and the records of one block of it. Counted are the bytes that are
 * asked for, and what was not read yet: neither hangs on when garbage is collected. What a million records take is
 * measured by bench/audit-log.mjs.
 */
import {
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { followAuditLog, newestSeq, readAuditLog } from '../../src/audit/log/read.ts';
import { verifyLog } from '../../src/audit/log/verify.ts';
import type { AuditFilter } from '../../src/core/audit/filter.ts';
import type { AuditRecord } from '../../src/core/audit/record.ts';
import { event } from './events.ts';
import { type LogPlace, logPlace } from './kit.ts';

const MIB = 1024 * 1024;
const RECORDS = 8000;
const RESULTS = RECORDS - 1000;

let place: LogPlace;
let whole: Buffer;
beforeAll(async () => {
  place = logPlace();
  const log = place.open({ mode: 'best-effort', rotateSize: 1024 * MIB });
  for (let n = 0; n < RECORDS; n += 2000)
    await log.append(Array.from({ length: 2000 }, (_, index) => event(n + index)));
  whole = readFileSync(place.path);
});
beforeEach(() => writeFileSync(place.path, whole));
afterAll(() => place.remove());

/** Bytes of all buffers that are made meanwhile. */
async function bytesMade(work: () => Promise<void>): Promise<number> {
  let bytes = 0;
  const makers = Buffer as unknown as Record<string, (...args: unknown[]) => Buffer>;
  const originals = ['alloc', 'allocUnsafe', 'allocUnsafeSlow', 'concat'].map(
    (name) => [name, makers[name] as (...args: unknown[]) => Buffer] as const,
  );
  for (const [name, original] of originals)
    makers[name] = (...args) => {
      const made = original.apply(Buffer, args);
      bytes += made.length;
      return made;
    };
  try {
    await work();
  } finally {
    for (const [name, original] of originals) makers[name] = original;
  }
  return bytes;
}

async function countOf(filter: AuditFilter): Promise<number> {
  let count = 0;
  for await (const _ of readAuditLog(place.path, filter)) count += 1;
  return count;
}

test('the log is many times as long as the bounds', () => {
  expect(statSync(place.path).size).toBeGreaterThan(3 * MIB);
});

test.each<[string, AuditFilter, number]>([
  ['all of it', { kinds: ['access'] }, RECORDS],
  ['most of it, from its end', { kinds: ['access'], limit: RESULTS }, RESULTS],
  [
    'a span of time',
    { since: new Date(event(100).time), until: new Date(event(RESULTS + 100).time) },
    RESULTS,
  ],
  ['one secret', { secret: { name: 'payments/7' } }, 1],
])('%s is read through one buffer', async (_, filter, expected) => {
  const bytes = await bytesMade(async () => {
    const count = await countOf(filter);
    if (filter.secret === undefined) expect(count).toBe(expected);
    else expect(count).toBeGreaterThanOrEqual(expected);
  });
  expect(bytes).toBeGreaterThan(100_000);
  expect(bytes).toBeLessThan(MIB / 2);
});

test.each<[string, AuditFilter]>([
  ['all of it', {}],
  ['the newest', { limit: RESULTS }],
])('of %s only one block is read before somebody wants its records', async (_, filter) => {
  const records = readAuditLog(place.path, { ...filter, kinds: ['access'] });
  expect((await records.next()).done).toBe(false);
  // What is cut off now can't be given any more, unless it is held.
  truncateSync(place.path, 2 * MIB);
  const last = newestSeq(place.path);
  let newest: AuditRecord | undefined;
  for await (const record of records) newest = record;
  expect(newest?.seq).toBeLessThanOrEqual(last);
  expect(newest?.seq).toBeGreaterThan(last - 10);
});

test('following catches up through one buffer', async () => {
  const end = new AbortController();
  let count = 0;
  const bytes = await bytesMade(async () => {
    const options = { after: 0, signal: end.signal };
    for await (const _ of followAuditLog(place.path, { kinds: ['access'] }, options))
      if ((count += 1) === RECORDS) end.abort();
  });
  expect(count).toBe(RECORDS);
  expect(bytes).toBeLessThan(MIB / 2);
});

test('verifying reads piece by piece', async () => {
  const bytes = await bytesMade(async () => {
    const summary = await verifyLog({
      files: [place.path],
      keys: undefined,
      anchors: [],
      progress: () => {},
      signal: new AbortController().signal,
    });
    expect(summary.last).toBe(newestSeq(place.path));
  });
  expect(bytes).toBeLessThan(1.5 * MIB);
});

test('a file that has no end of a line is passed over within the length of the longest line', async () => {
  const fd = openSync(place.path, 'w');
  // Sparse: it takes no room.
  ftruncateSync(fd, 256 * MIB);
  closeSync(fd);
  const bytes = await bytesMade(async () => {
    expect(await countOf({})).toBe(0);
    expect(newestSeq(place.path)).toBe(0);
  });
  expect(bytes).toBeLessThan(160 * MIB);
});
