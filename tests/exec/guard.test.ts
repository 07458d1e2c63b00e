/** What ends the wrapper without its knowing ends the program and takes the files. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { Box, childrenOf, type Running, until } from './setup.ts';

let box: Box;
beforeAll(() => {
  box = new Box();
  box.put('text', 'plain-value');
});
afterAll(() => box.remove());

/** Nobody may ask for one that has ended, where process 1 is no init. */
function isThere(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'state=', '-p', String(pid)], { encoding: 'utf8' });
  return /^[^Z]/.test(stdout.trim());
}

/** Faults, what nobody can catch, and real-time signals, which Node.js can't. */
const SIGNALS: readonly (NodeJS.Signals | number)[] =
  process.platform === 'linux'
    ? ['SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGKILL', 34, 40, 64]
    : ['SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGKILL'];
const PROGRAM = ['-e', 'A=text', '--', 'sh', '-c', 'echo "${F:-none}" $PPID $$ ready; exec sleep 47'];

async function running(...options: readonly string[]): Promise<readonly [Running, string, number, number]> {
  const one = box.start(['exec', ...options, ...PROGRAM]);
  await one.saw('ready');
  const [file = '', wrapper, child] = one.output.stdout.split(' ');
  // The guard is started once the program runs.
  await until(
    () => childrenOf(Number(wrapper), 'folder=').length > 0,
    () => 'the guard',
  );
  return [one, file, Number(wrapper), Number(child)];
}

test.each(SIGNALS.map((signal) => [signal]))('%s to the wrapper', async (signal) => {
  const [one, file, wrapper, child] = await running('--file', 'F=text');
  expect(existsSync(file)).toBe(true);
  process.kill(wrapper, signal);
  await one.ended;
  await until(
    () => !isThere(child) && !existsSync(dirname(file)),
    () => `the end of ${child} and ${file}`,
  );
});

test('files that come with a restart are removed too', async () => {
  const settings = box.write(
    'secrets.yaml',
    'env: { F: { ref: "local://later", optional: true, as: file } }\n',
  );
  const watched = ['--restart-on-rotate', '--poll', '1s', '--debounce', '300ms'];
  const one = box.start(['exec', '--trust', ...watched, ...PROGRAM]);
  await one.saw('none');
  const [, wrapper] = one.output.stdout.split(' ');
  await until(
    () => childrenOf(Number(wrapper), 'folder=').length > 0,
    () => 'the guard',
  );
  box.put('later', 'plain-value');
  const restarted = /^(\/\S+) \d+ (\d+) ready$/m;
  await until(
    () => restarted.test(one.output.stdout),
    () => one.output.stdout + one.output.stderr,
  );
  const [, file = '', child] = restarted.exec(one.output.stdout) ?? [];
  expect(existsSync(file)).toBe(true);
  process.kill(Number(wrapper), 'SIGKILL');
  await one.ended;
  await until(
    () => !isThere(Number(child)) && !existsSync(dirname(file)),
    () => `the end of ${child} and ${file}`,
  );
  rmSync(settings);
});

test('a program whose output is masked ends too', async () => {
  const [one, , wrapper, child] = await running('--redact');
  process.kill(wrapper, 'SIGKILL');
  await one.ended;
  await until(
    () => !isThere(child),
    () => `the end of ${child}`,
  );
});

test('the guard knows no value, and ends with an ordinary run', async () => {
  const [one, file, wrapper, child] = await running('--file', 'F=text');
  const [guard = 0] = childrenOf(wrapper, 'folder=');
  expect(readFileSync(`/proc/${guard}/environ`, 'utf8')).not.toContain('plain-value');
  process.kill(child, 'SIGTERM');
  expect((await one.ended).code).toBe(143);
  await until(
    () => !isThere(guard),
    () => 'the end of the guard',
  );
  expect(existsSync(dirname(file))).toBe(false);
});
