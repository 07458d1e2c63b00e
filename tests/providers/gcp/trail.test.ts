/** Google's trail, read from a double of Cloud Logging that notes what the double of Secret Manager was asked. */
import type { AuditEvent } from '../../../src/core/audit/record.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import type { StoreSettings } from '../../../src/core/trust.ts';
import type { TrailQuery } from '../../../src/providers/capabilities/trail.ts';
import { quoted } from '../../../src/providers/gcp/trail.ts';
import { type Account, ADMIN } from '../../backends/gcp.ts';
import { type Fault, startFaultProxy } from '../../contract/fault-proxy.ts';
import { errorOf, kindOf, within } from '../../contract/kit.ts';
import { all, type Bench, bytes, now, readText, startBench } from './setup.ts';

const HOUR = 3_600_000;
const VIEWER = 'roles/logging.privateLogViewer';
const REVIEWER = 'roles/iam.securityReviewer';
const ON = [
  {
    service: 'secretmanager.googleapis.com',
    auditLogConfigs: [{ logType: 'DATA_READ' }, { logType: 'ADMIN_READ' }],
  },
];

let bench: Bench;
let admin: Account;
let nobody: Account;
let warned: string[];
let count = 0;

const start = (account = admin, settings: StoreSettings = {}): Provider =>
  bench.store(account, settings, { warn: (message) => warned.push(message) });
const period = (more: Partial<TrailQuery> = {}): TrailQuery => ({
  since: new Date(Date.now() - HOUR),
  until: new Date(Date.now() + 1000),
  ...more,
});
const read = (store: Provider, more: Partial<TrailQuery> = {}, options = now()): Promise<AuditEvent[]> =>
  all(store.trail?.(period(more), options));
const audit = (settings: object): Promise<unknown> => bench.gcp.door('audit', settings);
/** A name for one test alone. */
const fresh = (): string => `trail-${(count += 1)}`;

beforeAll(async () => {
  bench = await startBench();
  admin = await bench.gcp.account('auditor', [...ADMIN, VIEWER, REVIEWER]);
  nobody = await bench.gcp.account('stranger', []);
});
beforeEach(async () => {
  warned = [];
  await audit({ auditConfigs: ON, inherited: [], throttle: 0, page: 1000, emptyPages: 0 });
});
afterAll(() => bench.stop());

test('shows what came through secrets: who, with what, on which version', async () => {
  const name = fresh();
  const store = start();
  await store.put(name, { value: bytes('a value of its own') }, now());
  await readText(store, name);
  await readText(store, name, { version: '1' });
  await kindOf(readText(start(nobody), name));
  const events = await read(store, { name });
  const find = (action: string, outcome: string): AuditEvent[] =>
    events.filter((event) => event.action === action && event.outcome === outcome);
  expect(find('read', 'allowed')).toHaveLength(2);
  expect(find('read', 'allowed').map(({ version }) => version)).toEqual(['1', undefined]);
  expect(find('read', 'allowed')[0]).toMatchObject({
    origin: 'cloud-audit-logs',
    provider: 'gcp',
    store: 'tested',
    secret: name,
    actor: { principal: admin.email },
    address: '127.0.0.1',
    client: expect.stringMatching(/^secrets\/\d/),
    requestId: expect.stringMatching(/^[0-9a-f]{16}$/),
  });
  expect(find('write', 'allowed').map(({ version }) => version)).toContain('1');
  expect(find('read', 'denied')).toEqual([
    expect.objectContaining({ error: 'Denied', actor: { principal: nobody.email } }),
  ]);
  for (const { time } of events) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(JSON.stringify(events)).not.toMatch(/a value of its own/);
  expect(warned).toEqual([expect.stringMatching(/up to 5 minutes late/)]);
});

test('shows a pending value as one of its secret, and not as a secret', async () => {
  const name = fresh();
  const store = start();
  await store.put(name, { value: bytes('old') }, now());
  const { id } = await store.put(name, { value: bytes('new'), stage: 'pending' }, now());
  await store.makeCurrent?.(name, id, now());
  const events = await read(store, { name });
  expect(new Set(events.map(({ secret }) => secret))).toEqual(new Set([name]));
  expect(events.filter(({ action }) => action === 'purge').map(({ version }) => version)).toEqual([
    'pending',
  ]);
});

