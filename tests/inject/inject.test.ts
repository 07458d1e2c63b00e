/** The built program: the file that it writes, what it refuses, and what it leaves behind. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { pidNamespace, startTime } from '../../src/platform/process-identity.ts';
import { Box, NODE, PROGRAM, until } from '../exec/setup.ts';
import { closeTerminals, openTerminal } from '../exec/terminals.ts';
import { program, ROOT_USER, testNeeding } from '../needs.ts';
import { sized } from '../size.ts';

let box: Box;
beforeEach(() => {
  box = new Box();
  box.put('db', '{"password":"p\\"w","port":5432}');
  box.put('key', 'one\ntwo\n');
});
afterEach(() => {
  closeTerminals();
  box.remove();
});

const read = (name: string): string => readFileSync(join(box.cwd, name), 'utf8');
const modeOf = (name: string): string => (statSync(join(box.cwd, name)).mode & 0o777).toString(8);

interface Read {
  readonly kind: string;
  readonly action: string;
  readonly command: string;
  readonly secret: string;
}

/** The reads in the audit log. */
async function reads(): Promise<readonly Read[]> {
  const { stdout } = await box.run(['audit', 'log', '--json']);
  const records = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Read);
  return records.filter(({ kind, action }) => kind === 'access' && action === 'read');
}

test('the first example: a file of mode 600, escaped by its format', async () => {
  box.write('config.json.tmpl', '{"password": {{ db#password }}, "port": {{ db#port | number }}}\n');
  const { code, stdout, stderr } = await box.run(['inject', '-i', 'config.json.tmpl', '-o', 'config.json']);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(JSON.parse(read('config.json'))).toEqual({ password: 'p"w', port: 5432 });
  expect(modeOf('config.json')).toBe('600');
  expect(readdirSync(box.cwd).toSorted()).toEqual(['config.json', 'config.json.tmpl']);
});

test('stdin to stdout; the format by --format', async () => {
  const outcome = await box.run(['inject', '--format', 'shell'], { input: 'A={{ key }}' });
  expect(outcome).toMatchObject({ code: 0, stdout: "A='one\ntwo\n'", stderr: '' });
});

test('everything that is wrong is listed at once with its place, and nothing is written', async () => {
  box.write(
    't.yaml',
    'a: {{ db#nope }}\nb: {{ gone }}\nc: x{{ key }}\nd: {{ other://x }}\ne: {{ }}\nf: {{ key | number }}\n',
  );
  box.write('out.yaml', 'before');
  const { code, stderr } = await box.run(['inject', '-i', 't.yaml', '-o', 'out.yaml']);
  expect(code).toBe(1);
  for (const place of ['1:4', '2:4', '3:5', '4:4', '5:4', '6:4'])
    expect(stderr).toContain(`t.yaml:${place}: `);
  expect(stderr).toMatch(/6 failures in t.yaml; nothing was written/);
  expect(stderr).not.toContain('two');
  expect(read('out.yaml')).toBe('before');
  expect(readdirSync(box.cwd).toSorted()).toEqual(['out.yaml', 't.yaml']);
});

test('one kind of failure keeps its exit code: 3 for what is not there, 2 for what is malformed', async () => {
  expect((await box.run(['inject'], { input: '{{ a }} {{ b }}' })).code).toBe(3);
  expect((await box.run(['inject'], { input: '{{ }}' })).code).toBe(2);
});

test('a terminal gets no orders, from a value or from the template: C0 and C1 controls, a lone CR', async () => {
  box.put('c1', '\u009b31mred');
  box.put('cr', 'shown\rhidden');
  const atTerminal = async (template: string): Promise<{ code: number; shown: string }> => {
    box.write('t', template);
    const terminal = openTerminal(box, NODE, [PROGRAM, 'inject', '-i', 't']);
    const { exitCode } = await terminal.ended;
    return { code: exitCode, shown: terminal.shown() };
  };
  for (const template of [
    'plain {{ c1 }}',
    'plain {{ cr }}',
    'plain \u001b[31m{{ db#port }}',
    'plain \u009b{{ db#port }}',
  ]) {
    const { code, shown } = await atTerminal(template);
    expect({ code, shown }).toEqual({
      code: 2,
      shown: expect.stringContaining('control characters') as string,
    });
    expect(shown).not.toMatch(/plain|\u009b|hidden/);
  }
  expect(await atTerminal('plain\r\n\t{{ db#port }}')).toMatchObject({
    code: 0,
    shown: expect.stringContaining('5432') as string,
  });
});

test('--dry-run lists the references and reads none', async () => {
  box.write('t.txt', 'a {{ db#password | base64 }}\n{{ gone }} {{ gone }}');
  const { code, stdout } = await box.run(['inject', '-i', 't.txt', '--dry-run']);
  expect({ code, stdout }).toEqual({ code: 0, stdout: 't.txt:1:3: db#password | base64\nt.txt:2:1: gone\n' });
  expect(await reads()).toEqual([]);
});

