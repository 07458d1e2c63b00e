import { PassThrough } from 'node:stream';
import { startProgress } from '../../src/output/progress.ts';
import { singleLine } from '../../src/core/text/sanitize.ts';
import { Session } from '../../src/session/session.ts';
import type { CommonOptions } from '../../src/session/options.ts';

function makeSession(
  isTTY: boolean,
  options: CommonOptions = {},
  { shared = false, columns = 20 } = {},
): { session: Session; shown: () => string } {
  const stderr = Object.assign(new PassThrough(), { isTTY, columns });
  const session = new Session(
    {
      argv: [],
      env: {},
      cwd: '/',
      home: '/',
      machineFolder: '/nonexistent',
      uid: 0,
      names: () => ({ user: 'ann', host: 'laptop' }),
      stdin: new PassThrough(),
      stdout: shared ? stderr : new PassThrough(),
      stderr,
      now: () => new Date(0),
      providers: [],
      targets: async () => [],
      onSignal: () => () => {},
    },
    options,
  );
  return { session, shown: () => String(stderr.read() ?? '') };
}

interface Asked {
  readonly give: (text: string) => void;
  readonly asked: Promise<string>;
}

/** The clock of these tests, which nothing else moves. */
let time = 0;
const clock = Date.now;
beforeAll(() => {
  Date.now = () => time;
});
afterAll(() => {
  Date.now = clock;
});
/** So much later, when all that can be done without waiting is done. */
const wait = (ms: number): Promise<void> => {
  time += ms;
  return new Promise((resolve) => setImmediate(resolve));
};

describe('progress', () => {
  test('shows nothing for what takes less than half a second', async () => {
    const { session, shown } = makeSession(true);
    const progress = startProgress(session);
    progress.update('1 secrets');
    await wait(499);
    progress.update('2 secrets');
    progress.done();
    expect(shown()).toBe('');
  });

  test('shows a clean line that fits, and takes it away', async () => {
    const { session, shown } = makeSession(true);
    const progress = startProgress(session);
    await wait(500);
    progress.update('1 secrets \u001b[31mred\u0007');
    expect(shown()).toBe('\r\u001b[2K1 secrets \\u001b[31');
    progress.done();
    expect(shown()).toBe('\r\u001b[2K');
  });

  test.each([
    ['a pipe', false, {}],
    ['--quiet', true, { quiet: true }],
    ['--json', true, { json: true }],
  ])('shows nothing with %s', async (_, isTTY, options) => {
    const { session, shown } = makeSession(isTTY, options);
    const progress = startProgress(session);
    await wait(550);
    progress.update('1 secrets');
    progress.done();
    expect(shown()).toBe('');
  });
});

describe('at a terminal that shows output and progress', () => {
  const atTerminal = (columns?: number): { session: Session; shown: () => string } =>
    makeSession(true, {}, { shared: true, columns });

  test('a line of output takes the place of the progress line', async () => {
    const { session, shown } = atTerminal();
    const progress = startProgress(session);
    await wait(550);
    progress.update('1 secrets');
    await session.print('a\n');
    await session.print('b\n');
    progress.done();
    expect(shown()).toBe('\r\u001b[2K1 secrets\r\u001b[2Ka\nb\n');
  });

  test('so does a warning', async () => {
    const { session, shown } = atTerminal();
    const progress = startProgress(session);
    await wait(550);
    progress.update('1 secrets');
    session.warn('b');
    await session.output.said();
    expect(shown()).toBe('\r\u001b[2K1 secrets\r\u001b[2Ksecrets: warning: b\n');
  });

  test('while a question is open, output waits and there is no progress', async () => {
    const { session, shown } = atTerminal();
    const progress = startProgress(session);
    await wait(550);
    progress.update('1 secrets');
    const [first, second] = [0, 1].map(() => {
      let give: (text: string) => void = () => {};
      const answer = new Promise<string>((resolve) => (give = resolve));
      return { give, asked: session.statusLine.ask(() => answer) };
    }) as [Asked, Asked];
    expect(shown()).toBe('\r\u001b[2K1 secrets\r\u001b[2K');
    const printed = session.print('a\n');
    await wait(150);
    progress.update('2 secrets');
    first.give('x');
    expect(await first.asked).toBe('x');
    await wait(20);
    expect(shown()).toBe('');
    second.give('y');
    await printed;
    expect(shown()).toBe('a\n');
    await wait(120);
    progress.update('3 secrets');
    expect(shown()).toBe('\r\u001b[2K3 secrets');
  });

  test('a terminal of unknown size shows the whole line', async () => {
    const { session, shown } = atTerminal(0);
    session.statusLine.draw('1 secrets of many more');
    expect(shown()).toBe('\r\u001b[2K1 secrets of many more');
  });
});

test('a provider says what it waits for; the next line of output takes its place', async () => {
  const { session, shown } = makeSession(true);
  const { progress } = session.stores.providerContext('cloud');
  progress?.('a is going');
  // What shows it is loaded when it is asked for, here a second time.
  await session.output.showProgress('a is going');
  await wait(500);
  progress?.('a is going');
  let text = '';
  while (text === '') {
    await wait(0);
    text = shown();
  }
  expect(text).toBe('\r\u001b[2Ka is going');
  session.note('done');
  expect(shown()).toBe('\r\u001b[2Kdone\n');
});

describe('singleLine', () => {
  test.each([
    ['\u001b]0;title\u0007', '\\u001b]0;title\\u0007'],
    ['a\nb', 'a b'],
    ['a\rb', 'a\\u000db'],
    ['\u009b31m', '\\u009b31m'],
    ['abc\u202etxt.exe', 'abc\\u202etxt.exe'],
    ['\u2066x\u2069', '\\u2066x\\u2069'],
    ['ünïcode 漢字 🙂', 'ünïcode 漢字 🙂'],
  ])('makes %j harmless', (text, clean) => {
    expect(singleLine(text)).toBe(clean);
  });
});
