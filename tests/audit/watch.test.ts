/** What `exec --restart-on-rotate` leaves in the log while it looks whether anything is new. */
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { looks, RESTART, RotatingBox, SERVER, SLOW, starts } from '../exec/rotating.ts';
import { until } from '../exec/setup.ts';
import { accessesIn, shortOf } from './program.ts';

let box: RotatingBox;
beforeEach(() => {
  box = new RotatingBox();
});
afterEach(() => box.remove());

const folder = (): string => join(box.home, '.local/state/secrets/audit');
/** What `exec` has recorded. */
const records = (): readonly string[] =>
  accessesIn(join(folder(), 'audit.jsonl'))
    .filter(({ command }) => command === 'exec')
    .map(shortOf);
const count = (record: string): number => records().filter((one) => one === record).length;
const sees = (record: string, times: number): Promise<void> =>
  until(
    () => count(record) === times,
    () => `${times} times ${record} in ${JSON.stringify(records())}`,
  );

const DESCRIBED = 'describe local://a allowed';
const READ = 'read local://a allowed';

test(
  'the first look is recorded and each that finds something new, and no other',
  async () => {
    box.put('a', 'first');
    const run = box.start([...RESTART, '--debug', '-e', 'V=a', '--', 'sh', '-c', SERVER]);
    await run.saw('has=first;');
    await sees(DESCRIBED, 1);
    await looks(run, 3);
    expect(records()).toEqual([READ, DESCRIBED]);

    box.put('a', 'second');
    await run.saw('has=second;');
    await looks(run, 2);
    expect(records()).toEqual([READ, DESCRIBED, DESCRIBED, READ]);

    // An error after a success, again and again, and a success after it.
    const store = join(box.home, '.local/share/secrets/store');
    const missing = 'describe local://a failed NotFound';
    renameSync(store, `${store}-away`);
    await sees(missing, 1);
    await looks(run, 2, /keeps the secrets/g);
    expect([count(missing), count(DESCRIBED)]).toEqual([1, 2]);
    rmSync(store, { recursive: true, force: true });
    renameSync(`${store}-away`, store);
    await sees(DESCRIBED, 3);
    run.process.kill('SIGTERM');
    await run.ended;
    expect([count(missing), count(DESCRIBED)]).toEqual([1, 3]);
  },
  SLOW,
);

test(
  'so it is with prefixes, whose looks are listings',
  async () => {
    box.put('app/V', 'first');
    const run = box.start([
      ...RESTART,
      '--debug',
      '--from',
      'local://app/',
      '--prefix',
      'APP_',
      '--',
      'sh',
      '-c',
      SERVER.replaceAll('$V', '$APP_V'),
    ]);
    await run.saw('has=first;');
    const listed = 'list local://app/ allowed';
    // One by the start, one by the first look.
    await sees(listed, 2);
    await looks(run, 2);
    expect(count(listed)).toBe(2);
    box.put('app/W', 'more');
    await until(
      () => starts(run.output.stdout).length === 2,
      () => run.output.stdout,
    );
    // One look that found it, and one to read what is there now.
    expect(count(listed)).toBe(4);
    expect(count('read local://app/W allowed')).toBe(1);
  },
  SLOW,
);

test(
  'with audit.log: required the program gets no new value that could not be recorded',
  async () => {
    box.put('a', 'first');
    const settings = box.write('secrets.yaml', 'audit: { log: required }\n');
    const run = box.start([...RESTART, '--debug', '-e', 'V=a', '--', 'sh', '-c', SERVER]);
    await run.saw('has=first;');
    await sees(DESCRIBED, 1);
    // The record is there before its writer has done with the folder.
    await until(
      () => !readdirSync(folder()).some((name) => name.endsWith('.lock')),
      () => readdirSync(folder()).join(' '),
    );
    renameSync(folder(), `${folder()}-away`);
    writeFileSync(folder(), '');
    // Polls that find nothing new are not recorded, so they need no log.
    await looks(run, 2);
    expect(run.output.stderr).not.toMatch(/warning|keeps the secrets/);
    rmSync(settings);
    box.put('a', 'second');
    await until(
      () => run.output.stderr.includes('the program keeps the secrets it has'),
      () => run.output.stderr,
    );
    expect(starts(run.output.stdout)).toEqual(['first']);
    rmSync(folder());
    renameSync(`${folder()}-away`, folder());
    await run.saw('has=second;');
    expect(existsSync(folder())).toBe(true);
    expect(records()).toEqual([READ, DESCRIBED, DESCRIBED, READ]);
  },
  SLOW,
);
