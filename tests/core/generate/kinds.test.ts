/** What generated values are good for, shown with the programs that read them: shells, URLs, OpenSSH, OpenSSL. */
import { spawnSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bitsOf, generate, parseGenerate, WORDS_IN_LIST } from '../../../src/core/generate/generate.ts';
import { wordList } from '../../../src/core/generate/words.ts';
import { program, testNeeding } from '../../needs.ts';

const run = (command: string, args: readonly string[], input?: string) =>
  spawnSync(command, args, { encoding: 'utf8', ...(input !== undefined && { input }) });
const installed = (command: string): boolean =>
  (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, command)));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'secrets-generate-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('safe=url needs no escaping in a URL', async () => {
  for (let round = 0; round < 200; round += 1) {
    const { value } = await generate('ascii:24,safe=url');
    expect(value).toMatch(/[-._~]/);
    expect(encodeURIComponent(value)).toBe(value);
    expect(new URL(`postgres://user:${value}@host/name`).password).toBe(value);
  }
});

test.each(['sh', 'bash', 'zsh', 'fish'].filter(installed))(
  'safe=shell needs no quoting in %s',
  async (shell) => {
    const values: string[] = [];
    for (let round = 0; round < 200; round += 1) {
      values.push((await generate(`ascii:${4 + (round % 30)},safe=shell`)).value);
    }
    const script = values.map((value) => `printf '%s\\n' ${value}\n`).join('');
    expect(run(shell, ['-c', script]).stdout).toBe(values.map((value) => `${value}\n`).join(''));
  },
);

test('leaves out what is excluded, commas too, and keeps a character of each class', async () => {
  for (let round = 0; round < 100; round += 1) {
    const { value } = await generate(`ascii:12,safe=url+shell,exclude=O0Il1,_`);
    expect(value).toMatch(/^(?=.*[a-z])(?=.*[A-Z])(?=.*[2-9])(?=.*\.)[A-Za-z2-9.]{12}$/);
    expect(value).not.toMatch(/[OIl]/);
  }
});

test('takes classes of its own, each drawn from at least once, characters beyond ASCII whole', async () => {
  const spec = { alphabet: ['ab', '12', 'äß😀'], length: 4 };
  for (let round = 0; round < 100; round += 1) {
    const { value } = await generate(spec);
    expect([...value]).toHaveLength(4);
    expect(value).toMatch(/^(?=.*[ab])(?=.*[12])(?=.*[äß😀])[ab12äß😀]*$/u);
  }
  // A character named twice isn't drawn twice as often.
  expect(bitsOf(parseGenerate({ alphabet: ['aaab', 'ab'], length: 8 }))).toBe(8);
});

test.each([
  [{ alphabet: ['a\nb'], length: 4 }, 'control'],
  [{ alphabet: 'digits', length: 4, exclude: '0123456789' }, 'no characters'],
  [{ alphabet: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'], length: 9 }, 'at most 8 classes'],
  [{ alphabet: ['a', 'b', 'c', 'd', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'], length: 5 }, 'every class'],
  [{ alphabet: 'alnum', kind: 'uuid' }, 'not a spec'],
  ['alnum:8,safe=html', 'nothing to be safe for'],
  ['tls', 'needs names'],
  ['tls,names=a b', 'neither a DNS name'],
  ['ssh-ed25519,only=csr', 'no part'],
  ['hex:8,safe=url', 'no option safe'],
])('refuses %j', async (spec, message) => {
  await expect(generate(spec)).rejects.toThrow(message);
});

test('words come from a list of 7776, in equal parts', async () => {
  expect(wordList).toHaveLength(WORDS_IN_LIST);
  const { value, bits } = await generate('words:7,separator=.');
  const words = value.split('.');
  expect(words).toHaveLength(7);
  expect(words.every((word) => wordList.includes(word))).toBe(true);
  expect(bits).toBe(90);
  // Chi-squared over the list in 20 bins of words: above 82 once in five hundred million runs of a fair generator.
  const counts = Array.from({ length: 20 }, () => 0);
  const places = new Map(wordList.map((word, place) => [word, place]));
  for (let round = 0; round < 200; round += 1) {
    for (const word of (await generate('words:100,separator= ')).value.split(' ')) {
      const bin = Math.floor(((places.get(word) ?? 0) * 20) / WORDS_IN_LIST);
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
  }
  const chi = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
  expect(chi).toBeLessThan(82);
});

test.each([
  ['rsa:2048', 112],
  ['ec', 128],
  ['ec:p521', 256],
  ['ed25519', 128],
])('%s is a pair in PKCS #8 and SPKI', async (spec, bits) => {
  const { value, parts, bits: strength } = await generate(spec);
  expect(JSON.parse(value)).toEqual(parts);
  expect(strength).toBe(bits);
  const data = Buffer.from('signed');
  const hash = spec.startsWith('ed') ? null : 'sha256';
  const signature = sign(hash, data, createPrivateKey(parts?.['private-key'] ?? ''));
  expect(verify(hash, data, createPublicKey(parts?.['public-key'] ?? ''), signature)).toBe(true);
});

testNeeding(program('openssl')).each(['rsa:2048', 'ec', 'ec:p521', 'ed25519'])(
  'openssl reads %s',
  async (spec) => {
    const { parts } = await generate(spec);
    const own = run('openssl', ['pkey', '-check', '-pubout'], parts?.['private-key']);
    expect([own.status, own.stdout.replace(/^Key is valid\n/, '')]).toEqual([0, parts?.['public-key']]);
  },
);

test('only= gives one part as it is', async () => {
  const { value, parts } = await generate('ed25519,only=private-key');
  expect(parts).toBeUndefined();
  expect(createPrivateKey(value).asymmetricKeyType).toBe('ed25519');
});

testNeeding(program('ssh-keygen')).each(['ssh-ed25519', 'ssh-rsa:2048', 'ssh-ecdsa', 'ssh-ecdsa:p384'])(
  'ssh-keygen reads %s',
  async (spec) => {
    const { parts } = await generate(spec);
    const file = join(folder, 'id');
    writeFileSync(file, parts?.['private-key'] ?? '', { mode: 0o600 });
    const { stdout, stderr } = run('ssh-keygen', ['-y', '-P', '', '-f', file]);
    expect(stderr).toBe('');
    expect(stdout.trim()).toBe(parts?.['public-key']);
  },
);

testNeeding(program('openssl')).each(['', 'key=rsa-2048,', 'key=ec-p384,', 'key=ed25519,'])(
  'openssl takes the signing request of tls,%s',
  async (key) => {
    const { parts } = await generate(`tls,${key}names=www.example.com+*.example.org+192.0.2.7+2001:db8::7`);
    const request = run(
      'openssl',
      ['req', '-verify', '-noout', '-text', '-nameopt', 'sep_comma_plus'],
      parts?.['csr'],
    );
    expect(request.status).toBe(0);
    expect(request.stderr).toMatch(/verify OK/);
    expect(request.stdout).toMatch(/Subject: CN=www\.example\.com$/m);
    expect(request.stdout).toMatch(/DNS:www\.example\.com, DNS:\*\.example\.org, IP Address:192\.0\.2\.7/);
    expect(request.stdout).toMatch(/IP Address:2001:DB8:0:0:0:0:0:7/);
    const pub = run('openssl', ['req', '-noout', '-pubkey'], parts?.['csr']).stdout;
    expect(pub).toBe(parts?.['public-key']);
    const own = run('openssl', ['pkey', '-pubout'], parts?.['private-key']).stdout;
    expect(own).toBe(pub);
  },
);
