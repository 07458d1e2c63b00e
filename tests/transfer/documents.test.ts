/** JSON and YAML files: every scalar keeps its source text, and hostile files take time in proportion. */
import fc from 'fast-check';
import { type FileValue, jsonFile, jsonOf } from '../../src/transfer/documents.ts';
import { FileProblems } from '../../src/transfer/problems.ts';
import { yamlFile } from '../../src/transfer/yaml-file.ts';
import { sized } from '../size.ts';

const RUNS = { numRuns: sized(300, 3000), seed: 20261130 };
const problems = new FileProblems('f');

function textOf(value: FileValue | undefined): string | undefined {
  if (value?.kind === 'text') return value.text;
  return value?.kind === 'literal' ? value.json : undefined;
}

function entries(value: FileValue | undefined): ReadonlyMap<string, FileValue> {
  return value?.kind === 'map' ? value.entries : new Map();
}

const digits = fc.stringMatching(/^[0-9]{1,30}$/);
const numberLike = fc.oneof(
  digits,
  fc.stringMatching(/^[+-]?[0-9.][0-9_.eE+-]{0,12}[0-9]$/),
  fc.stringMatching(/^0[xob][0-9a-fA-F]{1,12}$/),
  fc.stringMatching(/^[0-9]{1,4}(:[0-9]{1,2}){1,3}$/),
  fc.stringMatching(/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/),
  fc.constantFrom(
    '.inf',
    '-.Inf',
    '.NaN',
    'yes',
    'No',
    'TRUE',
    'true',
    'off',
    '=',
    '1_000',
    '0',
    '-0',
    '1e3',
    '.5',
    '5.',
  ),
);

test('a plain scalar of YAML is its source text, as a value, as a key and in a list', () => {
  fc.assert(
    fc.property(numberLike, (source) => {
      const [found] = yamlFile(
        `a: ${source} # remark\n${source}: key\nl: [${source}]\nn: &x ${source}\nm: *x\n`,
        problems,
      );
      const map = entries(found);
      expect([textOf(map.get('a')), textOf(map.get(source)), textOf(map.get('m'))]).toEqual([
        source,
        'key',
        source,
      ]);
      const list = map.get('l') as FileValue;
      const json = jsonOf(list, problems);
      // What JSON has a number or a literal for keeps its spelling; anything else is a text.
      expect([`[${source}]`, `[${JSON.stringify(source)}]`]).toContain(json);
      expect(() => JSON.parse(json) as unknown).not.toThrow();
    }),
    RUNS,
  );
});

test('a value of JSON is its source text, whatever it is and however it is spaced', () => {
  const number = fc
    .tuple(
      fc.constantFrom('', '-'),
      digits.map((text) => text.replace(/^0+(?=.)/, '')),
      fc.constantFrom('', '.10', 'e400', '.5E-3'),
    )
    .map((parts) => parts.join(''));
  const json = fc.oneof(
    number,
    fc.constantFrom('true', 'false'),
    fc.json({ maxDepth: 2 }).filter((text) => !/^(null|")/.test(text)),
  );
  const key = fc.string({ unit: 'grapheme', maxLength: 8 });
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(key, json), { selector: ([name]) => name, minLength: 1 }),
      fc.constantFrom('', ' ', '\n\t'),
      (members, space) => {
        const text = `{${members.map(([name, value]) => `${space}${JSON.stringify(name)}${space}:${space}${value}${space}`).join()}}`;
        const map = entries(jsonFile(text, problems));
        expect([...map].map(([name, value]) => [name, jsonOf(value, problems)])).toEqual(members);
      },
    ),
    RUNS,
  );
});

test.each([
  ['documents', '--- \n'.repeat(10_000)],
  ['documents with names', 'a: b\n---\n'.repeat(10_000)],
  ['aliases', `a: &a x\n${Array.from({ length: 10_000 }, (_, index) => `k${index}: *a\n`).join('')}`],
  ['anchors', Array.from({ length: 10_000 }, (_, index) => `k${index}: &a${index} x\n`).join('')],
  ['lines in one text', `a: |\n${'  x\n'.repeat(50_000)}`],
])('many %s take time in proportion', (_, text) => {
  const start = process.cpuUsage().user;
  yamlFile(text, problems);
  expect(process.cpuUsage().user - start).toBeLessThan(20e6);
});
