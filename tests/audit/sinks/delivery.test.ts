/** That every record arrives, in order, whatever receivers and senders do; the receiver is an HTTP server of the test. */
import { createHmac } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cursorPath, sinksFolder } from '../../../src/audit/sinks/cursor.ts';
import { takeLock } from '../../../src/audit/log/lock.ts';
import type { AuditLog } from '../../../src/core/audit/record.ts';
import { hashOf } from '../../../src/core/audit/chain.ts';
import { makeCertificate } from '../../backends/tls.ts';
import { event } from '../events.ts';
import { distinct, type HttpReceiver, recordsOf, type SinkPlace, sinkPlace, startHttp } from './kit.ts';

const HOUR = 3_600_000;
let place: SinkPlace;
let receiver: HttpReceiver;
let log: AuditLog;
beforeEach(async () => {
  place = sinkPlace();
  receiver = await startHttp();
  log = place.open();
});
afterEach(async () => {
  await receiver.stop();
  place.remove();
});

const webhook = (more = {}) => place.sink({ type: 'webhook', url: receiver.url, ...more });
const append = async (from: number, count: number): Promise<void> => {
  for (let n = from; n < from + count; n += 1) await log.append([event(n)]);
};
const later = (ms: number): void => {
  place.clock.now = new Date(place.clock.now.getTime() + ms);
};
/** All records of the log after one, and what came of them. */
const expectAll = (after = 0): void => {
  const sent = distinct(recordsOf(receiver.taken));
  expect(sent.map(({ seq }) => seq)).toEqual(
    place
      .whole()
      .map(({ seq }) => seq)
      .filter((seq) => seq > after),
  );
};

test('records come in batches, signed, as they stand in the log', async () => {
  const sink = webhook({ secret: 'ops://key' });
  place.greet(sink);
  await append(0, 3);
  expect(await place.deliver(sink)).toMatchObject({ state: 'done', sent: 4, upTo: 4, backlog: 0 });
  const [first] = receiver.taken;
  const { headers, body } = first as (typeof receiver.taken)[0];
  const id = String(headers['webhook-id']);
  const signature = createHmac('sha256', 'value of ops://key')
    .update(`${id}.${String(headers['webhook-timestamp'])}.${body}`)
    .digest('base64');
  expect(headers['webhook-signature']).toBe(`v1,${signature}`);
  expect(JSON.parse(body)).toMatchObject({ version: 1, type: 'secrets.audit', id });
  for (const line of place.all()) expect(body).toContain(line);
  for (const record of recordsOf(receiver.taken)) expect(hashOf(record)).toBe(record.hash);
  expect(await place.deliver(sink)).toMatchObject({ state: 'done', sent: 0 });
  expect(receiver.seen).toHaveLength(1);
});

test('a sink gets what comes after it was set', async () => {
  await append(0, 3);
  const sink = webhook();
  place.greet(sink);
  await append(10, 2);
  await place.deliver(sink);
  expect(recordsOf(receiver.taken).map(({ secret }) => secret)).toEqual(['payments/10', 'payments/11']);
});

test('a receiver that fails half of the time gets everything in the end, in order', async () => {
  const sink = webhook();
  place.greet(sink);
  let turn = 0;
  const faults = ['broken', 503, 'late break', 429, 'rubbish', 'redirect', 500, 404] as const;
  receiver.otherwise = () => (turn++ % 2 === 0 ? (faults[(turn >> 1) % faults.length] ?? 500) : 204);
  let failures = 0;
  for (let round = 0; round < 12; round += 1) {
    await append(round * 40, 40);
    for (let tries = 0; (await place.deliver(sink)).state !== 'done'; tries += 1) {
      failures += 1;
      expect(tries).toBeLessThan(20);
    }
  }
  expect(failures).toBeGreaterThan(5);
  expectAll();
  const seqs = recordsOf(receiver.taken).map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
});

test('large backlogs go in several batches, over closed files as well', async () => {
  const sink = webhook();
  place.greet(sink);
  log = place.open({ rotateSize: 20_000 });
  for (let n = 0; n < 40; n += 1) await log.append(Array.from({ length: 20 }, (_, m) => event(n * 20 + m)));
  expect(place.files().filter((file) => file.endsWith('.jsonl')).length).toBeGreaterThan(5);
  expect(await place.deliver(sink)).toMatchObject({ state: 'done', backlog: 0 });
  expect(receiver.taken.length).toBeGreaterThan(2);
  expectAll();
  expect(recordsOf(receiver.taken)).toHaveLength(place.whole().length);
  await append(9000, 1);
  await place.deliver(sink);
  expectAll();
});

