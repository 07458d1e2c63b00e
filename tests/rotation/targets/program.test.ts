import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { program } from '../../../src/rotation/targets/program/descriptor.ts';
import { until } from '../../exec/setup.ts';
import { credential, known, never, openTarget, rotate, rotation, timeIsUp } from './kit.ts';
import { makeTemporary } from './temporary.ts';

const temporary = makeTemporary();
const { folder } = temporary;
afterAll(() => temporary.remove());

/** A script in the folder; it writes what it can see of itself to a file beside it. */
function hook(name: string, body: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return `./${name}`;
}

const seen = (name: string): string => readFileSync(join(folder, name), 'utf8');

test('apply, verify and retire get JSON on standard input, and nothing anywhere else', async () => {
  const record = (name: string): string =>
    `cat > ${name}.json; tr '\\0' '\\n' < /proc/$$/cmdline > ${name}.argv; env > ${name}.env`;
  const settings = {
    apply: [hook('apply', record('apply')), '--verbose'],
    verify: hook('verify', record('verify')),
    retire: hook('retire', record('retire')),
  };
  const env = { PATH: process.env['PATH'], VAULT_TOKEN: 'token-of-ours', OTHER: 'stays' };
  const { target, lines } = await openTarget(
    program,
    settings,
    {},
    { folder, env, credentialVariables: ['VAULT_TOKEN'] },
  );
  const [one, two] = [credential({ key: 'value-one-7f' }), credential({ key: 'value-two-7f', n: 1 })];
  expect((await target.check(known(one), never)).map(({ status }) => status)).toEqual([
    'ok',
    'ok',
    'ok',
    'ok',
  ]);
  await rotate(target, one, two, credential(Buffer.from('plain').toString()));
  expect(JSON.parse(seen('apply.json'))).toEqual({
    version: 1,
    event: 'apply',
    reference: 'local://app/db',
    rotation: { id: expect.stringMatching(/^rotation/), startedAt: expect.stringMatching(/Z$/) },
    new: { value: '{"key":"value-two-7f","n":1}', fields: { key: 'value-two-7f', n: 1 } },
    current: { value: '{"key":"value-one-7f"}', fields: { key: 'value-one-7f' } },
    pending: { value: '{"key":"value-two-7f","n":1}', fields: { key: 'value-two-7f', n: 1 } },
    previous: { value: 'plain' },
  });
  expect(JSON.parse(seen('verify.json'))).toMatchObject({
    event: 'verify',
    new: { fields: { key: 'value-two-7f' } },
  });
  expect(JSON.parse(seen('retire.json'))).toMatchObject({
    event: 'retire',
    phase: 'superseded',
    old: { fields: { key: 'value-one-7f' } },
    current: { fields: { key: 'value-two-7f' } },
  });
  for (const name of ['apply', 'verify', 'retire']) {
    for (const place of ['argv', 'env']) expect(seen(`${name}.${place}`)).not.toMatch(/value-(one|two)/);
    expect(seen(`${name}.env`)).not.toContain('token-of-ours');
    expect(seen(`${name}.env`)).toContain('OTHER=stays');
  }
  expect(seen('apply.argv')).toContain('--verbose');
  expect(lines).toEqual([]);
});

test.each([
  ['exit 0', 'accepted'],
  ['exit 10', 'refused'],
  ['exit 1', 'Unavailable'],
  ['kill -9 $$', 'Unavailable'],
])('verify that does %s is %s', async (body, outcome) => {
  const settings = { apply: 'true', verify: hook('outcome', body) };
  const { target } = await openTarget(program, settings, {}, { folder });
  const got = await target.verify(credential('a'), never).catch((thrown: { kind: string }) => thrown.kind);
  expect(got).toBe(outcome);
});

test('a verify hook that no value fails, or that fails for the stored one, is said before anything is applied', async () => {
  const check = async (verify: string) => {
    const settings = { apply: hook('never-run', 'touch ran'), verify: hook('control', verify) };
    const { target } = await openTarget(program, settings, {}, { folder });
    return (await target.check(known(credential('right')), never, credential('wrong'))).slice(2);
  };
  expect(await check('grep -q right || exit 10')).toMatchObject([{ status: 'ok' }, { status: 'ok' }]);
  expect(await check('exit 0')).toMatchObject([
    { status: 'ok' },
    { status: 'fail', kind: 'Unsupported', detail: expect.stringContaining('accepts any value') },
  ]);
  expect(await check('exit 10')).toMatchObject([
    { status: 'fail', kind: 'Unauthenticated' },
    { status: 'ok' },
  ]);
  expect(await check('grep -q right || exit 1')).toMatchObject([
    { status: 'ok' },
    { status: 'fail', kind: 'Unavailable' },
  ]);
  expect(existsSync(join(folder, 'ran'))).toBe(false);
  const { target } = await openTarget(program, { apply: 'true', verify: 'none' }, {}, { folder });
  expect(await target.check(known(credential('a')), never, credential('b'))).toMatchObject([
    { status: 'ok' },
    { status: 'warn' },
  ]);
  expect(await target.verify(credential('a'), never)).toBe('unknown');
  expect(program.trustItems({ apply: 'a', verify: 'none' })).toHaveLength(1);
});

