import fc from 'fast-check';
import { JsonDocument, type NewValue } from '../../../src/core/document/document.ts';
import { parseTree } from '../../../src/core/document/syntax.ts';
import {
  document,
  type GeneratedDocument,
  render,
  renderMember,
  source,
  space,
  string,
} from './arbitrary.ts';

const edit = (text: string, changes: Record<string, NewValue | undefined>): string =>
  JsonDocument.parse(text).edit(new Map(Object.entries(changes))).text;

/** A document and the position of one of its members. */
const withMember = document
  .filter(({ members }) => members.length > 0)
  .chain((generated) => fc.tuple(fc.constant(generated), fc.nat(generated.members.length - 1)));

const without = (generated: GeneratedDocument, index: number): GeneratedDocument => ({
  ...generated,
  members: generated.members.toSpliced(index, 1),
});

describe('properties of a document', () => {
  test('reading a key gives its exact text', () => {
    fc.assert(
      fc.property(document, (generated) => {
        const parsed = JsonDocument.parse(render(generated));
        expect(parsed.keys).toEqual(generated.members.map(({ key }) => key));
        for (const { key, source: text } of generated.members) {
          const node = parsed.member(key);
          if (node === undefined) throw new Error('a key is missing');
          expect(parsed.sourceOf(node)).toBe(text);
          if (!text.startsWith('"')) expect(parsed.textOf(node)).toBe(text);
          else if (/\\u(d[89a-f])/i.test(text.replaceAll(/\\ud83d\\ude00/g, '')))
            expect(() => parsed.textOf(node)).toThrow('surrogate');
          else expect(parsed.textOf(node)).toBe(JSON.parse(text));
        }
      }),
    );
  });

  test('setting a key changes the bytes of its value alone', () => {
    fc.assert(
      fc.property(withMember, source, ([generated, index], json) => {
        const members = generated.members.map((member, at) =>
          at === index ? { ...member, source: json } : member,
        );
        const { key } = generated.members[index] ?? { key: '' };
        const after = JsonDocument.parse(render(generated)).edit(new Map([[key, { json }]]));
        expect(after.text).toBe(render({ ...generated, members }));
      }),
    );
  });

  test('a new key goes to the end and changes nothing before and after it', () => {
    fc.assert(
      fc.property(document, string, (generated, text) => {
        const before = render(generated);
        const value = JSON.parse(text) as string;
        fc.pre(generated.members.every(({ key }) => key !== 'a new key'));
        const after = JsonDocument.parse(before).edit(new Map([['a new key', value]]));
        const last = generated.members.at(-1);
        const end =
          last === undefined ? before.indexOf('{') + 1 : before.lastIndexOf('}') - last.space[3].length;
        expect(after.text.slice(0, end)).toBe(before.slice(0, end));
        expect(after.text.endsWith(before.slice(end))).toBe(true);
        const inserted = after.text.slice(end, after.text.length - before.slice(end).length);
        expect(
          inserted.replaceAll(/[ \t\n\r]/g, '').startsWith(last === undefined ? '"anewkey":' : ',"anewkey":'),
        ).toBe(true);
        const made = after.member('a new key');
        expect(made?.kind === 'string' && made.text).toBe(value);
      }),
    );
  });

  test('removing a key takes its bytes and a separator', () => {
    fc.assert(
      fc.property(withMember, ([generated, index]) => {
        const before = render(generated);
        const member = generated.members[index];
        if (member === undefined) throw new Error('there is such a member');
        const after = JsonDocument.parse(before).edit(new Map([[member.key, undefined]]));
        const rest = without(generated, index);
        expect(after.keys).toEqual(rest.members.map(({ key }) => key));
        for (const { key, source: text } of rest.members) {
          const node = after.member(key);
          expect(node && after.sourceOf(node)).toBe(text);
        }
        // One cut, which holds the member and no more than its comma and white space.
        let cut = 0;
        while (cut < after.text.length && after.text[cut] === before[cut]) cut += 1;
        const length = before.length - after.text.length;
        const at = [...before].length === 0 ? -1 : findCut(before, after.text, cut, length);
        expect(at).toBeGreaterThanOrEqual(0);
        const extra =
          length - renderMember({ ...member, space: ['', member.space[1], member.space[2], ''] }).length;
        const around = [...generated.members.slice(Math.max(0, index - 1), index + 2)].flatMap(
          (one) => one.space,
        );
        expect(extra).toBeGreaterThanOrEqual(0);
        expect(extra).toBeLessThanOrEqual(1 + around.join('').length);
      }),
    );
  });

  test('several changes at once are the same as one after the other', () => {
    fc.assert(
      fc.property(
        document,
        fc.array(
          fc.tuple(fc.constantFrom('a', '0', '10', '__proto__', 'b'), fc.option(string, { nil: undefined })),
        ),
        (generated, list) => {
          const changes = new Map(
            list.map(([key, text]) => [key, text === undefined ? undefined : (JSON.parse(text) as string)]),
          );
          const start = JsonDocument.parse(render(generated));
          let last = start;
          for (const [key, value] of changes) last = last.edit(new Map([[key, value]]));
          expect(start.edit(changes).equals(last)).toBe(true);
        },
      ),
    );
  });

  test('equality is exact, and knows neither white space nor order', () => {
    fc.assert(
      fc.property(withMember, space, source, ([generated, index], other, json) => {
        const one = JsonDocument.parse(render(generated));
        const members = generated.members
          .map((member) => ({ ...member, space: [other, '', '', ' '] as const }))
          .toReversed();
        expect(one.equals(JsonDocument.parse(render({ ...generated, members })))).toBe(true);
        const before = generated.members[index]?.source ?? '';
        const changed = generated.members.map((member, at) =>
          at === index ? { ...member, source: json } : member,
        );
        if (/^-?\d/.test(json))
          expect(one.equals(JsonDocument.parse(render({ ...generated, members: changed })))).toBe(
            json === before,
          );
      }),
    );
  });

  test('accepts what JSON.parse accepts, and nothing else', () => {
    const mutated = fc
      .tuple(
        document.map(render),
        fc.nat(),
        fc.constantFrom(
          '',
          ',',
          '}',
          ']',
          '"',
          '0',
          '.',
          '-',
          'e',
          '//',
          '\\',
          '\u00a0',
          '\u000b',
          'n',
          '\n',
          '{',
        ),
      )
      .map(([text, at, piece]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + piece + text.slice(place + (piece === '' ? 1 : 0));
      });
    fc.assert(
      fc.property(mutated, (text) => {
        const own = reasonOf(text);
        // Equal keys are refused where the second one stands, whatever comes after it.
        if (own !== 'duplicate') expect(own === undefined).toBe(parses(text));
      }),
      { numRuns: 300 },
    );
  });
});

