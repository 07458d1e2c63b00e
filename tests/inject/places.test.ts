/** Where placeholders stand, and where they can't; the template's own syntax. */
import { type Format, FORMATS } from '../../src/inject/formats/names.ts';
import { formatOf } from '../../src/inject/formats/index.ts';
import { render as renderPass, survey } from '../../src/inject/render.ts';
import { inject, refusedFor } from './kit.ts';

const X = new Map([
  ['x', 'va"l\'ue'],
  ['n', '12'],
  ['b', 'true'],
  ['local://x', 'one'],
  ['local://a/b.c#k', 'two'],
]);

async function render(format: Format, text: string, options?: Parameters<typeof inject>[3]): Promise<string> {
  const { output, problems } = await inject(format, text, X, options);
  expect(problems).toEqual([]);
  return output.toString();
}

async function problemsOf(format: Format, text: string): Promise<readonly string[]> {
  return (await inject(format, text, X)).problems;
}

const REFUSED: readonly (readonly [Format, string, RegExp])[] = [
  ['json', '{"a": 1{{ x }}}', /^1:8: .*JSON value/],
  ['json', '{"a": {{ x }}1}', /^1:7: .*JSON value/],
  ['json', '{"a": {{ x }}{{ x }}}', /^1:14: .*JSON value/],
  ['json', '"\\{{ x }}"', /backslash/],
  ['json', '"{{ x | json }}"', /quotes already/],
  ['yaml', 'a: b{{ x }}', /^1:5: .*not the whole value/],
  ['yaml', 'a: http://u:{{ x }}@h', /not the whole value/],
  ['yaml', 'a: {{ x }}b', /^1:4: .*not the whole value/],
  ['yaml', 'a: {{ x }} {{ x }}', /not the whole value/],
  ['yaml', 'a: b\n  {{ x }}', /^2:3: .*not the whole value/],
  ['yaml', 'a: b\n  "{{ x }}"', /without quotes/],
  ['yaml', 'a: "b" {{ x }}', /not the whole value/],
  ['yaml', 'a:{{ x }}', /not the whole value/],
  ['yaml', "a: 'b\n  {{ x }}'", /over several lines/],
  ['yaml', "a: '{{ x }}\n  b'", /over several lines/],
  ['yaml', 'a: |{{ x }}', /first line of a block/],
  ['yaml', 'a: |2\n   {{ x }}', /indentation/],
  ['yaml', 'a: |\n  b\n{{ x }}', /^3:1: /],
  ['yaml', 'a: b\n  "c\n  d: "\ne: {{ x }}', /too hard to read/],
  ['toml', '{{ x }} = 1', /TOML value/],
  ['toml', '[{{ x }}]', /TOML value/],
  ['toml', 'a = {{ x }}b', /TOML value/],
  ['toml', 'a = b{{ x }}', /TOML value/],
  ['toml', 'a = "" {{ x }}', /TOML value/],
  ['ini', '[{{ x }}]', /not stand in a value/],
  ['ini', 'a = b\n  {{ x }}', /^2:3: /],
  ['ini', 'a = b ; {{ x }}', /some readers/],
  ['xml', '<a {{ x }}/>', /inside of a tag/],
  ['xml', '<{{ x }}/>', /inside of a tag/],
  ['xml', '<a>&{{ x }};</a>', /isn’t complete/],
  ['xml', '<a b="&#{{ x }};"/>', /isn’t complete/],
  ['xml', '<!DOCTYPE a [ <!ENTITY b "c"> ]><a>{{ x }}</a>', /too hard to read/],
  ['properties', '{{ x }} = 1', /in a key/],
  ['properties', 'a = \\{{ x }}', /backslash/],
  ['dotenv', 'A=b{{ x }}', /part of a value/],
  ['dotenv', 'A={{ x }}b', /part of a value/],
  ['dotenv', '{{ x }}=b', /not stand in a value/],
  ['dotenv', 'A="b\nc"\nB={{ x }}', /too hard to read/],
  ['dotenv', 'A="${{ x }}"', /^1:5: .*follows \$/],
  ['dotenv', 'A="b\\$${{ n }}"', /follows \$/],
  ['dotenv', 'A = {{ x }}', /^1:5: .*blanks/],
  ['dotenv', 'A= "{{ x }}"', /^1:5: .*blanks/],
  ['dotenv', "export A ='{{ x }}'", /blanks/],
  ['dotenv', "sh -c A='{{ x }}'", /not stand in a value/],
  ['dotenv', "A='b\\' c'\nB={{ x }}", /^2:3: .*too hard/],
  ['dotenv', "A=it's\nB={{ x }}", /^2:3: .*too hard/],
  ['dotenv', "A=#it's\nB={{ x }}", /^2:3: .*too hard/],
  ['dotenv', 'A="b"c\'d\nB={{ x }}', /^2:3: .*too hard/],
  ['dotenv', 'A="$(b {{ x }})"', /too hard/],
  ['dotenv', 'A="`b`"\nB={{ x }}', /too hard/],
  ['dotenv', 'A=$(b\nB={{ x }}', /too hard/],
  ['dotenv', 'A="${B:-{{ x }}}"', /inside of/],
  ['dotenv', 'A="${B:-"c"}"\nD={{ x }}', /too hard/],
  ['ini', 'a = %{{ x }}', /follows %/],
  ['ini', 'a = \\{{ x }}', /follows %/],
  ['ini', 'a = {{ n }}%{{ x }}', /^1:13: .*follows %/],
  ['shell', 'a=${b:-{{ x }}}', /inside of/],
  ['shell', 'a=$(( {{ x }} ))', /inside of/],
  ['shell', "a=$'{{ x }}'", /inside of/],
  ['shell', 'a=`b {{ x }}`', /inside of/],
  ['shell', 'a="$ {b}" c="${{{ n }}}"', /another template language/],
  ['shell', 'cat <<E\n{{ x }}\nE\n', /here-document/],
  ['shell', 'a="$(case b in b) echo "c";; esac)"\nd={{ x }}', /^2:3: .*too hard/],
  ['shell', 'a=${b//"/}\nc={{ x }}', /too hard to read/],
  ['shell', "a=$'it\\'s'\nb={{ x }}", /too hard/],
  ['shell', "echo $(b)#'\nc={{ x }}", /too hard/],
  // For bash a substitution, for dash none.
  ['shell', 'echo "$$("; b={{ x }}', /too hard/],
  ['shell', 'echo "$$$("; b={{ x }}', /too hard/],
  ['shell', 'echo "$${{ x }}"', /inside of/],
  ['shell', 'a=$\\\n(b {{ x }})', /too hard/],
  ['shell', 'cat <<E\nb\\\nE\n$(c)\nE\nd={{ x }}', /too hard/],
  ['shell', 'cat <<E\n$(b\nE\n)\nE\nd={{ x }}', /too hard/],
  ['shell', 'cat <<E\n$(b # )\nE\n)\nE\nd={{ x }}', /too hard/],
  ['shell', 'cat <<E\n$(b "\nE\n")\nE\nd={{ x }}', /too hard/],
  ['shell', 'cat <<E\n$(b <<F)\nE\nF\n)\nE\nd={{ x }}', /too hard/],
  ['shell', 'a=$(cat <<E)\nb\nE\nc={{ x }}', /too hard/],
  ['shell', 'cat <<E $(b\n)\nc\nE\nd={{ x }}', /too hard/],
  ['shell', '((echo b # it)\n) c={{ x }}', /too hard/],
  ['tfvars', 'a = {{ x }}b', /value can stand/],
  ['tfvars', '{{ x }} = 1', /value can stand/],
  ['tfvars', 'a = "${b}"\nc = {{ x }}', /too hard to read/],
  ['tfvars', 'a = "${{ n }}"', /follows \$/],
  ['tfvars', 'a = <<E\n{{ x }}\nE\n', /heredoc/],
];

