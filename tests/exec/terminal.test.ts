/** In a real pseudo-terminal, with a shell's job control where that matters. */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { spawn as spawnProcess } from 'node:child_process';
import { type IPty, spawn } from '@lydell/node-pty';
import { Box, CAN_REPLACE, NODE, PROGRAM, until } from './setup.ts';

let box: Box;
beforeAll(() => {
  box = new Box();
  box.put('text', 'plain-value');
});
afterAll(() => box.remove());

interface Terminal {
  readonly pty: IPty;
  shown(): string;
  saw(text: string | RegExp): Promise<void>;
  readonly ended: Promise<{ exitCode: number; signal?: number | undefined }>;
}

const open: IPty[] = [];
afterEach(() => {
  for (const pty of open.splice(0)) pty.kill('SIGKILL');
});

function terminal(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Terminal {
  const pty = spawn(file, [...args], {
    cols: 91,
    rows: 37,
    cwd: box.cwd,
    env: { ...box.env, NODE, PROGRAM, PS1: 'sh> ', TERM: 'xterm-256color', ...env },
  });
  open.push(pty);
  let output = '';
  pty.onData((data) => (output += data));
  return {
    pty,
    shown: () => output,
    saw: (text) =>
      until(
        () => (typeof text === 'string' ? output.includes(text) : text.test(output)),
        () => `${text} in ${JSON.stringify(output)}`,
      ),
    ended: new Promise((resolve) => pty.onExit(resolve)),
  };
}

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

  test('Ctrl-Z stops the job, and fg goes on with it', async () => {
    const shell = terminal('bash', ['--norc', '-i']);
    await shell.saw('sh> ');
    box.write(
      'job',
      `#!/bin/bash\necho ready; n=0; while [ $n -lt 600 ]; do sleep 0.05; n=$((n+1)); [ -e ${box.root}/go ] && echo moving && rm ${box.root}/go; done\n`,
      0o755,
    );
    shell.pty.write('"$NODE" "$PROGRAM" exec -e T=text --file F=text -- ./job\r');
    await shell.saw('ready');
    shell.pty.write('\u001a');
    await shell.saw('Stopped');
    shell.pty.write('fg\r');
    await shell.saw(/fg[^]*exec/);
    box.write('../go', '');
    await shell.saw('moving');
    shell.pty.write('\u0003');
    await shell.saw(/\^C[^]*sh> /);
    shell.pty.write('echo back $?\r');
    await shell.saw(/back 130/);
  });

  test.each([
    ['of the terminal that a shell runs in', 'bash --norc -i'],
    ['of the terminal that we lead ourselves', undefined],
  ])('a hang-up %s reaches the child once', async (_, shell) => {
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
    expect(readFileSync(log, 'utf8')).toBe('hup\nend\n');
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
