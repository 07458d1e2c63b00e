/** `inject --watch`: renders again after a change, and runs a command. */
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Box, type Running, until } from '../exec/setup.ts';
import { program, testNeeding } from '../needs.ts';

let box: Box;
let running: Running | undefined;
beforeEach(() => {
  box = new Box();
  box.put('a', 'first');
  box.write('t.yaml', 'a: {{ a }}\n');
});
afterEach(async () => {
  running?.process.kill('SIGKILL');
  await running?.ended;
  running = undefined;
  box.remove();
});

const read = (name: string): string => {
  try {
    return readFileSync(join(box.cwd, name), 'utf8');
  } catch {
    return '';
  }
};

function watch(...command: readonly string[]): Running {
  const args = ['--watch', '--poll', '1s', '--debounce', '100ms'];
  running = box.start(['inject', '-i', 't.yaml', '-o', 'out.yaml', ...args, ...command], {
    env: { VAULT_TOKEN: 'not-for-the-command' },
  });
  return running;
}

const has = (name: string, text: string): Promise<void> =>
  until(
    () => read(name) === text,
    () =>
      `${JSON.stringify(text)} in ${name}, which has ${JSON.stringify(read(name))}; ${JSON.stringify(running?.output)}`,
  );

test('a new version of a secret and a new template are written, and the command runs after each', async () => {
  const { process: child, ended } = watch(
    '--',
    'sh',
    '-c',
    'cat out.yaml >> seen; echo "$VAULT_TOKEN" >> seen',
  );
  await has('seen', 'a: "first"\n\n');
  box.put('a', 'second');
  await has('out.yaml', 'a: "second"\n');
  await has('seen', 'a: "first"\n\na: "second"\n\n');
  expect(statSync(join(box.cwd, 'out.yaml')).mode & 0o777).toBe(0o600);
  writeFileSync(join(box.cwd, 't.yaml'), 'b: {{ a }}\n');
  await has('out.yaml', 'b: "second"\n');
  await has('seen', 'a: "first"\n\na: "second"\n\nb: "second"\n\n');
  child.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 0, signal: null });
  expect(read('out.yaml')).toBe('b: "second"\n');
}, 120_000);

test('what can’t be rendered leaves the file, and is a warning', async () => {
  const { saw, output, process: child, ended } = watch('--', 'sh', '-c', 'echo ran; exit 3');
  await saw('ran');
  writeFileSync(join(box.cwd, 't.yaml'), 'a: {{ gone }}\n');
  await until(
    () => output.stderr.includes('the file stays as it is'),
    () => output.stderr,
  );
  expect(output.stderr).toContain('the program "sh" ended with exit code 3');
  expect(output.stderr).toContain('t.yaml:1:4: ');
  expect(read('out.yaml')).toBe('a: "first"\n');
  child.kill('SIGINT');
  expect(await ended).toMatchObject({ code: 130 });
}, 120_000);

test('a value that is written again as it was runs nothing', async () => {
  const { process: child, ended } = watch('--debug', '--', 'sh', '-c', 'echo ran >> seen');
  await has('seen', 'ran\n');
  box.put('a', 'first');
  await until(
    () => running?.output.stderr.includes('nothing in the file has changed') === true,
    () => JSON.stringify(running?.output),
  );
  expect(read('seen')).toBe('ran\n');
  child.kill('SIGTERM');
  await ended;
}, 120_000);

testNeeding(program('git'))('git is asked before each writing', async () => {
  spawnSync('git', ['init', '-q'], { cwd: box.cwd, env: { ...box.env } });
  box.write('.gitignore', 'out.yaml\n');
  const { output } = watch();
  await has('out.yaml', 'a: "first"\n');
  box.write('.gitignore', '');
  box.put('a', 'second');
  await until(
    () => output.stderr.includes('the file stays as it is: out.yaml is inside the git repository'),
    () => JSON.stringify(output),
  );
  expect(read('out.yaml')).toBe('a: "first"\n');
});

test('a running command is ended with the watch', async () => {
  const {
    saw,
    process: child,
    ended,
  } = watch('--', 'sh', '-c', 'trap "echo ended; exit" TERM; echo started; while :; do sleep 0.1; done');
  await saw('started');
  child.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 0, stdout: expect.stringContaining('ended') as string });
}, 120_000);

test.each([
  [['inject', '--watch'], 'a template and a file'],
  [['inject', '-i', 't.yaml', '-o', 'o', '--', 'true'], 'only with --watch'],
  [['inject', '-i', 't.yaml', '-o', 'o', '--poll', '5s'], 'need --watch'],
  [['inject', '-i', 't.yaml', '-o', 'o', '--watch', '--poll', '1ms'], 'shorter than a second'],
  [['inject', '-i', 't.yaml', '-o', 'o', '--watch', '--', 'no-such-program'], 'was not found'],
])('%j is refused before anything is written', async (args, why) => {
  expect(await box.run(args)).toMatchObject({ code: 2, stderr: expect.stringContaining(why) as string });
  expect(read('o')).toBe('');
});
