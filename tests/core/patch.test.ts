import { setKeys } from '../../src/core/patch.ts';

const set = (document: unknown, changes: Record<string, string>): unknown =>
  setKeys(document, new Map(Object.entries(changes)));

describe('setKeys', () => {
  test('sets keys and leaves the others as they were, in their order', () => {
    const before = { a: 1, b: { deep: [true, null] }, c: 'x' };
    expect(JSON.stringify(set(before, { b: 'new', d: 'more' }))).toBe('{"a":1,"b":"new","c":"x","d":"more"}');
    expect(before).toEqual({ a: 1, b: { deep: [true, null] }, c: 'x' });
  });

  test('makes the document when there is none', () => {
    expect(set(undefined, { a: 'x' })).toEqual({ a: 'x' });
  });

  test('treats __proto__ as a key like any other', () => {
    const before: unknown = JSON.parse('{"__proto__":{"admin":true},"a":"x"}');
    const after = setKeys(before, new Map([['constructor', 'y']]));
    expect(JSON.stringify(after)).toBe('{"__proto__":{"admin":true},"a":"x","constructor":"y"}');
    expect(JSON.stringify(setKeys({}, new Map([['__proto__', 'z']])))).toBe('{"__proto__":"z"}');
    expect(Object.hasOwn(Object.prototype, 'admin')).toBe(false);
  });

  test.each([['text'], [3], [null], [['list']]])('refuses a value without keys: %j', (document) => {
    expect(() => set(document, { a: 'x' })).toThrow('is not a JSON object');
  });
});
