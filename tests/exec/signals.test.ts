import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { Box, CAN_REPLACE, REPLACING_NODE, until } from './setup.ts';
import { describeNeeding, mayUnsharePids } from '../needs.ts';

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

/**
 * Runs what follows as a job of a shell in a session of its own, and says which process it is. Without a shell that
 * watches its group, as under nohup or cron, the kernel ignores SIGTSTP (POSIX: an orphaned process group).
 */
const JOB = ['setsid', '--wait', 'bash', '-c', 'set -m; "$@" & echo "program $!"; wait -f $!', 'bash'];

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
    const script = 'echo pid $$ ready; while :; do sleep 0.05; done';
    const running = box.start(['exec', '-e', 'T=text', ...more, '--', 'bash', '-c', script], {
      before: JOB,
    });
    await running.saw('ready');
    const [program, child] = ['program', 'pid'].map((which) =>
      Number(new RegExp(`${which} (\\d+)`).exec(running.output.stdout)?.[1]),
    ) as [number, number];
    const state = (pid: number): string =>
      spawnSync('ps', ['-o', 'state=', '-p', String(pid)])
        .stdout.toString()
        .trim();
    process.kill(program, 'SIGTSTP');
    await until(
      () => state(child) === 'T' && state(program) === 'T',
      () => `both stopped`,
    );
    process.kill(program, 'SIGCONT');
    await until(
      () => state(child) !== 'T' && state(program) !== 'T',
      () => 'both running',
    );
    process.kill(program, 'SIGTERM');
    await running.ended;
    expect(state(program)).toBe('');
    expect(state(child)).toBe('');
  });
});

/** In a new process id namespace the program is process 1, for which signals without a handler do nothing. */
const UNSHARE = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];

