/**
 * Signed records that are removed, altered or made anew by somebody who can write the log's folder and has no key: none
 * goes unseen, neither at once nor after the program has gone on and signed what came next.
 */
import { copyFileSync, cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sampled } from '../size.ts';
import fc from 'fast-check';
import type { AuditRecord } from '../../src/core/audit/record.ts';
import { canonicalJson, hashOf, sha256 } from '../../src/core/audit/chain.ts';
import type { Known, Summary } from '../../src/core/audit/problems.ts';
import { readSigningKey } from '../../src/audit/log/keys.ts';
import { verifyLog } from '../../src/audit/log/verify.ts';
import { event } from './events.ts';
import { verifyLog as independent } from './independent-verifier.mjs';
import { type LogPlace, logPlace } from './kit.ts';

/** Runs of the property; the systematic part below has every kind of attack once. */
const RUNS = Number(process.env['SECRETS_TEST_SHORTENINGS'] ?? 15);
const LONG = 300_000;
const SIZE = { rotateSize: 60_000, mode: 'best-effort' } as const;

let place: LogPlace;
/** The log as it was: before, in between (to be brought back later), and at the end. */
let copies: string[];
let original: readonly string[];

beforeAll(async () => {
  place = logPlace();
  copies = [];
  const log = place.open(SIZE);
  for (const to of [40, 300, 420, 530]) {
    for (let n = place.access().length; n < to; n += 5)
      await log.append(Array.from({ length: 5 }, (_, index) => event(n + index)));
    const copy = join(place.root, `copy-${to}`);
    cpSync(place.folder, copy, { recursive: true });
    copies.push(copy);
  }
  cpSync(place.options.headFolder as string, join(place.root, 'heads-then'), { recursive: true });
  original = place.all();
  expect(place.files().filter((file) => /-\d+\.jsonl$/.test(file)).length).toBeGreaterThan(2);
}, LONG);
afterAll(() => place.remove());
beforeEach(() => bringBack(copies.at(-1) as string, true));

/** The folder as it was then; the key, which an attacker has not, stays. @param all the second head, too */
function bringBack(copy: string, all: boolean): void {
  rmSync(place.folder, { recursive: true });
  cpSync(copy, place.folder, { recursive: true });
  if (!all) return;
  rmSync(place.options.headFolder as string, { recursive: true, force: true });
  cpSync(join(place.root, 'heads-then'), place.options.headFolder as string, { recursive: true });
}