test('every read is recorded, with the command', async () => {
  await box.run(['inject'], { input: '{{ db#port }} {{ key }} {{ key | base64 }}' });
  const records = await reads();
  expect(records.map(({ secret }) => secret).toSorted()).toEqual(['db', 'key']);
  expect(new Set(records.map(({ command }) => command))).toEqual(new Set(['inject']));
});

describe('the place of the file', () => {
  const render = (...args: readonly string[]) => box.run(['inject', '-i', 't', ...args]);
  beforeEach(() => box.write('t', '{{ key }}'));

  test('an existing file is replaced and becomes private, which is said', async () => {
    box.write('out', 'before');
    const { code, stderr } = await render('-o', 'out');
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringContaining('out had mode 644, and has 600 now') as string,
    });
    expect([read('out'), modeOf('out')]).toEqual(['one\ntwo\n', '600']);
  });

  test('a link is not followed, nor is anything else written to that is no file', async () => {
    box.write('other', 'before');
    symlinkSync('other', join(box.cwd, 'link'));
    mkdirSync(join(box.cwd, 'folder'));
    expect(await render('-o', 'link')).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('symbolic link') as string,
    });
    expect(await render('-o', 'folder')).toMatchObject({ code: 4 });
    expect(await render('-o', '/dev/null')).toMatchObject({ code: 4 });
    expect(await render('-o', 'missing/out')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('mkdir -p') as string,
    });
    expect(await render('-o', './t')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('the same file') as string,
    });
    expect(read('other')).toBe('before');
  });

  testNeeding(ROOT_USER)('another user’s file is left alone', async () => {
    const path = box.write('out', 'before');
    spawnSync('chown', ['12345', path]);
    expect(await render('-o', 'out')).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('uid 12345') as string,
    });
    expect(read('out')).toBe('before');
  });

  test('what a killed run left is removed, what a running one has is not', async () => {
    const other = `.out.secrets-${pidNamespace()}-${process.pid}-${startTime(process.pid)}-0123456789abcdef`;
    for (const [name, text] of [
      [`.out.secrets-${pidNamespace()}-1-1-0123456789abcdef`, 'old'],
      [other, 'in use'],
    ] as const) {
      mkdirSync(join(box.cwd, name));
      box.write(`${name}/file`, text);
    }
    expect((await render('-o', 'out')).code).toBe(0);
    expect(readdirSync(box.cwd).toSorted()).toEqual([other, 'out', 't']);
  });

  test('SIGTERM leaves no folder that was just made', async () => {
    box.write(
      'term.mjs',
      `import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { mkdirSync } = fs;
fs.mkdirSync = (path, ...rest) => {
  mkdirSync(path, ...rest);
  if (String(path).includes('.out.secrets-')) process.kill(process.pid, 'SIGTERM');
};
syncBuiltinESMExports();
`,
    );
    const env = { NODE_OPTIONS: '--import=./term.mjs' };
    expect(await box.run(['inject', '-i', 't', '-o', 'out'], { env })).toMatchObject({ signal: 'SIGTERM' });
    expect(readdirSync(box.cwd).toSorted()).toEqual(['t', 'term.mjs']);
  });

  test('SIGTERM takes the unfinished file with it', async () => {
    writeFileSync(join(box.cwd, 't'), `${'x'.repeat(1023)}\n`.repeat(40_000) + '{{ key }}');
    const running = box.start(['inject', '-i', 't', '-o', 'out']);
    await until(
      () => readdirSync(box.cwd).some((name) => name.startsWith('.out.secrets-')),
      () => 'the file beside',
    );
    running.process.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ signal: 'SIGTERM' });
    expect(readdirSync(box.cwd)).toEqual(['t']);
  });
});

