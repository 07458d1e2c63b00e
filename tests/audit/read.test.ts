/** `audit log`: what is asked for is found, in any form, also while files are closed and in a log that was damaged. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { followAuditLog, newestSeq, readAuditLog } from '../../src/audit/log/read.ts';
import type { AuditFilter } from '../../src/core/audit/filter.ts';
import type { AuditEvent, AuditRecord } from '../../src/core/audit/record.ts';
import { makePlace, type Outcome, type Place } from '../e2e/program.ts';
import { Terminal } from '../e2e/terminal.ts';
import { event } from './events.ts';
import { type LogPlace, logPlace } from './kit.ts';

let place: LogPlace;
beforeEach(() => {
  place = logPlace();
});
afterEach(() => place.remove());

async function ask(filter: AuditFilter): Promise<readonly (string | undefined)[]> {
  const found: AuditRecord[] = [];
  for await (const record of readAuditLog(place.path, filter)) found.push(record);
  return found.map(({ secret, kind }) => secret ?? kind);
}

const time = (n: number): Date => new Date(event(n).time);
const names = (...numbers: readonly number[]): readonly string[] => numbers.map((n) => `payments/${n}`);

test('filters', async () => {
  await place.open().append([
    event(0),
    event(1, {
      outcome: 'denied',
      error: 'Denied',
      command: 'rotate resume',
      actor: { user: 'bob', uid: 7 },
    }),
    event(2, { store: 'team', secret: 'other', keys: ['password', 'user'] }),
    event(3, { outcome: 'failed', command: 'exec' }),
  ]);
  for (const [filter, found] of [
    [{}, [...names(0, 1), 'other', ...names(3)]],
    [{ since: time(1) }, [...names(1), 'other', ...names(3)]],
    [{ until: time(1) }, names(0)],
    [{ since: time(1), until: time(3) }, [...names(1), 'other']],
    [{ secret: { name: 'payments/3' } }, names(3)],
    [{ secret: { name: 'payments/*' } }, names(0, 1, 3)],
    [{ secret: { store: 'team', name: '*' } }, ['other']],
    [{ secret: { name: 'other', key: 'user' } }, ['other']],
    [{ secret: { name: 'other', key: 'missing' } }, []],
    [{ secret: { name: 'payments/0', key: 'any' } }, names(0)],
    [{ actor: 'bob' }, names(1)],
    [{ actor: '7' }, names(1)],
    [{ actor: '*reader/ada' }, [...names(0), 'other', ...names(3)]],
    [{ commands: ['rotate'] }, names(1)],
    [{ commands: ['get', 'exec'] }, [...names(0), 'other', ...names(3)]],
    [{ outcomes: ['denied', 'failed'] }, names(1, 3)],
    [{ stores: ['team'] }, ['other']],
    [{ limit: 2 }, ['other', ...names(3)]],
    [{ limit: 0 }, []],
    [{ limit: 1, outcomes: ['denied'] }, names(1)],
    [{ kinds: ['checkpoint'] }, ['checkpoint']],
  ] satisfies readonly (readonly [AuditFilter, readonly string[]])[])
    expect([filter, await ask(filter)]).toEqual([filter, found]);
  expect(await ask({ secret: { name: 'nothing' } })).toEqual([]);
});

test('a span of time is found in a large log, whatever the clock did meanwhile', async () => {
  const log = place.open({ mode: 'best-effort', rotateSize: 1_500_000 });
  // Forward, then set back by a day, then forward again: some 5 MB in four files.
  const events: AuditEvent[] = [];
  const at = (n: number): number => (n < 4000 ? n : n < 7000 ? n - 4000 - 86_400 : n - 2000);
  for (let n = 0; n < 11_000; n += 1) events.push(event(n, { time: event(at(n)).time }));
  for (let n = 0; n < events.length; n += 100) await log.append(events.slice(n, n + 100));
  expect(place.files().filter((file) => /-\d+\.jsonl$/.test(file)).length).toBeGreaterThan(1);
  for (const [from, to] of [
    [10, 20],
    [-86_400, -86_390],
    [-84_000, 30],
    [3990, 4010],
    [8990, 9100],
    [-100_000, 100_000],
    [50_000, 60_000],
  ] as const) {
    const [since, until] = [time(from), time(to)];
    const expected = events.filter((one) => one.time >= event(from).time && one.time < event(to).time);
    expect([from, to, await ask({ since, until })]).toEqual([from, to, expected.map(({ secret }) => secret)]);
  }
  expect(await ask({ limit: 3000 })).toEqual(events.slice(-3000).map(({ secret }) => secret));
});

test('following goes on through files that are closed, and leaves nothing out', async () => {
  const log = place.open({ mode: 'best-effort', rotateSize: 8192 });
  await log.append([event(0)]);
  const end = new AbortController();
  const seen: (string | undefined)[] = [];
  const done = (async () => {
    for await (const { secret } of followAuditLog(
      place.path,
      {},
      { after: newestSeq(place.path), signal: end.signal },
    )) {
      seen.push(secret);
      if (seen.length === 300) end.abort();
    }
  })();
  for (let n = 1; n <= 300; n += 1) {
    await log.append([event(n)]);
    // It reads on in between, or all is closed before it begins.
    if (n % 40 === 0) while (seen.length < n) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await done;
  expect(seen).toEqual(Array.from({ length: 300 }, (_, n) => `payments/${n + 1}`));
});

describe('the command', () => {
  let home: Place;
  let file: string;
  beforeEach(async () => {
    home = await makePlace();
    file = `--file '${place.path}'`;
  });
  afterEach(() => home.remove());
  const sh = (line: string): Promise<Outcome> => home.sh(line);

  test('prints a damaged log, and says that it is damaged', async () => {
    await place.open().append([event(0), event(1)]);
    place.write([...place.lines(), '{"kind":"access"', '{"kind":"access","seq":"x"}', '[]']);
    const { stdout, stderr, code } = await sh(`secrets audit log ${file} --json`);
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(2);
    expect(stderr).toMatch(/^secrets: warning: skipped lines that are not records: .*audit verify/);
  });

  test('a line of many megabytes is passed over, and what follows it is shown', async () => {
    await place.open().append([event(0)]);
    const [first = '', second = ''] = place.lines();
    writeFileSync(place.path, `${first}\n${'x'.repeat(40_000_000)}\n${second}\n${'x'.repeat(40_000_000)}`);
    const { stdout, stderr, code } = await sh(`secrets audit log ${file} --json`);
    expect(code).toBe(0);
    expect(stdout).toBe(`${second}\n`);
    expect(stderr).toMatch(/skipped lines that are not records/);
  });

  test('no record that somebody gave another form keeps the others from being shown', async () => {
    await place.open().append([event(0), event(1)]);
    const [whole] = place.records().slice(-1);
    const others = [
      'actor',
      'checkpoint',
      'command',
      'error',
      'keys',
      'mode',
      'reason',
      'repair',
      'retention',
    ]
      .concat(['rotation', 'secret', 'store', 'version', 'host', 'outcome', 'action'])
      .flatMap((name) => [null, 7, {}, [1]].map((value) => ({ ...whole, [name]: value })))
      .concat([{ ...whole, actor: { user: 7, principal: {} } } as never]);
    place.write([...place.lines(), ...others.map((record) => JSON.stringify(record))]);
    for (const options of ['', '--json', '--csv', '--command get', '--secret payments/1#k', '--actor ada']) {
      const { stderr, code } = await sh(`secrets audit log --all ${file} ${options}`);
      expect({ options, stderr, code }).toEqual({ options, stderr: '', code: 0 });
    }
    const { stdout } = await sh(`secrets audit log --all ${file} --json`);
    expect(stdout.trim().split('\n')).toHaveLength(3 + others.length);
  });

  test('gives a spreadsheet text, never a formula', async () => {
    const hostile = ['=1+1', '+1', '-1', '@x', 'a,b', 'say "x"', ' lead', 'e\u001b[31mvil', 'line\r\nend'];
    await place.open().append(hostile.map((secret, n) => event(n, { secret })));
    const { stdout } = await sh(`secrets audit log ${file} --csv`);
    const [head, ...rows] = csv(stdout);
    expect(head?.slice(0, 4)).toEqual(['time', 'seq', 'kind', 'outcome']);
    const column = head?.indexOf('secret') ?? -1;
    expect(rows.map((row) => row[column])).toEqual([
      "'=1+1",
      "'+1",
      "'-1",
      "'@x",
      'a,b',
      'say "x"',
      ' lead',
      String.raw`e\u001b[31mvil`,
      String.raw`line\u000d end`,
    ]);
    for (const row of rows) expect(row).toHaveLength(head?.length ?? -1);
  });

  test('shows nothing that a terminal would obey', async () => {
    await place
      .open()
      .append([event(0, { secret: '\u001b]0;x\u0007', reason: '\u202etxt\u0000', command: '\u009b1m' })]);
    for (const form of ['', '--json', '--csv']) {
      const { stdout } = await sh(`secrets audit log ${file} ${form}`);
      expect(stdout.length).toBeGreaterThan(50);
      expect(stdout.replaceAll(/[\r\n\t]/g, '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
    }
  });

  test('follows until it is interrupted', async () => {
    const log = place.open();
    await log.append([event(0)]);
    const child = spawn('bash', ['-c', `exec secrets audit log --file '${place.path}' --follow --json`], {
      env: { ...home.env },
      cwd: home.cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    const lines = (count: number): Promise<void> =>
      new Promise((resolve) => {
        const look = (): void => {
          if (stdout.split('\n').length > count) resolve();
          else setTimeout(look, 20);
        };
        look();
      });
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    await lines(1);
    await log.append([event(1)]);
    await lines(2);
    child.kill('SIGINT');
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect([0, 130]).toContain(code);
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as AuditRecord).secret),
    ).toEqual(names(0, 1));
  });

  test('at a terminal is a table, with the newest alone, and goes on without its head', async () => {
    const log = place.open({ mode: 'best-effort' });
    for (let n = 0; n < 3; n += 1)
      await log.append(Array.from({ length: 100 }, (_, index) => event(100 * n + index)));
    const terminal = new Terminal(home, { NO_COLOR: '1' });
    try {
      terminal.type(`secrets audit log ${file} --follow\r`);
      const table = await terminal.until(/payments\/299 /);
      expect(table).toMatch(/TIME +OUTCOME +COMMAND +ACTION +SECRET +ACTOR +NOTE/);
      expect(table).toContain('payments/100 ');
      expect(table).not.toContain('payments/99 ');
      await log.append([event(1000, { outcome: 'denied', error: 'Denied', reason: 'on call' })]);
      await terminal.until(/denied  get  read  prod:\/\/payments\/1000  ada as \S+  Denied; on call\r?\n/);
      expect(terminal.seen.match(/OUTCOME/g)).toHaveLength(1);
      terminal.type('\u0003');
      terminal.type('echo "ended with $?"\r');
      await terminal.until(/ended with (0|130)/);
    } finally {
      terminal.close();
    }
  });

  test('refuses what is no time, number or outcome', async () => {
    for (const options of ['--since yesterday', '--until 2026-13-01', '--limit x', '--outcome maybe']) {
      const { code, stderr } = await sh(`secrets audit log ${file} ${options}`);
      expect([options, code]).toEqual([options, 2]);
      expect(stderr).toMatch(/^secrets: [^\n]+\n$/);
    }
  });

  test('has one form at a time', async () => {
    const { code, stderr } = await sh(`secrets audit log ${file} --csv --json`);
    expect([code, stderr]).toEqual([2, expect.stringContaining('exclude each other')]);
  });

  test('of no log prints nothing', async () => {
    expect(await sh('secrets audit log')).toEqual({ stdout: '', stderr: '', code: 0 });
    expect((await sh('secrets audit verify')).code).toBe(3);
    writeFileSync(join(home.cwd, 'text'), 'no log\n', { mode: 0o600 });
    expect((await sh('secrets audit verify text')).code).toBe(9);
    expect(readFileSync(join(home.cwd, 'text'), 'utf8')).toBe('no log\n');
  });
});

/** RFC 4180, strictly. */
function csv(text: string): string[][] {
  expect(text.endsWith('\r\n')).toBe(true);
  return text
    .slice(0, -2)
    .split('\r\n')
    .map((line) => {
      const cells = [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g)];
      expect(cells.map(([all]) => all).join('')).toBe(line);
      return cells.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '');
    });
}
