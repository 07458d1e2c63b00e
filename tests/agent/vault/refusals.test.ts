/** Who and what the door refuses, and what a client may cost. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '../../../src/agent/vault/connection.ts';
import { placeOf } from '../../../src/agent/vault/server.ts';
import { SecretsError } from '../../../src/core/errors.ts';
import { ask, localStore, openDoor, storesOf, type TestDoor } from './kit.ts';

const CANARY = 'canary-8f3a1c';
const SECRET = '/v1/local/data/app/db';

let home: ReturnType<typeof localStore>;
let stores: ReturnType<typeof storesOf>;
let door: TestDoor;

beforeAll(async () => {
  home = localStore();
  await home.local.put('app/db', { value: Buffer.from(CANARY) }, { signal: AbortSignal.timeout(60_000) });
  stores = storesOf({ local: home.local });
  door = await openDoor(stores);
});
afterAll(async () => {
  await door.stop();
  await home.remove();
});

/**
 * What the door writes for these bytes, until it closes the connection.
 * @param then what is sent as well once the door has written this
 */
function raw(bytes: string, then?: { readonly after: string; readonly send: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(door.address).port), '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (then !== undefined && text === then.after) socket.write(then.send);
    });
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? undefined : reject(error),
    );
    socket.on('close', () => resolve(text));
  });
}

test('the value is there for a client with a token', async () => {
  const reply = await ask(door.address, SECRET, { token: door.token });
  expect([reply.status, reply.body.includes(CANARY)]).toEqual([200, true]);
});

test.each([
  ['a name that a page points at this machine', { Host: 'rebound.example.com' }],
  ['that name with the port', { Host: 'rebound.example.com:8200' }],
  ['an address of a network', { Host: '192.168.1.10:8200' }],
  ['a name that begins like a loopback address', { Host: '127.0.0.1.example.com' }],
  ['a name that ends like one', { Host: 'evil.localhost.example' }],
  ['a Host with a user part', { Host: 'evil@127.0.0.1' }],
  ['every address', { Host: '0.0.0.0:8200' }],
  ['a page of another site', { Origin: 'https://evil.example.com' }],
  ['a page of this machine', { Origin: 'http://127.0.0.1:3000' }],
  ['a page from a file', { Origin: 'null' }],
  ['a request across sites', { 'Sec-Fetch-Site': 'cross-site' }],
  ['a request of the same site', { 'Sec-Fetch-Site': 'same-site' }],
  ['a proxy that says for whom', { 'X-Forwarded-For': '203.0.113.9' }],
  ['a proxy that says to whom', { 'X-Forwarded-Host': 'vault.example.com' }],
  ['a proxy by the standard', { Forwarded: 'for=203.0.113.9' }],
  ['a proxy that names itself', { Via: '1.1 proxy' }],
])('%s is refused, with a token too, before any store is asked', async (_, headers) => {
  const before = stores.asked.length;
  for (const [path, method] of [
    [SECRET, 'GET'],
    ['/v1/sys/health', 'GET'],
    ['/v1/local/metadata', 'LIST'],
  ] as const) {
    const reply = await ask(door.address, path, { method, token: door.token, headers });
    expect([path, reply.status, Object.keys(JSON.parse(reply.body) as object)]).toEqual([
      path,
      403,
      ['errors'],
    ]);
    expect(reply.body).not.toContain(CANARY);
    expect(reply.headers['access-control-allow-origin']).toBeUndefined();
  }
  expect(stores.asked).toHaveLength(before);
});

test.each(['127.0.0.1', '127.0.0.1:8200', 'localhost', 'LOCALHOST:1', '[::1]:8200'])(
  'Host: %s is taken',
  async (host) => {
    const reply = await ask(door.address, SECRET, { token: door.token, headers: { Host: host } });
    expect(reply.status).toBe(200);
  },
);

