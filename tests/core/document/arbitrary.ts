/** JSON as other programs write it: every spelling that RFC 8259 allows, by its source text. */
import fc from 'fast-check';

export interface GeneratedMember {
  readonly key: string;
  /** The key as it is spelled, with its quotes. */
  readonly spelling: string;
  /** White space: before the key, before the colon, after the colon, before the comma or brace. */
  readonly space: readonly [string, string, string, string];
  readonly source: string;
}

export interface GeneratedDocument {
  readonly before: string;
  readonly members: readonly GeneratedMember[];
  readonly after: string;
}

export const space = fc.stringMatching(/^[ \t\n\r]{0,3}$/);
const number = fc.oneof(
  fc.stringMatching(/^-?(0|[1-9]\d{0,30})(\.\d{1,20})?([eE][+-]?\d{1,4})?$/),
  fc.constantFrom('-0', '1.10', '1e400', '-0.0', '1E+2', '1234567890123456789', '0.1e-999'),
);
const character = fc.oneof(
  fc
    .string({ unit: 'binary', minLength: 1, maxLength: 1 })
    .filter((text) => !/["\\\u0000-\u001f]/.test(text)),
  fc.constantFrom('\\n', '\\"', '\\\\', '\\/', '\\b', '\\f', '\\r', '\\t', '\\u0000', '\\u2028'),
  fc.constantFrom('\\ud83d\\ude00', '\\uD800', '\\udfff', 'é', '\u2028', '\ufeff', '😀', '//', '/*'),
);
export const string = fc.array(character, { maxLength: 6 }).map((characters) => `"${characters.join('')}"`);
const key = fc.oneof(
  string,
  fc.constantFrom('"__proto__"', '"constructor"', '"0"', '"10"', '"2"', '"\\u0061"', '"a.b"', '"/a"', '""'),
);

/** Any JSON value by its source. */
export const source: fc.Arbitrary<string> = fc.letrec<{ value: string; list: string; object: string }>(
  (tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.oneof(number, string, fc.constantFrom('true', 'false', 'null')),
      tie('list'),
      tie('object'),
    ),
    list: fc
      .array(fc.tuple(space, tie('value'), space), { maxLength: 3 })
      .map((items) => `[${items.map((item) => item.join('')).join()}]`),
    object: members(tie('value')).map((all) => render({ before: '', members: all, after: '' })),
  }),
).value;

function members(value: fc.Arbitrary<string>): fc.Arbitrary<GeneratedMember[]> {
  const member = fc.record({
    spelling: key,
    space: fc.tuple(space, space, space, space),
    source: value,
  });
  return fc.uniqueArray(
    member.map((one) => ({ ...one, key: JSON.parse(one.spelling) as string })),
    { selector: (one) => one.key, maxLength: 5 },
  );
}

/** An object with white space around it. */
export const document: fc.Arbitrary<GeneratedDocument> = fc.record({
  before: space,
  members: members(source),
  after: space,
});

export function render({ before, members: all, after }: GeneratedDocument): string {
  return `${before}{${all.map(renderMember).join()}}${after}`;
}

export function renderMember({ spelling, space: [a, b, c, d], source: text }: GeneratedMember): string {
  return `${a}${spelling}${b}:${c}${text}${d}`;
}
