/** Whatever is typed: references, NAME=REF, and the names that keys become. */
import fc from 'fast-check';
import {
  checkVariableName,
  keysOf,
  NameMap,
  splitAssignment,
  variableName,
} from '../../src/core/environment/environment.ts';
import { JsonDocument } from '../../src/core/document/document.ts';
import { SecretsError } from '../../src/core/errors.ts';
import { formatReference, parseReference, type Reference } from '../../src/core/reference/reference.ts';
import { jsonText, singleLine } from '../../src/core/text/sanitize.ts';
import { sized } from '../size.ts';

const RUNS = { numRuns: sized(300, 3000) };
/** Any text: all of Unicode, lone surrogates and controls, and what a reference gives a meaning to. */
const anything = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)))
    .map((codes) => codes.join('')),
  fc
    .array(
      fc.constantFrom(
        'a',
        'prod',
        '://',
        '/',
        '..',
        '.',
        '?',
        'version=',
        'stage=',
        '&',
        '#',
        '%',
        '%2',
        '%00',
        '%ff',
        '~',
        '=',
        ' ',
      ),
    )
    .map((parts) => parts.join('')),
);

/** What `work` gives, or its SecretsError; anything else it throws is a crash and goes on. */
function attempt<T>(work: () => T): T | SecretsError {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof SecretsError) return thrown;
    throw thrown;
  }
}

const word = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 12 })
  .filter((text) => !/[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}/u.test(text));