test.each([
  'local/data//app/db',
  '/local/data/app/db',
  'local/data/app/../app/db',
  'local/data/./app/db',
  'local/data/app/%2e%2e/app/db',
  'local/data/%2E/app/db',
  'local/data/app%2f%2fdb',
  'local/data/app%2f..%2fapp%2fdb',
  'local/data/app/db%00',
  'local/data/app/db%0a',
  'local/data/app/db%c2%85',
  'local/data/app/db%ff',
  'local/data/app/db%',
  'local/data/app/db%zz',
  `local/data/${'x'.repeat(3000)}`,
])('the path %p has one clear answer', async (path) => {
  const before = stores.asked.length;
  const reply = await ask(door.address, `/v1/${path}`, { token: door.token });
  const { errors } = JSON.parse(reply.body) as { errors: string[] };
  expect([reply.status, errors.length, errors[0]?.startsWith('the path ')]).toEqual([400, 1, true]);
  expect(stores.asked).toHaveLength(before);
});

test('a path is decoded once', async () => {
  const reply = await ask(door.address, '/v1/local/data/app%252fdb', { token: door.token });
  expect([reply.status, stores.asked.at(-1)?.what]).toEqual([404, 'versions local://app%2fdb']);
});

test('a request for another server is refused', async () => {
  const reply = await raw(
    `GET http://evil.example.com/v1/sys/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`,
  );
  expect(reply).toMatch(/^HTTP\/1\.1 400 /);
});

