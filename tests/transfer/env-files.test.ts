/** What `import` makes of single lines of env files, with and without a dialect; the readers themselves are compared in dotenv-readers.test.ts. */
import type { Dialect } from '../../src/transfer/dotenv/dialects.ts';
import { readEnvFile } from '../../src/transfer/dotenv/read.ts';
import { FileProblems } from '../../src/transfer/problems.ts';

/** The values as an object, or the error with its hint. */
function read(text: string, dialect?: Dialect): unknown {
  try {
    return Object.fromEntries(readEnvFile(text, new FileProblems('.env'), dialect).values);
  } catch (thrown) {
    const { message } = thrown as Error;
    return message;
  }
}

test.each<[string, Record<string, string>]>([
  ['A=1\nB=two\n', { A: '1', B: 'two' }],
  ['# a remark\n\nexport A=1 # another\n', { A: '1' }],
  ['A=\nB=""\nC=\'\'', { A: '', B: '', C: '' }],
  ['PASS=\'p@ss#word "x" $y\'\n', { PASS: 'p@ss#word "x" $y' }],
  ['URL=https://user@host:8080/path?a=b\n', { URL: 'https://user@host:8080/path?a=b' }],
  [
    "KEY='-----BEGIN KEY-----\nabc=\n-----END KEY-----'\nB=1",
    { KEY: '-----BEGIN KEY-----\nabc=\n-----END KEY-----', B: '1' },
  ],
  ['A="it\'s"', { A: "it's" }],
  ["A='-----BEGIN X-----'", { A: '-----BEGIN X-----' }],
  ['A=é😀', { A: 'é😀' }],
])('%j means the same to all readers', (text, values) => {
  expect(read(text)).toEqual(values);
});

test.each([
  [
    'DB_PASSWORD=p@ss#word',
    '.env:1: DB_PASSWORD: docker-compose, python and shell read one value, dotenv another',
  ],
  ['A="a\\"b"', '.env:1: A: has a backslash before a quote (dotenv)'],
  ['A="a\\nb"', '.env:1: A: docker-compose, dotenv and python read one value, shell another'],
  ['A=1\nMOTD=hello world', '.env:2: MOTD: has an unquoted blank, which ends the value in a shell (shell)'],
  ['A=${B}', '.env:1: A: has an unquoted $, which Docker Compose replaces (docker-compose, python, shell)'],
  ['A=$(id)', '.env:1: A: has an unquoted $, which Docker Compose replaces (docker-compose, shell)'],
  ['A = 1', '.env:1: has a blank before the = (shell)'],
  ['A=1\nmy.name=2', '.env:2: has a name that is not just letters, digits and _ (shell)'],
  ['A="$$5\\n"', '.env:1: A: has $ or ` in double quotes, which a shell replaces (shell)'],
  ['A=1\r\n', '.env:1: A: ends in a carriage return, which a shell keeps (shell)'],
  ['\ufeffA=1', '.env:1: begins with a byte order mark, which a shell takes for text (shell)'],
  ['A=a;b', '.env:1: A: has an unquoted character that means something else to a shell (shell)'],
  ["A='a\\\\b'", '.env:1: A: docker-compose, dotenv and shell read one value, python another'],
])('%j is refused without a dialect: %s', (text, message) => {
  expect(read(text)).toBe(message);
});

test.each([
  ['TOKEN', 1],
  ['MY VAR=1', 1],
  ['A=1\n[section]', 2],
  ['A=1\nMIIEvQIBADAN\n', 2],
  ['A: 1', 1],
  ['A="x', 1],
  ["A='x' y", 1],
  ['=1', 1],
  ['export A', 1],
  ['A=\u00a0x', 1],
  ['A=x\u2028B=y', 1],
  ['A=1\0', 1],
  ['KEY=-----BEGIN RSA PRIVATE KEY-----\nYWJj=\n-----END RSA PRIVATE KEY-----', 1],
])('%j is refused by every reader’s name, with its line', (text, line) => {
  for (const dialect of [undefined, 'docker-compose', 'dotenv', 'python', 'shell'] as const)
    expect(read(text, dialect)).toMatch(new RegExp(`^\\.env:${line}: `));
});

