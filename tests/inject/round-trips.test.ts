/**
 * Hostile values, written into each place of each format and read back by a parser that people use. What a place
 * can't hold is refused, and the tests say what that is.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import type { Format } from '../../src/inject/formats/names.ts';
import { GO_READERS, PYTHON_READER, READERS, RUBY_READER } from '../backends/env-readers.ts';
import { readHcl } from '../core/environment/readers.ts';
import { SEED, VALUES } from '../core/environment/values.ts';
import { program, testNeeding } from '../needs.ts';
import { inject, refusedFor } from './kit.ts';

const folder = mkdtempSync(join(tmpdir(), 'secrets-inject-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** More that the values of `env` don't have, because a variable can't. */
const ALL: ReadonlyMap<string, string> = new Map([
  ...VALUES,
  ['NUL', 'a\0b'],
  ['PEM', `-----BEGIN KEY-----\n${'Zm9v\n'.repeat(3)}-----END KEY-----\n`],
  ['DOCUMENT', '---\n...\n'],
  ['CDATA', 'a]]>b]'],
  ['EMPTY', ''],
  ['SPACES', '  '],
]);

interface Written {
  readonly text: string;
  readonly kept: ReadonlyMap<string, string>;
  readonly refused: ReadonlyMap<string, string>;
}

/**
 * The values that this place can hold in one file, a line for each.
 * @param line with NAME and `{{ x }}`
 */
async function write(format: Format, line: string, head = '', tail = '', join_ = '\n'): Promise<Written> {
  const kept = new Map<string, string>();
  const refused = new Map<string, string>();
  for (const [name, value] of ALL) {
    const why = refusedFor(format, head + line.replaceAll('NAME', name) + tail, value);
    (why === undefined ? kept : refused).set(name, value);
  }
  const lines = [...kept.keys()].map((name) =>
    line.replaceAll('NAME', name).replaceAll('{{ x }}', `{{ ${name} }}`),
  );
  const template = head + lines.join(join_) + tail;
  const { output, problems } = await inject(format, template, kept);
  expect(problems).toEqual([]);
  // A chunk may end anywhere.
  expect((await inject(format, template, kept, { chunk: 3 })).output.equals(output)).toBe(true);
  return { text: output.toString(), kept, refused };
}

function expectSame(
  got: Readonly<Record<string, unknown>>,
  kept: ReadonlyMap<string, string>,
  around = ['', ''],
): void {
  for (const [name, value] of kept) {
    const wanted = `${around[0]}${value}${around[1]}`;
    if (got[name] !== wanted)
      throw new Error(
        `${name} (seed ${SEED}): ${JSON.stringify(wanted)} came back as ${JSON.stringify(got[name])}`,
      );
  }
  expect(Object.keys(got)).toHaveLength(kept.size);
}

const values = (refused: ReadonlyMap<string, string>): readonly string[] => [...refused.values()];