test.each([
  [
    'two Host headers',
    'GET /v1/sys/health HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example.com\r\n\r\n',
    /^HTTP\/1\.1 40[03] /,
  ],
  ['no Host', 'GET /v1/sys/health HTTP/1.1\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 400 /],
  [
    'an empty Host',
    'GET /v1/sys/health HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n',
    /^HTTP\/1\.1 40[03] /,
  ],
  ['HTTP/1.0 without Host', 'GET /v1/sys/health HTTP/1.0\r\n\r\n', /^HTTP\/1\.1 403 /],
  [
    'two lengths',
    `POST ${SECRET} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    /^HTTP\/1\.1 400 /,
  ],
  ['no HTTP', '\u0016\u0003\u0001\u0002\u0000\u0001', /^HTTP\/1\.1 400 /],
  ['LIST and no more', 'LIST \r\n\r\n', /^HTTP\/1\.1 400 /],
  [
    'a tunnel',
    'CONNECT evil.example.com:443 HTTP/1.1\r\nHost: evil.example.com:443\r\n\r\n',
    /^(?:HTTP\/1\.1 40\d .*)?$/s,
  ],
  [
    'huge headers',
    `GET /v1/sys/health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    /^HTTP\/1\.1 431 /,
  ],
  ['a huge URL', `GET /v1/${'x'.repeat(20_000)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`, /^HTTP\/1\.1 431 /],
])('%s: one answer, and the connection ends', async (_, bytes, expected) => {
  expect(await raw(bytes)).toMatch(expected);
});

test('the limits hold for LIST as for the methods that Node knows', async () => {
  const reply = await raw(
    `LIST /v1/local/metadata HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
  );
  expect(reply).toMatch(/^HTTP\/1\.1 431 /);
});

test.each([
  ['byte by byte', 1],
  ['in pieces of seven', 7],
])('LIST arrives %s', async (_, size) => {
  const bytes = `LIST /v1/local/metadata/app HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: ${door.token}\r\nConnection: close\r\n\r\n`;
  const socket = connect({ port: Number(new URL(door.address).port), host: '127.0.0.1', noDelay: true });
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  for (let start = 0; start < bytes.length; start += size) {
    socket.write(bytes.slice(start, start + size));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await new Promise((resolve) => socket.once('close', resolve));
  expect(text).toContain('"data":{"keys":["db"]}');
});

test('GET, LIST and GET share a connection', async () => {
  const socket = connect(Number(new URL(door.address).port), '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const send = async (line: string, answer: string): Promise<void> => {
    text = '';
    socket.write(`${line} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: ${door.token}\r\n\r\n`);
    while (!text.includes(answer)) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await send(`GET ${SECRET}`, CANARY);
  await send('LIST /v1/local/metadata/app', '{"keys":["db"]}');
  await send(`GET ${SECRET}`, CANARY);
  await send('LIST /v1/local/metadata', '{"keys":["app/"]}');
  socket.destroy();
});

test('a body that is LIST is a body', async () => {
  const reply = await ask(door.address, '/v1/auth/token/create', {
    method: 'POST',
    token: door.token,
    body: 'LIST /v1/local/metadata HTTP/1.1\r\n\r\n',
  });
  expect([reply.status, reply.body]).toEqual([400, '{"errors":["error parsing JSON"]}\n']);
});

test('a body that is too large is refused by its length, and chunk by chunk', async () => {
  const start = `POST /v1/auth/token/create HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: ${door.token}\r\n`;
  expect(await raw(`${start}Content-Length: 99999999999\r\n\r\n{`)).toMatch(/^HTTP\/1\.1 413 /);
  const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
  expect(await raw(`${start}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(20)}`)).toMatch(
    /^HTTP\/1\.1 413 /,
  );
});

test('no body is read of a client without a token', async () => {
  for (const token of ['', 'X-Vault-Token: hvs.unknown\r\n']) {
    const head = `POST ${SECRET} HTTP/1.1\r\nHost: localhost\r\n${token}Content-Length: 900000\r\n\r\n{`;
    // The rest of the body never comes.
    expect(await raw(head)).toMatch(/^HTTP\/1\.1 403 [^]*Connection: close/);
  }
});

test('a client that waits for 100 Continue gets it, or the refusal', async () => {
  const head = (token: string, length: number): string =>
    `PUT /v1/auth/token/renew-self HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: ${token}\r\n` +
    `Expect: 100-continue\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`;
  const goOn = 'HTTP/1.1 100 Continue\r\n\r\n';
  const accepted = await raw(head(door.token, 2), { after: goOn, send: '{}' });
  // The door's own token lives as long as the door.
  expect(accepted).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 400 [^]*lease is not renewable/);
  expect(await raw(head('hvs.unknown', 2))).toMatch(/^HTTP\/1\.1 403 /);
  expect(await raw(head(door.token, 2_000_000))).toMatch(/^HTTP\/1\.1 413 /);
});

test('a client that doesn’t take its answer is cut off', async () => {
  let cutOff: () => void = () => undefined;
  const isCutOff = new Promise<void>((resolve) => (cutOff = resolve));
  const server = createServer((socket) => {
    const made = new Connection(socket, () => undefined);
    made.on('error', () => undefined);
    made.once('close', cutOff);
    made.write(Buffer.alloc(32 * 1024 * 1024));
    made.mustTake(200);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  client.on('error', () => undefined);
  await isCutOff;
  expect(client.destroyed).toBe(false);
  client.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test('a client that sends its request slowly is answered with 408 and let go', async () => {
  const slow = await openDoor(stores);
  const socket = connect(Number(new URL(slow.address).port), '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.write('GET /v1/sys/health HTTP/1.1\r\n');
  const timer = setInterval(() => socket.write('X'), 500);
  await new Promise((resolve) => socket.once('close', resolve));
  clearInterval(timer);
  expect(text).toMatch(/^HTTP\/1\.1 408 /);
  // Others were served meanwhile.
  expect((await ask(slow.address, '/v1/sys/health')).status).toBe(200);
  await slow.stop();
});

test('response wrapping is refused instead of answered without', async () => {
  const reply = await ask(door.address, SECRET, { token: door.token, headers: { 'X-Vault-Wrap-TTL': '60' } });
  expect([reply.status, reply.body]).toEqual([
    400,
    '{"errors":["response wrapping is not supported by secrets agent"]}\n',
  ]);
});

test('the namespace of a client is answered with, unless it is none', async () => {
  const reply = async (name: string): Promise<unknown> =>
    (await ask(door.address, SECRET, { token: door.token, headers: { 'X-Vault-Namespace': name } })).headers[
      'x-vault-namespace'
    ];
  expect([await reply('team/a'), await reply('<script>')]).toEqual(['team/a', undefined]);
});

test('every read names its client: the token by its accessor, the program cleaned', async () => {
  const agent = `hvac/2 \u0007é${'y'.repeat(300)}`;
  await ask(door.address, SECRET, {
    token: door.token,
    headers: { 'User-Agent': Buffer.from(agent).toString('latin1').replace('\u0007', '') },
  });
  const { program, token, door: by } = stores.asked.at(-1) ?? {};
  expect([by, program?.length, /^[ -~]*$/.test(program ?? ''), token?.length, token === door.token]).toEqual([
    'vault',
    100,
    true,
    24,
    false,
  ]);
});

test('a sign-in says what to use instead', async () => {
  const reply = await ask(door.address, '/v1/auth/approle/login', {
    method: 'POST',
    body: '{"role_id":"x","secret_id":"y"}',
  });
  const { errors } = JSON.parse(reply.body) as { errors: string[] };
  expect([reply.status, errors[0], errors[1]]).toEqual([
    404,
    'no handler for route "auth/approle/login". route entry not found.',
    expect.stringContaining('no sign-in methods'),
  ]);
});

test('a value that the store could not confirm says so', async () => {
  stores.from = 'stale';
  const reply = await ask(door.address, SECRET, { token: door.token });
  stores.from = 'store';
  expect(reply.body).toContain('"warnings":["the store did not answer; this value was read 40 seconds ago"]');
});

test.each([
  '0.0.0.0:8200',
  '192.168.1.1:1',
  ':8200',
  '8200',
  '[::]:1',
  'example.com:80',
  '127.0.0.1',
  '127.0.0.1:99999',
  'unix://relative',
  'https://127.0.0.1:1',
  '',
])('the door does not listen on %p', (text) => {
  expect(() => placeOf(text)).toThrow(SecretsError);
});

describe('a Unix socket', () => {
  let folder: string;
  beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'secrets-socket-'))));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('is 0600 in a 0700 folder, serves, and goes with the door', async () => {
    const path = join(folder, 'made', 'vault.sock');
    const one = await openDoor(stores, { address: `unix://${path}` });
    expect([one.address, statSync(path).mode & 0o777, statSync(join(folder, 'made')).mode & 0o777]).toEqual([
      `unix://${path}`,
      0o600,
      0o700,
    ]);
    expect(
      (await ask(one.address, SECRET, { token: one.token, headers: { Host: 'localhost' } })).body,
    ).toContain(CANARY);
    await one.stop();
    expect(existsSync(path)).toBe(false);
  });

  test('that a killed agent left behind is replaced; one that is served is not', async () => {
    const path = join(folder, 'left.sock');
    const one = await openDoor(stores, { address: `unix://${path}` });
    await expect(openDoor(stores, { address: `unix://${path}` })).rejects.toThrow(
      "can't listen for Vault's clients: EADDRINUSE",
    );
    await one.stop();
    // A file of another kind is somebody's.
    writeFileSync(path, 'mine');
    await expect(openDoor(stores, { address: `unix://${path}` })).rejects.toThrow(SecretsError);
    expect(existsSync(path)).toBe(true);
  });

  test('is refused in a folder that others may enter, and through a link', async () => {
    const open = join(folder, 'open');
    mkdirSync(open);
    chmodSync(open, 0o755);
    symlinkSync(join(folder, 'made'), join(folder, 'link'));
    for (const name of ['open', 'link'])
      await expect(openDoor(stores, { address: `unix://${join(folder, name)}/x.sock` })).rejects.toThrow(
        SecretsError,
      );
  });
});
