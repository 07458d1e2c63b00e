/** Every kind of damage, on every record of a small log. */
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { AuditRecord } from '../../src/core/audit/record.ts';
import { Batch, canonicalJson, hashOf, NO_HASH } from '../../src/core/audit/chain.ts';
import type { Known, Summary } from '../../src/core/audit/problems.ts';
import { ownContent, sealCheckpoint } from '../../src/audit/log/checkpoint.ts';
import { readSigningKey } from '../../src/audit/log/keys.ts';
import { verifyLog } from '../../src/audit/log/verify.ts';
import { event } from './events.ts';
import { chainProblems, type LogPlace, logPlace } from './kit.ts';

let place: LogPlace;
beforeEach(() => {
  place = logPlace();
});
afterEach(() => place.remove());

function check(
  anchors: readonly Known[] = [],
  files: readonly string[] = [place.path],
  headFolder = place.options.headFolder,
): Promise<Summary> {
  const key = readSigningKey(join(place.root, 'state'));
  return verifyLog({
    files,
    keys: key === undefined ? undefined : new Set([key.id]),
    anchors,
    headFolder,
    progress: () => {},
    signal: new AbortController().signal,
  });
}

/** On another machine, where there is no second head; without the head file neither. */
function checkCopy(anchors: readonly Known[] = []): Promise<Summary> {
  rmSync(join(place.folder, 'audit.head'), { force: true });
  return check(anchors, [place.path], join(place.root, 'elsewhere'));
}

async function first(): Promise<(object & Partial<Record<'kind' | 'line' | 'seq', unknown>>) | undefined> {
  const [problem] = (await check()).problems;
  return problem === undefined ? undefined : { kind: problem.kind, line: problem.line, seq: problem.seq };
}

/** A log of 12 records, the first of them a checkpoint, one a name beyond ASCII. */
async function small(): Promise<string[]> {
  const log = place.open();
  for (let n = 0; n < 11; n += 1)
    await log.append([event(n, n === 5 ? { secret: 'clé/"\u00e9\u{1f511}\u2028' } : {})]);
  return place.lines();
}

const parse = (line: string): AuditRecord => JSON.parse(line) as AuditRecord;
/** As somebody without the key would write it: with a hash that is right. */
const rehash = (record: AuditRecord): string => canonicalJson({ ...record, hash: hashOf(record) });
const each = (lines: readonly string[]): readonly number[] => lines.map((_, index) => index);

test('a whole log has no problems', async () => {
  await small();
  expect(await check()).toMatchObject({
    records: 12,
    first: 1,
    last: 12,
    checkpoints: 1,
    signedTo: 1,
    problems: [],
    notices: [],
  });
});

test('changed: any byte of any record', async () => {
  const lines = await small();
  for (const index of each(lines)) {
    const line = lines[index] as string;
    for (const [from, to] of [
      ['"outcome":"allowed"', '"outcome":"denied"'],
      ['"v":1', '"v":1 '],
      ['"v":1', '"x":1,"v":1'],
      ['"origin":"secrets"', '"origin":"secrets","origin":"secrets"'],
      [`"seq":${index + 1}`, `"seq":${index + 5}`],
      [`"prev":"${parse(line).prev}"`, `"prev":"${NO_HASH.replace(/^0/, '1')}"`],
      [`"hash":"${parse(line).hash}"`, `"hash":"${NO_HASH.replace(/^0/, '1')}"`],
      ['{', ''],
      [line, ''],
    ] as const) {
      place.write(lines.with(index, line.replace(from, to)));
      expect([from, await first()]).toEqual([from, { kind: 'changed', line: index + 1, seq: index + 1 }]);
    }
  }
});

test('changed: a record with a new hash of its own', async () => {
  const lines = await small();
  for (const index of each(lines).slice(1)) {
    place.write(lines.with(index, rehash({ ...parse(lines[index] as string), outcome: 'denied' })));
    expect(await first()).toEqual({ kind: 'changed', line: index + 1, seq: index + 1 });
  }
  place.write(lines.with(0, rehash({ ...parse(lines[0] as string), host: 'other' })));
  expect(await first()).toMatchObject({ line: 1, seq: 1 });
});

test('removed: any record, and any two', async () => {
  const lines = await small();
  for (const index of each(lines).slice(0, -1))
    for (const count of [1, 2]) {
      if (index + count >= lines.length) continue;
      place.write(lines.toSpliced(index, count));
      const seq = index === 0 ? count + 1 : index + 1;
      expect(await first()).toEqual({ kind: 'removed', line: index + 1, seq });
    }
});

