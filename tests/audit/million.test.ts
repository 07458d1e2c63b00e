/** A log of a million records: bounded memory, and what is asked of it is found. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { NODE, PROGRAM } from '../e2e/program.ts';
import { buildProgram, type LogPlace, logPlace } from './kit.ts';

const LONG = 900_000;
const RECORDS = 1_000_000;
const BLOCK = 1024;

let place: LogPlace;
let env: Readonly<Record<string, string>>;
beforeAll(async () => {
  place = logPlace();
  const bulk = await buildProgram('bulk', place.root);
  env = { PATH: process.env['PATH'] ?? '', HOME: place.root, XDG_STATE_HOME: join(place.root, 'xdg') };
  mkdirSync(join(place.root, 'xdg'), { mode: 0o700 });
  for (const [state, records] of [
    ['large', RECORDS],
    ['small', 20_000],
  ] as const) {
    const stateFolder = join(place.root, state, 'secrets');
    execFileSync(process.execPath, [
      bulk,
      JSON.stringify({ path: join(stateFolder, 'audit/audit.jsonl'), stateFolder, records }),
    ]);
  }
}, LONG);
afterAll(() => place.remove());

/** Runs the program with the log of that name; its output and the most memory that it had, in MiB. */
function run(
  state: string,
  args: readonly string[],
): Promise<{ code: number | null; stdout: string; peak: number }> {
  return new Promise((resolve, reject) => {
    const child = spawn('/usr/bin/env', [NODE, '--require', join(place.root, 'peak.cjs'), PROGRAM, ...args], {
      env: { ...env, XDG_STATE_HOME: join(place.root, state) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) =>
      resolve({ code, stdout, peak: Number(/peak (\d+)/.exec(stderr)?.[1]) / BLOCK }),
    );
  });
}

beforeAll(() => {
  // `maxRSS` is in KiB (https://nodejs.org/api/process.html#processresourceusage).
  execFileSync('sh', [
    '-c',
    `echo "process.on('exit', () => process.stderr.write('peak ' + process.resourceUsage().maxRSS))" > '${join(place.root, 'peak.cjs')}'`,
  ]);
});

test(
  'it is verified in memory that does not grow with it',
  async () => {
    const small = await run('small', ['audit', 'verify', '--json']);
    const large = await run('large', ['audit', 'verify', '--json']);
    expect([small.code, large.code]).toEqual([0, 0]);
    expect(JSON.parse(large.stdout)).toMatchObject({ whole: true, last: RECORDS, signedTo: 999_936 });
    expect(large.peak).toBeGreaterThan(20);
    expect(large.peak).toBeLessThan(small.peak + 100);
  },
  LONG,
);

test(
  'a span of time, one secret and the newest are found without reading all of it into memory',
  async () => {
    const ask = async (...args: string[]): Promise<readonly string[]> => {
      const { code, stdout, peak } = await run('large', ['audit', 'log', '--json', ...args]);
      expect([args, code]).toEqual([args, 0]);
      // The log has more than 400 MiB; how much garbage stands at the peak differs from run to run.
      expect(peak).toBeLessThan(320);
      return stdout.trim().split('\n');
    };
    // Ten seconds apart: an hour has 360.
    expect(await ask('--since', '2026-02-01T00:00:00Z', '--until', '2026-02-01T01:00:00Z')).toHaveLength(360);
    expect((await ask('--secret', 'prod://payments/77')).length).toBeGreaterThan(990);
    const newest = await ask('--limit', '3');
    expect(newest).toHaveLength(3);
    expect(JSON.parse(newest[2] ?? '')).toMatchObject({ seq: RECORDS });
    expect(
      (await ask('--outcome', 'denied', '--command', 'get', '--actor', '*reader/ada')).length,
    ).toBeGreaterThan(1990);
  },
  LONG,
);
