/** What the process itself gives away, leaves behind and says when something is missing. */
import { spawnSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ALSO_ENDING } from '../../src/exec/signals.ts';
import { Box, NODE, PROGRAM, until } from './setup.ts';

let box: Box;
beforeAll(() => {
  box = new Box();
  box.put('text', 'plain-value');
});
afterAll(() => box.remove());

describe('exec with no variable for the program', () => {
  test('does not start it, and says where the search for secrets.yaml stopped', async () => {
    mkdirSync(join(box.cwd, '.git'), { recursive: true });
    box.write('secrets.yml', 'env: {}\n');
    const { code, stdout, stderr } = await box.run(['exec', '--', 'echo', 'ran']);
    expect({ code, stdout }).toEqual({ code: 125, stdout: '' });
    expect(stderr).toMatch(/^secrets: no variables for the program: no secrets\.yaml from \S+ upward, .*\n$/);
    expect(stderr).toContain('the repository’s root');
    expect(stderr).toContain('secrets.yml is not read');
  });

  test('starts it with --allow-empty', async () => {
    const { code, stdout } = await box.run(['exec', '--allow-empty', '--', 'echo', 'ran']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'ran\n' });
  });

  test('a wrong option is 125 as well', async () => {
    expect((await box.run(['exec', '--wrong', '--', 'true'])).code).toBe(125);
    expect((await box.run(['--debug', 'exec', '--wrong', '--', 'true'])).code).toBe(125);
    expect((await box.run(['get', '--wrong'])).code).toBe(2);
  });
});

test.each(ALSO_ENDING.map((signal) => signal.slice(3)))(
  'SIG%s reaches the program and takes the files along',
  async (signal) => {
    const script = `trap "echo got; exit 5" ${signal}; echo "$F $PPID"; while :; do sleep 0.1; done`;
    const running = box.start(['exec', '--file', 'F=text', '--', 'bash', '-c', script]);
    await until(
      () => /\d+\n/.test(running.output.stdout),
      () => 'the program',
    );
    const [file = '', pid = ''] = running.output.stdout.trim().split(' ');
    expect(readFileSync(file, 'utf8')).toBe('plain-value');
    process.kill(Number(pid), `SIG${signal}` as NodeJS.Signals);
    const { code, stdout } = await running.ended;
    expect({ code, got: stdout.includes('got') }).toEqual({ code: 5, got: true });
    expect(existsSync(file)).toBe(false);
  },
);

test('an alarm that was set before ends the program and its files', async () => {
  const before = ['perl', '-e', 'alarm 3; exec @ARGV'];
  const running = box.start(['exec', '--file', 'F=text', '--', 'bash', '-c', 'echo "$F"; exec sleep 47'], {
    before,
  });
  const { code, stdout } = await running.ended;
  expect(code).toBe(142);
  expect(existsSync(stdout.trim())).toBe(false);
});

test('SIGUSR1 opens no debugger', async () => {
  const running = box.start([
    'exec',
    '--redact',
    '-e',
    'A=text',
    '--',
    'bash',
    '-c',
    'trap "echo got; exit" USR1; echo $PPID; while :; do sleep 0.1; done',
  ]);
  await running.saw('\n');
  process.kill(Number(running.output.stdout.trim()), 'SIGUSR1');
  const { stdout, stderr } = await running.ended;
  expect(stdout).toContain('got');
  expect(stderr).not.toContain('Debugger');
});

test('credentials of plugins and sinks stay here', async () => {
  const env = {
    BW_SESSION: 'session-of-bitwarden',
    OP_SESSION_abc: 'session-of-1password',
    OTEL_EXPORTER_OTLP_HEADERS: 'Authorization=Bearer%20x',
  };
  const { stdout } = await box.run(['exec', '-e', 'A=text', '--', 'env'], { env });
  expect(stdout).toContain('A=plain-value');
  for (const name of Object.keys(env)) expect(stdout).not.toContain(name);
});