test('finds one secret alone, whatever its name begins with and however it was named', async () => {
  const name = fresh();
  const project = 'projects/482910475623';
  const names = [
    ...[`${project}/secrets/${name}`, `projects/tests/secrets/${name}/versions/7`],
    ...[
      `${project}/secrets/${name}-old`,
      `${project}/secrets/x${name}`,
      `${project}/secrets/${name.toUpperCase()}`,
    ],
    ...[`${project}/locations/europe-west3/secrets/${name}`, project],
  ];
  await audit({ entries: names.map((resourceName) => ({ protoPayload: { resourceName } })) });
  expect((await read(start(), { name })).map(({ version }) => version)).toEqual(['7', undefined]);
  const regional = { location: 'europe-west3', endpoint: bench.gcp.regionalUrl };
  expect(await read(start(admin, regional), { name })).toHaveLength(1);
  const [, rest = ''] = /^(?:trail-)(.+)$/.exec(name) ?? [];
  const inside = await read(start(admin, { prefix: 'trail-' }));
  expect(inside.filter(({ secret }) => secret === `${rest}-old`)).toHaveLength(1);
  expect(inside.map(({ secret }) => secret)).not.toContain(`x${name}`);
});

test.each<[string, object, Partial<AuditEvent>]>([
  ['CreateSecret', {}, { action: 'write' }],
  ['UpdateSecret', {}, { action: 'label' }],
  ['DisableSecretVersion', {}, { action: 'delete' }],
  ['EnableSecretVersion', {}, { action: 'restore' }],
  ['DestroySecretVersion', {}, { action: 'purge' }],
  ['DeleteSecret', {}, { action: 'purge' }],
  ['SetIamPolicy', {}, { action: 'access' }],
  ['GetSecret', { status: { code: 5 } }, { action: 'describe', outcome: 'failed', error: 'NotFound' }],
  ['AccessSecretVersion', { status: { code: 9 } }, { outcome: 'failed', error: 'FAILED_PRECONDITION' }],
  ['AccessSecretVersion', { status: { code: 99 } }, { outcome: 'failed', error: 'code 99' }],
  [
    'AccessSecretVersion',
    { authorizationInfo: [{ granted: false }] },
    { outcome: 'denied', error: 'Denied' },
  ],
  ['toString', {}, { action: 'other' }],
  [
    'AccessSecretVersion',
    {
      authenticationInfo: {
        principalEmail: 'app@tests.iam.gserviceaccount.com',
        serviceAccountKeyName: '//iam.googleapis.com/projects/tests/serviceAccounts/app/keys/0123abcd',
        serviceAccountDelegationInfo: [{ firstPartyPrincipal: { principalEmail: 'ann@example.com' } }],
      },
    },
    {
      actor: {
        principal: 'app@tests.iam.gserviceaccount.com',
        source: 'key 0123abcd, impersonated by ann@example.com',
      },
    },
  ],
  [
    'AccessSecretVersion',
    { authenticationInfo: { principalSubject: 'principal://iam.googleapis.com/projects/1/x/subject/ci' } },
    { actor: { principal: 'principal://iam.googleapis.com/projects/1/x/subject/ci' } },
  ],
  [
    'AccessSecretVersion',
    { authenticationInfo: 7, requestMetadata: null, status: [] },
    { outcome: 'allowed' },
  ],
])('%s %o', async (method, payload, expected) => {
  const name = fresh();
  const methodName = `google.cloud.secretmanager.v1.SecretManagerService.${method}`;
  const resourceName = `projects/1/secrets/${name}`;
  await audit({ entries: [{ protoPayload: { methodName, resourceName, ...payload } }] });
  expect(await read(start(), { name })).toEqual([expect.objectContaining({ secret: name, ...expected })]);
});

test('pages, also over empty pages, waits when the quota is used up, and streams', async () => {
  const name = fresh();
  const entries = Array.from({ length: 25 }, (_, index) => ({
    protoPayload: { resourceName: `projects/1/secrets/${name}/versions/${index + 1}` },
  }));
  await audit({ entries, page: 10, emptyPages: 2, throttle: 5 });
  const found = await read(start(), { name });
  expect(new Set(found.map(({ version }) => version)).size).toBe(25);
  await bench.gcp.door('logged');
  for await (const _ of start().trail?.(period({ name }), now()) ?? []) break;
  expect((await bench.gcp.door<{ lists: string[] }>('logged')).lists).toHaveLength(3);
});

test('shows the period asked for', async () => {
  const name = fresh();
  const entries = [2, 30, 90].map((hours) => ({
    timestamp: new Date(Date.now() - hours * HOUR).toISOString(),
    protoPayload: { resourceName: `projects/1/secrets/${name}/versions/${hours}` },
  }));
  await audit({ entries });
  const times = { since: new Date(Date.now() - 48 * HOUR), until: new Date(Date.now() - HOUR) };
  expect((await read(start(), { name, ...times })).map(({ version }) => version)).toEqual(['2', '30']);
  expect(warned).toEqual([]);
  expect(await kindOf(read(start(), { since: times.until, until: times.since }))).toBe('Usage');
});

