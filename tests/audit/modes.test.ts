/* oxlint-disable max-lines */
// Over 400 lines: each mode is tried with the same few helpers, and most of the file is what is expected of `required`.
/**
 * How strictly accesses are recorded: what happens to values, changes and programs when the log can't be written. The
 * program runs as a user would run it; a limit of the system on the size of files stands for a full disk.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makePlace, type Outcome, type Place } from '../e2e/program.ts';
import { accessesIn, logOf, recordsIn, shortOf } from './program.ts';
import { describeNeeding, mayMount, mayTrace, testNeeding } from '../needs.ts';

const VALUE = 'the-v4lue';

let place: Place;
let log: string;
const config = (mode: string, more = ''): void =>
  writeFileSync(join(place.home, '.config/secrets/secrets.yaml'), `audit: { log: ${mode}${more} }\n`);
/** Files may grow to this many KiB and no further, which ends a write as a full disk does; what is larger stays. */
const full = (line: string): Promise<Outcome> => place.sh(`ulimit -f 0; ${line}`);
const current = async (): Promise<string> => (await place.sh('secrets get a')).stdout;

/** A home with a secret, made once and copied. */
let template: Place;
beforeAll(async () => {
  template = await makePlace();
  mkdirSync(join(template.home, '.config/secrets'), { recursive: true, mode: 0o700 });
  await template.sh(`printf ${VALUE} | secrets put a`);
});
afterAll(() => template.remove());
beforeEach(async () => {
  place = await makePlace();
  cpSync(template.home, place.home, { recursive: true });
  log = logOf(place);
});
afterEach(() => place.remove());