describe('messages', () => {
  test('never hold what a variable for a path has', async () => {
    const key = '{"type":"service_account","private_key":"-----BEGIN KEY-----\\nabcdefgh12345678\\n"}';
    const env = { GOOGLE_APPLICATION_CREDENTIALS: key, GOOGLE_CLOUD_PROJECT: 'p' };
    for (const more of [[], ['--json'], ['--debug']]) {
      const { code, stderr } = await box.run(['get', 'gcp://x', ...more], { env });
      expect(code).not.toBe(0);
      expect(stderr).not.toContain('private_key');
      expect(stderr).not.toContain('abcdefgh12345678');
      expect(stderr).toContain('GOOGLE_APPLICATION_CREDENTIALS');
    }
  });

  describe('of a server', () => {
    let server: Server;
    beforeAll(async () => {
      server = createServer((request, response) => {
        let body = '';
        request.on('data', (chunk: Buffer) => (body += chunk.toString()));
        request.on('end', () => {
          response.writeHead(400, { 'content-type': 'application/json' });
          response.end(
            JSON.stringify({
              errors: [`cannot take ${body} of ${String(request.headers['x-vault-token'])}`],
            }),
          );
        });
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    });
    afterAll(() => server.close());

    test.each([[[]], [['--json']], [['--debug']]])('hold no value or credential (%j)', async (more) => {
      const { port } = server.address() as AddressInfo;
      const env = { VAULT_ADDR: `http://127.0.0.1:${port}`, VAULT_TOKEN: 'hvs.token-of-the-test' };
      const value = 'p&ss "w<rd> of the test';
      const { code, stdout, stderr } = await box.run(['put', 'vault://app/x', ...more], {
        env,
        input: value,
      });
      expect(code).not.toBe(0);
      for (const shown of [stdout, stderr]) {
        expect(shown).not.toContain('ss \\"w');
        expect(shown).not.toContain('of the test');
        expect(shown).not.toContain('token-of-the-test');
      }
    });
  });
});

test('without a home folder there is one line', async () => {
  const script = 'unset HOME; exec setpriv --reuid 4711 --regid 4711 --clear-groups "$@"';
  if (process.getuid?.() !== 0) return;
  const { stderr, stdout } = spawnSync('sh', ['-c', script, 'sh', NODE, PROGRAM, 'list'], {
    encoding: 'utf8',
    cwd: '/',
  });
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^secrets: no home folder: .*\n$/);
});

test('a link to nothing in the way of a new folder is named', async () => {
  symlinkSync(join(box.root, 'nowhere'), join(box.root, 'dangling'));
  const env = { XDG_DATA_HOME: join(box.root, 'dangling') };
  const { code, stderr } = await box.run(['put', 'x'], { env, input: 'value' });
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/^secrets: .*dangling is a link to nothing.*\n$/m);
  expect(readdirSync(box.root)).not.toContain('nowhere');
});

test('a folder that another process makes at that moment is taken as it is', async () => {
  const data = join(box.root, 'made-by-another');
  const preload = join(box.root, 'faster.cjs');
  // The other process makes the folder as soon as this one has seen that it is missing.
  writeFileSync(
    preload,
    `const fs = require('node:fs');
    for (const name of ['statSync', 'lstatSync']) {
      const look = fs[name];
      fs[name] = (path, ...rest) => {
        const seen = look(path, ...rest);
        if (path === ${JSON.stringify(data)} && seen === undefined) fs.mkdirSync(path, { mode: 0o700 });
        return seen;
      };
    }
    require('node:module').syncBuiltinESMExports();`,
  );
  const env = { XDG_DATA_HOME: data, NODE_OPTIONS: `--require ${preload}` };
  const { code, stderr } = await box.run(['put', 'x', '--quiet'], { env, input: 'value' });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect((await box.run(['get', 'x'], { env: { XDG_DATA_HOME: data } })).stdout).toBe('value');
});

test('records of the store name the system’s user, not $USER', async () => {
  await box.run(['put', 'who'], { env: { USER: 'somebody', LOGNAME: 'somebody' }, input: 'value' });
  const { stdout } = await box.run(['history', 'who', '--json']);
  expect(stdout).not.toContain('somebody');
});
