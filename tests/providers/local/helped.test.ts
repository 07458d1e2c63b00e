/** A write whose claim is finished by another writer, in between its own two steps, counts once. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Decide, JournalFolder } from '../../../src/providers/local/journal.ts';
import type { Keys } from '../../../src/providers/local/manifest.ts';

let root: string;
let keys: Keys;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'secrets-helped-'));
  mkdirSync(join(root, 'secrets'), { mode: 0o700 });
  const dataKey = randomBytes(32);
  const currentId = randomBytes(8).toString('hex');
  keys = {
    store: randomBytes(16).toString('hex'),
    revision: 1,
    currentId,
    dataKeys: new Map([[currentId, dataKey]]),
    nameKey: randomBytes(32),
    names: 'hidden',
  };
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const value =
  (text: string): Decide =>
  ({ events }) => ({
    type: 'value',
    name: 'a',
    version: events.length + 1,
    stage: 'current',
    value: Buffer.from(text).toString('base64'),
  });

/** Does something whenever a claim of this folder is there and it lists its files: the moment before its second step. */
class Slow extends JournalFolder {
  meanwhile: () => void = () => {};

  override files(sid: string): ReturnType<JournalFolder['files']> {
    const claims = join(root, 'claims');
    if (existsSync(claims) && readdirSync(claims).length > 0) {
      const { meanwhile } = this;
      this.meanwhile = () => {};
      meanwhile();
    }
    return super.files(sid);
  }
}

test('one that only finished the claim', () => {
  const slow = new Slow(root, keys, () => new Date());
  const other = new JournalFolder(root, keys, () => new Date());
  let helped = 0;
  slow.meanwhile = () => {
    expect(() =>
      other.append('a', ({ events }) => {
        helped = events.length;
        throw new Error('changed its mind');
      }),
    ).toThrow('changed its mind');
  };
  const { event } = slow.append('a', value('one'));
  expect(helped).toBe(1);
  const { events } = other.load(other.secretId('a'));
  expect(events.map(({ id }) => id)).toEqual([event.id]);
});

test('one that went on to write its own', () => {
  const slow = new Slow(root, keys, () => new Date());
  const other = new JournalFolder(root, keys, () => new Date());
  let theirs = '';
  slow.meanwhile = () => {
    theirs = other.append('a', value('two')).event.id;
  };
  const { event } = slow.append('a', value('one'));
  const { events } = other.load(other.secretId('a'));
  expect(events.map(({ id }) => id)).toEqual([event.id, theirs]);
  expect(readdirSync(join(root, 'claims'))).toEqual([]);
});
