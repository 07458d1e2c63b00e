/** `exec --restart-on-rotate` and `--signal-on-rotate`: a program whose secrets change while it runs. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FAST, kill, lives, looks, pidsIn, RESTART, RotatingBox, SERVER, SLOW, starts } from './rotating.ts';
import { NODE, PROGRAM, type Running, until } from './setup.ts';
import { closeTerminals, openTerminal } from './terminals.ts';

let box: RotatingBox;
beforeEach(() => {
  box = new RotatingBox();
});
afterEach(closeTerminals);
afterEach(() => box.remove());
const start = (args: readonly string[]): Running => box.start(args);

/** Those of one process, by the number in their names: other tests make such folders at the same time. */
const privateFolders = ({ process: { pid } }: Running): string[] =>
  readdirSync('/dev/shm').filter((name) => new RegExp(`^secrets-exec-\\d+-${pid}-`).test(name));

test(
  'a rotation restarts the program with the new value, and its end is ours',
  async () => {
    box.put('a', 'first');
    const run = start([...RESTART, '-e', 'V=a', '--', 'sh', '-c', SERVER]);
    await run.saw('has=first;');
    box.secrets(['rotate', 'a', '--generate', 'hex:8']);
    const value = box.secrets(['get', 'a']);
    await run.saw(`has=${value};`);
    const [first = 0, second = 0] = pidsIn(run.output.stdout);
    expect(second).not.toBe(first);
    expect(kill(first, 0)).toBe(false);
    expect(run.output.stdout).toContain('ended\npid=');
    // In our group and session, as any program of exec.
    const stat = (pid: number): string[] =>
      readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    expect(stat(second).slice(2, 4)).toEqual(stat(run.process.pid ?? 0).slice(2, 4));
    run.process.kill('SIGTERM');
    expect(await run.ended).toMatchObject({ code: 0, stderr: '' });
  },
  SLOW,
);

test(
  'several changes within the debounce restart it once',
  async () => {
    for (const name of ['a', 'b']) box.put(name, 'first');
    const args = [
      'exec',
      '--restart-on-rotate',
      '--poll',
      '1s',
      '--debounce',
      '3s',
      '--no-redact',
      '--debug',
    ];
    const run = start([...args, '-e', 'V=a', '-e', 'W=b', '--', 'sh', '-c', SERVER]);
    await run.saw('has=first;');
    for (const value of ['second', 'third'])
      for (const name of ['a', 'b']) box.secrets(['put', '--quiet', name], value);
    await run.saw('has=third;');
    await looks(run, 2);
    expect(starts(run.output.stdout)).toEqual(['first', 'third']);
  },
  SLOW,
);

test(
  'a store that fails leaves the program alone, says so once, and is tried again',
  async () => {
    box.put('a', 'first');
    box.put('b', 'kept');
    const run = start([...RESTART, '--debug', '-e', 'V=a', '-e', 'W=b', '--', 'sh', '-c', SERVER]);
    await run.saw('has=first;');
    box.secrets(['delete', '--quiet', 'b']);
    box.secrets(['put', '--quiet', 'a'], 'second');
    await until(
      () => run.output.stderr.includes('the program keeps the secrets it has'),
      () => run.output.stderr,
    );
    await looks(run, 2, /keeps the secrets/g);
    expect(starts(run.output.stdout)).toEqual(['first']);
    expect(run.output.stderr.match(/warning: the program keeps the secrets/g)).toHaveLength(1);
    box.secrets(['restore', '--quiet', 'b']);
    await run.saw('has=second;');
  },
  SLOW,
);

test(
  'a program that does not end is killed after --stop-timeout, and so is what it leaves behind',
  async () => {
    box.put('a', 'first');
    // The inner one ignores SIGTERM as well, and stays when the outer one is killed.
    const stubborn =
      'trap "" TERM; echo "pid=$$ has=$V;"; sh -c \'trap "" TERM; echo "pid=$$"; while :; do sleep 0.05; done\' & wait; while :; do sleep 0.05; done';
    const args = ['exec', '--restart-on-rotate', ...FAST, '--stop-timeout', '1s'];
    for (const redact of ['--no-redact', '--redact']) {
      const run = start([...args, redact, '-e', 'V=a', '--', 'sh', '-c', stubborn]);
      await until(
        () => pidsIn(run.output.stdout).length === 2,
        () => run.output.stdout,
      );
      const old = pidsIn(run.output.stdout);
      box.secrets(['put', '--quiet', 'a'], `second ${redact}`);
      await until(
        () => pidsIn(run.output.stdout).length === 4,
        () => run.output.stdout,
      );
      await until(
        () => !old.some(lives),
        () => 'the end of those before',
      );
    }
  },
  SLOW,
);

