/** What the writer refuses, and what it leaves behind when it can't write. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
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
    const from = Date.now();
    await place.open().append([event(1)]);
    expect(Date.now() - from).toBeLessThan(4000);
    expect(place.files().filter((file) => file.includes('lock'))).toEqual([]);
  });

  test('of another machine is taken over when nothing has been heard of it for five seconds', async () => {
    await place.open().append([event(0)]);
    symlinkSync('abcdefgh 1 1 elsewhere other-host', lock());
    const from = Date.now();
    await place.open().append([event(1)]);
    expect(Date.now() - from).toBeGreaterThan(4000);
    expect(place.access()).toEqual(['payments/0', 'payments/1']);
  });

  test('is not left to one of many that bury the same dead holder at once', async () => {
    await place.open().append([event(0)]);
    const writer = await buildProgram('writer');
    for (let round = 0; round < 5; round += 1) {
      await runWriter(writer, { options: place.options, appends: 1 }, { KILL_AT: '1 after' }, [
        '--require',
        new URL('kill-at.cjs', import.meta.url).pathname,
      ]);
      const before = place.access().length;
      const outcomes = await Promise.all(
        Array.from({ length: 6 }, (_, index) =>
          runWriter(writer, { options: place.options, appends: 5, from: 1000 * round + 100 * index + 10 }),
        ),
      );
      expect(outcomes.map(({ stderr }) => stderr).join('')).toBe('');
      expect(place.access()).toHaveLength(before + 30);
      expect(chainProblems(place.lines())).toEqual([]);
    }
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
