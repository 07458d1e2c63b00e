/** A fault of this program, or of Node.js below it, never looks like a result, nor like the program's own end. */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { commonOptions } from '../../src/commands/common-options.ts';
import { Box, NODE, PROGRAM } from './setup.ts';

let box: Box;
beforeAll(() => {
  box = new Box();
  box.put('text', 'plain-value');
});
afterAll(() => box.remove());

/** Loaded by Node.js before the program. */
const FAULTS = {
  thrown: `process.nextTick(() => { throw new RangeError('about plain-value') });`,
  rejected: `process.nextTick(() => { void Promise.reject(Object.assign(new Error('about plain-value'), { code: 'E_X' })) });`,
  'not an error': `process.nextTick(() => { throw 'plain-value' });`,
};

const COMMANDS = [
  { words: ['get', 'text'], code: 1 },
  { words: ['exec', '-e', 'A=text', '--', 'true'], code: 125 },
  { words: ['--store', 'local', 'run', '-e', 'A=text', '--', 'true'], code: 125 },
  { words: ['get', 'exec'], code: 1 },
];

describe.each(Object.entries(FAULTS))('what is %s and nobody handles', (name, script) => {
  // Node.js tells of a rejection when nothing else is left to do at once: `get` is done by then, and a newer Node.js has
  // put the program in its own place, unless there is output to be masked.
  const commands = COMMANDS.filter(({ words }) => name !== 'rejected' || words.includes('--')).map(
    ({ words, code }) => ({
      words:
        name === 'rejected' ? words.flatMap((word) => (word === '-e' ? ['--redact', word] : [word])) : words,
      code,
    }),
  );
  test.each(commands)('ends $words with $code and one line', async ({ words, code }) => {
    const preload = box.write(`${name.replaceAll(' ', '-')}.cjs`, script);
    const outcome = await box.run(words, { env: { NODE_OPTIONS: `--require ${preload}` } });
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(outcome.stderr).toMatch(
      /^secrets: unexpected failure \([\w ]+\): this is a fault of secrets, .*\n$/,
    );
    expect(outcome.stderr).not.toContain('plain-value');
  });
});

test.each([
  ['an option that it doesn’t take', '--no-such-option', 9],
  ['a file that is not there', '--require /nowhere/at-all.cjs', 1],
])('Node.js ends by %s before us, with no line that could be ours', async (_, options, code) => {
  for (const words of [
    ['get', 'text'],
    ['exec', '-e', 'A=text', '--', 'true'],
  ]) {
    const outcome = await box.run(words, { env: { NODE_OPTIONS: options } });
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(outcome.stderr).not.toMatch(/^(secrets: |\{"error":)/m);
  }
  const env = { ...process.env, NODE_OPTIONS: options };
  expect(spawnSync(NODE, ['-e', '0'], { env }).status).toBe(code);
});

test.each(
  commonOptions
    .filter(({ flags }) => flags.includes(' <'))
    .map(({ flags }) => flags.split(' ', 1)[0] as string),
)('the value of %s is no command', async (flag) => {
  const preload = box.write('option.cjs', FAULTS.thrown);
  const words = [flag, 'get', 'exec', '-e', 'A=text', '--', 'true'];
  const { code } = await box.run(words, { env: { NODE_OPTIONS: `--require ${preload}` } });
  expect(code).toBe(125);
});

test('--debug shows where, and still not what', async () => {
  const preload = box.write('debug.cjs', FAULTS.thrown);
  const { stderr } = await box.run(['get', 'text', '--debug'], {
    env: { NODE_OPTIONS: `--require ${preload}` },
  });
  expect(stderr).toMatch(/^ +at .*debug\.cjs/m);
  expect(stderr).not.toContain('plain-value');
});

test('a promise that never settles is no success', async () => {
  const preload = box.write(
    'unsettled.cjs',
    `const fs = require('node:fs');
     const { writeSync } = fs;
     fs.writeSync = (fd, ...rest) => {
       if (fd === 1) throw Object.assign(new Error('full'), { code: 'EAGAIN' });
       return writeSync(fd, ...rest);
     };
     process.stdout.write = () => true;`,
  );
  const outcome = await box.run(['get', 'text'], { env: { NODE_OPTIONS: `--require ${preload}` } });
  expect(outcome).toMatchObject({ code: 1, stdout: '' });
  expect(outcome.stderr).toMatch(/^secrets: ended without a result: .*\n$/);
});

test('a damaged installation is one line, and 125 for exec', () => {
  const copy = join(box.root, 'copy');
  for (const folder of ['bin', 'dist']) {
    mkdirSync(join(copy, folder), { recursive: true });
    cpSync(join(PROGRAM, '../..', folder), join(copy, folder), { recursive: true });
  }
  const program = join(copy, 'bin/secrets');
  const end = (...words: readonly string[]): unknown => {
    const { status, stderr } = spawnSync(NODE, [program, ...words], {
      env: { ...box.env },
      encoding: 'utf8',
    });
    return { status, lines: stderr.split('\n').length - 1, own: stderr.startsWith('secrets: ') };
  };
  // What is loaded on the way, and then the entry itself.
  rmSync(join(copy, 'dist/chunks'), { recursive: true });
  expect(end('exec', '--allow-empty', '--', 'true')).toEqual({ status: 125, lines: 1, own: true });
  rmSync(join(copy, 'dist/main.js'));
  expect(end('exec', '--allow-empty', '--', 'true')).toEqual({ status: 125, lines: 1, own: true });
  expect(end('get', 'text')).toEqual({ status: 1, lines: 1, own: true });
});