test(
  'a child of the program that means to outlive it does',
  async () => {
    box.put('a', 'first');
    const parent =
      'setsid sh -c \'echo "pid=$$ daemon"; while :; do sleep 0.05; done\' & echo "has=$V;"; wait';
    const run = start([...RESTART, '-e', 'V=a', '--', 'sh', '-c', parent]);
    await run.saw('daemon');
    const [daemon = 0] = pidsIn(run.output.stdout);
    box.secrets(['put', '--quiet', 'a'], 'second');
    await run.saw('has=second;');
    expect(kill(daemon, 0)).toBe(true);
  },
  SLOW,
);

test(
  'the program’s own end is ours, at once, whatever is under way',
  async () => {
    box.put('a', 'first');
    const args = ['exec', '--restart-on-rotate', '--poll', '1s', '--debounce', '1h', '--no-redact'];
    const run = start([
      ...args,
      '-e',
      'V=a',
      '--',
      'sh',
      '-c',
      'echo "has=$V;"; until [ -e go ]; do sleep 0.05; done; exit 5',
    ]);
    await run.saw('has=first;');
    box.secrets(['put', '--quiet', 'a'], 'second');
    // Until it has looked again, of which nothing is said.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    box.write('go', '');
    expect(await run.ended).toMatchObject({ code: 5, stderr: '' });

    const killed = start([...RESTART, '-e', 'V=a', '--', 'sh', '-c', 'kill -USR1 $$']);
    expect((await killed.ended).code).toBe(138);
    expect((await start([...RESTART, '-e', 'V=a', '--', 'no-such-program']).ended).code).toBe(127);
  },
  SLOW,
);

test(
  'what can’t change, or changes elsewhere, restarts nothing',
  async () => {
    box.put('pinned', 'first');
    box.put('j', '{"mine":"1","other":"x"}');
    const run = start([
      ...[...RESTART, '--debug', '-e', 'V=pinned?version=1', '-e', 'W=j#mine'],
      ...['--', 'sh', '-c', SERVER],
    ]);
    await run.saw('has=first;');
    box.secrets(['put', '--quiet', 'pinned'], 'second');
    box.secrets(['put', '--quiet', 'j'], '{"mine":"1","other":"y"}');
    await until(
      () => run.output.stderr.includes('no value that the program has'),
      () => run.output.stderr,
    );
    await looks(run, 2);
    expect(starts(run.output.stdout)).toEqual(['first']);
    box.secrets(['put', '--quiet', 'j'], '{"mine":"2"}');
    await until(
      () => starts(run.output.stdout).length === 2,
      () => run.output.stdout,
    );
  },
  SLOW,
);

test(
  'a secret that comes under a prefix, or that was optional, is a change',
  async () => {
    box.put('app/one-key', '1');
    writeFileSync(
      join(box.cwd, 'secrets.yaml'),
      'env: { MAYBE_KEY: { ref: local://later, optional: true } }\n',
    );
    const shown =
      'trap "exit 0" TERM; echo "has=$ONE_KEY,$TWO_KEY,$MAYBE_KEY;"; while :; do sleep 0.05; done';
    const run = start([...RESTART, '--from', 'app/', '--', 'sh', '-c', shown]);
    await run.saw('has=1,,;');
    box.put('app/two-key', '2');
    await run.saw('has=1,2,;');
    box.put('later', '3');
    await run.saw('has=1,2,3;');
  },
  SLOW,
);

const READER =
  'trap "echo got; cat \\"$F\\"; echo" HUP; trap "exit 0" TERM; echo "pid=$$ has=$V;"; while :; do sleep 0.05; done';

test(
  'a signal comes after the file, whose place stays the same and which is whole at any time',
  async () => {
    const [one, two] = ['1'.repeat(100_000), '2'.repeat(100_000)] as const;
    box.put('f', one);
    const args = ['exec', '--signal-on-rotate', 'hup', ...FAST, '--no-redact'];
    const watcher = [
      'trap "echo got; cp \\"$F\\" copy; stat -c %a:%i \\"$F\\"" HUP',
      '( while :; do tr -d 12 < "$F" | wc -c; wc -c < "$F"; done >> sizes ) &',
      'trap "kill $!; exit 0" TERM',
      'stat -c %a:%i "$F"; echo "pid=$$ has=;"; while :; do sleep 0.05; done',
    ];
    const script = box.write('watcher', watcher.join('\n'));
    const run = start([...args, '--file', 'F=f', '--', 'sh', script]);
    await run.saw('has=;');
    box.put('f', two);
    await run.saw('got');
    expect(privateFolders(run)).toHaveLength(1);
    await until(
      () => run.output.stdout.trim().split('\n').length === 4,
      () => run.output.stdout,
    );
    const modes = [...run.output.stdout.matchAll(/^600:(\d+)$/gm)].map(([, inode]) => inode);
    expect(modes).toHaveLength(2);
    expect(modes[0]).not.toBe(modes[1]);
    expect(readFileSync(join(box.cwd, 'copy'), 'utf8')).toBe(two);
    expect(new Set(readFileSync(join(box.cwd, 'sizes'), 'utf8').trim().split(/\s+/))).toEqual(
      new Set(['0', '100000']),
    );
    expect(starts(run.output.stdout)).toHaveLength(1);
    run.process.kill('SIGTERM');
    await run.ended;
    expect(privateFolders(run)).toEqual([]);
  },
  SLOW,
);

