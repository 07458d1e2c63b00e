/** Changes with `audit.log: required`: their intent is on the disk before they are made, what came of them after. */
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditRecord } from '../../src/core/audit/record.ts';
import { makePlace, type Outcome, type Place } from '../e2e/program.ts';
import { describeNeeding, mayMount, mayTrace, testNeeding } from '../needs.ts';
import { accessesIn, logOf, recordsIn, shortOf } from './program.ts';

let place: Place;
let log: string;
/** A home with the secrets of each test, made once and copied. */
let template: Place;
const config = (mode: string, more = ''): void =>
  writeFileSync(join(place.home, '.config/secrets/secrets.yaml'), `audit: { log: ${mode}${more} }\n`);
const intents = (path = log): readonly AuditRecord[] =>
  recordsIn(path).filter(({ kind }) => kind === 'intent');

beforeAll(async () => {
  template = await makePlace();
  mkdirSync(join(template.home, '.config/secrets'), { recursive: true, mode: 0o700 });
  await template.sh('printf one | secrets put a; printf two | secrets put a; printf x | secrets put b');
});
afterAll(() => template.remove());
beforeEach(async () => {
  place = await makePlace();
  cpSync(template.home, place.home, { recursive: true });
  log = logOf(place);
  config('required');
});
afterEach(() => place.remove());

test('every change has an intent before it, and an outcome that names it; no reading has', async () => {
  writeFileSync(join(place.cwd, 'in.env'), 'C=1\nD=2\n');
  for (const line of [
    'printf v | secrets put a',
    'secrets restore a --version 1',
    'secrets delete a',
    'secrets restore a',
    'secrets purge a --yes',
    'secrets import in.env local://imported/',
    'secrets copy b c',
    'secrets rotate b --generate alnum:20',
    'secrets stores rekey',
    'secrets get b',
    'secrets list',
    'secrets history b',
  ]) {
    const { code, stderr } = await place.sh(line);
    expect([line, code, stderr]).toEqual([line, 0, expect.any(String)]);
  }
  const before = new Map<number, AuditRecord>();
  const changes = new Set<string>();
  for (const record of recordsIn(log).slice(4)) {
    const { kind, action, intent } = record;
    if (kind === 'intent') {
      expect(record).toMatchObject({ outcome: 'unknown', command: expect.any(String), store: 'local' });
      before.set(record.seq, record);
      changes.add(action);
    } else if (kind === 'access') {
      const isReading =
        ['read', 'list', 'describe'].includes(action) || (action === 'rotate' && intent === undefined);
      expect([shortOf(record), intent === undefined]).toEqual([shortOf(record), isReading]);
      if (intent === undefined) continue;
      expect(before.get(intent)).toMatchObject({
        action,
        ...(record.secret !== undefined && { secret: record.secret }),
      });
      before.delete(intent);
    }
  }
  expect([...before.values()]).toEqual([]);
  expect([...changes]).toEqual(expect.arrayContaining(['write', 'delete', 'restore', 'purge', 'rekey']));
  expect((await place.sh('secrets audit verify')).stdout).not.toMatch(/outcome not recorded/);
});

test('the other modes have one record for a change, as before', async () => {
  for (const mode of ['best-effort', 'off']) {
    config(mode);
    await place.sh('printf v | secrets put a; secrets delete b; secrets restore b');
  }
  expect(intents()).toEqual([]);
});

