/** What the writer refuses, and what it leaves behind when it can't write. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { SecretsError } from '../../src/core/errors.ts';
import { takeLock } from '../../src/audit/log/lock.ts';
import { event } from './events.ts';
import { until } from '../exec/setup.ts';
import { buildProgram, chainProblems, type LogPlace, logPlace, runWriter } from './kit.ts';

let place: LogPlace;
beforeEach(() => {
  place = logPlace();
});
afterEach(() => place.remove());

async function refusal(waitMs = 200): Promise<SecretsError> {
  try {
    await place.open({ waitMs }).append([event(1)]);
  } catch (thrown) {
    if (thrown instanceof SecretsError) {
      // One line, which says what to do and ends with 8.
      expect([
        thrown.exitCode,
        /^cannot write the audit log: [^\n]+$/.test(thrown.message),
        thrown.hint,
      ]).toEqual([8, true, expect.any(String)]);
      return thrown;
    }
    throw thrown;
  }
  throw new Error('it was not refused');
}

describe('refused, and left as it is:', () => {
  const path = (): string => place.path;
  const away = (): string => join(place.root, 'elsewhere');
  const content = (): string =>
    existsSync(path()) && statSync(path()).isFile() ? readFileSync(path(), 'utf8') : '';
  test.each([
    ['a file that others can read', () => chmodSync(path(), 0o644), /open to other users \(mode 644\)/],
    [
      'a folder that others can read',
      () => chmodSync(place.folder, 0o755),
      /open to other users \(mode 755\)/,
    ],
    [
      'a symbolic link in its place',
      () => {
        renameSync(path(), away());
        symlinkSync(away(), path());
      },
      /symbolic link/,
    ],
    [
      'the path is a folder',
      () => {
        rmSync(path());
        mkdirSync(path(), { mode: 0o700 });
      },
      /the path is a folder/,
    ],
    [
      'a file in the place of its folder',
      () => {
        renameSync(place.folder, away());
        writeFileSync(place.folder, '', { mode: 0o600 });
      },
      /not a folder/,
    ],
    [
      'a link in the place of its folder',
      () => {
        renameSync(place.folder, away());
        symlinkSync(away(), place.folder);
      },
      /symbolic link/,
    ],
    [
      'a last record that was changed',
      () => place.write(place.lines().map((line) => line.replace('"ada"', '"eve"'))),
      /last record of the audit log was changed/,
    ],
    [
      'something else in the place of its lock',
      () => writeFileSync(`${path()}.lock`, '', { mode: 0o600 }),
      /not a symbolic link: .*\.lock$/,
    ],
    ['a last line that is no record', () => place.write([...place.lines(), 'anything']), /last record/],
  ])('%s', async (_title, spoil, message) => {
    await place.open().append([event(0)]);
    spoil();
    const then = content();
    expect((await refusal()).message).toMatch(message);
    expect(content()).toBe(then);
  });
});

test('a signing key that others can read stops the checkpoint', async () => {
  await place.open().append([event(0)]);
  chmodSync(join(place.folder, 'signing.key'), 0o640);
  await expect(place.open().append(Array.from({ length: 300 }, (_, n) => event(n)))).rejects.toMatchObject({
    kind: 'Policy',
    message: expect.stringContaining('signing.key is open to other users'),
  });
  expect(place.lines()).toHaveLength(2);
  // A change that the checkpoint would follow is stopped before it is made; one that is far from it is not.
  expect(await place.open().intend([event(1)])).toEqual([3]);
  await place.open().append(Array.from({ length: 249 }, (_, n) => event(n)));
  await expect(place.open().intend([event(1)])).rejects.toMatchObject({
    kind: 'Policy',
    message: expect.stringContaining('signing.key is open to other users'),
  });
  expect(place.lines()).toHaveLength(252);
});

describe('without room', () => {
  // A file may not grow beyond so many blocks of 1024 bytes: the system cuts the write short, as on a full disk.
  test('nothing half written stays, and what was there is whole', async () => {
    const writer = await buildProgram('writer');
    await place.open().append([event(0)]);
    const patience = join(place.root, 'patience.cjs');
    writeFileSync(patience, "process.on('SIGXFSZ', () => {});");
    const run = (blocks: number): Promise<{ code: number | null; stderr: string }> =>
      new Promise((resolve) => {
        const task = JSON.stringify({ options: place.options, appends: 40 });
        const child = spawn(
          'bash',
          [
            '-c',
            `ulimit -f ${blocks}; exec "$@"`,
            'bash',
            process.execPath,
            '--require',
            patience,
            writer,
            task,
          ],
          { stdio: ['ignore', 'ignore', 'pipe'] },
        );
        let stderr = '';
        child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
        child.once('close', (code) => resolve({ code, stderr }));
      });
    for (const blocks of [2, 3, 5, 8]) {
      const { code, stderr } = await run(blocks);
      expect(code).toBe(1);
      expect(stderr).toMatch(/cannot write the audit log: EFBIG/);
      expect(statSync(place.path).size).toBeLessThanOrEqual(blocks * 1024);
      expect(readFileSync(place.path, 'utf8').endsWith('\n')).toBe(true);
      expect(chainProblems(place.lines())).toEqual([]);
      expect(existsSync(`${place.path}.lock`)).toBe(false);
    }
    await place.open().append([event(1)]);
    expect(place.whole().some(({ kind }) => kind === 'repair')).toBe(false);
  });
});

describe('the lock', () => {
  const lock = (): string => `${place.path}.lock`;

  test('of a live process is waited for, and named when that takes too long', async () => {
    await place.open().append([event(0)]);
    const taken = await takeLock(lock(), 100);
    const error = await refusal(300);
    expect(error.message).toContain(`process ${process.pid} on `);
    expect('release' in taken).toBe(true);
    if ('release' in taken) taken.release();
    await place.open().append([event(1)]);
    expect(place.access()).toEqual(['payments/0', 'payments/1']);
  });

  test('of a process that is gone is taken over at once', async () => {
    await place.open().append([event(0)]);
    const writer = await buildProgram('writer');
    // It dies with the lock in its hand.
    const { signal } = await runWriter(
      writer,
      { options: place.options, appends: 1 },
      { KILL_AT: '1 after' },
      ['--require', new URL('kill-at.cjs', import.meta.url).pathname],
    );
    expect(signal).toBe('SIGKILL');
    expect(readlinkSync(lock())).toMatch(/^\S+ \d+ /);
    // One that had to wait would be refused.
    await place.open({ waitMs: 0 }).append([event(1)]);
    expect(place.files().filter((file) => file.includes('lock'))).toEqual([]);
  });

  test('of another machine is taken over when nothing has been heard of it for five seconds', async () => {
    await place.open().append([event(0)]);
    symlinkSync('abcdefgh 1 1 elsewhere other-host', lock());
    const clock = process.hrtime.bigint;
    let [passed, looks] = [0n, 0];
    process.hrtime.bigint = () => {
      looks += 1;
      return passed * 1_000_000n;
    };
    /** Until it has looked at this time, too, and would have taken it. */
    const looksAt = async (ms: bigint): Promise<boolean> => {
      [passed, looks] = [ms, 0];
      await until(
        () => looks > 2 || lstatSync(lock(), { throwIfNoEntry: false }) === undefined,
        () => 'another look',
      );
      return place.access().length > 1;
    };
    try {
      const written = place.open({ waitMs: 60_000 }).append([event(1)]);
      expect(await looksAt(0n)).toBe(false);
      expect(await looksAt(5000n)).toBe(false);
      passed = 5001n;
      await written;
    } finally {
      process.hrtime.bigint = clock;
    }
    expect(place.access()).toEqual(['payments/0', 'payments/1']);
  });

  test('is one writer’s alone, wherever another one is held up that takes it over from the same dead holder', async () => {
    await place.open().append([event(0)]);
    const writer = await buildProgram('writer');
    const hook = (name: string): string[] => ['--require', new URL(name, import.meta.url).pathname];
    const task = { options: { ...place.options, waitMs: 300 }, appends: 1 };
    /** Held up there, unless it comes to its end before. */
    const held = async (name: string, at: string, from: number) => {
      const file = join(place.root, name);
      let ended = false;
      const outcome = runWriter(writer, { ...task, from }, { HOLD: file, HOLD_AT: at }, hook('hold-at.cjs'));
      const end = outcome.finally(() => (ended = true));
      await until(
        () => ended || existsSync(`${file}.held`),
        () => `a writer at ${at}`,
      );
      return { isHeld: existsSync(`${file}.held`), goOn: () => writeFileSync(`${file}.go`, ''), end };
    };
    let met = 0;
    for (let point = 1; ; point += 1) {
      const options = { ...task.options, waitMs: 5000 };
      const dead = await runWriter(
        writer,
        { options, appends: 1 },
        { KILL_AT: '1 after' },
        hook('kill-at.cjs'),
      );
      expect(dead.signal).toBe('SIGKILL');
      const before = place.access().length;
      const first = await held(`first-${point}`, `${point}`, 10 * point);
      if (!first.isHeld) break;
      const second = await held(`second-${point}`, 'locked', 10 * point + 1);
      first.goOn();
      const ends = [await first.end];
      // The second one has it, and the first one found that out.
      if (second.isHeld) {
        met += 1;
        expect([point, ends[0]?.code, ends[0]?.stderr]).toEqual([
          point,
          1,
          expect.stringMatching(/process \d+ on .* keeps it locked/),
        ]);
      }
      second.goOn();
      ends.push(await second.end);
      for (const { code, stderr } of ends)
        expect([point, code === 0 || /keeps it locked/.test(stderr)]).toEqual([point, true]);
      expect([point, place.access().length - before]).toEqual([
        point,
        ends.filter(({ code }) => code === 0).length,
      ]);
      expect(chainProblems(place.lines())).toEqual([]);
    }
    expect(met).toBeGreaterThanOrEqual(2);
    await place.open({ waitMs: 0 }).append([event(9000)]);
    expect(place.files().filter((file) => file.includes('lock'))).toEqual([]);
  });
});

