/** Signals to `exec --restart-on-rotate`: they end a restart, and what they end is not restarted. */
import { FAST, kill, looks, pidsIn, RESTART, RotatingBox, SERVER, SLOW, starts } from './rotating.ts';
import { heardIn } from '../heard.ts';
import { type Running, until } from './setup.ts';

let box: RotatingBox;
beforeEach(() => {
  box = new RotatingBox();
});
afterEach(() => box.remove());
const start = (args: readonly string[]): Running => box.start(args);

describe('a signal to secrets while the program is being restarted', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    '%s: nothing is started again, and nothing left',
    async (signal) => {
      box.put('a', 'first');
      const slow =
        'trap "echo stopping; until [ -e go ]; do sleep 0.05; done; exit 7" TERM; trap "" INT HUP; echo "pid=$$ has=$V;"; while :; do sleep 0.05; done';
      const heard = heardIn(box.root);
      const run = box.start([...RESTART, '-e', 'V=a', '--', 'sh', '-c', slow], { env: heard.env });
      await run.saw('has=first;');
      box.secrets(['put', '--quiet', 'a'], 'second');
      await run.saw('stopping');
      run.process.kill(signal);
      await heard.saw(`got ${signal}`);
      box.write('go', '');
      expect((await run.ended).code).toBe(7);
      expect(starts(run.output.stdout)).toEqual(['first']);
      expect(pidsIn(run.output.stdout).some((pid) => kill(pid, 0))).toBe(false);
    },
    SLOW,
  );

  test(
    'one that it got before and outlived does not keep it from being restarted',
    async () => {
      box.put('a', 'first');
      const reloads = `trap "echo reloaded" HUP; ${SERVER}`;
      const args = ['exec', '--restart-on-rotate', ...FAST, '--stop-timeout', '1s', '--redact', '--debug'];
      const run = start([...args, '-e', 'V=a', '--', 'sh', '-c', reloads]);
      await run.saw('has=');
      run.process.kill('SIGHUP');
      await run.saw('reloaded');
      box.secrets(['put', '--quiet', 'a'], 'second');
      await until(
        () => starts(run.output.stdout).length === 2,
        () => run.output.stdout,
      );
      // Longer than a signal that asks for the end would let it live.
      await looks(run, 2);
      expect(kill(pidsIn(run.output.stdout)[1] ?? 0, 0)).toBe(true);
    },
    SLOW,
  );

  test(
    'a program that was told to end is not started again, however long it takes',
    async () => {
      box.put('a', 'first');
      const slow =
        'trap "until [ -e go ]; do sleep 0.05; done; exit 9" TERM; echo "pid=$$ has=$V;"; while :; do sleep 0.05; done';
      const heard = heardIn(box.root);
      const run = box.start([...RESTART, '-e', 'V=a', '--', 'sh', '-c', slow], { env: heard.env });
      await run.saw('has=first;');
      run.process.kill('SIGTERM');
      await heard.saw('got SIGTERM');
      box.secrets(['put', '--quiet', 'a'], 'second');
      // Nothing shows that it does not look any more: longer than a look and what follows would take.
      await new Promise((resolve) => setTimeout(resolve, 3000));
      box.write('go', '');
      expect((await run.ended).code).toBe(9);
      expect(starts(run.output.stdout)).toEqual(['first']);
    },
    SLOW,
  );
});
