/** Azure's trail, read from a double of a Log Analytics workspace that the double of Key Vault logs to. */
import type { AuditEvent } from '../../src/core/audit/record.ts';
import { queryOf, quoted } from '../../src/providers/azure/trail-query.ts';
import type { Provider } from '../../src/providers/provider.ts';
import type { StoreSettings } from '../../src/core/trust.ts';
import type { TrailQuery } from '../../src/providers/capabilities/trail.ts';
import { scenarioFiles } from '../backends/azure.ts';
import { findKqlFault } from '../backends/azure/kql.ts';
import { Workspace } from '../backends/azure/logs.ts';
import { describeWith } from '../backends/server.ts';
import { type Fault, startFaultProxy } from '../contract/fault-proxy.ts';
import { all, bytes, errorOf, kindOf, now, readOne, within } from '../contract/kit.ts';
import { useAzure } from './azure-kit.ts';

const HOUR = 3_600_000;
const uri = (path: string): string =>
  `https://tests.vault.azure.net:8443/secrets/${path}?api-version=2025-07-01`;
const V1 = '0123456789abcdef0123456789abcdef';

describeWith('the trail of azure', scenarioFiles, () => {
  const stores = useAzure();
  let workspace: Workspace;
  let count = 0;

  const start = (
    role: 'officer' | 'user' | 'nobody' = 'officer',
    settings: StoreSettings = {},
    trail: StoreSettings | null = {},
  ): Provider =>
    stores.start(stores.azure.env(role), {
      ...settings,
      ...(trail !== null && { trail: { workspace: workspace.id, ...trail } }),
    });
  const period = (more: Partial<TrailQuery> = {}): TrailQuery => ({
    since: new Date(Date.now() - HOUR),
    until: new Date(Date.now() + 1000),
    ...more,
  });
  const stream = (
    store: Provider,
    more: Partial<TrailQuery> = {},
    options = now(),
  ): AsyncIterable<AuditEvent> => {
    if (store.trail === undefined) throw new Error('it has no trail');
    return store.trail(period(more), options);
  };
  const read = (...args: Parameters<typeof stream>): Promise<AuditEvent[]> => all(stream(...args));
  const fresh = (): string => `trail-${(count += 1)}`;

  beforeEach(() => {
    ({ workspace } = stores.azure);
    workspace.tables.clear();
    Object.assign(workspace, { destination: 'dedicated', throttle: 0, partial: false });
  });

  test.each(['dedicated', 'diagnostics', 'both'] as const)(
    'shows what came through secrets, by its request ids (%s)',
    async (destination) => {
      workspace.destination = destination;
      const name = fresh();
      const store = start();
      const written = await store.put(name, { value: bytes('a value of its own') }, now());
      const got = await readOne(store, { name });
      await kindOf(readOne(start('nobody'), { name }));
      const events = await read(store, { name });
      const find = (action: string, outcome: string): AuditEvent | undefined =>
        events.find((event) => event.action === action && event.outcome === outcome);
      const of = (role: 'officer' | 'nobody'): object => ({
        principal: expect.stringContaining(`application ${stores.azure.clientId(role)}`),
      });
      expect(find('read', 'allowed')).toMatchObject({
        origin: 'azure-monitor',
        provider: 'azure',
        store: 'tested',
        secret: name,
        version: got.id,
        actor: of('officer'),
        address: '127.0.0.1',
        client: expect.stringMatching(/\bsecrets\/\d/),
      });
      expect(got.requestId).toMatch(/^[0-9a-f-]{36}$/);
      expect(events.filter(({ requestId }) => requestId === got.requestId)).toHaveLength(1);
      expect(find('write', 'allowed')).toMatchObject({ version: written.id, requestId: written.requestId });
      expect(find('read', 'denied')).toMatchObject({ error: 'Denied', actor: of('nobody') });
      for (const { time } of events) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(JSON.stringify(events)).not.toMatch(/a value of its own/);
      expect(stores.said.filter((line) => /minutes late/.test(line))).toHaveLength(1);
    },
  );

  test('finds one secret alone, whatever its name begins with', async () => {
    const paths = [
      ...['db', 'DB', `db/${V1}`, 'db-old', 'adb', `db-old/${V1}`],
      ...['db--secrets-pending', `db--secrets-pending/${V1}`, 'db--secrets-pending-2'],
    ];
    for (const path of paths) workspace.add({ RequestUri: uri(path), ClientInfo: path });
    workspace.add({
      RequestUri: 'https://tests.vault.azure.net:8443/deletedsecrets/db/recover?api-version=7.6',
      OperationName: 'SecretRecover',
    });
    workspace.add({ RequestUri: uri('db'), _ResourceId: '/subscriptions/s/…/vaults/other-tests' });
    workspace.add({ RequestUri: uri('db').replace('secrets', 'keys'), OperationName: 'KeyGet' });
    const events = await read(start(), { name: 'db' });
    expect(events.map(({ client, version }) => [client, version])).toEqual(
      expect.arrayContaining([
        ['db', undefined],
        ['DB', undefined],
        [`db/${V1}`, V1],
        ['db--secrets-pending', 'pending:'],
        [`db--secrets-pending/${V1}`, `pending:${V1}`],
      ]),
    );
    expect(events).toHaveLength(6);
    expect(new Set(events.map(({ secret }) => secret))).toEqual(new Set(['db']));
    const names = new Set((await read(start())).map(({ secret }) => secret));
    expect(names).toEqual(new Set(['db', 'DB', 'db-old', 'adb', 'db--secrets-pending-2']));
  });

  test('gives names back as the store’s mapping has them', async () => {
    const store = start('officer', { names: 'mapped' });
    const name = `payments/${fresh()}`;
    await store.put(name, { value: bytes('v') }, now());
    expect(new Set((await read(store, { name })).map(({ secret }) => secret))).toEqual(new Set([name]));
    expect((await read(store)).map(({ secret }) => secret)).toContain(name);
  });

  test.each<[string, object, Partial<AuditEvent>]>([
    ['SecretSet', {}, { action: 'write' }],
    ['SecretUpdate', {}, { action: 'label' }],
    ['SecretDelete', {}, { action: 'delete' }],
    ['SecretRecover', {}, { action: 'restore' }],
    ['SecretPurge', {}, { action: 'purge' }],
    ['SecretListVersions', {}, { action: 'describe' }],
    ['SecretBackup', {}, { action: 'read' }],
    [
      'SecretRestore',
      { RequestUri: uri('restore'), Id: `https://tests.vault.azure.net/secrets/kinds/${V1}` },
      { action: 'write', version: V1 },
    ],
    ['SecretGet', { Id: `https://tests.vault.azure.net/secrets/kinds/${V1}` }, { version: V1 }],
    ['SecretOfTomorrow', {}, { action: 'other', outcome: 'allowed' }],
    ['SecretGet', { HttpStatusCode: 404 }, { outcome: 'failed', error: 'NotFound' }],
    ['SecretGet', { HttpStatusCode: 401 }, { outcome: 'denied', error: 'Unauthenticated' }],
    [
      'SecretGet',
      { HttpStatusCode: null, ResultSignature: 'Forbidden' },
      { outcome: 'denied', error: 'Denied' },
    ],
    ['SecretGet', { HttpStatusCode: null, ResultSignature: 'Gone' }, { outcome: 'failed', error: 'Gone' }],
    ['SecretGet', { HttpStatusCode: 500, ResultSignature: 'Oops' }, { outcome: 'failed', error: 'Oops' }],
    [
      'SecretGet',
      {
        Identity:
          '{"claim":{"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":"ada@example.test"}}',
      },
      { actor: { principal: 'ada@example.test' } },
    ],
    [
      'SecretGet',
      { Identity: '{"claim":{"oid":"o","xms_mirid":"/subscriptions/s/vm"}}' },
      { actor: { principal: 'object o', source: 'managed identity of /subscriptions/s/vm' } },
    ],
    ['SecretGet', { Identity: '{"claim":{"oi' }, { actor: {} }],
  ])('%s %o', async (OperationName, row, expected) => {
    workspace.add({ RequestUri: uri('kinds'), HttpStatusCode: 200, OperationName, ...row });
    expect(await read(start(), { name: 'kinds' })).toEqual([
      expect.objectContaining({ secret: 'kinds', ...expected }),
    ]);
  });

  test('shows what was done to the vault itself with all of its secrets', async () => {
    workspace.add({
      OperationName: 'VaultPatch',
      RequestUri: 'https://management.azure.com/x',
      HttpStatusCode: 200,
    });
    workspace.add({ OperationName: 'KeySign', RequestUri: uri('x') });
    workspace.add({ OperationName: 'Authentication', RequestUri: uri('x'), HttpStatusCode: 401 });
    expect(await read(start())).toEqual([expect.objectContaining({ action: 'access' })]);
  });

  test('pages by time, tells entries of one moment apart, and streams', async () => {
    const moment = (seconds: number): string =>
      new Date(Date.now() - seconds * 1000).toISOString().replace('Z', '7654Z');
    const same = moment(60);
    // Two thousand on their own, with a crowd of one moment across the end of a page, some of them alike.
    const times = [
      ...Array.from({ length: 900 }, (_, index) => moment(index / 100)),
      ...Array.from({ length: 300 }, () => same),
      ...Array.from({ length: 1100 }, (_, index) => moment(61 + index / 100)),
    ];
    times.forEach((TimeGenerated, index) =>
      workspace.add({ TimeGenerated, RequestUri: uri('many'), CorrelationId: `${Math.floor(index / 2)}` }),
    );
    const events = await read(start(), { name: 'many' });
    expect(events).toHaveLength(times.length);
    const ids = events.map(({ requestId }) => Number(requestId)).toSorted((a, b) => a - b);
    expect(ids).toEqual(times.map((_, index) => Math.floor(index / 2)));
    const before = workspace.queries.length;
    for await (const _ of stream(start(), { name: 'many' })) break;
    expect(workspace.queries.length - before).toBe(1);
  });

  test('gets past a moment with more entries than a page, and gives up where there is no end of them', async () => {
    const crowd = (size: number): void => {
      const TimeGenerated = new Date(Date.now() - 60_000).toISOString();
      workspace.tables.clear();
      for (let index = 0; index < size; index += 1)
        workspace.add({ TimeGenerated, RequestUri: uri('crowd'), CorrelationId: `${index}` });
    };
    crowd(2500);
    expect(await read(start(), { name: 'crowd' })).toHaveLength(2500);
    crowd(9000);
    expect(await kindOf(read(start(), { name: 'crowd' }))).toBe('Unavailable');
  });

  test('shows the period asked for, and waits when asked to slow down', async () => {
    for (const hours of [2, 30, 90])
      workspace.add({
        TimeGenerated: new Date(Date.now() - hours * HOUR).toISOString(),
        RequestUri: uri('old'),
        CorrelationId: `${hours}`,
      });
    workspace.throttle = 5;
    const times = { since: new Date(Date.now() - 48 * HOUR), until: new Date(Date.now() - HOUR) };
    expect((await read(start(), { name: 'old', ...times })).map(({ requestId }) => requestId)).toEqual([
      '2',
      '30',
    ]);
    expect(await kindOf(read(start(), { since: times.until, until: times.since }))).toBe('Usage');
  });

  test('says what has to be set up, and who may not read it', async () => {
    expect(await errorOf(read(start('officer', {}, null)))).toMatchObject({
      kind: 'Usage',
      hint: expect.stringMatching(/trail\.workspace/),
    });
    expect(await errorOf(read(start('officer', { vault: stores.azure.server.url })))).toMatchObject({
      kind: 'Usage',
      message: expect.stringMatching(/only Azure’s own vaults/),
    });
    expect(await errorOf(read(start()))).toMatchObject({
      kind: 'Usage',
      message: expect.stringMatching(/no log of a key vault/),
      hint: expect.stringMatching(/diagnostic setting/),
    });
    for (const endpoint of ['http://logs.example', 'logs'])
      expect(await errorOf(read(start('officer', {}, { endpoint })))).toMatchObject({
        kind: 'Usage',
        message: expect.stringMatching(/https/),
      });
    const other = '00000000-0000-4000-8000-000000000000';
    expect(await errorOf(read(start('officer', {}, { workspace: other })))).toMatchObject({
      kind: 'Usage',
      message: expect.stringMatching(/no Log Analytics workspace/),
    });
    expect(await errorOf(read(start('user')))).toMatchObject({
      kind: 'Denied',
      message: expect.stringContaining(stores.azure.clientId('user')),
      hint: expect.stringMatching(/Log Analytics Reader/),
    });
  });

  test('a part of the log is shown and is an error', async () => {
    for (let index = 0; index < 4; index += 1)
      workspace.add({ RequestUri: uri('part'), HttpStatusCode: 200 });
    workspace.partial = true;
    const shown: AuditEvent[] = [];
    const error = await errorOf(
      (async () => {
        for await (const event of stream(start(), { name: 'part' })) shown.push(event);
      })(),
    );
    expect(error).toMatchObject({
      kind: 'Unavailable',
      message: expect.stringMatching(/only part of the log/),
    });
    expect(shown).toHaveLength(2);
  });

  test('names can’t change the query, which fits the published tables', () => {
    expect(quoted('a"b\\c')).toBe(String.raw`"a\"b\\c"`);
    expect(() => quoted('a\n| b')).toThrow(/control/);
    const tables = new Workspace();
    tables.add({});
    tables.addDiagnostics({ httpStatusCode_d: 200, id_s: '', identity_claim_oid_g: '', CallerIPAddress: '' });
    const parts = { vault: 'x" or true or "', since: new Date(), until: new Date().toISOString(), size: 5 };
    for (const secrets of [undefined, ['a"; drop', 'b\\']]) {
      const query = queryOf({ ...parts, secrets });
      expect(findKqlFault(query, tables.tables)).toBeUndefined();
      expect(query).not.toMatch(/[^\\]" or true/);
    }
    expect(findKqlFault('AZKVAuditLogs | where Nothing == 1', tables.tables)).toMatch(/Nothing/);
    expect(() => queryOf({ ...parts, secrets: undefined, until: '2026) | take 1 //' })).toThrow(
      /Azure Monitor/,
    );
  });

  describe('an answer that is not Azure Monitor’s', () => {
    const json = (body: unknown, status = 200): Fault => ({
      answer: {
        status,
        headers: { 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      },
    });
    const table = (columns: unknown, rows: unknown): Fault =>
      json({ tables: [{ name: 'x', columns, rows }] });
    const columns = [
      'Time',
      'Operation',
      'Status',
      'Result',
      'Claims',
      'Address',
      'Agent',
      'Correlation',
      'Uri',
      'Id',
      'Source',
    ];
    const typed = columns.map((name) => ({ name, type: 'string' }));
    test.each<[string, Fault]>([
      ['a page', json('<html>sign in</html>')],
      ['no tables', json({ tables: 'none' })],
      ['rows of another shape', table(typed, ['x'])],
      ['other columns', table([{ name: 'x', type: 'string' }], [['x']])],
      ['a row without a time', table(typed, [columns.map(() => 'x')])],
      ['no columns', table([null], [['x']])],
      [
        'the same page for ever',
        table(
          typed,
          Array.from({ length: 1000 }, (_, index) => [
            new Date(Date.now() - index * 1000).toISOString(),
            'SecretGet',
            ...Array.from({ length: 9 }, () => `${index}`),
          ]),
        ),
      ],
      ['half an answer', 'truncated'],
      ['no answer', 'hang'],
      ['an answer that drips', 'drip'],
      ['an answer without end', 'endless'],
      ['a broken connection', 'reset'],
      ['a fault without words', json('', 503)],
      ['a fault', json({ error: { code: 'GatewayTimeout', message: 'x' } }, 504)],
    ])('%s is Unavailable within the deadline', async (_, fault) => {
      const { azure } = stores;
      workspace.add({ RequestUri: uri('x'), HttpStatusCode: 200 });
      const proxy = await startFaultProxy({ url: azure.server.url, ca: azure.tls.cert, tls: azure.tls });
      try {
        proxy.fault(fault);
        const store = start('officer', {}, { endpoint: proxy.url });
        const error = await errorOf(read(store, {}, within(5000)));
        expect(error?.kind).toBe('Unavailable');
        expect(error?.message).not.toMatch(/Key Vault/);
      } finally {
        await proxy.stop();
      }
    });
  });
});
