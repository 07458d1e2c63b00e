/** AWS's trail, read from a double of CloudTrail that is told by what moto was really asked. */
import type { AuditEvent } from '../../src/core/audit/record.ts';
import { open } from '../../src/providers/aws/index.ts';
import type { AwsProvider } from '../../src/providers/aws/provider.ts';
import type { StoreSettings } from '../../src/core/trust.ts';
import type { TrailQuery } from '../../src/providers/capabilities/trail.ts';
import { type Aws, type Env, scenarioFiles, startAws } from '../backends/aws.ts';
import { startTrail, type Trail } from '../backends/aws/trail.ts';
import { describeWith } from '../backends/server.ts';
import { type Fault, startFaultProxy } from '../contract/fault-proxy.ts';
import { all, bytes, contextFor, errorOf, kindOf, now, readOne, within } from '../contract/kit.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;

describeWith('the trail of aws', scenarioFiles, () => {
  let aws: Aws;
  let trail: Trail;
  const opened: AwsProvider[] = [];
  const warned: string[] = [];

  const start = (env: Env = aws.admin, settings: StoreSettings = {}): AwsProvider => {
    const context = { ...contextFor({ ...env, AWS_ENDPOINT_URL: trail.url }, '/nonexistent') };
    const provider = open(settings, { ...context, warn: (message) => warned.push(message) });
    opened.push(provider);
    return provider;
  };
  const period = (more: Partial<TrailQuery> = {}): TrailQuery => ({
    since: new Date(Date.now() - HOUR),
    until: new Date(Date.now() + 1000),
    ...more,
  });
  const read = (store: AwsProvider, more: Partial<TrailQuery> = {}): Promise<AuditEvent[]> =>
    all(store.trail(period(more), now()));
  const arnOf = (tail: string, account = trail.account): string =>
    `arn:aws:secretsmanager:eu-west-1:${account}:secret:${tail}`;

  beforeAll(async () => {
    aws = await startAws();
  });
  beforeEach(async () => {
    const principals = new Map([
      [aws.admin['AWS_ACCESS_KEY_ID'] ?? '', 'arn:aws:iam::123456789012:user/admin'],
      [aws.nobody['AWS_ACCESS_KEY_ID'] ?? '', 'arn:aws:iam::123456789012:user/nobody'],
    ]);
    trail = await startTrail(aws, { principals });
    warned.length = 0;
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((provider) => provider.close()));
    await trail.stop();
  });
  afterAll(() => aws.stop());

  test('names the reads and writes that came through secrets, by their request ids', async () => {
    const store = start();
    const written = await store.put('trail/own', { value: bytes('a value of its own') }, now());
    const got = await readOne(store, { name: 'trail/own' });
    await kindOf(readOne(start(aws.nobody), { name: 'trail/own' }));
    const events = await read(store, { name: 'trail/own' });
    const find = (action: string, outcome: string): AuditEvent | undefined =>
      events.find((event) => event.action === action && event.outcome === outcome);
    expect(find('read', 'allowed')).toMatchObject({
      origin: 'cloudtrail',
      provider: 'aws',
      store: 'tested',
      secret: 'trail/own',
      actor: { principal: 'arn:aws:iam::123456789012:user/admin' },
      address: '127.0.0.1',
      client: expect.stringMatching(/\bsecrets\/\d/),
      requestId: got.requestId,
    });
    expect(find('write', 'allowed')).toMatchObject({ requestId: written.requestId, version: written.id });
    expect(got.requestId).toMatch(/^\S{20,}$/);
    expect(written.requestId).not.toBe(got.requestId);
    expect(find('read', 'denied')).toMatchObject({
      error: 'Denied',
      actor: { principal: 'arn:aws:iam::123456789012:user/nobody' },
    });
    for (const event of events) expect(event.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(JSON.stringify(events)).not.toMatch(/a value of its own|HIDDEN/);
  });

  test('a batch is the reads of its secrets, once each', async () => {
    const store = start();
    for (const name of ['batch/a', 'batch/b']) await store.put(name, { value: bytes('v') }, now());
    trail.events.length = 0;
    await store.get([{ name: 'batch/a' }, { name: 'batch/b' }], now());
    const events = await read(store);
    expect(
      events
        .filter(({ action }) => action === 'read')
        .map(({ secret }) => secret)
        .toSorted(),
    ).toEqual(['batch/a', 'batch/b']);
    expect((await read(store, { name: 'batch/a' })).filter(({ action }) => action === 'read')).toHaveLength(
      1,
    );
    trail.events.length = 0;
    trail.add({
      eventName: 'BatchGetSecretValue',
      errorCode: 'AccessDeniedException',
      requestParameters: { secretIdList: ['batch/a', 'batch/b'] },
    });
    expect(await read(store, { name: 'batch/b' })).toEqual([
      expect.objectContaining({ action: 'read', outcome: 'denied', secret: 'batch/b' }),
    ]);
  });

  test('finds one secret by name, whole ARN and partial ARN, and no other one that begins like it', async () => {
    const store = start();
    // The last one ends in a hyphen and six characters, as an ARN does.
    for (const name of ['ids/db', 'ids/db-old', 'ids/db-backup'])
      await store.put(name, { value: bytes('v') }, now());
    const whole = (await store.describe('ids/db', now())).nativeId ?? '';
    trail.events.length = 0;
    const ids = [
      ...['ids/db', whole, arnOf('ids/db'), arnOf('ids/db-Gone12')],
      ...['ids/db-old', arnOf('ids/db-old'), arnOf('ids/db-backup'), arnOf('ids/db-backup-Gone12')],
      ...['ids/DB', 'x/ids/db', arnOf('ids/db', '210987654321')],
    ];
    for (const secretId of ids) trail.add({ requestParameters: { secretId, versionId: secretId } });
    trail.add({
      eventName: 'PutSecretValue',
      requestParameters: { secretId: arnOf('ids/db-Else12', '210987654321') },
      responseElements: { arn: arnOf('ids/db-Else12', '210987654321'), name: 'ids/db' },
    });
    const versions = async (name: string): Promise<(string | undefined)[]> =>
      (await read(store, { name })).map(({ version }) => version);
    expect(await versions('ids/db')).toEqual(ids.slice(0, 4));
    // A whole ARN is asked of the store that takes names as ARNs, as a reference by ARN opens it.
    const byArn = await read(start(aws.admin, { arn: true }), { name: whole });
    expect(byArn.map(({ version }) => version)).toEqual(ids.slice(0, 4));
    expect(await versions('ids/db-backup')).toEqual(ids.slice(6, 8));
    expect(
      (await read(start(aws.admin, { prefix: 'ids/' }), { name: 'db' })).map(({ secret }) => secret),
    ).toEqual(Array.from({ length: 4 }, () => 'db'));
    const names = (await read(start(aws.admin, { prefix: 'ids/' }))).map(({ secret }) => secret);
    expect(new Set(names)).toEqual(new Set(['db', 'db-old', 'db-backup', 'DB', undefined]));
  });

  test('without the right to list secrets the form of an ARN decides, and that is said', async () => {
    trail.add({ requestParameters: { secretId: arnOf('alone-AbCd12') } });
    expect(await read(start(aws.nobody), { name: 'alone' })).toHaveLength(1);
    expect(warned.join()).toMatch(/without the right to list secrets/);
  });

  test.each<[string, object, Partial<AuditEvent>]>([
    [
      'PutSecretValue',
      { responseElements: { arn: 'ARN', versionId: 'v1' } },
      { action: 'write', version: 'v1' },
    ],
    [
      'PutSecretValue',
      { requestParameters: { secretId: 'ARN' }, responseElements: { name: 'kinds' } },
      { action: 'write' },
    ],
    ['CreateSecret', { requestParameters: { name: 'kinds' } }, { action: 'write' }],
    ['UpdateSecret', { requestParameters: null, responseElements: { aRN: 'ARN' } }, { action: 'write' }],
    [
      'UpdateSecretVersionStage',
      { requestParameters: { secretId: 'kinds', moveToVersionId: 'v2' } },
      { action: 'promote', version: 'v2' },
    ],
    ['TagResource', {}, { action: 'label' }],
    ['DeleteSecret', {}, { action: 'delete' }],
    [
      'DeleteSecret',
      { requestParameters: { secretId: 'kinds', forceDeleteWithoutRecovery: true } },
      { action: 'purge' },
    ],
    ['RestoreSecret', {}, { action: 'restore' }],
    ['RotateSecret', {}, { action: 'rotate' }],
    ['PutResourcePolicy', {}, { action: 'access' }],
    ['DescribeSecret', { errorCode: 'ResourceNotFoundException' }, { outcome: 'failed', error: 'NotFound' }],
    ['GetSecretValue', { errorCode: 'DecryptionFailure' }, { outcome: 'failed', error: 'DecryptionFailure' }],
    ['ANewCallOfTomorrow', {}, { action: 'other', outcome: 'allowed' }],
    ['constructor', {}, { action: 'other' }],
    [
      'RotationFailed',
      {
        eventType: 'AwsServiceEvent',
        userIdentity: { accountId: '123456789012', invokedBy: 'secretsmanager.amazonaws.com' },
        requestParameters: null,
        additionalEventData: { SecretId: 'ARN' },
      },
      {
        action: 'rotate',
        outcome: 'failed',
        actor: { principal: 'secretsmanager.amazonaws.com', source: 'through secretsmanager.amazonaws.com' },
      },
    ],
    [
      'GetSecretValue',
      {
        userIdentity: {
          type: 'AssumedRole',
          principalId: 'AROAEXAMPLE:app',
          arn: 'arn:aws:sts::123456789012:assumed-role/app/i-1',
          sessionContext: { sessionIssuer: { arn: 'arn:aws:iam::123456789012:role/app' } },
        },
      },
      {
        actor: {
          principal: 'arn:aws:sts::123456789012:assumed-role/app/i-1',
          source: 'role arn:aws:iam::123456789012:role/app',
        },
      },
    ],
  ])('%s %o', async (eventName, event, expected) => {
    const text = JSON.stringify({ requestParameters: { secretId: 'kinds' }, ...event, eventName });
    trail.add(JSON.parse(text.replace('"ARN"', JSON.stringify(arnOf('kinds-AbCd12')))) as object as never);
    expect(await read(start(), { name: 'kinds' })).toEqual([
      expect.objectContaining({ secret: 'kinds', ...expected }),
    ]);
  });

  test('pages at two lookups a second, waits when others use them up, and streams', async () => {
    for (let index = 0; index < 120; index += 1)
      trail.add({ requestParameters: { secretId: 'many', versionId: `${index}` } });
    // Others have used up this second's lookups when the first of ours arrives.
    for (let index = 0; index < 2; index += 1)
      trail.lookups.push({ at: Date.now() + 1000, throttled: false });
    const events = await read(start(), { name: 'many' });
    expect(new Set(events.map(({ version }) => version)).size).toBe(120);
    expect(trail.lookups.some(({ throttled }) => throttled)).toBe(true);
    trail.lookups.length = 0;
    await read(start(), { name: 'many' });
    expect(trail.lookups).toHaveLength(3);
    expect(trail.lookups.some(({ throttled }) => throttled)).toBe(false);
    trail.lookups.length = 0;
    for await (const _ of start().trail(period(), now())) break;
    expect(trail.lookups).toHaveLength(1);
  });

  test('shows the period asked for, says what it can’t show', async () => {
    const day = (days: number): string => new Date(Date.now() - days * DAY).toISOString();
    for (const days of [1, 5, 80, 95])
      trail.add({ requestParameters: { secretId: 'old', versionId: `${days}` }, eventTime: day(days) });
    const since = new Date(Date.now() - 100 * DAY);
    const shown = await read(start(), { name: 'old', since, until: new Date(Date.now() - 2 * DAY) });
    expect(shown.map(({ version }) => version)).toEqual(['5', '80']);
    expect(warned).toEqual([expect.stringMatching(/goes back 90 days/)]);
    warned.length = 0;
    await read(start());
    expect(warned).toEqual([expect.stringMatching(/up to 15 minutes late/)]);
    expect(await read(start(), { since, until: new Date(Date.now() - 95 * DAY) })).toEqual([]);
    expect(await kindOf(read(start(), { since: new Date(), until: since }))).toBe('Usage');
  });

  test('a refusal names the permission', async () => {
    trail.denied.add(aws.admin['AWS_ACCESS_KEY_ID'] ?? '');
    expect(await errorOf(read(start()))).toMatchObject({
      kind: 'Denied',
      message: expect.stringMatching(/user\/admin/),
      hint: expect.stringMatching(/cloudtrail:LookupEvents/),
    });
  });

  describe('an answer that is not CloudTrail’s', () => {
    const json = (body: unknown): Fault => ({
      answer: {
        status: 200,
        headers: { 'content-type': 'application/x-amz-json-1.1' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      },
    });
    test.each<[string, Fault]>([
      ['a page', json('<html>sign in</html>')],
      ['no list', json({ Events: 'none' })],
      ['an event that is not JSON', json({ Events: [{ EventId: 'x', CloudTrailEvent: '{"eventTime' }] })],
      ['an event without its text', json({ Events: [{ EventId: 'x' }] })],
      [
        'an event of another shape',
        json({ Events: [{ CloudTrailEvent: '{"eventTime":7,"eventName":[]}' }] }),
      ],
      ['the same page for ever', json({ Events: [], NextToken: 'x' })],
      ['half an answer', 'truncated'],
      ['no answer', 'hang'],
      ['an answer that drips', 'drip'],
      ['an answer without end', 'endless'],
      ['a broken connection', 'reset'],
    ])('%s is Unavailable within the deadline', async (_, fault) => {
      trail.add({ requestParameters: { secretId: 'x' } });
      const proxy = await startFaultProxy({ url: trail.url });
      try {
        proxy.fault(fault);
        const store = start({ ...aws.admin, AWS_ENDPOINT_URL_CLOUDTRAIL: proxy.url });
        expect(await kindOf(all(store.trail(period(), within(4000))))).toBe('Unavailable');
      } finally {
        await proxy.stop();
      }
    });
  });

  test('sends no credential over plain http', async () => {
    expect(() => start(aws.admin, { 'cloudtrail-endpoint': 'http://cloudtrail.example' })).toThrow(/https/);
  });
});
