/** Canonical JSON against the examples of RFC 8785, and what any record keeps through a line. */
import fc from 'fast-check';
import { canonicalJson, seal, START } from '../../src/core/audit/chain.ts';
import { parseItem } from '../../src/core/audit/line.ts';
import { fitsPattern } from '../../src/core/text/pattern.ts';
import { event } from './events.ts';

test('RFC 8785, section 3.2.2 and 3.2.3: strings, literals, numbers, and the order of members', () => {
  const example = String.raw`{
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
    "literals": [null, true, false]
  }`;
  expect(canonicalJson(JSON.parse(example))).toBe(
    String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],` +
      String.raw`"string":"€$\u000f\nA'B\"\\\\\"/"}`,
  );
  const order = String.raw`{
    "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
    "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"
  }`;
  expect(Object.values(JSON.parse(canonicalJson(JSON.parse(order))) as object)).toHaveLength(7);
  expect([...canonicalJson(JSON.parse(order)).matchAll(/:"([A-Z][a-z]+)/g)].map(([, word]) => word)).toEqual([
    'Carriage',
    'One',
    'Control',
    'Latin',
    'Euro',
    'Emoji',
    'Hebrew',
  ]);
});

test('RFC 8785, appendix B: numbers', () => {
  for (const [hex, text] of [
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ] as const)
    expect(canonicalJson(Buffer.from(hex, 'hex').readDoubleBE())).toBe(text);
  for (const hex of ['7ff8000000000000', '7ff0000000000000'])
    expect(() => canonicalJson(Buffer.from(hex, 'hex').readDoubleBE())).toThrow(TypeError);
  expect(() => canonicalJson('\ud800')).toThrow(TypeError);
});

test('any text survives in a record, and its line is sound', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.array(fc.string({ unit: 'grapheme' })),
      fc.string({ unit: fc.constantFrom('\ud800', '\udc00', 'a', '\\', '"', '\u2028', '\n') }),
      (secret, keys, reason) => {
        const { line } = seal(START, { ...event(1), secret, keys, reason, kind: 'access' });
        expect(line).not.toContain('\n');
        const { record, sound } = parseItem(line, { file: '', line: 1 });
        expect(sound).toBe(true);
        const wellFormed = (text: string): string => Buffer.from(text, 'utf8').toString('utf8');
        expect(record).toMatchObject({ secret: wellFormed(secret), keys, reason: wellFormed(reason) });
      },
    ),
  );
});

test('patterns', () => {
  for (const [pattern, text, fits] of [
    ['payments/*', 'payments/db', true],
    ['payments/*', 'payments', false],
    ['*', '', true],
    ['*db*', 'payments/db/x', true],
    ['p?y', 'pay', true],
    ['p?y', 'py', false],
    ['a.b', 'axb', false],
    ['***a', 'ba', true],
    ['*a*b', 'xaxb', true],
    ['*a*b', 'xaxbx', false],
  ] as const)
    expect([pattern, text, fitsPattern(pattern, text)]).toEqual([pattern, text, fits]);
  const started = process.cpuUsage();
  expect(fitsPattern('*a'.repeat(500), 'a'.repeat(5000))).toBe(true);
  expect(fitsPattern(`${'*a'.repeat(500)}b`, 'a'.repeat(5000))).toBe(false);
  expect(process.cpuUsage(started).user).toBeLessThan(5_000_000);
});