test('temporary files of writers that died are removed with the next checkpoint', async () => {
  const log = place.open();
  await log.append([event(0)]);
  const old = (name: string): string => {
    const path = join(place.folder, name);
    writeFileSync(path, '', { mode: 0o600 });
    utimesSync(path, new Date(0), new Date(0));
    return path;
  };
  const left = ['signing.key.1.tmp', 'audit.head.12.m0abc.tmp'].map(old);
  // The folder may be any that `audit.path` names.
  const others = ['draft.tmp', 'audit.head.tmp', 'other.12.m0abc.tmp'].map(old);
  const folder = join(place.folder, 'signing.key.2.tmp');
  mkdirSync(folder);
  utimesSync(folder, new Date(0), new Date(0));
  await log.checkpoint();
  expect(left.map((path) => existsSync(path))).toEqual([false, false]);
  expect([...others, folder].map((path) => existsSync(path))).toEqual([true, true, true, true]);
});

test('off is recorded once, and that it is on again by the next access', async () => {
  const log = place.open();
  await log.append([event(0)]);
  const off = { ...event(1), action: 'other', secret: undefined, store: undefined } as const;
  for (let n = 0; n < 3; n += 1) await log.appendMode('off', off);
  // Even when a checkpoint stands behind it.
  await log.checkpoint();
  await log.appendMode('off', off);
  await log.append([event(2)]);
  expect(place.records().map(({ kind, mode, secret }) => mode ?? secret ?? kind)).toEqual([
    'checkpoint',
    'payments/0',
    'off',
    'checkpoint',
    'required',
    'payments/2',
  ]);
  expect(chainProblems(place.lines())).toEqual([]);
});