test('one that takes small bodies alone gets them', async () => {
  const sink = webhook();
  place.greet(sink);
  await append(0, 10);
  receiver.answers.push(413, 413);
  expect(await place.deliver(sink)).toMatchObject({ state: 'done' });
  expectAll();
});

test('after a failure a command waits before it tries again, longer each time; audit send does not wait', async () => {
  const sink = webhook();
  place.greet(sink);
  await append(0, 1);
  receiver.otherwise = () => 503;
  expect(await place.deliver(sink, { eager: false })).toMatchObject({
    state: 'failed',
    error: { kind: 'Unavailable' },
  });
  expect(receiver.seen).toHaveLength(1);
  expect(await place.deliver(sink, { eager: false })).toMatchObject({ state: 'later', backlog: 2 });
  expect(receiver.seen).toHaveLength(1);
  later(5001);
  expect(await place.deliver(sink, { eager: false })).toMatchObject({ state: 'failed' });
  later(5001);
  expect(await place.deliver(sink, { eager: false })).toMatchObject({ state: 'later' });
  expect(await place.deliver(sink)).toMatchObject({ state: 'failed' });
  expect(place.cursor().failure).toMatchObject({
    times: 3,
    message: expect.stringContaining('503') as string,
  });
  // A clock that was set back does not keep it waiting for ever.
  later(-100 * HOUR);
  expect(await place.deliver(sink, { eager: false })).toMatchObject({ state: 'failed' });
  receiver.otherwise = () => 204;
  expect(await place.deliver(sink)).toMatchObject({ state: 'done', sent: 2 });
  expect(place.cursor().failure).toBeUndefined();
});

test('a day without the receiver loses nothing, and warns once a day', async () => {
  const sink = webhook();
  log = place.open({ rotateSize: 8192, keepFiles: 1 });
  place.greet(sink);
  receiver.otherwise = () => 'broken';
  const warnings: string[] = [];
  for (let hour = 0; hour < 50; hour += 1) {
    for (let n = 0; n < 10; n += 1)
      await log.append([event(hour * 10 + n, { time: place.clock.now.toISOString() })]);
    const { warn } = await place.deliver(sink, { eager: false });
    if (warn !== undefined) warnings.push(warn);
    later(HOUR);
  }
  expect(warnings).toHaveLength(2);
  expect(warnings[0]).toMatch(/^the audit sink siem has taken no record for 24 hours: /);
  // The rule says one closed file; those that the sink has not got are kept.
  expect(place.files().filter((file) => file.endsWith('.jsonl')).length).toBeGreaterThan(10);
  receiver.otherwise = () => 204;
  await place.deliver(sink);
  expectAll();
  expect(place.whole()[0]?.seq).toBe(1);
  for (let n = 0; n < 30; n += 1) await log.append([event(n)]);
  expect(place.files().filter((file) => file.endsWith('.jsonl')).length).toBeLessThan(4);
});

test('what waits for longer than `hold` goes by the rule of retention, and a record says so', async () => {
  const sink = webhook({ hold: '2d' });
  log = place.open({ rotateSize: 8192, keepFiles: 1 });
  place.greet(sink);
  receiver.otherwise = () => 500;
  for (let hour = 0; hour < 96; hour += 1) {
    for (let n = 0; n < 4; n += 1)
      await log.append([event(hour * 10 + n, { time: place.clock.now.toISOString() })]);
    await place.deliver(sink, { eager: false });
    later(HOUR);
  }
  const [oldest] = place.whole();
  expect(oldest?.seq).toBeGreaterThan(100);
  const said = place.whole().filter(({ retention }) => retention?.unsent !== undefined);
  expect(said.length).toBeGreaterThan(0);
  expect(said.at(-1)?.retention?.unsent?.[0]).toMatchObject({ sink: 'siem' });
  // Nothing that is younger is gone.
  const age = place.clock.now.getTime() - Date.parse(oldest?.time ?? '');
  expect(age).toBeGreaterThan(2 * 24 * HOUR - 2 * HOUR);
  receiver.otherwise = () => 204;
  const delivered = await place.deliver(sink);
  expect(delivered).toMatchObject({ state: 'done', missing: { from: 1, to: (oldest?.seq ?? 0) - 1 } });
  expectAll();
});

test('a sink that was removed keeps nothing for longer than its `hold`', async () => {
  const sink = webhook({ hold: '2d' });
  log = place.open({ rotateSize: 8192, keepFiles: 1 });
  place.greet(sink);
  later(3 * 24 * HOUR);
  for (let n = 0; n < 100; n += 1) await log.append([event(n, { time: place.clock.now.toISOString() })]);
  expect(place.files().filter((file) => file.endsWith('.jsonl')).length).toBeLessThan(4);
  expect(place.whole().some(({ retention }) => retention?.unsent !== undefined)).toBe(false);
});

