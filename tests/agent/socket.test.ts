/** The agent's socket: one agent, for one user, whoever else puts something in its place. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, connect, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { providers } from '../../src/providers/registry.ts';
import { mattersToStores } from '../../src/session/agent-identity.ts';
import { frame } from '../../src/platform/agent/frames.ts';
import { ROOT } from '../e2e/program.ts';
import { mayTrace, ROOT_USER, testNeeding } from '../needs.ts';
import { type AgentPlace, makeAgentPlace } from './kit.ts';

let place: AgentPlace;
beforeEach(async () => {
  place = await makeAgentPlace();
});
afterEach(() => place.remove());

/** Commands go to Vault's address, where nobody listens: its error comes from this machine alone. */
const VAULT = { VAULT_ADDR: 'http://127.0.0.1:1', VAULT_TOKEN: 'hvs.none' };
const READ = 'secrets get --debug vault://a';

test('its socket is for the user alone, and it goes when it ends', async () => {
  const agent = await place.start();
  expect(agent.socket).toBe(place.socket);
  expect(lstatSync(place.socket).mode & 0o777).toBe(0o600);
  expect(lstatSync(dirname(place.socket)).mode & 0o777).toBe(0o700);
  agent.signal('SIGTERM');
  expect(await agent.ended).toBe(0);
  expect(existsSync(place.socket)).toBe(false);
  expect(await place.sh('secrets agent status')).toEqual({
    code: 3,
    stdout: '',
    stderr: 'secrets: no agent is running; start one with secrets agent start\n',
  });
});

test('XDG_RUNTIME_DIR is used if it is the user’s own', async () => {
  const runtime = join(place.root, 'run');
  mkdirSync(runtime, { mode: 0o700 });
  const env = { XDG_RUNTIME_DIR: runtime };
  expect((await place.start(env)).socket).toBe(join(runtime, 'secrets/agent.sock'));
  expect((await place.sh('secrets agent stop', env)).code).toBe(0);
  chmodSync(runtime, 0o755);
  expect((await place.start(env)).socket).toBe(place.socket);
  expect((await place.sh('secrets agent status --json', env)).code).toBe(0);
});

test('an agent of a shell with another XDG_RUNTIME_DIR is found, and ended with the rest', async () => {
  const runtime = join(place.root, 'run');
  mkdirSync(runtime, { mode: 0o700 });
  const env = { XDG_RUNTIME_DIR: runtime };
  const without = await place.start();
  const second = await place.sh('secrets agent start', env);
  expect([second.code, second.stderr]).toEqual([
    5,
    expect.stringContaining(`process ${without.pid}`) as string,
  ]);
  // One that doesn't know of the other.
  mkdirSync(join(place.home, '.cache/aside'), { recursive: true });
  await place.sh('mv ~/.cache/secrets/agent/agent.sock ~/.cache/aside/');
  await place.start(env);
  await place.sh('mv ~/.cache/aside/agent.sock ~/.cache/secrets/agent/');
  expect((await place.sh('secrets agent clear', env)).code).toBe(0);
  expect((await place.sh('secrets agent stop', env)).code).toBe(0);
  expect(await without.ended).toBe(0);
  expect((await place.sh('secrets agent status', env)).code).toBe(3);
});

test('an agent that ends leaves the socket of the next one', async () => {
  const first = await place.start();
  await place.sh('rm ~/.cache/secrets/agent/agent.sock');
  await place.start();
  first.signal('SIGTERM');
  expect(await first.ended).toBe(0);
  expect((await place.sh('secrets agent status')).code).toBe(0);
});