/** What a program prints as JSON about the text that it reads from a file. */
function readBy(command: readonly string[], text: string): Readonly<Record<string, unknown>> {
  const file = join(folder, 'text');
  writeFileSync(file, text);
  const [file_ = '', ...args] = command;
  const { status, stdout, stderr } = spawnSync(file_, [...args, file], { maxBuffer: 1e8, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file_}: ${stderr}`);
  return JSON.parse(stdout) as Readonly<Record<string, unknown>>;
}

const python = (code: string): readonly string[] => ['python3', '-c', `import json, sys\n${code}`];

describe('json', () => {
  test('a whole value', async () => {
    const { text, kept, refused } = await write('json', '"NAME": {{ x }}', '{', '}', ',\n');
    expectSame(JSON.parse(text) as never, kept);
    expect(refused.size).toBe(0);
  });

  test('a part of a string', async () => {
    const { text, kept, refused } = await write('json', '"NAME":"a{{ x }}\\"b"', '{', '}', ',');
    expectSame(JSON.parse(text) as never, kept, ['a', '"b']);
    expect(refused.size).toBe(0);
  });
});

describe('yaml', () => {
  const read = (text: string, version: '1.1' | '1.2'): Readonly<Record<string, unknown>> =>
    parseYaml(text, { version }) as Readonly<Record<string, unknown>>;

  type Around = readonly [string, string];
  type Case = [title: string, line: string, head: string, tail: string, around: Around, separator: string];
  const places: Case[] = [
    ['a whole value', 'NAME: {{ x }}', '', '', ['', ''], '\n'],
    ['with a comment behind it', 'NAME:   {{ x }} # why', '', '', ['', ''], '\n'],
    ['on the next line', 'NAME:\n  {{ x }}', '', '', ['', ''], '\n'],
    ['with a tag', 'NAME: !!str {{ x }}', '', '', ['', ''], '\n'],
    ['in double quotes', 'NAME: "{{ x }}"', '', '', ['', ''], '\n'],
    ['as a part of double quotes over lines', 'NAME: "a\n  b{{ x }}c\n  d"', '', '', ['a b', 'c d'], '\n'],
    ['in a flow map', 'NAME: {{ x }}', '{\n', '\n}', ['', ''], ',\n'],
  ];
  test.each(places)('%s', async (_title, line, head, tail, around, separator) => {
    const { text, kept, refused } = await write('yaml', line, head, tail, separator);
    expectSame(read(text, '1.2'), kept, [...around]);
    expectSame(read(text, '1.1'), kept, [...around]);
    expect(refused.size).toBe(0);
  });

  test('in a list, nested', async () => {
    const { text, kept } = await write(
      'yaml',
      '  - name: NAME\n    value: {{ x }}\n    list: [ {{ x }} ]',
      'env:\n',
    );
    const { env } = read(text, '1.2') as {
      readonly env: readonly { name: string; value: string; list: string[] }[];
    };
    expectSame(Object.fromEntries(env.map(({ name, value }) => [name, value])), kept);
  });

  test('in single quotes, without line breaks and characters that need an escape', async () => {
    const { text, kept, refused } = await write('yaml', "NAME: 'a''{{ x }}'");
    expectSame(read(text, '1.2'), kept, ["a'", '']);
    expectSame(read(text, '1.1'), kept, ["a'", '']);
    for (const value of values(refused))
      expect(value).toMatch(/[^\t -~\u00a0-\u2027\u202a-\ufefe\uff00-\ufffd]/);
    expect(kept.size).toBeGreaterThan(100);
  });

  test('in a block, with line breaks; not with white space at its start', async () => {
    const { text, kept, refused } = await write('yaml', 'NAME: |-\n    {{ x }}~');
    expectSame(read(text, '1.2'), kept, ['', '~']);
    for (const value of values(refused))
      expect(value).toMatch(/[^\n\t -~\u00a0-\u2027\u202a-\ufefe\uff00-\ufffd]|^\n*[ \t]/);
    expect(kept.has('PEM') && kept.has('DOCUMENT')).toBe(true);
  });
});

describe('toml', () => {
  const read = (text: string): Readonly<Record<string, unknown>> =>
    readBy(python('import tomllib\nprint(json.dumps(tomllib.load(open(sys.argv[1], "rb"))))'), text);

  testNeeding(program('python3')).each([
    ['a whole value', 'NAME = {{ x }}', ['', '']],
    ['a part of a basic string', 'NAME = "a{{ x }}\\"b"', ['a', '"b']],
    ['in a string of several lines', 'NAME = """\na\\\n  {{ x }}"""', ['a', '']],
  ])('%s', async (_title, line, around) => {
    const { text, kept, refused } = await write('toml', line);
    expectSame(read(text), kept, around);
    expect(refused.size).toBe(0);
  });

  testNeeding(program('python3'))('in an array and an inline table', async () => {
    const { text, kept } = await write('toml', 'NAME = [ { a = {{ x }} }, # why\n  {{ x }} ]');
    const got = Object.entries(read(text) as Record<string, [{ a: string }, string]>);
    expectSame(Object.fromEntries(got.map(([name, [{ a }]]) => [name, a])), kept);
    expectSame(Object.fromEntries(got.map(([name, [, b]]) => [name, b])), kept);
  });

  testNeeding(program('python3')).each([
    ["'", "NAME = 'a{{ x }}'"],
    ["'''", "NAME = '''a{{ x }}'''"],
  ])('in %s, what has neither such a quote nor line breaks', async (_quotes, line) => {
    const { text, kept, refused } = await write('toml', line);
    expectSame(read(text), kept, ['a', '']);
    for (const value of values(refused)) expect(value).toMatch(/['\u0000-\u0008\n-\u001f\u007f]/);
  });
});

testNeeding(program('python3'))('ini: what every reader takes as it is', async () => {
  const { text, kept, refused } = await write('ini', 'NAME = {{ x }}', '[all]\n');
  for (const how of ['', 'interpolation=None', 'interpolation=configparser.ExtendedInterpolation()']) {
    const code = `import configparser
c = configparser.ConfigParser(${how})
c.optionxform = str
c.read(sys.argv[1], encoding="utf-8")
print(json.dumps(dict(c["all"])))`;
    expectSame(readBy(python(code), text), kept);
  }
  for (const value of values(refused))
    expect(value).toMatch(
      /["'`;#\\%\u0000-\u0008\u000a-\u001f\u007f\u0085\u2028\u2029$]|^[\s\ufeff]|[\s\ufeff]$/,
    );
  expect(kept.size).toBeGreaterThan(20);
});