describe('required', () => {
  beforeEach(() => config('required'));

  test('a value is given out with its record', async () => {
    expect(await place.sh('secrets get a')).toMatchObject({ code: 0, stdout: VALUE, stderr: '' });
    expect(accessesIn(log).map(shortOf)).toEqual(['write local://a allowed', 'read local://a allowed']);
  });

  test('on a full disk no value leaves', async () => {
    const before = readFileSync(log);
    for (const line of ['secrets get a', 'secrets get a --json', 'secrets env -e A=a --format json']) {
      const { code, stdout, stderr } = await full(line);
      expect({ code, stdout }).toEqual({ code: 8, stdout: '' });
      expect(stderr).toContain(log);
      expect(stderr).toMatch(/cannot write the audit log/);
      expect(stderr.trim().split('\n')).toHaveLength(1);
    }
    expect(readFileSync(log)).toEqual(before);
  });

  test('a rotation whose last record fails is told as what it was, not as nothing', async () => {
    // The last thing that is run takes the log away.
    const retire = join(place.home, 'retire');
    writeFileSync(retire, `#!/bin/sh\nmv '${log}' '${log}.away'; mkdir '${log}'\n`, { mode: 0o700 });
    const policy = { generate: 'alnum:20', target: { type: 'program', apply: '/bin/true', retire } };
    writeFileSync(
      join(place.home, '.config/secrets/secrets.yaml'),
      JSON.stringify({ audit: { log: 'required' }, rotation: { 'local://a': policy } }),
    );
    const { code, stdout } = await place.sh('secrets rotate a --json');
    expect(code).toBe(8);
    expect(JSON.parse(stdout)).toMatchObject({
      reference: 'local://a',
      outcome: 'done',
      error: { kind: 'Policy', exitCode: 8 },
    });
    config('off');
    expect(await current()).not.toBe(VALUE);
  });

  testNeeding(mayMount())('on a disk that is full for real as well', async () => {
    const folder = join(place.root, 'disk');
    mkdirSync(folder, { mode: 0o700 });
    config('required', `, path: ${folder}/audit.jsonl`);
    const { code, stdout, stderr } = await place.sh(
      `exec unshare -m bash -c "
        mount -t tmpfs -o size=32k,mode=700 none '${folder}' && secrets get a && cat /dev/zero > '${folder}/fill' 2>/dev/null
        for n in \\$(seq 20); do secrets get a || exit; done"`,
    );
    expect(code).toBe(8);
    expect(stderr).toMatch(/cannot write the audit log: the disk is full: .*disk\/audit\.jsonl/);
    expect(stdout).toMatch(new RegExp(`^(${VALUE})+$`));
  });

  test('on a full disk exec does not start the program', async () => {
    const { code, stdout, stderr } = await full('secrets exec -e A=a -- touch started');
    expect({ code, stdout }).toEqual({ code: 125, stdout: '' });
    expect(stderr).toContain(log);
    expect(existsSync(join(place.cwd, 'started'))).toBe(false);
  });

  test('names do not leave either', async () => {
    expect(await full('secrets list')).toMatchObject({ code: 8, stdout: '' });
    expect(await full('secrets history a')).toMatchObject({ code: 8, stdout: '' });
    expect(await full('secrets get a --metadata')).toMatchObject({ code: 8, stdout: '' });
  });

  test.each([
    ['a file in the place of its folder', (folder: string) => writeFileSync(folder, '')],
    ['a link in the place of its folder', (folder: string) => symlinkSync('/tmp', folder)],
    [
      'the path is a folder',
      (folder: string) => mkdirSync(join(folder, 'audit.jsonl'), { recursive: true, mode: 0o700 }),
    ],
    [
      'a link in its place',
      (folder: string) => {
        mkdirSync(folder, { mode: 0o700 });
        writeFileSync(join(place.root, 'elsewhere'), '', { mode: 0o600 });
        symlinkSync(join(place.root, 'elsewhere'), join(folder, 'audit.jsonl'));
      },
    ],
    [
      'a log that others can write',
      (folder: string) => {
        mkdirSync(folder, { mode: 0o700 });
        writeFileSync(join(folder, 'audit.jsonl'), '', { mode: 0o666 });
      },
    ],
  ])('with %s nothing is read and nothing is changed', async (_, put) => {
    const folder = join(place.home, '.local/state/secrets/audit');
    await place.sh(`rm -r '${folder}'; umask 0`);
    put(folder);
    await place.sh(`[ -f '${folder}/audit.jsonl' ] && chmod 666 '${folder}/audit.jsonl'`);
    const found = await place.sh('secrets get a');
    expect(found).toMatchObject({ code: 8, stdout: '' });
    expect(found.stderr).toContain(folder);
    for (const line of [
      'printf new | secrets put a',
      'secrets delete a',
      'secrets purge a --yes',
      'secrets restore a --version 1',
    ])
      expect({ line, code: (await place.sh(line)).code }).toEqual({ line, code: 8 });
    config('off');
    expect(await current()).toBe(VALUE);
    if (existsSync(join(place.root, 'elsewhere')))
      expect(readFileSync(join(place.root, 'elsewhere'), 'utf8')).toBe('');
  });

  test('a change that can’t be recorded is not made', async () => {
    // The log is as long as files may become, and the store's own are shorter.
    config('best-effort');
    await place.sh('for i in $(seq 12); do secrets get a > /dev/null; done');
    config('required');
    const { code, stderr } = await place.sh('ulimit -f 4; printf new | secrets put a');
    expect(code).toBe(8);
    expect(stderr).toMatch(/cannot write the audit log/);
    expect(await current()).toBe(VALUE);
  });

  test('a rotation that stops halfway says so, also where that can’t be recorded', async () => {
    const script = (name: string, text: string): string => {
      writeFileSync(join(place.cwd, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
      return join(place.cwd, name);
    };
    const breaks = `cat > /dev/null; mv '${log}' kept; mkdir '${log}'`;
    const rotate = async (rotation: object): Promise<Outcome> => {
      const settings = { audit: { log: 'required' }, rotation };
      writeFileSync(join(place.home, '.config/secrets/secrets.yaml'), JSON.stringify(settings));
      const outcome = await place.sh('secrets rotate a --json');
      await place.sh(`rmdir '${log}'; mv kept '${log}'`);
      return outcome;
    };
    const lineOf = ({ stdout }: Outcome): object => JSON.parse(stdout.split('\n')[0] ?? '') as object;
    const notify = script('told', 'cat > told.in');
    const apply = script('breaks', breaks);
    const stopped = await rotate({ notify, a: { target: { type: 'program', apply } } });
    expect(stopped.code).toBe(8);
    expect(lineOf(stopped)).toMatchObject({
      outcome: 'stuck',
      error: { kind: 'Policy', message: expect.stringMatching(/halfway: .*audit log/) },
    });
    expect(stopped.stderr).toMatch(/secrets rotate resume local:\/\/a finishes it/);
    expect(JSON.parse(readFileSync(join(place.home, '.config/secrets/told.in'), 'utf8'))).toMatchObject({
      outcome: 'stuck',
    });
  });

  test('a missing secret is recorded before that is said', async () => {
    expect((await place.sh('secrets get nope')).code).toBe(3);
    expect(accessesIn(log).map(shortOf)).toContain('read local://nope failed NotFound');
    expect((await full('secrets get nope')).code).toBe(8);
  });

  test('a project may ask for it, untrusted as it is', async () => {
    config('best-effort');
    writeFileSync(join(place.cwd, 'secrets.yaml'), 'audit: { log: required }\n');
    expect(await full('secrets get a')).toMatchObject({ code: 8, stdout: '' });
  });

  test('and may not switch it off or move it before it is trusted', async () => {
    writeFileSync(join(place.cwd, 'secrets.yaml'), 'audit: { log: off, path: ./mine.jsonl }\n');
    const before = accessesIn(log).length;
    await place.sh('secrets get a');
    expect(accessesIn(log)).toHaveLength(before + 1);
    expect(existsSync(join(place.cwd, 'mine.jsonl'))).toBe(false);
    const shown = await place.sh('secrets trust --dry-run');
    expect(shown.stdout + shown.stderr).toMatch(/audit\.log.*your accesses are not recorded/s);
    expect(shown.stdout + shown.stderr).toMatch(/audit\.path.*the log of your accesses is written there/s);
  });
});

describe('best-effort', () => {
  test('is what holds without a file, and warns once', async () => {
    const { code, stdout, stderr } = await full('secrets get a nope-1 nope-2 --default x');
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${VALUE}\nx\nx\n` });
    expect(stderr).toMatch(
      /^secrets: warning: this access is not recorded: cannot write the audit log: .*\n$/,
    );
    expect(stderr).toContain(log);
  });

  test('a change is made all the same, and --quiet says nothing', async () => {
    await place.sh(`rm -r '${join(log, '..')}'`);
    writeFileSync(join(log, '..'), '');
    expect(await place.sh('printf new | secrets put a --quiet')).toMatchObject({ code: 0, stderr: '' });
    expect(await place.sh('secrets get a --quiet')).toMatchObject({ code: 0, stdout: 'new', stderr: '' });
  });
});

describe('off', () => {
  beforeEach(() => config('off'));

  test('is recorded once, and then nothing is', async () => {
    const before = recordsIn(log).length;
    for (let time = 0; time < 3; time += 1) expect(await current()).toBe(VALUE);
    await place.sh('secrets list; secrets get nope');
    const [mode, ...more] = recordsIn(log).slice(before);
    expect(mode).toMatchObject({
      kind: 'mode',
      mode: 'off',
      command: 'get',
      actor: { uid: process.getuid?.() },
    });
    expect(more).toEqual([]);
  });

  test('is recorded again after it was on, and that it was on too', async () => {
    await current();
    config('best-effort');
    await current();
    config('off');
    await current();
    expect(recordsIn(log).flatMap(({ kind, mode }) => (kind === 'mode' ? [mode] : []))).toEqual([
      'off',
      'best-effort',
      'off',
    ]);
  });

  test('needs no log that can be written', async () => {
    expect(await full('secrets get a')).toMatchObject({ code: 0, stdout: VALUE, stderr: '' });
  });
});

describe('where the log is', () => {
  test('audit.path', async () => {
    config('required', ', path: ~/own/log.jsonl');
    await current();
    expect(accessesIn(join(place.home, 'own/log.jsonl')).map(shortOf)).toEqual(['read local://a allowed']);
    expect((await place.sh('stat -c %a ~/own ~/own/log.jsonl')).stdout).toBe('700\n600\n');
  });

  test('XDG_STATE_HOME', async () => {
    await place.sh('secrets get a', { XDG_STATE_HOME: join(place.root, 'state') });
    expect(accessesIn(join(place.root, 'state/secrets/audit/audit.jsonl'))).toHaveLength(1);
  });
});

describe('why', () => {
  const reasons = (): readonly unknown[] => accessesIn(log).map(({ reason }) => reason);

  test('--reason and SECRETS_REASON', async () => {
    await place.sh('secrets get a --reason "ticket 42"');
    await place.sh('secrets --reason first get a', { SECRETS_REASON: 'not this' });
    await place.sh('secrets get a', { SECRETS_REASON: 'build 7\nof main\u001b[2J' });
    await place.sh('secrets get a', { SECRETS_REASON: 'x'.repeat(600) });
    await place.sh('secrets get a', { SECRETS_REASON: ' \n' });
    expect(reasons().slice(1)).toEqual([
      'ticket 42',
      'first',
      'build 7 of main [2J',
      'x'.repeat(500),
      undefined,
    ]);
  });

  test.each([
    [`'a\nb'`, /the reason contains a control character/],
    ['""', /the reason is empty/],
    [`"${'x'.repeat(501)}"`, /the reason is longer than 500 characters/],
  ])('--reason %j is refused, and nothing is read', async (reason, message) => {
    const { code, stdout, stderr } = await place.sh(`secrets get a --reason ${reason}`);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });
});

test('what is typed is recorded as it is, however odd, and not at any length', async () => {
  const odd = `x"'\\\u202e\u2028é-${'y'.repeat(5000)}`;
  await place.sh('secrets get "$NAME"', { NAME: odd });
  await place.sh('secrets get "$NAME"', { NAME: 'not a reference://#' });
  await place.sh('secrets get "$NAME"', { NAME: 'a?version=' });
  const [, record, ...more] = accessesIn(log);
  expect(record?.secret?.slice(0, 2048)).toBe(odd.slice(0, 2048));
  expect(record?.secret?.length).toBeLessThan(2100);
  // Malformed ones name no secret.
  expect(more).toEqual([]);
});

test('a store that is not there, or not trusted, leaves a record of each secret that was asked of it', async () => {
  writeFileSync(
    join(place.cwd, 'secrets.yaml'),
    'stores: { team: { provider: vault, address: https://v.example } }\n',
  );
  await place.sh('secrets get team://a#x team://b');
  await place.sh('secrets get nowhere://c');
  await place.sh('printf x | secrets put vault://d');
  await place.sh('secrets delete team://e team://f');
  await place.sh('secrets list team://pre');
  expect(accessesIn(log).slice(1).map(shortOf)).toEqual([
    'read team://a#x denied Policy',
    'read team://b denied Policy',
    'read nowhere://c failed Usage',
    'write vault://d failed Usage',
    'delete team://e denied Policy',
    'delete team://f denied Policy',
    'list team://pre denied Policy',
  ]);
});

test('a program that exec starts finds the records in the log already', async () => {
  config('required');
  const { stdout } = await place.sh(`secrets exec -e A=a -- cat '${log}'`);
  expect(stdout).toContain('"command":"exec"');
});

describeNeeding(mayTrace())('what it costs', () => {
  /** Calls that make something durable, while the line runs. */
  const syncs = async (line: string): Promise<number> => {
    const file = join(place.root, 'syncs');
    await place.sh(
      `exec strace -f -qq -e trace=fsync,fdatasync,sync_file_range,msync -e signal=none -o '${file}' ${line}`,
    );
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((call) => /sync\(|sync_file_range\(/.test(call)).length;
  };

  test('`get` on local: one fsync with required, none with best-effort or off', async () => {
    const found: Record<string, number> = {};
    for (const mode of ['off', 'best-effort', 'required']) {
      config(mode);
      // The first one may have to write that it was switched.
      await current();
      found[mode] = await syncs('secrets get a');
    }
    expect(found).toEqual({ off: 0, 'best-effort': 0, required: 1 });
  });

  test('as many secrets as there are: still one', async () => {
    config('required');
    await place.sh('printf x | secrets put b');
    expect(await syncs('secrets get a b nope --default x')).toBe(1);
  });

  test('a reading of many secrets takes the log’s lock once', async () => {
    await place.sh('for n in $(seq 5); do printf x | secrets put s$n; done');
    const file = join(place.root, 'locks');
    await place.sh(
      `exec strace -f -qq -e trace=symlink,symlinkat -e signal=none -o '${file}' secrets get s1 s2 s3 s4 s5`,
    );
    expect(
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((call) => call.includes('.lock"')),
    ).toHaveLength(1);
    expect(accessesIn(log).slice(-5).map(shortOf)).toEqual(
      [1, 2, 3, 4, 5].map((n) => `read local://s${n} allowed`),
    );
  });

  test('`put` on local: two more than without it, one for the intent and one for the outcome', async () => {
    writeFileSync(join(place.cwd, 'v'), 'x');
    config('off');
    await current();
    const without = await syncs('secrets put a --from-file v');
    config('required');
    // The first one makes the file that keeps room.
    await place.sh('secrets put a --from-file v');
    expect(await syncs('secrets put a --from-file v')).toBe(without + 2);
  });
});
