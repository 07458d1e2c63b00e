/** Sinks as a user meets them: the program, its commands, trust, and senders that are killed. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AuditRecord } from '../../../src/core/audit/record.ts';
import { findFiles, formsOf, hashesOf, holds } from '../../e2e/leak-watch.ts';
import { makePlace, type Outcome, type Place } from '../../e2e/program.ts';
import { freePort } from '../../backends/server.ts';
import { until } from '../../exec/setup.ts';
import { logOf, recordsIn } from '../program.ts';
import { distinct, type HttpReceiver, recordsOf, startHttp } from './kit.ts';

const KILLER = fileURLToPath(new URL('../kill-at.cjs', import.meta.url));
const CANARY = 'c4n4ry-Zq8/Lw2+Vx7';
const KEY = 'k3y-of-the-webhook-1';

let place: Place;
let receiver: HttpReceiver;
beforeEach(async () => {
  place = await makePlace();
  mkdirSync(join(place.home, '.config/secrets'), { recursive: true, mode: 0o700 });
  receiver = await startHttp();
});
afterEach(async () => {
  await receiver.stop();
  await place.remove();
});

const own = (audit: object): void =>
  writeFileSync(join(place.home, '.config/secrets/secrets.yaml'), JSON.stringify({ audit }));
const project = (audit: object): void =>
  writeFileSync(join(place.cwd, 'secrets.yaml'), JSON.stringify({ audit }));
const hook = (more = {}): object => ({ type: 'webhook', url: receiver.url, ...more });
const ok = async (line: string): Promise<Outcome> => {
  const outcome = await place.sh(line);
  expect([line, outcome.code, outcome.stderr]).toEqual([line, 0, '']);
  return outcome;
};
const sentNames = (): (string | undefined)[] =>
  distinct(recordsOf(receiver.taken)).map(({ command, secret }) => `${command} ${secret}`);
interface State {
  readonly sink: string;
  readonly backlog: number;
  readonly upTo: number;
  readonly success?: string;
  readonly failure?: { readonly message: string };
}
const states = async (): Promise<readonly State[]> =>
  JSON.parse((await place.sh('secrets audit sinks --json')).stdout) as State[];

test('each command’s records arrive when it has ended', async () => {
  own({ sinks: { siem: hook() } });
  await ok('printf v | secrets put a --quiet');
  await ok('secrets get a');
  expect(sentNames()).toEqual(['undefined undefined', 'put a', 'get a']);
  expect(await states()).toMatchObject([{ sink: 'siem', backlog: 0, upTo: 3 }]);
  expect((await ok('secrets audit sinks')).stdout).toMatch(/^siem\twebhook\thttp:\/\/127\.0\.0\.1:\d+\t0\t2/);
  expect((await ok('secrets audit send')).stdout).toBe('siem: nothing sent, up to record 3\n');
});

test('neither a value nor the key nor an image of them is on the wire or in what is kept', async () => {
  await ok(`printf '${KEY}' | secrets put key --quiet`);
  own({ sinks: { siem: hook({ secret: 'local://key' }) } });
  receiver.answers.push(500);
  await ok(`printf '${CANARY}' | secrets put a --quiet`);
  await ok('secrets get a > /dev/null');
  await ok('secrets audit send');
  await ok('secrets get a > /dev/null');
  expect(recordsOf(receiver.taken).length).toBeGreaterThan(4);
  for (const { headers } of receiver.taken) expect(headers['webhook-signature']).toMatch(/^v1,/);
  for (const secret of [CANARY, KEY]) {
    const images = [...formsOf(secret), ...hashesOf(secret)];
    expect(receiver.seen.filter((body) => holds(body, images))).toEqual([]);
    expect(findFiles([join(place.home, '.local/state')], images)).toEqual([]);
  }
});

test('a receiver that is not there costs nothing but a line of `audit sinks`; audit send exits with 6', async () => {
  const port = await freePort();
  own({ sinks: { gone: { type: 'syslog', address: `tcp://127.0.0.1:${port}` }, siem: hook() } });
  await ok('printf v | secrets put a --quiet');
  expect((await ok('secrets get a')).stdout).toBe('v');
  expect(await states()).toMatchObject([
    { sink: 'gone', backlog: 3, failure: { message: expect.stringMatching(/ECONNREFUSED/) as string } },
    { sink: 'siem', backlog: 0 },
  ]);
  const { code, stdout, stderr } = await place.sh('secrets audit send');
  expect(code).toBe(6);
  expect(stdout).toMatch(/^gone: nothing sent, 3 wait: .*ECONNREFUSED/m);
  expect(stdout).toMatch(/^siem: nothing sent, up to record 3$/m);
  expect(stderr).toMatch(/^secrets: 1 of 2 audit sinks did not take the records: gone: /);
  const json = await place.sh('secrets audit send --json --sink gone');
  expect(json.code).toBe(6);
  expect(JSON.parse(json.stdout)).toMatchObject({ sink: 'gone', state: 'failed', backlog: 3 });
});

test('a receiver that hangs delays the end of a command by a moment, and its result not at all', async () => {
  own({ sinks: { siem: hook() } });
  await ok('printf v | secrets put a --quiet');
  const printed: string[] = [];
  receiver.otherwise = () => {
    printed.push(readFileSync(join(place.cwd, 'out'), 'utf8'));
    return 'hang';
  };
  await ok('secrets get a > out');
  // It was there before anything was sent.
  expect([printed.length > 0, new Set(printed)]).toEqual([true, new Set(['v'])]);
  receiver.otherwise = () => 204;
  await ok('secrets audit send');
  expect(sentNames()).toEqual(['undefined undefined', 'put a', 'get a']);
});

test('exec leaves its records to the next command', async () => {
  own({ sinks: { siem: hook() } });
  await ok('printf v | secrets put a --quiet');
  await ok('secrets exec -e A=a -- true');
  await ok('secrets audit send');
  expect(sentNames()).toContain('exec a');
});

test('with audit.log: off nothing is sent', async () => {
  own({ log: 'off', sinks: { siem: hook() } });
  await ok('printf v | secrets put a --quiet');
  const { code, stderr } = await place.sh('secrets audit send');
  expect([code, stderr]).toEqual([0, expect.stringMatching(/audit\.log is off/) as string]);
  expect(receiver.seen).toEqual([]);
});

test('a file that is not trusted sends nothing, and takes nothing away', async () => {
  const other = await startHttp();
  try {
    own({ sinks: { siem: hook() } });
    project({
      sinks: { siem: { type: 'webhook', url: other.url }, mine: { type: 'webhook', url: other.url } },
    });
    const { code, stderr } = await place.sh(
      'printf v | secrets put a --quiet=no 2>&1 || printf v | secrets put a',
    );
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(/audit sinks of secrets\.yaml are not used/) as string,
    ]);
    expect(other.seen).toEqual([]);
    expect(sentNames()).toContain('put a');
    await place.sh('secrets trust --yes');
    await ok('secrets get a');
    // The project's stands beside the user's own; the one of the same name does not take its place.
    expect(sentNames()).toContain('get a');
    expect(distinct(recordsOf(other.taken)).map(({ command }) => command)).toEqual(['get']);
    expect((await states()).map(({ sink }) => sink).toSorted()).toEqual(['mine', 'siem']);
  } finally {
    await other.stop();
  }
});

test('audit send --follow sends what is written meanwhile, until it is interrupted', async () => {
  own({ sinks: { siem: hook({ secret: 'local://key' }) } });
  await ok(`printf '${KEY}' | secrets put key --quiet`);
  const child = spawn('bash', ['-c', 'exec secrets audit send --follow --json'], {
    ...{ cwd: place.cwd, env: place.env, stdio: ['ignore', 'pipe', 'pipe'] },
  });
  const begun = new Promise((resolve) => child.stdout?.once('data', resolve));
  child.stdout?.resume();
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  await begun;
  // The command's own try; the next one comes five seconds later.
  receiver.answers.push('broken');
  await place.sh('printf v | secrets put late --quiet');
  await until(
    () => sentNames().includes('put late'),
    () => sentNames().join(', '),
  );
  child.kill('SIGINT');
  expect(await ended).toBe(130);
  // Its own reading of the key is recorded once, and does not keep it going for ever.
  expect(recordsIn(logOf(place)).filter(({ command }) => command === 'audit send')).toHaveLength(1);
});

test('two senders at once, and commands beside them: everything arrives', async () => {
  own({ sinks: { siem: hook() } });
  await ok('printf v | secrets put a --quiet');
  await place.sh(
    'for n in 1 2 3 4 5 6; do secrets get a & done; secrets audit send & secrets audit send; wait',
  );
  await ok('secrets audit send');
  expect(distinct(recordsOf(receiver.taken)).map(({ seq }) => seq)).toEqual(
    recordsIn(logOf(place)).map(({ seq }) => seq),
  );
  const all = recordsOf(receiver.taken);
  expect(all).toHaveLength(distinct(all).length);
});

test('a sender that is killed at any change it makes loses nothing', async () => {
  own({ sinks: { siem: hook() } });
  await ok('printf v | secrets put a --quiet');
  const count = join(place.root, 'count');
  const kill = (at: string): Promise<Outcome> =>
    place.sh('secrets audit send; true', {
      NODE_OPTIONS: `--require ${KILLER}`,
      KILL_AT: at,
      KILL_LOG: count,
    });
  receiver.answers.push(500);
  await place.sh('secrets get a');
  await kill('0 never');
  const points = Number(readFileSync(count, 'utf8'));
  expect(points).toBeGreaterThan(3);
  let again = 0;
  for (let point = 1; point <= points; point += 1) {
    for (const when of point % 2 === 0 ? ['before'] : ['after', 'half']) {
      receiver.answers.push(500);
      await place.sh('secrets get a');
      await kill(`${point} ${when}`);
      const before = recordsOf(receiver.taken).length;
      await ok('secrets audit send');
      if (recordsOf(receiver.taken).length > before && before > 0) again += 1;
      const log = recordsIn(logOf(place)).map(({ seq }) => seq);
      expect([point, when, distinct(recordsOf(receiver.taken)).map(({ seq }) => seq)]).toEqual([
        point,
        when,
        log,
      ]);
    }
  }
  expect(again).toBeGreaterThan(0);
  const folder = join(place.home, '.local/state/secrets/audit/audit-sinks');
  expect(readdirSync(folder).filter((name) => name.includes('lock'))).toEqual([]);
});

test('without sinks there is no trace of them', async () => {
  await ok('printf v | secrets put a --quiet');
  await ok('secrets get a');
  expect(existsSync(join(place.home, '.local/state/secrets/audit/audit-sinks'))).toBe(false);
  expect((await ok('secrets audit sinks --json')).stdout.trim()).toBe('[]');
  expect(await place.sh('secrets audit send')).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/no audit sinks are configured/) as string,
  });
  const loaded = await place.sh(
    'strace -f -e trace=openat secrets get a 2>&1 | grep -c "chunks/\\(deliver\\|session\\|otlp\\|syslog\\|webhook\\)" || true',
  );
  expect(loaded.stdout.trim()).toBe('0');
});

test('a sink whose state can’t be kept does not stop the command', async () => {
  own({ sinks: { siem: hook() } });
  await ok('printf v | secrets put a --quiet');
  const { code, stdout } = await place.sh(
    'chmod 777 ~/.local/state/secrets/audit/audit-sinks; secrets get a',
  );
  expect([code, stdout]).toEqual([0, 'v']);
  const records: readonly AuditRecord[] = recordsIn(logOf(place));
  expect(records.at(-1)).toMatchObject({ command: 'get', secret: 'a' });
});