const segment = word.filter((text) => !text.includes('/') && text !== '.' && text !== '..');
const pointer = fc
  .array(word, { minLength: 1, maxLength: 3 })
  .map((tokens) => tokens.map((token) => `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''));
const reference: fc.Arbitrary<Reference> = fc
  .record(
    {
      store: fc.stringMatching(/^[a-z][a-z0-9_-]{0,63}$/),
      name: fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
      selector: fc.oneof(fc.record({ version: word }), fc.record({ stage: word })),
      key: fc.oneof(
        word.filter((text) => !text.startsWith('/')),
        pointer,
      ),
    },
    { requiredKeys: ['name'] },
  )
  // A bare name with :// in it would be read as a store.
  .filter(({ store, name }) => store !== undefined || !name.includes('://'))
  .map(({ selector, ...rest }) => ({ ...rest, ...selector }));

describe('references', () => {
  test('parse(format(r)) is r', () => {
    fc.assert(
      fc.property(reference, (given) => {
        expect(parseReference(formatReference(given))).toEqual(given);
      }),
      RUNS,
    );
  });

  test('any text is a reference that prints and parses to itself, or a usage error on one line', () => {
    fc.assert(
      fc.property(anything, (text) => {
        const result = attempt(() => parseReference(text));
        if (result instanceof SecretsError) {
          expect(result.kind).toBe('Usage');
          expect(singleLine(result.message)).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
          return;
        }
        expect(parseReference(formatReference(result))).toEqual(result);
        expect(result.name.split('/')).not.toContain('..');
        expect(result.name).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
      }),
      RUNS,
    );
  });

  test.each([
    ['10 MB', 'a'.repeat(10_000_000)],
    ['10 MB of escapes', '%41'.repeat(3_000_000)],
    ['10 MB of slashes', '/'.repeat(10_000_000)],
    ['a NUL', 'a\0b'],
    ['an encoded NUL', 'a%00b'],
    ['half a surrogate pair', 'a\ud800b'],
    ['an encoded half of one', 'a%ed%a0%80b'],
    ['../', '../../etc/passwd'],
    ['an encoded ../', '%2e%2e/x'],
    ['an encoded slash in ..', '..%2fx'],
    ['an escape sequence', 'a\u001b[2Jb'],
    ['a C1 control', 'a\u009b2Jb'],
  ])('%s is refused in a short line', (_, text) => {
    const error = attempt(() => parseReference(text));
    expect(error).toBeInstanceOf(SecretsError);
    expect((error as SecretsError).message.length).toBeLessThan(500);
    expect(singleLine((error as SecretsError).message)).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  });

  test('a key of any document is found as it is, or not found; the prototype has none', () => {
    fc.assert(
      fc.property(fc.jsonValue(), anything, (document, key) => {
        const result = attempt(() => JsonDocument.parse(JSON.stringify(document)).select(key));
        if (result instanceof SecretsError) expect(['NotFound', 'Invalid', 'Usage']).toContain(result.kind);
      }),
      RUNS,
    );
    for (const key of ['__proto__', 'constructor', 'toString', '/__proto__/x', '/constructor/prototype']) {
      expect(attempt(() => JsonDocument.parse('{"a":1}').select(key))).toMatchObject({ kind: 'NotFound' });
      expect(attempt(() => JsonDocument.parse('{"a":[]}').select('/a/length'))).toMatchObject({
        kind: 'NotFound',
      });
    }
  });
});

describe('NAME=REF', () => {
  test('any text is a legal name and the rest of it, or a usage error', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          anything,
          fc.tuple(anything, anything).map((pair) => pair.join('=')),
        ),
        (text) => {
          const result = attempt(() => splitAssignment(text));
          if (result instanceof SecretsError) {
            expect(result.kind).toBe('Usage');
            expect(result.message.length).toBeLessThan(1000);
            return;
          }
          const [name, ref] = result;
          expect(name).toMatch(/^[A-Za-z_][A-Za-z0-9_]*$/);
          expect(`${name}=${ref}`).toBe(text);
          expect(ref).not.toBe('');
        },
      ),
      RUNS,
    );
  });
});

describe('the variable that a key becomes', () => {
  test('is a legal name or a usage error, and the same for every spelling of its words', () => {
    fc.assert(
      fc.property(anything, (key) => {
        for (const nameCase of [undefined, 'upper', 'keep'] as const) {
          const name = attempt(() => variableName(key, nameCase));
          if (name instanceof SecretsError) {
            expect(name.kind).toBe('Usage');
            expect(name.message.length).toBeLessThan(1000);
            continue;
          }
          expect(name).toMatch(nameCase === 'upper' ? /^[A-Z_][A-Z0-9_]*$/ : /^[A-Za-z_][A-Za-z0-9_]*$/);
          expect(variableName(name, nameCase)).toBe(name);
          expect(() => checkVariableName(name)).not.toThrow();
        }
      }),
      RUNS,
    );
  });

  test('no key of a JSON secret is lost or overwrites another', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.oneof(anything, fc.constantFrom('__proto__', 'a-b', 'a_b', 'A.B')), fc.jsonValue()),
        (document) => {
          const json = JsonDocument.parse(JSON.stringify(document));
          const map = new NameMap<string>({ prefix: 'A_', isTaken: () => false });
          const keys = keysOf(json, 'local://a');
          expect(keys).toHaveLength(Object.keys(document).length);
          const errors = keys.filter(
            ([key, text]) => attempt(() => map.add(key, 'local://a', text)) instanceof SecretsError,
          );
          expect([...map].length + errors.length).toBe(keys.length);
        },
      ),
      RUNS,
    );
  });

  test('__proto__ is a key like any other', () => {
    const json = JsonDocument.parse('{"__proto__":"x","constructor":"y"}');
    const map = new NameMap<string>({ prefix: 'A_', isTaken: () => false });
    for (const [key, text] of keysOf(json, 'local://a')) map.add(key, 'local://a', text);
    expect([...map]).toEqual([
      ['A___PROTO__', 'x'],
      ['A_CONSTRUCTOR', 'y'],
    ]);
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});

describe('what is shown', () => {
  test('has no character that a terminal obeys, in a line and in JSON, which stays the same document', () => {
    fc.assert(
      fc.property(fc.oneof(anything, fc.constantFrom('\u009b2J', '\u202e', '\u001b]0;x\u0007')), (text) => {
        const unsafe = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/;
        expect(singleLine(text)).not.toMatch(unsafe);
        expect(jsonText({ [text]: text })).not.toMatch(unsafe);
        expect(JSON.parse(jsonText({ [text]: text }))).toEqual({ [text]: text });
      }),
      RUNS,
    );
  });
});
