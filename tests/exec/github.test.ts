/** GitHub Actions: values are registered with the runner, which reads commands from a step's output. */
import { RUNNER } from './runner.ts';
import { Box } from './setup.ts';

let box: Box;
let runner: string;
beforeAll(() => {
  box = new Box();
  runner = box.write('Runner.Worker', RUNNER, 0o755);
  box.put('text', 'plain-value');
  box.put('short', 'abc');
  box.put('odd', '100%\r\nof two lines');
  box.put('json', JSON.stringify({ user: 'app', password: 'hunter2000' }));
  box.put('url', 'postgres://app:correct-horse@db/app');
});
afterAll(() => box.remove());

const GITHUB = { GITHUB_ACTIONS: 'true', CI: 'true' };

/** The masks that a step registers, in bash whose own streams are the step's. */
async function masksOf(words: string): Promise<{ masks: string[]; stdout: string; stderr: string }> {
  const before = [runner, 'bash', '-c', words.replaceAll('secrets', '"$@"'), 'bash'];
  const { stdout, stderr } = await box.run([], { env: GITHUB, before });
  const masks = [...`${stdout}${stderr}`.matchAll(/^::add-mask::(.*)$/gm)].map(([, mask = '']) => mask);
  return { masks: masks.toSorted(), stdout, stderr };
}

describe('on GitHub Actions', () => {
  test('exec registers each value and its lines, escaped, before the program starts', async () => {
    const { masks, stdout } = await masksOf('secrets exec -e A=text -e B=odd -e C=short -- echo started');
    expect(masks).toEqual(['100%25', '100%25%0D%0Aof two lines', 'of two lines', 'plain-value'].toSorted());
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('started');
  });

  test('exec registers the strings of a JSON value and a URL’s password', async () => {
    const { masks } = await masksOf('secrets exec -e A=json -e B=url -- true');
    expect(masks).toEqual(expect.arrayContaining(['hunter2000', 'correct-horse']));
    expect(masks).not.toContain('app');
  });

  test.each([
    ['a file', 'secrets exec -e A=text -- echo started > out; cat out'],
    ['a pipe', 'secrets exec -e A=text -- echo started | cat'],
  ])('a program whose output is %s has no command in it', async (_, words) => {
    const { masks, stdout, stderr } = await masksOf(words);
    expect({ masks, stdout }).toEqual({ masks: ['plain-value'], stdout: 'started\n' });
    expect(stderr).toContain('::add-mask::plain-value');
  });

  test.each([
    ['files', 'secrets exec -e A=text -- echo started > out 2> err; cat out err'],
    ['a command substitution', 'A=$(secrets exec -e A=text -- echo started 2>&1); echo "$A"'],
    [
      'one of a script in a script',
      `bash -c 'A=$("$@" 2>&1; :); echo "$A"' bash secrets exec -e A=text -- echo started`,
    ],
    ['a subshell’s', '(secrets exec -e A=text -- echo started) 2>&1 | cat'],
    ['tee', 'secrets exec -e A=text -- echo started 2>&1 | tee copy'],
    [
      'a redirected script',
      'exec > >(cat) 2>&1; secrets exec -e A=text -- echo started; exec >&- 2>&-; wait',
    ],
  ])('values that go nowhere but to %s are warned of, once', async (_, words) => {
    const { masks, stdout } = await masksOf(words);
    expect(masks).toEqual([]);
    expect(stdout.split('\n').toSorted().filter(Boolean)).toEqual([
      expect.stringMatching(/^secrets: warning: the values are not registered with the runner/),
      'started',
    ]);
  });

  test('a variable that takes the output holds no command', async () => {
    const { masks, stdout } = await masksOf('A=$(secrets exec -e T=text -- echo hi || true); echo "A is $A"');
    expect({ masks, stdout }).toEqual({ masks: ['plain-value'], stdout: 'A is hi\n' });
  });

  test('without a runner nothing is printed', async () => {
    const { stdout, stderr } = await box.run(['exec', '-e', 'A=text', '--', 'echo', 'x'], { env: GITHUB });
    expect(stdout).toBe('x\n');
    expect(stderr).toMatch(/^secrets: warning: the values are not registered/);
  });

  test('env registers on stderr, and its output is the variables alone', async () => {
    const { stdout, stderr } = await masksOf('secrets env -e A=text --format github | cat');
    expect(stdout).toMatch(/^A<<(secrets_[0-9a-f]{32})\nplain-value\n\1\n$/);
    expect(stderr).toBe('::add-mask::plain-value\n');
  });

  test('env --format github prints nothing that the log would show: without a runner, or where stderr leads elsewhere', async () => {
    const refused = {
      code: 8,
      stdout: '',
      stderr: expect.stringMatching(/not registered with the runner.*--mask-on-stderr/s) as string,
    };
    const args = ['env', '-e', 'A=text', '--format', 'github'];
    expect(await box.run(args, { env: GITHUB })).toMatchObject(refused);
    const { masks, stdout } = await masksOf('secrets env -e A=text --format github 2>err | cat; cat err');
    expect({ masks, stdout }).toEqual({ masks: [], stdout: refused.stderr });
  });

  test.each([
    [['env', '-e', 'A=text', '--format', 'github'], /^A<</],
    [['exec', '-e', 'A=text', '--redact', '--', 'echo', 'x'], /^x$/m],
    [['inject'], /^plain-value$/m],
  ])('--mask-on-stderr: %j registers there without a runner that can be seen', async (args, wanted) => {
    const [command = '', ...rest] = args;
    const all = [command, '--mask-on-stderr', ...rest];
    const { code, stdout, stderr } = await box.run(all, { env: GITHUB, input: '{{ text }}' });
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: expect.stringMatching(wanted) as string,
      stderr: '::add-mask::plain-value\n',
    });
    expect((await box.run(all, { input: '{{ text }}' })).stderr).not.toContain('plain-value');
  });

  test('elsewhere nothing is registered', async () => {
    const { stdout, stderr } = await box.run(['exec', '-e', 'A=text', '--', 'echo', 'x']);
    expect({ stdout, stderr }).toEqual({ stdout: 'x\n', stderr: '' });
  });
});
