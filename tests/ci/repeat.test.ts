/** scripts/repeat-tests.mjs in a checkout of its own, whose tests say how they were run. */
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../e2e/program.ts';
import { lives } from '../exec/rotating.ts';
import { until } from '../exec/setup.ts';
import { program, ROOT_USER, describeNeeding } from '../needs.ts';

/** As jest does: reads the seed, writes a report, and ends with 1 if a test has failed. */
const TESTS = `
import { readdirSync, writeFileSync } from 'node:fs';
const seed = process.argv.find((word) => word.startsWith('--seed='));
const place = [process.getuid(), Boolean(process.stdout.isTTY), readdirSync(process.env.HOME).filter((name) => name !== '.npm').length];
const more = Object.keys(process.env).filter((name) => name.startsWith('SECRETS_'));
const failed = place[0] !== 0 && place[1];
const fullName = JSON.stringify([seed, ...place, ...more]);
const test = { status: failed ? 'failed' : 'passed', fullName, failureMessages: failed ? ['as was asked for\\n at x'] : [] };
writeFileSync('result.json', JSON.stringify({
  numPassedTests: failed ? 0 : 1, numFailedTests: failed ? 1 : 0, numPendingTests: 2,
  testResults: [{ name: process.cwd() + '/tests/a.test.ts', message: '', assertionResults: [test] }],
}));
process.exit(failed ? 1 : 0);
`;

let folder: string;
let checkout: string;
const git = (...args: readonly string[]): string =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@localhost', ...args], {
    cwd: checkout,
    encoding: 'utf8',
  }).trim();
const commit = (text: string): void => {
  writeFileSync(join(checkout, 'test.mjs'), text);
  git('add', '-A');
  git('commit', '--quiet', '-m', 'x');
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'secrets-repeating-'));
  checkout = join(folder, 'checkout');
  mkdirSync(join(checkout, 'scripts'), { recursive: true });
  cpSync(join(ROOT, 'scripts/repeat-tests.mjs'), join(checkout, 'scripts/repeat-tests.mjs'));
  const named = { name: 'x', version: '1.0.0' };
  const lock = { ...named, lockfileVersion: 3, packages: { '': named } };
  writeFileSync(
    join(checkout, 'package.json'),
    JSON.stringify({ ...named, scripts: { test: 'node test.mjs' } }),
  );
  writeFileSync(join(checkout, 'package-lock.json'), JSON.stringify(lock));
  git('init', '--quiet');
  commit(TESTS);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}
const start = (...args: readonly string[]) => {
  const child = spawn(process.execPath, [join(checkout, 'scripts/repeat-tests.mjs'), ...args], {
    env: { ...process.env, SECRETS_BACKENDS_DIR: '/somewhere' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const shown = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (shown.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (shown.stderr += chunk.toString()));
  const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, ...shown })));
  return { child, ended };
};
const repeat = (...args: readonly string[]): Promise<Ended> => start(...args).ended;
const runsIn = (file: string): readonly Readonly<Record<string, unknown>>[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describeNeeding(
  ROOT_USER,
  program('git'),
  program('script'),
  program('setsid'),
)('the tests, repeated', () => {
  test('run in turns as root and as a user, with and without a terminal, and a table says how they ended', async () => {
    const results = join(folder, 'results');
    const { code, stdout, stderr } = await repeat('--times', '6', '--results', results);
    expect([code, stderr]).toEqual([1, '']);
    const runs = runsIn(results);
    expect(runs.map(({ way, code: how }) => `${String(way)}: ${String(how)}`)).toEqual([
      'root, no terminal: 0',
      'user, terminal: 1',
      'root, nohup: 0',
      'user, no terminal: 0',
      'root, terminal: 0',
      'user, nohup: 0',
    ]);
    expect(new Set(runs.map(({ seed }) => seed)).size).toBe(6);
    // The user at a terminal is the one whose tests fail; HOME was empty, and nothing says where servers are.
    const [failing] = (runs[1]?.['failing'] ?? []) as readonly string[];
    expect(failing).toBe(
      `tests/a.test.ts: ["--seed=${String(runs[1]?.['seed'])}",65534,true,0]: as was asked for`,
    );
    const table = stdout.slice(stdout.indexOf('run '));
    expect(table).toMatch(/^1 +root, no terminal +\d+ +\d+\.\d min +green +1 passed, 0 failed, 2 skipped$/m);
    expect(table).toMatch(
      /^2 +user, terminal +\d+ +\d+\.\d min +RED \(exit 1\) +0 passed, 1 failed, 2 skipped$/m,
    );
    expect(table).toContain(`     ${failing}\n`);
    expect(table).toContain(`commit ${git('rev-parse', 'HEAD')}: 5 of 6 green\n`);
  });

  test('go on where they were interrupted, and only on the same commit', async () => {
    const results = join(folder, 'results');
    expect((await repeat('--times', '1', '--results', results)).code).toBe(0);
    commit(`${TESTS}\n// Another commit.\n`);
    const other = await repeat('--times', '2', '--results', results);
    expect(other).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(
        /results is of commit [0-9a-f]{40}, and this is [0-9a-f]{40}: /,
      ) as string,
    });
    expect(runsIn(results)).toHaveLength(1);
    git('reset', '--quiet', '--hard', 'HEAD~1');
    const more = await repeat('--times', '1', '--results', results);
    expect([more.code, more.stdout]).toEqual([0, expect.stringMatching(/^1 of 1 runs are in /) as string]);
    expect((await repeat('--times', '2', '--results', results)).code).toBe(1);
    expect(runsIn(results).map(({ way }) => way)).toEqual(['root, no terminal', 'user, terminal']);
  });

  test('an interrupt ends the run with all that it has started, and keeps those before it', async () => {
    const results = join(folder, 'results');
    expect((await repeat('--times', '1', '--results', results)).code).toBe(0);
    const [kept] = runsIn(results);
    const begun = join(folder, 'begun');
    commit(`import { writeFileSync } from 'node:fs';
      writeFileSync(${JSON.stringify(begun)}, process.pid + '.');
      setInterval(() => {}, 1000);`);
    // The file is of this commit now, whose tests hang.
    writeFileSync(results, `${JSON.stringify({ ...kept, commit: git('rev-parse', 'HEAD') })}\n`);
    chmodSync(folder, 0o777);
    const { child, ended } = start('--times', '2', '--results', results);
    await until(
      () => existsSync(begun) && readFileSync(begun, 'utf8').endsWith('.'),
      () => 'the second run',
    );
    child.kill('SIGTERM');
    const { code, stdout } = await ended;
    expect([code, stdout]).toEqual([130, expect.stringContaining(': 1 of 1 green\n') as string]);
    expect(runsIn(results)).toHaveLength(1);
    expect(lives(Number.parseInt(readFileSync(begun, 'utf8'), 10))).toBe(false);
  });
});
