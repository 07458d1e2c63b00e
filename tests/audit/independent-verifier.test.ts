/** A verifier that knows docs/audit-log.md alone agrees with ours on logs of every form, whole and damaged. */
import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readSigningKey } from '../../src/audit/log/keys.ts';
import { verifyLog as ours } from '../../src/audit/log/verify.ts';
import { event } from './events.ts';
import { verifyLog as theirs } from './independent-verifier.mjs';
import { type LogPlace, logPlace } from './kit.ts';

let place: LogPlace;
beforeEach(() => {
  place = logPlace();
});
afterEach(() => place.remove());

interface Verdicts {
  readonly theirs: boolean;
  readonly ours: boolean;
}

async function verdicts(): Promise<Verdicts> {
  const key = readSigningKey(join(place.root, 'state'));
  const { problems } = await ours({
    files: [place.path],
    keys: new Set([key?.id ?? '']),
    anchors: [],
    headFolder: place.options.headFolder,
    progress: () => {},
    signal: new AbortController().signal,
  });
  return {
    theirs: theirs(place.path, { trusted: [key?.id ?? ''], heads: place.options.headFolder }).length === 0,
    ours: problems.length === 0,
  };
}

const WHOLE: Verdicts = { theirs: true, ours: true };
const DAMAGED: Verdicts = { theirs: false, ours: false };

test('whole logs: with checkpoints, closed files, retention, repairs', async () => {
  const log = place.open({ rotateSize: 100_000, keepFiles: 1 });
  for (let n = 0; n < 12; n += 1) {
    await log.append(
      Array.from({ length: 60 }, (_, index) => event(60 * n + index, { secret: `é${n}"\u{1f511}` })),
    );
    expect(await verdicts()).toEqual(WHOLE);
  }
  appendFileSync(place.path, '{"torn');
  expect(await verdicts()).toEqual(WHOLE);
  await log.append([event(1000)]);
  expect(place.whole().some(({ repair }) => repair !== undefined)).toBe(true);
  expect(await verdicts()).toEqual(WHOLE);
  expect(place.whole()[0]?.seq).toBeGreaterThan(1);
});

test('damaged logs: any byte changed, any line gone, cut anywhere', async () => {
  const log = place.open();
  for (let n = 0; n < 5; n += 1) await log.append([event(n)]);
  const lines = place.lines();
  const text = readFileSync(place.path, 'utf8');
  for (let at = 0; at < text.length; at += 37) {
    const other = text[at] === 'a' ? 'b' : 'a';
    if (text[at] === '\n') continue;
    place.writeText(`${text.slice(0, at)}${other}${text.slice(at + 1)}`);
    expect([at, await verdicts()]).toEqual([at, DAMAGED]);
  }
  for (const index of lines.keys()) {
    place.write(lines.toSpliced(index, 1));
    expect([index, await verdicts()]).toEqual([index, DAMAGED]);
    place.write(lines.slice(0, index));
    expect([index, await verdicts()]).toEqual([index, DAMAGED]);
  }
  // With the head file gone too, the second head tells; where there is none, only an anchor can.
  rmSync(join(place.folder, 'audit.head'));
  place.write(lines.slice(0, -1));
  expect(await verdicts()).toEqual(DAMAGED);
  expect(theirs(place.path)).toEqual([]);
  const { seq, hash } = JSON.parse(lines.at(-1) ?? '') as { seq: number; hash: string };
  expect(theirs(place.path, { anchors: [{ seq, hash }] })).toHaveLength(1);
});
