import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Box, CAN_REPLACE, type Outcome } from './setup.ts';

let box: Box;

beforeAll(() => {
  box = new Box();
  box.put('app/token', 'tok en$`"\'\\');
  box.put('app/db', JSON.stringify({ user: 'app', 'pass-word': 'p1', port: 5432 }));
  box.put('svc/db-url', 'postgres://x');
  box.put('svc/api.key', 'k-123');
  box.put('bin', Buffer.from([0xff, 0xfe, 0x41]));
  box.put('nul', Buffer.from('a\0b'));
  box.put('clash', JSON.stringify({ 'a-b': 1, 'A.B': 2 }));
  box.put('big', 'x'.repeat(65_536));
  box.put('text', 'plain');
  box.put('evil/path', '/tmp/evil');
  box.put('evil2/ld_preload', '/tmp/evil.so');
});
afterAll(() => box.remove());

/** Prints the child's environment as JSON. */
const SHOW = ['--', process.execPath, '-e', 'process.stdout.write(JSON.stringify(process.env))'];

function childEnv({ stdout, stderr, code }: Outcome): Record<string, string> {
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`);
  return JSON.parse(stdout) as Record<string, string>;
}

async function envOf(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Record<string, string>> {
  return childEnv(await box.run(['exec', '--allow-empty', ...args, ...SHOW], { env }));
}

describe('the variables', () => {
  test('hold the value byte for byte', async () => {
    expect(await envOf(['-e', 'TOKEN=app/token'])).toMatchObject({ TOKEN: 'tok en$`"\'\\' });
  });

  test('come from each key of a JSON secret with --from', async () => {
    expect(await envOf(['--from', 'app/db'])).toMatchObject({ user: 'app', PASS_WORD: 'p1', port: '5432' });
    expect(await envOf(['--from', 'app/db', '--case', 'upper'])).toMatchObject({ USER: 'app', PORT: '5432' });
    expect(await envOf(['--from', 'app/db', '--case', 'keep'])).toMatchObject({
      user: 'app',
      pass_word: 'p1',
    });
  });

  test('come from each secret under a prefix that ends in a slash', async () => {
    expect(await envOf(['--from', 'svc/'])).toMatchObject({ DB_URL: 'postgres://x', API_KEY: 'k-123' });
  });

  test('of -e win over those of --from', async () => {
    expect(await envOf(['--from', 'app/db', '-e', 'user=text'])).toMatchObject({
      user: 'plain',
      port: '5432',
    });
  });

  test('win over inherited ones', async () => {
    expect(await envOf(['-e', 'TOKEN=text'], { TOKEN: 'old', OTHER: 'kept' })).toMatchObject({
      TOKEN: 'plain',
      OTHER: 'kept',
    });
  });

  test('replace inherited references with --resolve-env, and only then', async () => {
    const env = { A: 'local://text', B: 'https://example.com', C: 'x' };
    expect(await envOf(['--resolve-env'], env)).toMatchObject({
      A: 'plain',
      B: 'https://example.com',
      C: 'x',
    });
    expect(await envOf([], env)).toMatchObject(env);
  });

  test('are all that a pristine child gets, beside what says where and how', async () => {
    const child = await envOf(['--pristine', '-e', 'TOKEN=text'], {
      SECRET_OF_SHELL: 'x',
      LC_ALL: 'C',
      TERM: 'dumb',
    });
    expect(Object.keys(child).toSorted()).toEqual([
      'HOME',
      'LANG',
      'LC_ALL',
      'PATH',
      'TERM',
      'TMPDIR',
      'TOKEN',
    ]);
  });

  test('do not include the credentials of secrets, unless asked or set by name', async () => {
    const env = {
      SECRETS_PASSPHRASE_FILE: '/nowhere',
      SECRETS_NEW_PASSPHRASE: 'n',
      SECRETS_MERGE_PASSPHRASE: 'm',
    };
    const child = await envOf([], env);
    expect(child).not.toHaveProperty('SECRETS_PASSPHRASE_FILE');
    expect(child).not.toHaveProperty('SECRETS_NEW_PASSPHRASE');
    expect(child).not.toHaveProperty('SECRETS_MERGE_PASSPHRASE');
    expect(await envOf(['--keep-credentials'], env)).toMatchObject(env);
    expect(await envOf(['-e', 'SECRETS_NEW_PASSPHRASE=text'], env)).toMatchObject({
      SECRETS_NEW_PASSPHRASE: 'plain',
    });
  });
});

