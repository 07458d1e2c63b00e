import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { Box, CAN_REPLACE, until } from './setup.ts';

let box: Box;
beforeAll(() => {
  box = new Box();
  box.put('text', 'plain-value');
});
afterAll(() => box.remove());

/** Says which signals it got; ends with code 9 on SIGTERM. */
const TRAPS = `
for s in INT HUP QUIT USR1 USR2 WINCH CONT; do trap "echo got $s" $s; done
trap 'echo got TERM; exit 9' TERM
echo pid $$ ready
while :; do sleep 0.05; done`;

const WAYS: readonly (readonly [string, readonly string[]])[] = [
  ['plainly', []],
  ['with its output masked', ['--redact']],
  ['with a file', ['--file', 'F=text']],
];

describe.each(WAYS)('a child that is run %s', (_, more) => {
  test('gets each signal once and decides how it ends', async () => {
    const running = box.start(['exec', '-e', 'T=text', ...more, '--', 'bash', '-c', TRAPS]);
    await running.saw('ready');
    for (const name of ['INT', 'HUP', 'QUIT', 'USR1', 'USR2', 'WINCH', 'CONT'] as const) {
      running.process.kill(`SIG${name}` as NodeJS.Signals);
      await running.saw(`got ${name}`);
    }
    running.process.kill('SIGTERM');
    const { code, stdout, stderr } = await running.ended;
    expect({ code, stderr }).toEqual({ code: 9, stderr: '' });
    expect(stdout.match(/got \w+/g)).toEqual([
      'got INT',
      'got HUP',
      'got QUIT',
      'got USR1',
      'got USR2',
      'got WINCH',
      'got CONT',
      'got TERM',
    ]);
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'] as const)(
    'that dies of %s gives 128 + its number',
    async (signal) => {
      const running = box.start([
        'exec',
        '-e',
        'T=text',
        ...more,
        '--',
        'sh',
        '-c',
        'echo ready; exec sleep 30',
      ]);
      await running.saw('ready');
      running.process.kill(signal);
      const ended = await running.ended;
      if (CAN_REPLACE && more.length === 0) expect(ended.signal).toBe(signal);
      else expect(ended.code).toBe(128 + constants.signals[signal]);
    },
  );

  test('stops with SIGTSTP and goes on with SIGCONT', async () => {
    const running = box.start([
      'exec',
      '-e',
      'T=text',
      ...more,
      '--',
      'bash',
      '-c',
      'echo pid $$ ready; while :; do sleep 0.05; done',
    ]);
    await running.saw('ready');
    const child = Number(/pid (\d+)/.exec(running.output.stdout)?.[1]);
    const state = (pid: number | undefined): string =>
      spawnSync('ps', ['-o', 'state=', '-p', String(pid)])
        .stdout.toString()
        .trim();
    running.process.kill('SIGTSTP');
    await until(
      () => state(child) === 'T' && state(running.process.pid) === 'T',
      () => `both stopped`,
    );
    running.process.kill('SIGCONT');
    await until(
      () => state(child) !== 'T' && state(running.process.pid) !== 'T',
      () => 'both running',
    );
    running.process.kill('SIGTERM');
    await running.ended;
    expect(state(child)).toBe('');
  });
});

/** In a new process id namespace the program is process 1, for which signals without a handler do nothing. */
const UNSHARE = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];
const CAN_UNSHARE = spawnSync('unshare', [...UNSHARE.slice(1), 'true']).status === 0;

(CAN_UNSHARE ? describe : describe.skip)('as process 1 (skipped where unshare is not allowed)', () => {
  test.each(WAYS)('signals reach a child that is run %s', async (_, more) => {
    const running = box.start(['exec', ...more, '--', 'bash', '-c', TRAPS], { before: UNSHARE });
    await running.saw('ready');
    // unshare passes nothing on, so the signal goes to the program itself: the child of unshare.
    const inner = spawnSync('pgrep', ['-P', String(running.process.pid)])
      .stdout.toString()
      .trim();
    process.kill(Number(inner), 'SIGUSR1');
    await running.saw('got USR1');
    process.kill(Number(inner), 'SIGTERM');
    const { code, stdout } = await running.ended;
    expect(stdout).toContain('got TERM');
    expect(code).toBe(9);
  });
});

(CAN_REPLACE ? describe : describe.skip)(
  'where the process can be replaced (Node.js 22.15 and later)',
  () => {
    test('no wrapper remains, and nothing of Node.js is left in the program', async () => {
      const running = box.start([
        'exec',
        '-e',
        'T=text',
        '--',
        'sh',
        '-c',
        'echo $$; grep SigIgn /proc/self/status; grep flags /proc/self/fdinfo/0 /proc/self/fdinfo/1; echo "$T"',
      ]);
      const { stdout, stderr } = await running.ended;
      expect(stdout).toContain(`${running.process.pid}\n`);
      expect(stdout).toContain('SigIgn:\t0000000000000000');
      // 04000 is O_NONBLOCK.
      expect(
        stdout
          .match(/flags:\t\d+/g)
          ?.map((line) => line.replace(/.*\t/, ''))
          .filter((flags) => (Number.parseInt(flags, 8) & 0o4000) !== 0),
      ).toEqual([]);
      expect(stdout).toContain('plain-value');
      expect(stderr).toBe('');
    });

    test('a wrapper remains when files or masking must outlive the start', async () => {
      for (const more of [['--redact'], ['--file', 'F=text']]) {
        const running = box.start(['exec', ...more, '--', 'sh', '-c', 'echo $$']);
        expect((await running.ended).stdout.trim()).not.toBe(String(running.process.pid));
      }
    });
  },
);

test('a program that writes into a closed pipe ends quietly, as without us', async () => {
  for (const more of [[], ['--redact']]) {
    const { stdout, stderr } = await box.run(
      ['exec', ...more, '--', 'bash', '-c', 'yes; echo ended ${PIPESTATUS[0]} >&2'],
      {
        before: ['bash', '-c', '"$@" | head -n 1', 'bash'],
      },
    );
    expect({ stdout, stderr }).toEqual({ stdout: 'y\n', stderr: 'ended 141\n' });
  }
});
