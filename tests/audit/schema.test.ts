/** schemas/audit-record.schema.json against the records that writers write. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { ROOT } from '../e2e/program.ts';
import { event } from './events.ts';
import { type LogPlace, logPlace } from './kit.ts';

const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
addFormats.default(ajv);
const validate = ajv.compile(
  JSON.parse(readFileSync(join(ROOT, 'schemas/audit-record.schema.json'), 'utf8')) as object,
);

let place: LogPlace;
beforeEach(() => {
  place = logPlace();
});
afterEach(() => place.remove());

test('describes each kind of record', async () => {
  const log = place.open({ rotateSize: 4096, keepFiles: 1 });
  for (let n = 0; n < 40; n += 1)
    await log.append([
      event(n, { keys: ['a'], stage: 'pending', reason: 'x', policies: ['project:readers'] }),
    ]);
  const [intent] = await log.intend([event(0, { action: 'write', outcome: 'unknown' })]);
  await log.append([event(0, { action: 'write', intent })]);
  await log.checkpoint({ from: 1, hash: '0'.repeat(64) });
  rmSync(place.options.headFolder as string, { recursive: true });
  await log.appendMode('off', event(0));
  place.write([...place.lines().slice(0, -1), place.lines().at(-1)?.slice(0, 9) ?? '']);
  // No end of the line: torn, and known to the head file, so that it is lost as well.
  const torn = readFileSync(place.path, 'utf8').slice(0, -1);
  place.writeText(torn);
  await log.append([event(1, { outcome: 'failed', error: 'NotFound', version: '1', requestId: 'r' })]);
  const kinds = new Set<string>();
  for (const record of place.whole()) {
    validate(record);
    expect({ record, errors: validate.errors }).toEqual({ record, errors: null });
    kinds.add(record.repair?.found ?? record.kind);
  }
  for (let n = 0; !kinds.has('retention'); n += 1) {
    await log.append([event(n)]);
    for (const record of place.whole()) {
      expect(validate(record)).toBe(true);
      kinds.add(record.kind);
    }
  }
  await log.appendMode('off', event(0));
  expect(place.records().every((record) => validate(record))).toBe(true);
  expect([...kinds, 'mode'].toSorted()).toEqual(
    [
      'access',
      'checkpoint',
      'intent',
      'lost',
      'no-head',
      'mode',
      'retention',
      'rotation',
      'torn',
      ...(kinds.has('mode') ? ['mode'] : []),
    ].toSorted(),
  );
});

test('refuses what is none', async () => {
  await place.open().append([event(0)]);
  const [checkpoint, access] = place.records();
  expect([validate(checkpoint), validate(access)]).toEqual([true, true]);
  for (const more of [
    { seq: 0 },
    { value: 'x' },
    { kind: 'mode' },
    { prev: 'X' },
    { time: 'now' },
    { mode: 'off' },
    { v: 2 },
  ])
    expect([more, validate({ ...access, ...more })]).toEqual([more, false]);
  expect(validate({ ...checkpoint, checkpoint: undefined })).toBe(false);
});
