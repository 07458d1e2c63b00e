/** docs/agent.md and the units of systemd, run as they are printed. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULTS } from '../../src/agent/serving-settings.ts';
import { NODE, PROGRAM, ROOT } from '../e2e/program.ts';
import { program, testNeeding } from '../needs.ts';
import { type AgentPlace, makeAgentPlace } from './kit.ts';

const page = readFileSync(join(ROOT, 'docs/agent.md'), 'utf8');

let place: AgentPlace;
beforeEach(async () => {
  place = await makeAgentPlace();
});
afterEach(() => place.remove());

test('the first example works as printed', async () => {
  const [, example = ''] = /```sh\n([^]*?)```/.exec(page) ?? [];
  expect(example).toMatch(/^secrets agent start --detach/);
  const { code, stdout, stderr } = await place.sh(`set -e\n${example}`);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^values\t0 of 10000$/m);
  expect(existsSync(place.socket)).toBe(false);
});

test('the defaults on the page are the program’s', async () => {
  const { bounds, reading } = DEFAULTS;
  expect([reading.freshMs, bounds.ttlMs, bounds.maxValues, bounds.maxBytes]).toEqual([
    60_000,
    900_000,
    10_000,
    64 * 1024 * 1024,
  ]);
  for (const row of ['`--fresh` | `1m`', '`--ttl` | `15m`', '`10000`, `64M`', '`--idle` | `8h`'])
    expect(page).toContain(row);
  await place.start();
  const { stdout } = await place.sh('secrets agent status --json');
  expect(JSON.parse(stdout)).toMatchObject({ limits: { idleMs: 8 * 3_600_000 } });
});

/** What systemd does for a socket unit: listens, and starts the service with the socket as descriptor 3. */
const ACTIVATE = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], int(sys.argv[2], 8)); s.listen()
os.dup2(s.fileno(), 3); os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[3], sys.argv[3:])`;

testNeeding(program('systemd-notify'))(
  'a socket from systemd is used, and systemd is told when it is ready',
  async () => {
    const runtime = join(place.root, 'run');
    mkdirSync(join(runtime, 'secrets'), { recursive: true, mode: 0o700 });
    spawnSync('chmod', ['700', runtime]);
    const unit = readFileSync(join(ROOT, 'examples/systemd/secrets-agent.socket'), 'utf8');
    const stream = /^ListenStream=%t(\/.*)$/m.exec(unit)?.[1] ?? '';
    expect(unit).toMatch(/^SocketMode=0600$/m);
    expect(unit).toMatch(/^DirectoryMode=0700$/m);
    // Word from systemd-notify itself, which a receiver of datagrams writes down.
    const word = join(place.root, 'word');
    const receiver = spawn(
      'python3',
      [
        '-c',
        'import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\ns.bind(sys.argv[1])\n' +
          'print("up",flush=True)\n' +
          'while True: open(sys.argv[2],"ab").write(s.recv(4096)+b"\\n")',
        join(place.root, 'notify'),
        word,
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    await new Promise((resolve) => receiver.stdout.once('data', resolve));
    const env = { XDG_RUNTIME_DIR: runtime, NOTIFY_SOCKET: join(place.root, 'notify') };
    const path = join(runtime, stream);
    const agent = spawn('python3', ['-c', ACTIVATE, path, '600', NODE, PROGRAM, 'agent', 'start'], {
      env: { ...place.env, ...env },
      cwd: place.cwd,
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => agent.once('close', resolve));
    try {
      const until = Date.now() + 120_000;
      const told = (): string => (existsSync(word) ? readFileSync(word, 'utf8') : '');
      while (!told().includes('READY=1') && Date.now() < until)
        await new Promise((resolve) => setTimeout(resolve, 50));
      expect(told()).toContain('READY=1');
      const { stdout, code } = await place.sh('secrets agent status --json', { XDG_RUNTIME_DIR: runtime });
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ socket: path });
      await place.sh('secrets agent stop', { XDG_RUNTIME_DIR: runtime });
      // It is systemd's, which goes on listening.
      expect(existsSync(path)).toBe(true);
    } finally {
      agent.kill('SIGTERM');
      await ended;
      receiver.kill();
    }
  },
  60_000,
);

test('a socket that others may use is refused from systemd too', async () => {
  const folder = join(place.home, '.cache/secrets/agent');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const outcome = await place.sh(
    `python3 -c "$ACTIVATE" '${place.socket}' 666 '${NODE}' '${PROGRAM}' agent start`,
    { ACTIVATE },
  );
  expect(outcome.code).toBe(4);
  expect(outcome.stderr).toBe(
    `secrets: ${place.socket} is open to others (mode 666); set SocketMode=0600 and DirectoryMode=0700 in the socket unit\n`,
  );
});