test('two senders at once send nothing twice', async () => {
  const sink = webhook();
  place.greet(sink);
  await append(0, 400);
  const results = await Promise.all(
    Array.from({ length: 6 }, (_, n) => place.deliver(sink, { waitMs: n < 3 ? 0 : 5000 })),
  );
  expect(results.filter(({ sent }) => sent > 0)).toHaveLength(1);
  expect(recordsOf(receiver.taken)).toHaveLength(place.whole().length);
  expectAll();
});

test('a holder that is dead is taken over', async () => {
  const sink = webhook();
  place.greet(sink);
  await append(0, 1);
  const path = `${cursorPath(place.path, 'siem')}.lock`;
  const lock = await takeLock(path, 0);
  if (!('release' in lock)) throw new Error('locked');
  expect(await place.deliver(sink)).toMatchObject({ state: 'busy', sent: 0 });
  lock.release();
  expect(await place.deliver(sink)).toMatchObject({ state: 'done', sent: 2 });
});

test('a receiver that hangs is waited for no longer than allowed', async () => {
  const sink = webhook();
  place.greet(sink);
  await append(0, 1);
  receiver.answers.push('hang', 'endless');
  expect(await place.deliver(sink, { batchMs: 300 })).toMatchObject({ state: 'failed' });
  expect(await place.deliver(sink, { batchMs: 300 })).toMatchObject({ state: 'failed' });
  expect(await place.deliver(sink)).toMatchObject({ state: 'done' });
  expectAll();
});

test('a log that was begun anew, or has lost its end, is sent from its beginning', async () => {
  const sink = webhook();
  place.greet(sink);
  await append(0, 5);
  await place.deliver(sink);
  const lines = place.lines();
  place.write(lines.slice(0, 3));
  await append(100, 2);
  expect(await place.deliver(sink)).toMatchObject({ state: 'done' });
  const hashes = new Set(recordsOf(receiver.taken).map(({ hash }) => hash));
  for (const { hash } of place.whole()) expect(hashes.has(hash)).toBe(true);
});

test.each(['', '{', '[]', '{"v":1,"seq":-1}', '{"v":1,"seq":"x","hash":"y"}', 'null'])(
  'a state of %j is none: everything is sent again',
  async (text) => {
    const sink = webhook();
    place.greet(sink);
    await append(0, 2);
    await place.deliver(sink);
    writeFileSync(cursorPath(place.path, 'siem'), text, { mode: 0o600 });
    expect(await place.deliver(sink)).toMatchObject({ state: 'done', sent: 3 });
  },
);

test('the state is for the user alone', async () => {
  const sink = webhook();
  place.greet(sink);
  await append(0, 1);
  await place.deliver(sink);
  const folder = sinksFolder(place.path);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(readdirSync(folder)).toEqual(['siem.json']);
  expect(statSync(join(folder, 'siem.json')).mode & 0o777).toBe(0o600);
});

test('TLS is verified; `ca` names an authority', async () => {
  const pair = makeCertificate();
  const secure = await startHttp(pair);
  try {
    const sink = place.sink({ type: 'webhook', url: secure.url });
    place.greet(sink);
    await append(0, 1);
    expect(await place.deliver(sink)).toMatchObject({
      state: 'failed',
      error: { message: expect.stringMatching(/certificate/) as string },
    });
    expect(secure.seen).toEqual([]);
    writeFileSync(join(place.root, 'ca.pem'), pair.cert);
    expect(await place.deliver(place.sink({ type: 'webhook', url: secure.url, ca: 'ca.pem' }))).toMatchObject(
      { state: 'done', sent: 2 },
    );
  } finally {
    await secure.stop();
  }
});

test('a key that can’t be had is a failure like others', async () => {
  const sink = webhook({ secret: 'ops://key' });
  place.greet(sink);
  await append(0, 1);
  const context = {
    world: { env: {}, now: () => place.clock.now },
    secret: () => Promise.reject(new Error('no')),
  };
  expect(await place.deliver(sink, { context })).toMatchObject({ state: 'failed' });
  const slow = { ...context, secret: () => new Promise<Uint8Array>(() => {}) };
  expect(await place.deliver(sink, { context: slow, batchMs: 100 })).toMatchObject({ state: 'failed' });
  expect(receiver.seen).toEqual([]);
  expect(existsSync(cursorPath(place.path, 'siem'))).toBe(true);
  expect(readFileSync(cursorPath(place.path, 'siem'), 'utf8')).toContain('"times":2');
});
