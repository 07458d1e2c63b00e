/** 2,000 values made to break quoting, the same in every run. */
import fc from 'fast-check';
import { sized } from '../../size.ts';

export const SEED = 20261123;
export const COUNT = sized(200, 2000);

const HOSTILE = [
  ...`'"\`\\$%#!&|;<>(){}[]*?~^=:,. \t-@`,
  '\n',
  '\r',
  '\r\n',
  '\n\n',
  '\u0001',
  '\u0007',
  '\u001b',
  '\u007f',
  '\u0085',
  '\u00a0',
  '\u2018',
  '\u2019',
  '\u201a',
  '\u201b',
  '\u201c',
  '\u2028',
  '\u2029',
  '\ufeff',
  '\ufffe',
  'é',
  'e\u0301',
  '😀',
  '漢',
  'a',
  'n',
  'r',
  '0',
  'EOF',
  '$(id)',
  '${x}',
  '%{if}',
  '{{x}}',
  '%0A',
  '\\n',
  '\\r',
  '\\u0041',
  '<<E',
  '::set-env::',
  'null',
  'true',
  '1e3',
  '0x10',
  '~',
  '- ',
  ': ',
  ' #',
];

const value = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.array(fc.constantFrom(...HOSTILE), { maxLength: 8 }).map((parts) => parts.join('')),
  },
  {
    weight: 2,
    arbitrary: fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replaceAll('\0', '')),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...HOSTILE,
      '',
      ' ',
      '\\',
      "'",
      '"',
      "''",
      '""',
      '-e',
      '-n',
      '$',
      '${',
      '%{',
      '$${',
      "'\\''",
      '\n',
      'a\\',
      "\\'",
    ),
  },
);

export const VALUES: ReadonlyMap<string, string> = new Map(
  fc.sample(value, { seed: SEED, numRuns: COUNT }).map((text, index) => [`V${index}`, text]),
);