describe('what Node.js can’t hand on as it is', () => {
  test('an argument that is not UTF-8 is refused, and the program does not start', async () => {
    // bash makes the byte: our own arguments are UTF-8 as well.
    const before = ['bash', '-c', '"$@" "$(printf "caf\\351")"', 'bash'];
    const { code, stdout, stderr } = await box.run(['exec', '--allow-empty', '--', 'printf', '%s'], {
      before,
    });
    expect({ code, stdout }).toEqual({ code: 125, stdout: '' });
    expect(stderr).toMatch(/^secrets: an argument of the program is not UTF-8 .*\n$/);
    const good = await box.run(['exec', '--allow-empty', '--', 'printf', '%s', 'café \ufffd']);
    expect(good).toMatchObject({ code: 0, stdout: 'café \ufffd' });
  });

  test('an inherited variable that is not UTF-8 is left out, with a warning', async () => {
    const before = ['bash', '-c', 'LATIN=$(printf "caf\\351") "$@"', 'bash'];
    const outcome = await box.run(['exec', '-e', 'TOKEN=text', ...SHOW], { before, env: { UTF: 'é\ufffd' } });
    expect(outcome.stderr).toMatch(/^secrets: warning: not passed to the program, .*: LATIN\n$/);
    const child = JSON.parse(outcome.stdout) as Record<string, string>;
    expect(child).toMatchObject({ TOKEN: 'plain', UTF: 'é\ufffd' });
    expect(child).not.toHaveProperty('LATIN');
  });

  test('a variable named like a property of every object is a variable', async () => {
    for (const flag of ['-e', '--file']) {
      const { stdout } = await box.run(['exec', flag, '__proto__=text', '--', 'printenv', '__proto__']);
      expect(stdout).toMatch(flag === '-e' ? /^plain\n$/ : /^\/.*secrets-exec-/);
    }
  });
});

describe('when something fails, the program does not start and', () => {
  const marker = (): readonly string[] => ['--', 'touch', 'started'];
  async function refused(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await box.run(['exec', ...args, ...marker()]);
    expect({ code, stdout }).toEqual({ code: 125, stdout: '' });
    expect(existsSync(`${box.cwd}/started`)).toBe(false);
    return stderr;
  }

  test('every failure is listed at once', async () => {
    const stderr = await refused([
      '-e',
      'A=no/1',
      '-e',
      'B=text',
      '-e',
      'C=nostore://x',
      '-e',
      '1=text',
      '--from',
      'text',
      '--from',
      'no/2',
      '--from',
      'none/',
      '-e',
      'D=app/db#none',
      '-e',
      'E=a//b',
    ]);
    for (const what of [
      'no/1',
      'no/2',
      'none/',
      'nostore',
      '"1" is not a valid variable name',
      'not JSON',
      'no key none',
      'a//b',
    ])
      expect(stderr).toContain(what);
    expect(stderr.trimEnd().split('\n')).toHaveLength(9);
  });

  test('two keys that become one variable are named', async () => {
    expect(await refused(['--from', 'clash', '--prefix', 'APP_'])).toMatch(
      /"a-b".*"A\.B".*both become APP_A_B/,
    );
  });

  test('two sources that become one variable are named', async () => {
    expect(await refused(['--from', 'app/db', '--from', 'app/db'])).toMatch(
      /"user" \(from app\/db\).*both become user/,
    );
    expect(await refused(['--from', 'svc/', '--from', 'svc/'])).toMatch(
      /"db-url" \(from svc\/\) and "db-url" \(from svc\/\) both become DB_URL/,
    );
  });

  test.each([
    ['evil/', 'path'],
    ['evil2/', 'ld_preload'],
  ])('a secret under %s does not become %s, which decides what runs', async (from, name) => {
    expect(await refused(['--from', from])).toMatch(
      new RegExp(`\\(from ${from}\\) would become ${name}, .*--allow ${name}`),
    );
  });

  test('a working directory that is gone is said in one line', async () => {
    const before = ['bash', '-c', 'mkdir gone && cd gone && rmdir ../gone && "$@"', 'bash'];
    const { code, stdout, stderr } = await box.run(['exec', '--allow-empty', '--', 'true'], { before });
    expect({ code, stdout }).toEqual({ code: 125, stdout: '' });
    expect(stderr).toMatch(/^secrets: the working directory does not exist any more; .*\n$/);
  });

  test('a variable given twice is refused', async () => {
    expect(await refused(['-e', 'A=text', '--file', 'A=text'])).toContain('A is given twice');
  });

  test('a value with NUL or of invalid UTF-8 is refused, with the way to get it as a file', async () => {
    const stderr = await refused(['-e', 'A=bin', '-e', 'B=nul']);
    expect(stderr).toMatch(/A is not UTF-8 text; .*--file NAME=REF/);
    expect(stderr).toMatch(/B holds a NUL byte/);
  });

  test('the message is JSON with --json', async () => {
    const { code, stderr } = await box.run(['exec', '--json', '-e', 'A=no/1', '--', 'true']);
    expect(code).toBe(125);
    expect(JSON.parse(stderr)).toMatchObject({ error: { kind: 'NotFound', reference: 'local://no/1' } });
  });
});