test('inserted: a copy of another record, a forged one, a line of anything', async () => {
  const lines = await small();
  for (const index of each(lines)) {
    const before = lines[index] as string;
    for (const other of each(lines)) {
      place.write(lines.toSpliced(index, 0, lines[other] as string));
      const problem = await first();
      expect([index, other, problem?.kind]).toEqual([index, other, 'inserted']);
      // Of two that are the same, the second is the one too many.
      expect([index, other, problem?.line]).toEqual([index, other, other === index ? index + 2 : index + 1]);
    }
    const forged = rehash({ ...parse(before), secret: 'forged' });
    place.write(lines.toSpliced(index, 0, forged));
    if (index < lines.length - 1)
      expect(await first()).toMatchObject({ kind: index === 0 ? 'wrong-key' : 'inserted', line: index + 1 });
    else expect((await first())?.kind).toMatch(/inserted|changed/);
    for (const line of ['', '{}', 'null', '{"seq":1}', before.slice(20)]) {
      place.write(lines.toSpliced(index, 0, line));
      expect(await first()).toMatchObject({ kind: 'inserted', line: index + 1 });
    }
  }
});

test('reordered: any record moved to any other place', async () => {
  const lines = await small();
  for (const from of each(lines))
    for (const to of each(lines)) {
      if (from === to) continue;
      const others = lines.toSpliced(from, 1);
      place.write(others.toSpliced(to, 0, lines[from] as string));
      const problem = await first();
      expect([from, to, problem?.kind]).toEqual([from, to, 'reordered']);
      expect([from, to, problem?.line]).toEqual([from, to, Math.min(from, to) + 1]);
    }
});

test('truncated: by the head file, by an anchor', async () => {
  const lines = await small();
  for (const index of each(lines)) {
    place.write(lines.slice(0, index));
    expect([index, await first()]).toEqual([index, { kind: 'truncated', line: undefined, seq: 12 }]);
  }
  const { seq, hash } = parse(lines[8] as string);
  for (const index of each(lines)) {
    place.write(lines.slice(0, index));
    const { problems } = await checkCopy([{ seq, hash, from: 'the anchor' }]);
    expect(problems.map(({ kind }) => kind)).toEqual(index < 9 ? ['truncated'] : []);
  }
  place.write(lines);
  const { problems } = await check([{ seq, hash: NO_HASH, from: 'the anchor' }]);
  expect(problems).toMatchObject([{ kind: 'changed', seq, line: 9 }]);
});

test('a missing head file is a notice', async () => {
  await small();
  rmSync(join(place.folder, 'audit.head'));
  expect(await check()).toMatchObject({ problems: [], notices: ['the head file is missing, or damaged'] });
});

const inPlaceOf = {
  link: (path: string) => {
    renameSync(path, `${path}-real`);
    symlinkSync(`${path}-real`, path);
  },
  folder: (path: string) => {
    rmSync(path);
    mkdirSync(path);
  },
  'named pipe': (path: string) => {
    rmSync(path);
    expect(spawnSync('mkfifo', [path]).status).toBe(0);
  },
};
test.each(Object.entries(inPlaceOf))(
  'a %s in the place of a head is as if there was none',
  async (_, put) => {
    await small();
    const head = join(place.folder, 'audit.head');
    const folder = place.options.headFolder as string;
    const second = join(folder, readdirSync(folder)[0] as string);
    put(head);
    expect(await check()).toMatchObject({ problems: [], notices: ['the head file is missing, or damaged'] });
    await expect(place.open().append([event(11)])).rejects.toMatchObject({
      kind: 'Policy',
      message: expect.stringMatching(/audit\.head$/),
    });
    rmSync(head, { recursive: true });
    put(second);
    expect((await check()).problems).toMatchObject([{ kind: 'truncated', file: second, acceptable: true }]);
  },
);

test('a line without an end is a dead writer’s, unless the head file knows that it was written', async () => {
  const lines = await small();
  const whole = readFileSync(place.path, 'utf8');
  appendFileSync(place.path, '{"action":"read"');
  expect(await check()).toMatchObject({ problems: [], notices: [expect.stringContaining('no end')] });
  writeFileSync(place.path, whole);
  truncateSync(place.path, whole.length - 7);
  expect((await check()).problems.map(({ kind }) => kind)).toContain('truncated');
  await place.open().append([event(20)]);
  expect((await check()).problems).toMatchObject([{ kind: 'truncated', seq: 13 }]);
  expect(
    place
      .records()
      .map(({ kind }) => kind)
      .slice(-3),
  ).toEqual(['repair', 'repair', 'access']);
  expect(lines).toHaveLength(12);
});