test.each(REFUSED)('%s refuses %j', async (format, text, why) => {
  const problems = await problemsOf(format, text);
  expect(problems.join('\n')).toMatch(why);
});

test.each([
  ['shell', 'cat <<-"E"\n\tE\na={{ n }} b="${c}"', 'cat <<-"E"\n\tE\na=\'12\' b="${c}"'],
  ['shell', 'a=$((1 << 2)); b="x(y" c={{ n }}', 'a=$((1 << 2)); b="x(y" c=\'12\''],
  ['shell', 'case a in b) c={{ n }};; esac', "case a in b) c='12';; esac"],
  ['shell', 'a=b#{{ n }} # {{ n }}', "a=b#'12' # {{ n }}"],
  // What is escaped begins nothing.
  ['shell', 'echo "\\$("; P={{ n }}', 'echo "\\$("; P=\'12\''],
  ['shell', "echo $$'{{ n }}'", "echo $$'12'"],
  ['shell', "echo foo\\\n#'{{ n }}'", "echo foo\\\n#'12'"],
  ['shell', "echo foo \\\n#'{{ n }}\nb={{ n }}", "echo foo \\\n#'{{ n }}\nb='12'"],
  ['shell', "echo it\\;#'s {{ n }}'", "echo it\\;#'s 12'"],
  ['shell', 'a=\\((b); c={{ n }}', "a=\\((b); c='12'"],
  ['shell', 'cat <<E\n$(b) ${c} \\$( $((1+2))\nE\nd={{ n }}', "cat <<E\n$(b) ${c} \\$( $((1+2))\nE\nd='12'"],
  [
    'shell',
    'cat <<E\n$(date "+%F $b" <c) $(d ${e} \'f\')\nE\nd={{ n }}',
    "cat <<E\n$(date \"+%F $b\" <c) $(d ${e} 'f')\nE\nd='12'",
  ],
  ['shell', "cat <<'E'\n$(b\\\nE\nd={{ n }}", "cat <<'E'\n$(b\\\nE\nd='12'"],
  ['dotenv', 'A="\\${B} ${C}{{ n }}"\nD=a # it\'s\nE={{ n }}', "A=\"\\${B} ${C}12\"\nD=a # it's\nE='12'"],
  ['ini', 'a = 5% {{ n }}', 'a = 5% 12'],
  ['yaml', '# {{ n }}\na: b # {{ n }}\nc: {{ n }}', '# {{ n }}\na: b # {{ n }}\nc: "12"'],
  ['yaml', 'a: http://b#{{ "{{" }}', 'a: http://b#{{'],
  ['yaml', '---\n{{ n }}\n---\n- {{ n }}\n', '---\n"12"\n---\n- "12"\n'],
  ['yaml', 'a: |\n  # {{ n }}\n  b\nc: {{ n }}', 'a: |\n  # 12\n  b\nc: "12"'],
  ['yaml', '- a: >\n    {{ n }} b\n  c: {{ n }}', '- a: >\n    12 b\n  c: "12"'],
  ['yaml', 'a: [ {{ n }},{{ n }} ] # c', 'a: [ "12","12" ] # c'],
  ['yaml', '"a": {{ n | number }}\nb: {{ b | bool }}', '"a": 12\nb: true'],
  ['json', '{"a":{{ n | number }},"b":[{{ b | bool }},{{ n | json }}]}', '{"a":12,"b":[true,"12"]}'],
  ['json', '{"a":{"b":{{ n }}}}', '{"a":{"b":"12"}}'],
  ['toml', '# {{ n }}\na = {{ n | number }}', '# {{ n }}\na = 12'],
  ['toml', 'a = \'\'\nb = """"c""" # {{ n }}\nd = {{ n }}', 'a = \'\'\nb = """"c""" # {{ n }}\nd = "12"'],
  ['ini', '; {{ n }}\na = b={{ n }}', '; {{ n }}\na = b=12'],
  ['xml', '<!-- {{ n }} --><a b="c>{{ n }}">{{ n }}</a>', '<!-- {{ n }} --><a b="c>12">12</a>'],
  ['properties', '! {{ n }}\na=b\\\n  {{ n }}', '! {{ n }}\na=b\\\n  12'],
  ['dotenv', '# {{ n }}\nexport A={{ n }}\nB="c" # {{ n }}', '# {{ n }}\nexport A=\'12\'\nB="c" # {{ n }}'],
  [
    'tfvars',
    '/* {{ n }} */ a = [ {{ n }},\n {{ n | number }} ] // {{ n }}',
    '/* {{ n }} */ a = [ "12",\n 12 ] // {{ n }}',
  ],
  [
    'text',
    'a {{n}} {{ n|base64 }} {{ x | url }} {{ x | json }} {{ x | shell }}',
    "a 12 MTI= va%22l%27ue \"va\\\"l'ue\" 'va\"l'\\''ue'",
  ],
  ['text', '{{ "{{" }} {{ "}}" }} {{"{{"}}', '{{ }} {{'],
] as const)('%s: %j', async (format, text, wanted) => {
  expect(await render(format, text)).toBe(wanted);
  expect(await render(format, text, { chunk: 1 })).toBe(wanted);
});