test('a second start says so, and is no failure with --detach', async () => {
  const agent = await place.start();
  const second = await place.sh('secrets agent start');
  expect(second.code).toBe(5);
  expect(second.stderr).toBe(
    `secrets: an agent is running already (process ${agent.pid}); secrets agent status shows it, ` +
      'secrets agent stop ends it\n',
  );
  expect(await place.sh('secrets agent start --detach')).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('--detach returns when it answers, and leaves it running', async () => {
  const { stdout, code } = await place.sh('secrets agent start -d --json && secrets agent status --json');
  expect(code).toBe(0);
  expect(stdout).toContain(`"socket": "${place.socket}"`);
  expect((await place.sh('secrets agent stop')).code).toBe(0);
  expect((await place.sh('secrets agent status')).code).toBe(3);
});

test('the socket of a killed agent is taken over, by one of many that start at once', async () => {
  const first = await place.start();
  first.signal('SIGKILL');
  await first.ended;
  expect(lstatSync(place.socket).isSocket()).toBe(true);
  expect((await place.sh('secrets agent status')).stderr).toBe(
    `secrets: no agent is running; ${place.socket} was left by one that crashed; start one with secrets agent start, ` +
      'which replaces it\n',
  );
  const script =
    'for i in 1 2 3 4 5; do (secrets agent start --json > out.$i 2> err.$i; echo $? > code.$i) & done; ' +
    'while ! grep -q socket out.*; do sleep 0.1; done; ' +
    'while [ $(cat code.* 2> /dev/null | wc -l) -lt 4 ]; do sleep 0.1; done; ' +
    'secrets agent status --json > status; secrets agent stop; wait; cat code.* | sort | tr "\\n" " "; cat out.* | wc -l';
  const { stdout, code } = await place.sh(script);
  expect({ stdout, code }).toEqual({ stdout: '0 5 5 5 5 1\n', code: 0 });
}, 60_000);

test('it ends when nobody uses it', async () => {
  const agent = await place.start({}, '--idle', '300ms');
  expect(await agent.ended).toBe(0);
  expect(existsSync(place.socket)).toBe(false);
});

test('who only looks at it doesn’t keep it from ending', async () => {
  const agent = await place.start({}, '--idle', '2s');
  const looking = place.sh('while secrets agent status; do :; done');
  expect(await agent.ended).toBe(0);
  await looking;
}, 30_000);

test.each([
  ['open to others', (folder: string) => chmodSync(folder, 0o755), /mode 755|others/],
  [
    'a link',
    (folder: string) => {
      mkdirSync(join(place.root, 'elsewhere'), { mode: 0o700 });
      spawnSync('rm', ['-r', folder]);
      symlinkSync(join(place.root, 'elsewhere'), folder);
    },
    /symbolic link/,
  ],
])('a folder that is %s is refused', async (_what, spoil, reason) => {
  mkdirSync(dirname(place.socket), { recursive: true, mode: 0o700 });
  spoil(dirname(place.socket));
  const { code, stderr } = await place.sh('secrets agent start');
  expect(code).toBe(4);
  expect(stderr).toMatch(reason);
  expect(stderr.split('\n')).toHaveLength(2);
});

test('what is no socket, or not only the user’s, is neither used nor replaced', async () => {
  mkdirSync(dirname(place.socket), { recursive: true, mode: 0o700 });
  writeFileSync(place.socket, 'mine', { mode: 0o600 });
  const start = await place.sh('secrets agent start');
  expect(start.code).toBe(4);
  expect(start.stderr).toContain(`${place.socket} is not a socket; check who created it`);
  const read = await place.sh(READ, VAULT);
  expect(read.stderr).toContain(`debug: agent: not used: ${place.socket} is not a socket`);
  expect(read.code).toBe(6);
});

testNeeding(ROOT_USER)('another user’s socket is not used', async () => {
  mkdirSync(dirname(place.socket), { recursive: true, mode: 0o700 });
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(place.socket, resolve));
  chmodSync(place.socket, 0o600);
  spawnSync('chown', ['1000', place.socket]);
  const read = await place.sh(READ, VAULT);
  expect(read.stderr).toContain(`${place.socket} belongs to another user (uid 1000)`);
  const start = await place.sh('secrets agent start');
  expect({ code: start.code, stderr: start.stderr }).toEqual({
    code: 4,
    stderr: `secrets: ${place.socket} belongs to another user (uid 1000); check who created it, then remove it\n`,
  });
  server.close();
});

const hello = { agent: 'secrets', protocol: 1, version: '0.1.0', pid: 1 };
const length = (bytes: number): Buffer => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes);
  return head;
};

