/** The built agent, attacked from outside through its Vault door: raw bytes, many connections, tokens of others. */
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { NODE } from '../../e2e/program.ts';
import { ROOT_USER, testNeeding } from '../../needs.ts';
import { sized } from '../../size.ts';
import { type Agent, type AgentPlace, makeAgentPlace } from '../kit.ts';
import { ask } from './kit.ts';

const CANARY = 'canary-19f7d2';
const ENV = { SECRETS_LOCAL_KEY_METHOD: 'key-file' };
const SECRET = '/v1/local/data/app';

let place: AgentPlace;
let agent: Agent;
let address: string;
let port: number;
let token: string;

beforeAll(async () => {
  place = await makeAgentPlace();
  await place.sh(`printf ${CANARY} | secrets put --quiet local://app`, ENV);
  const file = join(place.root, 'token');
  agent = await place.start(ENV, '--vault', '127.0.0.1:0', '--token-file', file);
  token = readFileSync(file, 'utf8');
  const { stdout } = await place.sh('secrets agent status --json', ENV);
  address = (JSON.parse(stdout) as { doors: readonly { address: string }[] }).doors[1]?.address ?? '';
  port = Number(new URL(address).port);
}, 60_000);
afterAll(() => place.remove());
// Whatever was done to it, it still serves.
afterEach(async () => {
  const reply = await ask(address, SECRET, { token });
  expect([reply.status, reply.body.includes(CANARY)]).toEqual([200, true]);
});

interface Talk {
  /** The status of each answer. */
  readonly statuses: readonly number[];
  readonly text: string;
  readonly isClosed: boolean;
  readonly ms: number;
}

/** Sends the parts, some time apart, and reads until the door ends the connection or the time is over. */
function talk(parts: readonly string[], { ms = 1500, gap = 0 } = {}): Promise<Talk> {
  return new Promise((resolve) => {
    const start = Date.now();
    let text = '';
    let isClosed = true;
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const timer = setTimeout(() => {
      isClosed = false;
      socket.destroy();
    }, ms);
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
      resolve({ statuses, text, isClosed, ms: Date.now() - start });
    });
    void (async () => {
      for (const part of parts) {
        if (!socket.destroyed) socket.write(part);
        if (gap > 0) await new Promise((next) => setTimeout(next, gap));
      }
    })();
  });
}

const HOST = 'Host: 127.0.0.1\r\n';
const own = (): string => `X-Vault-Token: ${token}\r\n`;
const GET = (more = ''): string => `GET ${SECRET} HTTP/1.1\r\n${HOST}${own()}${more}\r\n`;
const LIST = (): string => `LIST /v1/local/metadata HTTP/1.1\r\n${HOST}${own()}\r\n`;
const POST = (more: string): string => `POST /v1/auth/token/create HTTP/1.1\r\n${HOST}${own()}${more}`;

