/** What is looked at before a rotation's first effect: nothing is stored, applied or generated for good when it fails. */
import type { Provider } from '../../src/providers/provider.ts';
import type { TargetFinding } from '../../src/rotation/target.ts';
import { FakeSystem, look, type Manner, MANNERS, rotateOn, type RunOptions } from './kit.ts';
import { now } from '../contract/kit.ts';
import { STORES } from './stores.ts';

const [replacing] = MANNERS as [Manner, ...Manner[]];

describe('before the first effect', () => {
  let provider: Provider;
  let stop: () => Promise<void>;
  let count = 0;
  beforeAll(async () => {
    const local = STORES.find(({ title }) => title === 'local');
    if (local === undefined) throw new Error('the local store is always there');
    ({ provider, stop } = await local.start());
  });
  afterAll(async () => {
    await provider.close();
    await stop();
  });

  /** A system that says what it found, and fails the test when it is told to change anything. */
  class Checked extends FakeSystem {
    findings: readonly TargetFinding[] = [];
    override target(): ReturnType<FakeSystem['target']> {
      return { ...super.target(), check: async () => this.findings };
    }
  }

  async function begin(
    value: string | undefined,
    { findings = [], ...options }: RunOptions & { findings?: readonly TargetFinding[] } = {},
  ) {
    count += 1;
    const name = `checked-${count}`;
    if (value !== undefined)
      await provider.put(name, { value: Buffer.from(value) }, { signal: AbortSignal.timeout(120_000) });
    const system = new Checked(replacing, 'first');
    system.findings = findings;
    system.trouble = (call) => {
      if (call === 'apply') throw new Error('told the system');
    };
    const outcome = await rotateOn(provider, name, system, options);
    return { name, outcome };
  }

  const untouched = async (name: string, value: string | undefined): Promise<void> => {
    const { current, pending, previous } = await look(provider, name);
    expect([current && Buffer.from(current.value).toString(), pending, previous]).toEqual([
      value,
      undefined,
      undefined,
    ]);
  };

  test.each<[string, string | undefined, RunOptions, object]>([
    [
      'a secret that is missing',
      undefined,
      {},
      { kind: 'NotFound', hint: expect.stringContaining('--create') },
    ],
    [
      'a JSON secret of which no key is named',
      '{"a":1,"password":"first"}',
      { keys: [] },
      { kind: 'Usage', hint: expect.stringContaining('#password') },
    ],
    [
      'a form that is not understood',
      'app:first@tcp(h:3306)/db',
      { keys: [] },
      { kind: 'Invalid', message: expect.stringContaining('not known here') },
    ],
    [
      'an old password in a place where it can’t be replaced',
      '{"password":"first","note":"it was first"}',
      {},
      { kind: 'Invalid', message: expect.stringContaining('also in note') },
    ],
    ['a list', '["first"]', { keys: [] }, { kind: 'Invalid' }],
  ])('%s is refused', async (_title, value, options, error) => {
    const { name, outcome } = await begin(value, options);
    expect(outcome).toMatchObject({ ending: 'unchanged', error });
    await untouched(name, value);
  });

  test('what the target finds wrong ends it, four times over, without a version', async () => {
    const finding = {
      check: 'sign-in',
      status: 'fail',
      kind: 'Unauthenticated',
      detail: 'refused',
      hint: 'mend it',
    } as const;
    const { name, outcome } = await begin('{"password":"wrong"}', { findings: [finding] });
    const error = { kind: 'Unauthenticated', message: 'sign-in: refused', hint: 'mend it' };
    expect(outcome).toMatchObject({ ending: 'unchanged', error });
    const system = new Checked(replacing, 'first');
    system.findings = [finding];
    for (let again = 0; again < 3; again += 1)
      expect(await rotateOn(provider, name, system, {})).toMatchObject({ ending: 'unchanged', error });
    await untouched(name, '{"password":"wrong"}');
  });

  test('a warning is said, and is none in the way', async () => {
    const lines: string[] = [];
    const findings = [
      { check: 'sign-in', status: 'warn', kind: 'Unauthenticated', detail: 'wrong' },
    ] as const;
    const { outcome } = await begin('{"password":"first"}', { findings, warn: (line) => lines.push(line) });
    // It came as far as the system.
    expect(outcome).toMatchObject({ ending: 'stuck' });
    expect(lines).toContain('sign-in: wrong');
  });

  test('one value is made, and a sample of its form is what the target is to refuse', async () => {
    count += 1;
    const name = `checked-${count}`;
    await provider.put(name, { value: Buffer.from('{"password":"first"}') }, now());
    const system = new FakeSystem(replacing, 'first');
    const wrongs: unknown[] = [];
    const target = system.target();
    target.check = async (_known, _signal, wrong) => {
      wrongs.push(wrong?.fields);
      return [];
    };
    const made: string[] = [];
    const generator = {
      title: 'large keys',
      bits: 128,
      make: async () => ({ value: made[made.push('large') - 1] ?? '', bits: 128 }),
      sample: async () => ({ value: made[made.push('small') - 1] ?? '', bits: 1 }),
    };
    expect(await rotateOn(provider, name, system, { target, generator })).toMatchObject({ ending: 'done' });
    expect([made, wrongs]).toEqual([['small', 'large'], [{ password: 'small' }]]);
  });

  test('--create makes a secret that is missing', async () => {
    count += 1;
    const name = `checked-${count}`;
    const system = new FakeSystem(replacing, 'first');
    expect(await rotateOn(provider, name, system, { create: true })).toMatchObject({ ending: 'done' });
    expect((await look(provider, name)).current?.fields).toEqual({ password: expect.any(String) });
  });

  test.each([
    [
      'postgresql://app:first@h1:5432,h2:5432/db?target_session_attrs=read-write',
      /^postgresql:\/\/app:generated-\d+-\d+@h1:5432,h2:5432\/db\?target_session_attrs=read-write$/,
    ],
    [
      'jdbc:postgresql://h/db?user=app&password=first',
      /^jdbc:postgresql:\/\/h\/db\?user=app&password=generated-\d+-\d+$/,
    ],
    ['host=h user=app password=first dbname=db', /^host=h user=app password=generated-\d+-\d+ dbname=db$/],
    ['first\n', /^generated-\d+-\d+\n$/],
  ])('the form stays: %s', async (before, after) => {
    count += 1;
    const name = `checked-${count}`;
    await provider.put(name, { value: Buffer.from(before) }, { signal: AbortSignal.timeout(120_000) });
    const system = new FakeSystem({ ...replacing, verifies: false }, 'first');
    expect(await rotateOn(provider, name, system, { keys: [] })).toMatchObject({ ending: 'done' });
    expect(Buffer.from((await look(provider, name)).current?.value ?? []).toString()).toMatch(after);
  });

  test('keys that share a password still share it, and every other byte stays', async () => {
    count += 1;
    const name = `checked-${count}`;
    const before = '{ "n": 1.10, "url":"mysql://app:first@h/db",\n "password" :"first", "other": "first-2" }';
    await provider.put(name, { value: Buffer.from(before) }, { signal: AbortSignal.timeout(120_000) });
    const system = new FakeSystem(replacing, 'first');
    expect(await rotateOn(provider, name, system, { keys: ['url', 'password', 'other'] })).toMatchObject({
      ending: 'done',
    });
    const text = Buffer.from((await look(provider, name)).current?.value ?? []).toString();
    const [, one, two, three] =
      /^\{ "n": 1\.10, "url":"mysql:\/\/app:(\S+)@h\/db",\n "password" :"(\S+)", "other": "(\S+)" \}$/.exec(
        text,
      ) ?? [];
    expect([one, one === two, one === three]).toEqual([expect.any(String), true, false]);
  });
});
