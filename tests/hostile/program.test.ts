/** Hostile input to the built program as a whole process: five seconds of the processor at most, no stack, no control characters. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makePlace, type Place, problemsOf, UNSAFE } from '../e2e/program.ts';
import { sampled, sized, startOf } from '../size.ts';
import { documents } from './documents.ts';

let place: Place;
beforeEach(async () => {
  place = await makePlace();
});
afterEach(() => place.remove());

describe('a secrets.yaml', () => {
  test.each(sampled(documents, 8))('$title', async ({ bytes, refused, trust = false }) => {
    await writeFile(join(place.cwd, 'secrets.yaml'), bytes);
    const start = 'exec --allow-empty -- sh -c "echo started"';
    if (trust) {
      const outcome = await place.within(`secrets ${start}`);
      expect(problemsOf(outcome)).toEqual([]);
      expect(outcome).toMatchObject({ code: 125, stdout: '', stderr: expect.stringMatching(/not trusted/) });
      expect(outcome.stderr.length).toBeLessThan(1000);
    }
    for (const line of ['stores --json', trust ? start.replace('exec', 'exec --trust') : start]) {
      const outcome = await place.within(`secrets ${line}`);
      expect(problemsOf(outcome)).toEqual([]);
      const exec = line.startsWith('exec');
      expect(outcome.code).toBe(refused === undefined ? 0 : exec ? 125 : 2);
      if (refused !== undefined) expect(outcome.stderr.replace(/; .*$/m, '').trimEnd()).toMatch(refused);
      if (exec) expect(outcome.stdout).toBe(refused === undefined ? 'started\n' : '');
    }
    expect(existsSync(join(place.cwd, 'ran'))).toBe(false);
  });
});

const COMMAND_LINES: readonly [string, number | RegExp, string][] = [
  ['a name with an escape sequence', 2, "get $'a\\e[31mb'"],
  ['a name with an encoded one', 2, "get 'a%1b%5b31mb'"],
  ['a name with a C1 control', 2, "get $'a\\u009b31mb'"],
  ['a name with a NUL', 2, 'get a%00b'],
  ['a name with half a surrogate pair', 2, 'get a%ed%a0%80'],
  ['a name that is not UTF-8', 3, "get $'a\\xff\\xfe'"],
  ['a name that climbs', 2, 'get local://../../etc/passwd'],
  ['a name that climbs by its escapes', 2, 'get local://%2e%2e/%2e%2e/etc/passwd'],
  ['a name with a file’s path', 2, 'get /etc/passwd'],
  ['a name of 120 kB', 2, 'get "$(head -c 120000 /dev/zero | tr "\\0" a)"'],
  ['a key of 120 kB', 2, 'get "a#$(head -c 120000 /dev/zero | tr "\\0" k)"'],
  ['__proto__ as a name', 3, 'get __proto__'],
  ['__proto__ as a store', 2, 'get __proto__://a'],
  ['constructor as a store', 2, 'get constructor://a'],
  ['__proto__ as --store', 2, 'get a --store __proto__'],
  ['toString as --store', 2, 'get a --store toString'],
  ['an escape sequence as --store', 2, "get a --store $'\\e[31m'"],
  ['__proto__ as a profile', 2, 'get a --profile __proto__'],
  ['an escape sequence as a profile', 2, "get a --profile $'\\e]0;x\\a'"],
  ['an unknown option with an escape sequence', 2, "get a --$'\\e[31m'"],
  ['an unknown command with an escape sequence', 2, "$'\\e[31mget' a"],
  ['an unknown command of 120 kB', 2, '"$(head -c 120000 /dev/zero | tr "\\0" c)"'],
  ['__proto__ as a command', 2, '__proto__'],
  ['__proto__ as a shell', 2, 'completion __proto__'],
  ['constructor as a format', 2, 'env --format constructor'],
  ['__proto__ as a variable', 125, 'exec -e __proto__=a -- true'],
  ['a variable with a line in it', 125, "exec -e $'A\\nB=a' -- true"],
  ['a variable of 120 kB', 125, 'exec -e "$(head -c 120000 /dev/zero | tr "\\0" A)=a" -- true'],
  ['a program with an escape sequence in its name', 127, "exec -- $'\\e[31m'"],
  ['a timeout of no time', 2, 'get a --timeout -1s'],
  ['a timeout without end', 2, 'get a --timeout 1e999h'],
  ['a timeout of ages', /^[23]$/, 'get a --timeout 99999999999999h'],
  ['a random value without end', 2, 'generate alnum:99999999999'],
  ['a folder as the configuration', 2, 'get a --config .'],
  ['a device as the configuration', 2, 'get a --config /dev/zero'],
  ['another', 2, 'get a --config /dev/stdin'],
  ['a configuration with an escape sequence', 2, "get a --config $'x\\e[31m.yaml'"],
  ['a file of the kernel as the configuration', 2, 'get a --config /proc/self/environ'],
  ['a file that must not be shown', 2, 'get a --config /etc/passwd'],
  ['trust of a device', 2, 'trust /dev/zero'],
  ['trust taken from nothing', 3, "trust --revoke $'\\e[31m'"],
];

const ENVIRONMENTS: readonly (readonly [string, string])[] = [
  // The shell that starts the program complains as well.
  [
    'a working directory that is gone',
    'mkdir gone; cd gone; rmdir ../gone; secrets list 2>&1 | grep -v getcwd >&2',
  ],
  ['no HOME', 'unset HOME; secrets stores'],
  ['a HOME that is not there', 'HOME=$PWD/no/where secrets stores'],
  ['a HOME that is a device', 'HOME=/dev/null secrets stores'],
  ['a relative HOME', 'HOME=. secrets stores'],
  ['settings in a device', 'XDG_CONFIG_HOME=/dev/null secrets stores'],
  [
    'trust in a device',
    'echo "stores: {v: {provider: vault, address: \'https://x\'}}" > secrets.yaml; XDG_STATE_HOME=/dev/null secrets trust --yes',
  ],
  ['a profile of the environment', "SECRETS_PROFILE=$'\\e[31m' secrets stores"],
  ['a hash of the environment', "SECRETS_TRUSTED=$'\\e[31m' secrets stores"],
];

describe('a command line', () => {
  test.each(sampled(COMMAND_LINES, 4))('%s', async (title, code, line) => {
    // A small run has each line in one of the two forms.
    const forms = ['', ' --json'];
    for (const json of sized([forms[(title.length + startOf(2)) % 2] ?? ''], forms)) {
      // Behind exec's -- it would be the program's.
      const words = json === '' || line.startsWith('exec') ? line : `${line}${json}`;
      const outcome = await place.within(`secrets ${words}`);
      expect({ ...outcome, problems: problemsOf(outcome) }).toMatchObject({ problems: [], stdout: '' });
      expect(String(outcome.code)).toMatch(typeof code === 'number' ? new RegExp(`^${code}$`) : code);
      expect(outcome.stderr).not.toContain('root:');
    }
  });

  test('a pipe as the configuration does not wait for a writer', async () => {
    const outcome = await place.within('mkfifo secrets.yaml; secrets get a');
    expect(problemsOf(outcome)).toEqual([]);
    expect(outcome).toMatchObject({ code: 2, stderr: expect.stringContaining('is not a file') as string });
  });

  test('a folder with an escape sequence in its name does not get to the terminal', async () => {
    const outcome = await place.within(
      "mkdir $'e\\e[31m\\u202e'; cd $'e\\e[31m\\u202e'; echo 'x: 1' > secrets.yaml; secrets get a",
    );
    expect(problemsOf(outcome)).toEqual([]);
    expect(outcome).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('e\\u001b[31m\\u202e/secrets.yaml:1:') as string,
    });
  });

  test.each(sampled(ENVIRONMENTS, 3))('%s', async (_, script) => {
    expect(problemsOf(await place.within(script))).toEqual([]);
  });
});

const FORMATS = 'dotenv shell fish powershell json yaml docker github gitlab kubernetes tfvars'.split(' ');

const JSON_SECRETS: readonly (readonly [string, string])[] = [
  ['lists nested 400,000 deep', "head -c 400000 /dev/zero | tr '\\0' '['"],
  [
    'closed lists nested 200,000 deep',
    "{ head -c 200000 /dev/zero | tr '\\0' '['; head -c 200000 /dev/zero | tr '\\0' ']'; }",
  ],
  ['a key of 500 kB', `{ printf '{"'; head -c 500000 /dev/zero | tr '\\0' 'k'; printf '":"v"}'; }`],
  ['a key with an escape sequence', `printf '{"a\\\\u001b[31m":"v","\\\\u009b":"w","\\\\u202e":"x"}'`],
  [
    '50,000 keys',
    `node -e 'process.stdout.write(JSON.stringify(Object.fromEntries(Array.from({ length: 50000 }, (_, i) => ["k" + i, i]))))'`,
  ],
  ['keys that become one variable', `printf '{"a-b":1,"a_b":2,"a.b":3}'`],
];

describe('a JSON secret', () => {
  const SECRET =
    '{"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}},"plain":"v"}';

  test('with __proto__ in it is kept, selected from, changed and given to programs as any other', async () => {
    const read = (line: string) => place.within(`printf '%s' '${SECRET}' | secrets put --quiet j; ${line}`);
    expect((await read('secrets get j')).stdout).toBe(SECRET);
    expect((await read('secrets get j#__proto__')).stdout).toBe('{"polluted":"yes"}');
    expect((await read('secrets get j#/__proto__/polluted')).stdout).toBe('yes');
    expect((await read('secrets get j#polluted')).code).toBe(3);
    expect((await read('secrets get j#/plain/length')).code).toBe(3);
    expect((await read('secrets get j#toString')).code).toBe(3);
    expect(
      (
        await read(
          'secrets exec --from j --prefix MY_ -- sh -c \'printf "%s %s" "$MY___PROTO__" "$MY_PLAIN"\'',
        )
      ).stdout,
    ).toBe('{"polluted":"yes"} v');
    const changed = await read('printf new | secrets put --quiet j#__proto__; secrets get j');
    expect(changed.stdout).toBe(SECRET.replace('{"polluted":"yes"},"c', '"new","c'));
  });

  test.each(sampled(FORMATS, 4))('with __proto__ in it, as %s', async (format) => {
    const outcome = await place.within(
      `printf '%s' '${SECRET}' | secrets put --quiet j; secrets env --from j --prefix MY_ --format ${format}`,
    );
    expect(problemsOf(outcome)).toEqual([]);
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).toContain('__PROTO__');
  });

  test.each(sampled(JSON_SECRETS, 3))('with %s gets a value or a line', async (_, write) => {
    const { code } = await place.within(`${write} | secrets put --quiet j`);
    expect([0, 2]).toContain(code);
    for (const line of [
      'get j#nope',
      'get j#/0/0/0',
      'exec --from j -- true',
      'env --from j',
      'env --from j --prefix MY_',
      'put j#more <<< x',
    ]) {
      const outcome = await place.within(`secrets ${line}`);
      expect({ line, problems: problemsOf(outcome) }).toEqual({ line, problems: [] });
      expect(outcome.stdout).not.toMatch(UNSAFE);
    }
  });
});

const BOMB = Array.from(
  { length: 9 },
  (_, index) => `b${index + 1}: &a${index + 1} [${`*a${index},`.repeat(10)}]\n`,
).join('');

const IMPORTED: readonly [string, string, number, string][] = [
  ['flow lists nested 200,000 deep', 'f.yaml', 2, '['.repeat(200_000)],
  ['closed lists nested 32,768 deep', 'f.yaml', 2, '['.repeat(32_768) + ']'.repeat(32_768)],
  ['maps nested 50,000 deep', 'f.yaml', 2, '{a: '.repeat(50_000)],
  ['lists on one line', 'f.yaml', 2, '- '.repeat(100_000)],
  ['brackets that close nothing', 'f.yaml', 2, '}'.repeat(300_000)],
  ['an alias bomb', 'f.yaml', 2, `a: &a0 x\n${BOMB}`],
  ['a duplicate key', 'f.yaml', 2, 'a: x\na: y\n'],
  ['a tag', 'f.yaml', 2, 'a: !!js/function "() => 1"\n'],
  ['lists nested 1,000,000 deep', 'f.json', 2, '['.repeat(1_000_000)],
  ['__proto__', 'f.json', 0, '{"__proto__":"x","constructor":"y"}'],
  ['__proto__', 'f.yaml', 0, '__proto__: x\nconstructor: y\n'],
  ['a name with an escape sequence', 'f.json', 2, '{"a\\u001b[31m":"x"}'],
  ['a name that climbs', 'f.json', 2, '{"../../x":"y"}'],
  ['a name of 1 MB', 'f.json', 2, `{"${'n'.repeat(1_000_000)}":"x"}`],
  [
    'aliases nested 5,000 deep',
    'f.yaml',
    2,
    `a: &a0 x\n${Array.from({ length: 5000 }, (_, index) => `b${index}: &a${index + 1} [*a${index}]\n`).join('')}`,
  ],
  ['quotes without end', '.env', 2, 'A="'.repeat(100_000)],
  ['a NUL', '.env', 2, 'A=\0\n'],
  ['no UTF-8', 'f.json', 2, '\xff'],
];

describe('a file to import', () => {
  test.each(sampled(IMPORTED, 4))('%s, in %s', async (_, name, code, content) => {
    await writeFile(
      join(place.cwd, name),
      content,
      name === 'f.json' && content === '\xff' ? 'latin1' : 'utf8',
    );
    const outcome = await place.within(`secrets import ${name} imported/ --dry-run`);
    expect({ code: outcome.code, problems: problemsOf(outcome) }).toEqual({ code, problems: [] });
    expect(outcome.stdout).not.toMatch(UNSAFE);
  });

  test('60,000 keys in one map', async () => {
    const keys = Array.from({ length: 60_000 }, (_, index) => `k${index}: v\n`).join('');
    await writeFile(join(place.cwd, 'f.yaml'), keys);
    const outcome = await place.within('secrets import f.yaml imported --dry-run');
    expect({ code: outcome.code, problems: problemsOf(outcome) }).toEqual({ code: 0, problems: [] });
  });
});

const ENV_FILES: readonly (readonly [string, string])[] = [
  ['names with escape sequences', 'A\u001b[31m=x\nB=y\n'],
  ['names that change what programs run', 'NODE_OPTIONS=-r ./x\nPATH=/x\nB=y\n'],
  ['JavaScript’s own names', '__proto__=x\nconstructor=y\nprototype=z\nB=y\n'],
  ['a name of 100 kB', `${'A'.repeat(100_000)}=x\nB=y\n`],
  ['text for YAML', 'A: b\n"]: {=x\nB=y\n'],
  ['no text', '\0\u0001\xff\nB=y\n'],
  ['quotes without end', `${'A="'.repeat(20_000)}\n`],
];

describe('.env files, for init', () => {
  test.each(sampled(ENV_FILES, 3))('%s', async (_, content) => {
    await writeFile(join(place.cwd, '.env'), content);
    const outcome = await place.within('secrets init && cat secrets.yaml && secrets stores');
    expect(problemsOf(outcome)).toEqual([]);
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).not.toMatch(/NODE_OPTIONS:|PATH:|__proto__|: x|: y/);
    expect(outcome.stdout).not.toMatch(UNSAFE);
    // What it wrote is read without complaint.
    expect((await place.within('secrets stores')).stderr).toBe('');
  });

  test.each([
    ['a folder', 'mkdir .env'],
    ['a device', 'ln -s /dev/zero .env'],
    ['a pipe', 'mkfifo .env'],
    ['10 MB', "head -c 10000000 /dev/zero | tr '\\0' A > .env"],
    ['a link to nothing', 'ln -s nowhere .env'],
  ])('that are %s are passed over', async (_, script) => {
    const outcome = await place.within(`${script}; secrets init`);
    expect(problemsOf(outcome)).toEqual([]);
    expect(outcome).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/\.env is passed over/) as string,
    });
  });

  test('in a folder whose name has an escape sequence', async () => {
    await mkdir(join(place.cwd, 'x\u001b[31m: {"'));
    await writeFile(join(place.cwd, 'x\u001b[31m: {"', '.env'), 'A=b\n');
    const outcome = await place.within('cd x*; secrets init; cat secrets.yaml; secrets env');
    expect(outcome.stdout).toContain('A: local://x-31m-env#A');
    expect(outcome.stdout).not.toMatch(UNSAFE);
    expect(problemsOf(outcome)).toEqual([]);
  });
});