describe('what listens in its place', () => {
  let server: Server;
  const sockets = new Set<Socket>();
  const listen = async (behave: (socket: Socket) => void): Promise<void> => {
    mkdirSync(dirname(place.socket), { recursive: true, mode: 0o700 });
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      behave(socket);
    });
    await new Promise<void>((resolve) => server.listen(place.socket, resolve));
    chmodSync(place.socket, 0o600);
  };
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    server.close();
  });

  const talks: readonly (readonly [string, (socket: Socket) => void, RegExp])[] = [
    ['never answers', () => undefined, /it does not answer/],
    ['hangs up', (socket) => socket.destroy(), /it has hung up|ECONNRESET/],
    ['sends garbage', (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'), /makes no sense/],
    ['announces a huge message', (socket) => socket.write(length(0xffff_ffff)), /makes no sense/],
    [
      'sends half a message',
      (socket) => socket.write(Buffer.concat([length(100), Buffer.from('{')])),
      /not answer/,
    ],
    ['says something else', (socket) => socket.write(frame({ hello: 'world' })), /is not an agent/],
    ['is of another time', (socket) => socket.write(frame({ ...hello, protocol: 9 })), /speaks differently/],
    ['stops after the greeting', (socket) => socket.write(frame(hello)), /it has stopped answering/],
    [
      'answers nonsense',
      (socket) => {
        socket.write(frame(hello));
        socket.write(frame({ results: [{ secret: { name: 7 } }, null] }));
      },
      /makes no sense/,
    ],
    [
      'has a value without the rest',
      (socket) => {
        socket.write(frame(hello));
        socket.write(frame({ results: [{ secret: { value: 'eA==' }, from: 'cache' }] }));
      },
      /makes no sense/,
    ],
  ];
  test.each(talks)('%s: the command goes on without it', async (_what, behave, reason) => {
    await listen(behave);
    const { code, stdout, stderr } = await place.within(READ, VAULT);
    expect({ code, stdout }).toEqual({ code: 6, stdout: '' });
    expect(stderr).toMatch(reason);
    expect(stderr).toMatch(/\nsecrets: vault:\/\/a: /);
  });

  test('a start says that something is in the way', async () => {
    await listen((socket) => socket.write('no'));
    const { code, stderr } = await place.within('secrets agent start');
    expect(code).toBe(5);
    expect(stderr).toContain(`something listens at ${place.socket}: it does not answer; end that program`);
  });
});

describe('what connects to it', () => {
  const talk = (bytes: Buffer | undefined): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(place.socket);
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(text));
      if (bytes !== undefined) socket.write(bytes);
    });

  test.each([
    ['garbage', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'), 'agent'],
    ['a huge message', length(0xffff_ffff), 'agent'],
    ['no request', frame({ op: 'everything' }), 'refused'],
    ['a list', frame([]), 'refused'],
    ['a read without who reads', frame({ op: 'read', requests: [{ name: 'a' }] }), 'refused'],
    ['nothing at all', undefined, 'agent'],
  ])('%s: it hangs up, and answers the next one', async (_what, bytes, said) => {
    await place.start();
    expect(await talk(bytes)).toContain(said);
    expect((await place.sh('secrets agent status')).code).toBe(0);
  });
});

test('another HOME, other variables and another log are told from its own', async () => {
  await place.start();
  const other = join(place.root, 'other');
  mkdirSync(other, { mode: 0o700 });
  const runtime = { XDG_CACHE_HOME: join(place.home, '.cache') };
  for (const [env, reason] of [
    [{ ...runtime, HOME: other }, `it was started with HOME=${place.home}`],
    [VAULT, 'it was started with other variables of a secret manager, such as AWS_PROFILE or VAULT_TOKEN'],
  ] as const) {
    const read = await place.sh(READ, { ...VAULT, ...env });
    expect(read.stderr).toContain(`debug: agent: not used: ${reason}`);
    const status = await place.sh('secrets agent status --json', env);
    expect(JSON.parse(status.stdout)).toMatchObject({ refuses: reason });
  }
  await place.sh(
    'mkdir -p ~/.config/secrets && echo "audit: { path: ~/log/audit.jsonl }" > ~/.config/secrets/secrets.yaml',
  );
  const status = await place.sh('secrets agent status');
  expect(status.stdout).toMatch(/^answers here\tno: it was started with another audit log/m);
});

testNeeding(mayTrace())(
  'without an agent, a command looks for the socket and loads nothing for it',
  async () => {
    const trace = join(place.root, 'trace');
    await place.sh(`strace -f -qq -o ${trace} secrets get --default x local://a`);
    const { stdout } = await place.sh(
      `grep -c 'agent.sock' ${trace}; grep -cE 'chunks/(agent|connect|frames)' ${trace}`,
    );
    expect(stdout).toBe('1\n0\n');
  },
);

test('every variable that a provider reads decides who may be answered', () => {
  const { stdout } = spawnSync('grep', ['-rhoE', "env\\['[A-Z_a-z]+'\\]", join(ROOT, 'src/providers')], {
    encoding: 'utf8',
  });
  const names = new Set([
    ...[...stdout.matchAll(/'([A-Za-z_]+)'/g)].map(([, name = '']) => name),
    ...providers
      .filter(({ kind }) => kind !== 'exec')
      .flatMap(({ credentialVariables }) => credentialVariables),
  ]);
  expect(names.size).toBeGreaterThan(60);
  const ignored = new Set(['PATH', 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED']);
  expect([...names].filter((name) => !ignored.has(name) && !mattersToStores(name))).toEqual([]);
  for (const name of ['PATH', 'TERM', 'SECRETS_REASON', 'XDG_RUNTIME_DIR', 'LANG'])
    expect(mattersToStores(name)).toBe(false);
});