test(
  'a signal can’t bring a variable: that is said, and with both options the program is restarted',
  async () => {
    box.put('a', 'first');
    box.put('f', 'file one');
    const signal = ['exec', '--signal-on-rotate', 'SIGHUP', ...FAST, '--no-redact', '-e', 'V=a'];
    const refused = await start([...signal, '--', 'true']).ended;
    expect(refused).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(/needs a secret that is a file.*--file NAME=REF/s),
    });
    const run = start([...signal, '--file', 'F=f', '--', 'sh', '-c', READER]);
    await run.saw('has=first;');
    box.secrets(['put', '--quiet', 'a'], 'second');
    await until(
      () => run.output.stderr.includes('it keeps the old V'),
      () => run.output.stderr,
    );
    box.secrets(['put', '--quiet', 'f'], 'file two');
    await run.saw('got\nfile two');
    expect(starts(run.output.stdout)).toEqual(['first']);

    const both = start([...signal, '--restart-on-rotate', '--file', 'F=f', '--', 'sh', '-c', READER]);
    await both.saw('has=second;');
    box.secrets(['put', '--quiet', 'f'], 'file three');
    await both.saw('got\nfile three');
    box.secrets(['put', '--quiet', 'a'], 'third');
    await both.saw('has=third;');
    expect(starts(both.output.stdout)).toEqual(['second', 'third']);
  },
  SLOW,
);

test(
  'values of now and of before are masked, in a program that lives on and in the next one',
  async () => {
    box.put('f', 'old-value-of-the-file');
    box.put('a', 'old-value-of-the-variable');
    const both =
      'trap "cat old \\"$F\\"; echo; echo got" HUP; cp "$F" old; trap "exit 0" TERM; echo "pid=$$ $V $(cat old);"; while :; do sleep 0.05; done';
    const args = ['exec', '--restart-on-rotate', '--signal-on-rotate', 'HUP', ...FAST, '--redact'];
    const run = start([...args, '--file', 'F=f', '-e', 'V=a', '--', 'sh', '-c', both]);
    await run.saw('*** ***;');
    box.secrets(['put', '--quiet', 'f'], 'new-value-of-the-file');
    await run.saw('got');
    expect(run.output.stdout).toMatch(/^pid=\d+ \*\*\* \*\*\*;\n(\*\*\*)+\ngot\n/);
    const leftover = box.write('old-values', 'old-value-of-the-variable old-value-of-the-file\n');
    box.secrets(['put', '--quiet', 'a'], 'new-value-of-the-variable');
    await until(
      () => pidsIn(run.output.stdout).length === 2,
      () => run.output.stdout,
    );
    run.process.kill('SIGTERM');
    const { stdout, stderr } = await run.ended;
    expect(stdout + stderr).not.toMatch(/(old|new)-value/);
    // What the second program prints of the first one's values.
    const echo = start([...args, '--file', 'F=f', '-e', 'V=a', '--', 'sh', '-c', `cat ${leftover}; ${both}`]);
    await echo.saw('old-value-of-the-variable');
  },
  SLOW,
);

test(
  'at a terminal the next program has it as the one before had',
  async () => {
    box.put('a', 'first-value');
    const reads =
      'trap "exit 0" TERM; stty size; echo "has=$V;"; while :; do read -r line && echo "got $line" || sleep 0.05; done';
    const args = ['exec', '--restart-on-rotate', ...FAST, '--redact', '-e', 'V=a', '--', 'sh', '-c', reads];
    const { pty, saw, shown, ended } = openTerminal(box, NODE, [PROGRAM, ...args]);
    await saw('has=***;');
    pty.write('one\r');
    await saw('got one');
    box.put('a', 'second-value');
    await saw(/has=\*\*\*;[^]*has=\*\*\*;/);
    pty.write('two\r');
    await saw('got two');
    expect(shown().match(/37 91/g)).toHaveLength(2);
    expect(shown()).not.toMatch(/(first|second)-value/);
    pty.write('\u0003');
    expect(await ended).toMatchObject({ exitCode: 130 });
  },
  SLOW,
);

test('settings that make no sense are refused', async () => {
  box.put('a', 'v');
  const refusals: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [['--poll', '10s'], /add --restart-on-rotate or --signal-on-rotate/],
    [['--restart-on-rotate', '--poll', '10ms'], /--poll is shorter than a second/],
    [['--restart-on-rotate', '--debounce', 'soon'], /"soon" is not a duration/],
    [['--signal-on-rotate', 'KILL', '--file', 'F=a'], /"KILL" is not a signal that a program can handle/],
    [['--signal-on-rotate', 'NOPE', '--file', 'F=a'], /"NOPE" is not a signal/],
  ];
  for (const [args, message] of refusals) {
    const { code, stderr } = await start(['exec', ...args, '-e', 'V=a', '--', 'true']).ended;
    expect([code, stderr]).toEqual([125, expect.stringMatching(message) as string]);
  }
});
