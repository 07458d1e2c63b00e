/**
 * Each dialect of env files against the reader it is named after: random files made of what readers disagree about are
 * read by both. What `import` takes must be what that reader has; `import` may refuse more.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { type Dialect, DIALECTS, readDialect } from '../../src/transfer/dotenv/dialects.ts';
import { readEnvFile } from '../../src/transfer/dotenv/read.ts';
import { FileProblems } from '../../src/transfer/problems.ts';
import { GO_READERS, PYTHON_READER, type Read, READERS } from '../backends/env-readers.ts';
import { describeNeeding } from '../needs.ts';
import { sized } from '../size.ts';

const COUNT = sized(800, 3000);
const SEED = 20261129;

const PARTS = [
  ...`'"\`\\$#!&|;<>(){}[]*?~^=:,. \t-@ab1`,
  ...[
    '\n',
    '\r\n',
    '\r',
    ' #',
    '\t#',
    '# ',
    '\\n',
    '\\r',
    '\\"',
    "\\'",
    '\\\\',
    '\\$',
    '$$',
    '$A',
    '${A}',
    '${A:-b}',
    '$(id)',
  ],
  ...[
    '\u00a0',
    '\u0085',
    '\u2028',
    '\u000b',
    '\u001c',
    '\u200b',
    '\ufeff',
    'é',
    '😀',
    '%',
    'x y',
    'export ',
    "it's",
  ],
];
const text = fc.array(fc.constantFrom(...PARTS), { maxLength: 6 }).map((parts) => parts.join(''));
const word = fc.constantFrom('', 'a', 'p@ss', 'x=y', 'https://h:1/p?q=1', 'a b', '1.10', 'a#b', 'a #b', 'é');
const quoted = fc
  .tuple(
    fc.constantFrom("'", '"', '`'),
    fc.oneof(word, text),
    fc.constantFrom('', '', '', ' ', ' # c', '#c', ' x'),
  )
  .map(([quote, inner, after]) => `${quote}${inner}${quote}${after}`);
const statement = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.constantFrom('', '', '', 'export ', ' ', 'export\t'),
        fc.constantFrom('A', 'B', 'C_1', 'd.e', 'x-y'),
        fc.constantFrom('=', '=', '=', ' = ', '= ', ' ='),
        fc.oneof(word, quoted, quoted, text),
      )
      .map((parts) => parts.join('')),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('', '# remark', ' # A=1', '#A="', 'TOKEN', 'MY VAR=1', 'A: b', '\t'),
  },
);
const envFile = fc
  .tuple(
    fc.array(statement, { minLength: 1, maxLength: 3 }),
    fc.constantFrom('\n', '\n', '\n', '\r\n'),
    fc.boolean(),
  )
  .map(([lines, end, last]) => lines.join(end) + (last ? end : ''));
const FILES = fc.sample(envFile, { seed: SEED, numRuns: COUNT });

/** The values that we take of each file, and those of the reader, for the files that we take. */
function compare(dialect: Dialect, reader: (texts: readonly string[]) => readonly Read[]): number {
  const taken = FILES.map((file) => ({ file, ...readDialect(file, dialect) })).filter(
    ({ problem, assignments }) => problem === undefined && assignments.length > 0,
  );
  const read = reader(taken.map(({ file }) => file));
  for (const [index, { file, assignments }] of taken.entries()) {
    const ours = Object.fromEntries(assignments.map(({ name, value }) => [name, value]));
    // `expect` for each would take longer than the readers.
    if (!isDeepStrictEqual({ ...read[index] }, ours))
      expect({ file, values: read[index] }).toEqual({ file, values: ours });
  }
  return taken.length / FILES.length;
}

describe('what import takes of an env file is what its reader has', () => {
  // How much of these hostile files is taken: most are refused by every strict reader.
  test('dotenv', () => {
    expect(compare('dotenv', READERS.dotenv)).toBeGreaterThan(0.2);
    compare('dotenv', READERS['dotenv, its fast parser']);
  });
  test('sh', () => expect(compare('shell', READERS.sh)).toBeGreaterThan(0.05));
  describeNeeding(PYTHON_READER)('Python', () => {
    test('python-dotenv', () => expect(compare('python', READERS['python-dotenv'])).toBeGreaterThan(0.2));
  });
  describeNeeding(GO_READERS)('Go', () => {
    test('compose-go', () => expect(compare('docker-compose', READERS['compose-go'])).toBeGreaterThan(0.2));
  });
});

test('without a dialect, a file is taken only where all of them read the same', () => {
  let taken = 0;
  for (const file of FILES) {
    const readings = DIALECTS.map((dialect) => readDialect(file, dialect));
    const texts = new Set(
      readings.map(({ assignments, problem }) => JSON.stringify([assignments, problem?.line])),
    );
    let values: ReadonlyMap<string, string> | undefined;
    try {
      ({ values } = readEnvFile(file, new FileProblems('f'), undefined));
    } catch {
      continue;
    }
    taken += 1;
    expect({ file, texts: texts.size, problem: readings[0]?.problem }).toEqual({
      file,
      texts: 1,
      problem: undefined,
    });
    expect([...values]).toEqual(readings[0]?.assignments.map(({ name, value }) => [name, value]));
  }
  expect(taken / FILES.length).toBeGreaterThan(0.03);
});