describe('xml', () => {
  const read = (text: string, value: string): Readonly<Record<string, unknown>> =>
    readBy(
      python(`import xml.etree.ElementTree as e
print(json.dumps({one.get("name"): ${value} for one in e.parse(sys.argv[1]).getroot()}))`),
      text,
    );

  testNeeding(program('python3')).each([
    ['text', '<v name="NAME">a{{ x }}b</v>', '(one.text or "")', ['a', 'b']],
    ['CDATA', '<v name="NAME"><![CDATA[<]{{ x }}]>]]></v>', '(one.text or "")', ['<]', ']>']],
    ['an attribute', '<v name="NAME" of="{{ x }}"/>', 'one.get("of")', ['', '']],
    ['an attribute in single quotes', "<v of='{{ x }}' name='NAME'/>", 'one.get("of")', ['', '']],
  ])('%s', async (_title, line, value, around) => {
    for (const encoding of ['UTF-8', 'ISO-8859-1']) {
      const head = `<?xml version="1.0" encoding="${encoding}"?>\n<!-- {{ not }} read -->\n<all>`;
      const { text, kept, refused } = await write('xml', line, head, '</all>');
      expectSame(read(text, value), kept, around);
      for (const one of values(refused))
        expect(one).toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/);
    }
  });
});

const PROPERTIES = `import java.io.*; import java.nio.charset.*; import java.util.*;
public class Read { public static void main(String[] a) throws Exception {
  Properties p = new Properties();
  if (a[0].equals("latin1")) p.load(new FileInputStream(a[1]));
  else p.load(new InputStreamReader(new FileInputStream(a[1]), StandardCharsets.UTF_8));
  StringBuilder out = new StringBuilder("{");
  for (String k : p.stringPropertyNames()) {
    if (out.length() > 1) out.append(",");
    out.append('"').append(k).append("\\":\\"");
    for (char c : p.getProperty(k).toCharArray()) out.append(String.format("\\\\u%04x", (int) c));
    out.append('"');
  }
  System.out.println(out.append("}"));
} }`;

testNeeding(program('java'))(
  'properties: java.util.Properties reads everything, in both encodings',
  async () => {
    const java = join(folder, 'Read.java');
    writeFileSync(java, PROPERTIES);
    for (const line of ['NAME={{ x }}', 'NAME : \\\n   {{ x }}', 'NAME\t{{ x }}']) {
      const { text, kept, refused } = await write('properties', line);
      expect(refused.size).toBe(0);
      expectSame(readBy(['java', java, 'latin1'], text), kept);
      expectSame(readBy(['java', java, 'utf8'], text), kept);
    }
  },
  180_000,
);