describe('says when reads are not logged', () => {
  const past = { since: new Date(Date.now() - 900 * HOUR), until: new Date(Date.now() - 800 * HOUR) };

  test('by the project’s audit configuration', async () => {
    await audit({ auditConfigs: [] });
    await read(start(), past);
    expect(warned).toEqual([expect.stringMatching(/^Data Access logs are off.*DATA_READ.*project tests/)]);
    warned = [];
    await audit({ auditConfigs: [{ service: 'allServices', auditLogConfigs: [{ logType: 'DATA_WRITE' }] }] });
    await read(start(), past);
    expect(warned).toEqual([expect.stringMatching(/^Data Access logs are off/)]);
    warned = [];
    await audit({ auditConfigs: [{ service: 'allServices', auditLogConfigs: [{ logType: 'DATA_READ' }] }] });
    await read(start(), past);
    expect(warned).toEqual([]);
  });

  test('not when an organisation has switched them on and others’ reads are there', async () => {
    const name = fresh();
    await audit({ auditConfigs: [], inherited: ['DATA_READ'], entries: [{ protoPayload: {} }] });
    expect(await read(start(), { name, until: new Date(Date.now() + 1000) })).toEqual([]);
    expect(warned).toEqual([expect.stringMatching(/minutes late/)]);
  });

  test('by the logs themselves where the configuration may not be seen', async () => {
    const viewer = await bench.gcp.account('viewer', [VIEWER]);
    await read(start(viewer), past);
    expect(warned).toEqual([
      expect.stringMatching(/no read of any secret is shown.*DATA_READ.*privateLogViewer/),
    ]);
  });

  test('of those that are exempt', async () => {
    const auditLogConfigs = [{ logType: 'DATA_READ', exemptedMembers: ['serviceAccount:ci@x'] }];
    await audit({ auditConfigs: [{ service: 'secretmanager.googleapis.com', auditLogConfigs }] });
    await read(start(), past);
    expect(warned).toEqual([expect.stringMatching(/^reads by serviceAccount:ci@x are not logged/)]);
  });
});

test('a refusal names the role', async () => {
  expect(await errorOf(read(start(nobody)))).toMatchObject({
    kind: 'Denied',
    message: expect.stringMatching(/stranger@/),
    hint: expect.stringMatching(/roles\/logging\.privateLogViewer.*project tests/),
  });
});

test('an endpoint that does not know the project is named', async () => {
  const { gcp } = bench;
  const proxy = await startFaultProxy({ url: gcp.url, ca: gcp.tls.cert, tls: gcp.tls });
  const body = JSON.stringify({ error: { code: 404, status: 'NOT_FOUND', message: 'x' } });
  try {
    proxy.fault({ answer: { status: 404, headers: { 'content-type': 'application/json' }, body } });
    expect(await errorOf(read(start(admin, { 'logging-endpoint': proxy.url })))).toMatchObject({
      kind: 'NotFound',
      message: 'Cloud Logging knows no project tests',
    });
  } finally {
    await proxy.stop();
  }
});

test('names can’t change the filter', async () => {
  expect(await kindOf(read(start(), { name: 'x" OR "' }))).toBe('Invalid');
  expect(quoted('a"b\\c')).toBe(String.raw`"a\"b\\c"`);
  expect(() => quoted('a\nb')).toThrow(/control/);
  // A prefix is no name, and nothing of it is in the filter.
  await read(start(admin, { prefix: 'x" OR "' }));
  const { lists } = await bench.gcp.door<{ lists: string[] }>('logged');
  expect(lists.at(-1)).not.toMatch(/x/);
});

describe('an answer that is not Cloud Logging’s', () => {
  const json = (body: unknown, status = 200): Fault => ({
    answer: {
      status,
      headers: { 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    },
  });
  test.each<[string, Fault]>([
    ['a page', json('<html>sign in</html>')],
    ['a list', json([])],
    ['entries of another kind', json({ entries: 'none' })],
    ['an entry of another shape', json({ entries: [{ timestamp: 7 }] })],
    ['no entry', json({ entries: [null] })],
    ['the same page for ever', json({ entries: [], nextPageToken: 'x' })],
    ['a token of another kind', json({ entries: [], nextPageToken: 7 })],
    ['half an answer', 'truncated'],
    ['no answer', 'hang'],
    ['an answer that drips', 'drip'],
    ['an answer without end', 'endless'],
    ['a broken connection', 'reset'],
    ['a fault', json({ error: { code: 503, status: 'UNAVAILABLE', message: 'later' } }, 503)],
  ])('%s is Unavailable within the deadline', async (_, fault) => {
    const { gcp } = bench;
    await audit({ entries: [{ protoPayload: {} }] });
    const proxy = await startFaultProxy({ url: gcp.url, ca: gcp.tls.cert, tls: gcp.tls });
    try {
      proxy.fault(fault);
      const store = start(admin, { 'logging-endpoint': proxy.url });
      const error = await errorOf(read(store, {}, within(4000)));
      expect(error?.kind).toBe('Unavailable');
      expect(error?.message).not.toMatch(/Secret Manager/);
    } finally {
      await proxy.stop();
    }
  });
});
