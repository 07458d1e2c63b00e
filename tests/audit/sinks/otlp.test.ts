/** OpenTelemetry: what a receiver decodes that uses OpenTelemetry's own protocol classes. */
import { createServer } from 'node:net';
import type { AuditRecord } from '../../../src/core/audit/record.ts';
import { hashOf } from '../../../src/core/audit/chain.ts';
import { OTLP_PYTHON, type OtlpReceiver, type OtlpRecord, startOtlp } from '../../backends/otlp.ts';
import { describeWith } from '../../backends/server.ts';
import { event } from '../events.ts';
import { type SinkPlace, sinkPlace } from './kit.ts';

describeWith('OTLP over HTTP', [OTLP_PYTHON], () => {
  let receiver: OtlpReceiver;
  let place: SinkPlace;
  beforeEach(async () => {
    place = sinkPlace();
    receiver = await startOtlp();
  });
  afterEach(async () => {
    place.remove();
    await receiver.stop();
  });

  const otlp = (more = {}) => place.sink({ type: 'otlp', url: receiver.url, ...more });
  const attributesOf = ({ record }: OtlpRecord): Readonly<Record<string, unknown>> =>
    Object.fromEntries(record.attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

  test('every record arrives, with its fields as attributes', async () => {
    const sink = otlp();
    place.greet(sink);
    const log = place.open();
    await log.append([
      event(0),
      event(1, { outcome: 'denied', error: 'Denied', keys: ['a', 'b'], reason: 'ticket "7" ü😀' }),
      event(2, { outcome: 'failed', error: 'NotFound' }),
    ]);
    await log.append(Array.from({ length: 600 }, (_, n) => event(n + 3)));
    expect(await place.deliver(sink)).toMatchObject({ state: 'done', sent: place.whole().length });
    const got = receiver.records();
    expect(got.map(({ record }) => record.body.stringValue)).toEqual(place.all());
    for (const { record } of got) {
      const body = JSON.parse(record.body.stringValue) as AuditRecord;
      expect(hashOf(body)).toBe(body.hash);
    }
    const [checkpoint, allowed, denied, failed] = got as [OtlpRecord, OtlpRecord, OtlpRecord, OtlpRecord];
    expect(checkpoint.record.eventName).toBe('secrets.checkpoint');
    expect([allowed, denied, failed].map(({ record }) => record.severityText)).toEqual([
      'INFO',
      'WARN',
      'INFO2',
    ]);
    expect(denied.record).toMatchObject({
      eventName: 'secrets.access',
      severityNumber: 'SEVERITY_NUMBER_WARN',
      timeUnixNano: `${Date.parse('2026-11-01T00:00:01Z')}000000`,
    });
    expect(attributesOf(denied)).toMatchObject({
      'user.name': 'ada',
      'user.id': '1000',
      'enduser.id': 'arn:aws:sts::1:assumed-role/reader/ada',
      'host.name': 'desk',
      'process.pid': '100',
      'error.type': 'Denied',
      'secrets.secret': 'payments/1',
      'secrets.outcome': 'denied',
      'secrets.reason': 'ticket "7" ü😀',
      'secrets.seq': '3',
      'secrets.hash': place.whole()[2]?.hash,
    });
    expect(denied.resource.attributes).toEqual(
      expect.arrayContaining([{ key: 'service.name', value: { stringValue: 'secrets' } }]),
    );
    expect(denied.agent).toMatch(/^secrets\//);
    expect(denied.authorization).toBeNull();
  });

  test('headers come from a secret', async () => {
    const sink = otlp({ headers: 'ops://otlp' });
    place.greet(sink);
    await place.open().append([event(0)]);
    const context = (value: string) => ({
      world: { env: {}, now: () => place.clock.now },
      secret: () => Promise.resolve(Buffer.from(value)),
    });
    for (const wrong of ['', 'nothing', 'a b=c', 'authorization=x%0d%0ay%3A z'])
      expect([wrong, await place.deliver(sink, { context: context(wrong) })]).toMatchObject([
        wrong,
        { state: 'failed', error: { kind: 'Invalid' } },
      ]);
    expect(receiver.records()).toEqual([]);
    expect(await place.deliver(sink, { context: context('Authorization=Bearer%20t0ken\n') })).toMatchObject({
      state: 'done',
    });
    expect(receiver.records()[0]?.authorization).toBe('Bearer t0ken');
  });

  test('what is refused or unanswered is sent again', async () => {
    const sink = otlp();
    place.greet(sink);
    await place.open().append([event(0), event(1)]);
    for (const status of [503, 429, 400, 401, 404]) {
      receiver.answer(status);
      expect([status, await place.deliver(sink, { batchMs: 400 })]).toMatchObject([
        status,
        { state: 'failed', sent: 0, error: { kind: 'Unavailable' } },
      ]);
    }
    receiver.answer(undefined);
    expect(await place.deliver(sink)).toMatchObject({ state: 'done', sent: 3 });
    expect(receiver.records()).toHaveLength(3);
  });

  test('a receiver that hangs is waited for no longer than allowed', async () => {
    const silent = createServer((socket) => void socket.on('error', () => {}).resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const at = silent.address();
    const sink = place.sink({
      type: 'otlp',
      url: `http://127.0.0.1:${typeof at === 'object' ? (at?.port ?? 0) : 0}/v1/logs`,
    });
    place.greet(sink);
    await place.open().append([event(0)]);
    expect(await place.deliver(sink, { batchMs: 300 })).toMatchObject({ state: 'failed' });
    await new Promise<void>((resolve) => silent.close(() => resolve()));
  });
});