describe('shell', () => {
  const read = (shell: string, text: string): Readonly<Record<string, unknown>> => {
    const file = join(folder, 'script.sh');
    writeFileSync(file, `${text}\n/usr/bin/env -0\n`);
    const { status, stdout, stderr } = spawnSync(shell, [file], {
      env: {},
      maxBuffer: 1e8,
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const own = new Set(['PWD', 'OLDPWD', 'SHLVL', '_']);
    return Object.fromEntries(
      stdout
        .split('\0')
        .slice(0, -1)
        .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)])
        .filter(([name]) => !own.has(name as string)),
    );
  };

  testNeeding(program('bash'), program('dash')).each([
    ['a word', 'export NAME={{ x }}', ['', '']],
    ['a part of a word', 'export NAME=a{{ x }}b # {{ not }} read', ['a', 'b']],
    ['double quotes', 'export NAME="a{{ x }}$(printf b; )"', ['a', 'b']],
    ['single quotes', "export NAME='\"{{ x }}'", ['"', '']],
    ['what is escaped before it', 'X="\\$(\\\\$$"; export NAME={{ x }}', ['', '']],
    ['a continued line before it', "export NAME=a\\\n#'{{ x }}'", ['a#', '']],
    ['a command in double quotes', 'export NAME="$(printf %s. {{ x }})"', ['', '.']],
  ])('%s', async (_title, line, around) => {
    const { text, kept, refused } = await write('shell', line);
    expectSame(read('bash', text), kept, around);
    expectSame(read('dash', text), kept, around);
    expect([...refused.keys()]).toEqual(['NUL']);
  });
});

describe('dotenv', () => {
  const common = ['dotenv', 'dotenv, its fast parser', 'sh'] as const;
  const places = [
    ['a whole value', 'NAME={{ x }}', ''],
    ['single quotes', "NAME='a {{ x }}'", 'a '],
    ['double quotes', 'NAME="a {{ x }}"', 'a '],
  ] as const;

  const check = async (reader: keyof typeof READERS, line: string, before: string): Promise<void> => {
    const { text, kept } = await write('dotenv', line);
    const [got] = READERS[reader]([text]);
    expectSame(got as never, kept, [before, '']);
    expect(kept.size).toBeGreaterThan(20);
  };

  test.each(places)('%s', async (_title, line, before) => {
    for (const reader of common) await check(reader, line, before);
  });
  testNeeding(GO_READERS).each(places)('%s: compose-go and godotenv', async (_title, line, before) => {
    await check('compose-go', line, before);
    await check('godotenv', line, before);
  });
  testNeeding(PYTHON_READER).each(places)('%s: python-dotenv', (_title, line, before) =>
    check('python-dotenv', line, before),
  );
  testNeeding(RUBY_READER).each(places)('%s: Ruby', (_title, line, before) => check('ruby', line, before));
});

describe('tfvars', () => {
  test.each([
    ['a whole value', 'NAME = {{ x }}', ['', '']],
    ['a part of a string', 'NAME = "%$${b} {{ x }}{a}"', ['%${b} ', '{a}']],
  ])('%s, by the rules of HCL', async (_title, line, around) => {
    const { text, kept, refused } = await write('tfvars', line, '', '\n');
    expectSame(Object.fromEntries(readHcl(text)), kept, around);
    for (const value of values(refused))
      expect(value !== value.normalize('NFC') || /\0|^\p{M}/u.test(value)).toBe(true);
    expect(kept.size).toBeGreaterThan(100);
  });
});

test('text: every byte', async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const { output } = await inject(
    'text',
    Buffer.concat([bytes, Buffer.from('{{ x }}'), bytes]),
    new Map([['x', bytes]]),
  );
  expect(output.equals(Buffer.concat([bytes, bytes, bytes]))).toBe(true);
});