test('a failing hook is quoted without the values it was given', async () => {
  const body = `read -r line; echo first >&2; echo "could not log in with $line: s3cr3t-value-9, $(printf s3cr3t-value-9 | base64)" >&2; exit 4`;
  const { target } = await openTarget(program, { apply: hook('loud', body) }, {}, { folder });
  const call = target.apply(credential('s3cr3t-value-9'), known(), rotation(), never);
  await expect(call).rejects.toMatchObject({
    kind: 'Unavailable',
    message: expect.stringMatching(
      /^the apply hook \.\/loud ended with 4: could not log in with .*\*\*\*.*; the change may have been made$/,
    ),
  });
  await expect(call).rejects.not.toThrow('s3cr3t-value-9');
});

test('a long last line, of which the start is lost, is not quoted', async () => {
  const body = `cat > /dev/null; i=0; while [ $i -lt 700 ]; do printf 'long-value-%s' x >&2; i=$((i+1)); done; exit 1`;
  const { target } = await openTarget(program, { apply: hook('long', body) }, {}, { folder });
  const call = target.apply(credential('long-value-x'), known(), rotation(), never);
  await expect(call).rejects.toMatchObject({
    message: 'the apply hook ./long ended with 1; the change may have been made',
  });
});

/** A zombie until somebody waits for it does not run. */
const runs = (pid: number): boolean =>
  existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

test('a hook that takes too long is ended, and what it started with it', async () => {
  // Longer than the test may take: it is ended, and does not end.
  const body = `sleep 600 & echo $! > child.pid; sleep 600`;
  const { target } = await openTarget(program, { apply: hook('slow', body) }, {}, { folder });
  const deadline = timeIsUp();
  const call = target.apply(credential('a'), known(), rotation(), deadline.signal);
  call.catch(() => {});
  await until(
    () => existsSync(join(folder, 'child.pid')) && seen('child.pid').endsWith('\n'),
    () => 'what the hook starts',
  );
  deadline.now();
  await expect(call).rejects.toMatchObject({
    kind: 'Unavailable',
    message: expect.stringContaining('may have been made'),
  });
  const pid = Number(seen('child.pid'));
  await until(
    () => !runs(pid),
    () => 'its end',
  );
});

test('a background process that a hook leaves behind does not hold up the rotation', async () => {
  const body = 'sleep 600 & echo $! > left.pid; exit 0';
  const { target } = await openTarget(program, { apply: hook('leaves', body) }, {}, { folder });
  await target.apply(credential('a'), known(), rotation(), never);
  const pid = Number(seen('left.pid'));
  expect(runs(pid)).toBe(true);
  process.kill(pid, 'SIGKILL');
});

test('what is no program is said before anything runs', async () => {
  writeFileSync(join(folder, 'no-mode'), '#!/bin/sh\n', { mode: 0o644 });
  const { target } = await openTarget(program, { apply: './absent', verify: './no-mode' }, {}, { folder });
  expect(await target.check(known(credential('a')), never)).toMatchObject([
    { status: 'fail' },
    { status: 'fail' },
  ]);
  await expect(target.apply(credential('a'), known(), rotation(), never)).rejects.toMatchObject({
    kind: 'Usage',
  });
  const unread = (await openTarget(program, { apply: 'true' }, {}, { folder })).target;
  await unread.apply(credential('a'.repeat(1_000_000)), known(), rotation(), never);
  expect(await unread.verify(credential('a'), never)).toBe('unknown');
  expect(program.trustItems({ apply: ['./a', 'b'], retire: 'c' }).map(({ value }) => value)).toEqual([
    './a b',
    '"c"',
  ]);
});

test('a value too large to be masked is not quoted either', async () => {
  const { target } = await openTarget(
    program,
    { apply: hook('large', 'head -c 100 >&2; exit 1') },
    {},
    { folder },
  );
  const call = target.apply(credential('ab'.repeat(1_000_000)), known(), rotation(), never);
  await expect(call).rejects.toMatchObject({
    message: 'the apply hook ./large ended with 1; the change may have been made',
  });
});

test('bytes that are no text are handed on in base64', async () => {
  const { target } = await openTarget(program, { apply: hook('bytes', 'cat > bytes.json') }, {}, { folder });
  await target.apply({ value: Buffer.from([255, 0]), fields: undefined }, known(), rotation(), never);
  expect(JSON.parse(seen('bytes.json'))).toMatchObject({ new: { valueBase64: '/wA=' } });
});