const files = (): string[] => place.files().filter((file) => file.endsWith('.jsonl'));
const path = (file: string): string => join(place.folder, file);
const linesOf = (file: string): string[] => readFileSync(path(file), 'utf8').split('\n').slice(0, -1);
const write = (file: string, lines: readonly string[]): void =>
  writeFileSync(path(file), lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
const parse = (line: string): AuditRecord => JSON.parse(line) as AuditRecord;
const rehash = (record: object): string => canonicalJson({ ...record, hash: hashOf(record) });

/** All lines in one file, as an attacker is free to have them. */
function writeAll(lines: readonly string[]): void {
  for (const file of files()) rmSync(path(file));
  write('audit.jsonl', lines);
}

/** The head file as a writer would have written it. */
function fitHead(): void {
  const last = place.all().at(-1);
  if (last === undefined) return rmSync(path('audit.head'), { force: true });
  const { seq, hash } = parse(last);
  const text = `${String(seq).padStart(16, '0')} ${hash}`;
  writeFileSync(path('audit.head'), `${text} ${sha256(text).slice(0, 8)}\n`, { mode: 0o600 });
}

/** Lines that follow others, hashed anew by somebody without the key. */
function rechain(
  lines: readonly string[],
  before: string,
  change: (record: AuditRecord, n: number) => object,
): string[] {
  let { hash: prev, seq } = parse(before);
  return lines.map((line, n) => {
    const made = rehash({ ...parse(line), ...change(parse(line), n), prev, seq: (seq += 1) });
    ({ hash: prev } = parse(made));
    return made;
  });
}

/** A record of retention of one's own at the end, that says where the log begins. */
function claimRetention(): void {
  const all = place.all();
  const { seq, prev } = parse(all[0] as string);
  const last = parse(all.at(-1) as string);
  const content = {
    ...last,
    checkpoint: undefined,
    kind: 'retention',
    retention: { from: 1, to: seq - 1, hash: prev },
  };
  const lines = linesOf('audit.jsonl');
  write('audit.jsonl', [...lines, ...rechain([canonicalJson(content)], canonicalJson(last), () => ({}))]);
}

async function check(anchors: readonly Known[] = []): Promise<Summary> {
  const key = readSigningKey(place.options.stateFolder);
  return verifyLog({
    files: [place.path],
    keys: new Set([key?.id ?? '']),
    anchors,
    headFolder: place.options.headFolder,
    progress: () => {},
    signal: new AbortController().signal,
  });
}

/** Whether both verifiers find something. */
async function isFound(): Promise<boolean> {
  const key = readSigningKey(place.options.stateFolder);
  const { problems } = await check();
  const theirs = independent(place.path, { trusted: [key?.id ?? ''], heads: place.options.headFolder });
  expect([problems, theirs]).toEqual([
    problems,
    problems.length > 0 ? expect.arrayContaining([expect.any(String)]) : [],
  ]);
  return problems.length > 0;
}

/** Nothing makes it good again: not the program's going on, not its next checkpoint and closed file. */
async function expectFound(what: string, keepFiles?: number): Promise<void> {
  expect([what, 'at once', await isFound()]).toEqual([what, 'at once', true]);
  const log = place.open({ ...SIZE, rotateSize: 20_000, keepFiles });
  try {
    for (let n = 0; n < 3; n += 1) await log.append(Array.from({ length: 90 }, (_, index) => event(index)));
  } catch (thrown) {
    expect(thrown).toMatchObject({ kind: 'Policy' });
    return;
  }
  expect([what, 'later', await isFound()]).toEqual([what, 'later', true]);
}

test('as it was, it is whole, and stays so', async () => {
  expect((await check()).problems).toEqual([]);
  expect(await isFound()).toBe(false);
  await place.open(SIZE).append([event(1)]);
  expect(await isFound()).toBe(false);
});

test(
  'last lines that are kept alone, with a retention of one’s own',
  async () => {
    const pinned = parse(original[255] as string);
    writeAll(original.slice(-3));
    claimRetention();
    fitHead();
    const { problems } = await check([{ seq: pinned.seq, hash: pinned.hash, from: 'the anchor' }]);
    expect(problems.map(({ kind, message }) => [kind, message])).toEqual(
      expect.arrayContaining([
        [
          'removed',
          expect.stringMatching(/no signed checkpoint says .* the retention in record \d+ is unsigned/),
        ],
        ['truncated', expect.stringMatching(/the anchor knows record 256/)],
      ]),
    );
    await expectFound('kept alone');
  },
  LONG,
);

describe('systematically', () => {
  const attacks: Record<string, () => void> = {};
  for (const at of [0, 1, 2, 100, 254, 255, 256, 300, 511, 512])
    attacks[`all after line ${at} cut off`] = () => {
      writeAll(original.slice(0, at));
      fitHead();
    };
  for (const at of [1, 2, 255, 256, 400, 512])
    attacks[`all before line ${at} removed`] = () => {
      writeAll(original.slice(at));
      claimRetention();
      fitHead();
    };
  for (const file of [0, 1, 2])
    attacks[`closed file ${file} removed`] = () => {
      rmSync(path(files().filter((name) => /-\d+\.jsonl$/.test(name))[file] as string));
    };
  attacks['all closed files removed, with a retention of one’s own'] = () => {
    for (const name of files()) if (name !== 'audit.jsonl') rmSync(path(name));
    claimRetention();
    fitHead();
  };
  attacks['the current file removed'] = () => rmSync(path('audit.jsonl'));
  attacks['two files swapped'] = () => {
    const [one = '', other = ''] = files();
    renameSync(path(one), path('x'));
    renameSync(path(other), path(one));
    renameSync(path('x'), path(other));
  };
  attacks['a closed file with the content of another'] = () => {
    const [one = '', other = ''] = files();
    copyFileSync(path(one), path(other));
  };
  for (const copy of [0, 1, 2])
    attacks[`the folder brought back from copy ${copy}`] = () => bringBack(copies[copy] as string, false);
  attacks['the folder brought back, and added to until it is longer'] = () => {
    bringBack(copies[2] as string, false);
    const all = place.all();
    const end = all.at(-1) as string;
    const made = rechain(original.slice(all.length, all.length + 30), end, () => ({
      kind: 'access',
      checkpoint: undefined,
    }));
    write('audit.jsonl', [...linesOf('audit.jsonl'), ...made]);
    fitHead();
  };
  attacks['the log removed, without its head'] = () => {
    for (const file of files()) rmSync(path(file));
    rmSync(path('audit.head'));
  };
  for (const at of [1, 100, 254, 300, 511])
    attacks[`record ${at + 1} altered, and all after it hashed anew`] = () => {
      const changed = rechain(original.slice(at), original[at - 1] as string, (record, n) =>
        n === 0 ? { secret: 'forged' } : record,
      );
      writeAll([...original.slice(0, at), ...changed]);
      fitHead();
    };
  attacks['a record taken out, and all after it numbered anew'] = () => {
    writeAll([
      ...original.slice(0, 100),
      ...rechain(original.slice(101), original[99] as string, () => ({})),
    ]);
    fitHead();
  };
  attacks['the key, its public half and all records made anew'] = () => {
    for (const file of [...files(), 'audit.head', 'audit.pub', 'signing.key']) rmSync(path(file));
  };

  test.each(sampled(Object.keys(attacks), 3))(
    '%s',
    async (name) => {
      attacks[name]?.();
      if (name.startsWith('the key')) {
        // The program itself makes a new key; the log is shorter, and then longer, than it was.
        const { headFolder: _none, ...alone } = place.options;
        const { openAuditLog } = await import('../../src/audit/log/log.ts');
        await openAuditLog(alone).append(Array.from({ length: 700 }, (_, n) => event(n)));
      }
      await expectFound(name);
    },
    LONG,
  );
});

test(
  'the program’s own retention vouches for nothing that somebody else removed',
  async () => {
    for (const attack of [
      () => rmSync(path(files()[0] as string)),
      () => rmSync(path(files()[1] as string)),
      () => {
        // All that is signed goes: the last lines become the first file.
        writeAll(original.slice(-3));
        claimRetention();
        fitHead();
      },
    ]) {
      bringBack(copies.at(-1) as string, true);
      attack();
      await expectFound('retention', 1);
      const { problems } = await check();
      expect(problems.map(({ kind }) => kind)).toContain('removed');
    }
  },
  LONG,
);

test(
  'retention by the rule is no problem, and an anchor before it is told why',
  async () => {
    const pinned = parse(original[0] as string);
    const log = place.open({ ...SIZE, keepFiles: 1 });
    for (let round = 0; round < 4; round += 1) {
      await log.append(Array.from({ length: 120 }, (_, n) => event(n)));
      expect(await isFound()).toBe(false);
    }
    const { problems, notices, first } = await check([{ ...pinned, from: 'the anchor' }]);
    expect(first).toBeGreaterThan(530);
    expect([problems, notices]).toEqual([
      [],
      [
        `starts at record ${first}, by retention`,
        expect.stringMatching(
          /^the anchor knows record 1, which is removed: the signed checkpoint \d+ says so$/,
        ),
      ],
    ]);
    // What is removed beyond what was signed.
    rmSync(path(files()[0] as string));
    await expectFound('more than the rule', 1);
  },
  LONG,
);

test(
  'a second head that is taken away is missed where the log is, and on no other machine',
  async () => {
    rmSync(place.options.headFolder as string, { recursive: true });
    expect((await check()).problems).toMatchObject([{ kind: 'truncated', acceptable: true }]);
    expect(await isFound()).toBe(true);
    const copy = await verifyLog({
      files: [place.path],
      keys: undefined,
      anchors: [],
      headFolder: join(place.root, 'elsewhere'),
      progress: () => {},
      signal: new AbortController().signal,
    });
    expect(copy).toMatchObject({
      problems: [],
      notices: [expect.stringMatching(/^no second head is kept here/)],
    });
    // The next writer makes it anew, and says so.
    await expectFound('the second head');
    expect(place.whole().filter(({ repair }) => repair?.found === 'no-head')).toHaveLength(1);
    expect(existsSync(place.options.headFolder as string)).toBe(true);
  },
  LONG,
);

test('whoever has the key may accept what is missing, and nothing else', async () => {
  rmSync(path(files()[0] as string));
  const [problem] = (await check()).problems;
  expect(problem).toMatchObject({ kind: 'removed', acceptable: true });
  const [first] = place.whole();
  await place.open(SIZE).checkpoint({ from: first?.seq ?? 0, hash: first?.prev ?? '' });
  expect(await isFound()).toBe(false);
  expect((await check()).notices[0]).toMatch(/^starts at record \d+: checkpoint \d+ accepts that$/);
  // Retention goes on from there.
  const log = place.open({ ...SIZE, rotateSize: 20_000, keepFiles: 1 });
  for (let n = 0; n < 4; n += 1) await log.append(Array.from({ length: 90 }, (_, index) => event(index)));
  expect(await isFound()).toBe(false);
  rmSync(path(files()[0] as string));
  expect(await isFound()).toBe(true);
});

test(
  'in any combination',
  async () => {
    const at = fc.nat({ max: original.length - 1 });
    const attack = fc.oneof(
      fc.record({ kind: fc.constantFrom('cut', 'prefix', 'alter', 'out'), at }),
      fc.record({ kind: fc.constantFrom('back', 'file', 'claim', 'swap', 'head'), at: fc.nat({ max: 2 }) }),
    );
    const apply = (kind: string, index: number): void => {
      const all = place.all();
      const to = Math.min(index, all.length - 1);
      const before = all[Math.max(0, to - 1)] ?? '';
      if (kind === 'cut') writeAll(all.slice(0, to));
      if (kind === 'prefix') writeAll(all.slice(to));
      if (kind === 'out' && to > 0)
        writeAll([...all.slice(0, to), ...rechain(all.slice(to + 1), before, () => ({}))]);
      if (kind === 'alter' && to > 0)
        writeAll([
          ...all.slice(0, to),
          ...rechain(all.slice(to), before, (_, n) => (n === 0 ? { host: 'x' } : {})),
        ]);
      if (kind === 'back') bringBack(copies[index] as string, false);
      if (kind === 'file') rmSync(path(files()[index % files().length] ?? 'x'), { force: true });
      if (kind === 'claim' && existsSync(place.path) && linesOf('audit.jsonl').length > 0) claimRetention();
      if (kind === 'swap') {
        const [one = '', other = ''] = files();
        if (other !== '') copyFileSync(path(other), path(one));
      }
      if (kind === 'head') copyFileSync(join(copies[index] as string, 'audit.head'), path('audit.head'));
    };
    const signed = original.findLastIndex((line) => parse(line).kind === 'checkpoint') + 1;
    await fc.assert(
      fc.asyncProperty(
        fc.array(attack, { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        async (steps, fits) => {
          bringBack(copies.at(-1) as string, true);
          for (const step of steps) {
            if (place.all().length > 0) apply(step.kind, step.at);
          }
          if (fits) fitHead();
          const left = place.all();
          if (original.slice(0, signed).every((line, index) => left[index] === line)) return;
          await expectFound(JSON.stringify(steps), 2);
        },
      ),
      { numRuns: RUNS },
    );
  },
  LONG,
);
