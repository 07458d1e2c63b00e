/** Syslog: the form of messages, and delivery to Debian's rsyslog. */
import { createServer, type Server, type Socket } from 'node:net';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { syslogFrame, syslogMessage } from '../../../src/audit/sinks/syslog-format.ts';
import type { AuditRecord } from '../../../src/core/audit/record.ts';
import { canonicalJson, hashOf } from '../../../src/core/audit/chain.ts';
import { makeCertificate } from '../../backends/tls.ts';
import { type Rsyslog, RSYSLOG_FILES, startRsyslog } from '../../backends/rsyslog.ts';
import { describeWith } from '../../backends/server.ts';
import { event } from '../events.ts';
import { type SinkPlace, sinkPlace } from './kit.ts';

const HOSTILE = 'a"b\\c]d [x="y"] \u0000\u001b[2J\n<0>1 - forged \u202e ünï 😀';

let place: SinkPlace;
beforeEach(() => {
  place = sinkPlace();
});
afterEach(() => place.remove());

const until = async (done: () => boolean): Promise<void> => {
  for (const end = Date.now() + 120_000; !done() && Date.now() < end;)
    await new Promise((resolve) => setTimeout(resolve, 50));
};

describe('a message', () => {
  const record = (more: Partial<AuditRecord>): AuditRecord => ({
    ...event(1),
    v: 1,
    seq: 7,
    kind: 'access',
    prev: '0'.repeat(64),
    hash: 'f'.repeat(64),
    ...more,
  });
  const messageOf = (more: Partial<AuditRecord> = {}, facility: 'authpriv' | 'local3' = 'authpriv'): string =>
    syslogMessage(record(more), canonicalJson(record(more)), facility);

  test.each([
    ['allowed', 'authpriv', 10 * 8 + 6],
    ['failed', 'authpriv', 10 * 8 + 5],
    ['denied', 'authpriv', 10 * 8 + 4],
    ['denied', 'local3', 19 * 8 + 4],
  ] as const)('of an access that was %s, for %s, has priority %d', (outcome, facility, priority) => {
    expect(messageOf({ outcome }, facility)).toMatch(
      new RegExp(
        `^<${priority}>1 2026-11-01T00:00:01\\.000Z desk secrets 100 read \\[secrets@32473 seq="7" `,
      ),
    );
  });

  test('is ASCII on one line, whatever is in the record, and holds it all', () => {
    const all = {
      secret: HOSTILE,
      host: HOSTILE,
      reason: HOSTILE,
      actor: { user: HOSTILE },
      store: 'x'.repeat(3000),
    };
    const message = messageOf(all);
    expect(message).toMatch(/^[\x20-\x7e\u00a0-\uffff]+$/);
    const text = message.slice(message.indexOf('] {"') + 2);
    expect(text).toMatch(/^[\x20-\x7e]+$/);
    expect(canonicalJson(JSON.parse(text))).toBe(canonicalJson(record(all)));
    expect(Buffer.byteLength(message.split(' ')[2] ?? '')).toBeLessThanOrEqual(255);
  });

  test('that lacks everything has - in its header', () => {
    expect(messageOf({ host: undefined, pid: undefined, kind: 'checkpoint' })).toMatch(
      /^<86>1 \S+ - secrets - checkpoint \[/,
    );
  });

  test('is framed by its length in bytes', () => {
    const one = record({ secret: 'ü' });
    const frame = syslogFrame(one, canonicalJson(one), 'user').toString();
    const [, length, message = ''] = /^(\d+) (.*)$/s.exec(frame) ?? [];
    expect(Number(length)).toBe(Buffer.byteLength(message));
  });
});

describeWith('rsyslog', RSYSLOG_FILES, () => {
  let server: Rsyslog;
  beforeAll(async () => {
    server = await startRsyslog();
  });
  afterAll(() => server.stop());

  test.each(['unix', 'tcp', 'tls'] as const)(
    'takes every record over %s, and reads its fields',
    async (kind) => {
      const before = server.messages().length;
      const sink = place.sink({
        type: 'syslog',
        address: server[kind],
        ...(kind === 'tls' && { ca: server.ca }),
      });
      place.greet(sink);
      const log = place.open();
      const hostile = event(1, { secret: HOSTILE, reason: HOSTILE, outcome: 'denied', error: 'Denied' });
      await log.append([event(0), hostile]);
      await log.append(Array.from({ length: 600 }, (_, n) => event(n + 2)));
      const records = place.whole();
      expect(await place.deliver(sink)).toMatchObject({ state: 'done', sent: records.length });
      await until(() => server.messages().length >= before + records.length);
      const messages = server.messages().slice(before);
      expect(messages.map(({ text }) => Number((JSON.parse(text) as AuditRecord).seq))).toEqual(
        records.map(({ seq }) => seq),
      );
      for (const [index, { text, data }] of messages.entries()) {
        const record = JSON.parse(text) as AuditRecord;
        expect(hashOf(record)).toBe(record.hash);
        expect(record).toEqual(records[index]);
        expect(data['secrets@32473']).toMatchObject({ seq: String(record.seq), hash: record.hash });
      }
      const denied = messages.find(({ text }) => (JSON.parse(text) as AuditRecord).outcome === 'denied');
      expect(denied).toMatchObject({
        ...{ pri: '84', version: '1', host: 'desk', app: 'secrets', procid: '100', msgid: 'read' },
        time: '2026-11-01T00:00:01.000Z',
      });
      expect(denied?.data['secrets@32473']).toMatchObject({
        ...{ outcome: 'denied', user: 'ada', store: 'prod' },
        secret: 'a"b\\c]d [x="y"] ??[2J?<0>1 - forged \u202e ünï 😀',
      });
    },
  );

  test('is not believed without its authority', async () => {
    const sink = place.sink({ type: 'syslog', address: server.tls });
    place.greet(sink);
    await place.open().append([event(0)]);
    expect(await place.deliver(sink)).toMatchObject({
      state: 'failed',
      error: {
        kind: 'Unavailable',
        message: expect.stringMatching(/certificate that is not trusted/) as string,
      },
    });
    writeFileSync(join(place.root, 'other.pem'), makeCertificate().cert);
    expect(
      await place.deliver(place.sink({ type: 'syslog', address: server.tls, ca: 'other.pem' })),
    ).toMatchObject({ state: 'failed' });
  });
});

describe('a server', () => {
  let server: Server;
  let address: string;
  const sockets = new Set<Socket>();
  const start = async (handle: (socket: Socket) => void): Promise<void> => {
    server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      handle(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const at = server.address();
    address = `tcp://127.0.0.1:${typeof at === 'object' ? (at?.port ?? 0) : 0}`;
  };
  afterEach(async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  const attempt = async (count = 400) => {
    const sink = place.sink({ type: 'syslog', address });
    place.greet(sink);
    await place.open().append(Array.from({ length: count }, (_, n) => event(n)));
    return place.deliver(sink, { batchMs: 500 });
  };

  test('that reads to the end and closes has taken it', async () => {
    let got = '';
    await start((socket) => {
      socket.on('data', (chunk: Buffer) => (got += chunk.toString()));
      socket.on('end', () => socket.end());
    });
    expect(await attempt(3)).toMatchObject({ state: 'done', sent: 4 });
    expect(got.match(/secrets@32473/g)).toHaveLength(4);
  });

  test.each<[string, (socket: Socket) => void]>([
    ['that closes at once', (socket) => void socket.destroy()],
    ['that resets in the middle', (socket) => void socket.once('data', () => socket.resetAndDestroy())],
    ['that says goodbye before it has read', (socket) => void socket.end()],
    ['that never closes', (socket) => void socket.resume()],
    ['that never reads', () => {}],
  ])('%s has not', async (_title, handle) => {
    await start(handle);
    expect(await attempt()).toMatchObject({ state: 'failed', sent: 0, error: { kind: 'Unavailable' } });
    expect(place.cursor().seq).toBe(0);
  });

  test('that sends without end is not listened to', async () => {
    await start((socket) => {
      const timer = setInterval(() => socket.write('x'.repeat(100_000)), 1);
      socket.resume();
      socket.on('close', () => clearInterval(timer));
    });
    expect(await attempt(3)).toMatchObject({ state: 'failed' });
  });

  test('is a stream: a datagram socket is said to be none', async () => {
    await start(() => {});
    const path = join(place.root, 'missing');
    const sink = place.sink({ type: 'syslog', address: `unix:${path}` });
    place.greet(sink);
    await place.open().append([event(0)]);
    expect(await place.deliver(sink)).toMatchObject({
      error: { message: expect.stringMatching(/ENOENT/) as string },
    });
    writeFileSync(path, '');
    chmodSync(path, 0o700);
    expect(await place.deliver(sink)).toMatchObject({
      error: { message: expect.stringMatching(/ECONNREFUSED/) as string },
    });
  });
});