test.each([
  ['{{ x', '1:1: {{ is not closed on its line'],
  ['a\né{{ x\n}}', '2:2: {{ is not closed on its line'],
  ['{{{{{{{ x', '1:1: {{ is not closed on its line'],
  ['{{ }}', '1:1: the placeholder is empty'],
  ['{{ x | }}', '1:1: a filter is missing after |'],
  ['{{ x | upper }}', '1:1: there is no such filter'],
  ['{{ a b }}', '1:1: this is not a reference'],
  ['{{ with secret "kv/a" }}', '1:1: this is a tag of another template language'],
  ['{{ .Values.a }}', '1:1: this is a tag of another template language'],
  ['{{- x }}', '1:1: this is a tag of another template language'],
])('malformed: %j', async (text, problem) => {
  expect(await problemsOf('text', text)).toEqual([problem]);
  expect((await inject('text', text, X, { chunk: 1 })).problems).toEqual([problem]);
});

test('every problem is listed, with the number of those that are too many', async () => {
  expect(await problemsOf('json', '{"a": b{{ x }},\n"c": {{ }},\n"d": "\\{{ x }}"}')).toEqual([
    expect.stringMatching(/^1:8: /),
    expect.stringMatching(/^2:6: /),
    expect.stringMatching(/^3:8: /),
  ]);
  const many = await problemsOf('text', '{{ }}\n'.repeat(1000));
  expect(many).toHaveLength(51);
  expect(many.at(-1)).toMatch(/and 950 more/);
});