describeNeeding(mayUnsharePids())('as process 1', () => {
  test.each(WAYS)('the exit code of a child that is run %s is ours', async (_, more) => {
    const { code, stderr } = await box.run(['exec', '--allow-empty', ...more, '--', 'sh', '-c', 'exit 42'], {
      before: UNSHARE,
    });
    expect({ code, stderr }).toEqual({ code: 42, stderr: '' });
  });

  // Left behind by the child, ended while it runs (a zombie then, if nobody asks for it), and still running: for longer
  // than `box` lets anything run.
  const ORPHANS =
    'short=$( (sleep 0.1 > /dev/null & echo $!) ); (sleep 400 &) ; until ! [ -e /proc/$short ] || grep -q "State:.Z" /proc/$short/status; do sleep 0.05; done; echo pid $$; ps -eo ppid=,stat=,comm= | grep -w sleep; exit 7';

  test.each(WAYS)('orphans do not keep a child that is run %s from ending', async (_, more) => {
    const { code, stdout } = await box.run(['exec', '--allow-empty', ...more, '--', 'bash', '-c', ORPHANS], {
      before: UNSHARE,
    });
    expect(code).toBe(7);
    const replaced = stdout.includes('pid 1\n');
    expect(replaced).toBe(CAN_REPLACE && more.length === 0);
    // Both are process 1's children by now. A shell that is process 1 asks for them; Node.js does so only for its
    // own, so that they stay in the table until the end (docs/exec.md).
    const dead = stdout.split('\n').filter((line) => /^ *1 Z/.test(line));
    expect(dead).toHaveLength(replaced ? 0 : 1);
  });

  test('under an init process orphans are asked for', async () => {
    // A shell in the place of `docker run --init`.
    const before = [...UNSHARE, 'bash', '-c', '"$@" & wait $!', 'init'];
    const { code, stdout } = await box.run(
      ['exec', '--allow-empty', '--redact', '--', 'bash', '-c', ORPHANS],
      { before },
    );
    expect(code).toBe(7);
    expect(stdout).toContain('sleep');
    expect(stdout.split('\n').filter((line) => /^ *\d+ Z/.test(line))).toEqual([]);
  });

  test.each(WAYS)('signals reach a child that is run %s', async (_, more) => {
    const running = box.start(['exec', '--allow-empty', ...more, '--', 'bash', '-c', TRAPS], {
      before: UNSHARE,
    });
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

describeNeeding(REPLACING_NODE)('where the process can be replaced (Node.js 22.15 and later)', () => {
  test('no wrapper remains, and nothing of Node.js is left in the program', async () => {
    const running = box.start([
      'exec',
      '-e',
      'T=text',
      '--',
      'sh',
      '-c',
      'echo $$; readlink /proc/$$/exe; grep SigIgn /proc/self/status; grep flags /proc/self/fdinfo/0 /proc/self/fdinfo/1; echo "$T"',
    ]);
    const { stdout, stderr } = await running.ended;
    // The process that was started is the program now.
    expect(stdout.split('\n').slice(0, 2)).toEqual([
      String(running.process.pid),
      expect.stringMatching(/\/(?:da|ba|)sh$/),
    ]);
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
      const running = box.start(['exec', '--allow-empty', ...more, '--', 'sh', '-c', 'echo $$']);
      expect((await running.ended).stdout.trim()).not.toBe(String(running.process.pid));
    }
  });
});

describe.each(WAYS)('in a child that is run %s', (_, more) => {
  const look = async (script: string, before: readonly string[] = []): Promise<string> => {
    const { stdout, stderr, code } = await box.run(
      ['exec', '-e', 'T=text', ...more, '--', 'bash', '-c', script],
      {
        before,
      },
    );
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    return stdout;
  };

  test('no signal is ignored or blocked', async () => {
    const zero = '0'.repeat(16);
    expect(await look("grep -E 'Sig(Ign|Blk)' /proc/$$/status")).toBe(`SigBlk:\t${zero}\nSigIgn:\t${zero}\n`);
  });

  test('nothing of ours is open, and the standard streams block', async () => {
    // /proc/self is bash itself; it has the same open without us.
    const stdout = await look(
      'echo /proc/self/fd/*; for n in 0 1 2; do grep flags /proc/$$/fdinfo/$n; done',
      ['bash', '-c', 'cat | "$@" | cat', 'bash'],
    );
    const [open = '', ...flags] = stdout.trim().split('\n');
    const plain = spawnSync('bash', ['-c', 'echo /proc/self/fd/*']).stdout.toString();
    expect(open.split(' ')).toEqual(plain.trim().split(' '));
    expect(flags).toHaveLength(3);
    // 04000 is O_NONBLOCK.
    for (const flag of flags) expect(Number.parseInt(flag.replace(/.*\t/, ''), 8) & 0o4000).toBe(0);
  });

  test('the descriptors that bash’s <(…) makes can be read', async () => {
    const before = ['bash', '-c', 'exec "$@" <(echo from another program)', 'bash'];
    const { stdout } = await box.run(['exec', '-e', 'T=text', ...more, '--', 'cat'], { before });
    expect(stdout).toBe('from another program\n');
  });

  test('what docs/exec.md says of Node.js holds: files 3 to 15 are closed, the limit of open files is raised', async () => {
    const before = ['bash', '-c', 'ulimit -Sn 200; exec 3</dev/null 15</dev/null 40</dev/null; "$@"', 'bash'];
    const stdout = await look(
      'for n in 3 15 40; do [ -e /proc/$$/fd/$n ] && echo $n; done; [ "$(ulimit -Sn)" = "$(ulimit -Hn)" ] && echo raised',
      before,
    );
    expect(stdout).toBe('40\nraised\n');
  });

  test('a stream that was closed is empty', async () => {
    expect(await look('cat; echo end', ['bash', '-c', '"$@" <&-', 'bash'])).toBe('end\n');
  });

  test('the group and the session are those that we were started in', async () => {
    const stdout = await look(
      'read -r _ _ _ _ group session _ < /proc/$$/stat; echo $group $session; cat group',
      [
        'bash',
        '-c',
        'read -r _ _ _ _ group session _ < /proc/$$/stat; echo $group $session > group; "$@"',
        'b',
      ],
    );
    const [own, theirs] = stdout.trim().split('\n');
    expect(own).toBe(theirs);
  });

  test('nohup before the program keeps it from the hang-up', async () => {
    const running = box.start([
      'exec',
      '-e',
      'T=text',
      ...more,
      '--',
      'nohup',
      'bash',
      '-c',
      'trap "exit 5" USR1; echo ready; while :; do sleep 0.05; done',
    ]);
    await running.saw('ready');
    running.process.kill('SIGHUP');
    // Were it not ignored, the hang-up would come first and end it with another code.
    running.process.kill('SIGUSR1');
    expect((await running.ended).code).toBe(5);
  });
});

test('a program that writes into a closed pipe ends quietly, as without us', async () => {
  for (const more of [[], ['--redact']]) {
    const { stdout, stderr } = await box.run(
      ['exec', '--allow-empty', ...more, '--', 'bash', '-c', 'yes; echo ended ${PIPESTATUS[0]} >&2'],
      {
        before: ['bash', '-c', '"$@" | head -n 1', 'bash'],
      },
    );
    expect({ stdout, stderr }).toEqual({ stdout: 'y\n', stderr: 'ended 141\n' });
  }
});
