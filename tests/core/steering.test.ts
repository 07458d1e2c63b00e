import { isHarmlessLiteral, steers } from '../../src/core/steering.ts';
import { CREDENTIALS, MANUALS, OF_APPLICATIONS } from '../config/manuals.ts';

const words = (text: string): readonly string[] => text.split(' ');

/** Who somebody is: keys of many a JSON secret. Where they are inherited, a listing does not replace them. */
const PERSONS = new Set(['USER', 'EMAIL']);

test('the table of manuals is one of many programs', () => {
  expect(Object.keys(MANUALS).length).toBeGreaterThan(40);
});

test.each(Object.entries(MANUALS))(
  'what the manual of %s names steers, and is no harmless literal',
  (_, names) => {
    expect(words(names).filter((name) => !steers(name) && !PERSONS.has(name))).toEqual([]);
    expect(words(names).filter((name) => !steers(name.toLowerCase()) && !PERSONS.has(name))).toEqual([]);
    for (const name of words(names))
      for (const value of ['', '1', 'info', '8080', 'x', './x.sh', 'https://x.example'])
        expect([name, isHarmlessLiteral(name, value)]).toEqual([name, false]);
  },
);

test('the credentials among them do not, nor do names that applications give their secrets', () => {
  expect(words(CREDENTIALS).filter(steers)).toEqual([]);
  expect(words(OF_APPLICATIONS).filter(steers)).toEqual([]);
});

test.each([
  ['LOG_LEVEL', 'debug', true],
  ['LOG_LEVEL', '3', true],
  ['LOG_LEVEL', '../x', false],
  ['LOG_LEVEL', 'info\n', false],
  ['log_level', 'info', false],
  ['LOG_FORMAT', 'json', true],
  ['LOG_FORMAT', '%n', false],
  ['PORT', '8080', true],
  ['PORT', '0x1f90', false],
  ['PORT', 'tcp://10.0.0.1:80', false],
  ['PGPORT', '8080', false],
  ['constructor', 'x', false],
  ['__proto__', 'x', false],
])('a stranger may set %s to %j: %j', (name, value, expected) => {
  expect(isHarmlessLiteral(name, value)).toBe(expected);
});
