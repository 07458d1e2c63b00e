import { existsSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Box, childrenOf } from './setup.ts';

let box: Box;
beforeAll(() => {
  box = new Box();
  box.put('text', 'plain');
  box.put('bin', Buffer.from([0xff, 0xfe, 0x41]));
});
afterAll(() => box.remove());

describe('a value as a file', () => {
  const LOOK = [
    '--',
    'sh',
    '-c',
    'stat -c %a "$F"; stat -c %a "$(dirname "$F")"; stat -f -c %T "$F"; cat "$F"; printf "\\n%s" "$F"',
  ];

  test('has its bytes, for the owner alone, in memory, and is gone afterwards', async () => {
    const { stdout, code } = await box.run(['exec', '--file', 'F=text', ...LOOK]);
    const [file, folder, kind, value, path = ''] = stdout.split('\n');
    expect({ code, file, folder, kind, value }).toEqual({
      code: 0,
      file: '600',
      folder: '700',
      kind: 'tmpfs',
      value: 'plain',
    });
    expect(existsSync(dirname(path))).toBe(false);
  });

  test('may be of any bytes', async () => {
    const { stdout } = await box.run(['exec', '--file', 'F=bin', '--', 'sh', '-c', 'od -An -tx1 "$F"']);
    expect(stdout.trim()).toBe('ff fe 41');
  });

  test('is in XDG_RUNTIME_DIR when that is private', async () => {
    const { stdout } = await box.run(['exec', '--file', 'F=text', '--', 'sh', '-c', 'echo "$F"'], {
      env: { XDG_RUNTIME_DIR: box.home },
    });
    expect(stdout.startsWith(`${box.home}/secrets-exec-`)).toBe(true);
    expect(readdirSync(box.home).filter((name) => name.startsWith('secrets-exec-'))).toEqual([]);
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)('is gone after %s', async (signal) => {
    const running = box.start([
      'exec',
      '--file',
      'F=text',
      '--',
      'sh',
      '-c',
      'echo "$F"; echo ready; exec sleep 30',
    ]);
    await running.saw('ready');
    running.process.kill(signal);
    const { stdout } = await running.ended;
    const path = stdout.split('\n')[0] ?? '';
    expect(path).toContain('/secrets-exec-');
    expect(existsSync(dirname(path))).toBe(false);
  });

  test('is removed by the next run after SIGKILL of the guard as well, while files of a living run stay', async () => {
    const script = ['--', 'sh', '-c', 'echo "$F"; echo $$ ready; exec sleep 30'];
    const crashed = box.start(['exec', '--file', 'F=text', ...script]);
    const living = box.start(['exec', '--file', 'F=text', ...script]);
    await Promise.all([crashed.saw('ready'), living.saw('ready')]);
    // As when the machine loses power, or a container is killed: the guard ends too.
    for (const guard of childrenOf(crashed.process.pid, 'sh -c')) process.kill(guard, 'SIGKILL');
    crashed.process.kill('SIGKILL');
    await new Promise((resolve) => crashed.process.once('exit', resolve));
    const folder = dirname(dirname(living.output.stdout.split('\n')[0] ?? ''));
    const { stdout: paths } = await box.run([
      ...['exec', '--allow-empty', '--', 'sh', '-c', `ls -d ${folder}/secrets-exec-*`],
    ]);
    living.process.kill('SIGTERM');
    const living1 = (await living.ended).stdout.split('\n')[0] ?? '';
    expect(paths).toContain(dirname(living1));
    // The child outlives both.
    process.kill(Number(/(\d+) ready/.exec(crashed.output.stdout)?.[1]));
    const crashed1 = (await crashed.ended).stdout.split('\n')[0] ?? '';
    expect(crashed1).toContain('/secrets-exec-');
    expect(paths).not.toContain(dirname(crashed1));
    expect(existsSync(dirname(crashed1))).toBe(false);
  });
});