test.each([
  [
    'a page’s Origin after more headers than anybody counts',
    () => GET(`${'X: 1\r\n'.repeat(500)}Origin: https://evil.example.com\r\n`),
    403,
  ],
  [
    'a proxy’s header after them',
    () => GET(`${'X: 1\r\n'.repeat(500)}X-Forwarded-Host: evil.example.com\r\n`),
    403,
  ],
  ['a second Host after them', () => GET(`${'X: 1\r\n'.repeat(500)}Host: evil.example.com\r\n`), 403],
  ['another server in the target', () => GET().replace(SECRET, `http://evil.example.com${SECRET}`), 400],
  ['this server in the target', () => GET().replace(SECRET, `http://127.0.0.1${SECRET}`), 400],
  ['no path in the target', () => GET().replace(SECRET, '*'), 400],
  ['headers of a megabyte', () => GET(`X: ${'x'.repeat(1024 * 1024)}\r\n`), 431],
  [
    'the preface of HTTP/2',
    () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\u0000\u0000\u0000\u0004\u0000\u0000\u0000\u0000\u0000',
    400,
  ],
  ['HTTP/0.9', () => `GET ${SECRET}\r\n\r\n`, 403],
  ['HTTP/1.2', () => GET().replace('HTTP/1.1', 'HTTP/1.2'), 400],
  ['TRACE', () => GET().replace('GET', 'TRACE'), 405],
  ['a transfer encoding that is not one', () => POST('Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'), 400],
  ['a space before the colon', () => POST('Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n'), 400],
  ['an encoding after chunked', () => POST('Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n'), 400],
  [
    'a length and chunks',
    () => POST('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
    400,
  ],
  ['two different lengths', () => POST('Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}'), 400],
  ['a length with a sign', () => POST('Content-Length: +2\r\n\r\n{}'), 400],
  [
    'a chunk’s extension without end',
    () => POST(`Transfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(1024 * 1024)}`),
    400,
  ],
  [
    'trailers without end',
    () => POST(`Transfer-Encoding: chunked\r\n\r\n0\r\n${'A: b\r\n'.repeat(100_000)}`),
    431,
  ],
  ['lines that end in a line feed alone', () => GET().replaceAll('\r\n', '\n'), 400],
  ['a header over two lines', () => GET('X: a\r\n b\r\n'), 400],
  ['a carriage return in a header', () => GET('X: a\rb\r\n'), 400],
  ['a zero byte in a header', () => GET('X: a\u0000b\r\n'), 400],
])('%s: one refusal, the end of the connection, no value', async (_, bytes, status) => {
  const { statuses, text, isClosed } = await talk([bytes()]);
  expect({ statuses, holds: text.includes(CANARY) }).toEqual({ statuses: [status], holds: false });
  // A request that was read whole may be followed by another one.
  if (status !== 403) expect(isClosed).toBe(true);
});

test('a change of protocol is not made', async () => {
  for (const protocol of ['h2c', 'websocket']) {
    const { statuses } = await talk([GET(`Connection: Upgrade\r\nUpgrade: ${protocol}\r\n`)]);
    expect(statuses).toEqual([200]);
  }
  expect(await talk([GET().replace('GET', 'CONNECT')])).toMatchObject({ text: '', isClosed: true });
});

test.each([
  ['GET', () => [GET('Connection: close\r\n')], CANARY],
  ['LIST', () => [LIST().replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')], '{"keys":["app"]}'],
])(
  '%s in one-byte pieces is answered',
  async (_, request, answer) => {
    const { statuses, text, isClosed } = await talk([...request().join('')], { gap: 1, ms: 20_000 });
    expect([statuses, text.includes(answer), isClosed]).toEqual([[200], true, true]);
  },
  30_000,
);

test.each([
  ['reads', () => GET().repeat(3)],
  ['a list after a read', () => GET() + LIST()],
  ['lists', () => LIST().repeat(2)],
  ['half a body after a read', () => `${GET()}${POST('Content-Length: 10\r\n\r\n{')}`],
  ['a body that begins like a list', () => `${GET()}${POST('Content-Length: 5\r\n\r\nLIST ')}`],
])(
  'requests that don’t wait for their turn end the connection: %s',
  async (_, bytes) => {
    const { statuses, isClosed, ms } = await talk([bytes()], { ms: 15_000 });
    expect([isClosed, statuses.at(-1), statuses.length <= 2]).toEqual([true, 400, true]);
    expect(ms).toBeLessThan(10_000);
  },
  20_000,
);

test('a hundred thousand requests at once cost no memory', async () => {
  const requests = `GET ${SECRET} HTTP/1.1\r\n${HOST}\r\n`.repeat(100_000);
  const before = memory();
  const { statuses, isClosed } = await talk([requests], { ms: 20_000 });
  expect([statuses.length <= 2, isClosed]).toEqual([true, true]);
  expect(memory() - before).toBeLessThan(64);
}, 30_000);

test.each([
  ['the head', () => [`GET ${SECRET} HTTP/1.1\r\n`, ...Array<string>(60).fill('X: y\r\n')]],
  ['the body', () => [POST('Content-Length: 1000\r\n\r\n'), ...Array<string>(60).fill('x')]],
  ['the next head', () => [`${GET()}GE`, ...Array<string>(120).fill('T')]],
])(
  'who sends %s a byte at a time is let go',
  async (_, parts) => {
    const { isClosed, ms } = await talk(parts(), { gap: 500, ms: 50_000 });
    expect(isClosed).toBe(true);
    expect(ms).toBeLessThan(40_000);
  },
  60_000,
);

test('thousands of connections keep nobody from the command line’s door, and end by themselves', async () => {
  const count = sized(3000, 10_000);
  const closes: Promise<unknown>[] = [];
  for (let index = 0; index < count; index += 1) {
    const socket = connect(port, '127.0.0.1').resume();
    socket.on('error', () => undefined);
    closes.push(new Promise((resolve) => socket.once('close', resolve)));
    if (index % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const read = await place.sh('secrets agent status', ENV);
  expect([read.code, read.stderr]).toEqual([0, '']);
  expect(memory()).toBeLessThan(300);
  await Promise.all(closes);
}, 90_000);

test('connections without a token leave files for the rest', async () => {
  const other = await makeAgentPlace();
  const start = 'ulimit -n 300; secrets agent start -d --vault 127.0.0.1:0 --token-file token --json';
  const { stdout } = await other.sh(start, ENV);
  const { doors, pid } = JSON.parse(stdout) as { doors: readonly { address: string }[]; pid: number };
  const own = Number(new URL(doors[1]?.address ?? '').port);
  const sockets = Array.from({ length: 600 }, () => connect(own, '127.0.0.1').on('error', () => undefined));
  try {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const status = await other.sh('secrets agent status', ENV);
    expect([status.code, status.stderr]).toEqual([0, '']);
  } finally {
    for (const socket of sockets) socket.destroy();
    process.kill(pid, 'SIGKILL');
    await other.remove();
  }
}, 60_000);

test('a token is of one run, in a header, and can’t be guessed', async () => {
  const { stdout: other } = await place.sh(`secrets agent run -- sh -c 'printf %s "$VAULT_TOKEN"'`, ENV);
  expect(other).toMatch(/^hvs\.[\w-]{43}$/);
  const guesses = [
    other,
    token.slice(0, -1),
    `${token}x`,
    `${token.slice(0, -1)}~`,
    token.toUpperCase(),
    'root',
    'hvs.',
    '*',
    '0',
  ];
  for (const guess of guesses) {
    const reply = await ask(address, SECRET, { token: guess });
    expect([guess === token, reply.status, reply.body.includes(CANARY)]).toEqual([false, 403, false]);
  }
  for (const query of [`token=${token}`, `X-Vault-Token=${token}`, `access_token=${token}`]) {
    const reply = await ask(address, `${SECRET}?${query}`);
    expect([reply.status, reply.body.includes(token)]).toEqual([403, false]);
  }
  expect((await ask(address, SECRET, { headers: { Cookie: `token=${token}` } })).status).toBe(403);
  const log = readFileSync(join(place.home, '.local/state/secrets/audit/audit.jsonl'), 'utf8');
  expect([log.includes(token), log.includes(other), agent.output().includes(token)]).toEqual([
    false,
    false,
    false,
  ]);
});

testNeeding(ROOT_USER)('another user of this machine gets nothing', async () => {
  // Nothing but the agent’s own folder is in the way.
  for (const folder of ['', 'home', 'home/.cache', 'home/.cache/secrets'])
    chmodSync(join(place.root, folder), 0o755);
  const code = `require('net').connect(${JSON.stringify(agent.socket)}).on('error', (e) => console.log(e.code)).on('connect', () => { console.log('in'); process.exit(); })`;
  const entered = spawnSync(NODE, ['-e', code], { uid: 65_534, gid: 65_534, cwd: '/' });
  expect(entered.stdout.toString()).toBe('EACCES\n');
  const file = spawnSync('cat', [join(place.root, 'token')], { uid: 65_534, gid: 65_534, cwd: '/' });
  expect([file.status, file.stdout.toString()]).toEqual([1, '']);
});

/** What the agent has in memory, in MiB. */
function memory(): number {
  const [, kib = ''] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8')) ?? [];
  return Number(kib) / 1024;
}