describe('a git repository', () => {
  const git = (...args: readonly string[]): void => {
    const { status, stderr } = spawnSync('git', args, {
      cwd: box.cwd,
      env: { ...box.env },
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
  };
  const render = (env: Readonly<Record<string, string>> = {}, ...args: readonly string[]) =>
    box.run(['inject', '-i', 't', '-o', 'out', ...args], { env });
  beforeEach(() => {
    box.write('t', '{{ key }}');
    git('init', '-q');
  });

  testNeeding(program('git'))('takes no file that .gitignore does not cover, but with --force', async () => {
    const { code, stderr } = await render();
    expect({ code, stderr }).toEqual({ code: 8, stderr: expect.stringContaining('.gitignore') as string });
    expect(existsSync(join(box.cwd, 'out'))).toBe(false);
    box.write('.gitignore', 'out\n');
    expect((await render()).code).toBe(0);
    git('add', '-f', 'out');
    expect((await render()).code).toBe(8);
    expect((await render({}, '--force')).code).toBe(0);
  });

  testNeeding(program('git'))('has nothing to take while the file is written, and after a kill', async () => {
    box.write('.gitignore', 'out\n');
    git('add', '.');
    writeFileSync(join(box.cwd, 't'), `{{ key }}${`${'x'.repeat(1023)}\n`.repeat(40_000)}`);
    const running = box.start(['inject', '-i', 't', '-o', 'out']);
    const unfinished = (): string =>
      readdirSync(box.cwd).find((name) => name.startsWith('.out.secrets-')) ?? '';
    await until(
      () => existsSync(join(box.cwd, unfinished(), 'file')) && unfinished() !== '',
      () => 'the folder beside',
    );
    running.process.kill('SIGKILL');
    await running.ended;
    expect(modeOf(unfinished())).toBe('700');
    const { stdout } = spawnSync('git', ['status', '--porcelain', '-uall'], {
      cwd: box.cwd,
      env: { ...box.env },
      encoding: 'utf8',
    });
    expect(stdout).toMatch(/^AM t$/m);
    expect(stdout).not.toContain('secrets-inject');
  });

  test('takes no file that !PATTERN keeps, whatever the exit code of an old git says', async () => {
    const bin = join(box.root, 'bin');
    mkdirSync(bin);
    const old = `#!/bin/sh\ncase "$*" in *--verbose*) printf '.gitignore\\0002\\000%s\\000./out\\000' "$PATTERN";; esac\n`;
    const play = (pattern: string) => {
      writeFileSync(join(bin, 'git'), old.replace('$PATTERN', pattern), { mode: 0o755 });
      return render({ PATH: `${bin}:/usr/bin:/bin` });
    };
    expect((await play('!out')).code).toBe(8);
    expect((await play('')).code).toBe(8);
    expect((await play('out')).code).toBe(0);
  });

  testNeeding(program('git'))('is asked whatever the environment says about git', async () => {
    expect((await render({ GIT_DIR: '/nowhere', GIT_WORK_TREE: '/nowhere' })).code).toBe(8);
    expect((await render({ GIT_CEILING_DIRECTORIES: box.cwd })).code).toBe(8);
  });

  testNeeding(program('git'))('cannot run a program by its own settings', async () => {
    const script = box.write('run.sh', `#!/bin/sh\ntouch ${join(box.root, 'ran')}\n`, 0o755);
    git('config', 'core.fsmonitor', script);
    git('config', 'core.pager', script);
    git('config', 'core.sshCommand', script);
    git('config', 'core.hooksPath', box.cwd);
    expect((await render()).code).toBe(8);
    box.write('.gitignore', 'out\n');
    expect((await render()).code).toBe(0);
    expect(existsSync(join(box.root, 'ran'))).toBe(false);
  });

  test('is refused when git is not there to ask, or only in the folder itself', async () => {
    const bin = join(box.root, 'bin');
    mkdirSync(bin);
    box.write('git', `#!/bin/sh\ntouch ${join(box.root, 'ran')}\n`, 0o755);
    for (const path of [bin, `${bin}:.`]) {
      const { code, stderr } = await render({ PATH: path });
      expect({ code, stderr }).toEqual({
        code: 8,
        stderr: expect.stringContaining('git is not there') as string,
      });
    }
    expect(existsSync(join(box.root, 'ran'))).toBe(false);
  });
});

describe('somebody else’s template', () => {
  test('names no account by itself', async () => {
    const arn = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf';
    const { code, stderr } = await box.run(['inject'], { input: `{{ ${arn}#key }}` });
    expect({ code, stderr }).toEqual({
      code: 8,
      stderr: expect.stringContaining('native identifier') as string,
    });
  });

  test('opens no store of a secrets.yaml that is not trusted', async () => {
    box.write('secrets.yaml', 'stores: { theirs: { provider: vault, address: "https://vault.invalid" } }\n');
    const { code, stderr } = await box.run(['inject'], { input: '{{ theirs://a }}' });
    expect({ code, stderr }).toEqual({ code: 8, stderr: expect.stringContaining('not trusted') as string });
  });
});

test('a template of any size needs little memory', async () => {
  const MB = sized(8, 100);
  const block = `${'# a line of the template that is long enough to fill it\n'.repeat(18)}a: {{ db#port }}\n`;
  const path = join(box.cwd, 'big.yaml');
  writeFileSync(path, '');
  chmodSync(path, 0o644);
  for (let written = 0; written < MB; written += 1)
    writeFileSync(path, block.repeat(Math.floor(1024 ** 2 / block.length)), { flag: 'a' });
  const report = join(box.root, 'memory.cjs');
  writeFileSync(
    report,
    `process.on('exit', () => process.stderr.write('rss=' + process.resourceUsage().maxRSS + '\\n'));`,
  );
  const { code, stderr } = await box.run(['inject', '-i', 'big.yaml', '-o', 'out.yaml'], {
    env: { NODE_OPTIONS: `--require ${report}` },
  });
  expect(code).toBe(0);
  expect(Number(/rss=(\d+)/.exec(stderr)?.[1])).toBeLessThan(250_000);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(join(box.cwd, 'out.yaml'))) hash.update(chunk as Buffer);
  const wanted = createHash('sha256');
  for (let written = 0; written < MB; written += 1)
    wanted.update(block.replace('{{ db#port }}', '"5432"').repeat(Math.floor(1024 ** 2 / block.length)));
  expect(hash.digest('hex')).toBe(wanted.digest('hex'));
}, 300_000);