describeNeeding(mayMount())('on a disk that is full', () => {
  /** A log on a small disk of memory of its own, which is full to the byte but for so many. */
  const onFullDisk = (room: number, line: string): Promise<Outcome> => {
    const folder = join(place.root, 'disk');
    mkdirSync(folder, { mode: 0o700 });
    config('required', `, path: ${folder}/audit.jsonl`);
    return place.sh(`exec unshare -m bash -c "
      mount -t tmpfs -o size=128k,mode=700 none '${folder}' && secrets get a > /dev/null &&
      { cat /dev/zero > '${folder}/fill' 2> /dev/null; [ ${room} = 0 ] || truncate -s -${room} '${folder}/fill'; }
      ${line}; echo exit \\$?; cat '${folder}/audit.jsonl' > '${place.root}/kept.jsonl'"`);
  };

  test.each([
    'secrets purge a --yes',
    'printf new | secrets put a',
    'secrets delete a',
    'secrets restore a --version 1',
    'secrets copy b c',
    'secrets rotate a --generate alnum:20',
  ])('%s is refused before it is done', async (line) => {
    const { stdout, stderr } = await onFullDisk(0, line);
    expect(stdout).toMatch(/exit 8$/m);
    expect(stderr).toMatch(/cannot write the audit log: .*the disk is full|the disk is full/);
    config('off');
    expect((await place.sh('secrets get a; echo; secrets history a --json')).stdout).toMatch(/^two\n/);
  });

  test('whatever room is left: it is refused, or done and recorded', async () => {
    for (const room of [4096, 8192, 12_288, 16_384, 20_480, 32_768]) {
      await place.sh('printf two | secrets put a --quiet');
      const { stdout } = await onFullDisk(room, 'secrets purge a --yes');
      const done = stdout.includes('exit 0');
      const kept = join(place.root, 'kept.jsonl');
      expect([room, done, accessesIn(kept).filter(({ action }) => action === 'purge').length]).toEqual([
        room,
        done,
        done ? 1 : 0,
      ]);
      config('off');
      expect([room, (await place.sh('secrets get a')).code]).toEqual([room, done ? 3 : 0]);
      await place.sh(`rm -r '${join(place.root, 'disk')}'`);
    }
  });

  test('a disk that gets full while a change is made has room for its outcome', async () => {
    const apply = join(place.cwd, 'fills');
    writeFileSync(
      apply,
      `#!/bin/sh\ncat > /dev/null; cat /dev/zero > '${place.root}/disk/more' 2> /dev/null; exit 0\n`,
      {
        mode: 0o755,
      },
    );
    const folder = join(place.root, 'disk');
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(
      join(place.home, '.config/secrets/secrets.yaml'),
      JSON.stringify({
        audit: { log: 'required', path: `${folder}/audit.jsonl` },
        rotation: { 'local://a': { generate: 'alnum:20', target: { type: 'program', apply } } },
      }),
    );
    const { stdout } = await place.sh(`exec unshare -m bash -c "
      mount -t tmpfs -o size=128k,mode=700 none '${folder}' && secrets rotate a --json
      cat '${folder}/audit.jsonl' > '${place.root}/kept.jsonl'"`);
    // The next change is refused; those before it are recorded.
    expect(JSON.parse(stdout.split('\n')[0] ?? '')).toMatchObject({ reference: 'local://a' });
    const kept = recordsIn(join(place.root, 'kept.jsonl'));
    const answered = new Set(kept.map(({ intent }) => intent));
    expect(kept.filter(({ kind, seq }) => kind === 'intent' && !answered.has(seq))).toEqual([]);
  });
});

describe('where the log breaks while a change is made', () => {
  /** Once something is put into the store, a folder stands in the log's place. */
  const breaking = async (line: string): Promise<Outcome> => {
    const breaker = join(place.root, 'breaker.cjs');
    writeFileSync(
      breaker,
      `const fs = require('node:fs');
       let isDone = false;
       for (const name of ['renameSync', 'linkSync']) {
         const original = fs[name];
         fs[name] = (...args) => {
           const result = original(...args);
           if (isDone || !String(args[1]).includes('/store/')) return result;
           isDone = true;
           fs.cpSync(${JSON.stringify(log)}, ${JSON.stringify(log)} + '.away');
           fs.rmSync(${JSON.stringify(log)});
           fs.mkdirSync(${JSON.stringify(log)});
           return result;
         };
       }`,
    );
    return place.sh(line, { NODE_OPTIONS: `--require ${breaker}` });
  };

  test('that is said, and the intent is there', async () => {
    const { code, stderr } = await breaking('printf new | secrets put a');
    expect([code, stderr]).toEqual([
      8,
      expect.stringMatching(
        /the change was made, and its outcome is not recorded: cannot write the audit log/,
      ),
    ]);
    expect(intents(`${log}.away`)).toMatchObject([{ action: 'write', secret: 'a', outcome: 'unknown' }]);
    config('off');
    expect((await place.sh('secrets get a')).stdout).toBe('new');
  });

  test('nothing more is changed', async () => {
    const { code, stderr } = await breaking('secrets delete a b');
    expect([code, stderr]).toEqual([8, expect.stringMatching(/a: the change was made/)]);
    config('off');
    expect((await place.sh('secrets get a')).code).toBe(3);
    expect((await place.sh('secrets get b')).stdout).toBe('x');
  });
});

