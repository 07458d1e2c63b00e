/** A shell's job control over a run, and over programs inside of it. */
import { Box, NODE, PROGRAM } from './setup.ts';
import { closeTerminals, inFront, openTerminal, type Terminal } from './terminals.ts';

let box: Box;
beforeAll(() => {
  box = new Box();
  box.put('text', 'plain-value');
});
afterAll(() => box.remove());
afterEach(closeTerminals);

const terminal = (file: string, args: readonly string[]): Terminal => openTerminal(box, file, args);
const exec = (...words: string[]): Terminal => terminal(NODE, [PROGRAM, 'exec', '-e', 'T=text', ...words]);

describe('with --redact', () => {
  test('Ctrl-Z stops the job with the terminal as the shell left it, and fg goes on with it', async () => {
    const shell = terminal('bash', ['--norc', '-i']);
    await shell.saw('sh> ');
    box.write(
      'masked-job',
      `#!/bin/bash\necho ready; until [ -e ${box.root}/go2 ]; do sleep 0.05; done; echo "moving $T"; read -r x; echo "got $x"\n`,
      0o755,
    );
    shell.pty.write('"$NODE" "$PROGRAM" exec --redact -e T=text -- ./masked-job\r');
    await shell.saw('ready');
    shell.pty.write('\u001a');
    await shell.saw('Stopped');
    shell.pty.write('stty -a | grep -ow -e -icanon -e icanon\r');
    await shell.saw(/\bicanon\r\n.*sh> /);
    box.write('../go2', '');
    shell.pty.write('fg\r');
    await shell.saw('moving ***');
    shell.pty.write('words\r');
    await shell.saw('got words');
    expect(shell.shown()).not.toContain('plain-value');
  });

  test('Ctrl-Z in a shell that is the program is that shell’s', async () => {
    const { pty, saw } = exec('--redact', '--', 'bash', '--norc', '-i');
    await saw('sh> ');
    pty.write('sleep 31\r');
    await saw(/sleep 31\r\n/);
    await inFront(['sleep', '31']);
    pty.write('\u001a');
    await saw('Stopped');
    pty.write('kill %1; echo still $((1+1))\r');
    await saw('still 2');
  });

  test('in the background it runs on, and takes keys once it is in front', async () => {
    const shell = terminal('bash', ['--norc', '-i']);
    await shell.saw('sh> ');
    shell.pty.write('"$NODE" "$PROGRAM" exec --redact -e T=text -- sh -c \'echo "up $T"; cat\' &\r');
    await shell.saw('up ***');
    shell.pty.write('jobs\r');
    await shell.saw('Running');
    shell.pty.write('fg\r');
    await shell.saw(/fg\r\n/);
    await shell.raw();
    shell.pty.write('words\r');
    await shell.saw(/words\r\nwords\r\n/);
    shell.pty.write('\u0004');
    await shell.saw(/words\r\n[^]*sh> /);
  });
});

describe('without --redact', () => {
  test('Ctrl-Z stops the job, and fg goes on with it', async () => {
    const shell = terminal('bash', ['--norc', '-i']);
    await shell.saw('sh> ');
    // It says that it moves last: a Ctrl-C that comes while `rm` runs is rm's alone, and bash goes on after it.
    box.write(
      'job',
      `#!/bin/bash\necho ready; n=0; while [ $n -lt 600 ]; do sleep 0.05; n=$((n+1)); [ -e ${box.root}/go ] && rm ${box.root}/go && echo moving; done\n`,
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
});
