import { statSync } from 'node:fs';
import { event } from './events.ts';
import { buildProgram, chainProblems, type LogPlace, logPlace, runWriter } from './kit.ts';

let place: LogPlace;
beforeEach(() => {
  place = logPlace();
});
afterEach(() => place.remove());

test('records stand in one chain that begins with a signed checkpoint', async () => {
  const log = place.open();
  for (let n = 0; n < 600; n += 1) await log.append([event(n)]);
  expect(place.records().filter(({ kind }) => kind === 'access')).toHaveLength(600);
  expect(chainProblems(place.lines())).toEqual([]);
  expect(
    place
      .records()
      .filter(({ kind }) => kind === 'checkpoint')
      .map(({ seq }) => seq),
  ).toEqual([1, 256, 512]);
  expect(statSync(place.path).mode & 0o777).toBe(0o600);
  expect(statSync(place.folder).mode & 0o777).toBe(0o700);
});

test('16 processes with 200 appends each keep one chain', async () => {
  const writer = await buildProgram('writer', place.root);
  const outcomes = await Promise.all(
    Array.from({ length: 16 }, (_, index) =>
      runWriter(writer, { options: place.options, appends: 200, from: index * 1000 }),
    ),
  );
  expect(outcomes).toEqual(Array.from({ length: 16 }, () => ({ code: 0, signal: null, stderr: '' })));
  expect(chainProblems(place.lines())).toEqual([]);
  const secrets = place
    .records()
    .filter(({ kind }) => kind === 'access')
    .map(({ secret }) => secret);
  expect(new Set(secrets).size).toBe(3200);
  expect(secrets).toHaveLength(3200);
  expect(place.files()).toEqual(['audit.head', 'audit.jsonl', 'audit.pub', 'signing.key']);
}, 300_000);