test('wrong key: all records written anew without the key, with another key, without checkpoints', async () => {
  const log = place.open();
  await log.append(Array.from({ length: 300 }, (_, n) => event(n)));
  const records = place.records();
  expect((await checkCopy()).problems).toEqual([]);
  for (const target of [1, 2, 100, 253, 254]) {
    // Changed in the middle, and everything from there on hashed anew.
    let prev = records[target - 1]?.hash ?? NO_HASH;
    const forged = records.slice(target).map((record, index) => {
      const line = rehash({ ...record, prev, ...(index === 0 ? { secret: 'forged' } : {}) });
      prev = parse(line).hash;
      return line;
    });
    place.write([...records.slice(0, target).map((record) => canonicalJson(record)), ...forged]);
    expect(chainProblems(place.lines())).toEqual([]);
    const { problems, signedTo } = await checkCopy();
    expect(problems).toMatchObject([{ kind: 'wrong-key', seq: 256, line: 256 }]);
    expect(signedTo).toBe(1);
  }
  const other = logPlace();
  await other.open().append(Array.from({ length: 300 }, (_, n) => event(n)));
  place.write(other.lines());
  other.remove();
  expect((await checkCopy()).problems.map(({ kind, seq }) => [kind, seq])).toEqual([
    ['wrong-key', 1],
    ['wrong-key', 256],
  ]);
});

test('a record of another form is judged as the others are', async () => {
  const lines = await small();
  const last = parse(lines.at(-1) as string);
  for (const name of ['repair', 'retention', 'checkpoint', 'rotation', 'actor'])
    for (const value of [null, 7, 'x', []]) {
      place.write([...lines.slice(0, -1), rehash({ ...last, [name]: value } as unknown as AuditRecord)]);
      // The end is not signed yet; the head file knows what was written.
      expect((await check()).problems).toMatchObject([{ kind: 'changed', seq: 12 }]);
    }
  // Removed from the beginning, so that a record of retention is looked for.
  place.write([...lines.slice(1, -1), rehash({ ...last, retention: null } as unknown as AuditRecord)]);
  expect((await check()).problems).toMatchObject([{ kind: 'removed' }, { kind: 'changed' }]);
});

test('a file that others can read is said to be so', async () => {
  await small();
  chmodSync(place.path, 0o640);
  expect((await check()).problems).toMatchObject([{ kind: 'exposed', file: place.path }]);
});

test('closed files, retention, and what is wrong with them', async () => {
  const log = place.open({ rotateSize: 4096 });
  for (let n = 0; n < 60; n += 1) await log.append([event(n)]);
  const closed = place
    .files()
    .filter((file) => /-\d+\.jsonl$/.test(file))
    .map((file) => join(place.folder, file));
  expect(closed.length).toBeGreaterThan(4);
  const whole = await check();
  expect(whole).toMatchObject({ first: 1, problems: [], notices: [] });
  const [middle] = (await check([], [closed[2] as string])).notices;
  expect(middle).toMatch(/^starts at record \d+: the files before were not given$/);
  // A file is taken away from the middle.
  const kept = readFileSync(closed[1] as string);
  rmSync(closed[1] as string);
  expect((await check()).problems).toMatchObject([{ kind: 'removed' }]);
  writeFileSync(closed[1] as string, kept, { mode: 0o600 });
  expect((await check()).problems).toEqual([]);
  // Now the rule removes all but two.
  const short = place.open({ rotateSize: 4096, keepFiles: 2 });
  for (let n = 100; n < 120; n += 1) await short.append([event(n)]);
  const after = await check();
  expect(after.problems).toEqual([]);
  expect(after.retainedFrom).toBeGreaterThan(1);
  expect(after.notices).toEqual([`starts at record ${after.retainedFrom}, by retention`]);
  // And somebody one more.
  rmSync(join(place.folder, place.files().find((file) => /-\d+\.jsonl$/.test(file)) ?? ''));
  expect((await check()).problems).toMatchObject([{ kind: 'removed' }]);
});

test('a retention by an earlier version is unsigned, and wrong until that is accepted', async () => {
  const earlier = { ...place.options, headFolder: undefined, rotateSize: 0, waitMs: 0 };
  await place.open(earlier).append(Array.from({ length: 20 }, (_, n) => event(n)));
  const lines = place.lines();
  const [gone, end] = [lines[9], lines.at(-1)].map((line) => parse(line as string)) as [
    AuditRecord,
    AuditRecord,
  ];
  // A record of retention, with a checkpoint behind it that says nothing of that.
  const batch = new Batch(end, (head) => sealCheckpoint(earlier, head));
  batch.add(ownContent(earlier, 'retention', { retention: { from: 1, to: 10, hash: gone.hash } }));
  batch.checkpoint();
  place.writeText(`${lines.slice(10).join('\n')}\n${batch.text}`);
  expect((await check()).problems).toMatchObject([
    {
      kind: 'removed',
      seq: 11,
      message: expect.stringMatching(/retention in record 22 is unsigned.*secrets audit anchor --accept/),
      acceptable: true,
    },
  ]);
  await place.open(earlier).checkpoint({ from: 11, hash: gone.hash });
  expect((await check()).problems).toEqual([]);
});
