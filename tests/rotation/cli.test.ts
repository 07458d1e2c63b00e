/** `secrets rotate` as operators and cron run it: what is due, in which order, and how failures are told. */
import { rmSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makePlace, type Outcome, type Place } from '../e2e/program.ts';

const DAY_MS = 86_400_000;

describe('secrets rotate', () => {
  let place: Place;
  beforeEach(async () => {
    place = await makePlace();
  });
  afterEach(() => place.remove());

  const sh = (script: string): Promise<Outcome> => place.sh(script, { SECRETS_LOCAL_KEY_METHOD: 'key-file' });
  const ok = async (script: string): Promise<string> => {
    const { code, stdout, stderr } = await sh(script);
    expect([script, code, stderr.replace(/^secrets: warning: made an encrypted store .*\n/, '')]).toEqual([
      script,
      0,
      '',
    ]);
    return stdout;
  };
  const policies = (rotation: object): void =>
    writeFileSync(join(place.cwd, 'secrets.yaml'), JSON.stringify({ rotation }));
  const lines = (text: string): Record<string, unknown>[] =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const day = (offset: number): string =>
    `${new Date(Date.now() + offset * DAY_MS).toISOString().slice(0, 19).replaceAll(/[-:]/g, '').toLowerCase()}z`;

  test('without trust or a policy changes nothing', async () => {
    await ok('printf first | secrets put --quiet a');
    policies({ a: { every: '1d' } });
    expect(await sh('secrets rotate a')).toMatchObject({
      code: 8,
      stderr: expect.stringMatching(/line 1: rotation\.a: secrets rotate gives this secret new values/),
    });
    expect(await sh('secrets rotate b --trust')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/no rotation policy/),
    });
    // On a machine without the policy nobody can ask the target.
    expect(await sh('secrets rotate resume b --trust')).toMatchObject({ code: 2 });
    expect(await ok('secrets get a')).toBe('first');
  });

  test('a mistake in a policy is named with its line', async () => {
    writeFileSync(join(place.cwd, 'secrets.yaml'), 'rotation:\n  a:\n    evry: 30d\n');
    expect((await sh('secrets rotate --due')).stderr).toMatch(
      /secrets\.yaml:3: unknown key .*evry.*did you mean every/,
    );
    writeFileSync(join(place.cwd, 'secrets.yaml'), 'rotation:\n  a: { target: { type: nonne } }\n');
    expect((await sh('secrets rotate --due')).stderr).toMatch(
      /secrets\.yaml:2: unknown target of a.*did you mean none/,
    );
    writeFileSync(join(place.cwd, 'secrets.yaml'), 'rotation:\n  a: { every: 30 days }\n');
    expect((await sh('secrets rotate --due')).stderr).toMatch(/secrets\.yaml:2: .*a duration such as/);
  });

  test('--due does what is due, one line for each, goes on past failures, and exits with 7', async () => {
    policies({
      parallel: 2,
      jitter: '1s',
      fresh: { every: '30d' },
      new: { every: '30d' },
      text: { every: '1d', keys: ['password'] },
      keyed: { every: '1d', keys: ['password'], generate: 'hex:8' },
      manual: { keys: ['password'] },
    });
    await ok('printf v | secrets put --quiet fresh; printf v | secrets put --quiet text');
    await ok(`printf '{"user":"u","password":"p"}' | tee keyed | secrets put --quiet keyed`);
    await ok('secrets put --quiet manual < keyed');
    // As if a year had passed: --max-age is for emergencies, and takes the place of `every`.
    const { code, stdout, stderr } = await sh(
      'sleep 1.1; secrets rotate --max-age 1s --create --trust --json',
    );
    expect(code).toBe(7);
    expect(JSON.parse(stderr)).toMatchObject({
      error: { kind: 'Partial', message: '1 of 5 rotations failed' },
    });
    const told = lines(stdout);
    expect(
      told.map(({ reference, outcome }) => `${String(reference)} ${String(outcome)}`).toSorted(),
    ).toEqual([
      'local://fresh done',
      'local://keyed done',
      'local://manual done',
      'local://new done',
      'local://text unchanged',
    ]);
    expect(told.find(({ reference }) => reference === 'local://text')).toMatchObject({
      error: { kind: 'Invalid', exitCode: 2 },
    });
    expect(JSON.parse(await ok('secrets get keyed'))).toEqual({
      user: 'u',
      password: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
    expect(await ok('secrets get text')).toBe('v');
    // Nothing is due any more but what is not possible.
    const again = await sh('secrets rotate --due --trust --json');
    expect([again.code, again.stdout]).toEqual([0, '']);
  });

  test('the failure of the one that is due keeps its own code; beside another it is 7', async () => {
    const bad = { every: '1s', target: { type: 'program', apply: '/nonexistent' } };
    policies({ a: bad, fresh: { every: '30d' } });
    await ok('for name in a b fresh; do printf v | secrets put --quiet $name; done; sleep 1.1');
    const one = await sh('secrets rotate --due --trust --json');
    expect(one.code).not.toBe(7);
    expect(JSON.parse(one.stderr)).toMatchObject({
      error: { reference: 'local://a', exitCode: one.code },
    });
    expect(JSON.parse(one.stdout)).toMatchObject({ error: { exitCode: one.code } });
    policies({ a: bad, b: { every: '1s' } });
    const several = await sh('secrets rotate --due --trust');
    expect(several.code).toBe(7);
    expect(several.stderr).toMatch(/1 of 2 rotations failed/);
  });

  test('takes a list of references from stdin', async () => {
    policies({ a: {}, b: {}, c: {} });
    for (const name of ['a', 'b', 'c']) await ok(`printf v | secrets put --quiet ${name}`);
    await ok(`printf '# read since yesterday\\nlocal://a\\n\\n b\\n' | secrets rotate - --trust`);
    expect(
      await Promise.all(['a', 'b', 'c'].map(async (name) => (await ok(`secrets get ${name}`)).length)),
    ).toEqual([32, 32, 1]);
  });

  test('--dry-run shows the plan and changes nothing', async () => {
    policies({ a: { every: '1d', generate: 'alnum:20' } });
    await ok('printf v | secrets put --quiet a');
    expect(await ok('secrets rotate a --dry-run --trust')).toMatch(
      /^local:\/\/a: would rotate the whole value: .*\(119 bits\), target none\n {2}ok target: /,
    );
    expect(await ok('secrets history a | wc -l')).toMatch(/^1$/m);
    await ok('printf x | secrets put --quiet b');
    expect(await sh('secrets rotate --generate hex:8 a b --trust --dry-run')).toMatchObject({ code: 0 });
    // What the run would refuse, the plan does: a text has no keys, and nobody asked for a new secret.
    expect(await sh('secrets rotate --generate hex:8 b#x --trust --dry-run')).toMatchObject({ code: 2 });
    expect(await sh('secrets rotate --generate hex:8 missing --dry-run')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('--create'),
    });
  });

  test('a value is replaced where its form is understood, and a secret that is missing created when asked', async () => {
    const rotate = (reference: string): Promise<Outcome> =>
      sh(`secrets rotate ${reference} --generate alnum:10`);
    await ok(`printf '{"n":1.10,"password":"p","port":5432}' | secrets put --quiet json`);
    expect(await rotate('json')).toMatchObject({ code: 2, stderr: expect.stringContaining('#password') });
    expect(await ok('secrets get json')).toBe('{"n":1.10,"password":"p","port":5432}');
    await ok('secrets rotate json#password --generate alnum:10');
    expect(await ok('secrets get json')).toMatch(/^\{"n":1\.10,"password":"[A-Za-z0-9]{10}","port":5432\}$/);
    expect(await rotate('missing')).toMatchObject({ code: 3, stderr: expect.stringContaining('--create') });
    expect(await sh('secrets get missing')).toMatchObject({ code: 3 });
    await ok('secrets rotate missing --generate alnum:10 --create');
    expect(await ok('secrets get missing')).toHaveLength(10);
  });

  test('status is sorted by urgency, and knows labels, stuck rotations and who left them', async () => {
    policies({ never: { every: '1d' }, fine: { every: '30d' }, none: {} });
    await ok('printf v | secrets put --quiet fine; printf v | secrets put --quiet none');
    await ok('printf v | secrets put --quiet labelled --label rotate-every=12h');
    await ok('printf v | secrets put --quiet other --label team=x');
    const killer = join(process.cwd(), 'tests/rotation/kill-at.cjs');
    const killed = await place.sh(
      'printf v | secrets put --quiet stuck; secrets rotate --generate hex:8 stuck; exit $?',
      {
        SECRETS_LOCAL_KEY_METHOD: 'key-file',
        NODE_OPTIONS: `--require=${killer}`,
        KILL_AT: '7 before',
      },
    );
    expect(killed.code).toBe(137);
    type Rows = { secrets: { reference: string; state: string; holder?: { host: string; user: string } }[] };
    const rows = async (): Promise<Rows['secrets']> =>
      (JSON.parse(await ok('secrets rotate status --trust --json')) as Rows).secrets;
    expect((await rows()).map(({ reference, state }) => `${reference} ${state}`)).toEqual([
      'local://never never',
      'local://stuck rotating',
      'local://labelled ok',
      'local://fine ok',
      'local://none unscheduled',
    ]);
    // Held, and by whom; not taken over before its lease.
    expect(await sh('secrets rotate --generate hex:8 stuck')).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/a rotation is under way: \S+@\S+ since \d{4}-.*holds it/),
    });
    policies({ lease: '1s', stuck: { every: '1d' } });
    // Since its lease was taken at least this long has passed then.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const holder = (await rows())[0]?.holder;
    expect(holder).toMatchObject({ host: expect.any(String), user: expect.any(String) });
    await ok('secrets rotate rollback stuck --without-target --take-over --trust');
    expect(await ok('secrets get stuck')).toBe('v');
  });

  test('a stored value that is wrong already is said at once, and by status too, until it is put right', async () => {
    writeFileSync(join(place.cwd, 'verify'), '#!/bin/sh\ngrep -q right || exit 10\n', { mode: 0o755 });
    policies({ a: { target: { type: 'program', apply: '/bin/true', verify: './verify' } } });
    await ok('printf other-7f21 | secrets put --quiet a');
    for (let again = 0; again < 2; again += 1)
      expect(await sh('secrets rotate a --trust')).toMatchObject({
        code: 4,
        stderr: expect.stringMatching(/wrong already; store the working value with secrets put/),
      });
    expect(await ok('secrets history a')).toMatch(/^1\s.*\n$/);
    const row = async (): Promise<Record<string, unknown> | undefined> =>
      (JSON.parse(await ok('secrets rotate status --trust --json')) as { secrets: Record<string, unknown>[] })
        .secrets[0];
    expect(await row()).toMatchObject({
      todo: expect.stringMatching(/then secrets rotate local:\/\/a: .*wrong already/),
      lastFailure: { at: expect.any(String), reason: expect.stringContaining('wrong already') },
    });
    await ok('sleep 1; printf right | secrets put --quiet a');
    expect(await row()).not.toHaveProperty('lastFailure');
  });

  test('resume and rollback with nothing to do say so, in a script too', async () => {
    policies({ a: {} });
    await ok('printf v | secrets put --quiet a');
    for (const verb of ['resume', 'rollback'])
      expect(await sh(`secrets rotate ${verb} a --trust`)).toEqual({
        code: 0,
        stdout: '',
        stderr: 'secrets: warning: local://a: no rotation is under way\n',
      });
    expect(await ok('secrets rotate resume a --trust --quiet')).toBe('');
  });

  test('--to-previous takes a rotation back while its grace time lasts, and says so when it is over', async () => {
    policies({ a: { grace: '1h' } });
    await ok('printf first | secrets put --quiet a; secrets rotate a --trust');
    const second = await ok('secrets get a');
    await ok('secrets rotate rollback a --to-previous --trust');
    expect([await ok('secrets get a'), await ok('secrets get "a?stage=previous"')]).toEqual([
      'first',
      second,
    ]);
    policies({ a: { grace: '1s' } });
    await ok('secrets rotate a --trust; sleep 2');
    expect(await sh('secrets rotate rollback a --to-previous --trust')).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/the grace time of the previous value ended at \d{4}-/),
    });
  });

  test('writes a private journal of every step, without values', async () => {
    await ok('printf first | secrets put --quiet a; secrets rotate --generate alnum:32 a');
    const value = await ok('secrets get a');
    const folder = join(place.home, '.local/state/secrets/rotation');
    const file = join(folder, 'journal.jsonl');
    expect([statSync(folder).mode & 0o777, statSync(file).mode & 0o777]).toEqual([0o700, 0o600]);
    const text = readFileSync(file, 'utf8');
    const steps = lines(text).map(({ step, outcome }) => `${String(step)} ${String(outcome)}`);
    expect(steps.slice(0, 5)).toEqual([
      'begin rotate',
      'look undefined',
      'look none',
      'prepare undefined',
      'prepare ok',
    ]);
    expect(steps.at(-1)).toBe('end done');
    for (const word of [value, 'first']) expect(text).not.toContain(word);
    expect(readdirSync(folder)).toContain('journal.jsonl');
  });

  test('a journal that can’t be written is no reason not to rotate', async () => {
    await ok('printf first | secrets put --quiet a');
    const state = join(place.home, '.local/state/secrets');
    rmSync(state, { recursive: true });
    writeFileSync(state, '');
    // The audit log can't be written either, and says so once.
    const { code, stderr } = await sh('secrets rotate --generate alnum:32 a');
    expect({ code, lines: stderr.trim().split('\n') }).toEqual({
      code: 0,
      lines: [expect.stringMatching(/^secrets: warning: this access is not recorded: /) as string],
    });
    expect(await ok('secrets get a --quiet')).toHaveLength(32);
  });

  test('a label of an old rotation, or of a later date, is believed as the clock says', async () => {
    policies({ a: { every: '30d' }, b: { every: '30d' } });
    await ok(`printf v | secrets put --quiet a --label last-rotated=${day(-40)}`);
    await ok(`printf v | secrets put --quiet b --label last-rotated=${day(3)}`);
    // Written a moment ago: that is the newest change of a.
    expect(JSON.parse(await ok('secrets rotate status --trust --json'))).toMatchObject({
      secrets: [
        { reference: 'local://a', state: 'ok' },
        { reference: 'local://b', state: 'ok' },
      ],
    });
  });
});