describe('the exit code', () => {
  const program = (name: string, content: string, mode: number): string => box.write(name, content, mode);
  test.each([
    ['0', ['true'], 0],
    ['the program’s own', ['sh', '-c', 'exit 42'], 42],
    ['128 + 15 for SIGTERM', ['sh', '-c', 'kill -TERM $$'], 143],
    ['128 + 9 for SIGKILL', ['sh', '-c', 'kill -KILL $$'], 137],
    ['127 for what is not found', ['no-such-program'], 127],
    ['127 for a path that is not there', ['./no-such-program'], 127],
    ['126 for a file that is not executable', ['./plain'], 126],
    ['126 for a folder', ['/tmp'], 126],
    ['126 for a path through a file', ['./plain/x'], 126],
  ])('is %s', async (_, command, code) => {
    program('plain', 'text', 0o644);
    for (const more of [[], ['--redact']]) {
      const outcome = await box.run(['exec', '--allow-empty', ...more, '--', ...command]);
      // Without a wrapper the signal itself arrives.
      if (code > 128 && CAN_REPLACE && more.length === 0) expect(outcome.signal).not.toBeNull();
      else expect(outcome.code).toBe(code);
    }
  });

  test('is 127 for a script whose interpreter is missing', async () => {
    program('lost', '#!/no/such/interpreter\n', 0o755);
    expect((await box.run(['exec', '--allow-empty', '--', './lost'])).code).toBe(127);
    expect((await box.run(['exec', '--allow-empty', '--redact', '--', './lost'])).code).toBe(127);
  });

  test('is 126 when the arguments are too large, with a reason', async () => {
    const refs = Array.from({ length: 40 }, (_, index) => ['-e', `V${index}=big`]).flat();
    const { code, stderr } = await box.run(['exec', ...refs, '--', 'true']);
    expect([code, stderr]).toEqual([126, expect.stringContaining('too large')]);
  });

  test('is the program’s when a script has no interpreter line, which shells run too', async () => {
    program('bare', 'echo "$0"; exit 5\n', 0o755);
    for (const more of [[], ['--redact']]) {
      expect(await box.run(['exec', '--allow-empty', ...more, '--', './bare'])).toMatchObject({
        code: 5,
        stdout: './bare\n',
      });
    }
  });

  test('is 127 for an empty name and for a folder that has the name in PATH', async () => {
    mkdirSync(join(box.cwd, 'bin/folder'), { recursive: true });
    for (const words of [[''], ['folder']]) {
      const { code } = await box.run(['exec', '--allow-empty', '--', ...words], {
        env: { PATH: `${box.cwd}/bin:/usr/bin` },
      });
      expect(code).toBe(127);
    }
  });

  test.each([
    ['empty, which is the working directory', { PATH: '' }, './here'],
    ['not set, which is /bin and /usr/bin', { PATH: undefined }, 'printenv'],
  ])('is the program’s when PATH is %s', async (_, env, name) => {
    program('here', '#!/bin/sh\necho "$T"\n', 0o755);
    for (const more of [[], ['--redact', '-e', 'U=app/token']]) {
      const before = env.PATH === undefined ? ['env', '-u', 'PATH'] : ['env', 'PATH='];
      const words = name === 'printenv' ? [name, 'T'] : [name.slice(2)];
      const { stdout, code } = await box.run(['exec', ...more, '-e', 'T=text', '--', ...words], { before });
      expect({ stdout, code }).toEqual({ stdout: more.length === 0 ? 'plain\n' : '***\n', code: 0 });
    }
  });
});

describe('the command line', () => {
  test('keeps an inner -- and options of the program', async () => {
    const { stdout } = await box.run([
      'exec',
      '--allow-empty',
      '--',
      'printf',
      '%s|',
      '--',
      '-e',
      'A=x',
      '--redact',
    ]);
    expect(stdout).toBe('--|-e|A=x|--redact|');
  });

  test('starts at the first word that is no option', async () => {
    const { stdout } = await box.run(['exec', '-e', 'A=text', 'printf', '%s|', '-e', '--', 'x']);
    expect(stdout).toBe('-e|--|x|');
  });

  test('never holds a value', async () => {
    const { stdout } = await box.run([
      'exec',
      '-e',
      'A=app/token',
      '--',
      'sh',
      '-c',
      'cat /proc/$PPID/cmdline /proc/self/cmdline',
    ]);
    expect(stdout).not.toContain('tok en');
  });
});

describe('env', () => {
  test('prints the variables that exec sets, from the same sources', async () => {
    const env = { A: 'local://text', VAULT_TOKEN: 'local://text', PLAIN: 'x' };
    const words = ['--from', 'app/db', '-e', 'user=text', '--resolve-env'];
    const printed = await box.run(['env', ...words, '--json'], { env });
    expect(JSON.parse(printed.stdout)).toEqual({ A: 'plain', user: 'plain', PASS_WORD: 'p1', port: '5432' });
    expect(await envOf(words, env)).toMatchObject(JSON.parse(printed.stdout) as object);
  });

  test('prints nothing when something fails', async () => {
    const { stdout, stderr, code } = await box.run(['env', '-e', 'A=text', '-e', 'B=no/1', '-e', 'C=bin']);
    expect({ stdout, code }).toEqual({ stdout: '', code: 3 });
    expect(stderr).toContain('no/1');
  });

  test('refuses a name that decides what runs as exec does', async () => {
    const { stdout, stderr, code } = await box.run(['env', '--from', 'evil/', '--format', 'shell']);
    expect({ stdout, code }).toEqual({ stdout: '', code: 8 });
    expect(stderr).toContain('would become path');
  });
});
