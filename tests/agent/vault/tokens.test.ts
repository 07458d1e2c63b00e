/** Tokens of the door: what they may do, how they end, and where they are written. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokens } from '../../../src/agent/vault/tokens.ts';
import { READ_ALL } from '../../../src/agent/vault/scope.ts';
import { SecretsError } from '../../../src/core/errors.ts';
import { ask, localStore, openDoor, type Reply, storesOf, type TestDoor } from './kit.ts';

let home: ReturnType<typeof localStore>;
let folder: string;
let stores: ReturnType<typeof storesOf>;
const doors: TestDoor[] = [];
let time = Date.now();

beforeAll(async () => {
  home = localStore();
  folder = mkdtempSync(join(tmpdir(), 'secrets-tokens-'));
  for (const name of ['app/db', 'app/deep/x', 'other', 'new/a'])
    await home.local.put(name, { value: Buffer.from('v') }, { signal: AbortSignal.timeout(60_000) });
  stores = storesOf({ local: home.local }, ['local://new/']);
});
afterEach(async () => {
  await Promise.all(doors.splice(0).map((door) => door.stop()));
});
afterAll(async () => {
  await home.remove();
  rmSync(folder, { recursive: true });
});

async function door(options: Parameters<typeof openDoor>[1] = {}): Promise<TestDoor> {
  const made = await openDoor(stores, options, () => new Date(time));
  doors.push(made);
  return made;
}

const read = async (at: TestDoor, token: string, path = 'local/data/app/db'): Promise<number> =>
  (await ask(at.address, `/v1/${path}`, { token })).status;

async function child(at: TestDoor, token: string, body: object): Promise<string> {
  const reply = await ask(at.address, '/v1/auth/token/create', {
    method: 'POST',
    token,
    body: JSON.stringify(body),
  });
  return (JSON.parse(reply.body) as { auth: { client_token: string } }).auth.client_token;
}

test('a token reads, lists and writes what it is for, and nothing else', async () => {
  const one = await door({
    read: [{ store: 'local', prefix: 'app/' }],
    write: [{ store: 'local', prefix: 'new/' }],
  });
  const status = async (method: string, path: string, body?: string): Promise<number> =>
    (await ask(one.address, `/v1/${path}`, { method, token: one.token, ...(body !== undefined && { body }) }))
      .status;
  const data = '{"data":{"a":"b"}}';
  expect([
    await status('GET', 'local/data/app/db'),
    await status('GET', 'secret/data/app/db'),
    await status('GET', 'kv1/local/app/db'),
    await status('LIST', 'local/metadata/app'),
    await status('GET', 'local/metadata/app/deep/x'),
    await status('GET', 'local/data/other'),
    await status('GET', 'kv1/local/other'),
    await status('GET', 'local/metadata/other'),
    await status('GET', 'local/data/new/a'),
    await status('LIST', 'local/metadata'),
    await status('PUT', 'local/data/new/a', data),
    await status('PUT', 'kv1/local/new/a', '{"a":"b"}'),
    await status('PUT', 'local/data/app/db', data),
    await status('DELETE', 'local/data/new/a'),
  ]).toEqual([200, 200, 200, 200, 200, 403, 403, 403, 403, 403, 200, 204, 403, 403]);
});

test('what a token is not for is recorded, and one record a minute stands for tokens that aren’t known', async () => {
  const one = await door({ read: [{ store: 'local', prefix: 'app/' }] });
  const before = stores.asked.length;
  const [token, data] = [one.token, '{"data":{"a":"b"}}'];
  for (const [method, path, body] of [
    ['GET', 'local/data/other'],
    ['GET', 'local/subkeys/other'],
    ['GET', 'local/metadata/other'],
    ['LIST', 'local/metadata/'],
    ['POST', 'local/data/app/db', data],
    ['DELETE', 'local/data/app/db'],
    ['POST', 'local/destroy/app/db', '{"versions":[1]}'],
    ['GET', 'kv1/local/other'],
    ['PUT', 'kv1/local/other', data],
    ['DELETE', 'kv1/local/other'],
  ] as const)
    expect([
      path,
      (await ask(one.address, `/v1/${path}`, { method, token, ...(body !== undefined && { body }) })).status,
    ]).toEqual([path, 403]);
  await read(one, 'hvs.unknown');
  await read(one, 'hvs.unknown');
  time += 60_000;
  await read(one, 'hvs.unknown');
  const asked = stores.asked.slice(before);
  expect(asked.map(({ what }) => what)).toEqual([
    'refused read local://other',
    'refused read local://other',
    'refused describe local://other',
    'refused list local://',
    'refused write local://app/db',
    'refused delete local://app/db',
    'refused write local://app/db',
    'refused read local://other',
    'refused write local://other',
    'refused delete local://other',
    'refused other ?://',
    'refused other ?://',
  ]);
  expect(new Set(asked.slice(0, 10).map((client) => client.token)).size).toBe(1);
});

test('without --write nothing is written, whatever a token says', async () => {
  const one = await openDoor(storesOf({ local: home.local }), { write: [{ prefix: '' }] });
  doors.push(one);
  const reply = await ask(one.address, '/v1/local/data/new/a', {
    method: 'PUT',
    token: one.token,
    body: '{"data":{"a":"b"}}',
  });
  expect(reply.status).toBe(403);
});

test('a child has fewer policies than its parent, or the same, and ends with it', async () => {
  const one = await door({ tokenFile: join(folder, 'a') });
  const parent = readFileSync(join(folder, 'a'), 'utf8');
  const reader = await child(one, parent, { policies: ['secrets-read'], ttl: '10m' });
  const nothing = await child(one, parent, { policies: ['default'], ttl: '10m' });
  const grandchild = await child(one, reader, { ttl: '10m' });
  expect([await read(one, reader), await read(one, nothing), await read(one, grandchild)]).toEqual([
    200, 403, 200,
  ]);
  await ask(one.address, '/v1/auth/token/revoke-self', { method: 'POST', token: reader });
  expect([await read(one, reader), await read(one, grandchild), await read(one, parent)]).toEqual([
    403, 403, 200,
  ]);
});

test('tokens end at their time, a child with its parent, and one of a number of uses with the last', async () => {
  const one = await door({ tokenFile: join(folder, 'b'), tokenTtl: 600 });
  const parent = readFileSync(join(folder, 'b'), 'utf8');
  const [short, long, twice] = [
    await child(one, parent, { ttl: '60s' }),
    await child(one, parent, { ttl: '9h' }),
    await child(one, parent, { ttl: '9h', num_uses: 2 }),
  ];
  expect([await read(one, twice), await read(one, twice), await read(one, twice)]).toEqual([200, 200, 403]);
  time += 59_000;
  expect(await read(one, short)).toBe(200);
  time += 1000;
  expect([await read(one, short), await read(one, long)]).toEqual([403, 200]);
  time += 540_000;
  expect([await read(one, parent), await read(one, long), await read(one, one.token)]).toEqual([
    403, 403, 200,
  ]);
});

test('a renewal reaches a day after the creation at most, and no further than explicit_max_ttl', async () => {
  const one = await door({ tokenFile: join(folder, 'c') });
  const parent = readFileSync(join(folder, 'c'), 'utf8');
  const bounded = await child(one, parent, { ttl: '60s', explicit_max_ttl: '90s' });
  const renew = async (token: string, increment: string): Promise<number> => {
    const reply = await ask(one.address, '/v1/auth/token/renew-self', {
      method: 'PUT',
      token,
      body: JSON.stringify({ increment }),
    });
    return (JSON.parse(reply.body) as { auth: { lease_duration: number } }).auth.lease_duration;
  };
  time += 30_000;
  expect([await renew(bounded, '1h'), await renew(parent, '99h')]).toEqual([60, 24 * 3600 - 30]);
});

test('a renewal reaches no further than a day, whatever explicit_max_ttl says', () => {
  const tokens = new Tokens(() => new Date(time));
  const made = tokens.issue({ scope: READ_ALL, displayName: 'x', ttl: 60, explicitMaxTtl: 10 * 24 * 3600 });
  if (made === undefined) throw new Error('none');
  expect(tokens.renew(made.token, 99 * 3600)).toBe(24 * 3600);
});

test('a revoked token ends all that follow from it, of which there are a limited number', async () => {
  const one = await door({ tokenFile: join(folder, 'deep') });
  const chain = [readFileSync(join(folder, 'deep'), 'utf8')];
  for (let depth = 1; depth <= 32; depth += 1)
    chain.push(await child(one, chain.at(-1) ?? '', { ttl: '10m' }));
  const last = chain.at(-1) ?? '';
  const more = await ask(one.address, '/v1/auth/token/create', { method: 'POST', token: last, body: '{}' });
  expect(more).toMatchObject({
    status: 400,
    body: '{"errors":["too many tokens follow from one another"]}\n',
  });
  expect(await read(one, last)).toBe(200);
  const [, second = ''] = chain;
  await ask(one.address, '/v1/auth/token/revoke-self', { method: 'POST', token: second });
  expect(await Promise.all(chain.map((token) => read(one, token)))).toEqual([
    200,
    ...chain.slice(1).map(() => 403),
  ]);
});

test('ten thousand tokens at most', () => {
  const tokens = new Tokens(() => new Date(time));
  const make = (): unknown => tokens.issue({ scope: READ_ALL, displayName: 'x', ttl: 60 });
  for (let made = 0; made < 10_000; made += 1) make();
  expect(make()).toBeUndefined();
  time += 60_000;
  expect(make()).toBeDefined();
  expect(tokens.size).toBe(1);
});

describe('the token file', () => {
  test('is 0600, has a token, and goes with the door', async () => {
    const path = join(folder, 'd');
    const one = await door({ tokenFile: path });
    expect([statSync(path).mode & 0o777, await read(one, readFileSync(path, 'utf8'))]).toEqual([0o600, 200]);
    expect(JSON.stringify(one.status())).not.toContain(readFileSync(path, 'utf8'));
    await doors.pop()?.stop();
    expect(existsSync(path)).toBe(false);
  });

  test('gets a new token at half of the life of the old one, which stays valid', async () => {
    const path = join(folder, 'e');
    const one = await door({ tokenFile: path, tokenTtl: 2 });
    const first = readFileSync(path, 'utf8');
    time += 1000;
    while (readFileSync(path, 'utf8') === first) await new Promise((resolve) => setTimeout(resolve, 20));
    expect([await read(one, first), await read(one, readFileSync(path, 'utf8'))]).toEqual([200, 200]);
  });

  test('gets a new token after the machine has slept for longer than the old one lived', async () => {
    const path = join(folder, 'slept');
    const one = await door({ tokenFile: path, tokenTtl: 2 });
    const first = readFileSync(path, 'utf8');
    time += 8 * 3_600_000;
    expect(await read(one, first)).toBe(403);
    while (readFileSync(path, 'utf8') === first) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await read(one, readFileSync(path, 'utf8'))).toBe(200);
  });

  test('that a killed agent left is replaced; any other file is kept, and the door stays shut', async () => {
    const [left, other, open] = [join(folder, 'left'), join(folder, 'other'), join(folder, 'open')];
    writeFileSync(left, `hvs.${'x'.repeat(43)}`, { mode: 0o600 });
    writeFileSync(other, 'notes', { mode: 0o600 });
    writeFileSync(open, `hvs.${'x'.repeat(43)}`, { mode: 0o644 });
    const one = await door({ tokenFile: left });
    expect(await read(one, readFileSync(left, 'utf8'))).toBe(200);
    await expect(door({ tokenFile: other })).rejects.toThrow(SecretsError);
    await expect(door({ tokenFile: open })).rejects.toThrow(SecretsError);
    expect(readFileSync(other, 'utf8')).toBe('notes');
  });

  test('of another agent that came later stays', async () => {
    const path = join(folder, 'f');
    await door({ tokenFile: path });
    const later = await door({ tokenFile: path });
    await doors.shift()?.stop();
    expect(await read(later, readFileSync(path, 'utf8'))).toBe(200);
  });
});

test('no answer and no warning of the door has a token in it, but those that issue one', async () => {
  const one = await door();
  const replies: Reply[] = [];
  for (const path of [
    'local/data/app/db',
    'local/data/none',
    'nomount',
    'sys/internal/ui/mounts',
    'sys/health',
    'a//b',
  ])
    replies.push(await ask(one.address, `/v1/${path}`, { token: one.token }));
  const text = JSON.stringify([replies, one.warnings, one.status(), stores.asked]);
  expect(text).not.toContain(one.token);
});
