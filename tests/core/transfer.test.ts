import fc from 'fast-check';
import {
  changedKeys,
  copiedVersions,
  pairNames,
  parseReplacement,
  sameValue,
} from '../../src/core/transfer.ts';

const valued = (text: string): { readonly value: Uint8Array } => ({ value: Buffer.from(text) });

describe('names on the other side', () => {
  test('get the other prefix and the replacements, in order', () => {
    const replacements = ['/=--', 'db=base'].map(parseReplacement);
    expect(pairNames(['pay/db/url', 'pay/key'], { source: 'pay/', target: 'p-' }, replacements)).toEqual([
      { source: 'pay/db/url', target: 'p-base--url' },
      { source: 'pay/key', target: 'p-key' },
    ]);
  });

  test('that would be one name for two secrets are refused', () => {
    expect(() => pairNames(['a/b', 'a-b'], { source: '', target: '' }, [parseReplacement('/=-')])).toThrow(
      'a/b and a-b would both become a-b',
    );
  });

  test.each(['', 'x', '='])('%j is no replacement', (text) => {
    expect(() => parseReplacement(text)).toThrow('is not a replacement');
  });
});

describe('sameness', () => {
  test.each([
    ['{"a":1,"b":{"c":[1,2]}}', '{ "b": { "c": [1, 2] },\n"a": 1 }', true],
    ['{"a":1}', '{"a":"1"}', false],
    ['[1,2]', '[1, 2]', false],
    ['{"__proto__":1}', '{}', false],
    ['plain', 'plain', true],
    ['plain', 'plain ', false],
  ])('of %s and %s is %s', (a, b, same) => {
    expect(sameValue(valued(a), valued(b))).toBe(same);
  });

  test('of JSON objects does not depend on how they are written', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (document) => {
        const reversed = Object.fromEntries(Object.entries(document).toReversed());
        expect(sameValue(valued(JSON.stringify(document)), valued(JSON.stringify(reversed, null, 1)))).toBe(
          true,
        );
        expect(changedKeys(valued(JSON.stringify(document)), valued(JSON.stringify(reversed)))).toEqual([]);
      }),
    );
  });

  test('names the keys that differ, never their values', () => {
    expect(changedKeys(valued('{"a":1,"b":2,"c":3}'), valued('{"b":2,"c":4,"d":5}'))).toEqual([
      'a',
      'c',
      'd',
    ]);
    expect(changedKeys(valued('x'), valued('{"a":1}'))).toBeUndefined();
  });
});

describe('a history that is copied', () => {
  const texts = (all: readonly string[]): { readonly value: Uint8Array }[] => all.map(valued);

  test.each([
    [['a', 'b', 'c'], [], 0],
    [['a', 'b', 'c'], ['a', 'b'], 2],
    [['a', 'b', 'c'], ['a', 'b', 'c'], 3],
    [['a', 'b', 'c'], ['x'], undefined],
    [['a', 'b', 'c'], ['a', 'c'], undefined],
    [['a'], ['a', 'b'], undefined],
  ])('of %j goes on in %j after %s', (source, target, expected) => {
    expect(copiedVersions(texts(source), texts(target))).toBe(expected);
  });
});