function findCut(before: string, after: string, from: number, length: number): number {
  // Equal characters on both sides of a cut move the first difference on.
  for (let at = from; at >= 0; at -= 1)
    if (before.slice(0, at) + before.slice(at + length) === after) return at;
  return -1;
}

/** Why a text is no document; nothing when it is one. */
function reasonOf(text: string): string | undefined {
  try {
    parseTree(text);
    return undefined;
  } catch (thrown) {
    return (thrown as { reason?: string }).reason ?? 'unknown';
  }
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('edit', () => {
  test('leaves the numbers of other keys as they are', () => {
    const before = '{"id":1234567890123456789,"rate":1.10,"a":1e400,"pw":"a"}';
    expect(edit(before, { pw: 'b' })).toBe('{"id":1234567890123456789,"rate":1.10,"a":1e400,"pw":"b"}');
  });

  test('follows the layout of the document', () => {
    const before = '{\n  "a": 1,\n  "b": [\n    2\n  ]\n}\n';
    expect(edit(before, { c: 'x' })).toBe('{\n  "a": 1,\n  "b": [\n    2\n  ],\n  "c": "x"\n}\n');
    expect(edit(before, { a: undefined })).toBe('{\n  "b": [\n    2\n  ]\n}\n');
    expect(edit(before, { b: undefined })).toBe('{\n  "a": 1\n}\n');
    expect(edit(before, { a: undefined, b: undefined })).toBe('{\n}\n');
    expect(edit('{ }', { a: 'x' })).toBe('{"a":"x" }');
  });

  test('leaves a key that has the value already as it is spelled', () => {
    expect(edit('{"a":"\\u0041"}', { a: 'A' })).toBe('{"a":"\\u0041"}');
  });

  test('keeps a byte order mark', () => {
    const before = JsonDocument.parse(Buffer.from('\ufeff{"a":1}'));
    expect(before.edit(new Map([['a', { json: '2' }]])).bytes.toString()).toBe('\ufeff{"a":2}');
  });

  test('treats __proto__ as a key like any other', () => {
    expect(edit('{"__proto__":{"admin":true}}', { ['__proto__x']: 'y' })).toBe(
      '{"__proto__":{"admin":true},"__proto__x":"y"}',
    );
    expect(JsonDocument.of([['__proto__', 'z']]).text).toBe('{"__proto__":"z"}');
  });

  test.each(['"text"', '3', 'null', '["list"]'])('refuses a value without keys: %s', (text) => {
    expect(() => edit(text, { a: 'x' })).toThrow('is not a JSON object');
  });
});

describe('parse', () => {
  test('refuses two equal keys and says where both are', () => {
    expect(() => JsonDocument.parse('{"a":1,\n "b":{"\\u0061":1, "a":2}}')).toThrow(
      'its value is ambiguous JSON: the key "a" is there twice, at line 2, column 7 and line 2, column 19',
    );
  });

  test.each([
    ['{"a":1} x', 'line 1, column 9: text after the end'],
    ['{"a":1}{"a":1}', 'line 1, column 8: text after the end'],
    ['{"a":01}', 'line 1, column 7'],
    ["{'a':1}", 'line 1, column 2'],
    ['{"a":1,}', 'line 1, column 8'],
    ['{"a":1 // why\n}', 'line 1, column 8'],
    ['{"a":"x\ny"}', 'line 1, column 6: a malformed string'],
    ['{"a":', 'line 1, column 6: a value is missing'],
    ['[1', 'line 1, column 3: neither a comma nor the end of the array'],
  ])('refuses %j with its place', (text, why) => {
    expect(() => JsonDocument.parse(text)).toThrow(`has no keys: its value is not JSON: ${why}`);
  });

  test.each(['a password', '', '-', 'tru', '"open'])(
    'says of the text %j only that it is not JSON',
    (text) => {
      expect(() => JsonDocument.parse(text)).toThrow(/^has no keys: its value is not JSON$/);
    },
  );

  test('refuses bytes that are not UTF-8', () => {
    expect(() => JsonDocument.parse(Buffer.from([0x7b, 0xff]))).toThrow('its value is not JSON');
  });

  test.each([
    ['[', ']'],
    ['{"a":', '}'],
    ['[', ''],
  ])('refuses 30,000 levels of %s with one line', (open, close) => {
    const text = `${open.repeat(30_000)}1${close.repeat(30_000)}`;
    expect(() => JsonDocument.parse(text)).toThrow('its value has more than 1000 levels of nesting');
  });

  test('reads and compares what is nested just as deep as it may be', () => {
    const text = `${'['.repeat(1000)}1.0${']'.repeat(1000)}`;
    expect(JsonDocument.parse(text).equals(JsonDocument.parse(text.replace('1.0', ' 1.0 ')))).toBe(true);
  });
});

describe('select', () => {
  const parsed = JsonDocument.parse('{"a":{"b":[1.0,{"c~/d":"x"}]},"a.b":2e1,"/a":3}');
  test.each([
    ['a.b', '2e1'],
    ['/a/b/0', '1.0'],
    ['/a/b/1/c~0~1d', 'x'],
    ['a', '{"b":[1.0,{"c~/d":"x"}]}'],
  ])('#%s is %s', (key, text) => {
    expect(parsed.textOf(parsed.select(key))).toBe(text);
  });

  test.each(['b', '/a/b/2', '/a/b/01', '/a/b/-', '/a.b/0', 'toString', '/__proto__'])(
    'there is no #%s',
    (key) => {
      expect(() => parsed.select(key)).toThrow(`has no key ${key}`);
    },
  );

  test('half of a surrogate pair is no text', () => {
    const half = JsonDocument.parse('{"a":"\\ud800"}');
    expect(() => half.textOf(half.select('a'))).toThrow('an unpaired surrogate');
  });

  test('a missing key names those that are there, an empty one too', () => {
    let hint: string | undefined;
    try {
      JsonDocument.parse('{"":1,"a":2}').select('b');
    } catch (thrown) {
      ({ hint } = thrown as { hint?: string });
    }
    expect(hint).toBe('its keys are "", a');
  });
});
