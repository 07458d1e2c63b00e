/** Conjur's trail, read from the lines that the double writes of what it was asked, and from lines of our own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditEvent } from '../../../src/core/audit/record.ts';
import { parseSyslog } from '../../../src/providers/conjur/rfc5424.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import type { TrailQuery } from '../../../src/providers/capabilities/trail.ts';
import { errorOf } from '../../contract/kit.ts';
import { ACCOUNT } from '../../backends/conjur.ts';
import { all, bytes, now, useConjur } from './kit.ts';

const HOUR = 3_600_000;
const kit = useConjur();
let folder: string;
let file: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'secrets-conjur-trail-'));
  file = join(folder, 'audit.log');
});
afterAll(() => rmSync(folder, { recursive: true }));

async function read(more: Partial<TrailQuery> = {}): Promise<AuditEvent[]> {
  writeFileSync(file, await kit.conjur.control('/audit'));
  const store: Provider = kit.as('admin', { trail: { file } });
  const query = { since: new Date(Date.now() - HOUR), until: new Date(Date.now() + 1000), ...more };
  return all(store.trail?.(query, now()) ?? (async function* () {})());
}
const given = (...lines: readonly string[]): AsyncIterable<string> =>
  (async function* () {
    yield* lines;
  })();
const line = (id: string, data: string, text = 'text', time = new Date().toISOString()): string =>
  `<86>1 ${time} host conjur 6c1ef8f4-5bd2-4a7f-9a3d-5ab94e1f3c70 ${id} ${data} ${text}`;

test('shows who did what to a secret, and how it ended', async () => {
  const name = 'shared/readable';
  await kit.put(name, 'a value of its own');
  await kit.textOf(name);
  await kit.textOf(name, {}, kit.as('host/reader'));
  await errorOf(kit.as('host/reader').put(name, { value: bytes('x') }, now()));
  const events = await read({ name });
  const of = (action: string, principal: string): AuditEvent[] =>
    events.filter((event) => event.action === action && event.actor.principal === `${ACCOUNT}:${principal}`);
  expect(of('read', 'user:admin')).toEqual([
    {
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      origin: 'conjur-audit',
      action: 'read',
      outcome: 'allowed',
      actor: { principal: `${ACCOUNT}:user:admin` },
      store: 'tested',
      provider: 'conjur',
      secret: name,
      version: '1',
      address: '127.0.0.1',
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    },
  ]);
  expect(of('write', 'user:admin')).toEqual([expect.objectContaining({ outcome: 'allowed' })]);
  expect(of('read', 'host:reader')).toHaveLength(1);
  expect(of('write', 'host:reader')).toEqual([
    expect.objectContaining({ outcome: 'denied', error: 'Denied' }),
  ]);
  expect(JSON.stringify(events)).not.toMatch(/a value of its own/);
});

test('a batch is a read of each; a pending value is one of its secret; a deletion is one', async () => {
  await kit.put('app/one', '1');
  await kit.put('app/two', '2');
  await kit.admin.get([{ name: 'app/one' }, { name: 'app/two' }], now());
  await kit.admin.put('app/one', { value: bytes('3'), stage: 'pending' }, now());
  await kit.admin.delete('app/two', {}, now());
  await kit.list('app/');
  const events = await read();
  const of = (secret: string | undefined): string[] =>
    events
      .filter((event) => event.secret === secret)
      .map(({ action, version = '' }) => `${action} ${version}`);
  expect(of('app/one')).toEqual(expect.arrayContaining(['read ', 'write ', 'write pending']));
  expect(of('app/two')).toEqual(expect.arrayContaining(['read ', 'delete ']));
  expect(of(undefined)).toContain('list ');
  expect(events.filter(({ secret }) => secret?.includes('.secrets-pending'))).toEqual([]);
});

test('what is of another account or kind, or of signing in, is left out', async () => {
  const store = kit.as('admin');
  const auth = '[auth@43868 user="acme:user:ann"]';
  const lines = given(
    line('fetch', `${auth}[subject@43868 resource="other:variable:x"][action@43868 result="success"]`),
    line('check', `${auth}[subject@43868 resource="acme:webservice:x"][action@43868 result="success"]`),
    line('authn', '[subject@43868 role="acme:user:ann"][auth@43868 authenticator="authn"]'),
    line('list', `${auth}[subject@43868 account="acme" kind="host"]`),
    line(
      'fetch',
      `${auth}[subject@43868 resource="acme:variable:x"][action@43868 result="success"]`,
      '',
      '-',
    ),
    line(
      'fetch',
      `${auth}[subject@43868 resource="acme:variable:a \\"b\\\\c\\]" version="2"][action@43868 result="failure" operation="fetch"]`,
      'acme:user:ann tried to fetch it: CONJ00076E Variable is empty or not found.',
    ),
    line(
      'policy',
      `${auth}[subject@43868 resource="acme:variable:y" annotation="team"][action@43868 operation="add"]`,
    ),
    line(
      'policy',
      `${auth}[subject@43868 resource="acme:variable:y" role="acme:host:h" privilege="execute"]`,
    ),
  );
  const query = { since: new Date(Date.now() - HOUR), until: new Date(Date.now() + 1000), lines };
  const events = await all(store.trail?.(query, now()) ?? (given() as never));
  expect(events).toMatchObject([
    { action: 'read', outcome: 'failed', error: 'NotFound', secret: 'a "b\\c]', version: '2' },
    { action: 'label', outcome: 'allowed', secret: 'y' },
    { action: 'access', outcome: 'allowed', secret: 'y' },
  ]);
});

test('a file of something else is refused; no file is a matter of settings', async () => {
  const query = { since: new Date(0), until: new Date() };
  const of = (more: Partial<TrailQuery>): Promise<unknown> =>
    errorOf(all(kit.as('admin').trail?.({ ...query, ...more }, now()) ?? (given() as never)));
  expect(
    await of({ lines: given('{"type":"request"}', 'Nov 24 12:00:00 host sshd[1]: 1 - -') }),
  ).toMatchObject({
    kind: 'Invalid',
  });
  expect(await of({})).toMatchObject({ kind: 'Usage' });
});

test.each([
  ['<86>1 2026-11-24T12:00:00Z h conjur - fetch [a@1 b="c"] text', 'c'],
  ['118 <86>1 2026-11-24T12:00:00Z h conjur - fetch [a@1 b="c"][d@1]', 'c'],
  [
    'Nov 24 12:00:00 relay <86>1 2026-11-24T12:00:00Z h conjur - fetch [a@1 b="\\\\x\\"\\]\\y"] t',
    '\\x"]\\y',
  ],
  ['<86>1 2026-11-24T12:00:00Z h conjur - fetch [a@1 b="c"', undefined],
  ['<86>1 2026-11-24T12:00:00Z h conjur - fetch [a@1 b="c]"] text', undefined],
  ['<86>1 2026-11-24T12:00:00Z h conjur - fetch [a@1 b=c] text', undefined],
  ['<86>1 2026-11-24T12:00:00Z h conjur', undefined],
])('reads the structured data of %s', (text, value) => {
  expect(parseSyslog(text)?.data.get('a@1')?.get('b')).toBe(value);
});