test.each<[string, Partial<Record<Dialect, string>>]>([
  ['A=p@ss#word', { 'docker-compose': 'p@ss#word', dotenv: 'p@ss', python: 'p@ss#word', shell: 'p@ss#word' }],
  ['A="a\\"b"', { 'docker-compose': 'a"b', python: 'a"b', shell: 'a"b' }],
  ['A="a\\nb"', { 'docker-compose': 'a\nb', dotenv: 'a\nb', python: 'a\nb', shell: 'a\\nb' }],
  ['A=hello world', { 'docker-compose': 'hello world', dotenv: 'hello world', python: 'hello world' }],
  ['A=${B}', { dotenv: '${B}' }],
  ['A=$(id)', { dotenv: '$(id)', python: '$(id)' }],
  ['A="$$5"', { 'docker-compose': '$5', dotenv: '$$5', python: '$$5' }],
  ['A=`x`', { dotenv: 'x', 'docker-compose': '`x`', python: '`x`' }],
  ["A='it'\\''s'", { shell: "it's" }],
  ['A=1\nA=2', { 'docker-compose': '2', dotenv: '2', python: '2', shell: '2' }],
])('%j by dialect', (text, values) => {
  for (const dialect of ['docker-compose', 'dotenv', 'python', 'shell'] as const) {
    const value = values[dialect];
    if (value === undefined) expect(read(text, dialect)).toMatch(/^\.env:1: A: has /);
    else expect(read(text, dialect)).toEqual({ A: value });
  }
});

test.each([
  ['A = 1', 'remove it, or name the reader'],
  ['my.name=2', 'rename it, or name the reader'],
  ['A=p@ss#word', 'quote the value, or name the reader'],
])('%j: the advice fits what is wrong: %s', (text, advice) => {
  try {
    readEnvFile(text, new FileProblems('.env'), undefined);
    throw new Error('was taken');
  } catch (thrown) {
    expect((thrown as { hint?: string }).hint).toContain(advice);
  }
});

test('a name that is there twice is an error without a dialect, and a warning with one', () => {
  expect(read('A=1\nB=2\nA=1\n')).toBe('.env:3: A is on line 1 already');
  expect(readEnvFile('A=1\nB=2\nA=1\n', new FileProblems('.env'), 'python').warnings).toEqual([
    '.env:3: A is on line 1 too; the later line counts',
  ]);
});

test.each([
  [
    'DOTENV_PUBLIC_KEY="02ab"\nA="encrypted:BDqDBibm4wsYqMpCjTQ6BsDHmMadg9K3dAt"\n',
    /^\.env:1: is a dotenvx file/,
  ],
  ['# x\nDOTENV_VAULT_CI="abc"\n', /^\.env:2: is an encrypted \.env\.vault/],
  ['A=ENC[AES256_GCM,data:x,iv:y]\nsops_mac=x\n', /^\.env:1: is encrypted by sops/],
])('%j is refused by its name', (text, message) => {
  for (const dialect of [undefined, 'dotenv'] as const) expect(read(text, dialect)).toMatch(message);
});

test('no message has a part of a value', () => {
  for (const text of [
    'A=hunter2 hunter2',
    'hunter2',
    'A="hunter2',
    'A=hunter2#hunter2',
    'A=1\nA=hunter2',
    "A='hunter2'x",
  ])
    expect(JSON.stringify(read(text))).not.toContain('hunter2');
});

test('long lines take time in proportion', () => {
  const start = process.cpuUsage().user;
  for (const part of [' ', '#', '\\', '"', '${', ' #', '\n', '\t\n', "'", 'A="', 'a '])
    for (const head of ['A=', 'A="', "A='", 'A=x ', '']) read(head + part.repeat(100_000));
  expect(process.cpuUsage().user - start).toBeLessThan(20e6);
});