describe('an intent without an outcome', () => {
  /** The program dies right after the change. */
  const dies = async (): Promise<void> => {
    const killer = join(place.root, 'killer.cjs');
    writeFileSync(
      killer,
      `const fs = require('node:fs');
       const rename = fs.renameSync, link = fs.linkSync;
       for (const name of ['renameSync', 'linkSync']) {
         const original = fs[name];
         fs[name] = (...args) => {
           const result = original(...args);
           if (String(args[1]).includes('/store/')) { process.kill(process.pid, 'SIGKILL'); for (;;); }
           return result;
         };
       }`,
    );
    await place.sh('printf three | secrets put a', { NODE_OPTIONS: `--require ${killer}` });
  };

  test('is shown by audit log and audit verify, until then and after', async () => {
    await dies();
    expect(intents()).toHaveLength(1);
    const verified = await place.sh('secrets audit verify');
    expect([verified.code, verified.stdout]).toEqual([
      0,
      expect.stringMatching(/^outcome not recorded: record \d+, write local:\/\/a$/m),
    ]);
    await place.sh('secrets get b > /dev/null; printf y | secrets put b');
    for (const options of [
      '',
      '--limit 9',
      '--secret a',
      '--outcome unknown',
      '--since 1h',
      '--until 2099-01-01',
      '--all',
    ])
      expect([options, (await place.sh(`secrets audit log ${options}`)).stdout]).toEqual([
        options,
        expect.stringMatching(/^\S+ \S+\s+unknown\s+put\s+write\s+local:\/\/a.*outcome not recorded$/m),
      ]);
    const shown = (await place.sh('secrets audit log --json')).stdout.trim().split('\n');
    expect(
      shown.map((line) => (JSON.parse(line) as AuditRecord).kind).filter((kind) => kind === 'intent'),
    ).toHaveLength(1);
    expect((await place.sh('secrets audit log --outcome allowed')).stdout).not.toContain('unknown');
    const all = (await place.sh('secrets audit log --all')).stdout.split('\n');
    expect(
      all.filter((line) => line.includes('unknown')).map((line) => line.endsWith('outcome not recorded')),
    ).toEqual([true, false]);
  });

  test('counts for no access in a report', async () => {
    const reports = async (): Promise<unknown> => {
      const { stdout } = await place.sh('secrets audit report local --json');
      const { events, findings } = JSON.parse(stdout) as Record<string, unknown>;
      return [events, findings];
    };
    const before = await reports();
    await dies();
    expect(await reports()).toEqual(before);
  });
});

testNeeding(mayTrace())('the intent is on the disk before the store is touched', async () => {
  writeFileSync(join(place.cwd, 'v'), 'x');
  await place.sh('secrets put a --from-file v');
  const file = join(place.root, 'calls');
  await place.sh(
    `exec strace -f -qq -y -e trace=fsync,rename,renameat,link,linkat -e signal=none -o '${file}' secrets put a --from-file v`,
  );
  const calls = readFileSync(file, 'utf8').split('\n');
  const isSync = (line: string): boolean => /fsync\(\d+<[^>]*audit\.jsonl>/.test(line);
  const changed = calls.findIndex((line) => /(rename|link)/.test(line) && line.includes('/store/'));
  expect(calls.filter(isSync)).toHaveLength(2);
  expect([calls.findIndex(isSync) < changed, calls.findLastIndex(isSync) > changed, changed > 0]).toEqual([
    true,
    true,
    true,
  ]);
  expect(existsSync(file)).toBe(true);
});
