/** In a real pseudo-terminal, with a shell's job control where that matters. */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { spawn as spawnProcess, spawnSync } from 'node:child_process';
import type { IPty } from '@lydell/node-pty';
import { Box, CAN_REPLACE, NODE, PROGRAM, until } from './setup.ts';
import { closeTerminals, openTerminal, type Terminal } from './terminals.ts';

let box: Box;
beforeAll(() => {
  box = new Box();
  box.put('text', 'plain-value');
});
afterAll(() => box.remove());

afterEach(closeTerminals);

const terminal = (file: string, args: readonly string[], env?: Readonly<Record<string, string>>): Terminal =>
  openTerminal(box, file, args, env);
const exec = (...words: string[]): Terminal => terminal(NODE, [PROGRAM, 'exec', '-e', 'T=text', ...words]);

describe('with --redact on a terminal', () => {
  test('the child has a terminal of the same size, and its output is masked', async () => {
    const { saw, ended, shown } = exec(
      '--redact',
      '--',
      'sh',
      '-c',
      '[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && stty size && printf "\\033[31m%s\\033[0m\\n" "$T"',
    );
    await ended;
    await saw('37 91');
    expect(shown()).toContain('\u001b[31m***\u001b[0m');
    expect(shown()).not.toContain('plain-value');
  });

  test('every byte is as the child wrote it: LF alone from a full-screen program, CR LF from others', async () => {
    const { ended, shown } = exec(
      '--redact',
      '--',
      'sh',
      '-c',
      'printf "a\\nb"; stty -opost; printf "c\\nd"',
    );
    await ended;
    expect(shown()).toBe('a\r\nbc\nd');
  });

  test('a value of several lines is masked although the terminal changes its line ends', async () => {
    box.put('lines', 'first line\nsecond line\nthird');
    const { ended, shown } = exec('--redact', '-e', 'L=lines', '--', 'sh', '-c', 'echo "<$L>"');
    await ended;
    expect(shown()).toBe('<***>\r\n');
  });

  test('a change of size reaches the child', async () => {
    const { pty, saw } = exec(
      '--redact',
      '--',
      'bash',
      '-c',
      'trap "stty size" WINCH; echo ready; while :; do sleep 0.05; done',
    );
    await saw('ready');
    pty.resize(50, 20);
    await saw('20 50');
  });

  test('a prompt is shown at once, hides what is typed, and gets the answer', async () => {
    const { pty, saw, shown, ended } = exec(
      '--redact',
      '--',
      'bash',
      '-c',
      'read -r -s -p "Password: " x; echo; [ "$x" = "my answer" ] && echo right',
    );
    await saw('Password: ');
    pty.write('my answer\r');
    await ended;
    expect(shown()).toContain('right');
    expect(shown()).not.toContain('my answer');
  });

  test('what is typed is masked when it is the secret', async () => {
    const { pty, saw, shown, ended } = exec(
      '--redact',
      '--',
      'bash',
      '-c',
      'read -r -p "> " x; echo "got $x"',
    );
    await saw('> ');
    pty.write('plain-value\r');
    await ended;
    expect(shown()).toContain('got ***');
    expect(shown()).not.toContain('plain-v');
  });

  test('Ctrl-C reaches the child once, which ends as it likes', async () => {
    const { pty, saw, ended, shown } = exec(
      '--redact',
      '--',
      'bash',
      '-c',
      'trap "echo int; n=\\$((n+1))" INT; echo ready; while [ -z "$n" ]; do sleep 0.05; done; sleep 0.3; exit $((40+n))',
    );
    await saw('ready');
    pty.write('\u0003');
    expect((await ended).exitCode).toBe(41);
    expect(shown()).toContain('int');
  });

  test('Ctrl-C ends a child that does not care, with 130', async () => {
    const { pty, saw, ended } = exec('--redact', '--', 'sh', '-c', 'echo ready; exec sleep 30');
    await saw('ready');
    pty.write('\u0003');
    expect((await ended).exitCode).toBe(130);
  });

  test('Ctrl-D is the end of the input', async () => {
    const { pty, saw, ended, shown } = exec('--redact', '--', 'sh', '-c', 'echo ready; cat; echo eof');
    await saw('ready');
    pty.write('\u0004');
    await ended;
    expect(shown()).toContain('eof');
  });

  test.each(['SIGTERM', 'SIGHUP', 'SIGINT'] as const)(
    'the terminal is as before after %s',
    async (signal) => {
      const shell = terminal('bash', ['--norc', '-i']);
      await shell.saw('sh> ');
      shell.pty.write(
        'stty -a | md5sum; "$NODE" "$PROGRAM" exec --redact -e T=text -- sh -c "echo pid \\$PPID ready; exec sleep 30"; echo code $?; stty -a | md5sum\r',
      );
      await shell.saw(/pid \d+ ready/);
      process.kill(Number(/pid (\d+) ready/.exec(shell.shown())?.[1]), signal);
      await shell.saw(/code \d+\r\n[0-9a-f]{32}/);
      const [before, after] = shell.shown().match(/[0-9a-f]{32}/g) ?? [];
      expect(after).toBe(before);
      expect(shell.shown()).toContain(`code ${{ SIGTERM: 143, SIGHUP: 129, SIGINT: 130 }[signal]}`);
    },
  );

  test('a full-screen program gets single keys', async () => {
    const { pty, saw, ended } = exec(
      '--redact',
      '--',
      'bash',
      '-c',
      'echo ready; read -r -n 1 key; echo "key $key"; exit 3',
    );
    await saw('ready');
    pty.write('q');
    expect((await ended).exitCode).toBe(3);
  });

  test('a program that can’t be started gives the codes of a shell, and argv[0] is what was written', async () => {
    box.write('lost', '#!/no/such/interpreter\n', 0o755);
    expect((await exec('--redact', '--', './lost').ended).exitCode).toBe(127);
    const { ended, shown } = exec(
      '--redact',
      '--',
      'sh',
      '-c',
      'tr "\\0" "|" < /proc/$$/cmdline; ls /proc/$$/fd',
    );
    await ended;
    expect(shown()).toMatch(/^sh\|-c\|/);
    // Nothing of ours is open in it, only what any child of the tests has.
    const plain = spawnSync('sh', ['-c', 'ls /proc/$$/fd']).stdout.toString();
    expect(shown().split('|').at(-1)?.trim().split(/\s+/)).toEqual(plain.trim().split(/\s+/));
  });

  test('all of a large output arrives at a slow terminal', async () => {
    // A terminal that takes its time, made by script(1). The end gets lost in one of three, if it does.
    const command =
      '"$NODE" "$PROGRAM" exec --redact -e T=text -- sh -c \'seq 1 100000; echo "$T"; echo the end\'';
    const watch = async (): Promise<readonly string[]> => {
      const script = spawnProcess('script', ['-qec', command, '/dev/null'], {
        cwd: box.cwd,
        env: { ...box.env, NODE, PROGRAM, TERM: 'xterm' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let shown = '';
      for await (const chunk of script.stdout) {
        shown += String(chunk);
        await new Promise((resolve) => setTimeout(resolve, 40));
      }
      return shown.split(/[\r\n]+/).filter((line) => line !== '');
    };
    for (const lines of await Promise.all([watch(), watch(), watch(), watch()])) {
      expect(lines).toHaveLength(100_002);
      expect(lines.slice(-3)).toEqual(['100000', '***', 'the end']);
    }
  });

  test('without the package the child gets pipes, and the user is told', async () => {
    // A copy of the program that has no node_modules beside it.
    const copy = join(box.root, 'copy');
    mkdirSync(join(copy, 'bin'), { recursive: true });
    cpSync(join(dirname(PROGRAM), '../dist'), join(copy, 'dist'), { recursive: true });
    cpSync(PROGRAM, join(copy, 'bin/secrets'));
    if (!existsSync(join(copy, 'bin/package.json')))
      cpSync(join(dirname(PROGRAM), 'package.json'), join(copy, 'bin/package.json'));
    symlinkSync(join(dirname(PROGRAM), '../package.json'), join(copy, 'package.json'));
    const { ended, shown } = terminal(NODE, [
      join(copy, 'bin/secrets'),
      'exec',
      '--redact',
      '-e',
      'T=text',
      '--',
      'sh',
      '-c',
      '[ -t 1 ] || echo pipe "$T"',
    ]);
    await ended;
    expect(shown()).toContain('the package @lydell/node-pty is not installed');
    expect(shown()).toContain('pipe ***');
  });
});

describe('without --redact on a terminal', () => {
  test('the child has the terminal itself', async () => {
    const { ended, shown } = exec('--', 'sh', '-c', '[ -t 0 ] && [ -t 1 ] && tty && echo "$T"');
    await ended;
    expect(shown()).toMatch(/\/dev\/pts\/\d+\r\nplain-value/);
  });

  test('Ctrl-C reaches the child once', async () => {
    const { pty, saw, ended } = exec(
      '--',
      'bash',
      '-c',
      'trap "n=\\$((n+1))" INT; echo ready; for i in 1 2 3 4 5 6 7 8; do sleep 0.05; done; sleep 0.4; exit $((40+n))',
    );
    await saw('ready');
    pty.write('\u0003');
    expect((await ended).exitCode).toBe(41);
  });

  test('Ctrl-C also ends the script that called us, as it does without us', async () => {
    const script =
      'for i in 1 2; do "$NODE" "$PROGRAM" exec -e T=text -- sh -c "echo ready \\$1; exec sleep 20" sh "$i"; done; echo went on';
    const { pty, saw, ended, shown } = terminal('bash', ['-c', script]);
    await saw('ready 1');
    pty.write('\u0003');
    await ended;
    expect(shown()).not.toContain('ready 2');
    expect(shown()).not.toContain('went on');
  });

  test.each([
    ['of the terminal that a shell runs in', 'bash --norc -i'],
    ['of the terminal that we lead ourselves', undefined],
  ])('a hang-up %s reaches the child', async (_, shell) => {
    const log = join(box.root, shell === undefined ? 'hup1' : 'hup2');
    box.write(
      'hup',
      `#!/bin/bash\ntrap 'echo hup >> ${log}; n=1' HUP\necho ready\nwhile [ -z "$n" ]; do sleep 0.05; done\nsleep 0.5; echo end >> ${log}\n`,
      0o755,
    );
    const words = ['-e', 'T=text', '--file', 'F=text', '--', './hup'];
    let pty: IPty;
    if (shell === undefined) {
      const started = exec(...words.slice(2));
      await started.saw('ready');
      ({ pty } = started);
    } else {
      const started = terminal('bash', ['--norc', '-i']);
      await started.saw('sh> ');
      started.pty.write(`"$NODE" "$PROGRAM" exec ${words.join(' ')}\r`);
      await started.saw('ready');
      ({ pty } = started);
    }
    // Closes the terminal's other side, as a window that is closed does.
    (pty as IPty & { destroy(): void }).destroy();
    await until(
      () => existsSync(log) && readFileSync(log, 'utf8').includes('end'),
      () => 'the end',
    );
    // The shell sends one to its jobs, and the kernel another to the foreground group when the shell ends: without
    // us a program gets two in about one of six runs.
    expect(readFileSync(log, 'utf8')).toMatch(shell === undefined ? /^hup\nend\n$/ : /^(?:hup\n){1,2}end\n$/);
  });

  if (!CAN_REPLACE) {
    test('a signal from a program is passed on although we are in the foreground', async () => {
      const { pty, saw, ended } = exec(
        '--',
        'bash',
        '-c',
        'trap "echo usr1" USR1; trap "echo hup" HUP; trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done',
      );
      await saw('ready');
      pty.kill('SIGUSR1');
      await saw('usr1');
      pty.kill('SIGHUP');
      await saw('hup');
      pty.kill('SIGTERM');
      expect((await ended).exitCode).toBe(9);
    });
  }
});
