/** A write that another writer takes for dead, in between its own two steps, counts once, and loses no other. */
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileName, parseHeader } from '../../../src/providers/local/entry-file.ts';
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
const journal = (): JournalFolder => new JournalFolder(root, keys, () => new Date());
const refuse: Decide = () => {
  throw new Error('changed its mind');
};
const claims = (): string[] => readdirSync(join(root, 'claims'));
const idsOf = (on: JournalFolder): string[] => on.load(on.secretId('a')).events.map(({ id }) => id);

/** Does something once its claim is there: before its second step, or between its last look and that step. */
class Slow extends JournalFolder {
  meanwhile: () => void = () => {};
  looked = false;

  override files(sid: string): ReturnType<JournalFolder['files']> {
    const before = super.files(sid);
    const folder = join(root, 'claims');
    if (existsSync(folder) && claims().some((file) => statSync(join(folder, file)).size > 0)) {
      const { meanwhile } = this;
      this.meanwhile = () => {};
      meanwhile();
    }
    return this.looked ? before : super.files(sid);
  }
}

describe.each([
  ['before its last look', false],
  ['after its last look', true],
])('%s', (_, looked) => {
  let slow: Slow;
  beforeEach(() => {
    slow = new Slow(root, keys, () => new Date());
    slow.looked = looked;
  });

  test('one that writes nothing', () => {
    const other = journal();
    slow.meanwhile = () => expect(() => other.append('a', refuse)).toThrow('changed its mind');
    const { event } = slow.append('a', value('one'));
    expect(idsOf(other)).toEqual([event.id]);
    expect(claims()).toEqual([]);
  });

  test('one that writes its own', () => {
    const other = journal();
    let theirs = '';
    slow.meanwhile = () => {
      theirs = other.append('a', value('two')).event.id;
    };
    const { event, before } = slow.append('a', value('one'));
    expect(before.events.map(({ id }) => id)).toEqual([theirs]);
    expect(idsOf(other)).toEqual([theirs, event.id]);
    expect(claims()).toEqual([]);
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
  });

  test('one that is itself taken for dead by a third', () => {
    const other = new Slow(root, keys, () => new Date());
    other.looked = looked;
    const third = journal();
    const written: string[] = [];
    other.meanwhile = () => written.push(third.append('a', value('three')).event.id);
    slow.meanwhile = () => written.push(other.append('a', value('two')).event.id);
    written.push(slow.append('a', value('one')).event.id);
    expect(idsOf(third)).toEqual(written);
    expect(journal().load(third.secretId('a')).forked).toBe(false);
    expect(claims()).toEqual([]);
  });

  test('one that purges the secret', () => {
    const other = journal();
    other.append('a', value('zero'));
    slow.meanwhile = () => other.purge(other.secretId('a'));
    const { event } = slow.append('a', value('one'));
    expect(event.number).toBe(1);
    expect(idsOf(other)).toEqual([event.id]);
    expect(other.load(other.secretId('a')).damage).toEqual([]);
  });
});

test('an earlier program that finished the claim', () => {
  const slow = new Slow(root, keys, () => new Date());
  slow.meanwhile = () => {
    const claim = join(root, 'claims', claims()[0] ?? '');
    const { at, id } = parseHeader(readFileSync(claim)) ?? { at: 0, id: '' };
    linkSync(claim, join(slow.folder(slow.secretId('a')), fileName(1, at, id)));
    rmSync(claim);
  };
  const { event } = slow.append('a', value('one'));
  expect(idsOf(slow)).toEqual([event.id]);
});

test('a claim that is voided keeps its name until its number has an entry', () => {
  const slow = new Slow(root, keys, () => new Date());
  const late = new Slow(root, keys, () => new Date());
  slow.looked = true;
  const other = journal();
  const seen: string[][] = [];
  slow.meanwhile = () => {
    expect(() => other.append('a', refuse)).toThrow('changed its mind');
    seen.push(claims());
    late.meanwhile = () => seen.push(claims());
    late.append('a', value('late'));
  };
  slow.append('a', value('one'));
  const name = `${slow.secretId('a')}.0000000001`;
  expect(seen).toEqual([[name], [name, `${name}.1`]]);
  expect(other.load(other.secretId('a')).events.length).toBe(2);
  expect(claims()).toEqual([]);
});

test('a claim whose writer was killed, and whoever voided it, too', () => {
  const other = journal();
  const { event, before } = other.append('a', value('one'));
  const sid = other.secretId('a');
  // The temporary file is gone, and the claim is not emptied yet.
  const killed = other.sealEvent(sid, { ...event, number: 2, id: randomBytes(16).toString('hex') });
  writeFileSync(join(root, 'claims', `${sid}.0000000002`), killed, { mode: 0o600 });
  expect(() => other.append('a', refuse)).toThrow('changed its mind');
  expect(claims().map((file) => statSync(join(root, 'claims', file)).size)).toEqual([0]);
  const { event: next } = other.append('a', value('two'));
  expect(before.events).toEqual([]);
  expect(idsOf(other)).toEqual([event.id, next.id]);
  expect(next.number).toBe(2);
  expect(claims()).toEqual([]);
});
