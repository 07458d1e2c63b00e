import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { journalIn, lastFailures } from '../../src/rotation/journal.ts';
import type { JournalEvent } from '../../src/rotation/run.ts';

const AT = '2026-11-30T09:00:00.000Z';
const STUCK: readonly JournalEvent[] = [
  { at: AT, step: 'begin', outcome: 'rotate' },
  { at: AT, step: 'apply-new', outcome: 'failed', reason: 'db refuses the value' },
  { at: AT, step: 'end', outcome: 'stuck' },
];

function failuresOf(events: readonly (readonly [rotation: string, event: JournalEvent])[]) {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  const write = journalIn(folder, (thrown) => {
    throw thrown;
  });
  for (const [rotation, event] of events) write('local://a', rotation, event);
  return lastFailures(folder);
}
const of = (rotation: string, ...events: readonly JournalEvent[]) =>
  events.map((event) => [rotation, event] as const);

test('a rotation that got stuck has its reason, also when it was killed before it found out what to do next', () => {
  const failure = { at: new Date(AT), reason: 'db refuses the value', rotation: 'one' };
  expect(failuresOf(of('one', ...STUCK))).toEqual(new Map([['local://a', failure]]));
  const advised = [...STUCK, { at: AT, step: 'advise', todo: 'secrets rotate resume local://a' }];
  expect(failuresOf(of('one', ...advised))).toEqual(
    new Map([['local://a', { ...failure, todo: 'secrets rotate resume local://a' }]]),
  );
});

test('advice is that of its own rotation, and a later one that is done leaves none', () => {
  const stale = { at: AT, step: 'advise', todo: 'of another' };
  const found = failuresOf([...of('one', ...STUCK), ...of('two', stale)]);
  expect(found.get('local://a')).not.toHaveProperty('todo');
  const done = [...of('one', ...STUCK), ...of('two', { at: AT, step: 'end', outcome: 'done' }, stale)];
  expect(failuresOf(done).size).toBe(0);
});