test.each([
  ['a new reference', 'a: "{{ n }}" # {{ x }}', 'a: "{{ n }}"\nb: {{ x }}'],
  ['a place that was not tried', "a: {{ n }} # '", "a: '{{ n }}'"],
  ['a filter that was not tried', 'a: {{ n }}', 'a: {{ n | bool }}'],
  ['other text', 'a: {{ n }}', 'b: {{ n }}'],
])('a template that has %s in the second pass is a conflict', async (_, before, after) => {
  let text = before;
  const source = { name: 'template', chunks: () => [text], hash: () => text };
  const template = { source, format: 'yaml', stores: undefined } as const;
  const found = await survey(template, new AbortController().signal);
  text = after;
  const valueOf = (ref: string): Buffer => Buffer.from(new Map([['n', '\0']]).get(ref) as string);
  await expect(
    renderPass(template, found, valueOf, { write: () => undefined, afterChange: 'repeat it' }),
  ).rejects.toMatchObject({
    kind: 'Conflict',
    message: 'template was changed while it was read',
    hint: 'repeat it',
  });
});

test('the first pass can be interrupted, however long the template is', async () => {
  function* chunks(): Iterable<string> {
    for (;;) yield 'a: {{ x }}\n';
  }
  const interrupt = new AbortController();
  setTimeout(() => interrupt.abort(), 20);
  const source = { name: 'template', chunks, hash: () => '' };
  await expect(survey({ source, format: 'yaml', stores: undefined }, interrupt.signal)).rejects.toMatchObject(
    { name: 'AbortError' },
  );
});

test('--bare: references into known stores, and nothing else', async () => {
  const text =
    'a=local://x, "local://a/b.c#k". https://local.example/local://x xlocal://x other://x (local://x) {{ n }}';
  const wanted = 'a=one, "two". https://local.example/local://x xlocal://x other://x (one) 12';
  for (const chunk of [1, 5, 1000])
    expect(await render('text', text, { stores: ['local'], chunk })).toBe(wanted);
  expect(await render('yaml', 'a: local://x', { stores: ['local'] })).toBe('a: "one"');
  expect(await render('text', 'a local://x')).toBe('a local://x');
});

test('a number and a bool are checked, and a value is never shown', () => {
  expect(refusedFor('json', '{{ x | number }}', '1, "admin": true')).toBe('something that is not a number');
  expect(refusedFor('yaml', 'a: {{ x | number }}', '1e3')).toBe('something that is not a number');
  expect(refusedFor('toml', 'a = {{ x | bool }}', 'yes')).toBe('something that is neither true nor false');
});

test('bytes that are not text are refused by every format but text', () => {
  const TEMPLATES: Readonly<Partial<Record<Format, string>>> = {
    dotenv: 'A={{ x }}',
    json: '{{ x }}',
    yaml: 'a: {{ x }}',
    toml: 'a = {{ x }}',
    ini: 'a = {{ x }}',
    xml: '<a>{{ x }}</a>',
    properties: 'a={{ x }}',
    shell: 'a={{ x }}',
    tfvars: 'a = {{ x }}',
  };
  for (const format of FORMATS) {
    const template = TEMPLATES[format] ?? '{{ x }}';
    const has = refusedFor(format, template, Buffer.from([0xff, 0]));
    expect([format, has]).toEqual([format, format === 'text' ? undefined : 'bytes that are not UTF-8']);
    expect(refusedFor(format, template.replace('x', 'x | base64'), Buffer.from([0xff, 0]))).toBeUndefined();
  }
});

test('a template that is not UTF-8 is refused, but as text', async () => {
  const latin1 = Buffer.from('{"é": {{ x }}}', 'latin1');
  await expect(inject('json', latin1, X)).rejects.toThrow('template is not UTF-8 text');
  expect((await inject('text', latin1, X)).problems).toEqual([]);
});

test.each([
  ['a/.env', 'dotenv'],
  ['.env.production', 'dotenv'],
  ['app.env.tmpl', 'dotenv'],
  ['.envrc', 'shell'],
  ['.env.json', 'json'],
  ['config.YML.tpl', 'yaml'],
  ['prod.auto.tfvars', 'tfvars'],
  ['prod.tfvars.json', 'json'],
  ['nginx.conf', undefined],
  ['Makefile', undefined],
] as const)('%s is %s', (name, format) => {
  expect(formatOf(name)).toBe(format);
});
